/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `explain`: shows how a message would be handled, without sending one. Listener, service, filters,
 * route and endpoint are found by the compiled lookups that workers use, on the current snapshot,
 * on this thread; nothing is matched by other code. Where workers choose at random, explain draws
 * DRAWS times and shows how often each endpoint is chosen.
 */
#include "explain.h"
#include "mt_ctl_events_priv.h"

#include "mt_authorize.h"
#include "mt_codec_registry.h"
#include "mt_lend.h"
#include "mt_tokens.h"
#include "mt_rand.h"
#include "mt_secure.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <strings.h>

#define DRAWS 8192
/* Rows of routes that do not match: the last ones before the matching route. */
#define ROUTES_MAX 64
#define ROWS_MAX   256 /* endpoint rows */
#define ALSO_MAX   8
#define POLICY_MAX 600

struct explain {
	struct mt_ctl *c;
	const struct mt_snapshot *snap;
	struct mt_said said;
	const struct mt_filter_chain_proto *proto; /* on the listener */
	const struct mt_codec *other; /* another protocol that has the service; NULL: none */
	const struct mt_service *service;
	bool unnamed; /* several services share the address; calls of this one probably name none */
	const struct mt_route_action *route;
	json_t *out;
	uint32_t n_led,
		n_denied,  /* endpoints that were drawn, and those of them that policies deny */
		n_limited; /* denied endpoints whose own rate limit is exceeded */
	bool over;	   /* the last evaluated endpoint is over its limit */
	char policy[POLICY_MAX]; /* the last policy that denied, in words */
};

static void end(struct explain *x, enum mt_local_reply reply, const char *why)
{
	char text[256];

	snprintf(
		text, sizeof(text), "answered by Meltemi: %s (%s)", mt_local_reply_str(reply), why);
	mt_json_set(x->out, MT_M("result", text));
}

/* ---- listener and service ------------------------------------------------------------------- */

/* The service that this message reaches there; NULL: none. */
static const struct mt_service *at(struct mt_said *s, const struct mt_filter_chain_proto *p)
{
	const struct mt_service *found;

	mt_said_use(s, p->codec);
	found = mt_filter_chain_proto_service(p, &s->view);
	/*
	 * A service that is alone at its address accepts every message, so compare its name if one
	 * was given.
	 */
	if (found && !p->service_key.name && s->service && strcasecmp(found->name, s->service) != 0)
		return NULL;
	return found;
}

/* The listener's first entry for this protocol (NULL: for any); NULL: there is none. */
static const struct mt_filter_chain_proto *proto_at(
	const struct mt_listener *l, const struct mt_codec *protocol)
{
	for (uint32_t i = 0; i < l->n_protos; i++)
		if (!protocol || mt_codec_same(l->protos[i].codec, protocol))
			return &l->protos[i];
	return NULL;
}

/*
 * Adds a listener's entry that has the service. If the node has an identity, an RPC port also
 * forwards TLS as opaque TCP, which is not how calls arrive.
 */
static void take(struct explain *x, const struct mt_filter_chain_proto *p, json_t *also)
{
	const struct mt_listener *l = p->chain->listener;
	char where[MT_ADDR_STRLEN];

	if (x->proto && p->codec->opaque && !x->proto->codec->opaque)
		return;
	if (!x->proto || (x->proto->codec->opaque && !p->codec->opaque))
		x->proto = p;
	else if (!mt_codec_same(p->codec, x->proto->codec))
		x->other = p->codec;
	else if (json_array_size(also) < ALSO_MAX)
		json_array_append_new(
			also, json_string(mt_addr_port_str(&l->addr, l->port, where)));
}

