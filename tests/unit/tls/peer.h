/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a connection, by OpenSSL's functions alone: it seals whatever it is told, right or wrong, and opens what we
 * sealed.
 */
#pragma once

#include "mt_tls_record.h"

#define WIRE_ROOM 262144

struct suite {
	uint16_t version;
	uint8_t cipher, hash;
	const char *name; /* of OpenSSL */
};

#define N_SUITES 6
extern const struct suite tls_suites[N_SUITES];

struct peer {
	const struct suite *suite;
	struct mt_tls_half tx, rx;
};

/* Keys of a connection by a number, and its other end. */
void peer_make(struct peer *p, const struct suite *s, uint32_t number, struct mt_tls_keys *ours);

/* What it seals: all 0 but the type and the text is a right record. */
struct peer_how {
	uint8_t type;	  /* of what is inside */
	uint8_t outer;	  /* 0: the right one */
	uint16_t version; /* of the header; 0: the right one */
	uint32_t padding;
	bool untyped;	/* TLS 1.3: nothing but padding */
	bool wrong_tag; /* the last bit is another */
};

/* A record of n bytes to `out`; how long it is. */
uint32_t peer_seal(
	struct peer *p, const struct peer_how *how, const void *text, uint32_t n, uint8_t *out);

/* The record at `in`: its text to `text`; *n its length. The type, or 0: it is not right. */
uint8_t peer_open(struct peer *p, const uint8_t *in, uint32_t *used, uint8_t *text, uint32_t *n);

/* After a KeyUpdate. */
void peer_next(const struct peer *p, struct mt_tls_half *half);
