/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History of endpoints that were ejected or announced their shutdown. Workers report each event;
 * the control thread takes the events in every loop iteration and keeps them in order of arrival.
 * The number per cluster is bounded, so that a flapping endpoint does not displace the events of
 * others. The log gets a line when an endpoint is ejected, and one when it has returned.
 */
#include "mt_ctl_events_priv.h"
#include "mt_strmap.h"
#include "tune.h"

#include <stdio.h>
#include <string.h>

#define KEEP	   1024u
#define OF_CLUSTER 32u
#define PER_TURN   1024u /* from one worker, so that the others get their turn */
#define UNKNOWN	   "(no longer configured)"

struct outlier {
	struct mt_ep_event a;
	bool open;   /* the endpoint has not replied since */
	bool logged; /* the log has the ejection, and not yet its end */
	char *cluster;
};

struct mt_outliers {
	struct outlier e[KEEP]; /* the oldest first */
	uint32_t n;
	uint64_t missed;  /* events lost since start */
	uint64_t version; /* of the snapshot of the last mt_outliers_check() */
	bool check;	  /* mt_outliers_check() is due whatever the version */
};

static void drop(struct mt_outliers *o, uint32_t i)
{
	free(o->e[i].cluster);
	memmove(&o->e[i], &o->e[i + 1], (--o->n - i) * sizeof(o->e[0]));
}

/*
 * Drops the oldest event of the cluster if the cluster has reached its bound; otherwise the oldest
 * of all if the history is full.
 */
static void make_room(struct mt_outliers *o, const char *cluster)
{
	uint32_t n = 0, first = 0;

	for (uint32_t i = o->n; i-- > 0;) {
		if (strcmp(o->e[i].cluster, cluster) != 0)
			continue;
		first = i;
		n++;
	}
	if (n >= OF_CLUSTER)
		drop(o, first);
	else if (o->n == KEEP)
		drop(o, 0);
}

static bool same_endpoint(const struct outlier *e, const struct mt_ep_event *a, const char *cluster)
{
	return e->a.port == a->port && mt_addr_eq(&e->a.addr, &a->addr) &&
	       strcmp(e->cluster, cluster) == 0;
}

/* ---- the log -------------------------------------------------------------------------------- */

static void log_ejected(const struct mt_ep_event *a, const char *cluster)
{
	char name[MT_ADDR_STRLEN], words[MT_CTL_SPAN];

	mt_addr_port_str(&a->addr, a->port, name);
	if (a->checked)
		mt_log(MT_LOG_WARN, "worker",
			"endpoint %s of %s ejected: %s, until health checks succeed", name, cluster,
			a->why);
	else
		mt_log(MT_LOG_WARN, "worker", "endpoint %s of %s ejected: %s, for %s", name,
			cluster, a->why, mt_ctl_span(a->until - a->at, words));
}

/* Logs the end of an ejection once; `why` has a cause that the operator may not expect, or "". */
static void log_returned(struct outlier *e, uint64_t now, const char *why)
{
	char name[MT_ADDR_STRLEN], words[MT_CTL_SPAN];

	if (!e->logged)
		return;
	e->logged = false;
	mt_log(MT_LOG_INFO, "worker", "endpoint %s of %s returned after %s%s",
		mt_addr_port_str(&e->a.addr, e->a.port, name), e->cluster,
		mt_ctl_span(now - e->a.at, words), why);
}

static void log_gone(struct outlier *e, uint64_t now)
{
	char name[MT_ADDR_STRLEN], words[MT_CTL_SPAN];

	e->logged = false;
	mt_log(MT_LOG_INFO, "worker",
		"endpoint %s of %s is no longer configured, %s after it was ejected",
		mt_addr_port_str(&e->a.addr, e->a.port, name), e->cluster,
		mt_ctl_span(now - e->a.at, words));
}

/* ---- events --------------------------------------------------------------------------------- */

/* Closes the last event of this endpoint: it has replied, or has withdrawn its announcement. */
static void call_back(struct mt_outliers *o, const struct mt_ep_event *a, const char *cluster)
{
	enum mt_ep_event_what of =
		a->what == MT_EP_EVENT_BACK ? MT_EP_EVENT_EJECTED : MT_EP_EVENT_LEAVING;
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = o->n; i-- > 0;) {
		struct outlier *e = &o->e[i];

		if (e->a.what != of || !same_endpoint(e, a, cluster))
			continue;
		log_returned(e, a->at, "");
		e->a.until = of == MT_EP_EVENT_EJECTED ? a->at : MT_MIN(e->a.until, a->at);
		e->open = false;
		return;
	}
	/* Others of its cluster have displaced the event. */
	if (of == MT_EP_EVENT_EJECTED)
		mt_log(MT_LOG_INFO, "worker", "endpoint %s of %s returned",
			mt_addr_port_str(&a->addr, a->port, name), cluster);
}

