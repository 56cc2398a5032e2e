/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry policy of a route: when a call gets another attempt, and how long an attempt may last.
 * Built by the control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Reasons for which an attempt ended without a reply that is forwarded; bits of mt_retry.on. */
enum mt_retry_on {
	MT_RETRY_UNSENT = 1, /* no connection could be had; nothing was sent */
	MT_RETRY_UNREAD = 2, /* sent, and provably not read by the server */
	/* The connection ended, or the time of the attempt passed; the call may have been read. */
	MT_RETRY_LOST = 4,
	/* The server replied with an error of this class (enum mt_msg_status). */
	MT_RETRY_UNAVAILABLE = 8,
	MT_RETRY_OVERLOAD = 16,
	MT_RETRY_DEADLINE = 32,
	MT_RETRY_SERVER_ERROR = 64,
};

/* Size of the text of all reasons. */
#define MT_RETRY_TEXT 128
/*
 * Writes the words of Envoy for the reasons, with `between` between them: "reset,unavailable".
 * Returns `text`.
 */
const char *mt_retry_text(uint32_t on, const char *between, char text[MT_RETRY_TEXT]);

struct mt_retry {
	uint32_t on; /* enum mt_retry_on */
	/*
	 * Attempts by this policy, at most; attempts of calls that were not read come on top. 0: the
	 * policy has only try_ms.
	 */
	uint32_t attempts;
	/*
	 * Time of an attempt, from its last byte sent on; 0: the call's time-out. No effect on one-way
	 * calls.
	 */
	uint32_t try_ms;
	/*
	 * The wait before the n-th attempt by this policy is uniform in
	 * [0, min(base_ms * 2^(n - 1), max_ms)), as Envoy's (JitteredExponentialBackOffStrategy). Its
	 * documentation has 2^n - 1 instead.
	 */
	uint32_t base_ms, max_ms;
	bool same_hosts; /* endpoints that were tried may be chosen before all others were */
};
