/* SPDX-License-Identifier: Apache-2.0 */
/* Parses YAML texts into trees of nodes with line numbers, with limits on depth and nodes. */
#pragma once

#include "mt_diag.h"

#define MT_YAML_DEPTH 64
/*
 * Most nodes of one document; an alias counts with all nodes that it stands for, and a text with
 * one more for each 64 bytes.
 */
#define MT_YAML_NODES 4000000u
#define MT_YAML_TEXT  64u

enum mt_ytype { MT_Y_SCALAR, MT_Y_SEQ, MT_Y_MAP };

struct mt_ynode {
	enum mt_ytype type;
	bool plain;	       /* a scalar without quotes */
	uint32_t line;	       /* of the start of the value */
	uint32_t key_line;     /* of the key (values of maps) */
	const char *text;      /* scalars */
	const char *key;       /* values of maps */
	struct mt_ynode *next; /* in the same sequence or map */
	struct mt_ynode *first;
	uint32_t n;	 /* children */
	uint32_t weight; /* number of nodes, its own and all below it, aliases expanded */
};

/*
 * Parses every document and calls back for each root (never NULL). A syntax error or an exceeded
 * limit ends the parse with an entry in `diags`, after the documents before it were delivered.
 * Nodes live in `region`. 0 or -ENOMEM.
 */
int mt_yaml_parse(struct mt_region *region, struct mt_diags *diags, const char *name,
	const char *text, size_t len, void (*document)(void *arg, const struct mt_ynode *root),
	void *arg);

/*
 * mt_yaml_parse() for a piece of a text that starts at line `line` (the first is 1). Reports errors
 * as being about `about`. Also -EINVAL if the piece could not be read completely.
 */
int mt_yaml_piece(struct mt_region *region, struct mt_diags *diags, const struct mt_meta *about,
	uint32_t line, const char *text, size_t len,
	void (*document)(void *arg, const struct mt_ynode *root), void *arg);

/* The value of a key; NULL if the key is missing or `map` is not a map. */
const struct mt_ynode *mt_yaml_get(const struct mt_ynode *map, const char *key);

/* True for an unquoted empty value, ~ or null, which mean the same as not written. */
bool mt_yaml_is_null(const struct mt_ynode *n);

/* "a single value", "a list", "a map" or "empty", for messages. */
const char *mt_yaml_type_str(const struct mt_ynode *n);
