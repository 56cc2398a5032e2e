/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC server on loopback in the test's own thread: it does what its manner says. One connection at a time. */
#pragma once

#include "mt_base.h"

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

enum manner {
	ECHO,	      /* every DATA goes back; status 0 when the client ends */
	REFUSE,	      /* status 7 with a message */
	NOT_FOUND,    /* HTTP 404, a page */
	RESET,	      /* RST_STREAM */
	HUGE_MESSAGE, /* announces a gigabyte */
	SILENT,	      /* accepts, and never says a thing */
	GARBAGE,      /* is no HTTP/2 server */
	HALF_MESSAGE, /* three bytes of a message, then closes */
	NO_STATUS,    /* ends the stream without one */
	COMPRESSED,   /* sets the flag */
	GOODBYE,      /* GOAWAY, and closes when told to */
	TELL,	      /* sends what server_tell() is given, and goes on */
};

struct server {
	enum manner manner;
	int listener, fd;
	uint16_t port;
	SSL_CTX *tls; /* NULL: plaintext */
	SSL *ssl;
	nghttp2_session *h2;
	uint32_t accepted, streams;
	uint8_t *body; /* of the one stream that is answered */
	size_t have, sent, room;
	int32_t stream; /* the last one */
	bool ended;	/* by the client */
	char authorization[64];
	/* With ECHO: nothing goes back before the client's end, and this may put something else into `body`. */
	void (*on_end)(struct server *s);
	void *arg;
};

void server_start(struct server *s, enum manner manner, SSL_CTX *tls);
/* Reads and writes what can be; never waits. */
void server_turn(struct server *s);
/* One message on the stream that is open; TELL only. */
void server_tell(struct server *s, const void *message, size_t len);
void server_hang_up(struct server *s);
void server_stop(struct server *s);

/* ---- certificates, made when they are needed ------------------------------------------------------- */

struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char *cert_pem, *key_pem;
};

/* Signed by `ca`, NULL: by itself, and an authority. `san` like "DNS:a.x" or "URI:spiffe://x/y". */
struct identity identity_new(const struct identity *ca, const char *san);
/* The same with a common name; NULL: without. */
struct identity identity_called(const struct identity *ca, const char *san, const char *cn);
/* An authority below `ca`. */
struct identity identity_authority(const struct identity *ca, const char *san);
void identity_free(struct identity *id);
/* A server's context; `clients` NULL: it asks for no certificate. */
SSL_CTX *server_tls(const struct identity *id, const struct identity *clients);
