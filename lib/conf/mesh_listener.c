/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of discovery services: which of their addresses are served, and by which filter chain. One chain of a listener is
 * served so far, and none of TLS; connections that the others are for are refused.
 */
#include "mt_conf_listener_priv.h"
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What can be said of a chain. */
enum verdict { SERVES, NO_MATCH, PASSING, UNSERVED, BY_TLS };

static const char not_served[] = "this filter chain of the listener is not served";

static const char *const why_not[] = {
	[NO_MATCH] = "no filter chain is for its address and port",
	[PASSING] = "it passes on what was redirected to it",
	[UNSERVED] = "its filter chain has no filter that can be served",
	[BY_TLS] = "filter chains that need TLS, or what TLS says, cannot be served yet",
};

/* ---- chains ------------------------------------------------------------------------------------- */

/* The names that control planes give to the two listeners behind a redirecting kernel. */
static bool is_redirected(const struct mt_mesh_listener *l)
{
	return strcmp(l->meta.name, "virtualOutbound") == 0 ||
	       strcmp(l->meta.name, "virtualInbound") == 0 ||
	       (l->direction == MT_MESH_INBOUND && !l->bound);
}

/* All of its clusters lead to where the client wanted to go. */
static bool only_passes(const struct mt_build *b, const struct mt_mesh_chain *chain)
{
	for (uint32_t i = 0; i < chain->n_dests; i++)
		if (!chain->dests[i].cluster.s ||
			!mt_strmap_get(&b->mesh_build->original, chain->dests[i].cluster.s))
			return false;
	return !chain->proxy && chain->n_dests;
}

/* What the chain's extension says, or the chain itself; *serial: the extension's. */
static const struct mt_mesh_chain *body_of(
	struct mt_build *b, const struct mt_mesh_chain *chain, uint64_t *serial)
{
	const struct mt_mesh_extension *x = NULL;
	uint32_t at = MT_NO_CLUSTER;

	if (chain->extension)
		x = mt_mesh_find(b, MT_MESH_NAMED_EXTENSIONS, chain->extension, &at);
	*serial = x ? x->meta.serial : 0;
	return x ? &x->chain : chain;
}

static enum verdict judge(struct mt_build *b, const struct mt_mesh_chain *chain)
{
	const struct mt_mesh_match *m = &chain->match;
	const struct mt_mesh_chain *body;
	uint64_t serial;

	if (chain->tls || m->n_server_names || m->n_alpn ||
		(m->transport && strcmp(m->transport, "raw_buffer") != 0 && *m->transport))
		return BY_TLS;
	body = body_of(b, chain, &serial);
	if (chain->unserved || body->unserved || (!body->proxy && !body->n_dests))
		return UNSERVED;
	return only_passes(b, body) ? PASSING : SERVES;
}

/* How closely it matches: the port first, then the longest prefix, as Envoy does; -1: not at all. */
static int closeness(const struct mt_mesh_match *m, const struct mt_mesh_address *a)
{
	int best = m->n_prefixes ? -1 : 0;

	if (m->port && m->port != a->port)
		return -1;
	for (uint32_t i = 0; i < m->n_prefixes; i++)
		if (mt_prefix_contains(&m->prefixes[i].addr, m->prefixes[i].bits, &a->addr))
			best = MT_MAX(best, m->prefixes[i].bits + 1);
	return best < 0 ? -1 : best + (m->port ? 1000 : 0);
}

struct choice {
	enum verdict verdict;		  /* of the closest chain that is for all that come to it */
	const struct mt_mesh_chain *body; /* its filters */
	uint64_t serial;		  /* of the extension that says them */
	uint32_t at;
	uint32_t n_refused; /* chains whose connections are refused beside it */
	const char *words;  /* why it is not served, of the source's own; NULL: none */
};

static void take(struct choice *c, struct mt_build *b, const struct mt_mesh_chain *chain,
	uint32_t at, enum verdict v)
{
	c->verdict = v;
	c->at = at;
	c->body = body_of(b, chain, &c->serial);
	c->words = chain->unserved ? chain->unserved : c->body->unserved;
}

/* As Envoy: the closest one takes the connection, whether it can be served or not. */
static void closest(
	struct mt_build *b, const struct mt_mesh_listener *l, bool by_client, struct choice *c)
{
	int best = -1;

	for (uint32_t i = 0; i < l->n_chains; i++) {
		const struct mt_mesh_match *m = &l->chains[i].match;
		int close = closeness(m, &l->addresses[0]);
		enum verdict v;

		if (close <= best || (m->n_sources != 0) != by_client)
			continue;
		v = judge(b, &l->chains[i]);
		if (v == BY_TLS)
			continue;
		best = close;
		take(c, b, &l->chains[i], i, v);
	}
}

