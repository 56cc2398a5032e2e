/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls: reader of the ClientHello at the start of a TLS connection (RFC 8446 §4.1.2), for
 * callers that choose a configuration by server name (RFC 6066 §3) and protocols (ALPN, RFC 7301
 * §3.1) before the handshake starts. The bytes stay in the stream's rx. The reader has a cursor
 * that only moves forward, takes 64 bytes of state and no heap, with any segmentation and any
 * division into records. It copies once, into a scratch buffer of the worker.
 * - A message has at most 16 KiB (MT_HELLO_MAX). A longer one is recognized by its header
 *   (MT_HELLO_TOO_LONG).
 * - Bytes that are not TLS are recognized at the first possible byte: another record type, a
 *   version other than 3.x, an empty or too long record, another handshake message. An SSL 2.0
 *   hello is not TLS here.
 * - A message is malformed if a length does not fit, if bytes follow the extensions, if one of
 *   these two extensions or a name type occurs twice, if a name or protocol is empty, or if a name
 *   has more than 255 bytes. It is still TLS: its client is refused and never gets a plaintext
 *   chain.
 * - Other extensions, including GREASE (RFC 8701), are skipped. A message without extensions is
 *   valid, as in TLS 1.2. Names are compared in lower case. With Encrypted Client Hello the result
 *   is the outer name.
 * - Work (docs/internals/codec.md, "Work bounds"): a call of the reader takes at most 500 steps
 *   plus 24 per byte, the parser 1,000 plus 64.
 */
#pragma once

#include "mt_buf.h"

/* The longest ClientHello that is read: the handshake message, without record headers. */
#define MT_HELLO_MAX 16384

enum mt_hello_rc {
	MT_HELLO_MORE,	   /* may be a hello so far; more bytes are needed */
	MT_HELLO_WHOLE,	   /* the hello is complete: call mt_hello_parse() */
	MT_HELLO_OTHER,	   /* the bytes are not the start of a TLS connection */
	MT_HELLO_TOO_LONG, /* the hello announces more than MT_HELLO_MAX */
};

struct mt_hello {
	struct mt_cursor
		cur; /* the bytes before it are read; `pos` counts from the start of the chain */
	uint32_t record_left; /* bytes left of the current record */
	/* of the message with its header: bytes read; length, valid once got >= 4 */
	uint32_t got, len;
	uint8_t head[5]; /* header of the record that starts */
	uint8_t n_head;
};

/*
 * `c` holds the connection's received bytes from the first one on. Take none off while it is read.
 */
void mt_hello_init(struct mt_hello *h, const struct mt_chain *c);

/* Reads the bytes that have arrived. Do not call again after a result other than MT_HELLO_MORE. */
enum mt_hello_rc mt_hello_read(struct mt_hello *h);

/* Contents of a ClientHello. Both slices point into the scratch of mt_hello_parse(). */
struct mt_hello_says {
	struct mt_slice
		name; /* server_name (RFC 6066 §3), lower case, up to 255 bytes; empty if absent */
	struct mt_slice
		alpn; /* protocol names (RFC 7301 §3.1), each with length byte; empty if absent */
};

/*
 * Call after MT_HELLO_WHOLE. Copies the message to `scratch` (MT_HELLO_MAX bytes) and parses it.
 * Returns false if it is malformed, so that no TLS server would accept it.
 */
bool mt_hello_parse(const struct mt_hello *h, uint8_t *scratch, struct mt_hello_says *says);
