/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of a gRPC connection below HTTP/2 (h2.c): bytes (transport.c, tls.c); and messages
 * (message.c).
 */
#pragma once

#include "mt_fds.h"
#include "mt_grpc.h"
#include "mt_list.h"
#include "mt_log.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- message.c: the length-prefixed messages of a stream (gRPC over HTTP/2, "Requests") ------ */

#define MT_GRPC_PREFIX 5 /* a flag and a length */

struct mt_grpc_in {
	size_t max; /* maximum length of a message */
	uint8_t prefix[MT_GRPC_PREFIX];
	uint32_t n_prefix;
	uint8_t *buf; /* grows with the bytes received, not with the announced length */
	size_t room, have, want;
};

void mt_grpc_in_fini(struct mt_grpc_in *in);
/*
 * Processes bytes of the stream and calls `message` for each complete message. If `message` ends
 * the stream, it returns false, and the rest of the bytes is ignored. Returns 0; or, if the stream
 * must be ended, -EMSGSIZE, -EPROTO (a compressed message) or -ENOMEM.
 */
int mt_grpc_in_feed(struct mt_grpc_in *in, const uint8_t *data, size_t len,
	bool (*message)(void *arg, const uint8_t *data, size_t len), void *arg);
void mt_grpc_prefix(uint8_t prefix[MT_GRPC_PREFIX], size_t len);

/* ---- retry.c: retry delay that a server specifies, ns; false: none --------------------------- */

/* `text`: the value of "grpc-status-details-bin". */
bool mt_grpc_retry_details(const char *text, size_t len, uint64_t *delay);
/* `text`: the value of "retry-after", seconds or a date; `wall`: the current time, s. */
bool mt_grpc_retry_after(const char *text, int64_t wall, uint64_t *delay);

/* ---- tls.c ----------------------------------------------------------------------------------- */

/* Creates a context for connections; free it with SSL_CTX_free(). NULL with *e set. */
SSL_CTX *mt_tls_context(const struct mt_grpc_tls *t, struct mt_err *e);
/* Creates a session on a descriptor, with SNI and the expected name. NULL: no memory. */
SSL *mt_tls_session(SSL_CTX *ctx, const struct mt_grpc_tls *t, int fd);
/*
 * Checks the server after the handshake. Returns 0; -EACCES without a certificate or without one of
 * t->sans; -EPROTO if the server did not select h2 (not checked with t->istio). Sets *e.
 */
int mt_tls_check_peer(SSL *ssl, const struct mt_grpc_tls *t, struct mt_err *e);
/*
 * Sets *e to why an operation failed, from the certificate check or from OpenSSL's error queue,
 * which it clears.
 */
void mt_tls_words(SSL *ssl, struct mt_err *e);

/* ---- transport.c: a non-blocking socket, with or without TLS --------------------------------- */

struct mt_pipe_address {
	socklen_t len;
	union {
		struct sockaddr_storage any;
		struct sockaddr_un un;
	} u;
};

enum mt_pipe_state { MT_PIPE_CLOSED, MT_PIPE_CONNECTING, MT_PIPE_HANDSHAKE, MT_PIPE_OPEN };

struct mt_pipe {
	struct mt_fd_watch watch;
	struct mt_fds *fds;
	enum mt_pipe_state state;
	const struct mt_grpc_tls *tls; /* NULL: plaintext; owned by the caller */
	SSL_CTX *ctx;
	SSL *ssl;
	/*
	 * Called when the state becomes OPEN, when bytes can be read or written, and on failure (e
	 * not NULL).
	 */
	void (*event)(struct mt_pipe *p, const struct mt_err *e);
};

/* Starts to connect. Returns 0, or -errno with *e set. Does not call `event`. */
int mt_pipe_open(struct mt_pipe *p, struct mt_fds *fds, const struct mt_pipe_address *to,
	const struct mt_grpc_tls *tls, struct mt_err *e);
void mt_pipe_close(struct mt_pipe *p);
/*
 * Return the number of bytes read or written, 0 if none is possible now, or -errno with *e set. The
 * pipe is broken after an error; -ECONNRESET is a normal close by the server.
 */
ssize_t mt_pipe_read(struct mt_pipe *p, void *buf, size_t len, struct mt_err *e);
ssize_t mt_pipe_write(struct mt_pipe *p, const void *buf, size_t len, struct mt_err *e);
/* Starts or stops watching for EPOLLOUT. */
void mt_pipe_want_write(struct mt_pipe *p, bool want);