/* Searches all listeners by protocol (if one was given) and service, if no address was given. */
static void search(struct explain *x, json_t *also)
{
	for (uint32_t i = 0; i < x->snap->n_listeners; i++) {
		const struct mt_listener *l = &x->snap->listeners[i];

		for (uint32_t k = 0; k < l->n_protos; k++) {
			const struct mt_filter_chain_proto *p = &l->protos[k];
			bool wanted =
				!x->said.protocol || mt_codec_same(p->codec, x->said.protocol);

			if (wanted && proto_at(l, p->codec) == p && at(&x->said, p))
				take(x, p, also);
		}
	}
}

/* No listener is there: the port is forwarded, or closed, or nothing is. */
static json_t *nothing_at(const struct explain *x, const char *where)
{
	const struct mt_forward *f =
		mt_ctl_forward_at(x->snap, &x->said.listener, x->said.listener_port);
	const struct mt_cluster *c = f ? &x->snap->clusters[f->cluster] : NULL;
	const char *transport = f && f->protocol == IPPROTO_TCP ? "TCP" : "UDP";

	if (!f)
		return mt_ctl_error("nothing listens at %s: a connection to it is refused", where);
	if (c->closed_by)
		return mt_ctl_error("%s is a forwarded port of %s, closed by %s", where, transport,
			c->closed_by->by);
	return mt_ctl_error("%s is a forwarded port of %s: its packets go to one of the %u "
			    "endpoints of %s, and no message is read",
		where, transport, c->n_eps, c->name);
}

static json_t *find_listener(struct explain *x)
{
	struct mt_said *s = &x->said;
	const struct mt_listener *l;
	char where[MT_ADDR_STRLEN];
	json_t *also;

	if (s->has_listener) {
		mt_addr_port_str(&s->listener, s->listener_port, where);
		l = mt_snapshot_listener(x->snap, &s->listener, s->listener_port);
		if (!l || !l->n_protos)
			return nothing_at(x, where);
		x->proto = proto_at(l, s->protocol);
		return x->proto ? NULL
				: mt_ctl_error("the protocol at %s is %s, not %s", where,
					  l->protos[0].codec->name, s->protocol->name);
	}
	also = json_array();
	search(x, also);
	if (json_array_size(also))
		json_object_set(x->out, "also_at", also);
	json_decref(also);
	if (x->other)
		return mt_ctl_error(
			"the service %s has the protocols %s and %s: give protocol=NAME",
			s->service, x->proto->codec->name, x->other->name);
	if (x->proto)
		return NULL;
	if (!s->protocol)
		return mt_ctl_error(
			"no listener has the service %s; `show services` lists them", s->service);
	return mt_ctl_error(
		"no listener of protocol %s has the service %s; `show services` lists them",
		s->protocol->name, s->service ? s->service : "of such a message");
}

/* False: there is no such service, which ends the explanation. */
static bool find_service(struct explain *x)
{
	const struct mt_listener *l = x->proto->chain->listener;
	char where[MT_ADDR_STRLEN];

	mt_json_set(x->out, MT_M("listener", mt_addr_port_str(&l->addr, l->port, where)),
		MT_M("listener_origin", mt_json_origin(l->file, l->line)),
		MT_M("protocol", x->proto->codec->name));
	mt_said_use(&x->said, x->proto->codec);
	x->service = mt_filter_chain_proto_service(x->proto, &x->said.view);
	if (!x->service) {
		end(x, MT_REPLY_NO_ROUTE, "no such service at this address");
		return false;
	}
	x->unnamed = mt_codec_may_lack_service(x->proto->codec) && x->proto->service_key.name &&
		     strcasecmp(x->service->key, x->service->name) == 0;
	mt_json_set(x->out, MT_M("service", x->service->name),
		MT_M("service_origin", mt_json_origin(x->service->file, x->service->line)));
	return true;
}

/* ---- filters -------------------------------------------------------------------------------- */

static const char *verdict_str(enum mt_filter_verdict v)
{
	switch (v) {
	case MT_FILTER_REPLY:
		return "refuses";
	case MT_FILTER_SUSPEND:
		return "waits";
	default:
		return "passes";
	}
}

