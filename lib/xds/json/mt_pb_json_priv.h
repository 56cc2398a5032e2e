/* SPDX-License-Identifier: Apache-2.0 */
/* Interface between json.c, which reads messages, and values.c, which reads values. */
#pragma once

#include "mt_pb_json.h"

/* Returns the YAML node of a value; NULL if the values are not from a text. */
static inline const struct mt_ynode *mt_pj_node(const struct mt_pb_reader *r, const Xds__Value *v)
{
	return r->of_text ? ((const struct mt_pb_written *)v)->node : NULL;
}

/*
 * Reports an invalid value at r->at, or one that is not of the type `wanted` ("a text"). Always
 * returns false.
 */
bool mt_pj_bad(struct mt_pb_reader *r, const char *wanted);
bool mt_pj_bad_type(struct mt_pb_reader *r, const Xds__Value *v, const char *wanted);

/* Allocates zeroed memory, or a message with its line (mt_pb_line()). NULL: no memory, reported. */
void *mt_pj_take(struct mt_pb_reader *r, size_t size);
void *mt_pj_new(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type);

/*
 * Read a value. After an error, which they report, they return false. Whole numbers are from min to
 * max; bytes are base64.
 */
bool mt_pj_whole(struct mt_pb_reader *r, const Xds__Value *v, double min, double max, double *out);
bool mt_pj_double(struct mt_pb_reader *r, const Xds__Value *v, double *out);
bool mt_pj_int32(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, int32_t *out);
bool mt_pj_text(struct mt_pb_reader *r, const Xds__Value *v, char **out);
bool mt_pj_bytes(struct mt_pb_reader *r, const Xds__Value *v, ProtobufCBinaryData *out);
/* Returns a Duration; NULL after an error, which was reported. */
void *mt_pj_duration(struct mt_pb_reader *r, const Xds__Value *v);
