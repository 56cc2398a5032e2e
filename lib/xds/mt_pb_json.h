/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads messages of proto/ from protobuf's JSON mapping, as a TypedStruct carries it and as files
 * such as a bootstrap contain it. Accepts field names in camelCase or snake_case, enum values by
 * name or number, durations as "1.5s", wrappers as plain values, and Any as a map with "@type".
 * Control thread only.
 */
#pragma once

#include "mt_log.h"
#include "mt_pb.h"
#include "mt_yaml.h"

#include "common.pb-c.h"

/* Path of a field in a message: "filter_chains[0].filters[1].typed_config". */
struct mt_pb_path {
	char text[320];
	uint32_t len;
};

/*
 * Appends a field, or an item of a repeated field, to the path. The result is passed to
 * mt_pb_out(), which removes it again. A path that is too long is truncated.
 */
uint32_t mt_pb_in(struct mt_pb_path *p, const char *field);
uint32_t mt_pb_at(struct mt_pb_path *p, const char *field, size_t index);
void mt_pb_out(struct mt_pb_path *p, uint32_t mark);

/*
 * A value with its YAML node. mt_pb_struct_of_node() and mt_pb_struct_of_text() create all values
 * in this form.
 */
struct mt_pb_written {
	Xds__Value value; /* first */
	const struct mt_ynode *node;
};

struct mt_pb_reader;

/*
 * Callbacks to read a text that an operator wrote. All errors are reported, each with its line. A
 * string may be written as a number or boolean without quotes, and durations may have the units of
 * documents. r->at is the path of the message, with the field names as the text spells them.
 */
struct mt_pb_of_text {
	/*
	 * True if the field is to be read; false if the callback has handled it. `f` NULL: unknown
	 * field.
	 */
	bool (*want)(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type,
		const ProtobufCFieldDescriptor *f, const struct mt_ynode *n);
	/*
	 * Called after all fields of a message were read, to check required ones. `line`: where it
	 * starts.
	 */
	void (*whole)(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type,
		const Xds__Struct *s, uint32_t line);
	/* Reports an invalid value at r->at. */
	void (*wrong)(struct mt_pb_reader *r, uint32_t line, const char *remedy, const char *what);
};

struct mt_pb_reader {
	struct mt_pb_arena
		*arena;	      /* receives the messages, whose strings point into their source */
	struct mt_pb_path at; /* path of the Struct: prefix of errors */
	/* Reports a field that the message does not have; may be NULL. */
	void (*unknown)(void *arg, const struct mt_pb_path *at, const char *field);
	void *arg;
	struct mt_err *why; /* the first error; not set with of_text */
	/* Not NULL: all values are struct mt_pb_written, so every message has a line. */
	const struct mt_pb_of_text *of_text;
	uint32_t line; /* of the text: where the message starts */
};

/* Returns the line where a message starts that was read with of_text. */
uint32_t mt_pb_line(const void *message);

/*
 * Converts `s` to a message of `type`. Returns NULL with *why set to "PATH: REASON"; of_text
 * reports errors itself.
 */
void *mt_pb_from_struct(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Struct *s);

/* Converts a YAML map to a Struct, whose strings point into the nodes. NULL: no memory. */
Xds__Struct *mt_pb_struct_of_node(struct mt_region *r, const struct mt_ynode *map);
/*
 * Parses a YAML or JSON text whose root is a map without duplicate keys. Returns NULL with *why
 * set.
 */
Xds__Struct *mt_pb_struct_of_text(
	struct mt_pb_arena *a, const char *name, const char *text, size_t len, struct mt_err *why);

/*
 * Returns the descriptor for "type.googleapis.com/NAME"; NULL if proto/ does not have the message.
 */
const ProtobufCMessageDescriptor *mt_pb_type(const char *url);
/* Returns "NAME" of such a type URL. */
const char *mt_pb_type_name(const char *url);
/*
 * Finds the number of an enum value by its name, for a field of `type` (proto/ declares enums as
 * numbers).
 */
bool mt_pb_enum(const ProtobufCMessageDescriptor *type, const char *field, const char *word,
	int32_t *number);
/* True if a JSON name means the field: "consecutive5xx" matches "consecutive_5xx". */
bool mt_pb_is_name(const char *json, const char *field);
/* True if the message is a map entry, so that the order of several has no meaning. */
bool mt_pb_is_entry(const ProtobufCMessageDescriptor *type);
