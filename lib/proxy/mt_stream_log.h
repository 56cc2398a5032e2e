/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log (stream_log.c) for opaque streams that began under a snapshot with a
 * log, one at the end of each, and for client connections that are refused. Included by
 * mt_proxy_base.h.
 */
#pragma once

#include "mt_alog_entry.h"

struct mt_pair;
struct mt_proxy;
struct mt_stream;

/*
 * Values for the entry of an opaque stream with mt_pair.logged, in an array by pair index. Notes
 * that are never used take no memory.
 */
struct mt_stream_note {
	/* ns; 0: not yet. When a server connection was first opened, and when it was connected. */
	uint64_t opened, connecting, connected;
	uint64_t bytes_in; /* given to the last server connection that is gone */
	struct mt_addr up_local, endpoint;
	uint16_t up_local_port, endpoint_port;
	uint16_t reason_len;
	uint8_t connects; /* server connections that were opened */
	char reason[MT_ALOG_REASON_TEXT];
};

/* Call when a stream begins. */
void mt_stream_log_begin(struct mt_proxy *p, struct mt_pair *pr);
/*
 * Call for streams with mt_pair.logged. connect: a server connection is being opened. connected: it
 * is open. up: it is given up. reason: a policy denies the stream. end: the stream ends, while its
 * client's side exists; writes the entry and clears mt_pair.logged.
 */
void mt_stream_log_connect(struct mt_proxy *p, const struct mt_pair *pr);
void mt_stream_log_connected(struct mt_proxy *p, const struct mt_pair *pr);
void mt_stream_log_up(struct mt_proxy *p, const struct mt_pair *pr);
void mt_stream_log_reason(struct mt_proxy *p, const struct mt_pair *pr, const char *reason);
void mt_stream_log_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_ending ending);
/* Writes the entry of a client connection that is refused before it has a protocol. */
void mt_stream_log_refused(
	struct mt_proxy *p, const struct mt_stream *s, uint64_t since, enum mt_ending ending);
