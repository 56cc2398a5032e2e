/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls, what there is of it: a reader of the ClientHello that a TLS connection begins with (RFC 8446 §4.1.2), for
 * who has to choose by what it says before anybody speaks TLS. Bytes stay where they are; a reader costs a few steps
 * for each byte in any segmentation and any division into records.
 */
#pragma once

#include "mt_buf.h"

/* The longest ClientHello that is read: the handshake message, without the headers of its records. */
#define MT_HELLO_MAX 16384

enum mt_hello_rc {
	MT_HELLO_MORE,	   /* so far it may be one; more bytes are needed */
	MT_HELLO_WHOLE,	   /* it is here: mt_hello_parse() */
	MT_HELLO_OTHER,	   /* the bytes are not the begin of a TLS connection */
	MT_HELLO_TOO_LONG, /* it announces more than MT_HELLO_MAX */
};

struct mt_hello {
	struct mt_cursor
		cur; /* bytes up to here are read; its `pos` counts from the chain's begin */
	uint32_t record_left; /* bytes of the record that is being read */
	uint32_t got, len;    /* of the handshake message, header and all; len 0: not known yet */
	uint8_t head[5];      /* of the record that begins, then of the message */
	uint8_t n_head;
};

/* `c` is the connection's received bytes from the first one on; none may be taken off while it is read. */
void mt_hello_init(struct mt_hello *h, const struct mt_chain *c);

/* Reads what has come. After another answer than MORE it is not called again. */
enum mt_hello_rc mt_hello_read(struct mt_hello *h);

/* What it says; both lie in the scratch of mt_hello_parse(). */
struct mt_hello_says {
	struct mt_slice
		name; /* server_name (RFC 6066 §3), lower case, at most 255 bytes; empty: not said */
	struct mt_slice
		alpn; /* protocol names (RFC 7301 §3.1), a length byte and a name each; empty: not said */
};

/*
 * After MT_HELLO_WHOLE: copies the message to scratch (MT_HELLO_MAX bytes) and reads it. false: it is malformed, and no
 * TLS server would take it.
 */
bool mt_hello_parse(const struct mt_hello *h, uint8_t *scratch, struct mt_hello_says *says);
