/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/codecfile: codecs as documents. Compiles a document of kind Codec, which describes a
 * protocol, into the table that lib/codec runs (mt_codec_table.h). Control thread only, no I/O.
 *
 * A document names places of a message (docs/protocols/codec-files.md) and then what they are
 * for: where the message ends, its kind, id, status, deadline and metadata. The compiler works
 * in steps:
 *
 *     read*.c                              YAML into structs (file.h), by lib/source's tables
 *     resolve.c                            names to places, containers, slots
 *     emit.c, emit_place.c, emit_walk.c    ops that find a place when it is first needed
 *     program.c                            a program for each direction
 *     template.c                           the messages of Meltemi's own
 *     refuse.c                             what could never work, such as rules that never apply
 *     sample.c                             messages in the document, decoded by the table
 *     prove.c                              messages of Meltemi's own, written and decoded
 *     view.c, why.c                        names of places, and causes, for tools
 *     store.c                              documents of a configuration
 *
 * Invariants:
 * - Each mistake is reported with file, line, path and remedy; a document with any has no table.
 * - A table that is returned has passed mt_codec_table_check(), whatever the document contains.
 * - Nothing in a table refers to the tree, so that the tree may be freed.
 */
#pragma once

#include "mt_codec_table.h"
#include "mt_diag.h"

/*
 * Parses a text and compiles its only document. The table lives in `region`. NULL: it has mistakes,
 * which were added to `diags`, or there is no memory.
 */
const struct mt_codec_table *mt_codecfile_text(struct mt_region *region, struct mt_diags *diags,
	const char *file, const char *text, size_t len);

/* ---- documents of a configuration ------------------------------------------------------------ */

struct mt_codec_document;
struct mt_model;

/* Compiles an object that lib/source has read; mistakes are errors of the object. */
const struct mt_codec_table *mt_codecfile_object(
	struct mt_region *region, struct mt_diags *diags, const struct mt_codec_document *d);

/* Most documents of kind Codec. */
#define MT_CODECFILE_MAX 64
/* Most different tables of a store, and from how many on a load warns. */
#define MT_CODECFILE_TABLES	 1024
#define MT_CODECFILE_TABLES_WARN 896

/* Tables of the objects of the last load. Control thread only. */
struct mt_codec_store;
struct mt_codec_registry;

/* NULL: no memory. */
struct mt_codec_store *mt_codec_store_new(void);
/* Nothing uses its codecs any more. NULL is allowed. */
void mt_codec_store_free(struct mt_codec_store *s);
/*
 * Compiles the codecs of a model, unless the last load has compiled the same version of the object.
 * Mistakes are errors of the objects in `diags`. A document of the Node's spec.codecs precedes an
 * installed one of its name. 0 or -ENOMEM.
 */
int mt_codec_store_load(struct mt_codec_store *s, const struct mt_model *m, struct mt_diags *diags);
/*
 * The codecs of this build and those of the last load, for mt_conf_set_codecs(); held by the store
 * until the next load. The same registry as before if the codecs are the same.
 */
struct mt_codec_registry *mt_codec_store_registry(const struct mt_codec_store *s);
/* The table of the object with this serial, of the last load; NULL: it has none. */
const struct mt_codec_table *mt_codec_store_find(const struct mt_codec_store *s, uint64_t serial);

/* ---- for tools ------------------------------------------------------------------------------- */

#define MT_CODECFILE_VARIANTS 8

struct mt_codecfile_place {
	const char *name;
	uint32_t line, variant;
	bool read;	       /* false: nothing uses it, and it cannot be found */
	bool matched, tested;  /* a condition of `match` or of `messages` is about it */
	uint8_t slot;	       /* MT_CT_NONE: it has none */
	struct mt_ct_place at; /* for mt_codec_table_first() */
};

struct mt_codecfile_sample {
	enum mt_dir from;
	uint32_t line, n;
	const uint8_t *bytes;
};

/* The parts of a document that its table lacks; in the region of the table. */
struct mt_codecfile_view {
	struct {
		const char *name;  /* NULL: it has none */
		uint16_t kinds[2]; /* bits by enum mt_msg_kind, by enum mt_dir */
		bool status, deadline;
		/* A place of status that replies can lack, and its class then; NULL: none. */
		const char *lacks, *lacking;
		const char **checks;   /* places of the conditions of `check` */
		const uint32_t *rules; /* lines of `messages` */
		uint32_t n_checks, n_rules;
	} variant[MT_CODECFILE_VARIANTS];
	uint32_t n_variants, n_places, n_samples;
	struct mt_codecfile_place *places;
	struct mt_codecfile_sample *samples;
};

/* As mt_codecfile_text(), and fills the view, which the caller has zeroed. */
const struct mt_codec_table *mt_codecfile_read(struct mt_region *region, struct mt_diags *diags,
	const char *file, const char *text, size_t len, struct mt_codecfile_view *view);

/* A message that mt_codec_table_first() has read, with `found` for the places of the view. */
struct mt_codecfile_seen {
	const struct mt_codecfile_view *view;
	const struct mt_codec_table *table;
	const struct mt_ct_found *found;
	const uint8_t *bytes;
	struct mt_msg msg;
	struct mt_ct_cause why;
};

/* Writes why it is refused, or is not a message, in words of its document. */
void mt_codecfile_why(const struct mt_codecfile_seen *seen, char *text, size_t size);

/* The words of documents for a kind of message, and for a reason of a local reply. */
const char *mt_codecfile_kind(enum mt_msg_kind kind);
const char *mt_codecfile_reason(enum mt_local_reply what);
