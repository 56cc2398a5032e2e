/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts exchanges.
 * - For the service: outcomes, local replies by reason, a histogram of latency with 16 buckets per
 *   power of two, and two histograms of sizes.
 * - For the service and the workloads of endpoint and client: the same, when the exchange ends
 *   (mt_portion.h). So Istio's metrics have them apart, although addresses change their workload.
 * - For the route: hits, by mt_route_action.index. lib/conf keeps this index as long as a snapshot
 *   names the route, so that hits continue over reloads.
 * - For the endpoint: a coarse histogram of latency. Its 16-bit counters are halved when one of
 *   them is full, so that 100,000 endpoints stay small and older calls count less. The histogram
 *   contains the id of its endpoint, because another endpoint may get the place.
 * All arrays are in reserved address space and have stable indexes. Each has one writer; the
 * control thread reads them with relaxed loads.
 *
 * bench/path/metrics_cost.py compares instructions per exchange with a build without counters
 * (MT_UNCOUNTED): at most 5 % more. Against a build without trace checks (MT_UNTRACED) it allows
 * 0.5 %, and against one that counts no replies by workload (MT_UNPORTIONED) 60 instructions.
 */
#include "endpoint/mt_endpoint_priv.h"

#include <string.h>

/*
 * False if another endpoint has the place by now, because a late result must neither count for that
 * endpoint nor clear its numbers. attempt.c and opaque_connect.c write the id when they pick an
 * endpoint.
 */
static bool has_place(const struct mt_proxy *p, uint32_t ep_index, uint64_t ep_id)
{
	return mt_likely(p->ep_stats[ep_index].id == ep_id);
}

void mt_account_connection(
	struct mt_proxy *p, const struct mt_lanes *ln, bool connecting, enum mt_close_reason reason)
{
	if (reason == MT_CLOSE_OK || mt_close_is_ours(reason) ||
		!has_place(p, ln->ep_index, ln->ep_id))
		return;
	p->ep_stats[ln->ep_index].failures++;
	p->ep_stats[ln->ep_index].connect_failed += connecting;
}

static struct mt_ep_hist *hist_of(struct mt_proxy *p, uint32_t ep_index, uint64_t ep_id)
{
	struct mt_ep_hist *h = &p->ep_hists[ep_index];

	if (mt_unlikely(h->ep_id != ep_id)) {
		memset(h, 0, sizeof(*h));
		h->ep_id = ep_id;
	}
	return h;
}

void mt_account_unsent(struct mt_proxy *p, const struct mt_lanes *ln, uint32_t calls)
{
	if (has_place(p, ln->ep_index, ln->ep_id))
		hist_of(p, ln->ep_index, ln->ep_id)->answers.errors += calls;
}

void mt_account_failed(struct mt_proxy *p, const struct mt_attempt *a)
{
	if (!has_place(p, a->ep_index, a->ep_id))
		return;
	p->ep_stats[a->ep_index].failures++;
	hist_of(p, a->ep_index, a->ep_id)->answers.errors++;
}

void mt_account_request(struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_service_stats *st = mt_stats_service(p, ex->service);

	st->requests++;
	st->bytes_in += ex->msg.len;
	mt_hist_add(p->service_hists[ex->service->index].request, MT_SIZE_BUCKETS, MT_SIZE_BITS,
		ex->msg.len - 1);
}

void mt_account_limited(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_local_reply what)
{
	if (what == MT_REPLY_OVER_LIMIT && ex->service)
		mt_stats_service(p, ex->service)->limited++;
}

void mt_account_route(struct mt_proxy *p, const struct mt_exchange *ex)
{
	p->route_hits[ex->route->index]++;
}

static void halve(struct mt_ep_hist *h)
{
	for (uint32_t i = 0; i < MT_EP_LATENCY_BUCKETS; i++)
		h->latency[i] /= 2;
}

void mt_account_attempt(struct mt_proxy *p, const struct mt_attempt *a, const struct mt_msg *reply)
{
	uint32_t b = mt_hist_bucket((p->now - a->picked) / MT_USEC, MT_EP_LATENCY_BITS);
	struct mt_ep_hist *h;
	uint16_t *n;

	if (!has_place(p, a->ep_index, a->ep_id))
		return;
	h = hist_of(p, a->ep_index, a->ep_id);
	n = &h->latency[MT_MIN(b, MT_EP_LATENCY_BUCKETS - 1u)];
	if (mt_likely(reply->status == MT_STATUS_OK))
		h->answers.ok++;
	else
		h->answers.errors++;
	if (mt_unlikely(*n == UINT16_MAX))
		halve(h);
	++*n;
}

/*
 * Counts the request of a call that ends in its portion, and returns it. The caller counts how it
 * ended.
 */
static mt_inline struct mt_portion *portion_of(struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_portion *to = mt_portion_of(
		p->portions, ex->service->id, ex->attempt.workload, ex->caller, p->now);

	to->stats.requests++;
	to->stats.bytes_in += ex->msg.len;
	mt_hist_add(to->hist.request, MT_SIZE_BUCKETS, MT_SIZE_BITS, ex->msg.len - 1);
	return to;
}

static mt_noinline struct mt_service_stats *ended_without_reply(
	struct mt_proxy *p, const struct mt_exchange *ex)
{
	return &portion_of(p, ex)->stats;
}

