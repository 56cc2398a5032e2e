/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log (call_log.c): one for each client's call that began under a snapshot
 * with a log, written when the call ends. A traced call has its spans in the same entry. Calls that
 * are refused before they have an exchange get an entry, too; mirrored copies and health checks get
 * none. The log does not change how calls begin and end. An entry leaves out values that are not
 * known.
 */
#pragma once

#include "mt_alog_sieve.h"
#include "mt_byte_ring.h"
#include "mt_codec_ending.h"
#include "mt_slab.h"

struct mt_down;
struct mt_key;
struct mt_exchange;
struct mt_proxy;
struct mt_view;

/* How a call ended with its client's connection. */
enum mt_call_left {
	MT_CALL_STAYED, /* the call did not end with it */
	MT_CALL_LEFT,	/* the client closed */
	MT_CALL_CUT,	/* Meltemi reset the connection */
};

/*
 * Values for the entry that are kept while the call is under way, because the call's bytes and
 * connections are gone when it ends. Notes that are never used take no memory.
 */
struct mt_call_note {
	uint32_t len; /* of the request as the client sent it */
	/* As in struct mt_alog_entry, which gets a copy: */
	struct mt_addr client, local, up_local;
	uint16_t client_port, local_port, up_local_port;
	uint16_t interface_len, method_len, reason_len, kept_len;
	uint8_t attempts; /* times that the call was sent */
	char texts[2 * MT_ALOG_ENTRY_TEXT + MT_ALOG_REASON_TEXT];
};

/* Maximum number of a worker's notes; entries of calls without a note have no texts, no client. */
#define MT_CALL_NOTES 65536u
/* mt_exchange.note of a call that is logged without a note */
#define MT_CALL_NO_NOTE UINT32_MAX

struct mt_call_log {
	struct mt_byte_ring *ring; /* NULL: nothing is logged */
	struct mt_slab notes;
	/*
	 * Blocks of MT_ALOG_KEPT bytes for the metadata values of notes, by their index (reserved
	 * address space); they take memory only if outputs name metadata.
	 */
	uint8_t *kept;
	struct mt_alog_trial *trial; /* memory of filters */
};

/* record.c: how the exchange ended; `started` is not set. */
struct mt_call_end mt_exchange_end_of(const struct mt_exchange *ex);
/* True if the call leaves no line, because it is not drawn (mt_snapshot.log_skips). */
bool mt_call_log_skips(struct mt_proxy *p, struct mt_exchange *ex);
/* Notes the start of a call; p->view shows its request. */
void mt_call_log_note(struct mt_proxy *p, const struct mt_down *d, struct mt_exchange *ex);
/*
 * log_metadata.c: reads the index. True if the metadata after the leading ones is known. `whole`:
 * the message has arrived.
 */
bool mt_metadata_known(struct mt_view *v, bool whole);
/*
 * log_metadata.c: copies the values of n keys from the message that the view shows, without
 * changes, into a block. `whole`: it has arrived. False: some values are not known, or do not fit.
 */
bool mt_metadata_copy(struct mt_view *v, bool whole, enum mt_alog_from from,
	const struct mt_key *keys, uint32_t n, uint8_t *block, uint16_t *used);
/*
 * log_metadata.c: copies the metadata that outputs name. Of a request when its note is made, while
 * p->view shows it; of a reply with mt_call_log_reads_reply(), when p->view shows it without
 * changes. `whole`: the reply has arrived.
 */
void mt_call_log_request(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_call_note *note);
void mt_call_log_reply(struct mt_proxy *p, const struct mt_exchange *ex, bool whole);
/* Notes the reason of the call's local reply, for the details of its entry. */
void mt_call_log_reason(struct mt_proxy *p, const struct mt_exchange *ex, const char *reason);
/* Writes the entry of a call that ends. */
void mt_call_log_write(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Writes an entry with the span of a failed attempt and no line, if spans of the call are sent. For
 * calls with spans of attempts.
 */
void mt_call_log_attempt(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_ending ending);
/* Writes the entry of a message that is answered without an exchange; `readable`: it is decoded. */
void mt_call_log_message(
	struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what, bool readable);
