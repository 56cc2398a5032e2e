/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of a proxy, as operators see and close them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mt_proxy;
struct mt_stream;

#define MT_CONN_PEER 256

/* Calls, cluster and TLS of a connection, copied at one moment. */
struct mt_conn_use {
	uint32_t calls;	  /* under way on it */
	uint32_t cluster; /* mt_cluster.index of a server connection; UINT32_MAX: none */
	uint16_t tls;	  /* 0x0303, 0x0304; 0: plaintext, or not connected yet */
	uint8_t cipher;	  /* enum mt_tls_cipher */
	/*
	 * URI in the certificate of the other end; "certificate": the certificate has no URI;
	 * "": no certificate was verified.
	 */
	char peer[MT_CONN_PEER];
};

/*
 * Copies the use of a worker's TCP stream `s`, or of the TLS stream above it if there is one. If
 * the proxy does not use the stream, the copy has no calls and no cluster.
 */
void mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use);

/* Result of mt_proxy_close(). */
enum mt_conn_closing {
	MT_CONN_LEFT,	/* unchanged: no client or call uses the stream, or it is not open yet */
	MT_CONN_DRAINS, /* the connection ends after its outstanding calls */
	MT_CONN_CLOSED, /* the connection has ended */
};

/*
 * Closes a connection of the transport for an operator. A client connection drains as if its
 * listener had been removed; a server connection gets no new calls. `at_once`: the client is reset,
 * or the calls at the server get local replies. Both sides of an opaque stream are reset in any
 * case. Call between loop iterations.
 */
enum mt_conn_closing mt_proxy_close(struct mt_proxy *p, const struct mt_stream *s, bool at_once);
