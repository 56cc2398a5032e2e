/* SPDX-License-Identifier: Apache-2.0 */
/* The outcomes that a worker counts, and the reasons for resets that correspond to them. */
#include "mt_proxy_base.h"

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "proxy_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_proxy_outcomes = {"proxy", rows, MT_ARRAY_LEN(rows)};

enum mt_abort_reason mt_abort_of(enum mt_proxy_outcome why)
{
	switch (why) {
	case MT_PROXY_slow_reader:
	case MT_PROXY_message_stalled:
	case MT_PROXY_up_stalled:
	case MT_PROXY_chain_timeout:
		return MT_ABORT_SLOW;
	case MT_PROXY_up_malformed:
	case MT_PROXY_hello_too_long:
	case MT_PROXY_hello_malformed:
	case MT_PROXY_hello_truncated:
	case MT_PROXY_hello_late:
	case MT_PROXY_protocol_unknown:
		return MT_ABORT_PROTOCOL;
	case MT_PROXY_reply_truncated:
		return MT_ABORT_RELAYED;
	default:
		return MT_ABORT_CANCELLED;
	}
}
