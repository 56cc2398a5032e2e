/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/grpc: gRPC client for an event loop, without threads and without blocking calls. A channel
 * has a list of servers, a connection to one of them (HTTP/2 by nghttp2, RFC 9113, with or without
 * TLS), and streams over that connection. It reconnects with exponential back-off. The process must
 * ignore SIGPIPE. Used by lib/xds, lib/identity and the export to a collector
 * (lib/ctl/metrics/otlp.c) on the control thread, and by lib/callout and lib/export on their own
 * threads. It depends on none of them, nor on the configuration model.
 *
 * Other headers: mt_grpc_target.h keeps servers and TLS settings. mt_pb.h decodes bytes to messages
 * of proto/, with bounds on depth and memory. mt_fds.h combines the descriptors of several state
 * machines in one epoll descriptor. mt_resolve.h resolves names with c-ares; mt_name_table.h
 * resolves each host name of an endpoint once for all users, and again when its answer expires.
 * Names of documents stay while the last load used them, those of discovery while they are held.
 *
 * Invariants:
 * - A channel and all of its parts belong to one thread. Callbacks do not block. They may open,
 *   feed and cancel streams, but must not free the channel.
 * - Only mt_grpc_useful() resets the back-off. The protocol calls it after the first useful
 *   response, so a server that accepts connections and rejects every call is tried as rarely as one
 *   that is down.
 * - A length that a server announces costs no memory before its bytes arrive. A message above the
 *   bound ends its stream, not the connection.
 * - Text of the server is shown to operators only after its control characters are escaped (mt_log
 *   does so).
 * - A stream's handle is invalid after `end` and after mt_grpc_cancel(). nghttp2 finds streams by
 *   number, so a late frame of an ended stream matches none.
 */
#pragma once

#include "mt_credential.h"
#include "mt_fds.h"
#include "mt_log.h"
#include "mt_rand.h"
#include "mt_resolve.h"

/* TLS identity and trust. Everything it points to must live as long as the channel uses it. */
struct mt_grpc_tls {
	/* PEM texts: trusted roots; our certificate chain and key, both or neither. */
	const char *roots;
	const char *chain, *key;
	struct mt_credential *credential; /* replaces the texts; NULL: the texts are used */
	bool anybody;			  /* accept any certificate; `sans` still apply */
	/* Offer Istio's ALPN protocols before h2. HTTP/2 is used, whichever the server selects. */
	bool istio;
	const char *
		server_name; /* SNI, and a name that the certificate must have if `sans` is empty */
	const char *const *sans; /* the certificate must have one of these names, IPs or URIs */
	uint32_t n_sans;
};

/* A header of every call, such as "authorization". It is read when a stream is opened. */
struct mt_grpc_header {
	const char *name, *value; /* name: lower case */
};

#define MT_GRPC_HEADERS 8

struct mt_grpc_conf {
	/*
	 * "host:port", "192.0.2.1:15010", "[2001:db8::1]:15010" or "unix:/path"; tried in this
	 * order.
	 */
	const char *const *servers;
	uint32_t n_servers;
	const struct mt_grpc_tls *tls; /* NULL: plaintext */
	const struct mt_grpc_header *headers;
	uint32_t n_headers;  /* MT_GRPC_HEADERS at most */
	size_t max_message;  /* bytes of a message, and of a send queue; 0: 64 MiB */
	uint64_t connect_ns; /* timeout of lookup, connection and handshakes; 0: 10 s */
	uint64_t
		ping_after_ns; /* of silence; 0: 10 s; doubled at a GOAWAY with ENHANCE_YOUR_CALM */
	uint64_t ping_wait_ns; /* timeout of a ping; 0: 5 s */
	uint64_t backoff_min_ns, backoff_max_ns; /* 0: 500 ms and 30 s */
};

enum mt_grpc_state { MT_GRPC_WAITING, MT_GRPC_CONNECTING, MT_GRPC_UP };

