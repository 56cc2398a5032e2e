/* SPDX-License-Identifier: Apache-2.0 */
/* `retries` of a route, as Istio's VirtualService has it; the words are those of Envoy. */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

#define MOST	  100u /* attempts */
#define WORD_SIZE 40

#define BACK_OFF_MAX 3600000u /* ms */

#define UNAVAILABLE (MT_RULE_RETRY_UNAVAILABLE | MT_RULE_RETRY_OVERLOAD)

/* True for the first word of several that is not heeded; it is warned of for all of them. */
static bool add_word(struct mt_fctx *c, const struct mt_ynode *n, const char *word, bool warned,
	struct mt_rule_retries *r)
{
	uint32_t on = 0;

	if (!mt_rule_retry_on(word, strlen(word), &on)) {
		mt_f_error(c, n->line,
			"write connect-failure, refused-stream, reset, unavailable, gateway-error "
			"or 5xx",
			"unknown reason for a retry: \"%s\"", word);
		return false;
	}
	r->on |= on;
	if (on || warned)
		return false;
	mt_f_warn(c, n->line, "write unavailable, gateway-error or 5xx",
		"%s has no effect: replies of RPC protocols do not have this status", word);
	return true;
}

/* Words with commas between them. */
static void read_on(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule_retries *r = obj;
	struct mt_text text = {0};
	bool warned = false;
	const char *at;

	if (!mt_read_text(c, n, &text))
		return;
	r->on_written = true;
	for (at = text.s; at && *at;) {
		size_t len = strcspn(at, ", \t");
		char word[WORD_SIZE];

		snprintf(word, sizeof(word), "%.*s", (int)MT_MIN(len, sizeof(word) - 1), at);
		if (len)
			warned |= add_word(c, n, word, warned, r);
		at += len;
		at += strspn(at, ", \t");
	}
}

static const struct mt_field fields[] = {
	{"attempts", MT_F_NUM, AT(struct mt_rule_retries, attempts), .max = MOST,
		.help = "attempts after the first; 0: none by this policy"},
	{"perTryTimeout", MT_F_DURATION, AT(struct mt_rule_retries, per_try), .min = 1,
		.help = "time of an attempt, from its last byte sent on, after which the call has "
			"another one if `retryOn` has `reset`, else ends; no effect on one-way "
			"calls, or if `attempts` is 0; default: the call's `timeout`"},
	{"retryOn", MT_F_CUSTOM, .custom = read_on,
		.help = "`connect-failure`, `refused-stream` (not read), `reset` (these two, or "
			"the connection ended, or `perTryTimeout` passed; the server may have read "
			"the call), `reset-before-request` (the first two); by the class of an "
			"error reply: "
			"`unavailable` or `503` (unavailable, overload), `resource-exhausted` "
			"(overload), `deadline-exceeded` or `504`, `internal` or `500` (server "
			"error); `gateway-error` (all without `500`), `5xx` (all), with commas "
			"between them; default: `connect-failure,refused-stream,unavailable`. "
			"Other statuses have no effect (warning)"},
	{"backoff", MT_F_DURATION, AT(struct mt_rule_retries, backoff), .min = 1,
		.max = BACK_OFF_MAX,
		.help = "base of the wait before an attempt, which is random and doubles up to "
			"ten times this; default: 25 ms"},
	{"retryIgnorePreviousHosts", MT_F_BOOL, AT(struct mt_rule_retries, other_hosts),
		.help = "an endpoint that was not tried yet is preferred; default: true"},
	{"retryRemoteLocalities", MT_F_LATER,
		.help = "the balancer chooses among localities as for the first attempt"},
};

static void check(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule_retries *r = obj;

	if (!r->on_written)
		r->on = MT_RULE_RETRY_UNSENT | MT_RULE_RETRY_UNREAD | UNAVAILABLE;
	/* As in Istio; xDS policies without retries keep it. */
	if (r->per_try.set && !r->attempts.v) {
		mt_f_warn(c, r->per_try.line, "set attempts, or remove it",
			"perTryTimeout has no effect: attempts is 0");
		r->per_try = (struct mt_num){0};
	}
	if (r->attempts.set && r->attempts.v && !r->on)
		mt_f_warn(c, n->line,
			"add connect-failure, refused-stream, reset or 5xx to retryOn",
			"none of its reasons causes another attempt");
}

const struct mt_section mt_sec_retries = {"retries", sizeof(struct mt_rule_retries),
	MT_ARRAY_LEN(fields), .fields = fields, .after = check};