/* Makes an ejection part of the endpoint's last one if that has not ended. */
static bool goes_on(struct mt_outliers *o, const struct mt_ep_event *a, const char *cluster)
{
	for (uint32_t i = o->n; i-- > 0;) {
		struct outlier *e = &o->e[i];

		if (e->a.what != MT_EP_EVENT_EJECTED || !same_endpoint(e, a, cluster))
			continue;
		if (!e->open || !e->logged)
			return false;
		e->a.until = a->until;
		e->a.times = a->times;
		e->a.silent |= a->silent;
		return true;
	}
	return false;
}

void mt_outliers_note(struct mt_ctl *c, const struct mt_ep_event *a)
{
	const char *name =
		c->env.conf ? mt_upstream_cluster_name(mt_conf_upstreams(c->env.conf), a->cluster)
			    : NULL;
	char *copy;

	name = name ? name : UNKNOWN;
	if (!c->outliers)
		c->outliers = calloc(1, sizeof(*c->outliers));
	if (!c->outliers)
		return;
	c->endpoints_changed = true;
	if (a->what == MT_EP_EVENT_STAYS || a->what == MT_EP_EVENT_BACK) {
		call_back(c->outliers, a, name);
		return;
	}
	if (a->what == MT_EP_EVENT_EJECTED && goes_on(c->outliers, a, name))
		return;
	copy = strdup(name);
	if (!copy)
		return;
	make_room(c->outliers, name);
	c->outliers->e[c->outliers->n++] = (struct outlier){.a = *a,
		.open = a->what == MT_EP_EVENT_EJECTED,
		.logged = a->what == MT_EP_EVENT_EJECTED,
		.cluster = copy};
	if (a->what == MT_EP_EVENT_EJECTED)
		log_ejected(a, name);
}

/*
 * Takes the events of all workers. Returns the number of events lost since start because a worker's
 * queue was full.
 */
static uint64_t take(struct mt_ctl *c)
{
	uint64_t missed = 0, all = 0;
	struct mt_ep_event a;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		struct mt_proxy *p = mt_worker_proxy(c->env.workers[w]);

		for (uint32_t i = 0; i < PER_TURN && mt_proxy_ep_event(p, &a, &missed); i++)
			mt_outliers_note(c, &a);
		all += missed;
	}
	if (c->outliers && all != c->outliers->missed) {
		c->outliers->missed = all;
		c->outliers->check = true;
	}
	return all;
}

void mt_outliers_turn(struct mt_ctl *c)
{
	take(c);
}

/* The endpoint's state in this version of its cluster; NULL: the cluster does not have it. */
static const struct mt_ep_state *state_in(const struct mt_cluster *cl, const struct outlier *e)
{
	for (uint32_t k = 0; cl && k < cl->n_eps; k++)
		if (cl->eps[k].port == e->a.port && mt_addr_eq(&cl->eps[k].addr, &e->a.addr))
			return cl->eps[k].state;
	return NULL;
}

/*
 * Logs ends of ejections that no worker reports: the configuration no longer has the endpoint, or
 * changes how connections to it are made, or the event was lost.
 */
static void check_logged(struct mt_ctl *c, const struct mt_strmap *clusters)
{
	for (uint32_t i = 0; i < c->outliers->n; i++) {
		struct outlier *e = &c->outliers->e[i];
		const struct mt_ep_state *state;

		if (!e->logged)
			continue;
		state = state_in(mt_strmap_get(clusters, e->cluster), e);
		if (!state)
			log_gone(e, c->now);
		else if (mt_ctl_ep_is_forgiven(state))
			log_returned(
				e, c->now, ": a change of the configuration ended the ejection");
		else if (!mt_ep_is_out(state))
			log_returned(e, c->now, "");
	}
}

void mt_outliers_check(struct mt_ctl *c)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_outliers *o = c->outliers;
	struct mt_strmap clusters = {0};
	uint32_t logged = 0;
	int rc = 0;

	if (!o || !s || (!o->check && o->version == s->version))
		return;
	o->version = s->version;
	o->check = false;
	for (uint32_t i = 0; i < o->n; i++)
		logged += o->e[i].logged;
	for (uint32_t i = 0; logged && i < s->n_clusters && rc == 0; i++)
		rc = mt_strmap_put(&clusters, s->clusters[i].name, &s->clusters[i], NULL);
	if (rc == 0 && logged)
		check_logged(c, &clusters);
	mt_strmap_fini(&clusters);
}