/* Of those that are for every client first; who asks for TLS is never the one. */
static struct choice choose(struct mt_build *b, const struct mt_mesh_listener *l)
{
	struct choice c = {.verdict = NO_MATCH};
	enum verdict v;

	closest(b, l, false, &c);
	if (c.verdict == NO_MATCH && l->fallback) {
		v = judge(b, l->fallback);
		if (v != BY_TLS)
			take(&c, b, l->fallback, l->n_chains, v);
	}
	if (c.verdict == NO_MATCH)
		closest(b, l, true, &c);
	for (uint32_t i = 0; i < l->n_chains && c.verdict == NO_MATCH; i++)
		if (closeness(&l->chains[i].match, &l->addresses[0]) >= 0)
			c.verdict = BY_TLS;
	if (c.verdict == NO_MATCH && l->fallback)
		c.verdict = BY_TLS;
	c.n_refused = l->n_chains + (l->fallback != NULL) - 1;
	return c;
}

/* ---- addresses ---------------------------------------------------------------------------------- */

/* Why the listener cannot be at the address, in buf or for good; NULL: it can. */
static const char *not_there(struct mt_build *b, const struct mt_mesh_address *at, const char *text,
	char *buf, size_t size)
{
	const char *why = at->port ? NULL : "it has no port";
	const struct mt_listen *other = mt_b_listen_at(b, text);
	char addr[MT_ADDR_STRLEN], line[16] = "";

	if (!why && !mt_addr_is_zero(&at->addr))
		why = mt_b_not_servable(b, &at->addr);
	if (why) {
		snprintf(buf, size, "%s cannot be served: %s",
			mt_addr_port_str(&at->addr, at->port, addr), why);
		return buf;
	}
	if (!other)
		return NULL;
	if (other->origin.line)
		snprintf(line, sizeof(line), ":%u", other->origin.line);
	snprintf(buf, size, "%s is in use by %.128s of %s%s", text, mt_b_listen_name(other),
		other->origin.file ? other->origin.file : "?", line);
	return buf;
}

/* All of its chains, of which one serves; the default one is `last`. In b->tmp; NULL: no memory. */
static struct mt_listen_chain *said_chains(
	struct mt_build *b, const struct mt_mesh_listener *ml, const struct mt_shared_service *sv)
{
	uint32_t n = ml->n_chains + (ml->fallback != NULL);
	struct mt_listen_chain *v = mt_region_alloc(&b->tmp, sizeof(*v) * n);
	struct mt_service_slot **services = mt_region_alloc(&b->tmp, sizeof(*services));
	struct mt_service_slot *of = mt_region_alloc(&b->tmp, sizeof(*of));

	if (!v || !services || !of)
		return NULL;
	*services = of;
	*of = (struct mt_service_slot){
		.unique = sv->name, .name = sv->s->name, .key = sv->s->key, .s = sv->s};
	for (uint32_t i = 0; i < n; i++) {
		/* A default chain takes what is left, whatever it says itself. */
		v[i].match = i < ml->n_chains ? &ml->chains[i].match : NULL;
		v[i].refuse = not_served;
	}
	v[sv->chain] = (struct mt_listen_chain){.match = v[sv->chain].match,
		.codec = sv->codec,
		.opts = sv->opts,
		.idle_s = sv->idle_s,
		.services = services,
		.n_services = 1};
	return v;
}

static int listen_at(struct mt_build *b, const struct mt_mesh_listener *ml,
	const struct mt_shared_service *sv, const struct mt_mesh_address *at, const char *text,
	struct mt_listen_chain *chains)
{
	struct mt_listen *l = mt_b_listen(b, &at->addr, at->port, text);

	if (!l)
		return -ENOMEM;
	l->discovered = true;
	l->origin = (struct mt_origin){sv->s->file, 0};
	l->chains = chains;
	l->n_chains = ml->n_chains;
	l->fallback = ml->fallback != NULL;
	l->last = l->fallback ? &chains[ml->n_chains] : NULL;
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void tell_none(struct mt_build *b, const struct mt_mesh_listener *l, const struct choice *c)
{
	if (c->verdict == PASSING)
		mt_mesh_passing(b, &l->meta);
	else
		mt_diag_resource(b->diags, MT_DIAG_NOT_SERVED, &l->meta, "filter_chains", NULL,
			"%s", c->words ? c->words : why_not[c->verdict]);
}

static void tell_some(struct mt_build *b, const struct mt_mesh_listener *l, uint32_t n_refused)
{
	if (n_refused)
		mt_diag_resource(b->diags, MT_DIAG_WARNING, &l->meta, "filter_chains", NULL,
			"one of its filter chains is served; connections that the %u others are "
			"for "
			"are refused",
			n_refused);
}

/* The listener's addresses that nobody else has. *n: how many; none at all is the listener's fault. */
static int serve(struct mt_build *b, const struct mt_mesh_listener *l, struct mt_shared_service *sv,
	uint32_t *n)
{
	struct mt_listen_chain *chains = said_chains(b, l, sv);
	char words[320], first[320] = "";

	if (!chains)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_addresses; i++) {
		struct mt_mesh_address at = {
			mt_mesh_any_or_same(&l->addresses[i].addr), l->addresses[i].port};
		const char *why = not_there(b, &at, sv->texts[i], words, sizeof(words));

		if (why && !*first)
			memcpy(first, words, sizeof(first));
		if (why)
			continue;
		if (listen_at(b, l, sv, &at, sv->texts[i], chains))
			return -ENOMEM;
		(*n)++;
	}
	if (*first)
		mt_diag_resource(b->diags, *n ? MT_DIAG_WARNING : MT_DIAG_LEFT_OUT, &l->meta,
			"address", "give it an address and port that nobody has", "%s", first);
	return 0;
}