/* NULL: the client uses plaintext. */
static const struct mt_tls_peer *who(const struct explain *x)
{
	return x->said.by_tls ? &x->said.who : NULL;
}

/* The workload port to which the client's address is bound; NULL: the address is not bound. */
static const struct mt_bound *bound(const struct explain *x)
{
	return x->said.has_src ? mt_snapshot_bound_at(x->snap, &x->said.view.peer) : NULL;
}

static void tell_bound(struct explain *x)
{
	const struct mt_bound *b = bound(x);
	char text[512];

	if (!b)
		return;
	snprintf(text, sizeof(text), "by port %.31s: %.400s", mt_ctl_port_name(x->c, b->port),
		b->principal ? b->principal : b->why);
	mt_json_set(x->out, MT_M("caller", text));
}

/* False: a filter answers the message. */
static bool run_filters(struct explain *x)
{
	json_t *list = json_array();
	bool goes_on = true;

	for (uint32_t i = 0; goes_on && i < x->service->n_filter_insts; i++) {
		const struct mt_filter_inst *f = &x->service->filter_insts[i];
		struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

		if (f->type == &mt_gate_filter)
			mt_authorize_explain(f, &x->said.view, who(x), bound(x), time(NULL), &told);
		else if (f->type->explain)
			f->type->explain(f, &x->said.view, x->c->now, &told);
		mt_json_add(list, MT_M("filter", f->type->name),
			MT_M("verdict", verdict_str(told.verdict)),
			MT_M("origin", mt_json_origin(f->file, told.line ? told.line : f->line)),
			MT_M("reason", told.words));
		goes_on = told.verdict != MT_FILTER_REPLY;
		if (!goes_on)
			end(x, told.reply, f->type->name);
	}
	mt_json_set(x->out, MT_M("filters", list));
	return goes_on;
}

/* ---- routes --------------------------------------------------------------------------------- */

static void add_route(struct explain *x, json_t *list, uint32_t i, bool taken)
{
	const struct mt_route_action *a = mt_route_at(x->service->routes, i);
	char why[512] = "every condition holds";

	if (!taken)
		mt_route_why_not(x->service->routes, i, &x->said.view, why, sizeof(why));
	mt_json_add(list, MT_M("place", i), MT_M("route", a->name),
		MT_M("verdict", taken ? "taken" : "does not match"), MT_M("match", a->match),
		MT_M("origin", mt_json_origin(a->file, a->line)), MT_M("reason", why));
}

/* False: none matches. */
static bool find_route(struct explain *x)
{
	uint32_t n = mt_route_count(x->service->routes), idx = n;
	json_t *list = json_array();

	x->route = mt_route_lookup(x->service->routes, &x->said.view, &idx);
	idx = x->route ? idx : n;
	if (idx > ROUTES_MAX)
		mt_json_set(x->out, MT_M("routes_before_these", idx - ROUTES_MAX));
	for (uint32_t i = idx > ROUTES_MAX ? idx - ROUTES_MAX : 0; i < idx; i++)
		add_route(x, list, i, false);
	if (x->route)
		add_route(x, list, idx, true);
	mt_json_set(x->out, MT_M("routes", list));
	if (!x->route)
		end(x, MT_REPLY_NO_ROUTE, "no route matches");
	return x->route != NULL;
}

static const char *cluster_name(const struct explain *x, uint32_t i)
{
	return i < x->snap->n_clusters ? x->snap->clusters[i].name : "a cluster that is not known";
}

static void add_changes(
	struct explain *x, const char *name, const struct mt_mutation *m, uint32_t n)
{
	char text[1024];

	if (!n)
		return;
	mt_mutations_str(m, n, text, sizeof(text));
	mt_json_set(x->out, MT_M(name, text));
}

