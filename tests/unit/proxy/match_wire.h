/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and replies of the real protocols, written by hand for match_wire_test.c. */
#pragma once

#include "mt_codec.h"

enum wire_transport { WIRE_FRAMED, WIRE_UNFRAMED, WIRE_THEADER };
enum wire_encoding { WIRE_STRICT, WIRE_OLD, WIRE_COMPACT };

struct wire {
	const char *name, *codec;
	uint8_t opts;	/* MT_CODEC_OPT_* */
	bool serial;	/* one call at a time on a connection */
	bool no_oneway; /* the protocol has no one-way calls */
	bool no_method; /* replies name no method */
	enum wire_transport transport;
	enum wire_encoding encoding;
};

extern const struct wire wires[];
extern const uint32_t n_wires;

/* THeader carries a second id; the others only `id`. */
struct wire_ids {
	uint64_t id;
	uint32_t outer;
};

/*
 * Write a message, of less than 200 bytes with a short text, and return its length. Only Dubbo
 * has texts of more than 31 bytes.
 */
uint32_t wire_call(const struct wire *w, uint8_t *p, bool oneway, struct wire_ids ids,
	const char *method, const char *text);
uint32_t wire_reply(const struct wire *w, uint8_t *p, struct wire_ids ids, const char *method,
	const char *text);
/* The id of a call. */
uint64_t wire_id(const struct wire *w, const uint8_t *p);
