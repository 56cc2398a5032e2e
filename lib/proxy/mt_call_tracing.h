/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing of a service's calls, as the snapshot has it (docs/internals/tracing.md). */
#pragma once

#include "mt_metadata.h"
#include "mt_tracing.h"

struct mt_alog_tags;
struct mt_codec;

struct mt_call_tracing {
	struct mt_tracing_rule rule;
	/* Each attempt has a span, which is the parent of the server's; else the call's own is. */
	bool attempts;
	bool istio;   /* spans have Istio's tags */
	uint64_t key; /* mt_alog_want.key of the output that gets the spans; 0: no spans are sent */
	const struct mt_alog_tags *tags; /* of documents, in all spans; NULL: none */
	/* By mt_call_tracing_keys(): */
	uint8_t placed;	  /* bits by enum mt_span_key: the codec finds the key without a search */
	uint64_t lengths; /* bits of the keys' lengths */
	struct mt_key keys[MT_SPAN_ALL_KEYS];
};

/* Compiles the keys for the codec of the service's protocol. */
void mt_call_tracing_keys(struct mt_call_tracing *t, const struct mt_codec *codec);

/* The spans of a call. */
enum mt_call_traced {
	MT_CALL_UNTRACED,	 /* none */
	MT_CALL_TRACED,		 /* one; servers get it as the parent */
	MT_CALL_TRACED_ATTEMPTS, /* and one for each attempt, which servers get as the parent */
	MT_CALL_N_TRACED
};