static void add_timeout(struct explain *x)
{
	uint32_t ms = mt_snapshot_timeout(x->route, x->service);
	const struct mt_snapshot *s = x->snap;
	char text[512];

	if (ms)
		snprintf(text, sizeof(text), "%u ms, of the %s", ms,
			x->route->timeout_ms ? "route" : "service");
	else if (s->timeout_ms)
		snprintf(text, sizeof(text),
			"the caller's own if it carries one, else %u ms, spec.defaults.timeout of "
			"the Node, %.300s:%u",
			s->timeout_ms, s->timeout_file ? s->timeout_file : "", s->timeout_line);
	else
		snprintf(text, sizeof(text), "the caller's own if it carries one, else 5 minutes");
	mt_json_set(x->out, MT_M("timeout", text));
}

static void add_retries(struct explain *x, const struct mt_retry *r)
{
	char text[300], time[60] = "", on[MT_RETRY_TEXT];

	if (!r) {
		mt_json_set(x->out,
			MT_M("retries", "only while it is certain that no server has read it"));
		return;
	}
	if (!r->attempts) {
		snprintf(text, sizeof(text),
			"only while it is certain that no server has read it; an attempt lasts at "
			"most %u ms",
			r->try_ms);
		mt_json_set(x->out, MT_M("retries", text));
		return;
	}
	if (r->try_ms)
		snprintf(time, sizeof(time), ", each at most %u ms", r->try_ms);
	snprintf(text, sizeof(text),
		"up to %u further attempts%s, by policy: %s; and others while it is certain "
		"that no server has read it",
		r->attempts, time, mt_retry_text(r->on, " ", on));
	mt_json_set(x->out, MT_M("retries", text));
}

static void add_mirrors(struct explain *x, const struct mt_route_action *a)
{
	struct mt_text_buf text = {0};

	for (uint32_t i = 0; i < a->n_mirrors; i++)
		mt_text_add(&text, "%s%g %% are copied to %s", i ? ", " : "",
			a->mirrors[i].ppm / 10000.0, cluster_name(x, a->mirrors[i].cluster));
	if (a->n_mirrors)
		mt_json_set(x->out, MT_M("mirror", text.p ? text.p : ""));
	mt_text_fini(&text);
}

