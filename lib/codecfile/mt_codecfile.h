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
 *
 * Invariants:
 * - Each mistake is reported with file, line, path and remedy; a document with any has no table.
 * - A table that is returned has passed mt_codec_table_check(), whatever the document contains.
 * - Nothing in a table refers to the tree, so that the tree may be freed.
 */
#pragma once

#include "mt_codec_table.h"
#include "mt_diag.h"
#include "mt_yaml.h"

/*
 * Compiles a document. The table lives in `region`. NULL: it has mistakes, which were added to
 * `diags`, or there is no memory.
 */
const struct mt_codec_table *mt_codecfile_compile(struct mt_region *region, struct mt_diags *diags,
	const char *file, const struct mt_ynode *root);

/* Parses a text and compiles its only document. */
const struct mt_codec_table *mt_codecfile_text(struct mt_region *region, struct mt_diags *diags,
	const char *file, const char *text, size_t len);
