/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for exchanges, by origin (docs/internals/proxy.md#origins). */
#include "call/mt_call_priv.h"

const struct mt_call_rules mt_call_rules[MT_CALL_ORIGINS] = {
	[MT_CALL_OF_CLIENT] =
		{
			.answered = MT_PROXY_exchange_answered,
			.oneway = MT_PROXY_exchange_oneway,
			.oneway_learnt = MT_PROXY_exchange_oneway_learnt,
			.recorded = true,
			.sent_again = true,
			.acknowledged = true,
		},
	[MT_CALL_OF_MIRROR] =
		{
			.answered = MT_PROXY_mirror_answered,
			.oneway = MT_PROXY_mirror_oneway,
			.oneway_learnt = MT_PROXY_mirror_oneway,
		},
};
