/* SPDX-License-Identifier: Apache-2.0 */
#include "limiter.h"

#include "mesh.h"

#include "mt_filter_global.h"
#include "mt_proxy_types.h"
#include "mt_rls_client.h"

#include <string.h>

#define SOON	  (20 * MT_MSEC)
#define EXCHANGES 4096
/* Iterations after the end of its time in which a call may still wait. */
#define LATE_MAX 1

/* ---- the filter ------------------------------------------------------------------------------ */

static void *compile(struct limiter *l, const struct limiter_conf *c)
{
	const struct mt_global_property property = {c->listener->route_key, "route"};
	const struct mt_global_def def = {.domain = "sim",
		.provider = l->provider,
		.fail_open = c->fail_open,
		.properties = &property,
		.n_properties = 1,
		.limited = "sim:1"};
	char err[128];

	return mt_global_compile(c->listener->codec, &def, err, sizeof(err));
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void make_lanes(struct limiter *l)
{
	for (uint32_t i = 0; i < l->sim->workers; i++) {
		l->lane[i] = aligned_alloc(MT_CACHE_LINE, sizeof(*l->lane[i]));
		MT_ASSERT(l->lane[i] && mt_callout_lane_init(&l->x, l->lane[i]));
		l->wait[i] = calloc(EXCHANGES, sizeof(*l->wait[i]));
		MT_ASSERT(l->wait[i]);
	}
}

struct limiter *limiter_new(struct sim *s, struct mesh *m, const struct limiter_conf *c)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {.name = "sim",
		.servers = servers,
		.n_servers = 1,
		.timeout = c->timeout,
		.fail_open = c->fail_open};
	struct limiter *l = aligned_alloc(MT_CACHE_LINE, sizeof(*l));

	MT_ASSERT(l);
	memset(l, 0, sizeof(*l));
	l->sim = s;
	l->mesh = m;
	l->b = c->b;
	l->longest = MT_MIN(c->timeout, c->own);
	l->x.kind = &mt_rls_kind;
	l->provider = mt_callout_provider_new(&conf);
	MT_ASSERT(l->provider);
	l->filter.type = &mt_filter_global_ratelimit;
	l->filter.conf = compile(l, c);
	MT_ASSERT(l->filter.conf);
	make_lanes(l);
	return l;
}

/* Questions of a seed that has failed are not answered any more. */
static void free_lane(struct mt_callout_lane *l)
{
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++) {
		struct mt_callout_slot *s = mt_callout_slot_at(l, i);

		mt_callout_drop(s->provider);
		s->provider = NULL;
	}
	mt_callout_lane_fini(l);
	free(l);
}

void limiter_free(struct limiter *l)
{
	for (uint32_t i = 0; i < l->sim->workers; i++) {
		free_lane(l->lane[i]);
		free(l->wait[i]);
	}
	if (!l->sim->failed && l->provider->refs != 1)
		sim_fail(l->sim, "%u questions are left", l->provider->refs - 1);
	mt_callout_drop(l->provider);
	free(l);
}

/* ---- answers --------------------------------------------------------------------------------- */

struct answer {
	const char *bytes;
	size_t len;
};

#define ANSWER(text)                                                                               \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* The overall code is OK, whatever the statuses: one, none, two. */
static const struct answer within[] = {ANSWER("\x08\x01\x12\x02\x08\x01"), ANSWER("\x08\x01"),
	ANSWER("\x08\x01\x12\x02\x08\x02\x12\x02\x08\x02")};
/* The same, with OVER_LIMIT for three more seconds. */
static const struct answer over[] = {ANSWER("\x08\x02\x12\x06\x08\x02\x22\x02\x08\x03"),
	ANSWER("\x08\x02"), ANSWER("\x08\x02\x12\x02\x08\x01\x12\x02\x08\x01")};
/* No message; an empty one; a code that nobody knows; its statuses alone. */
static const struct answer wrong[] = {
	ANSWER("\xff\xff\xff"), ANSWER(""), ANSWER("\x08\x07"), ANSWER("\x12\x02\x08\x01")};

static void says(struct mt_callout_slot *q, const struct answer *a)
{
	mt_rls_kind.read(q, (const uint8_t *)a->bytes, a->len);
}