static mt_inline void add_answer(struct mt_service_stats *st, struct mt_service_hist *h,
	const struct mt_msg *reply, uint64_t us)
{
	if (reply->status == MT_STATUS_OK)
		st->ok++;
	else if (reply->status == MT_STATUS_APP_ERROR)
		st->app_error++;
	else
		st->proto_error++;
	st->bytes_out += reply->len;
	st->latency_sum_us += us;
	mt_hist_add(h->latency, MT_LATENCY_BUCKETS, MT_LATENCY_BITS, us);
	mt_hist_add(h->reply, MT_SIZE_BUCKETS, MT_SIZE_BITS, reply->len - 1);
}

static mt_inline void count_by_workload(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply, uint64_t us)
{
#ifndef MT_UNPORTIONED
	struct mt_portion *portion = portion_of(p, ex);

	add_answer(&portion->stats, &portion->hist, reply, us);
#endif
}

/* Counts a reply for the service of its call. */
static mt_inline void count_answer(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply)
{
	uint64_t us = (p->now - ex->started) / MT_USEC;

	if (mt_unlikely(!ex->service)) {
		/* The service is gone with its counters, or the call is a mirrored copy. */
		mt_count(p->counters, mt_call_rules_of(ex)->answered);
		return;
	}
	mt_count(p->counters, MT_PROXY_exchange_answered);
	add_answer(
		mt_stats_service(p, ex->service), &p->service_hists[ex->service->index], reply, us);
	count_by_workload(p, ex, reply, us);
}

void mt_account_reply(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_msg *reply)
{
	mt_account_attempt(p, a, reply);
	count_answer(p, ex, reply);
}

void mt_account_answer(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply)
{
	count_answer(p, ex, reply);
}

void mt_account_oneway(struct mt_proxy *p, const struct mt_exchange *ex, bool learnt)
{
	const struct mt_call_rules *o = mt_call_rules_of(ex);

	if (mt_likely(ex->service)) {
		mt_stats_service(p, ex->service)->oneway++;
		ended_without_reply(p, ex)->oneway++;
	}
	mt_count(p->counters, learnt ? o->oneway_learnt : o->oneway);
}

void mt_account_left(struct mt_proxy *p, const struct mt_exchange *ex, bool cut_off)
{
	struct mt_service_stats *of[2];

	if (!ex->service || ex->status)
		return; /* the service is gone, or the answer was counted */
	of[0] = mt_stats_service(p, ex->service);
	of[1] = ended_without_reply(p, ex);
	for (size_t i = 0; i < MT_ARRAY_LEN(of); i++) {
		of[i]->cut_off += cut_off;
		of[i]->client_left += !cut_off;
	}
}

void mt_account_local(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_ending ending)
{
	if (!ex->service)
		return;
	mt_stats_service(p, ex->service)->local[ending]++;
	ended_without_reply(p, ex)->local[ending]++;
}

/*
 * Clears counters and histograms, because another service had the index. Meanwhile the id is 0, so
 * that a reader assigns them to neither service.
 */
static mt_noinline void begin_service(struct mt_proxy *p, const struct mt_service *s)
{
	uint64_t *id = &p->service_ids[s->index];

	__atomic_store_n(id, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memset(&p->service_stats[s->index], 0, sizeof(p->service_stats[0]));
	memset(&p->service_hists[s->index], 0, sizeof(p->service_hists[0]));
	__atomic_store_n(id, s->id, __ATOMIC_RELEASE);
}

struct mt_service_stats *mt_stats_service(struct mt_proxy *p, const struct mt_service *s)
{
	if (mt_unlikely(p->service_ids[s->index] != s->id))
		begin_service(p, s);
	return &p->service_stats[s->index];
}

/*
 * Clears the counter, because another object had the place. Meanwhile the id is 0, so that a reader
 * takes it for that of neither object.
 */
static mt_noinline void begin_closed(struct mt_closed_stats *s, uint64_t id)
{
	__atomic_store_n(&s->id, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	s->refused = 0;
	__atomic_store_n(&s->id, id, __ATOMIC_RELEASE);
}

void mt_account_closed(struct mt_proxy *p, const struct mt_closer *by)
{
	struct mt_closed_stats *s = &p->closed[by ? by->index : 0];

	if (by && by->index && s->id != by->id)
		begin_closed(s, by->id);
	s->refused++;
}

/* ---- for the control thread ----------------------------------------------------------------- */

uint64_t mt_proxy_closed_by(const struct mt_proxy *p, const struct mt_closer *by)
{
	const struct mt_closed_stats *s = &p->closed[by->index];

	if (by->index && __atomic_load_n(&s->id, __ATOMIC_ACQUIRE) != by->id)
		return 0;
	return mt_count_read(&s->refused);
}

uint64_t mt_proxy_service_id(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_SERVICES_MAX
		       ? __atomic_load_n(&p->service_ids[index], __ATOMIC_ACQUIRE)
		       : 0;
}

const struct mt_service_stats *mt_proxy_service_stats(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_SERVICES_MAX ? &p->service_stats[index] : NULL;
}

const struct mt_service_hist *mt_proxy_service_hist(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_SERVICES_MAX ? &p->service_hists[index] : NULL;
}

const struct mt_portion *mt_proxy_portions(const struct mt_proxy *p)
{
	return p->portions;
}

const struct mt_ep_stats *mt_proxy_ep_stats(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_EPS_MAX ? &p->ep_stats[index] : NULL;
}

const struct mt_ep_hist *mt_proxy_ep_hist(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_EPS_MAX ? &p->ep_hists[index] : NULL;
}

uint64_t mt_proxy_route_hits(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_SNAPSHOT_ROUTES_MAX ? mt_count_read(&p->route_hits[index]) : 0;
}

uint64_t mt_service_local_replies(const struct mt_service_stats *st)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < MT_N_ENDINGS; i++)
		sum += st->local[i];
	return sum;
}
