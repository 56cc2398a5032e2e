/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of proto/ as protobuf's JSON words say them: what a TypedStruct carries, and what files such as a
 * bootstrap hold. Names in camelCase or snake_case, enumerations by name or number, durations as "1.5s",
 * wrappers as plain values, Any as a map with "@type". Control thread only.
 */
#pragma once

#include "mt_log.h"
#include "mt_pb.h"
#include "mt_yaml.h"

#include "common.pb-c.h"

/* Where in a message: "filter_chains[0].filters[1].typed_config". */
struct mt_pb_path {
	char text[320];
	uint32_t len;
};

/* A step into a field, or into an item of it; the answer goes back to mt_pb_out(). What is too long is cut off. */
uint32_t mt_pb_in(struct mt_pb_path *p, const char *field);
uint32_t mt_pb_at(struct mt_pb_path *p, const char *field, size_t index);
void mt_pb_out(struct mt_pb_path *p, uint32_t mark);

/* A value of a text. All values of mt_pb_struct_of_node() and mt_pb_struct_of_text() are such. */
struct mt_pb_written {
	Xds__Value value; /* first */
	const struct mt_ynode *node;
};

struct mt_pb_reader;

/*
 * Who reads what somebody wrote: all mistakes are told, where they stand, a text may be a number or a truth value without
 * quotes, and durations have the units of documents. r->at is where the message stands, in the words of the text.
 */
struct mt_pb_of_text {
	/* Whether a field is read; false: it was seen to. `f` NULL: the message has none of that name. */
	bool (*want)(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type,
		const ProtobufCFieldDescriptor *f, const struct mt_ynode *n);
	/* All fields of a message, which began at that line, were read: whether they are those that must be there. */
	void (*whole)(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type,
		const Xds__Struct *s, uint32_t line);
	/* A value that cannot be, at r->at. */
	void (*wrong)(struct mt_pb_reader *r, uint32_t line, const char *remedy, const char *what);
};

struct mt_pb_reader {
	struct mt_pb_arena
		*arena; /* messages go there; they share texts with what they were read from */
	struct mt_pb_path at; /* where the Struct stands: errors begin with it */
	/* A field without a place in the message; NULL: nobody wants to know. */
	void (*unknown)(void *arg, const struct mt_pb_path *at, const char *field);
	void *arg;
	struct mt_err *why; /* the first mistake; with of_text it is not set */
	/* Values are those of a text, and so every message has a line. NULL: they may be any. */
	const struct mt_pb_of_text *of_text;
	uint32_t line; /* of the text: where the message begins */
};

/* Where a message begins that was read with of_text. */
uint32_t mt_pb_line(const void *message);

/* The message of `type` that `s` says. NULL with *why set: "PATH: REASON", or told. */
void *mt_pb_from_struct(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Struct *s);

/* What a map says; it shares the nodes' texts. NULL: no memory. */
Xds__Struct *mt_pb_struct_of_node(struct mt_region *r, const struct mt_ynode *map);
/* One text (YAML, so JSON too) whose root is a map, in which nothing is written twice. NULL with *why set. */
Xds__Struct *mt_pb_struct_of_text(
	struct mt_pb_arena *a, const char *name, const char *text, size_t len, struct mt_err *why);

/* The message that "type.googleapis.com/NAME" means, as far as proto/ has it; NULL: unknown. */
const ProtobufCMessageDescriptor *mt_pb_type(const char *url);
/* "NAME" of an URL. */
const char *mt_pb_type_name(const char *url);
/* The number of a word of an enumeration that is such a field's type (proto/ has them as numbers). */
bool mt_pb_enum(const ProtobufCMessageDescriptor *type, const char *field, const char *word,
	int32_t *number);
/* Whether a word of JSON means the field: "consecutive5xx" as well as "consecutive_5xx". */
bool mt_pb_is_name(const char *json, const char *field);
/* Whether a message is the entry of a map: then the order of several means nothing. */
bool mt_pb_is_entry(const ProtobufCMessageDescriptor *type);
