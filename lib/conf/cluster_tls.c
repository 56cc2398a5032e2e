/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS a cluster's instances are spoken with, and for whom which identity is shown to them. */
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

static struct mt_slice put(char **to, const char *text)
{
	struct mt_slice s = {(const uint8_t *)*to, (uint32_t)strlen(text)};

	memcpy(*to, text, s.len);
	*to += s.len;
	return s;
}

/* One block: the lists, and the texts of the last two behind them. */
static struct mt_conf_lend *new_lend(
	const struct mt_build *b, const struct mt_node_lend *from, uint64_t stamp)
{
	uint32_t n = from ? from->n_clients : 0, n_held = b->conf->n_held;
	char own[MT_TLS_PRINCIPAL_MAX + 1] = "";
	size_t size = sizeof(struct mt_conf_lend) + sizeof(own) +
		      (n + 1) * (sizeof(struct mt_lend_prefix) + sizeof(struct mt_slice)) +
		      n_held * sizeof(struct mt_slice);
	struct mt_conf_lend *l;
	struct mt_lend_prefix *prefixes;
	struct mt_slice *principals, *held;
	char *text;

	for (uint32_t i = 0; i < n; i++)
		size += strlen(from->clients[i].s);
	for (uint32_t i = 0; i < n_held; i++)
		size += strlen(b->conf->held[i].principal);
	l = calloc(1, size);
	if (!l)
		return NULL;
	prefixes = (void *)(l + 1);
	principals = (void *)(prefixes + n + 1);
	held = principals + n + 1;
	text = (void *)(held + n_held);
	l->refs = 1;
	l->stamp = stamp;
	l->l.prefixes = prefixes;
	l->l.principals = principals;
	l->l.held = held;
	l->l.n_held = n_held;
	l->l.nobody = !b->conf->identity;
	for (uint32_t i = 0; i < n_held; i++)
		held[i] = put(&text, b->conf->held[i].principal + strlen(MT_SPIFFE));
	if (b->conf->identity && b->conf->identity->chain)
		(void)mt_tls_principal(sk_X509_value(b->conf->identity->chain, 0), own);
	for (uint32_t i = 0; i <= n; i++) {
		const char *s = i < n ? from->clients[i].s : own;
		struct mt_lend_prefix *p = &prefixes[l->l.n_prefixes];
		size_t scheme = strlen(MT_SPIFFE);

		if (strncmp(s, MT_SPIFFE, scheme) == 0)
			principals[l->l.n_principals++] = put(&text, s + scheme);
		else if (*s && mt_prefix_parse(s, &p->addr, &p->bits) == 0)
			l->l.n_prefixes++;
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
	struct mt_credential *credential, struct mt_tls_context **like, struct mt_err *e)
{
	const char *istio = offered_by_istio(tls);
	struct mt_tls_rules rules = {.role = MT_TLS_CLIENT,
		.trust = tls->trust ? MT_TLS_VERIFIED : MT_TLS_ANYBODY,
		.credential = credential,
		.sans = sans_of(b, tls),
		.n_sans = tls->n_sans,
		.alpn = istio ? &istio : tls->alpn,
		.n_alpn = istio ? 1 : tls->n_alpn,
		.sni = tls->sni,
		.min_version = tls->min_version,
		.max_version = tls->max_version,
		.like = *like};
	struct mt_tls_context *c;

	if (!rules.sans) {
		b->tmp.failed = true;
		return NULL;
	}
	c = mt_tls_context_new(&rules, e);
	if (!c)
		return NULL;
	mt_tls_context_drop(*like);
	*like = mt_tls_context_hold(c);
	return c;
}

/* For callers whose own identity the node holds; one by one, as far as they can be had. 0 or -ENOMEM. */
static int set_held(struct mt_build *b, struct mt_shared_cluster *sc, const struct mt_res_tls *tls)
{
	struct mt_conf *conf = b->conf;
	struct mt_err why;

	if (!conf->n_held)
		return 0;
	sc->as = calloc(conf->n_held, sizeof(struct mt_tls_context *));
	if (!sc->as)
		return -ENOMEM;
	sc->n_as = conf->n_held;
	for (uint32_t i = 0; i < conf->n_held; i++) {
		struct mt_held *h = &conf->held[i];

		if (h->credential)
			sc->as[i] = new_context(b, tls, h->credential, &h->like, &why);
	}
	sc->c.as = sc->as;
	return b->tmp.failed ? -ENOMEM : 0;
}

void mt_b_cluster_tls_release(struct mt_shared_cluster *sc)
{
	for (uint32_t i = 0; i < sc->n_as; i++)
		mt_tls_context_drop(sc->as[i]);
	free(sc->as);
	mt_tls_context_drop(sc->c.tls);
	mt_conf_lend_put(sc->lend);
	free(sc->tls_why);
}

const char *mt_b_unmade_tls(const struct mt_res_tls *tls)
{
	if (tls->unmade)
		return tls->unmade;
	/* Envoy takes any certificate then; nobody here does so but who has written that he means it. */
	return tls->trust || tls->anybody ? NULL : "it does not specify trusted certificates";
}

/* Who shows one of the node's own can show any of those that it holds beside it. */
static bool is_held(const struct mt_build *b, const struct mt_conf_credential *with)
{
	return with->own && mt_b_is_somebody(b);
}

uint64_t mt_b_cluster_tls_stamp(struct mt_build *b, const struct mt_cluster_said *said)
{
	const struct mt_res_tls *tls = said->cluster->tls;
	const struct mt_node_lend *l = lend_of(b);
	const struct mt_conf_credential *with;

	if (!tls || mt_b_unmade_tls(tls))
		return 0;
	with = mt_b_credential(b, tls);
	if (!with || (!with->stamp && !is_held(b, with)))
		return 0;
	return with->own
		       ? mt_hash_u64(with->stamp, lend_stamp(b, is_lent_to(l, said->ns) ? l : NULL))
		       : with->stamp;
}

const char *mt_b_no_tls(struct mt_build *b, const struct mt_res_tls *tls)
{
	const struct mt_conf_credential *with;

	if (mt_b_unmade_tls(tls))
		return mt_b_unmade_tls(tls);
	with = mt_b_credential(b, tls);
	return !with ? "no memory" : with->credential || is_held(b, with) ? NULL : with->why.text;
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
	if (with && with->credential)
		sc->c.tls = new_context(b, tls, with->credential, &with->like, &why);
	if (b->tmp.failed || (with->own && set_held(b, sc, tls)))
		return -ENOMEM;
	if (!sc->c.tls && with->credential) {
		/* Made anew with each build, which tells why. */
		sc->c.as = NULL;
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

static bool is_partly_reached(const struct mt_cluster *u)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < u->n_eps; i++)
		n += u->eps[i].drain == MT_EP_DRAIN_NO_ROUTE;
	return n > 0 && n < u->n_eps;
}

void mt_unlent_free(struct mt_cluster *u)
{
	if (!u)
		return;
	mt_cluster_release(u);
	free(u->levels);
	free(u->eps);
	free(u->guards);
	free((struct mt_workloads *)u->workloads);
	free(u);
}

struct mt_cluster *mt_unlent_new(const struct mt_cluster *c)
{
	struct mt_cluster *u = malloc(sizeof(*u));
	struct mt_workloads *workloads;

	if (!u)
		return NULL;
	*u = *c;
	u->tls = NULL;
	u->lend = NULL;
	u->as = NULL;
	u->warmup = NULL;
	u->eps = malloc(sizeof(*u->eps) * (c->n_eps + 1));
	u->levels = c->levels ? calloc(c->n_levels + 1, sizeof(*u->levels)) : NULL;
	u->guards = c->guards ? calloc(c->n_eps + 1, sizeof(*u->guards)) : NULL;
	u->workloads = mt_workloads_unlent(c, &workloads) ? workloads : NULL;
	if (!u->eps || (c->levels && !u->levels) || (c->guards && !u->guards) ||
		(c->workloads && !u->workloads)) {
		mt_unlent_free(u);
		return NULL;
	}
	keep_plain(u, c);
	u->skips_unreached = c->skips_unreached && is_partly_reached(u);
	return u;
}
