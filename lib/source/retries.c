/* SPDX-License-Identifier: Apache-2.0 */
/* `retries` of a route, as Istio's VirtualService has it; the words are those of Envoy. */
#include "mt_fields.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MOST	  100u /* attempts */
#define WORD_SIZE 40

#define BACK_OFF_MAX 3600000u /* ms */

#define NO_REPLY    (MT_RULE_RETRY_UNSENT | MT_RULE_RETRY_UNREAD | MT_RULE_RETRY_LOST)
#define UNAVAILABLE (MT_RULE_RETRY_UNAVAILABLE | MT_RULE_RETRY_OVERLOAD)
#define GATEWAY	    (NO_REPLY | UNAVAILABLE | MT_RULE_RETRY_DEADLINE)

static const struct word {
	const char *name;
	uint32_t on;   /* enum mt_rule_retry */
	bool unheeded; /* RPC protocols have no such reply */
} words[] = {
	{"connect-failure", MT_RULE_RETRY_UNSENT, false},
	{"refused-stream", MT_RULE_RETRY_UNREAD, false},
	{"reset", MT_RULE_RETRY_UNREAD | MT_RULE_RETRY_LOST, false},
	{"reset-before-request", MT_RULE_RETRY_UNREAD, false},
	{"5xx", GATEWAY | MT_RULE_RETRY_SERVER_ERROR, false},
	{"gateway-error", GATEWAY, false},
	{"unavailable", UNAVAILABLE, false},
	{"503", UNAVAILABLE, false},
	{"resource-exhausted", MT_RULE_RETRY_OVERLOAD, false},
	{"deadline-exceeded", MT_RULE_RETRY_DEADLINE, false},
	{"504", MT_RULE_RETRY_DEADLINE, false},
	{"internal", MT_RULE_RETRY_SERVER_ERROR, false},
	{"500", MT_RULE_RETRY_SERVER_ERROR, false},
	{"cancelled", 0, true},
	{"retriable-4xx", 0, true},
	{"retriable-status-codes", 0, true},
	{"retriable-headers", 0, true},
	{"envoy-ratelimited", 0, true},
	{"http3-post-connect-failure", 0, true},
};

/* A number of HTTP's, from 100 to 599. */
static bool is_status(const char *word)
{
	return strlen(word) == 3 && word[0] >= '1' && word[0] <= '5' && isdigit((uint8_t)word[1]) &&
	       isdigit((uint8_t)word[2]);
}

static const struct word *find_word(const char *word)
{
	static const struct word status = {NULL, 0, true};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(words[i].name, word) == 0)
			return &words[i];
	return is_status(word) ? &status : NULL;
}

/* True for the first word of several that is not heeded; it is warned of for all of them. */
static bool add_word(struct mt_fctx *c, const struct mt_ynode *n, const char *word, bool warned,
	struct mt_rule_retries *r)
{
	const struct word *w = find_word(word);

	if (!w) {
		mt_f_error(c, n->line,
			"write connect-failure, refused-stream, reset, unavailable, gateway-error "
			"or 5xx",
			"unknown reason for a retry: \"%s\"", word);
		return false;
	}
	r->on |= w->on;
	if (!w->unheeded || warned)
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
			"another one if `retryOn` has `reset`, else ends; default: the call's "
			"`timeout`"},
	{"retryOn", MT_F_CUSTOM, .custom = read_on,
		.help = "`connect-failure`, `refused-stream` (not read), `reset` (the connection "
			"ended, or `perTryTimeout` passed; the server may have read the call), "
			"`reset-before-request` (not read); by the class of an error reply: "
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
	if (r->attempts.set && r->attempts.v && !r->on)
		mt_f_warn(c, n->line,
			"add connect-failure, refused-stream, reset or 5xx to retryOn",
			"none of its reasons causes another attempt");
}

const struct mt_section mt_sec_retries = {"retries", sizeof(struct mt_rule_retries),
	MT_ARRAY_LEN(fields), .fields = fields, .after = check};
