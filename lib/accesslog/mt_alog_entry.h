/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call, an opaque stream or a refused connection, as a worker writes it to its ring of bytes at
 * its end. Names of the configuration are pointers, so that a worker copies little: they belong to
 * a snapshot that the call or the worker held, and mt_alog_passed() is true when no unread entry
 * can point to it. Texts of the client and the reason are copied and follow the entry. If the call
 * is traced, the same entry has its spans.
 */
#pragma once

#include "mt_alog_kept.h"

#define MT_ALOG_ENTRY_TEXT  256	       /* most bytes of an interface or method */
#define MT_ALOG_REASON_TEXT 120	       /* most bytes of a reason */
#define MT_ALOG_NO_TEXT	    UINT16_MAX /* length of a text that is not set */

/* The outputs of a service's calls, by mt_alog_want.key. */
struct mt_alog_scope {
	uint32_t n;
	uint64_t keys[];
};

#define MT_ALOG_TAGS 32u /* most tags of documents */

/* Tags that documents add to spans. */
struct mt_alog_tags {
	uint32_t n; /* at most MT_ALOG_TAGS */
	struct mt_alog_tag {
		struct mt_slice name;
		struct mt_slice key;   /* of the request's metadata; len 0: none */
		struct mt_slice value; /* without such metadata; len 0: there is no tag */
	} v[];
};

/* Spans of an entry, as bits. */
#define MT_ALOG_SPAN_CALL    1u /* of the call */
#define MT_ALOG_SPAN_ATTEMPT 2u /* of its last attempt so far */

/* The trace of an entry with spans. */
struct mt_alog_spans {
	uint64_t key;			 /* mt_alog_want.key of the output that gets the spans */
	uint64_t attempt_at;		 /* ns, of the entry's clock: start of the attempt */
	const struct mt_alog_tags *tags; /* NULL: none; a name of the configuration */
	uint8_t trace_len;		 /* MT_TRACE_ID or 8 */
	bool has_parent, is_debug;
	bool istio; /* the spans have Istio's tags */
	uint8_t trace[MT_TRACE_ID];
	uint8_t parent[MT_SPAN_ID]; /* span of the sender, if has_parent */
	uint8_t call[MT_SPAN_ID], attempt[MT_SPAN_ID];
};

struct mt_alog_sieve;

/* The results of filters that a worker has evaluated, by a sieve (mt_alog_sieve.h). */
struct mt_alog_verdict {
	const struct mt_alog_sieve *by; /* NULL: it evaluated none */
	uint16_t told, passed;		/* bits by filter: it was evaluated; it was true */
};

struct mt_alog_entry {
	uint64_t wall; /* ns since 1970: the start */
	/*
	 * ns, of one clock; connecting, sent, replied: of the last attempt that came so far; `sent`
	 * of an opaque stream: when its server was connected; 0: none
	 */
	uint64_t started, connecting, sent, replied, ended;
	uint64_t bytes_in, bytes_out;		       /* of the request, of the reply */
	const char *protocol, *host, *route, *cluster; /* NULL: not known */
	/* NULL: mt_alog_want.general, or `unserved` if `host` is NULL */
	const struct mt_alog_scope *scope;
	struct mt_alog_verdict verdict;
	struct mt_ref exchange;
	uint32_t flags; /* enum mt_response_flag in addition to the ending's */
	uint16_t code;	/* replaces that of the ending; 0: does not */
	uint16_t worker;
	uint16_t endpoint_port;
	uint8_t ending; /* enum mt_ending */
	uint8_t type;	/* enum mt_alog_type */
	bool oneway;
	uint8_t spans;		 /* bits; not 0: struct mt_alog_spans follows the texts */
	struct mt_addr endpoint; /* all zero: not known, as the next three */
	struct mt_addr client, local, up_local; /* from here on as in struct mt_call_note */
	uint16_t client_port, local_port, up_local_port;
	uint16_t interface_len, method_len; /* at most MT_ALOG_ENTRY_TEXT, or MT_ALOG_NO_TEXT */
	uint16_t reason_len; /* of MT_ALOG_REASON, at most MT_ALOG_REASON_TEXT; 0: not set */
	uint16_t kept_len;   /* of the metadata values (mt_alog_kept.h), at most MT_ALOG_KEPT */
	uint8_t attempts;
	char texts[]; /* the interface, the method, the reason, the metadata values */
};

/* Bytes of these texts. */
static inline uint32_t mt_alog_texts_len(
	uint16_t interface_len, uint16_t method_len, uint16_t reason_len)
{
	return (interface_len == MT_ALOG_NO_TEXT ? 0u : interface_len) +
	       (method_len == MT_ALOG_NO_TEXT ? 0u : method_len) + reason_len;
}

/* Bytes of a ring that an entry with these texts needs, without spans. */
static inline uint32_t mt_alog_entry_size(
	uint16_t interface_len, uint16_t method_len, uint16_t reason_len, uint16_t kept_len)
{
	return (uint32_t)sizeof(struct mt_alog_entry) + kept_len +
	       mt_alog_texts_len(interface_len, method_len, reason_len);
}

/* Copies the trace of an entry with spans. */
static inline void mt_alog_entry_spans(const struct mt_alog_entry *e, struct mt_alog_spans *to)
{
	const char *at = (const char *)e + mt_alog_entry_size(e->interface_len, e->method_len,
						   e->reason_len, e->kept_len);

	__builtin_memcpy(to, at, sizeof(*to));
}

/* An entry before it is in a ring: its texts are elsewhere. */
struct mt_alog_parts {
	const struct mt_alog_entry *head; /* without `texts` */
	const char *texts;		  /* the interface, the method, the reason */
	const uint8_t *kept;		  /* the metadata values; NULL if kept_len is 0 */
};
/*
 * Fills a record with all values of an entry but STREAM_ID, TRACE_ID and SPAN_ID, which filters do
 * not read. The record points into the parts, to what they point to, and into `named`.
 */
void mt_alog_parts_view(const struct mt_alog_parts *from,
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES], struct mt_alog_record *to);

/* Name of an exchange, as mt_exchange_name() writes it: worker-index-generation. */
#define MT_ALOG_EXCHANGE_NAME 32

/*
 * Fills a record with the values of an entry. The record points into the entry, to what it points
 * to, and into `made`.
 */
struct mt_alog_made {
	char name[MT_ALOG_EXCHANGE_NAME];
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	char trace[2 * MT_TRACE_ID + 1], span[2 * MT_SPAN_ID + 1];
};
void mt_alog_entry_view(
	const struct mt_alog_entry *from, struct mt_alog_made *made, struct mt_alog_record *to);
