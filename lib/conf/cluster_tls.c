/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS a cluster's instances are spoken with, and for whom the node's own identity is shown to them. */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"

#include <errno.h>
#include <string.h>

/* Of Istio's. The peer exchange that is offered beside it puts a prefix into the stream, which nobody here speaks. */
#define ISTIO "istio"

/* ---- for whom --------------------------------------------------------------------------------------- */

static const struct mt_node_lend *lend_of(const struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	return n && n->mesh ? n->mesh->lend : NULL;
}

/* Whether those whom the operator names may have it towards services of the namespace (NULL: it is not known). */
static bool is_lent_to(const struct mt_node_lend *l, const char *ns)
{
	for (uint32_t i = 0; l && ns && i < l->n_to; i++)
		if (strcmp(l->to[i].s, ns) == 0)
			return true;
	return l && !l->n_to;
}

bool mt_b_is_lent(const struct mt_build *b, const char *ns)
{
	return is_lent_to(lend_of(b), ns);
}

static uint64_t lend_stamp(const struct mt_build *b, const struct mt_node_lend *l)
{
	uint64_t h = mt_hash_u64(b->conf->identity_serial, 3);

	for (uint32_t i = 0; l && i < l->n_clients; i++)
		h = mt_hash_text(l->clients[i].s, h);
	return h | 1;
}

void mt_conf_lend_put(struct mt_conf_lend *l)
{
	if (l && --l->refs == 0)
		free(l);
}

/* One block: both lists, and the texts of the second one behind them. */
static struct mt_conf_lend *new_lend(
	const struct mt_build *b, const struct mt_node_lend *from, uint64_t stamp)
{
	uint32_t n = from ? from->n_clients : 0;
	char own[MT_TLS_PRINCIPAL_MAX + 1] = "";
	size_t size = sizeof(struct mt_conf_lend) + sizeof(own) +
		      (n + 1) * (sizeof(struct mt_lend_prefix) + sizeof(struct mt_slice));
	struct mt_conf_lend *l;
	struct mt_lend_prefix *prefixes;
	struct mt_slice *principals;
	char *text;

	for (uint32_t i = 0; i < n; i++)
		size += strlen(from->clients[i].s);
	l = calloc(1, size);
	if (!l)
		return NULL;
	prefixes = (void *)(l + 1);
	principals = (void *)(prefixes + n + 1);
	text = (void *)(principals + n + 1);
	l->refs = 1;
	l->stamp = stamp;
	l->l.prefixes = prefixes;
	l->l.principals = principals;
	if (b->conf->identity->chain)
		(void)mt_tls_principal(sk_X509_value(b->conf->identity->chain, 0), own);
	for (uint32_t i = 0; i <= n; i++) {
		const char *s = i < n ? from->clients[i].s : own;
		struct mt_lend_prefix *p = &prefixes[l->l.n_prefixes];
		size_t scheme = strlen(MT_SPIFFE);

		if (strncmp(s, MT_SPIFFE, scheme) == 0) {
			uint32_t len = (uint32_t)strlen(s + scheme);

			principals[l->l.n_principals++] =
				(struct mt_slice){memcpy(text, s + scheme, len), len};
			text += len;
		} else if (*s && mt_prefix_parse(s, &p->addr, &p->bits) == 0) {
			l->l.n_prefixes++;
		}
	}
	return l;
}

/* Those of the last cluster: most have the same. NULL: no memory. */
static struct mt_conf_lend *lend_for(struct mt_build *b, const char *ns)
{
	const struct mt_node_lend *from = lend_of(b);
	bool lent = is_lent_to(from, ns);
	struct mt_conf_lend **l = &b->conf->credentials.lend[lent];
	uint64_t stamp = lend_stamp(b, lent ? from : NULL);

	if (!*l || (*l)->stamp != stamp) {
		mt_conf_lend_put(*l);
		*l = new_lend(b, lent ? from : NULL, stamp);
	}
	if (*l)
		(*l)->refs++;
	return *l;
}

/* ---- how -------------------------------------------------------------------------------------------- */

static const char *offered_by_istio(const struct mt_res_tls *tls)
{
	for (uint32_t i = 0; i < tls->n_alpn; i++)
		if (strcmp(tls->alpn[i], ISTIO) == 0)
			return ISTIO;
	return NULL;
}

static struct mt_tls_san *sans_of(struct mt_build *b, const struct mt_res_tls *tls)
{
	struct mt_tls_san *v = mt_region_alloc(&b->tmp, sizeof(*v) * (tls->n_sans + 1));

	for (uint32_t i = 0; v && i < tls->n_sans; i++)
		v[i] = (struct mt_tls_san){tls->sans[i].text, tls->sans[i].prefix};
	return v;
}

/* NULL with *e. */
static struct mt_tls_context *new_context(struct mt_build *b, const struct mt_res_tls *tls,
	struct mt_conf_credential *with, struct mt_err *e)
{
	const char *istio = offered_by_istio(tls);
	struct mt_tls_rules rules = {.role = MT_TLS_CLIENT,
		.trust = tls->trust ? MT_TLS_VERIFIED : MT_TLS_ANYBODY,
		.credential = with->credential,
		.sans = sans_of(b, tls),
		.n_sans = tls->n_sans,
		.alpn = istio ? &istio : tls->alpn,
		.n_alpn = istio ? 1 : tls->n_alpn,
		.sni = tls->sni,
		.min_version = tls->min_version,
		.max_version = tls->max_version,
		.like = with->like};
	struct mt_tls_context *c;

