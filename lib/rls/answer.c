/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_callout.h"
#include "mt_pb.h"
#include "mt_rls.h"

#include "ratelimit.pb-c.h"

#include <string.h>

/* Memory limit for one decoded answer, which is at most 64 KiB before decoding. */
#define ARENA (512 * 1024)
/* Longer durations and later times count as none: the protocol's own are 10,000 years at most. */
#define SECONDS_MAX ((int64_t)(UINT64_MAX / MT_SEC) - 1)

_Static_assert(MT_RLS_BYTES <= UINT16_MAX, "texts are found by two bytes");

/* ---- texts and times ------------------------------------------------------------------------- */

static bool put(struct mt_rls_answer *a, struct mt_rls_text *t, const void *text, size_t len)
{
	if (len >= MT_RLS_BYTES - a->used)
		return false;
	*t = (struct mt_rls_text){(uint16_t)a->used, (uint16_t)len};
	memcpy(a->bytes + a->used, text, len);
	a->used += (uint32_t)len;
	a->bytes[a->used++] = '\0';
	return true;
}

static bool is_time(int64_t seconds, int32_t nanos)
{
	return seconds >= 0 && seconds <= SECONDS_MAX && nanos >= 0 && nanos < (int32_t)MT_SEC;
}

static uint64_t time_of(int64_t seconds, int32_t nanos)
{
	return (uint64_t)seconds * MT_SEC + (uint64_t)nanos;
}

/* ---- quotas ---------------------------------------------------------------------------------- */

/* Longer ids make a quota useless: it counts as none. */
#define ID_MAX 255

static void read_quota(struct mt_rls_answer *a, struct mt_rls_quota *q,
	const Xds__RateLimitResponse__Quota *from, uint64_t unix_ns)
{
	const Xds__Timestamp *end;
	size_t len;

	if (!from || from->expiration_specifier_case !=
			     XDS__RATE_LIMIT_RESPONSE__QUOTA__EXPIRATION_SPECIFIER_VALID_UNTIL)
		return;
	end = from->valid_until;
	len = strlen(from->id);
	if (!is_time(end->seconds, end->nanos) || time_of(end->seconds, end->nanos) <= unix_ns ||
		len > ID_MAX || !put(a, &q->id, from->id, len))
		return;
	q->requests = from->requests;
	q->lasts = time_of(end->seconds, end->nanos) - unix_ns;
}

/* ---- statuses -------------------------------------------------------------------------------- */

static enum mt_rls_code code_of(int32_t code)
{
	return code == MT_RLS_OK || code == MT_RLS_OVER_LIMIT ? (enum mt_rls_code)code
							      : MT_RLS_UNKNOWN;
}

static void read_status(struct mt_rls_answer *a, struct mt_rls_status *s,
	const Xds__RateLimitResponse__DescriptorStatus *from, uint64_t unix_ns)
{
	const Xds__Duration *reset = from->duration_until_reset;

	s->code = code_of(from->code);
	s->remaining = from->limit_remaining;
	read_quota(a, &s->quota, from->quota, unix_ns);
	if (reset && is_time(reset->seconds, reset->nanos)) {
		s->has_reset = true;
		s->reset = time_of(reset->seconds, reset->nanos);
	}
}

static void read_statuses(struct mt_rls_answer *a, uint32_t n_descriptors,
	const Xds__RateLimitResponse *r, uint64_t unix_ns)
{
	if (r->n_statuses != n_descriptors || n_descriptors > MT_RLS_DESCRIPTORS)
		return;
	for (; a->n_statuses < n_descriptors; a->n_statuses++)
		read_status(a, &a->status[a->n_statuses], r->statuses[a->n_statuses], unix_ns);
}

/* ---- headers --------------------------------------------------------------------------------- */

/* Returns how many of the headers have a place in `list`. */
static uint32_t read_headers(struct mt_rls_answer *a, struct mt_rls_header *list,
	Xds__HeaderValue *const *from, size_t n)
{
	uint32_t kept = 0;

	for (size_t i = 0; i < n && kept < MT_RLS_HEADERS; i++) {
		const Xds__HeaderValue *h = from[i];
		struct mt_rls_header *to = &list[kept];
		bool raw = h->raw_value.len > 0;
		uint32_t used = a->used;

		if (!mt_callout_is_metadata(h->key))
			continue;
		if (put(a, &to->key, h->key, strlen(h->key)) &&
			put(a, &to->value, raw ? (const void *)h->raw_value.data : h->value,
				raw ? h->raw_value.len : strlen(h->value)))
			kept++;
		else
			a->used = used;
	}
	return kept;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void begin(struct mt_rls_answer *a)
{
	a->code = MT_RLS_UNKNOWN;
	a->n_statuses = a->n_headers = a->n_reply_headers = a->used = 0;
	memset(a->status, 0, sizeof(a->status));
	memset(&a->quota, 0, sizeof(a->quota));
}

bool mt_rls_read(struct mt_rls_answer *a, uint32_t n_descriptors, const uint8_t *data, size_t len,
	uint64_t unix_ns)
{
	struct mt_pb_arena arena;
	Xds__RateLimitResponse *r;
	const char *why;

	begin(a);
	mt_pb_arena_init(&arena, ARENA);
	r = mt_pb_unpack(&arena, &xds__rate_limit_response__descriptor, data, len, &why);
	if (r) {
		a->code = code_of(r->overall_code);
		read_statuses(a, n_descriptors, r, unix_ns);
		read_quota(a, &a->quota, r->quota, unix_ns);
		a->n_headers = read_headers(
			a, a->header, r->request_headers_to_add, r->n_request_headers_to_add);
		/* Last, so that they take no room from what the decision needs. */
		a->n_reply_headers = read_headers(a, a->reply_header, r->response_headers_to_add,
			r->n_response_headers_to_add);
	}
	mt_pb_arena_fini(&arena);
	return a->code != MT_RLS_UNKNOWN;
}
