/* SPDX-License-Identifier: Apache-2.0 */
/* A channel and its streams: channel.c connects, h2.c speaks HTTP/2, stream.c is what callers see of a stream. */
#pragma once

#include "mt_grpc_priv.h"
#include "mt_resolve.h"

#include <nghttp2/nghttp2.h>

#define MT_GRPC_WORDS 256

struct mt_grpc_stream {
	struct mt_list node; /* of the channel's */
	struct mt_grpc *g;
	const struct mt_grpc_stream_events *events;
	void *arg;
	int32_t id;
	/* What is not sent yet: out[sent .. have). */
	uint8_t *out;
	size_t sent, have, room;
	bool finished; /* no more from us */
	struct mt_grpc_in in;
	int http_status;
	bool is_grpc;	 /* by the content type */
	int grpc_status; /* -1: not said yet */
	char words[MT_GRPC_WORDS];
	bool retry_told;
	uint64_t retry; /* ns */
};

struct mt_grpc {
	struct mt_grpc_conf conf; /* defaults filled in */
	const struct mt_grpc_events *events;
	void *arg;
	struct mt_fds *fds;
	struct mt_resolver *names;
	enum mt_grpc_state state;
	uint64_t now; /* of the last turn */

	/* Attempts: servers in their order, the addresses of each in theirs. */
	uint32_t server, tried; /* tried since one was of use */
	struct mt_lookup *lookup;
	struct mt_pipe_address addrs[MT_LOOKUP_ADDRS];
	uint32_t n_addrs, addr;
	uint16_t port;
	uint64_t next_attempt, give_up; /* times */
	uint64_t backoff, jitter;

	/* The connection. */
	struct mt_pipe pipe;
	nghttp2_session *h2;
	const uint8_t *unsent; /* nghttp2's, until its next call */
	size_t n_unsent;
	char authority[280];
	struct mt_list streams;
	bool going_away;	 /* the server takes no new streams */
	bool spoke;		 /* its SETTINGS have come, of the last connection */
	uint64_t heard, pinged;	 /* times; pinged 0: nothing is awaited */
	bool broken;		 /* found where it cannot be told; the next turn tells */
	struct mt_err why;	 /* the connection ended, or was not made */
	struct mt_err complaint; /* nghttp2's, of the server */
};

/* h2.c: over g->pipe, which is open. 0, or negative with g->why set. */
int mt_h2_start(struct mt_grpc *g);
void mt_h2_stop(struct mt_grpc *g);
int mt_h2_read(struct mt_grpc *g);
int mt_h2_flush(struct mt_grpc *g);
int mt_h2_ping(struct mt_grpc *g);
/* The stream's number, or negative. */
int32_t mt_h2_open(struct mt_grpc *g, struct mt_grpc_stream *s, const char *path);
/* Whether nothing is left to do on the connection; g->why says how that came. */
bool mt_h2_is_over(struct mt_grpc *g);

/* stream.c */
/* Ends every stream with UNAVAILABLE. */
void mt_grpc_end_streams(struct mt_grpc *g, const char *why);
/* Tells the owner and frees the stream, which HTTP/2 has forgotten. */
void mt_grpc_stream_over(struct mt_grpc_stream *s, uint32_t h2_error);
/* Bytes of the body; the stream may be gone after it. */
void mt_grpc_stream_body(struct mt_grpc_stream *s, const uint8_t *data, size_t len);
void mt_grpc_stream_header(
	struct mt_grpc_stream *s, const char *name, const char *value, size_t len);
/* For HTTP/2: up to `len` bytes of what waits; 0 with *end unset: nothing now. */
size_t mt_grpc_stream_take(struct mt_grpc_stream *s, uint8_t *buf, size_t len, bool *end);
