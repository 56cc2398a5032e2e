/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel and its streams: channel.c connects, h2.c implements HTTP/2 by nghttp2, stream.c
 * implements streams.
 */
#pragma once

#include "mt_grpc_priv.h"
#include "mt_resolve.h"

#include <nghttp2/nghttp2.h>

#define MT_GRPC_WORDS 256

struct mt_grpc_stream {
	struct mt_list node; /* in mt_grpc.streams */
	struct mt_grpc *g;
	const struct mt_grpc_stream_events *events;
	void *arg;
	int32_t id;
	/* Send queue: out[sent .. have). */
	uint8_t *out;
	size_t sent, have, room;
	bool finished; /* mt_grpc_finish() was called */
	struct mt_grpc_in in;
	int http_status;
	bool is_grpc;	 /* by the content type */
	int grpc_status; /* -1: not received yet */
	char words[MT_GRPC_WORDS];
	bool retry_told;
	uint64_t retry; /* ns */
};

/* Addresses of a server that are tried in a row; the next attempt looks its name up again. */
#define MT_GRPC_ADDRS 32

struct mt_grpc {
	struct mt_grpc_conf conf; /* defaults filled in */
	const struct mt_grpc_events *events;
	void *arg;
	struct mt_fds *fds;
	struct mt_resolver *names;
	enum mt_grpc_state state;
	uint64_t now; /* of the last mt_grpc_turn() */

	/*
	 * Attempts to connect: servers in the configured order, and the first addresses of each.
	 */
	uint32_t server, tried; /* tried: servers tried since mt_grpc_useful() */
	struct mt_lookup *lookup;
	struct mt_pipe_address addrs[MT_GRPC_ADDRS];
	uint32_t n_addrs, addr;
	uint16_t port;
	uint64_t next_attempt, give_up; /* times */
	uint64_t backoff, jitter;

	/* The connection. */
	struct mt_pipe pipe;
	nghttp2_session *h2;
	const uint8_t *unsent; /* nghttp2's memory, valid until its next call */
	size_t n_unsent;
	char authority[280];
	struct mt_list streams;
	bool going_away;	 /* the server takes no new streams */
	bool spoke;		 /* its SETTINGS came on the last connection */
	uint64_t heard, pinged;	 /* times; pinged 0: no ping is outstanding */
	bool broken;		 /* failed in a callback; the next turn reports it */
	struct mt_err why;	 /* why the connection ended or failed */
	struct mt_err complaint; /* nghttp2's last error about the server */
};

/* h2.c: HTTP/2 over g->pipe, which is open. Return 0, or a negative value with g->why set. */
int mt_h2_start(struct mt_grpc *g);
void mt_h2_stop(struct mt_grpc *g);
int mt_h2_read(struct mt_grpc *g);
int mt_h2_flush(struct mt_grpc *g);
int mt_h2_ping(struct mt_grpc *g);
/* Returns the stream identifier, or a negative value. */
int32_t mt_h2_open(struct mt_grpc *g, struct mt_grpc_stream *s, const char *path);
/* True if the HTTP/2 connection has ended. Sets g->why to the reason in any case. */
bool mt_h2_is_over(struct mt_grpc *g);

/* stream.c */
/* Ends all streams with UNAVAILABLE. */
void mt_grpc_end_streams(struct mt_grpc *g, const char *why);
/* Calls `end` and frees a stream that the server or HTTP/2 has ended. */
void mt_grpc_stream_over(struct mt_grpc_stream *s, uint32_t h2_error);
/* Processes bytes of the body; the stream may be freed after it. */
void mt_grpc_stream_body(struct mt_grpc_stream *s, const uint8_t *data, size_t len);
void mt_grpc_stream_header(
	struct mt_grpc_stream *s, const char *name, const char *value, size_t len);
/*
 * Takes up to `len` bytes of the send queue. *end: no more will follow. Returns 0 without *end if
 * it is empty.
 */
size_t mt_grpc_stream_take(struct mt_grpc_stream *s, uint8_t *buf, size_t len, bool *end);