/* As the thread of lib/callout: the shorter time-out counts, and the call's own is told apart. */
static uint64_t silence(struct limiter *l, struct mt_callout_slot *q)
{
	bool own = q->timeout <= l->provider->timeout;

	/* An answer that was read before the connection failed, or the time was over, is none. */
	if (sim_one_in(&l->sim->host_rand, 2))
		says(q, &within[0]);
	mt_rls_kind.fail(q, own ? MT_CALLOUT_EXPIRED : MT_CALLOUT_LATE);
	l->n_silent++;
	return MT_MIN(q->timeout, l->provider->timeout);
}

/* Returns after how many ns the thread reports that there is no answer. */
static uint64_t fail(struct limiter *l, struct mt_callout_slot *q)
{
	static const enum mt_callout_failure errors[] = {MT_CALLOUT_UNREACHABLE, MT_CALLOUT_REFUSED,
		MT_CALLOUT_BAD_ANSWER, MT_CALLOUT_NO_MEMORY};
	struct mt_rand *r = &l->sim->host_rand;

	switch (sim_below(r, 3)) {
	case 0:
		return silence(l, q);
	case 1:
		says(q, &wrong[sim_below(r, MT_ARRAY_LEN(wrong))]);
		break;
	default:
		mt_rls_kind.fail(q, errors[sim_below(r, MT_ARRAY_LEN(errors))]);
	}
	return sim_between(r, 0, SOON);
}

static bool is_of_b(const struct mt_callout_slot *q)
{
	static const char b[] = "\x0a\x05route\x12\x01"
				"b";
	const struct mt_rls_slot *s = mt_container_of(q, const struct mt_rls_slot, callout);

	return memmem(s->query, s->len, b, sizeof(b) - 1) != NULL;
}

static uint64_t decide(struct limiter *l, struct mt_callout_slot *q)
{
	struct mt_rand *r = &l->sim->host_rand;

	l->n_asked++;
	if (!is_of_b(q)) {
		says(q, &within[sim_below(r, MT_ARRAY_LEN(within))]);
		return sim_between(r, 0, SOON);
	}
	l->n_b++;
	if (l->b == LIMITER_FAILS)
		return fail(l, q);
	if (l->b == LIMITER_MUTE)
		return silence(l, q);
	says(q, &over[sim_below(r, MT_ARRAY_LEN(over))]);
	return sim_between(r, 0, SOON);
}

static void answer(struct sim *s, void *arg, uint64_t n)
{
	struct limiter *l = arg;

	mt_callout_lane_answered(
		mt_callout_slot_at(l->lane[n / MT_CALLOUT_SLOTS], n % MT_CALLOUT_SLOTS));
	mesh_kick(l->mesh, s->now);
}

/* ---- after a turn ---------------------------------------------------------------------------- */

static void check_wait(struct limiter *l, uint32_t worker, const struct mt_exchange *ex)
{
	struct limiter_wait *w = &l->wait[worker][ex->self.idx];

	if (!mt_ref_eq(w->call, ex->self))
		*w = (struct limiter_wait){.call = ex->self, .since = l->sim->now};
	else if (l->sim->now > w->since + l->longest && ++w->late > LATE_MAX)
		sim_fail(l->sim, "worker %u: a call waits for %llu ms for the rate limit service",
			worker, (unsigned long long)((l->sim->now - w->since) / MT_MSEC));
}

/* Nothing else makes calls wait in this state here. */
static void check_waits(struct limiter *l, uint32_t worker)
{
	struct mt_proxy *p = mt_worker_proxy(l->mesh->w[worker]);
	const struct mt_exchange *ex;
	uint32_t at = 0;

	while ((ex = mt_slab_next(&p->exchanges, &at)))
		if (ex->state == MT_EX_SUSPENDED)
			check_wait(l, worker, ex);
}

void limiter_turn(struct limiter *l, uint32_t worker)
{
	struct mt_callout_slot *q;

	check_waits(l, worker);
	while ((q = mt_callout_lane_asked(l->lane[worker])))
		sim_at(l->sim, l->sim->now + decide(l, q), answer, l,
			worker * MT_CALLOUT_SLOTS + q->index);
}
