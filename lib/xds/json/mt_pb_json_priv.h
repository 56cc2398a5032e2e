/* SPDX-License-Identifier: Apache-2.0 */
/* Between json.c, which reads messages, and values.c. */
#pragma once

#include "mt_pb_json.h"

/* NULL: the values are not a text's. */
static inline const struct mt_ynode *mt_pj_node(const struct mt_pb_reader *r, const Xds__Value *v)
{
	return r->of_text ? ((const struct mt_pb_written *)v)->node : NULL;
}

/* What is wrong with the value at r->at, or with its type ("a text"). Always false. */
bool mt_pj_bad(struct mt_pb_reader *r, const char *wanted);
bool mt_pj_bad_type(struct mt_pb_reader *r, const Xds__Value *v, const char *wanted);

/* Zeroed memory, or a message that knows its line (mt_pb_line()). NULL was told. */
void *mt_pj_take(struct mt_pb_reader *r, size_t size);
void *mt_pj_new(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type);

/* Each says what is wrong, and then answers false. A whole number is within bounds; bytes are base64. */
bool mt_pj_whole(struct mt_pb_reader *r, const Xds__Value *v, double min, double max, double *out);
bool mt_pj_double(struct mt_pb_reader *r, const Xds__Value *v, double *out);
bool mt_pj_int32(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, int32_t *out);
bool mt_pj_text(struct mt_pb_reader *r, const Xds__Value *v, char **out);
bool mt_pj_bytes(struct mt_pb_reader *r, const Xds__Value *v, ProtobufCBinaryData *out);
/* NULL was told. */
void *mt_pj_duration(struct mt_pb_reader *r, const Xds__Value *v);
