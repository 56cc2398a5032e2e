/* SPDX-License-Identifier: Apache-2.0 */
/* External authorization as a protocol of lib/callout: providers, slots, thread and counters. */
#include "mt_extauthz_priv.h"

#include "mt_callout_priv.h"

#include <errno.h>
#include <string.h>

_Static_assert(MT_EXTAUTHZ_BYTES <= UINT16_MAX, "texts are found by two bytes");
_Static_assert(
	offsetof(struct mt_extauthz_slot, callout) == 0, "lib/callout finds slots by their start");

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "extauthz_outcomes.def"
#undef MT_OUTCOME
};
const struct mt_outcome_set mt_extauthz_outcomes = {"extauthz", rows, MT_ARRAY_LEN(rows)};

/* ---- the protocol ---------------------------------------------------------------------------- */

static struct mt_extauthz_slot *slot_of(struct mt_callout_slot *s)
{
	return mt_container_of(s, struct mt_extauthz_slot, callout);
}

static uint8_t *pack(const struct mt_callout_slot *s, size_t *len)
{
	return mt_extauthz_pack(mt_container_of(s, const struct mt_extauthz_slot, callout), len);
}

static void decode(struct mt_callout_slot *s, const uint8_t *data, size_t len)
{
	mt_extauthz_read(slot_of(s), data, len);
}

static void fail(struct mt_callout_slot *s, enum mt_callout_failure why)
{
	static const enum mt_extauthz_outcome outcomes[] = {
		[MT_CALLOUT_UNREACHABLE] = MT_EXTAUTHZ_unreachable,
		[MT_CALLOUT_LATE] = MT_EXTAUTHZ_late,
		[MT_CALLOUT_EXPIRED] = MT_EXTAUTHZ_late,
		[MT_CALLOUT_REFUSED] = MT_EXTAUTHZ_refused,
		[MT_CALLOUT_BAD_ANSWER] = MT_EXTAUTHZ_bad_answer,
		[MT_CALLOUT_NO_MEMORY] = MT_EXTAUTHZ_no_memory};

	mt_extauthz_unjudged(slot_of(s), outcomes[why]);
	if (why == MT_CALLOUT_EXPIRED)
		slot_of(s)->verdict = MT_EXTAUTHZ_EXPIRED;
}

static void done(struct mt_callout *x, const struct mt_callout_slot *s)
{
	struct mt_extauthz *of = mt_container_of(x, struct mt_extauthz, callout);

	mt_count(of->counters, mt_container_of(s, const struct mt_extauthz_slot, callout)->why);
}

static const struct mt_callout_kind kind = {.thread = "mt-extauthz",
	.what = "external authorization",
	.method = "/envoy.service.auth.v3.Authorization/Check",
	.slot_size = sizeof(struct mt_extauthz_slot),
	.pack = pack,
	.read = decode,
	.fail = fail,
	.done = done};

/* ---- providers ------------------------------------------------------------------------------- */

struct mt_extauthz_provider *mt_extauthz_of(struct mt_callout_provider *p)
{
	return mt_container_of(p, struct mt_extauthz_provider, callout);
}

struct mt_extauthz_provider *mt_extauthz_provider_new(const struct mt_callout_conf *conf)
{
	struct mt_callout_provider *p = mt_callout_provider_new(conf);

	return p ? mt_extauthz_of(p) : NULL;
}

struct mt_extauthz_provider *mt_extauthz_hold(struct mt_extauthz_provider *p)
{
	(void)mt_callout_hold(&p->callout);
	return p;
}

void mt_extauthz_drop(struct mt_extauthz_provider *p)
{
	if (p)
		mt_callout_drop(&p->callout);
}

uint32_t mt_extauthz_id(const struct mt_extauthz_provider *p)
{
	return p->callout.id;
}

const char *mt_extauthz_name(const struct mt_extauthz_provider *p)
{
	return p->callout.name;
}

bool mt_extauthz_fails_open(const struct mt_extauthz_provider *p)
{
	return p->callout.fail_open;
}

/* ---- queries --------------------------------------------------------------------------------- */

uint32_t mt_extauthz_room(const struct mt_extauthz_lane *l)
{
	return mt_callout_room(&l->callout);
}

struct mt_extauthz_slot *mt_extauthz_slot(struct mt_extauthz_lane *l)
{
	struct mt_callout_slot *callout = mt_callout_slot(&l->callout);
	struct mt_extauthz_slot *s;