/* Shows what the route does besides choosing a destination. */
static void tell_route(struct explain *x)
{
	const struct mt_route_action *a = x->route;

	add_timeout(x);
	add_retries(x, a->retry);
	add_changes(x, "request_changes", a->req_mut, a->n_req_mut);
	add_changes(x, "reply_changes", a->rsp_mut, a->n_rsp_mut);
	add_mirrors(x, a);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

/* Number of draws per endpoint of one destination's cluster. */
struct tally {
	const struct mt_cluster
		*cluster; /* NULL: unknown, or counted with an earlier destination */
	uint32_t *eps;	  /* by index in the cluster */
	uint32_t none;	  /* draws without an endpoint, or without a cluster */
	bool unlent;	  /* the client may use no identity that the endpoints accept */
};

static struct tally *tally_of(const struct mt_route_action *a, struct tally *t, uint32_t cluster)
{
	uint32_t i = 0;

	/* The cluster is one of the destinations. */
	while (a->dests[i].cluster != cluster)
		i++;
	return &t[i];
}

static void draw(struct explain *x, struct tally *tallies)
{
	struct mt_lb_worker lb = {0};
	struct mt_rand rng;

	mt_rand_seed(&rng, 1);
	for (uint32_t i = 0; i < DRAWS; i++) {
		uint64_t rnd = mt_rand_u64(&rng);
		uint32_t at = mt_route_pick(x->route, rnd);
		struct tally *t = tally_of(x->route, tallies, at);
		int ep = -1;

		if (t->cluster)
			ep = mt_cluster_pick_by(
				t->cluster, &lb, &x->said.view, &x->route->hash, rnd, x->c->now, 0);
		if (ep < 0)
			t->none++;
		else
			t->eps[ep]++;
	}
}

static const char *state_of(const struct explain *x, const struct mt_cluster *cl, uint32_t i)
{
	const struct mt_ep_state *e = cl->eps[i].state;
	uint8_t drains = __atomic_load_n(&e->draining, __ATOMIC_RELAXED);
	enum mt_ctl_ejection out = mt_ctl_ejection(e, x->c->now);

	if (out == MT_CTL_NOT_EJECTED && mt_cluster_usable(cl, i, x->c->now))
		return "ok";
	if (drains)
		return drains == MT_EP_DRAIN_NO_ROUTE ? "no route" : "draining";
	if (out != MT_CTL_NOT_EJECTED)
		return out == MT_CTL_EJECTED ? "ejected" : "trial";
	return "leaving";
}

static json_t *endpoint_row(
	const char *cluster, const char *balancer, const char *endpoint, uint32_t draws)
{
	return mt_json_object(MT_M("cluster", cluster), MT_M("balancer", balancer),
		MT_M("endpoint", endpoint), MT_M("percent", 100.0 * draws / DRAWS));
}

/* The row for draws without an endpoint. */
static json_t *without(const char *cluster, const char *balancer, uint32_t draws)
{
	json_t *row = endpoint_row(cluster, balancer, "none", draws);

	mt_render_absent(row, "weight health policy");
	return row;
}

/* True if the endpoint's rate limit refuses the message; `words`: what the limit reports. */
static bool is_over(struct explain *x, const struct mt_filter_inst *limit, char words[POLICY_MAX])
{
	struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

	limit->type->explain(limit, &x->said.view, x->c->now, &told);
	snprintf(words, POLICY_MAX, "%s", told.words);
	return told.verdict == MT_FILTER_REPLY;
}

/* True if policies deny the message at this endpoint; `words`: the reason, "" if there is none. */
static bool judge(
	struct explain *x, const struct mt_cluster *cl, uint32_t i, char words[POLICY_MAX])
{
	static struct mt_authorize_scratch scratch; /* used by the control thread only */
	bool opaque = x->proto->codec->opaque;
	/* The gateway's authorization; for calls run_filters() has evaluated it already. */
	const struct mt_gate_guard *gate = opaque && x->service ? x->service->gate : NULL;
	struct mt_authorize_request ask = {.v = opaque ? NULL : &x->said.view,
		.peer = x->said.view.peer,
		.who = who(x),
		.bound = bound(x),
		.cluster = cl,
		.ep = &cl->eps[i],
		.gate = gate,
		.service = x->service,
		.scratch = &scratch,
		.whole = true};
	enum mt_authz_effect e = MT_AUTHZ_ALLOWED;
	const struct mt_authz_policy *by = NULL;

	if (gate)
		e = mt_authorize_at_gateway(&ask, &by);
	words[0] = '\0';
	x->over = false;
	if (e == MT_AUTHZ_ALLOWED && cl->eps[i].guarded && cl->guards[i]->tokens) {
		const char *why =
			mt_tokens_explain(&ask, cl->guards[i]->tokens, time(NULL), &ask.claims);

		if (why)
			snprintf(words, POLICY_MAX, "unauthenticated: %s", why);
		if (why)
			return true;
	}
	if (e == MT_AUTHZ_ALLOWED && cl->eps[i].guarded)
		e = mt_authorize_at_endpoint(&ask, &by);
	if (e != MT_AUTHZ_ALLOWED)
		snprintf(words, POLICY_MAX, "%s %s", mt_authorize_effect_str(e), mt_authz_by(by));
	if (e != MT_AUTHZ_ALLOWED || !cl->eps[i].guarded || !cl->guards[i]->limit)
		return e != MT_AUTHZ_ALLOWED;
	x->over = is_over(x, cl->guards[i]->limit, words);
	return x->over;
}

/* Sets the result if policies deny all endpoints, or a note if they deny some. */
static void tell_denied(struct explain *x)
{
	if (x->n_denied == x->n_led && x->n_denied)
		end(x, x->n_limited == x->n_denied ? MT_REPLY_OVER_LIMIT : MT_REPLY_DENIED,
			x->policy);
	else if (x->n_denied)
		mt_json_set(
			x->out, MT_M("note", "policies deny it where some endpoints are chosen"));
}

static void add_cluster(struct explain *x, json_t *list, const struct tally *t)
{
	const struct mt_cluster *cl = t->cluster;
	char balancer[64], name[MT_ADDR_STRLEN], policy[POLICY_MAX];

	snprintf(balancer, sizeof(balancer), "%s%s", mt_lb_str(cl->lb),
		mt_cluster_hashes(cl, &x->route->hash) ? " of the message" : "");
	for (uint32_t i = 0; i < cl->n_eps && json_array_size(list) < ROWS_MAX; i++) {
		json_t *row = endpoint_row(
			cl->name, balancer, mt_endpoint_name(&cl->eps[i], name), t->eps[i]);

		mt_json_set(
			row, MT_M("weight", cl->eps[i].weight), MT_M("health", state_of(x, cl, i)));
		x->n_led += t->eps[i] != 0;
		if (judge(x, cl, i, policy) && t->eps[i]) {
			x->n_denied++;
			x->n_limited += x->over;
			snprintf(x->policy, sizeof(x->policy), "%s", policy);
		}
		mt_json_set(row, MT_M("policy", policy));
		json_array_append_new(list, row);
	}
	if (t->none || cl->n_eps == 0)
		json_array_append_new(list, without(cl->name, balancer, t->none));
	if (cl->closed_by) {
		snprintf(x->policy, sizeof(x->policy), "closed by %s", cl->closed_by->by);
		x->n_led++;
		x->n_denied++;
	}
}

/*
 * The part of the cluster that the client may reach, and by which identity; NULL: none. If no
 * client was given: that which some client may reach.
 */
static const struct mt_cluster *reached(struct explain *x, const struct mt_cluster *c)
{
	const struct mt_bound *b = bound(x);
	struct mt_slice name =
		x->said.by_tls ? mt_secure_principal(&x->said.who) : (struct mt_slice){0};
	char text[512] = "none: the Node's spec.mesh.nodeIdentityUse does not name this client for "
			 "this service";
	bool gateway = x->service && x->service->gateway, known = x->said.has_src || name.p;
	int shows;

	/* Without a client: some may use the node's identity, unless the Node lists none. */
	if (!c->lend || (!known && (gateway || !mt_cluster_need_lend(c))))
		return c;
	if (!known)
		snprintf(text, sizeof(text),
			"none: the Node's spec.mesh.nodeIdentityUse names no client for this "
			"service");
	if (!name.p && b && b->principal)
		name = (struct mt_slice){
			(const uint8_t *)b->principal, (uint32_t)strlen(b->principal)};
	shows = mt_cluster_shows(c, &x->said.view.peer, name, gateway);
	if (shows == 0)
		snprintf(text, sizeof(text), "the node's own");
	else if (shows > 0)
		snprintf(text, sizeof(text), MT_SPIFFE "%.*s", (int)name.len, name.p);
	mt_json_set(x->out, MT_M("identity", text));
	return shows < 0 ? c->unlent : c;
}

/* False: no memory. */
static bool prepare(struct explain *x, struct tally *t)
{
	const struct mt_route_action *a = x->route;

	for (uint32_t i = 0; i < a->n_dests; i++) {
		uint32_t at = a->dests[i].cluster;

		if (at >= x->snap->n_clusters || tally_of(a, t, at) != &t[i])
			continue;
		t[i].cluster = reached(x, &x->snap->clusters[at]);
		t[i].unlent = !t[i].cluster;
		if (t[i].unlent)
			continue;
		t[i].eps = calloc(t[i].cluster->n_eps + 1, sizeof(*t[i].eps));
		if (!t[i].eps)
			return false;
	}
	return true;
}

static void tell_unlent(struct explain *x, json_t *list, const struct mt_cluster *c, uint32_t draws)
{
	json_array_append_new(list, without(c->name, mt_lb_str(c->lb), draws));
	snprintf(x->policy, sizeof(x->policy), "the client may not use an identity of this node");
	x->n_led++;
	x->n_denied++;
}

static void add_endpoints(struct explain *x)
{
	uint32_t n = x->route->n_dests;
	struct tally *t = calloc(n, sizeof(*t));
	json_t *list = json_array();

	if (t && prepare(x, t)) {
		draw(x, t);
		for (uint32_t i = 0; i < n; i++) {
			if (t[i].cluster)
				add_cluster(x, list, &t[i]);
			else if (t[i].none && t[i].unlent)
				tell_unlent(x, list, &x->snap->clusters[x->route->dests[i].cluster],
					t[i].none);
			else if (t[i].none)
				json_array_append_new(list, without("not known", "", t[i].none));
		}
	}
	mt_json_set(x->out, MT_M("endpoints", list));
	for (uint32_t i = 0; t && i < n; i++)
		free(t[i].eps);
	free(t);
}

static void tell_endpoints(struct explain *x)
{
	if (x->route->n_dests == 0) {
		end(x, MT_REPLY_NO_CLUSTER, "route without destination");
		return;
	}
	mt_json_set(x->out,
		MT_M("result", x->unnamed ? "sent to an endpoint, by the shares below, if it names "
					    "the service; a call that names none gets no_route, "
					    "because the address has several services"
					  : "sent to an endpoint, by the shares below"));
	add_endpoints(x);
	tell_denied(x);
	if (x->route->hash.source && !x->said.has_src)
		mt_json_set(x->out, MT_M("note", "the client's address decides: give src=ADDRESS"));
}

/* ---- opaque TCP ----------------------------------------------------------------------------- */

/* Opaque TCP has no messages: shows only where the connection goes. */
static void tell_bytes(struct explain *x)
{
	const struct mt_service *s = x->service;
	struct mt_route_dest one = {s->tcp_cluster, 1};
	struct mt_route_action a = {.name = "tcp", .dests = &one, .n_dests = 1, .total_weight = 1};

	if (s->n_tcp_dests) {
		a.dests = s->tcp_dests;
		a.n_dests = s->n_tcp_dests;
		a.total_weight = s->tcp_total_weight;
	}
	x->route = &a;
	tell_endpoints(x);
	x->route = NULL;
}

static json_t *explain(struct explain *x)
{
	json_t *error = find_listener(x);

	if (error)
		return error;
	/* Set first, so that it is shown first; later steps may replace it. */
	mt_json_set(x->out, MT_M("result", ""));
	tell_bound(x);
	if (!find_service(x) || !run_filters(x))
		return NULL;
	if (x->proto->codec->opaque) {
		tell_bytes(x);
		return NULL;
	}
	if (!find_route(x))
		return NULL;
	tell_route(x);
	tell_endpoints(x);
	return NULL;
}

json_t *mt_run_explain(struct mt_ctl *c, const struct mt_request *r)
{
	struct explain x = {.c = c, .snap = mt_ctl_snapshot(c)};
	struct mt_err e = {""};
	json_t *error;

	if (mt_said_parse(&x.said, mt_ctl_codecs(c), r->args, r->n_args, &e))
		return mt_ctl_error("%s", e.text);
	if (!x.snap)
		return mt_ctl_error("there is no configuration yet");
	x.out = json_object();
	error = explain(&x);
	mt_render_absent(x.out,
		"caller also_at listener listener_origin protocol service service_origin "
		"filters routes_before_these routes timeout "
		"retries request_changes reply_changes mirror identity endpoints note");
	if (!error)
		return x.out;
	json_decref(x.out);
	return error;
}
