/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of discovery services: which of their addresses and filter chains are served. A chain that is not refuses its own
 * clients, and so does one that ends TLS with what is not here.
 */
#include "mt_conf_listener_priv.h"
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What can be said of a chain. */
enum verdict { SERVES, NO_MATCH, PASSING, UNSERVED, BY_TLS, UNENDED };

static const char not_served[] = "this filter chain of the listener is not served";

static const char *const why_not[] = {
	[NO_MATCH] = "no filter chain is for its address and port",
	[PASSING] = "it forwards redirected connections",
	[UNSERVED] = "its filter chain has no filter that can be served",
	[BY_TLS] = "its filter chain reads messages that come in TLS, and does not end that",
};

/* ---- chains ------------------------------------------------------------------------------------- */

/* The names that control planes give to the two listeners behind a redirecting kernel. */
static bool is_redirected(const struct mt_res_listener *l)
{
	return strcmp(l->meta.name, "virtualOutbound") == 0 ||
	       strcmp(l->meta.name, "virtualInbound") == 0 ||
	       (l->direction == MT_RES_INBOUND && !l->bound);
}

/* All of its clusters lead to where the client wanted to go. */
static bool only_passes(const struct mt_build *b, const struct mt_res_chain *chain)
{
	for (uint32_t i = 0; i < chain->n_dests; i++)
		if (!chain->dests[i].cluster.s ||
			!mt_strmap_get(&b->mesh_build->original, chain->dests[i].cluster.s))
			return false;
	return !chain->proxy && chain->n_dests;
}

/* What the chain's extension says, or the chain itself; *serial: the extension's. */
static const struct mt_res_chain *body_of(
	struct mt_build *b, const struct mt_res_chain *chain, uint64_t *serial)
{
	const struct mt_res_extension *x = NULL;
	uint32_t at = MT_NO_CLUSTER;

	if (chain->extension)
		x = mt_mesh_find(b, MT_RES_NAMED_EXTENSIONS, chain->extension, &at);
	*serial = x ? x->meta.serial : 0;
	return x ? &x->chain : chain;
}

static bool is_plain(const struct mt_res_match *m)
{
	return m->transport && strcmp(m->transport, "raw_buffer") == 0;
}

/* Whom it is for is known only when the client has said so in TLS. */
static bool asks_tls(const struct mt_res_match *m)
{
	return m->n_server_names || m->n_alpn || (m->transport && *m->transport && !is_plain(m));
}

/* TLS is passed through as bytes, by what it says in clear text, or ended with *end. */
static enum verdict judge(struct mt_build *b, const struct mt_res_chain *chain, bool by_tls,
	struct mt_tls_context **end, const struct mt_res_chain **body, uint64_t *serial)
{
	struct mt_err why;

	*body = body_of(b, chain, serial);
	*end = chain->tls ? mt_mesh_end(b, chain->tls, &why) : NULL;
	if (chain->tls && !*end)
		return UNENDED;
	if (chain->unserved || (*body)->unserved || (!(*body)->proxy && !(*body)->n_dests))
		return UNSERVED;
	if (by_tls && !*end && (*body)->proxy)
		return BY_TLS;
	return only_passes(b, *body) ? PASSING : SERVES;
}

/* A chain that asks for the port takes its connections from those that do not, even if it is for other addresses. */
#define PORT_ONLY 999

/* How closely it matches: the port first, then the longest prefix, as Envoy does; -1: not at all. */
static int closeness(const struct mt_res_match *m, const struct mt_res_address *a)
{
	int best = m->n_prefixes ? -1 : 0;

	if (m->port && m->port != a->port)
		return -1;
	for (uint32_t i = 0; i < m->n_prefixes; i++)
		if (mt_prefix_contains(&m->prefixes[i].addr, m->prefixes[i].bits, &a->addr))
			best = MT_MAX(best, m->prefixes[i].bits + 1);
	return m->port ? PORT_ONLY + 1 + best : best;
}

/* A chain of a listener; the default one is behind the others. */
struct judged {
	enum verdict verdict;
	bool reached;			 /* some connection may get it */
	const struct mt_res_chain *body; /* its filters */
	uint64_t serial;		 /* of the extension that says them */
	struct mt_shared_service *sv;	 /* NULL: it is not served */
	struct mt_tls_context *end;	 /* of TLS that it ends; NULL: none */
};

struct choice {
	struct judged *v, few[2]; /* `few`, where they are */
	uint32_t n, n_served;
	uint32_t
		first; /* the one that has the listener's name: of those that are served, if any is */
};

/* Criteria behind the destination's. */
static uint32_t count_criteria(const struct mt_res_match *m)
{
	return (m->n_sources != 0) + (m->n_server_names != 0) + (m->n_alpn != 0) +
	       (m->transport && *m->transport);
}

