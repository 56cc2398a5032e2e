/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `show coverage`: which protections each service has: rate limits, time-outs, circuit breakers,
 * outlier detection, retries.
 */
#include "tune.h"

#include <stdio.h>
#include <string.h>

/* Counts over all clusters to which a service's routes send calls. */
struct guards {
	uint32_t clusters, breakers, outlier;
	uint32_t written; /* clusters with a limit of outstanding calls, which is not enforced */
};

static void look(
	const struct mt_snapshot *s, const struct mt_route_dest *d, uint32_t n, struct guards *g)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_cluster *c;

		if (d[i].cluster >= s->n_clusters)
			continue;
		c = &s->clusters[d[i].cluster];
		g->clusters++;
		g->breakers += c->max_connections || c->max_pending;
		g->written += c->max_outstanding != 0;
		g->outlier += c->outlier.failures != 0;
	}
}

/* "yes", "none", or "2 of 3". */
static json_t *share(uint32_t n, uint32_t of)
{
	char text[48];

	if (n == 0 || n == of)
		return json_string(n ? "yes" : "none");
	snprintf(text, sizeof(text), "%u of %u", n, of);
	return json_string(text);
}

/*
 * Counts only limits that are enforced. Without any, names a limit that is configured but not
 * enforced.
 */
static json_t *breakers(const struct guards *g)
{
	if (g->breakers == 0 && g->written)
		return json_string("none: http2MaxRequests (max_requests) is not enforced");
	return share(g->breakers, g->clusters);
}

/* "yes": the node's own limit, with others or without. */
static const char *limits(const struct mt_service *s)
{
	bool global = false, clients = false;

	for (uint32_t i = 0; i < s->n_filter_insts; i++) {
		const char *name = s->filter_insts[i].type->name;

		if (strcmp(name, "local_ratelimit") == 0)
			return "yes";
		global |= strcmp(name, "global_ratelimit") == 0;
		clients |= strcmp(name, "keyed_ratelimit") == 0;
	}
	return clients ? "clients" : global ? "global" : "none";
}

/* "by policy", "by policy: 2 of 3"; without one only calls that were not read are sent again. */
static json_t *retries(const struct mt_service *s, uint32_t n, uint32_t routes)
{
	char text[48];

	if (!s->routes)
		return json_string("none");
	if (n == 0)
		return json_string("unread calls only");
	if (n == routes)
		return json_string("by policy");
	snprintf(text, sizeof(text), "by policy: %u of %u", n, routes);
	return json_string(text);
}

static json_t *row_of(const struct mt_snapshot *snap, const struct mt_service *s)
{
	const struct mt_route_dest one = {s->tcp_cluster, 1};
	uint32_t routes = s->routes ? mt_route_count(s->routes) : 0, timed = 0, retried = 0;
	struct guards g = {0};

	for (uint32_t i = 0; i < routes; i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		timed += mt_snapshot_timeout(a, s) != 0;
		retried += a->retry && a->retry->attempts;
		look(snap, a->dests, a->n_dests, &g);
	}
	if (!s->routes)
		look(snap, s->n_tcp_dests ? s->tcp_dests : &one,
			s->n_tcp_dests ? s->n_tcp_dests : 1, &g);
	return mt_json_object(MT_M("service", s->name), MT_M("limits", limits(s)),
		MT_M("time_outs", share(timed, routes)), MT_M("breakers", breakers(&g)),
		MT_M("outlier_detection", g.outlier ? "own rule" : "the default"),
		MT_M("retries", retries(s, retried, routes)));
}

/* Number of rows whose value in this column starts with "none". */
static json_int_t without(const json_t *list, const char *column)
{
	json_int_t n = 0;
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		n += strncmp(json_string_value(json_object_get(row, column)), "none", 4) == 0;
	}
	return n;
}

json_t *mt_show_coverage(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; snap && i < snap->n_services; i++)
		json_array_append_new(list, row_of(snap, snap->services[i]));
	return mt_json_object(MT_M("services", json_array_size(list)),
		MT_M("without_limits", without(list, "limits")),
		MT_M("without_time_outs", without(list, "time_outs")),
		MT_M("without_breakers", without(list, "breakers")), MT_M("coverage", list));
}
