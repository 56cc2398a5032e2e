/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rls_client.h"

#include <errno.h>
#include <string.h>
#include <time.h>

_Static_assert(
	offsetof(struct mt_rls_slot, callout) == 0, "lib/callout finds slots by their start");

static struct mt_rls_slot *slot_of(struct mt_callout_slot *s)
{
	return mt_container_of(s, struct mt_rls_slot, callout);
}

/* ---- thread ---------------------------------------------------------------------------------- */

static uint8_t *pack(const struct mt_callout_slot *of, size_t *len)
{
	const struct mt_rls_slot *s = mt_container_of(of, const struct mt_rls_slot, callout);
	uint8_t *bytes = malloc(s->len);

	if (!bytes)
		return NULL;
	memcpy(bytes, s->query, s->len);
	*len = s->len;
	return bytes;
}

static void fail(struct mt_callout_slot *of, enum mt_callout_failure why)
{
	struct mt_rls_slot *s = slot_of(of);

	s->verdict = why == MT_CALLOUT_EXPIRED ? MT_RLS_EXPIRED : MT_RLS_UNJUDGED;
}

static uint64_t unix_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

static void decode(struct mt_callout_slot *of, const uint8_t *data, size_t len)
{
	struct mt_rls_slot *s = slot_of(of);

	if (!mt_rls_read(&s->answer, s->keys.n, data, len, unix_now())) {
		fail(of, MT_CALLOUT_BAD_ANSWER);
		return;
	}
	s->verdict = s->answer.code == MT_RLS_OK ? MT_RLS_WITHIN : MT_RLS_OVER;
}

static void done(struct mt_callout *x, const struct mt_callout_slot *s)
{
}

const struct mt_callout_kind mt_rls_kind = {.thread = "mt-rls",
	.what = "rate limit service",
	.method = MT_RLS_METHOD,
	.slot_size = sizeof(struct mt_rls_slot),
	.pack = pack,
	.read = decode,
	.fail = fail,
	.done = done};

struct mt_callout *mt_rls_new(uint32_t n_workers, struct mt_err *e)
{
	struct mt_callout *x = aligned_alloc(MT_CACHE_LINE, sizeof(*x));

	if (!x) {
		mt_err(e, -ENOMEM, "the %s thread: %s", mt_rls_kind.what, strerror(ENOMEM));
		return NULL;
	}
	memset(x, 0, sizeof(*x));
	if (mt_callout_init(x, &mt_rls_kind, n_workers, e) == 0)
		return x;
	free(x);
	return NULL;
}

void mt_rls_free(struct mt_callout *x)
{
	if (!x)
		return;
	mt_callout_fini(x);
	free(x);
}

/* ---- worker ---------------------------------------------------------------------------------- */

struct mt_rls_slot *mt_rls_slot(struct mt_callout_lane *l)
{
	struct mt_callout_slot *s = mt_callout_slot(l);

	return s ? slot_of(s) : NULL;
}

void mt_rls_put(
	struct mt_rls_slot *s, const uint8_t *query, size_t len, const struct mt_rls_keys *keys)
{
	MT_ASSERT(len <= sizeof(s->query));
	memcpy(s->query, query, len);
	s->len = (uint32_t)len;
	s->keys = *keys;
}

void mt_rls_ask(struct mt_rls_slot *s, struct mt_callout_provider *p, uint64_t timeout)
{
	mt_callout_ask(&s->callout, p, timeout);
}

struct mt_rls_slot *mt_rls_take(struct mt_callout_lane *l)
{
	struct mt_callout_slot *s = mt_callout_take(l);

	return s ? slot_of(s) : NULL;
}