void mt_outliers_fini(struct mt_ctl *c)
{
	while (c->outliers && c->outliers->n)
		drop(c->outliers, c->outliers->n - 1);
	free(c->outliers);
	c->outliers = NULL;
}

uint64_t mt_outliers_silent(const struct mt_ctl *c, const char *cluster, const char *endpoint)
{
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = c->outliers ? c->outliers->n : 0; i-- > 0;) {
		const struct outlier *e = &c->outliers->e[i];

		if (e->a.what == MT_EP_EVENT_EJECTED && strcmp(e->cluster, cluster) == 0 &&
			strcmp(mt_addr_port_str(&e->a.addr, e->a.port, name), endpoint) == 0)
			return e->open && e->a.silent ? e->a.at : 0;
	}
	return 0;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void set_rule(json_t *row, const struct mt_ep_event *a)
{
	char text[64] = "3 failures within 10 s";

	if (a->what != MT_EP_EVENT_EJECTED)
		return;
	if (a->checked)
		snprintf(text, sizeof(text), "%u failed health checks in a row", a->failures);
	else if (a->rule)
		snprintf(text, sizeof(text), "%s", a->rule);
	else if (a->errors)
		snprintf(text, sizeof(text), "%u failures, or %u with errors, in a row",
			a->failures, a->errors);
	else if (a->failures)
		snprintf(text, sizeof(text), "%u failures in a row", a->failures);
	mt_json_set(row, MT_M("rule", text), MT_M("why", a->why), MT_M("times", a->times));
}

/* Returns the endpoint's state; NULL if the current configuration does not have the endpoint. */
static const struct mt_ep_state *state_of(const struct mt_ctl *c, const struct outlier *e)
{
	const struct mt_snapshot *s = c->env.conf ? mt_conf_current(c->env.conf) : NULL;

	for (uint32_t i = 0; s && i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, e->cluster) == 0)
			return state_in(&s->clusters[i], e);
	return NULL;
}

/* State of the endpoint of the event: "ejected", "trial" or "returned". */
static const char *now_of(const struct mt_ctl *c, const struct outlier *e)
{
	const struct mt_ep_event *a = &e->a;
	const struct mt_ep_state *state;

	if (a->what != MT_EP_EVENT_EJECTED)
		return c->now < a->until ? "ejected" : "returned";
	/* Its end may have no event: the configuration changed, or the event was lost. */
	if (!e->open || !e->logged)
		return "returned";
	state = state_of(c, e);
	if (state && !mt_ep_is_out(state))
		return "returned";
	if (a->checked)
		return "ejected";
	if (state)
		return mt_ctl_ejection(state, c->now) == MT_CTL_EJECTED ? "ejected" : "trial";
	return c->now < a->until ? "ejected" : "trial";
}

/* How long the ejection lasts, ns; up to now if its end is not known. */
static uint64_t lasts(const struct mt_ctl *c, const struct outlier *e, const char *now)
{
	bool open = strcmp(now, "trial") == 0 || (e->a.checked && e->open);

	return (open ? c->now : e->a.until) - e->a.at;
}

static json_t *row_of(const struct mt_ctl *c, const struct outlier *e)
{
	const struct mt_ep_event *a = &e->a;
	const char *now = now_of(c, e);
	char name[MT_ADDR_STRLEN];
	json_t *row = json_object();

	mt_set_time(row, "when", (int64_t)(a->wall / MT_MSEC));
	mt_json_set(row, MT_M("cluster", e->cluster),
		MT_M("endpoint", mt_addr_port_str(&a->addr, a->port, name)),
		MT_M("what", a->what == MT_EP_EVENT_LEAVING ? "leaving" : "ejected"));
	set_rule(row, a);
	mt_json_set(row, MT_M("for_ms", lasts(c, e, now) / MT_MSEC), MT_M("now", now));
	if (strcmp(now, "ejected") == 0 && !a->checked && c->now < a->until)
		mt_json_set(row, MT_M("left_ms", (a->until - c->now) / MT_MSEC));
	else if (!e->open)
		mt_set_time(row, "returned", (int64_t)((a->wall + (a->until - a->at)) / MT_MSEC));
	mt_render_absent(row, "rule why times left_ms returned returned_unix_ms");
	return row;
}

json_t *mt_show_outliers(struct mt_ctl *c, const struct mt_request *r)
{
	uint64_t missed = take(c);
	json_t *list = json_array();

	for (uint32_t i = c->outliers ? c->outliers->n : 0; i-- > 0;)
		json_array_append_new(list, row_of(c, &c->outliers->e[i]));
	return mt_json_object(MT_M("outliers", list), MT_M("missed", missed));
}