	if (!callout)
		return NULL;
	s = slot_of(callout);
	/* Entries and bytes need no reset: only those counted by n_entries and `used` are read. */
	s->source_principal = s->destination_principal = s->service = s->protocol = s->interface =
		s->method = s->sni = (struct mt_extauthz_text){0, 0};
	s->n_entries = s->n_changes = s->used = 0;
	return s;
}

bool mt_extauthz_put(
	struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const void *text, size_t len)
{
	if (len >= MT_EXTAUTHZ_BYTES - s->used)
		return false;
	*t = (struct mt_extauthz_text){(uint16_t)s->used, (uint16_t)len};
	memcpy(s->bytes + s->used, text, len);
	s->used += (uint32_t)len;
	/* protobuf-c needs texts that end with NUL. */
	s->bytes[s->used++] = '\0';
	return true;
}

void mt_extauthz_ask(
	struct mt_extauthz_lane *l, struct mt_extauthz_slot *s, struct mt_extauthz_provider *p)
{
	MT_ASSERT(s->callout.lane == &l->callout);
	s->asked = p->callout.id;
	s->fails_open = p->callout.fail_open;
	mt_callout_ask(&s->callout, &p->callout, s->timeout);
}

struct mt_extauthz_slot *mt_extauthz_take(struct mt_extauthz_lane *l)
{
	struct mt_callout_slot *s = mt_callout_take(&l->callout);

	return s ? slot_of(s) : NULL;
}

void mt_extauthz_give_back(struct mt_extauthz_lane *l, struct mt_extauthz_slot *s)
{
	MT_ASSERT(s->callout.lane == &l->callout);
	mt_callout_give_back(&s->callout);
}

uint32_t mt_extauthz_index(const struct mt_extauthz_lane *l, const struct mt_extauthz_slot *s)
{
	return s->callout.index;
}

/* ---- the thread ------------------------------------------------------------------------------ */

struct mt_extauthz *mt_extauthz_new(uint32_t n_workers, struct mt_err *e)
{
	struct mt_extauthz *x = aligned_alloc(MT_CACHE_LINE, sizeof(*x));

	if (!x) {
		mt_err(e, -ENOMEM, "the %s thread: %s", kind.what, strerror(ENOMEM));
		return NULL;
	}
	memset(x, 0, sizeof(*x));
	if (mt_callout_init(&x->callout, &kind, n_workers, e) == 0)
		return x;
	free(x);
	return NULL;
}

void mt_extauthz_free(struct mt_extauthz *x)
{
	if (!x)
		return;
	mt_callout_fini(&x->callout);
	free(x);
}

struct mt_extauthz_lane *mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker)
{
	return mt_container_of(
		mt_callout_lane(&x->callout, worker), struct mt_extauthz_lane, callout);
}

void mt_extauthz_wake(struct mt_extauthz_lane *l, void (*wake)(uint64_t who), uint64_t who)
{
	mt_callout_wake(&l->callout, wake, who);
}

uint64_t mt_extauthz_counter(const struct mt_extauthz *x, enum mt_extauthz_outcome o)
{
	return mt_count_read(&x->counters[o]);
}

const uint64_t *mt_extauthz_counters(const struct mt_extauthz *x)
{
	return x->counters;
}

bool mt_extauthz_trouble(struct mt_extauthz *x, uint32_t i, struct mt_callout_trouble *t)
{
	return mt_callout_trouble(&x->callout, i, t);
}

/* ---- for tests ------------------------------------------------------------------------------- */

bool mt_extauthz_lane_init(struct mt_extauthz *x, struct mt_extauthz_lane *l)
{
	x->callout.kind = &kind;
	return mt_callout_lane_init(&x->callout, &l->callout);
}

void mt_extauthz_lane_fini(struct mt_extauthz_lane *l)
{
	mt_callout_lane_fini(&l->callout);
}

struct mt_extauthz_slot *mt_extauthz_lane_asked(struct mt_extauthz_lane *l)
{
	struct mt_callout_slot *s = mt_callout_lane_asked(&l->callout);

	return s ? slot_of(s) : NULL;
}

void mt_extauthz_lane_answered(struct mt_extauthz_slot *s)
{
	mt_callout_lane_answered(&s->callout);
}
