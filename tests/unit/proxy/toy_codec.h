/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol for tests: 'T' kind status 0, u32 length of all, u64 id, 4 bytes of method, body. Kinds:
 * Q request, U one that cannot be proxied, P reply, O one-way, H heartbeat, h its answer, D "drain" event. A native error is a reply
 * with status 1 and the reason's number as body. A request of method "huge" has too many metadata, and
 * looking through a message takes a step for each of its bytes. Changes are only noted, but that of "method" is made; those of "fixed" fail.
 */
#pragma once

#include "mt_codec.h"

#define TOY_HEADER 20

extern const struct mt_codec toy_codec;	       /* SAFE */
extern const struct mt_codec toy_serial_codec; /* SERIAL, SAFE with multiplexing; no heartbeats */
extern const struct mt_codec toy_named_codec;  /* the same, and its methods have names */

/* What was asked of it. */
struct toy_noted {
	char changes[256]; /* "key=value;", "key;" of what was removed */
	uint32_t encoded;  /* mutate() */
	uint32_t most;	   /* steps that one seek() took */
	uint32_t indexed;  /* index() */
	uint32_t takes;	   /* steps that each index() takes */
	bool has_fixed;	   /* its messages have metadata: one entry, of "fixed" */
	uint32_t no_id;	   /* so many of the next set_id() find no memory */
	uint32_t
		stale; /* set_id() of a request whose struct mt_msg had another id than its bytes */
};
extern struct toy_noted toy_noted;
/* Its next decode() has no steps left, and does nothing. */
extern bool toy_tired;

/* Statuses of replies with a class of their own; 0 is a success, others are server errors. */
enum { TOY_SERVER_ERROR = 1, TOY_OVERLOAD, TOY_UNAVAILABLE, TOY_DEADLINE, TOY_CALLER, TOY_REFUSED };

/* Writes a message of `len` bytes in all (>= TOY_HEADER): a body of its id's low byte. */
void toy_make(uint8_t *buf, char kind, uint64_t id, const char *method, uint32_t len);

struct toy {
	char kind;
	uint8_t status;
	uint64_t id;
	uint32_t len;
	char method[5];
	uint8_t first; /* first body byte, 0 if none */
};

struct toy toy_parse(const uint8_t *buf, uint32_t size);
