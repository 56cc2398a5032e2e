/* SPDX-License-Identifier: Apache-2.0 */
/* RetryPolicy of routes and virtual hosts. */
#include "mt_xds_map_priv.h"

#include <string.h>

#define PREDICATE    "envoy.retry_host_predicates."
#define STATUS_CODES "retriable-status-codes"
#define RETRIES_MAX  100u

/* Words with commas between them. *by_status: statuses are reasons, too. */
static void retry_on(
	struct mt_xmap *m, const char *text, struct mt_rule_retries *r, bool *by_status)
{
	while (*text) {
		size_t len = strcspn(text, ", \t");
		uint32_t on = 0;

		if (len == strlen(STATUS_CODES) && memcmp(text, STATUS_CODES, len) == 0)
			*by_status = true;
		else if (len && (!mt_rule_retry_on(text, len, &on) || !on))
			mt_xm_note(m, MT_XDS_NOTE_retry_word, "retry_on");
		r->on |= on;
		text += len;
		text += strspn(text, ", \t");
	}
}

static void statuses(
	struct mt_xmap *m, const Xds__RetryPolicy *p, bool heeded, struct mt_rule_retries *r)
{
	for (size_t i = 0; i < p->n_retriable_status_codes; i++) {
		uint32_t code = p->retriable_status_codes[i], on = 0;
		const char word[] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
			(char)('0' + code % 10)};

		if (heeded && code < 1000)
			(void)mt_rule_retry_on(word, sizeof(word), &on);
		if (!on)
			mt_xm_note(m, MT_XDS_NOTE_retry_status, "retriable_status_codes");
		r->on |= on;
	}
}

/* Envoy prefers endpoints that were not tried only if a predicate requires it. */
static void hosts(struct mt_xmap *m, const Xds__RetryPolicy *p, struct mt_rule_retries *r)
{
	r->other_hosts.set = true;
	for (size_t i = 0; i < p->n_retry_host_predicate; i++) {
		const char *name = p->retry_host_predicate[i]->name;
		uint32_t mark = mt_xm_at(m, "retry_host_predicate", i);

		if (strcmp(name, PREDICATE "previous_hosts") == 0)
			r->other_hosts.v = true;
		else
			mt_xm_note(m, MT_XDS_NOTE_retry_host, "name");
		mt_xm_out(m, mark);
	}
}

static bool back_off(
	struct mt_xmap *m, const Xds__RetryPolicy__RetryBackOff *b, struct mt_rule_retries *r)
{
	uint32_t mark = mt_xm_in(m, "retry_back_off");

	if (!b) {
		mt_xm_out(m, mark);
		return true;
	}
	if (!b->base_interval)
		return mt_xm_bad(m, "base_interval", "missing");
	r->backoff.set = true;
	r->backoff_max.set = b->max_interval != NULL;
	if (!mt_xm_ms(m, "base_interval", b->base_interval, 1, &r->backoff.v) ||
		!mt_xm_ms(m, "max_interval", b->max_interval, 1, &r->backoff_max.v))
		return false;
	if (r->backoff_max.set && r->backoff_max.v < r->backoff.v)
		return mt_xm_bad(m, "max_interval", "shorter than base_interval");
	mt_xm_out(m, mark);
	return true;
}

static bool policy(struct mt_xmap *m, const Xds__RetryPolicy *p, struct mt_rule_retries *r)
{
	bool by_status = false;

	r->origin.file = m->out->meta->origin.file;
	r->on_written = true;
	r->attempts = (struct mt_num){.v = 1, .set = true};
	if (!mt_xm_u32(m, "num_retries", p->num_retries, 0, UINT32_MAX, &r->attempts.v) ||
		!mt_xm_ms(m, "per_try_timeout", p->per_try_timeout, 0, &r->per_try.v) ||
		!back_off(m, p->retry_back_off, r))
		return false;
	if (r->attempts.v > RETRIES_MAX)
		mt_xm_note(m, MT_XDS_NOTE_retry_many, "num_retries");
	r->attempts.v = MT_MIN(r->attempts.v, RETRIES_MAX);
	r->per_try.set = r->per_try.v != 0;
	retry_on(m, p->retry_on, r, &by_status);
	statuses(m, p, by_status, r);
	hosts(m, p, r);
	if (p->n_retriable_request_headers) {
		mt_xm_note(m, MT_XDS_NOTE_retry_some, "retriable_request_headers");
		r->attempts.v = 0;
	}
	return true;
}

bool mt_xm_retries(struct mt_xmap *m, const Xds__RetryPolicy *p, struct mt_rule_retries **out)
{
	uint32_t mark = mt_xm_in(m, "retry_policy");

	if (p) {
		*out = mt_xm_alloc(m, sizeof(**out));
		if (!*out || !policy(m, p, *out))
			return false;
	}
	mt_xm_out(m, mark);
	return true;
}