/* The gRPC status codes that are used (gRPC "Statuscodes"). */
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

/* Callbacks of a channel. They may open, send to and close streams, but not free the channel. */
struct mt_grpc_events {
	/* The channel is connected: streams can be opened. */
	void (*up)(void *arg);
	/*
	 * The connection or an attempt to connect has ended, and all streams before. `why` is a
	 * text for the operator.
	 */
	void (*down)(void *arg, const char *why);
};

struct mt_grpc_stream_events {
	/* Passes a message; `data` is valid during the call only. */
	void (*message)(void *arg, const uint8_t *data, size_t len);
	/*
	 * The stream has ended and its handle is invalid. `words` is the server's message, or ours
	 * if it sent none.
	 */
	void (*end)(void *arg, int status, const char *words);
	/*
	 * Called before `end` if the server specifies when to retry (google.rpc.RetryInfo, or
	 * Retry-After of an HTTP error). `delay` is in ns, at most MT_GRPC_RETRY_MAX. May be NULL.
	 */
	void (*retry)(void *arg, uint64_t delay);
};

#define MT_GRPC_RETRY_MAX (3600 * MT_SEC)

struct mt_grpc;
struct mt_grpc_stream;

/*
 * Creates a channel, which starts to connect at the first mt_grpc_turn(). Texts of `conf` are not
 * copied. NULL: no memory.
 */
struct mt_grpc *mt_grpc_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_grpc_conf *conf, const struct mt_grpc_events *events, void *arg);
/* Frees the channel and its streams without callbacks. NULL is allowed. */
void mt_grpc_free(struct mt_grpc *g);

/*
 * Runs attempts to connect, timeouts and pings. Call at least ten times a second; `now` is
 * monotonic, ns.
 */
void mt_grpc_turn(struct mt_grpc *g, uint64_t now, struct mt_rand *rng);

/* The server gave a useful answer: resets the back-off and the count of servers tried. */
void mt_grpc_useful(struct mt_grpc *g);
/*
 * Ends the connection, for example after a certificate was renewed, and connects again without
 * back-off, starting with the first server. Does nothing while the channel waits.
 */
void mt_grpc_reconnect(struct mt_grpc *g, const char *why);

/* Ends the back-off of a channel that waits: the next attempt starts at the next mt_grpc_turn(). */
void mt_grpc_hurry(struct mt_grpc *g);

enum mt_grpc_state mt_grpc_state(const struct mt_grpc *g);
/*
 * True if the peer of the last connection is an HTTP/2 server: its SETTINGS came (RFC 9113 section
 * 3.4). Valid in down() as well.
 */
bool mt_grpc_has_spoken(const struct mt_grpc *g);
/*
 * True if the channel is connected and the server has sent GOAWAY (RFC 9113 section 6.8). The
 * server accepts no new streams, and the connection ends after the open ones.
 */
bool mt_grpc_is_leaving(const struct mt_grpc *g);
/* Returns the current or next server, as in mt_grpc_conf.servers. */
const char *mt_grpc_server(const struct mt_grpc *g);

/*
 * Opens a stream to `path` ("/package.Service/Method"). NULL: not connected, GOAWAY received, or no
 * memory.
 */
struct mt_grpc_stream *mt_grpc_open(
	struct mt_grpc *g, const char *path, const struct mt_grpc_stream_events *events, void *arg);
/*
 * Queues a copy of a message. Returns 0, -ENOMEM, or -ENOBUFS if more than max_message bytes would
 * be queued.
 */
int mt_grpc_send(struct mt_grpc_stream *s, const uint8_t *data, size_t len);
/* Closes our side after the queued messages, as a unary call needs after its only message. */
void mt_grpc_finish(struct mt_grpc_stream *s);
/* Resets the stream and frees it, without calling `end`. */
void mt_grpc_cancel(struct mt_grpc_stream *s);
