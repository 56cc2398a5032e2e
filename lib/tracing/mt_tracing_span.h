/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans as bytes for collectors: OTLP and Zipkin v2. Pure functions without allocation. Texts may
 * have any content: bytes that are not UTF-8, and NUL, become U+FFFD. A span that is too large is
 * cut, not lost: texts are shortened, and tags that have no space are left out.
 */
#pragma once

#include "mt_addr.h"
#include "mt_tracing.h"

#define MT_TRACING_SPAN	    (16u << 10) /* bytes of a span, at most */
#define MT_TRACING_RESOURCE 8192	/* bytes of a resource or scope, at most */
#define MT_TRACING_TEXT	    256		/* bytes of a name, a message or a key of a tag */
#define MT_TRACING_VALUE    4096	/* bytes of a value, whatever the provider allows */
#define MT_TRACING_STATE    512		/* bytes of tracestate */
#define MT_TRACING_TAGS	    64		/* most tags of a span */

/* Numbers of OTLP. */
enum mt_tracing_kind { MT_TRACING_SERVER = 2, MT_TRACING_CLIENT = 3 };

struct mt_tracing_tag {
	struct mt_slice key, value;
};

/* One side of a call. OTLP has no fields for it. */
struct mt_tracing_end {
	struct mt_slice service; /* len 0: unknown */
	struct mt_addr addr;	 /* all zero: unknown */
	uint16_t port;		 /* 0: unknown */
};

/* A view: the texts belong to its maker. */
struct mt_tracing_span {
	enum mt_tracing_kind kind;
	uint8_t trace_len; /* MT_TRACE_ID or 8 */
	bool has_parent;
	bool is_parent_remote; /* the parent is a span of the client */
	bool is_debug;	       /* B3 */
	bool failed;
	uint8_t trace[MT_TRACE_ID], id[MT_SPAN_ID], parent[MT_SPAN_ID];
	uint64_t start, end; /* ns since 1970 */
	struct mt_slice name;
	struct mt_slice state;	 /* tracestate; left out if it is longer, or not printable ASCII */
	struct mt_slice message; /* why it failed */
	const struct mt_tracing_tag *tags;
	uint32_t n_tags;
	struct mt_tracing_end local, remote;
};

/* Limits of a provider, and what they cost. */
struct mt_tracing_limits {
	uint32_t tag; /* bytes of a tag's value, at most */
	uint64_t cut; /* texts that were shortened, and tags and states that were left out */
};

/* Field spans of ScopeSpans, with its tag. Returns the length. */
uint32_t mt_tracing_otlp_span(const struct mt_tracing_span *s, struct mt_tracing_limits *limits,
	uint8_t to[MT_TRACING_SPAN]);
/*
 * An object of Zipkin's list, without a NUL. A failed span has the tag "error" instead of another
 * one with this key. Returns the length.
 */
uint32_t mt_tracing_zipkin_span(const struct mt_tracing_span *s, struct mt_tracing_limits *limits,
	char to[MT_TRACING_SPAN]);

/* Field resource of ResourceSpans, with its tag. At most MT_TRACING_TAGS attributes. */
uint32_t mt_tracing_otlp_resource(const struct mt_tracing_tag *attributes, uint32_t n,
	struct mt_tracing_limits *limits, uint8_t to[MT_TRACING_RESOURCE]);
/* Field scope of ScopeSpans, with its tag. */
uint32_t mt_tracing_otlp_scope(
	const char *name, const char *version, uint8_t to[MT_TRACING_RESOURCE]);
