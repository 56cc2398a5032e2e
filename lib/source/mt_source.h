/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/source: documents into the configuration model. It reads YAML (and JSON) documents of the
 * kinds that docs/reference/configuration.md lists, from files and directories, and tells when a
 * directory changed. Control thread only; nothing here checks more than a document's own shape: what
 * documents mean together is lib/conf's.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"
#include "mt_object.h"

#include <stdio.h>

/* The source of every object that is a document, in whatever directory. */
#define MT_SOURCE_DOCUMENTS "documents"

/* A longer file is refused before it is read. */
#define MT_SOURCE_FILE_MAX (16u << 20)

/* A file with more objects is refused. */
#define MT_SOURCE_OBJECTS_MAX 100000u

/* Whose documents are read. */
struct mt_source_place {
	const char *source; /* what their objects are of */
	const char
		*ns; /* where those are that say no namespace; NULL: nobody says it, so "default" */
	bool mesh_config; /* a MeshConfig and no documents */
};

extern const struct mt_source_place mt_source_anywhere;

/* What one look at all files and directories found. */
struct mt_source_reading {
	struct mt_objects objects; /* in the order of files and lines */
	char **partial;		   /* files and directories of which not everything was read */
	uint32_t n_partial;
};

/* Whether a patch of an EnvoyFilter can make the outcome of some call another one, as it is written. */
struct mt_ynode;
bool mt_patch_restricts(const struct mt_ynode *patch);

void mt_source_reading_fini(struct mt_source_reading *r);
/* Whether what is not found any more may still be there: its file, or a directory above, was not read to its end. */
bool mt_source_is_partial(const struct mt_source_reading *r, const char *file);

/* The objects of one text that stands at a line of a file; *documents counts its documents. 0 or -ENOMEM. */
int mt_source_objects(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *file, uint32_t line, const char *text,
	uint32_t *documents);

/*
 * Every object that can be compiled goes into the model, in order; the first Node is the model's, another one is an
 * error. 0, -ENOMEM, or -E2BIG: they are more than a configuration may hold.
 */
int mt_objects_model(struct mt_model *m, const struct mt_objects *l, struct mt_diags *diags);

/*
 * Reads every document of one text. `name` is what messages call it. Problems go to `diags`; a document
 * with an error is left out, the others are read all the same, so that one run tells everything.
 * 0, or -ENOMEM.
 */
int mt_source_text(
	struct mt_model *m, struct mt_diags *diags, const char *name, const char *text, size_t len);

/* One file. 0, or -errno when it cannot be read (also in `diags`). */
int mt_source_file(struct mt_model *m, struct mt_diags *diags, const char *path);

/*
 * Every *.yaml, *.yml and *.json of a directory and below it, by name; what is hidden and what editors
 * leave behind is not read. What cannot be read is in `diags`. 0 or -ENOMEM.
 */
int mt_source_directory(struct mt_model *m, struct mt_diags *diags, const char *path);

/*
 * What files said when they were last read: a load reads only those that changed (by device, inode, size
 * and times, else by content), and shares what the others said with the loads before. A file that was
 * emptied and held documents before is taken as being written: its last content stays, with a warning.
 */
struct mt_source_cache;

/* NULL: no memory. */
struct mt_source_cache *mt_source_cache_new(void);
/* Models that were loaded with it live on. NULL is allowed. */
void mt_source_cache_free(struct mt_source_cache *c);
/*
 * The next load asks every directory for its names. Some file systems (buckets, /proc) change what is in a directory and not its
 * times: who reloads because of that must not be told what was there before.
 */
void mt_source_cache_doubt(struct mt_source_cache *c);

/*
 * What all files of one load said, word for word, for who wants to go back to it or to compare. Files that did not change
 * share their text with the loads before. Immutable.
 */
struct mt_source_texts;

/* Of the last mt_source_load() with this cache, in the order in which files were read. NULL: no memory. */
struct mt_source_texts *mt_source_texts_new(const struct mt_source_cache *c);
/* One more owner; returns t. */
struct mt_source_texts *mt_source_texts_ref(struct mt_source_texts *t);
/* One owner fewer; NULL is allowed. */
void mt_source_texts_free(struct mt_source_texts *t);
uint32_t mt_source_texts_count(const struct mt_source_texts *t);
/* File i: its path and text; i < count. Both live as long as `t`. */
const char *mt_source_texts_at(
	const struct mt_source_texts *t, uint32_t i, const char **text, size_t *len);
/* Bytes of texts that `t` has and `before` (NULL: nothing) does not share. */
size_t mt_source_texts_bytes(const struct mt_source_texts *t, const struct mt_source_texts *before);
/* Every object of them, as mt_source_read() would read the files if they still said so. 0 or -ENOMEM. */
int mt_source_texts_read(
	const struct mt_source_texts *t, struct mt_source_reading *r, struct mt_diags *diags);

/*
 * A whole configuration: the Node's file (NULL: none), the directories that its `sources` name
 * (relative ones count from the Node's file) and `n` further directories (-d), with all below them but what
 * is hidden. A file or directory that is named twice is read once. Every error is in `diags`, about the object
 * or file that it is of; 0, or -ENOMEM. `cache` NULL: everything is read.
 */
int mt_source_read(struct mt_source_cache *cache, struct mt_source_reading *r,
	struct mt_diags *diags, const char *node_file, const char *const *directories, uint32_t n);

/* The same, into a model, for who needs no more than that. 0, -ENOMEM or -E2BIG. */
int mt_source_load(struct mt_source_cache *cache, struct mt_model *m, struct mt_diags *diags,
	const char *node_file, const char *const *directories, uint32_t n);

/* Whether a file of this name is read from a directory. */
bool mt_source_wants(const char *name);

/* Directories below directories; links may make circles. */
#define MT_SOURCE_DEPTH 32

/*
 * A watch on all that is read: directories with all below them as mt_source_read() reads them, and the Node's file. One
 * descriptor for the event loop: readable when there is something to do. Changes are gathered until 80 ms have passed
 * without another, at most 1 s. What no event tells of (what links lead to, names that lead elsewhere now, and
 * everything that the kernel has no watch left for) is looked at once a second.
 */
struct mt_watch;

struct mt_watch_what {
	const char *node_file; /* NULL: none */
	const char *const *directories;
	uint32_t n;
	uint64_t
		since; /* mt_watch_clock(): what changed at or after it is a change; 0: what changes from now on */
	const char *mesh_file; /* of a MeshConfig; NULL: none */
};

/* The clock that stamps files, ns. */
uint64_t mt_watch_clock(void);

/* NULL with *err (0 or -errno) when there is no memory or descriptor; what is not there yet is no error. */
struct mt_watch *mt_watch_new(const struct mt_watch_what *what, int *err);
/* NULL is allowed. */
void mt_watch_free(struct mt_watch *w);
int mt_watch_fd(const struct mt_watch *w);
/* Other directories from now on. 0, or -ENOMEM: those of before. */
int mt_watch_aim(struct mt_watch *w, const struct mt_watch_what *what);

/*
 * Call when the descriptor is readable; `now` is monotonic (ns). true: something changed and it has been
 * quiet since: load again.
 */
bool mt_watch_on_event(struct mt_watch *w, uint64_t now);

/* Writes the table of kinds and fields (Markdown) that docs/reference/configuration.md holds. */
void mt_source_reference(FILE *out);
