/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector of HTTP/1.1 on loopback in the test's own thread, with TLS or without. One connection
 * at a time.
 */
#pragma once

#include "mt_base.h"

#include <openssl/ssl.h>

struct web {
	int listener, fd;
	uint16_t port;
	SSL_CTX *tls; /* set it after web_start(); NULL: plaintext */
	SSL *ssl;
	char name[64]; /* that the client of the last request sent by TLS; "": none */
	char alpn[32]; /* of the last request with TLS; "": none */
	/* One for each request, and the last one goes on; NULL: none; "": it closes. */
	const char *answers[8];
	bool resets;	   /* it closes by a reset */
	const char *flood; /* follows the answer without end; NULL: nothing */
	size_t flood_at;
	bool floods;
	uint32_t requests;
	uint32_t accepted;
	char head[4096], body[1u << 16]; /* of the last request */
	size_t body_len;
	char in[1u << 18];
	size_t have;
};

#define WEB_ACCEPTED "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

void web_start(struct web *w);
/* Reads and answers what there is; never waits. */
void web_turn(struct web *w);
void web_stop(struct web *w);
