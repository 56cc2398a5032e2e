/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a gRPC connection: bytes (transport.c, tls.c), HTTP/2 (h2.c), messages (message.c). */
#pragma once

#include "mt_fds.h"
#include "mt_grpc.h"
#include "mt_list.h"
#include "mt_log.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- message.c: the length-prefixed messages of a stream (gRPC over HTTP/2, "Requests") ------------ */

#define MT_GRPC_PREFIX 5 /* a flag and a length */

struct mt_grpc_in {
	size_t max; /* longer messages are refused */
	uint8_t prefix[MT_GRPC_PREFIX];
	uint32_t n_prefix;
	uint8_t *buf; /* grows as bytes come, not as their length says */
	size_t room, have, want;
};

void mt_grpc_in_fini(struct mt_grpc_in *in);
/*
 * Bytes of the stream. `message` gets each message that is whole and may end the stream: then it returns
 * false, and the rest is not looked at. 0; -EMSGSIZE, -EPROTO (a compressed message) or -ENOMEM: the
 * stream cannot go on.
 */
int mt_grpc_in_feed(struct mt_grpc_in *in, const uint8_t *data, size_t len,
	bool (*message)(void *arg, const uint8_t *data, size_t len), void *arg);
void mt_grpc_prefix(uint8_t prefix[MT_GRPC_PREFIX], size_t len);

/* ---- retry.c: when to ask again, ns; false: it does not say ----------------------------------------- */

/* The value of "grpc-status-details-bin". */
bool mt_grpc_retry_details(const char *text, size_t len, uint64_t *delay);
/* The value of "retry-after"; `wall` in seconds, for a date. */
bool mt_grpc_retry_after(const char *text, int64_t wall, uint64_t *delay);

/* ---- tls.c --------------------------------------------------------------------------------------- */

/* What a connection is made with; NULL with *e set. Freed by SSL_CTX_free(). */
SSL_CTX *mt_tls_context(const struct mt_grpc_tls *t, struct mt_err *e);
/* A session on the descriptor, names set; NULL: no memory. */
SSL *mt_tls_session(SSL_CTX *ctx, const struct mt_grpc_tls *t, int fd);
/* After the handshake: whether the server is one of those that are expected. 0, or -EACCES with *e set. */
int mt_tls_check_peer(SSL *ssl, const struct mt_grpc_tls *t, struct mt_err *e);
/* Why an operation on the session failed, from OpenSSL's error queue (emptied) or the certificate check. */
void mt_tls_words(SSL *ssl, struct mt_err *e);

/* ---- transport.c: a non-blocking socket, with TLS or without --------------------------------------- */

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
	const struct mt_grpc_tls *tls; /* NULL: plaintext; the owner's */
	SSL_CTX *ctx;
	SSL *ssl;
	bool wants_write; /* the last write was not taken whole */
	/* Called when it became OPEN, when bytes can be read or written, and when it failed (*e set). */
	void (*event)(struct mt_pipe *p, const struct mt_err *e);
};

/* 0, or -errno with *e set; `event` is not called from here. */
int mt_pipe_open(struct mt_pipe *p, struct mt_fds *fds, const struct mt_pipe_address *to,
	const struct mt_grpc_tls *tls, struct mt_err *e);
void mt_pipe_close(struct mt_pipe *p);
/* Bytes read or written, 0: none now; negative: broken, *e says how. -ECONNRESET for a clean end. */
ssize_t mt_pipe_read(struct mt_pipe *p, void *buf, size_t len, struct mt_err *e);
ssize_t mt_pipe_write(struct mt_pipe *p, const void *buf, size_t len, struct mt_err *e);
/* Waits for room to write, too, or no longer. */
void mt_pipe_want_write(struct mt_pipe *p, bool want);
