/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where calls go: services, the clusters that their routes name, and the endpoints of these. A node
 * may have thousands, but a screen shows some tens: first the services that failed recently, then
 * the most called ones. "Recently" starts 10 to 20 s ago; the counts of that moment are kept only
 * while clients query.
 *
 * Ports that are forwarded at layer 4 are a list of their own: those that forward nothing first,
 * then those with the most packets.
 */
#include "mt_ctl_forwarding_priv.h"
#include "mt_ctl_waiting_priv.h"

#include <stdio.h>
#include <string.h>

#define SERVICES     30
#define FORWARDED    30
#define CLUSTERS     8	  /* per service */
#define ENDPOINTS    8	  /* per cluster */
#define LOOKED_AT    1024 /* endpoints per cluster that are summed up */
#define LATELY_NS    (10 * MT_SEC)
#define ALL_CLUSTERS (SERVICES * CLUSTERS + FORWARDED)

struct pick {
	const struct mt_filter_chain_proto *p;
	const struct mt_service *s;
	struct mt_lately_count now, lately;
};

struct picked_forward {
	const struct mt_forward *f;
	struct mt_l4_stats stats;
	bool stopped; /* it forwards nothing: it is closed, or has no endpoints */
};

struct topology {
	struct mt_ctl *c;
	const struct mt_snapshot *snap;
	bool buckets;
	const char *text;	    /* part of the service names to find; "": all */
	bool keep;		    /* store the counts for later calls */
	uint32_t n_all, n_match, n; /* services: total, matching `text`, picked */
	struct mt_lately_count sum; /* of all services, each once */
	struct pick picks[SERVICES];
	uint32_t n_clusters, clusters[ALL_CLUSTERS]; /* indices in snap */
	json_t *links;
	uint32_t n_forwarded_all, n_forwarded; /* ports that match `text`; picked ones */
	struct picked_forward forwarded[FORWARDED];
};

static struct mt_lately_count count_of(const struct mt_ctl *c, const struct mt_service *s)
{
	struct mt_service_stats st;

	if (!mt_ctl_service_stats(c, s->index, s->id, &st))
		return (struct mt_lately_count){0};
	return (struct mt_lately_count){.requests = st.requests,
		.failures = st.app_error + st.proto_error + mt_service_local_replies(&st) +
			    st.client_left + st.cut_off,
		.opaque_bytes = s->routes ? 0 : st.bytes_in + st.bytes_out};
}

/* ---- recent counts -------------------------------------------------------------------------- */

/* Makes room for the counts of `index`; false: no memory. */
static bool lately_grow(struct mt_lately *l, uint32_t index)
{
	uint32_t n = MT_MAX(index + 1, 2 * l->n);
	struct mt_lately_count *before = realloc(l->before, n * sizeof(*before)), *last;

	if (before)
		l->before = before;
	last = before ? realloc(l->last, n * sizeof(*last)) : NULL;
	if (!last)
		return false;
	l->last = last;
	memset(l->before + l->n, 0, (n - l->n) * sizeof(*before));
	memset(l->last + l->n, 0, (n - l->n) * sizeof(*last));
	l->n = n;
	return true;
}

static struct mt_lately_count since(
	const struct mt_lately *l, uint32_t index, struct mt_lately_count now)
{
	if (index < l->n) {
		now.requests -= MT_MIN(now.requests, l->before[index].requests);
		now.failures -= MT_MIN(now.failures, l->before[index].failures);
		now.opaque_bytes -= MT_MIN(now.opaque_bytes, l->before[index].opaque_bytes);
	}
	return now;
}

/* True if the counts of this query are to be stored. */
static bool lately_step(struct mt_ctl *c)
{
	struct mt_lately *l = &c->lately;

	if (l->last && c->now - l->at < LATELY_NS)
		return false;
	if (l->last)
		memcpy(l->before, l->last, l->n * sizeof(*l->last));
	l->at = c->now;
	return true;
}

void mt_topology_fini(struct mt_ctl *c)
{
	free(c->lately.before);
	free(c->lately.last);
}

/* ---- which services ------------------------------------------------------------------------- */

/* A KiB of opaque TCP, which has no calls, counts like a call. */
static uint64_t traffic(const struct mt_lately_count *n)
{
	return n->requests + n->opaque_bytes / 1024;
}

