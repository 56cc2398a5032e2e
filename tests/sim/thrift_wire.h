/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thrift's binary and compact encodings as the simulator's peers write and step over them, by hand from
 * Apache Thrift's doc/specs/thrift-binary-protocol.md and thrift-compact-protocol.md.
 */
#pragma once

#include "rpc_bytes.h"

#include "mt_rand.h"

/* Types of values, whatever number an encoding gives them. */
enum tw_type {
	TW_BOOL,
	TW_BYTE,
	TW_I16,
	TW_I32,
	TW_I64,
	TW_DOUBLE,
	TW_STRING,
	TW_STRUCT,
	TW_MAP,
	TW_SET,
	TW_LIST,
	TW_UUID,
	TW_N
};

struct tw_out {
	struct rpc_bytes *out;
	struct mt_rand *rand;
	bool compact;
};

/* Field ids grow within a struct: *last is the one before, 0 at first. Booleans are never asked for. */
void tw_field(struct tw_out *o, int16_t *last, int16_t id, enum tw_type type);
void tw_string(struct tw_out *o, const void *p, uint32_t n);
void tw_i32(struct tw_out *o, int32_t v);
void tw_varint(struct rpc_bytes *out, uint64_t v);
void tw_stop(struct tw_out *o);
/* Some fields that nobody reads, behind *last. */
void tw_junk(struct tw_out *o, int16_t *last, uint32_t depth);

/* Reads at `at`; `more` or `bad` is set when that cannot go on. */
struct tw_in {
	const uint8_t *p;
	uint32_t n, at;
	bool compact, more, bad;
};

/* The next field's id and type; false: the struct's end, or more or bad. */
bool tw_next_field(struct tw_in *in, int16_t *last, enum tw_type *type, bool *valued);
/* A string's bytes; NULL: more or bad. */
const uint8_t *tw_take_string(struct tw_in *in, uint32_t *len);
int32_t tw_take_i32(struct tw_in *in);
uint8_t tw_take8(struct tw_in *in);
uint32_t tw_take32(struct tw_in *in);
uint64_t tw_take_varint(struct tw_in *in);
/* Steps over all fields of a struct and its end. */
void tw_skip_struct(struct tw_in *in, uint32_t depth);
void tw_skip(struct tw_in *in, enum tw_type type, uint32_t depth);
