/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that listeners end: the contexts of their chains, and at services' own addresses the chains of the mesh's mutual TLS. */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

#include <errno.h>
#include <string.h>

/* ---- contexts ----------------------------------------------------------------------------------- */

struct writing {
	struct mt_region *r;
	char *text; /* NULL: no memory */
};

/* With its length, so that one text is never two others. */
static void write_text(struct writing *w, const char *s)
{
	if (w->text)
		w->text = s ? mt_region_printf(w->r, "%s %zu:%s", w->text, strlen(s), s)
			    : mt_region_printf(w->r, "%s -", w->text);
}

static void write_texts(struct writing *w, const char *const *v, uint32_t n)
{
	if (w->text)
		w->text = mt_region_printf(w->r, "%s %u", w->text, n);
	for (uint32_t i = 0; i < n; i++)
		write_text(w, v[i]);
}

/* All that a context is made of; the credential is the same object, which the context of those rules keeps. */
static char *write_rules(struct mt_build *b, const struct mt_tls_rules *r)
{
	struct writing w = {.r = &b->tmp};

	w.text = mt_region_printf(&b->tmp, "%p %u %u %x %x %u %u", (const void *)r->credential,
		r->role, r->trust, r->min_version, r->max_version, r->tickets, r->n_sans);
	for (uint32_t i = 0; i < r->n_sans; i++) {
		write_text(&w, r->sans[i].prefix ? "prefix" : "exact");
		write_text(&w, r->sans[i].text);
	}
	write_texts(&w, r->trust_domains, r->n_trust_domains);
	write_texts(&w, r->alpn, r->n_alpn);
	write_text(&w, r->ciphers);
	write_text(&w, r->suites);
	return w.text;
}

static struct mt_tls_context *find(const struct mt_snap *s, const char *rules)
{
	for (uint32_t i = 0; i < s->n_ends; i++)
		if (strcmp(s->ends[i].rules, rules) == 0)
			return s->ends[i].context;
	return NULL;
}

struct mt_tls_context *mt_b_server_context(
	struct mt_build *b, const struct mt_tls_rules *r, struct mt_err *e)
{
	const struct mt_snapshot *now = b->conf->current;
	struct mt_region *keep = &b->snap->region;
	char *rules = write_rules(b, r);
	struct mt_tls_context *c = rules ? find(b->snap, rules) : NULL;
	struct mt_snap_end *end;

	if (c)
		return c;
	rules = rules ? mt_region_strdup(keep, rules) : NULL;
	end = rules ? mt_region_push(keep, (void **)&b->snap->ends, &b->snap->n_ends, sizeof(*end))
		    : NULL;
	if (!end) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	if (now)
		c = find(mt_container_of(now, struct mt_snap, pub), rules);
	c = c ? mt_tls_context_hold(c) : mt_tls_context_new(r, e);
	if (!c) {
		b->snap->n_ends--;
		return NULL;
	}
	*end = (struct mt_snap_end){c, rules};
	return c;
}

/* ---- the mesh's mutual TLS ----------------------------------------------------------------------- */

/* By which Istio's clients say that they speak it; the last ones lead a prefix or HTTP, and are never taken. */
static const char *alpn_of_mesh[] = {
	"istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"};

const char **mt_b_alpn_of_mesh(uint32_t *n)
{
	*n = MT_ARRAY_LEN(alpn_of_mesh);
	return alpn_of_mesh;
}

/* What somebody has written, else that of the node's own certificate, else of what it holds beside it. */
static const char *trust_domain(struct mt_build *b)
{
	const struct mt_credential *own = b->conf->identity;
	struct mt_credential_leaf leaf = {.trust_domain = ""};
	const char *domain;

	if (b->model->mesh.trust_domain)
		return b->model->mesh.trust_domain;
	if (own)
		(void)mt_credential_leaf(own, &leaf);
	domain = *leaf.trust_domain ? mt_region_strdup(&b->tmp, leaf.trust_domain)
				    : mt_b_held_domain(b);
	return domain ? domain : "cluster.local";
}

uint32_t mt_b_trust_domains(struct mt_build *b, const char *v[MT_B_DOMAINS])
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	uint32_t n = 0;

	v[n++] = trust_domain(b);
	for (uint32_t i = 0; c && i < c->n_aliases && n < MT_B_DOMAINS; i++)
		v[n++] = c->aliases[i].s;
	return n;
}

struct mt_tls_context *mt_b_mesh_end(
	struct mt_build *b, struct mt_credential *credential, struct mt_err *e)
{
	const char *domains[MT_B_DOMAINS];
	struct mt_tls_rules r = {.role = MT_TLS_SERVER,
		.trust = MT_TLS_VERIFIED,
		.credential = credential,
		.trust_domains = domains,
		.alpn = alpn_of_mesh,
		.n_alpn = 1,
		.tickets = true};

	r.n_trust_domains = mt_b_trust_domains(b, domains);
	return mt_b_server_context(b, &r, e);
}

struct mt_tls_context *mt_b_mesh_context(struct mt_build *b)
{
	struct mt_err e;

	if (b->mesh_context || b->mesh_context_failed || !b->conf->identity)
		return b->mesh_context;
	b->mesh_context = mt_b_mesh_end(b, b->conf->identity, &e);
	if (!b->mesh_context && !b->mesh_context_failed)
		mt_b_warn(b, NULL, 0, NULL, NULL,
			"the mesh's TLS cannot be ended by the node's identity: %s", e.text);
	b->mesh_context_failed = !b->mesh_context;
	return b->mesh_context;
}