/*
 * As in Envoy only the closest chains are left for an address, and nothing goes back: of two that ask the same the first one gets
 * the connections, and the default chain gets none where one of the others asks for nothing more. Who asks for two things may
 * have fit the first of them only.
 */
static void reach(const struct mt_res_listener *l, const struct mt_res_address *a, struct judged *v)
{
	bool all = false, plain = false, narrow = false;
	int best = 0;

	for (uint32_t i = 0; i < l->n_chains; i++)
		best = MT_MAX(best, closeness(&l->chains[i].match, a));
	for (uint32_t i = 0; i < l->n_chains; i++) {
		const struct mt_res_match *m = &l->chains[i].match;
		uint32_t n = count_criteria(m);
		bool only_plain = n == 1 && is_plain(m);

		if (best == PORT_ONLY || closeness(m, a) != best)
			continue;
		narrow |= n > 1;
		if (is_plain(m) && asks_tls(m))
			continue;
		v[i].reached |= !(n == 0 && all) && !(only_plain && plain);
		all |= n == 0;
		plain |= only_plain;
	}
	if (l->fallback)
		v[l->n_chains].reached |= !all || narrow;
}

/* Who speaks for the listener, or says why it is not served: a chain for every client first, the default one, one for some, TLS. */
static uint32_t rank(
	const struct mt_res_listener *l, uint32_t i, const struct judged *c, bool by_tls)
{
	uint32_t served = c->verdict == SERVES ? 10 : 0;

	if (c->verdict == NO_MATCH)
		return 1;
	if (c->verdict == BY_TLS || c->verdict == UNENDED || by_tls)
		return served + 2;
	if (i == l->n_chains)
		return served + 4;
	return served + (l->chains[i].match.n_sources ? 3 : 5);
}

/* False: no memory. */
static bool choose(struct mt_build *b, const struct mt_res_listener *l, struct choice *c)
{
	uint32_t best = 0;

	*c = (struct choice){.v = c->few, .n = l->n_chains + (l->fallback != NULL)};
	if (c->n > MT_ARRAY_LEN(c->few))
		c->v = mt_region_alloc(&b->tmp, sizeof(*c->v) * c->n);
	for (uint32_t i = 0; c->v && i < l->n_addresses; i++)
		reach(l, &l->addresses[i], c->v);
	for (uint32_t i = 0; c->v && i < c->n; i++) {
		/* A default chain takes what is left, whatever it says itself. */
		const struct mt_res_chain *chain = i < l->n_chains ? &l->chains[i] : l->fallback;
		bool by_tls = i < l->n_chains && asks_tls(&chain->match);
		uint32_t r;

		c->v[i].verdict = c->v[i].reached ? judge(b, chain, by_tls, &c->v[i].end,
							    &c->v[i].body, &c->v[i].serial)
						  : NO_MATCH;
		c->n_served += c->v[i].verdict == SERVES;
		r = rank(l, i, &c->v[i], by_tls);
		if (r > best) {
			best = r;
			c->first = i;
		}
	}
	return c->v != NULL;
}

/* ---- addresses ---------------------------------------------------------------------------------- */

static bool is_same_source(const struct mt_res_listener *ml, const char *file)
{
	return file && ml->meta.origin.file && strcmp(file, ml->meta.origin.file) == 0;
}

/* True if a listener of the source has the address in the configuration in force. */
static bool is_there_now(
	const struct mt_build *b, const struct mt_res_listener *ml, const struct mt_res_address *at)
{
	const struct mt_snapshot *now = b->conf->current;
	const struct mt_listener *l = now ? mt_snapshot_listener(now, &at->addr, at->port) : NULL;

	return l && mt_addr_eq(&l->addr, &at->addr) &&
	       l - now->listeners >= mt_container_of(now, struct mt_snap, pub)->n_doc_listeners &&
	       is_same_source(ml, l->file);
}

/*
 * Returns the listener of documents, or of a source that comes first, that has the clients of the
 * address; NULL: none. A wider listener keeps them unless this source serves the address already.
 */
static const struct mt_listen *who_has(const struct mt_build *b, const struct mt_res_listener *ml,
	const struct mt_res_address *at, const char *text)
{
	const struct mt_listen *l = mt_b_listen_at(b, text);

	if (l)
		return l;
	l = mt_b_listen_wider(b, &at->addr, at->port);
	if (!l || (l->discovered && is_same_source(ml, l->origin.file)) || is_there_now(b, ml, at))
		return NULL;
	return l;
}