static bool before(const struct pick *a, const struct pick *b)
{
	if (a->lately.failures != b->lately.failures)
		return a->lately.failures > b->lately.failures;
	if (traffic(&a->lately) != traffic(&b->lately))
		return traffic(&a->lately) > traffic(&b->lately);
	return traffic(&a->now) > traffic(&b->now);
}

/* Keeps the best SERVICES of all candidates, in order. */
static void take(struct topology *t, const struct pick *p)
{
	uint32_t i = t->n;

	if (t->n == SERVICES && !before(p, &t->picks[SERVICES - 1]))
		return;
	if (t->n == SERVICES)
		i--;
	else
		t->n++;
	for (; i > 0 && before(p, &t->picks[i - 1]); i--)
		t->picks[i] = t->picks[i - 1];
	t->picks[i] = *p;
}

static void look_at(
	void *arg, const struct mt_filter_chain_proto *proto, const struct mt_service *s)
{
	struct topology *t = arg;
	struct mt_lately *lately = &t->c->lately;
	struct pick p = {proto, s, count_of(t->c, s), {0}};

	if (t->keep && (s->index < lately->n || lately_grow(lately, s->index)))
		lately->last[s->index] = p.now;
	p.lately = since(lately, s->index, p.now);
	t->n_all++;
	if (*t->text && !strcasestr(s->name, t->text))
		return;
	t->n_match++;
	take(t, &p);
}

static void choose(struct topology *t)
{
	t->keep = lately_step(t->c);
	mt_ctl_each_service(t->snap, look_at, t);
	/* A host on two addresses is one service with one set of counters. */
	for (uint32_t i = 0; i < t->snap->n_services; i++) {
		struct mt_lately_count one = count_of(t->c, t->snap->services[i]);

		t->sum.requests += one.requests;
		t->sum.failures += one.failures;
		t->sum.opaque_bytes += one.opaque_bytes;
	}
}

/* ---- which forwarded ports ------------------------------------------------------------------ */

static uint64_t packets_of(const struct picked_forward *p)
{
	return p->stats.packets[0] + p->stats.packets[1];
}

static bool is_before(const struct picked_forward *a, const struct picked_forward *b)
{
	if (a->stopped != b->stopped)
		return a->stopped;
	return packets_of(a) > packets_of(b);
}

static void take_forward(struct topology *t, const struct picked_forward *p)
{
	uint32_t i = t->n_forwarded;

	if (i == FORWARDED && !is_before(p, &t->forwarded[FORWARDED - 1]))
		return;
	if (i == FORWARDED)
		i--;
	else
		t->n_forwarded++;
	for (; i > 0 && is_before(p, &t->forwarded[i - 1]); i--)
		t->forwarded[i] = t->forwarded[i - 1];
	t->forwarded[i] = *p;
}

static void choose_forwarded(struct topology *t)
{
	for (uint32_t i = 0; i < t->snap->n_forwards; i++) {
		struct picked_forward p = {.f = &t->snap->forwards[i]};
		const struct mt_l4_row *r = mt_ctl_forwarded_row(t->snap, p.f);

		if (*t->text && !strcasestr(p.f->service, t->text))
			continue;
		t->n_forwarded_all++;
		p.stopped = !r || r->closed || !r->group;
		if (r)
			p.stats = mt_ctl_forwarded(t->c, r->service);
		take_forward(t, &p);
	}
}

/* ---- targets of calls ----------------------------------------------------------------------- */

struct targets {
	uint32_t cluster[CLUSTERS], n, more;
};

static void target(struct topology *t, struct targets *to, uint32_t cluster)
{
	if (cluster >= t->snap->n_clusters)
		return;
	for (uint32_t i = 0; i < to->n; i++)
		if (to->cluster[i] == cluster)
			return;
	if (to->n == CLUSTERS)
		to->more++;
	else
		to->cluster[to->n++] = cluster;
}