	if (!rules.sans) {
		b->tmp.failed = true;
		return NULL;
	}
	c = mt_tls_context_new(&rules, e);
	if (!c)
		return NULL;
	mt_tls_context_drop(with->like);
	with->like = mt_tls_context_hold(c);
	return c;
}

static const char *unmade(const struct mt_res_tls *tls)
{
	if (tls->unmade)
		return tls->unmade;
	/* Envoy takes any certificate then; nobody here does so but who has written that he means it. */
	return tls->trust || tls->anybody ? NULL : "it does not say whose certificates are trusted";
}

uint64_t mt_b_cluster_tls_stamp(struct mt_build *b, const struct mt_cluster_said *said)
{
	const struct mt_res_tls *tls = said->cluster->tls;
	const struct mt_node_lend *l = lend_of(b);
	const struct mt_conf_credential *with;

	if (!tls || unmade(tls))
		return 0;
	with = mt_b_credential(b, tls);
	if (!with || !with->stamp)
		return 0;
	return with->own
		       ? mt_hash_u64(with->stamp, lend_stamp(b, is_lent_to(l, said->ns) ? l : NULL))
		       : with->stamp;
}

const char *mt_b_no_tls(struct mt_build *b, const struct mt_res_tls *tls)
{
	const struct mt_conf_credential *with;

	if (unmade(tls))
		return unmade(tls);
	with = mt_b_credential(b, tls);
	return !with ? "no memory" : with->credential ? NULL : with->why.text;
}

int mt_b_cluster_tls(
	struct mt_build *b, struct mt_shared_cluster *sc, const struct mt_cluster_said *said)
{
	const struct mt_res_tls *tls = said->cluster->tls;
	struct mt_conf_credential *with;
	struct mt_err why;

	sc->tls_stamp = mt_b_cluster_tls_stamp(b, said);
	if (!sc->tls_stamp)
		return b->tmp.failed ? -ENOMEM : 0;
	with = mt_b_credential(b, tls);
	sc->c.tls = with ? new_context(b, tls, with, &why) : NULL;
	if (b->tmp.failed)
		return -ENOMEM;
	if (!sc->c.tls) {
		/* Made anew with each build, which tells why. */
		sc->tls_stamp = 0;
		sc->tls_why = strdup(why.text);
		return sc->tls_why ? 0 : -ENOMEM;
	}
	sc->lend = with->own ? lend_for(b, said->ns) : NULL;
	sc->c.lend = sc->lend ? &sc->lend->l : NULL;
	return !with->own || sc->lend ? 0 : -ENOMEM;
}

/* ---- those who have not got it ----------------------------------------------------------------------- */

/* Endpoints without TLS, with what else is by endpoint; levels that lose all of theirs leave their load to the first. */
static void keep_plain(struct mt_cluster *u, const struct mt_cluster *c)
{
	uint32_t level = 0, lost = 0;

	u->n_eps = u->n_levels = 0;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		uint32_t before = level;

		while (level < c->n_levels && c->levels[level].first <= i)
			level++;
		for (uint32_t k = before; k < level; k++)
			u->levels[u->n_levels++] =
				(struct mt_lb_level){.first = u->n_eps, .load = c->levels[k].load};
		if (c->eps[i].tls)
			continue;
		if (u->guards)
			u->guards[u->n_eps] = c->guards[i];
		u->eps[u->n_eps++] = c->eps[i];
	}
	level = 0;
	for (uint32_t i = 0; i < u->n_levels; i++) {
		uint32_t end = i + 1 < u->n_levels ? u->levels[i + 1].first : u->n_eps;

		if (u->levels[i].first == end)
			lost += u->levels[i].load;
		else
			u->levels[level++] = u->levels[i];
	}
	u->n_levels = level > 1 ? level : 0;
	if (u->n_levels)
		u->levels[0].load += lost;
}

void mt_unlent_free(struct mt_cluster *u)
{
	if (!u)
		return;
	mt_cluster_release(u);
	free(u->levels);
	free(u->eps);
	free(u->guards);
	free(u);
}

struct mt_cluster *mt_unlent_new(const struct mt_cluster *c)
{
	struct mt_cluster *u = malloc(sizeof(*u));

	if (!u)
		return NULL;
	*u = *c;
	u->tls = NULL;
	u->lend = NULL;
	u->warmup = NULL;
	u->eps = malloc(sizeof(*u->eps) * (c->n_eps + 1));
	u->levels = c->levels ? calloc(c->n_levels + 1, sizeof(*u->levels)) : NULL;
	u->guards = c->guards ? calloc(c->n_eps + 1, sizeof(*u->guards)) : NULL;
	if (!u->eps || (c->levels && !u->levels) || (c->guards && !u->guards)) {
		mt_unlent_free(u);
		return NULL;
	}
	keep_plain(u, c);
	return u;
}
