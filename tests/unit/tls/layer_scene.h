/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers in one thread: TLS streams of one are opened to the other, over streams in memory, with handshakes of a pool's threads. */
#pragma once

#include "ends.h"
#include "mt_tls_layer.h"
#include "pipe.h"
#include "pki.h"
#include "scene.h"

enum { CLIENT, SERVER };

/* A user. */
struct app {
	struct mt_stream *s; /* NULL: none, or gone */
	struct mt_chain got;
	uint64_t acked;
	uint32_t rx_most;
	bool greedy; /* takes what comes */
	bool connected, eof, closed, writable;
	enum mt_close_reason reason;
	struct mt_tls_why why;
	struct mt_stream_end end;
	struct mt_chain again; /* reclaimed in closed(), from the first byte on */
	int reclaimed;
	struct mt_tls_peer peer;
	uint16_t version;
};

struct layers {
	struct mt_tls_pool *pool;
	struct mt_tls_lane *lane[2];
	struct mt_tls_layer layer[2];
	struct mt_tls_context *context[2];
	struct mt_tls_door door;
	struct app app[2];
	uint64_t now;
	bool refuses;	      /* the server's user, the stream */
	bool no_context;      /* the door */
	uint32_t not_yet;     /* handshakes are told to wait, so often */
	bool handshakes_stop; /* nothing is taken from threads */
};

extern struct layers layers;

/* NULL: the usual rules. */
void layers_begin(const struct mt_tls_rules *client, const struct mt_tls_rules *server);
/* All memory is back. */
void layers_end(void);
/* A stream is opened; and it is connected, both users have it. */
void layers_open(uint32_t connect_ms);
void layers_connect(void);
/* Turns until *b; until nothing is left to do; until so much time has passed. */
void layers_until(const bool *b);
void layers_settle(void);
void layers_pass(uint64_t ns);
/* Of a user: bytes that are told from each other, from the place `from` of all bytes on. */
void layers_say(int who, uint32_t from, uint32_t n, uint32_t piece);
/* All of the first n bytes have come. */
bool layers_has(const struct app *a, uint32_t n);
/* Both users end their side, and hear of an end in order; that alone. */
void layers_end_in_order(void);
void layers_both_closed(void);
/* The lower stream of a user's. */
struct pipe_end *layers_lower(int who);
