/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/filter: one step of the layer-7 chain. A filter is a table entry and a folder; its compiled
 * configuration is immutable, its mutable state (buckets) is found by stable identity at publish.
 */
#pragma once

#include "mt_view.h"

enum mt_filter_verdict {
	MT_FILTER_NEXT,	   /* go on with the next filter */
	MT_FILTER_REPLY,   /* answer now: ctx->reply, ctx->reply_text */
	MT_FILTER_SUSPEND, /* an answer comes later: mt_filter_resume(ctx->token) */
};

/* What a filter is given besides the view; one per exchange and direction. */
struct mt_filter_ctx {
	uint64_t now; /* ns */
	uint16_t worker;
	uint16_t workers; /* how many there are: shares of exact buckets */
	enum mt_local_reply reply;
	const char *reply_text;
	uint64_t token;
	struct mt_filter_worker *fw; /* per-worker state of filters (bucket caches) */
};

struct mt_filter;

/* One configured filter in a listener's or service's chain. */
struct mt_filter_inst {
	const struct mt_filter *type;
	void *conf; /* compiled, immutable, the type's own */
};

struct mt_filter {
	const char *name;	 /* "local_ratelimit" */
	const char *aeraki_name; /* "aeraki.meta_protocol.filters.local_ratelimit" */
	enum mt_filter_verdict (*on_request)(
		const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);
	enum mt_filter_verdict (*on_reply)(
		const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);
	void (*free_conf)(void *conf);
};

extern const struct mt_filter *const mt_filters[]; /* NULL-terminated */
const struct mt_filter *mt_filter_find(const char *name);