/* ---- whose clients speak it ---------------------------------------------------------------------- */

/* Behind another proxy, or nobody's to enforce: whoever asks, asks there. Clients of what is outside speak no mesh's TLS to it. */
static enum mt_listen_mtls mtls_of(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint32_t i)
{
	const struct mt_workload *w = h->workloads[i];
	enum mt_instance_class class = mt_instance_class(h, w);
	struct mt_policy *whose;

	if (class == MT_INSTANCE_OUTSIDE)
		return MT_LISTEN_NEVER;
	if (class == MT_INSTANCE_MESHED || !b->policies)
		return MT_LISTEN_EITHER;
	switch (mt_b_peer_mode(b, h, w, mt_b_endpoint_port(u, w), &whose)) {
	case MT_MTLS_DISABLE:
		return MT_LISTEN_NEVER;
	case MT_MTLS_STRICT:
		return MT_LISTEN_ALWAYS;
	default:
		return MT_LISTEN_EITHER;
	}
}

static enum mt_listen_mtls both(enum mt_listen_mtls a, enum mt_listen_mtls b)
{
	return a == MT_LISTEN_NOT_SAID || a == b ? b : MT_LISTEN_EITHER;
}

void mt_b_listen_mtls(
	struct mt_build *b, struct mt_listen *l, const struct mt_host *h, const struct mt_unit *u)
{
	bool outside = h->se->location.v == MT_LOCATION_MESH_EXTERNAL;
	enum mt_listen_mtls m = MT_LISTEN_NOT_SAID;

	if (!l || l->mtls == MT_LISTEN_EITHER)
		return;
	for (uint32_t i = 0; i < h->n_workloads && m != MT_LISTEN_EITHER; i++)
		m = both(m, mtls_of(b, h, u, i));
	if (m == MT_LISTEN_NOT_SAID)
		m = outside ? MT_LISTEN_NEVER : MT_LISTEN_EITHER;
	/* Routes may lead to others, whose word is not this one. */
	if (h->bytes.vs || h->messages.vs || h->router)
		m = MT_LISTEN_EITHER;
	l->mtls = both(l->mtls, m);
}

/* ---- their chains -------------------------------------------------------------------------------- */

static const struct mt_res_match tls = {.transport = "tls"},
				 mesh = {.transport = "tls",
					 .alpn = alpn_of_mesh,
					 .n_alpn = MT_ARRAY_LEN(alpn_of_mesh)};

/* Some rule of `tls` is for every name. */
static bool has_any_name(const struct mt_listen *l)
{
	for (uint32_t i = 0; i < l->n_chains; i++)
		if (!l->chains[i].match->n_server_names)
			return true;
	return false;
}

/* What takes everybody, for those that this one matches. */
static bool add_chain(struct mt_build *b, struct mt_listen *l, const struct mt_res_match *m,
	struct mt_tls_context *ends)
{
	struct mt_listen_chain *c =
		mt_region_push(&b->tmp, (void **)&l->chains, &l->n_chains, sizeof(*c));

	if (!c)
		return false;
	*c = *l->last;
	c->match = m;
	c->tls = ends;
	return true;
}

/*
 * Forwards TLS that is not the mesh's as bytes to the chain's only service, because no codec can
 * read it. With several services the messages would have to name one, and cannot be read.
 */
static void pass_as_bytes(struct mt_listen_chain *c)
{
	if (c->codec->opaque || c->n_services != 1)
		return;
	c->codec = mt_codec_bytes();
	c->opts = 0;
}

/* The service's own identity cannot be had, and nobody else's takes its place. */
static bool add_refusal(struct mt_build *b, struct mt_listen *l, const struct mt_res_match *m)
{
	struct mt_listen_chain *c =
		mt_region_push(&b->tmp, (void **)&l->chains, &l->n_chains, sizeof(*c));

	if (c)
		*c = (struct mt_listen_chain){.match = m, .refuse = "its identity cannot be had"};
	return c != NULL;
}

/*
 * As in Istio: where clear text is welcome, too, it ends TLS only of those that name the mesh's protocols, and other TLS is bytes like
 * any others. Where it is not, nothing else has a chain. Clear text has the chain that it would have without all this: its clients stay
 * when the node gets an identity, or has none any more.
 */
int mt_b_listen_split(struct mt_build *b, struct mt_listen *l)
{
	bool others = has_any_name(l), always = l->mtls == MT_LISTEN_ALWAYS, ok;
	struct mt_tls_context *ends;

	if (l->mtls < MT_LISTEN_EITHER || !l->last)
		return 0;
	ends = l->shows ? mt_b_held_context(b, l->shows) : mt_b_mesh_context(b);
	/* Who asks for it closes for clear text by itself; who is not who it would be closes for the mesh. */
	if (!ends && !l->shows)
		return 0;
	ok = ends ? add_chain(b, l, always && !others ? &tls : &mesh, ends)
		  : add_refusal(b, l, always && !others ? &tls : &mesh);
	if (ok && !always && !others) {
		ok = add_chain(b, l, &tls, NULL);
		if (ok)
			pass_as_bytes(&l->chains[l->n_chains - 1]);
	}
	/* Workloads whom their port vouches for need none: all others are denied behind it. */
	if (always && !mt_b_has_workload_ports(b))
		l->last = NULL;
	return ok ? 0 : -ENOMEM;
}
