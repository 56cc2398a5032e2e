/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML text as a tree of nodes with line numbers. Bounded in depth, size and aliases. */
#pragma once

#include "mt_diag.h"

#define MT_YAML_DEPTH 64
/* Nodes of one document, aliases counted as often as they stand for something. */
#define MT_YAML_NODES 4000000u

enum mt_ytype { MT_Y_SCALAR, MT_Y_SEQ, MT_Y_MAP };

struct mt_ynode {
	enum mt_ytype type;
	bool plain;	       /* a scalar without quotes */
	uint32_t line;	       /* where the value begins */
	uint32_t key_line;     /* where the key stands (values of maps) */
	const char *text;      /* scalars */
	const char *key;       /* values of maps */
	struct mt_ynode *next; /* of the same sequence or map */
	struct mt_ynode *first;
	uint32_t n;	 /* children */
	uint32_t weight; /* this node and all below it, aliases expanded */
};

/*
 * Parses every document and calls back for each root (never NULL). A syntax error or a broken bound ends
 * the text with an entry in `diags`; documents before it were delivered. Nodes live in `region`.
 */
int mt_yaml_parse(struct mt_region *region, struct mt_diags *diags, const char *name,
	const char *text, size_t len, void (*document)(void *arg, const struct mt_ynode *root),
	void *arg);

/*
 * The same of a piece of a text that begins at line `line` (the first is 1), on behalf of `about`: a syntax error is
 * reported of it. -EINVAL: it could not be read to its end.
 */
int mt_yaml_piece(struct mt_region *region, struct mt_diags *diags, const struct mt_meta *about,
	uint32_t line, const char *text, size_t len,
	void (*document)(void *arg, const struct mt_ynode *root), void *arg);

/* The value of a key; NULL: not there or not a map. */
const struct mt_ynode *mt_yaml_get(const struct mt_ynode *map, const char *key);

/* An empty value, ~ or null: the same as not written. */
bool mt_yaml_is_null(const struct mt_ynode *n);

/* "text", "list", "map" for messages. */
const char *mt_yaml_type_str(const struct mt_ynode *n);