/* Why the listener cannot be at the address, in buf or for good; NULL: it can. */
static const char *not_there(struct mt_build *b, const struct mt_res_listener *ml,
	const struct mt_res_address *at, const char *text, char *buf, size_t size)
{
	const char *why = at->port ? NULL : "it has no port";
	const struct mt_listen *other = who_has(b, ml, at, text);
	char addr[MT_ADDR_STRLEN], line[16] = "", part[MT_ADDR_STRLEN + 32] = "";

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
	if (strcmp(text, other->text) != 0)
		snprintf(part, sizeof(part), "a part of %s, which is ", other->text);
	snprintf(buf, size, "%s is %sin use by %.128s of %s%s", text, part, mt_b_listen_name(other),
		other->origin.file ? other->origin.file : "?", line);
	return buf;
}

/* What serves a chain; false: no memory. */
static bool say_service(
	struct mt_build *b, const struct mt_shared_service *sv, struct mt_listen_chain *to)
{
	struct {
		struct mt_service_slot *list, of;
	} *s = mt_region_alloc(&b->tmp, sizeof(*s));

	if (!s)
		return false;
	s->list = &s->of;
	s->of = (struct mt_service_slot){
		.unique = sv->name, .name = sv->s->name, .key = sv->s->key, .s = sv->s};
	*to = (struct mt_listen_chain){.match = to->match,
		.tls = to->tls,
		.codec = sv->codec,
		.opts = sv->opts,
		.idle_s = sv->idle_s,
		.services = &s->list,
		.n_services = 1};
	return true;
}

/* All of its chains; the default one is the last. In b->tmp; NULL: no memory. */
static struct mt_listen_chain *say_chains(
	struct mt_build *b, const struct mt_res_listener *ml, const struct choice *c)
{
	struct mt_listen_chain *v = mt_region_alloc(&b->tmp, sizeof(*v) * c->n);

	for (uint32_t i = 0; v && i < c->n; i++) {
		v[i].match = i < ml->n_chains ? &ml->chains[i].match : NULL;
		v[i].tls = c->v[i].end;
		if (!c->v[i].sv)
			v[i].refuse = not_served;
		else if (!say_service(b, c->v[i].sv, &v[i]))
			return NULL;
	}
	return v;
}

static int listen_at(struct mt_build *b, const struct mt_res_listener *ml,
	const struct mt_shared_service *sv, const struct mt_res_address *at, const char *text,
	struct mt_listen_chain *chains)
{
	struct mt_listen *l = mt_b_listen_new(b, &at->addr, at->port, text);

	if (!l)
		return -ENOMEM;
	l->discovered = true;
	l->detect = ml->detect;
	l->log_scope = mt_b_refused_logs(&b->snap->region, ml);
	l->origin = (struct mt_origin){sv->s->file, 0};
	l->chains = chains;
	l->n_chains = ml->n_chains;
	l->fallback = ml->fallback != NULL;
	l->last = l->fallback ? &chains[ml->n_chains] : NULL;
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void tell_none(struct mt_build *b, const struct mt_res_listener *l, const struct choice *c)
{
	const struct judged *j = &c->v[c->first];
	const struct mt_res_chain *chain =
		c->first < l->n_chains ? &l->chains[c->first] : l->fallback;
	const char *words;
	struct mt_err why;

	if (j->verdict == UNENDED) {
		mt_mesh_end(b, chain->tls, &why);
		mt_diag_resource(b->diags, MT_DIAG_NOT_SERVED, &l->meta, "transport_socket", NULL,
			"TLS cannot be ended: %s", why.text);
		return;
	}
	if (j->verdict == PASSING) {
		mt_mesh_passing(b, &l->meta);
		return;
	}
	words = why_not[j->verdict];
	if (j->verdict == UNSERVED && chain->unserved)
		words = chain->unserved;
	else if (j->verdict == UNSERVED && j->body->unserved)
		words = j->body->unserved;
	mt_diag_resource(
		b->diags, MT_DIAG_NOT_SERVED, &l->meta, "filter_chains", NULL, "%s", words);
}

static void tell_some(struct mt_build *b, const struct mt_res_listener *l, const struct choice *c)
{
	char served[32] = "one of its filter chains is";

	if (c->n_served == c->n)
		return;
	if (c->n_served > 1)
		snprintf(served, sizeof(served), "%u filter chains are", c->n_served);
	mt_diag_resource(b->diags, MT_DIAG_WARNING, &l->meta, "filter_chains", NULL,
		"%s served; connections that the %u others are for are refused", served,
		c->n - c->n_served);
}

/* The listener's addresses that nobody else has. *n: how many; none at all is the listener's fault. */
static int serve(
	struct mt_build *b, const struct mt_res_listener *l, const struct choice *c, uint32_t *n)
{
	const struct mt_shared_service *sv = c->v[c->first].sv;
	struct mt_listen_chain *chains = say_chains(b, l, c);
	char words[320], first[320] = "";

