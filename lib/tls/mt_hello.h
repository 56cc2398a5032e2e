/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls: reader of the ClientHello at the start of a TLS connection (RFC 8446 §4.1.2), for
 * callers that choose a configuration by it before the handshake starts. The bytes stay where they
 * are. A reader takes a few steps for each byte, with any segmentation and any division into
 * records.
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
