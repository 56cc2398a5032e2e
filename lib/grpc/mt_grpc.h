/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC client for the control thread: no thread of its own, nothing blocks. A channel is a list of servers
 * of which one is connected (HTTP/2, RFC 9113, in plaintext or TLS), and streams over that connection. It
 * connects again by itself, each time waiting longer, until its owner says that the server is of use. The
 * process must ignore SIGPIPE.
 */
#pragma once

#include "mt_credential.h"
#include "mt_fds.h"
#include "mt_log.h"
#include "mt_rand.h"
#include "mt_resolve.h"

/* Identity and trust. What it points to must live as long as the channel uses it. */
struct mt_grpc_tls {
	/* PEM texts: who is trusted; who we are, both or neither. */
	const char *roots;
	const char *chain, *key;
	struct mt_credential *credential; /* all of that, in their place; NULL: the texts */
	bool anybody;			  /* any certificate will do */
	/* To a member of Istio's mesh: its protocols are offered before HTTP/2, which is spoken whatever becomes of that. */
	bool istio;
	const char *
		server_name; /* SNI, and a name that the certificate must have when `sans` is empty */
	const char *const *sans; /* DNS names or URIs, of which the certificate must have one */
	uint32_t n_sans;
};

/* Sent with every call, like "authorization"; read when a stream is opened. */
struct mt_grpc_header {
	const char *name, *value; /* the name in lower case */
};

#define MT_GRPC_HEADERS 8

struct mt_grpc_conf {
	/* "host:port", "192.0.2.1:15010", "[2001:db8::1]:15010" or "unix:/path"; tried in this order. */
	const char *const *servers;
	uint32_t n_servers;
	const struct mt_grpc_tls *tls; /* NULL: plaintext */
	const struct mt_grpc_header *headers;
	uint32_t n_headers;  /* MT_GRPC_HEADERS at most */
	size_t max_message;  /* bytes, also of all that waits to be sent; 0: 64 MiB */
	uint64_t connect_ns; /* for name, connection and handshakes; 0: 10 s */
	uint64_t
		ping_after_ns; /* of silence; 0: 10 s; doubled when the server says it is too often */
	uint64_t ping_wait_ns;			 /* then the connection is given up; 0: 5 s */
	uint64_t backoff_min_ns, backoff_max_ns; /* 0: 500 ms and 30 s */
};

enum mt_grpc_state { MT_GRPC_WAITING, MT_GRPC_CONNECTING, MT_GRPC_UP };

/* gRPC status codes that are met here (gRPC "Statuscodes"). */
enum {
	MT_GRPC_OK = 0,
	MT_GRPC_CANCELLED = 1,
	MT_GRPC_UNKNOWN = 2,
	MT_GRPC_PERMISSION_DENIED = 7,
	MT_GRPC_RESOURCE_EXHAUSTED = 8,
	MT_GRPC_UNIMPLEMENTED = 12,
	MT_GRPC_INTERNAL = 13,
	MT_GRPC_UNAVAILABLE = 14,
	MT_GRPC_UNAUTHENTICATED = 16,
};

/* What the owner hears; callbacks may open, send to and close streams, but not free the channel. */
struct mt_grpc_events {
	/* Connected: streams can be opened. */
	void (*up)(void *arg);
	/* Not connected any more, or an attempt failed; all streams have ended before. `why` is for an operator. */
	void (*down)(void *arg, const char *why);
};

struct mt_grpc_stream_events {
	/* One message; the bytes are gone after the call. */
	void (*message)(void *arg, const uint8_t *data, size_t len);
	/* The stream is over and its handle dead; `words` is the server's message, or ours in its place. */
	void (*end)(void *arg, int status, const char *words);
	/*
	 * Before `end`, if the server says when to try again: after so many ns, at most MT_GRPC_RETRY_MAX (google.rpc.RetryInfo, or
	 * Retry-After of an HTTP error). NULL: nobody wants to know.
	 */
	void (*retry)(void *arg, uint64_t delay);
};

#define MT_GRPC_RETRY_MAX (3600 * MT_SEC)

struct mt_grpc;
struct mt_grpc_stream;

/* The texts of `conf` are kept by reference. NULL: no memory. Starts to connect at the first turn. */
struct mt_grpc *mt_grpc_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_grpc_conf *conf, const struct mt_grpc_events *events, void *arg);
/* Streams end without a word. */
void mt_grpc_free(struct mt_grpc *g);

/* Time passes: attempts, time-outs, pings. Call at least ten times a second; `now` is monotonic, ns. */
void mt_grpc_turn(struct mt_grpc *g, uint64_t now, struct mt_rand *rng);

/* The server was of use: the next failure waits the shortest time, and its list starts again at the first. */
void mt_grpc_useful(struct mt_grpc *g);
/* Ends the connection (a certificate was renewed); the next attempt is made at once. */
void mt_grpc_reconnect(struct mt_grpc *g, const char *why);

/* Of one that waits: the next attempt is made at the next turn. */
void mt_grpc_hurry(struct mt_grpc *g);

enum mt_grpc_state mt_grpc_state(const struct mt_grpc *g);
/* Of the last connection: there was a server of HTTP/2 at its other end (its SETTINGS came, RFC 9113 section 3.4). Also in down(). */
bool mt_grpc_has_spoken(const struct mt_grpc *g);
/* Connected to a server that takes no new streams (GOAWAY, RFC 9113 section 6.8); those that are open go on, then the connection ends. */
bool mt_grpc_is_leaving(const struct mt_grpc *g);
/* The server that is, or will be, tried; as written. */
const char *mt_grpc_server(const struct mt_grpc *g);

/* A call to `path` ("/package.Service/Method"). NULL: not connected, or no memory. */
struct mt_grpc_stream *mt_grpc_open(
	struct mt_grpc *g, const char *path, const struct mt_grpc_stream_events *events, void *arg);
/* Queues a message; the bytes are copied. 0, -ENOMEM, or -ENOBUFS: more than max_message bytes wait already. */
int mt_grpc_send(struct mt_grpc_stream *s, const uint8_t *data, size_t len);
/* No more messages from us: what a unary call needs after its first. */
void mt_grpc_finish(struct mt_grpc_stream *s);
/* Ends the stream without its `end`. */
void mt_grpc_cancel(struct mt_grpc_stream *s);