	if (!chains)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_addresses; i++) {
		struct mt_res_address at = {
			mt_mesh_any_or_same(&l->addresses[i].addr), l->addresses[i].port};
		const char *why = not_there(b, l, &at, sv->texts[i], words, sizeof(words));

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
			"address", "give it a free address and port", "%s", first);
	return 0;
}

/* For so many services in all. 0 or -ENOMEM. */
static int make_room(struct mt_build *b, uint32_t n)
{
	struct mt_snap *s = b->snap;
	struct mt_shared_service **all =
		mt_region_alloc(&s->region, sizeof(struct mt_shared_service *) * n);

	if (!all)
		return -ENOMEM;
	if (s->n_services)
		memcpy(all, s->services, sizeof(*all) * s->n_services);
	s->services = all;
	b->mesh_build->services_room = n;
	return 0;
}

/* Found or made, of a chain that serves; the first one is the listener's by its name. NULL: it is told, or no memory. */
static struct mt_shared_service *service_of(struct mt_build *b, const struct mt_res_listener *l,
	const struct choice *c, uint32_t i, struct mt_shared_service *same)
{
	struct mt_mesh_serve serve = {.listener = l,
		.unique = l->meta.name,
		.body = c->v[i].body,
		.at = i,
		.extension = c->v[i].serial};
	uint32_t n = b->snap->n_services;
	struct mt_shared_service *sv;

	/* Most listeners have one, for which there is room. */
	if (n == b->mesh_build->services_room && make_room(b, n + n / 2 + 16))
		return NULL;
	if (i != c->first) {
		serve.unique = mt_region_printf(&b->tmp, "%s chain %u", l->meta.name, i);
		if (!serve.unique)
			return NULL;
		same = mt_strmap_get(&b->conf->shared.services, serve.unique);
	}
	sv = mt_mesh_service_get(b, &serve, same);
	if (!sv)
		return NULL;
	/* The snapshot's also when no address of it is served: it need not be made again. */
	sv->build = b->mesh_build->id;
	sv->n_served = 0;
	b->snap->services[b->snap->n_services++] = sv;
	return sv;
}

static int add_listener(struct mt_build *b, const struct mt_res_listener *l, uint32_t at,
	struct mt_shared_service *same)
{
	struct choice c;
	struct judged *first;
	uint32_t n = 0;
	int rc;

	if (is_redirected(l)) {
		mt_mesh_passing(b, &l->meta);
		return 0;
	}
	if (!choose(b, l, &c))
		return -ENOMEM;
	if (!c.n_served) {
		tell_none(b, l, &c);
		return 0;
	}
	first = &c.v[c.first];
	first->sv = service_of(b, l, &c, c.first, same);
	if (!first->sv)
		return b->tmp.failed ? -ENOMEM : 0;
	first->sv->at = at;
	b->conf->shared.last_services.v[at] = first->sv;
	for (uint32_t i = 0; i < c.n; i++) {
		if (c.v[i].verdict != SERVES || i == c.first)
			continue;
		c.v[i].sv = service_of(b, l, &c, i, NULL);
		if (!c.v[i].sv)
			return b->tmp.failed ? -ENOMEM : 0;
	}
	tell_some(b, l, &c);
	rc = serve(b, l, &c, &n);
	for (uint32_t i = 0; i < c.n; i++)
		if (c.v[i].sv)
			c.v[i].sv->n_served = n;
	return rc;
}

/* The newest of its name; NULL: none. */
static struct mt_shared_service *newest_of(
	const struct mt_build *b, uint32_t at, const struct mt_res_listener *l)
{
	const struct mt_shared_last *last = &b->conf->shared.last_services;
	struct mt_shared_service *sv = at < last->n ? last->v[at] : NULL;

	if (sv && sv->serial && sv->serial == l->meta.serial)
		return sv;
	return mt_strmap_get(&b->conf->shared.services, l->meta.name);
}

/* Whether the service was made from it, and is served. */
static bool is_served(const struct mt_shared_service *sv, const struct mt_res_listener *l)
{
	return sv && sv->serial && sv->serial == l->meta.serial && sv->n_served;
}

static int add_unique(struct mt_build *b, uint32_t at, const struct mt_res_listener *l,
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

int mt_mesh_listeners(struct mt_build *b)
{
	const struct mt_objs *objs = &b->model->res_listeners;
	int rc = 0;

	if (make_room(b, b->snap->n_services + objs->n) ||
		!mt_shared_last_resize(&b->conf->shared.last_services, objs->n))
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