static void targets_of(struct topology *t, const struct mt_service *s, struct targets *to)
{
	for (uint32_t k = 0; s->routes && k < mt_route_count(s->routes); k++) {
		const struct mt_route_action *a = mt_route_at(s->routes, k);

		for (uint32_t i = 0; i < a->n_dests; i++)
			target(t, to, a->dests[i].cluster);
	}
	for (uint32_t i = 0; !s->routes && i < s->n_tcp_dests; i++)
		target(t, to, s->tcp_dests[i].cluster);
	if (!s->routes && s->n_tcp_dests == 0)
		target(t, to, s->tcp_cluster);
}

static void add_cluster_once(struct topology *t, uint32_t cluster)
{
	for (uint32_t i = 0; i < t->n_clusters; i++)
		if (t->clusters[i] == cluster)
			return;
	t->clusters[t->n_clusters++] = cluster;
}

/* Adds the service's links and clusters; its row shows how many clusters are left out. */
static void link_up(struct topology *t, const struct pick *p, json_t *row)
{
	struct targets to = {.n = 0};

	targets_of(t, p->s, &to);
	for (uint32_t i = 0; i < to.n; i++) {
		add_cluster_once(t, to.cluster[i]);
		mt_json_add(t->links, MT_M("service", p->s->name),
			MT_M("listener", json_incref(json_object_get(row, "listener"))),
			MT_M("cluster", t->snap->clusters[to.cluster[i]].name));
	}
	mt_json_set(row, MT_M("clusters_left_out", to.more));
}

/* "192.0.2.53:53/udp": a port of TCP may have the same address and number. */
static json_t *listener_of(const struct mt_forward *f)
{
	char at[MT_ADDR_STRLEN], text[MT_ADDR_STRLEN + 8];

	snprintf(text, sizeof(text), "%s/%s", mt_addr_port_str(&f->addr, f->port, at),
		mt_ctl_transport(f->protocol));
	return mt_json_text(text);
}

static void add_forwarded(struct topology *t, const struct picked_forward *p, json_t *list)
{
	const struct mt_l4_row *r = mt_ctl_forwarded_row(t->snap, p->f);
	const struct mt_cluster *cl = &t->snap->clusters[p->f->cluster];

	add_cluster_once(t, p->f->cluster);
	mt_json_add(list, MT_M("service", p->f->service), MT_M("listener", listener_of(p->f)),
		MT_M("protocol", mt_ctl_transport(p->f->protocol)),
		MT_M("mode", mt_forwarding_str(p->f->mode)),
		MT_M("state", mt_ctl_forwarded_state(t->snap, p->f)),
		MT_M("flows_made", p->stats.flows_made), MT_M("packets", packets_of(p)),
		MT_M("bytes", p->stats.bytes),
		MT_M("refused", mt_ctl_forwarded_refused(t->c, r, &p->stats)));
	mt_json_add(t->links, MT_M("service", p->f->service), MT_M("listener", listener_of(p->f)),
		MT_M("cluster", cl->name));
}

/* ---- endpoints ------------------------------------------------------------------------------ */

struct chosen_ep {
	const struct mt_endpoint *ep;
	bool bad;
	uint64_t requests;
};

/*
 * Chooses at most ENDPOINTS: ejected and silent endpoints first, then the busiest. Returns their
 * number.
 */
static uint32_t choose_endpoints(const struct topology *t, const struct mt_cluster *cl,
	struct chosen_ep chosen[ENDPOINTS], struct mt_ep_stats *sum, uint32_t *n_ejected)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < cl->n_eps && k < LOOKED_AT; k++) {
		struct chosen_ep e = {.ep = &cl->eps[k]};
		const struct mt_ep_state *state = e.ep->state;
		struct mt_ctl_waiting waiting =
			mt_ctl_ep_waiting(t->c, cl->name, state->index, state->id);
		struct mt_ep_stats st = {0};
		bool ejected = mt_ep_is_out(state);
		uint32_t i;

		(void)mt_ctl_ep_stats(t->c, state->index, state->id, &st);
		e.requests = st.requests;
		e.bad = ejected || mt_ctl_hangs(&waiting);
		*n_ejected += ejected;
		sum->requests += st.requests;
		sum->failures += st.failures;
		i = n < ENDPOINTS ? n++ : ENDPOINTS;
		for (; i > 0 &&
			(chosen[i - 1].bad != e.bad ? e.bad : chosen[i - 1].requests < e.requests);
			i--)
			if (i < ENDPOINTS)
				chosen[i] = chosen[i - 1];
		if (i < ENDPOINTS)
			chosen[i] = e;
	}
	return n;
}