static int add_listener(struct mt_build *b, const struct mt_mesh_listener *l, uint32_t at,
	struct mt_shared_service *same)
{
	struct mt_shared_service *sv;
	struct choice c;
	uint32_t n = 0;
	int rc;

	if (is_redirected(l)) {
		mt_mesh_passing(b, &l->meta);
		return 0;
	}
	c = l->n_addresses ? choose(b, l) : (struct choice){.verdict = NO_MATCH};
	if (c.verdict != SERVES) {
		tell_none(b, l, &c);
		return 0;
	}
	sv = mt_mesh_service_get(b, l, c.body, c.at, c.serial, same);
	if (!sv)
		return b->tmp.failed ? -ENOMEM : 0;
	tell_some(b, l, c.n_refused);
	rc = serve(b, l, sv, &n);
	/* The snapshot's also when no address of it is served: it need not be made again. */
	sv->build = b->mesh_build->id;
	sv->n_served = n;
	sv->at = at;
	b->conf->mesh.last_services.v[at] = sv;
	b->snap->services[b->snap->n_services++] = sv;
	return rc;
}

/* The newest of its name; NULL: none. */
static struct mt_shared_service *newest_of(
	const struct mt_build *b, uint32_t at, const struct mt_mesh_listener *l)
{
	const struct mt_mesh_last *last = &b->conf->mesh.last_services;
	struct mt_shared_service *sv = at < last->n ? last->v[at] : NULL;

	if (sv && sv->serial && sv->serial == l->meta.serial)
		return sv;
	return mt_strmap_get(&b->conf->mesh.services, l->meta.name);
}

/* Whether the service was made from it, and is served. */
static bool is_served(const struct mt_shared_service *sv, const struct mt_mesh_listener *l)
{
	return sv && sv->serial && sv->serial == l->meta.serial && sv->n_served;
}

static int add_unique(struct mt_build *b, uint32_t at, const struct mt_mesh_listener *l,
	struct mt_shared_service *same)
{
	if (!same || same->build != b->mesh_build->id)
		return add_listener(b, l, at, same);
	/* Done already, with those that are served. */
	if (same->serial == l->meta.serial && same->at == at)
		return 0;
	mt_diag_resource(b->diags, MT_DIAG_LEFT_OUT, &l->meta, NULL,
		"give one of them another name", "another source has one of this name");
	return 0;
}

/* For so many more services. 0 or -ENOMEM. */
static int make_room(struct mt_build *b, uint32_t n)
{
	struct mt_snap *s = b->snap;
	struct mt_shared_service **all = mt_region_alloc(
		&s->region, sizeof(struct mt_shared_service *) * (s->n_services + n));

	if (!all)
		return -ENOMEM;
	if (s->n_services)
		memcpy(all, s->services, sizeof(*all) * s->n_services);
	s->services = all;
	return 0;
}

int mt_mesh_listeners(struct mt_build *b)
{
	const struct mt_objs *objs = &b->model->mesh_listeners;
	int rc = 0;

	if (make_room(b, objs->n) || !mt_mesh_last_resize(&b->conf->mesh.last_services, objs->n))
		return -ENOMEM;
	/* Who is served as it is keeps its addresses: another one's mistake does not take them away. */
	for (uint32_t i = 0; i < objs->n && rc == 0; i++) {
		struct mt_shared_service *same = newest_of(b, i, objs->v[i]);

		if (is_served(same, objs->v[i]))
			rc = add_unique(b, i, objs->v[i], same);
	}
	for (uint32_t i = 0; i < objs->n && rc == 0; i++)
		rc = add_unique(b, i, objs->v[i], newest_of(b, i, objs->v[i]));
	return rc;
}
