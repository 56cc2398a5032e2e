/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes objects of JSON. The C type of a value decides its JSON type, so no format string has to
 * agree with the arguments:
 *
 *  mt_json_add(rows, MT_M("worker", w), MT_M("stage", name), MT_M("percent", share(n, all)));
 *
 * Integers, floating-point numbers, `bool` and texts become their JSON counterparts; a comparison
 * is an `int` in C, so cast it to bool. Text may be bytes from outside (mt_json_bytes()); NULL is
 * "". A json_t * is a value of its own, which the object takes over.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_member {
	const char *name; /* NULL: the end */
	json_t *value;
};

/* A member of the calls below. */
#define MT_M(name, v)                                                                                \
	{                                                                                            \
		(name), _Generic((v), bool                                                         \
				 : mt_json_bool, float                                             \
				 : json_real, double                                               \
				 : json_real, char *                                               \
				 : mt_json_text, const char *                                      \
				 : mt_json_text, json_t *                                          \
				 : mt_json_itself, default                                         \
				 : json_integer)(v) \
	}

/* Returns a new object with these members. */
#define mt_json_object(...) mt_json_set_all(json_object(), MT_MEMBERS(__VA_ARGS__))
/* Sets members of an object; returns it. */
#define mt_json_set(o, ...) mt_json_set_all((o), MT_MEMBERS(__VA_ARGS__))
/* Appends a new object with these members to the array `list`, which owns it; returns it. */
#define mt_json_add(list, ...) mt_json_append((list), mt_json_object(__VA_ARGS__))
#define MT_MEMBERS(...)	       ((const struct mt_member[]){__VA_ARGS__, {NULL, NULL}})

/* Takes over the values also if `o` is NULL. */
json_t *mt_json_set_all(json_t *o, const struct mt_member *members);
json_t *mt_json_append(json_t *list, json_t *row);

/*
 * Converts bytes from outside to a JSON string. Bytes that are not UTF-8 become \xNN, so that one
 * bad name does not fail the whole answer. NULL: no memory.
 */
json_t *mt_json_bytes(const char *p, size_t len);
json_t *mt_json_text(const char *s); /* NULL: "" */
/* The same, but null if `s` is NULL or empty. */
json_t *mt_json_known(const char *s);
/* "FILE:LINE"; without a line the file alone, such as "xds:mesh"; `file` NULL: "". */
json_t *mt_json_origin(const char *file, uint32_t line);
/* The lines of a text as an array; `text` NULL: an empty one. */
json_t *mt_json_lines(const char *text);
json_t *mt_json_texts(const char *const *list, uint32_t n);

/*
 * Sets members that `o` lacks to null, so that an answer always has the same members. `names`: all
 * members that may be missing, with spaces between. Text output omits null members.
 */
void mt_render_absent(json_t *o, const char *names);

static inline json_t *mt_json_bool(bool b)
{
	return json_boolean(b);
}

static inline json_t *mt_json_itself(json_t *j)
{
	return j;
}
