/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every part of the configuration model is made of. A value remembers the line that it was written
 * on; the file is its object's. Zero-filled is "not written" everywhere.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"

/* Where something was written. line 0: not from a file. */
struct mt_origin {
	const char *file;
	uint32_t line;
};

/* s NULL: not written. */
struct mt_text {
	const char *s;
	uint32_t line;
};

/* Numbers, durations (ms), booleans (0, 1) and words of a fixed set (their place in it). */
struct mt_num {
	uint32_t v;
	uint32_t line;
	bool set;
};

struct mt_kv {
	const char *key, *value;
	struct mt_origin origin;
};

struct mt_labels {
	struct mt_kv *kv;
	uint32_t n_kv;
};

/* kind and metadata of every document; the first member of every object. */
struct mt_meta {
	struct mt_origin origin;
	uint64_t
		serial; /* of this reading: another one with each document that is parsed; 0: not parsed */
	const char *kind, *name, *ns; /* ns: "default" when not written */
	bool ns_unwritten;
	struct mt_labels labels, annotations;
};

/* Objects of one kind, in the order in which they were read. */
struct mt_objs {
	void **v;
	uint32_t n;
};
