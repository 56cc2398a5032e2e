/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base types of the configuration model. A value records the line on which it was written; its
 * object records the file. A value of all zeros is not written.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"

/* The place of an object or value. line 0: not from a file. */
struct mt_origin {
	const char *file;
	uint32_t line;
};

/* s NULL: not written. */
struct mt_text {
	const char *s;
	uint32_t line;
};

/* A number, a duration (ms), a boolean (0, 1), or the index of a word in a fixed set. */
struct mt_num {
	uint32_t v;
	uint32_t line;
	bool set;
};

/*
 * Parses "1h30m", "1.5s" or "200ms" into ms. Returns 0, -EINVAL if `text` is not a duration, or
 * -ERANGE if the duration is too long.
 */
int mt_duration_parse(const char *text, uint64_t *ms);

/* An address with its prefix: "192.0.2.1/24" */
struct mt_node_addr {
	struct mt_text text;
	struct mt_addr addr;
	uint8_t prefix; /* bits of the written family */
};

struct mt_kv {
	const char *key, *value;
	struct mt_origin origin;
};

struct mt_labels {
	struct mt_kv *kv;
	uint32_t n_kv;
};

/* exportTo: namespaces, or "*", "." (the object's own), "~" (none). */
struct mt_exports {
	struct mt_text *v;
	uint32_t n;
};

/* kind and metadata of every document; the first member of every object. */
struct mt_meta {
	struct mt_origin origin;
	uint64_t serial; /* unique for each document each time it is parsed; 0: not parsed */
	const char *kind, *name, *ns; /* ns: "default" when not written */
	/* neither the document nor its source specifies a namespace */
	bool ns_unwritten;
	bool ends;	   /* deletionTimestamp is written: an API server deletes the object */
	const char *as_of; /* time of the last change, from the API server; NULL: written by hand */
	struct mt_labels labels, annotations;
};

/* Where the value of a tag of spans is from. */
struct mt_tag_source {
	struct mt_origin origin;
	struct mt_text name;  /* the variable, or the key of metadata */
	struct mt_text value; /* the literal, or the default */
};

/* A tag of spans, of customTags. */
struct mt_custom_tag {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_tag_source *literal, *environment, *header; /* all NULL: it is not sent */
};

struct mt_custom_tags {
	struct mt_custom_tag *v;
	uint32_t n;
};

/* Objects of one kind, in the order in which they were read. */
struct mt_objs {
	void **v;
	uint32_t n;
};