/* Adds [us, count] for each bucket that is not empty. */
static void set_buckets(json_t *row, const uint64_t *counts, uint32_t n, uint32_t bits)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		if (counts[i])
			json_array_append_new(
				list, json_pack("[I, I]", (json_int_t)mt_hist_middle(i, bits),
					      (json_int_t)counts[i]));
	mt_json_set(row, MT_M("latency", list));
}

static void add_cluster(
	struct topology *t, const struct mt_cluster *cl, json_t *clusters, json_t *endpoints)
{
	struct chosen_ep chosen[ENDPOINTS];
	struct mt_ep_stats sum = {0};
	uint32_t n_ejected = 0, n = choose_endpoints(t, cl, chosen, &sum, &n_ejected);

	mt_json_add(clusters, MT_M("cluster", cl->name), MT_M("balancer", mt_lb_str(cl->lb)),
		MT_M("endpoints", cl->n_eps), MT_M("ejected", n_ejected),
		MT_M("left_out", cl->n_eps - n), MT_M("requests", sum.requests),
		MT_M("failures", sum.failures));
	for (uint32_t i = 0; i < n; i++) {
		json_t *row = mt_row_endpoint(t->c, endpoints, cl, chosen[i].ep);
		uint64_t latency[MT_EP_LATENCY_BUCKETS];

		if (!t->buckets)
			continue;
		mt_ctl_ep_latency(t->c, chosen[i].ep->state, latency);
		set_buckets(row, latency, MT_EP_LATENCY_BUCKETS, MT_EP_LATENCY_BITS);
	}
}

/* Builds rows for the picked services and forwarded ports, in five lists. */
static json_t *rows_of(struct topology *t)
{
	json_t *services = json_array(), *clusters = json_array(), *endpoints = json_array();
	json_t *forwarded = json_array();
	struct mt_service_hist h;

	t->links = json_array();
	for (uint32_t i = 0; i < t->n; i++) {
		json_t *row = mt_row_service(t->c, services, t->picks[i].p, t->picks[i].s);

		link_up(t, &t->picks[i], row);
		if (t->buckets &&
			mt_ctl_service_hist(t->c, t->picks[i].s->index, t->picks[i].s->id, &h))
			set_buckets(row, h.latency, MT_LATENCY_BUCKETS, MT_LATENCY_BITS);
	}
	for (uint32_t i = 0; i < t->n_forwarded; i++)
		add_forwarded(t, &t->forwarded[i], forwarded);
	for (uint32_t i = 0; i < t->n_clusters; i++)
		add_cluster(t, &t->snap->clusters[t->clusters[i]], clusters, endpoints);
	return mt_json_object(MT_M("services", services), MT_M("forwarded", forwarded),
		MT_M("links", t->links), MT_M("clusters", clusters), MT_M("endpoints", endpoints));
}

json_t *mt_topology(struct mt_ctl *c, const char *text, bool buckets)
{
	struct topology t = {.c = c, .snap = mt_ctl_snapshot(c), .buckets = buckets, .text = text};
	json_t *all, *rows;

	if (t.snap) {
		choose(&t);
		choose_forwarded(&t);
	}
	all = mt_json_object(MT_M("services_there", t.n_all), MT_M("services_match", t.n_match),
		MT_M("services_shown", t.n), MT_M("requests", t.sum.requests),
		MT_M("failures", t.sum.failures), MT_M("opaque_bytes", t.sum.opaque_bytes),
		MT_M("forwarded_match", t.n_forwarded_all), MT_M("forwarded_shown", t.n_forwarded));
	rows = rows_of(&t);
	json_object_update(all, rows);
	json_decref(rows);
	return all;
}

json_t *mt_topology_of(
	struct mt_ctl *c, const struct mt_filter_chain_proto *p, const struct mt_service *s)
{
	struct topology t = {
		.c = c, .snap = mt_ctl_snapshot(c), .n = 1, .picks = {{.p = p, .s = s}}};

	return rows_of(&t);
}

json_t *mt_show_topology(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_topology(c, r->n_args ? r->args[0] : "", false);
}
