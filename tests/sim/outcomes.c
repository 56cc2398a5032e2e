/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node's workers have counted when a seed ends, as a part of the trace's hash: outcomes,
 * calls by service, endpoints.
 */
#include "mesh.h"

#include "mt_codec_ending.h"

#include <stdio.h>

static void add_set(struct sim_outcomes *o, uint32_t worker, const struct mt_outcome_set *set,
	const uint64_t *counters)
{
	for (uint32_t i = 0; i < set->n; i++)
		sim_trace_outcome(o, set->room, worker, set->rows[i].name, counters[i]);
}

/* MT_REPLY_N: what ends in this way gets no local reply. */
static enum mt_local_reply reply_of(enum mt_ending e)
{
	if (e == MT_ENDING_connection_denied)
		return MT_REPLY_DENIED;
	if (e == MT_ENDING_connection_limited || e == MT_ENDING_connection_over_global ||
		e == MT_ENDING_connection_limit_error)
		return MT_REPLY_OVER_LIMIT;
	return mt_reply_of_ending(e);
}

static void add_service(struct sim_outcomes *o, uint32_t at, const struct mt_service_stats *st)
{
	uint64_t local[MT_REPLY_N + 1] = {0};
	char name[16];

	if (!st)
		return;
	sim_trace_outcome(o, "service", at, "requests", st->requests);
	sim_trace_outcome(o, "service", at, "ok", st->ok);
	sim_trace_outcome(o, "service", at, "app_error", st->app_error);
	sim_trace_outcome(o, "service", at, "proto_error", st->proto_error);
	sim_trace_outcome(o, "service", at, "timeouts", st->timeouts);
	sim_trace_outcome(o, "service", at, "bytes_in", st->bytes_in);
	sim_trace_outcome(o, "service", at, "bytes_out", st->bytes_out);
	sim_trace_outcome(o, "service", at, "limited", st->limited);
	sim_trace_outcome(o, "service", at, "oneway", st->oneway);
	sim_trace_outcome(o, "service", at, "client_left", st->client_left);
	sim_trace_outcome(o, "service", at, "cut_off", st->cut_off);
	sim_trace_outcome(o, "service", at, "latency_sum_us", st->latency_sum_us);
	for (int i = 0; i < MT_N_ENDINGS; i++)
		local[reply_of((enum mt_ending)i)] += st->local[i];
	for (uint32_t why = 0; why < MT_REPLY_N; why++) {
		snprintf(name, sizeof(name), "local_%u", why);
		sim_trace_outcome(o, "service", at, name, local[why]);
	}
}

static void add_endpoint(struct sim_outcomes *o, uint32_t at, const struct mt_ep_stats *st)
{
	if (!st)
		return;
	sim_trace_outcome(o, "endpoint", at, "requests", st->requests);
	sim_trace_outcome(o, "endpoint", at, "conns_opened", st->conns_opened);
	sim_trace_outcome(o, "endpoint", at, "outstanding", st->outstanding);
	sim_trace_outcome(o, "endpoint", at, "failures", st->failures);
	sim_trace_outcome(o, "endpoint", at, "connect_failed", st->connect_failed);
}

static void add_worker(
	struct sim_outcomes *o, uint32_t i, struct mt_worker *w, const struct config_store *store)
{
	struct mt_proxy *p = mt_worker_proxy(w);

	add_set(o, i, &mt_worker_outcomes, mt_worker_stats(w)->counters);
	add_set(o, i, &mt_net_outcomes, mt_net_counters(mt_worker_net(w)));
	add_set(o, i, &mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(w)));
	add_set(o, i, &mt_proxy_outcomes, mt_proxy_counters(p));
	add_set(o, i, &mt_upstream_outcomes, mt_proxy_upstream_counters(p));
	add_set(o, i, &mt_filter_outcomes, mt_proxy_filter_counters(p));
	add_set(o, i, &mt_buf_outcomes, mt_worker_pools(w)->counters);
	for (uint32_t at = 0; at < store->current->n_services; at++)
		add_service(o, i << 16 | at, mt_proxy_service_stats(p, at));
	for (uint32_t at = 0; at < mt_upstream_ep_indexes(store->registry); at++)
		add_endpoint(o, i << 16 | at, mt_proxy_ep_stats(p, at));
}

void mesh_outcomes(const struct mesh *m)
{
	struct sim_outcomes o = {.sim = m->sim};

	for (uint32_t i = 0; i < m->workers; i++)
		add_worker(&o, i, m->w[i], &m->store);
	sim_trace_outcomes_end(&o);
}
