/* SPDX-License-Identifier: Apache-2.0 */
/* The words for reasons of retries: those of Envoy, and statuses of HTTP as Istio has them. */
#include "mt_model_route.h"

#include <ctype.h>
#include <string.h>

#define NO_REPLY    (MT_RULE_RETRY_UNSENT | MT_RULE_RETRY_UNREAD | MT_RULE_RETRY_LOST)
#define UNAVAILABLE (MT_RULE_RETRY_UNAVAILABLE | MT_RULE_RETRY_OVERLOAD)
#define GATEWAY	    (NO_REPLY | UNAVAILABLE | MT_RULE_RETRY_DEADLINE)

static const struct {
	const char *name;
	uint32_t on; /* 0: RPC protocols have no such reply */
} words[] = {
	{"connect-failure", MT_RULE_RETRY_UNSENT},
	{"refused-stream", MT_RULE_RETRY_UNREAD},
	{"reset", NO_REPLY},
	{"reset-before-request", MT_RULE_RETRY_UNSENT | MT_RULE_RETRY_UNREAD},
	{"5xx", GATEWAY | MT_RULE_RETRY_SERVER_ERROR},
	{"gateway-error", GATEWAY},
	{"unavailable", UNAVAILABLE},
	{"503", UNAVAILABLE},
	{"resource-exhausted", MT_RULE_RETRY_OVERLOAD},
	{"deadline-exceeded", MT_RULE_RETRY_DEADLINE},
	{"504", MT_RULE_RETRY_DEADLINE},
	{"internal", MT_RULE_RETRY_SERVER_ERROR},
	{"500", MT_RULE_RETRY_SERVER_ERROR},
	{"cancelled", 0},
	{"retriable-4xx", 0},
	{"retriable-status-codes", 0},
	{"retriable-headers", 0},
	{"envoy-ratelimited", 0},
	{"http3-post-connect-failure", 0},
};

/* A number of HTTP's, from 100 to 599. */
static bool is_status(const char *word, size_t len)
{
	return len == 3 && word[0] >= '1' && word[0] <= '5' && isdigit((uint8_t)word[1]) &&
	       isdigit((uint8_t)word[2]);
}

bool mt_rule_retry_on(const char *word, size_t len, uint32_t *on)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		if (strlen(words[i].name) != len || memcmp(words[i].name, word, len) != 0)
			continue;
		*on |= words[i].on;
		return true;
	}
	return is_status(word, len);
}
