/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/source: reads YAML and JSON documents from files and directories into the configuration
 * model, and reports when they change. It checks each document by itself; lib/conf checks what
 * documents mean together. Control thread only.
 *
 * Each kind has a file kind_*.c with const tables (mt_fields.h); docs/reference/configuration.md is
 * made from them. A row of type MT_F_LATER is accepted with a warning that describes the actual
 * behaviour, MT_F_SKIP silently, because it has no effect by nature. Every other field is enforced
 * or reported. A document with an error becomes an object without a place in the model; the others
 * are still read. A document that is not a map is ignored: a list of objects, or a single value,
 * with a warning. Limits: a file 16 MiB and 100,000 objects; a name 253 characters; labels 4,096,
 * each with a name of 317 and a value of 253 bytes; hosts and words of `gateways` 512 bytes;
 * nesting 64 levels; 4 million values in a document, aliases and each 64 bytes of a text counted in
 * full; a model 1 GiB. Merge keys and non-string keys are refused.
 *
 * A load reads only files with another device, inode, size or time than at the last read, and
 * parses only those with different content. Times are trusted if they are at least 2 s older than
 * the read: a younger file may change again within the same clock tick. Diagnostics of unchanged
 * files are repeated.
 * - Each object is a separate, immutable part of the model that loads share (mt_model_share()).
 * - A file of 0 bytes that held documents counts as being written, because editors and `cp` empty a
 *   file first and a full disk leaves it so: its last content stays, with a warning. Results for a
 *   deleted file are dropped only by a load that has a Node, because without one its directories
 *   are unknown.
 * - In a changed file, a document is reused if its line, its text and its lack of diagnostics are
 *   unchanged (struct mt_pieces), and keeps its serial. One that moved to another line is read
 *   again, because an object records its line; so are all items of a List.
 * - Listings of directories are cached, and read again if the directory's times changed or are
 *   younger than 2 s. A manual reload reads all of them, because some file systems change a
 *   directory without changing its times.
 * - A read is incomplete if a file or directory changed meanwhile. Missing documents then do not
 *   count as deleted (mt_source_is_partial()), and the watch starts another load. So a document
 *   that moves to a directory that was already read is never lost. A time in the future comes from
 *   another clock and is ignored.
 * - An object of a namespace that its source may not have (`sources[].namespaces`) is refused, and
 *   does not count as a version or duplicate of another object (mt_object.outside). A directory
 *   that is limited in this way is not read as part of another source that contains it, also if
 *   another directory replaces it during the load.
 * - While a directory or MeshConfig that the configuration names cannot be read, no document counts
 *   as deleted: a misspelled name looks the same as a removed source. Of a source that is limited
 *   to some namespaces, this holds for their objects only, because its authors can cause it.
 * - Nothing is opened outside of the directories that the configuration names, whatever links are
 *   in them (beneath.c), and each of them has limits (MT_SOURCE_NAMES_MAX).
 *
 * The watch: one descriptor (epoll over inotify and a timer) for directories with their
 * subdirectories and the Node's file. It reports *.yaml, *.yml and *.json files that were closed
 * after writing, renamed, linked or removed, or have new permissions; the link `..data`, with which
 * mounted volumes change all files at once; and directories with documents. Changes are collected
 * until 80 ms pass without another, at most 1 s. After a new directory it walks the whole tree, at
 * most once in 80 ms, and once more before it reports. It adds the watch of a directory before it
 * lists it, so one of the two finds each write. No event covers a link's target or a renamed
 * parent: links, named directories and the Node's file are checked by stat once a second, a tenth
 * of them each 100 ms, and so are files of a directory for which the kernel has no watch left.
 *
 * To add a field: one row, its use in lib/conf, a case in tests/enforced, and
 * `MT_REFERENCE_OUT=FILE unit_source reference_page`. A kind: a struct in lib/model, a file
 * kind_x.c, a row in mt_kinds[]. Another source fills a struct mt_model and a struct mt_diags, as
 * lib/xds does.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"
#include "mt_object.h"
#include "mt_strmap.h"

#include <stdio.h>

/* Source of objects that are documents, unless the Node names the source of their directory. */
#define MT_SOURCE_DOCUMENTS "documents"
/* Sources of documents of kind Codec: directories of the Node's spec.codecs, and of packages. */
#define MT_SOURCE_OF_CODECS	   "codecs"
#define MT_SOURCE_INSTALLED_CODECS "installed"

/* A longer file is rejected before it is read. */
#define MT_SOURCE_FILE_MAX (16u << 20)

/*
 * A source with more is not read completely: names of files and directories, of any kind, in all
 * its directories; directories; bytes of documents; memory; names that are resolved on paths with
 * symbolic links, each time that such a path is opened.
 */
#define MT_SOURCE_NAMES_MAX	  131072u
#define MT_SOURCE_DIRECTORIES_MAX 8192u
#define MT_SOURCE_BYTES_MAX	  (256ull << 20)
#define MT_SOURCE_STEPS_MAX	  (2u << 20)
/*
 * Memory of objects, diagnostics and names that are read from a source that is limited to some
 * namespaces. Another source may have twice that, so that one namespace in it meets its share of a
 * model first.
 */
#define MT_SOURCE_MEMORY_MAX (1ull << 30)

/* A file with more objects is rejected. */
#define MT_SOURCE_OBJECTS_MAX 100000u

/* A place with documents of kind Codec has no others. */
enum mt_source_codecs { MT_CODECS_NONE, MT_CODECS_OF_NODE, MT_CODECS_INSTALLED };

/* The directory of codecs that packages install; another one in tests. It may be missing. */
#define MT_SOURCE_CODECS "/usr/share/meltemi/codecs"
extern const char *mt_source_codecs;

/* Where documents are read from: defaults for the identities of their objects. */
struct mt_source_place {
	const char *source; /* mt_object.source */
	const char
		*ns; /* namespace of objects that specify none; NULL: not configured, "default" */
	/* Namespaces that its objects may be in, divided by ", "; NULL: all, and no namespace. */
	const char *only;
	bool mesh_config; /* the file is a MeshConfig and not documents */
	uint8_t codecs;	  /* enum mt_source_codecs */
};

extern const struct mt_source_place mt_source_anywhere;

/* Result of reading all files and directories. */
struct mt_source_reading {
	struct mt_objects objects; /* in the order of files and lines */
	char **partial;		   /* files and directories that were not read completely */
	uint32_t n_partial;
	/* Of these, the ones that changed meanwhile: the watch causes another load by itself. */
	uint32_t n_changing;
	struct mt_strmap by_path; /* all of `partial` */
	/*
	 * The first named file or directory that cannot be read and may have any object; NULL:
	 * all were read.
	 */
	char *unread;
	struct mt_source_root *roots; /* the directories of sources */
	uint32_t n_roots, n_unread;   /* number of these that are `unread` */
};

struct mt_source_root {
	char *directory;
	char *only;  /* as in struct mt_source_place */
	bool unread; /* it cannot be read; it may have objects of these namespaces */
};

/* True if a patch of an EnvoyFilter, as written, may change the outcome of some call. */
struct mt_ynode;
bool mt_patch_restricts(const struct mt_ynode *patch);

void mt_source_reading_fini(struct mt_source_reading *r);
/*
 * True if `file`, or a directory above it, was not read completely. Objects that are missing from
 * it may still exist. True for every file while a file or directory that the configuration names
 * cannot be read, because its name may be a mistake for any other.
 */
bool mt_source_is_partial(const struct mt_source_reading *r, const char *file);

/*
 * Records that a file or directory was not read completely, so that objects missing from it are not
 * taken as deleted. 0 or -ENOMEM.
 */
int mt_reading_partial(struct mt_source_reading *r, const char *path);

/*
 * Returns the file or directory that was not read completely, so that an object that is missing
 * now, and that `file` had, may still exist. NULL: it does not, or its source is limited to other
 * namespaces now. A source with namespaces that cannot be read keeps objects of these only, and
 * none from a file below a directory that was read.
 */
const char *mt_source_holder(
	const struct mt_source_reading *r, const char *file, const struct mt_object *o);

/*
 * True if the file is in a directory of a source, also if that could not be read. *only receives
 * the namespaces that this source is limited to; NULL: all.
 */
bool mt_source_limit(const struct mt_source_reading *r, const char *file, const char **only);
/* The namespaces that the source of a directory is limited to; NULL: all, or no such source. */
const char *mt_source_root_only(const struct mt_source_reading *r, const char *directory);
/*
 * Reads the objects of one text, which starts at line `line` of `file`. *documents receives the
 * number of its documents. 0, -ENOMEM, or -E2BIG for more than MT_SOURCE_OBJECTS_MAX objects.
 */
int mt_source_objects(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *file, uint32_t line, const char *text,
	uint32_t *documents);

/*
 * Adds every object that can be compiled to the model, in order. The first Node becomes the
 * model's; another one is an error in `diags`. 0, -ENOMEM, or -E2BIG if the objects exceed what a
 * configuration may hold.
 */
int mt_objects_model(struct mt_model *m, const struct mt_objects *l, struct mt_diags *diags);

/*
 * Reads every document of one text into the model; `name` is the text's name in messages. Problems
 * go to `diags`. A document with an error is left out and the others are still read, so that one
 * run reports all problems. 0, -ENOMEM or -E2BIG.
 */
int mt_source_text(
	struct mt_model *m, struct mt_diags *diags, const char *name, const char *text, size_t len);

/* Reads one file like mt_source_text(). Also -errno if it cannot be read, which `diags` reports. */
int mt_source_file(struct mt_model *m, struct mt_diags *diags, const char *path);

/*
 * Reads every *.yaml, *.yml and *.json file of a directory and below it, in the order of names.
 * Skips hidden files and files that editors leave behind. Reports in `diags` what cannot be read.
 * 0, -ENOMEM or -E2BIG.
 */
int mt_source_directory(struct mt_model *m, struct mt_diags *diags, const char *path);

/*
 * Content of files as they were last read. A load reads only files whose device, inode, size or
 * times changed, and parses only those whose content changed. It shares the objects of the others
 * with earlier loads. An empty file that held documents before is assumed to be in the middle of a
 * write: its last content stays, with a warning.
 */
struct mt_source_cache;

/* NULL: no memory. */
struct mt_source_cache *mt_source_cache_new(void);
/* Models that were loaded with the cache stay valid. NULL is allowed. */
void mt_source_cache_free(struct mt_source_cache *c);
/*
 * Makes the next load list every directory again. Call before a reload by hand, because some file
 * systems (buckets, /proc) change the content of a directory without changing its times.
 */
void mt_source_cache_doubt(struct mt_source_cache *c);

/*
 * The exact texts of all files of one load, to return to that load or to compare with it. Files
 * that did not change share their text with earlier loads. Immutable.
 */
struct mt_source_texts;

/*
 * Texts of the last load with this cache, in the order in which files were read. NULL: no memory.
 */
struct mt_source_texts *mt_source_texts_new(const struct mt_source_cache *c);
/* Adds a reference; returns t. */
struct mt_source_texts *mt_source_texts_ref(struct mt_source_texts *t);
/* Drops a reference; the last one frees the texts. NULL is allowed. */
void mt_source_texts_free(struct mt_source_texts *t);
/* Bytes that `t` takes, without the texts that it shares with `before` (NULL: none). */
size_t mt_source_texts_bytes(const struct mt_source_texts *t, const struct mt_source_texts *before);
/*
 * Reads all objects of the texts, in the order of files, without files that `t` shares with
 * `same` (NULL: none). Stops at an error. 0, -ENOMEM or -E2BIG.
 */
int mt_source_texts_read(const struct mt_source_texts *t, const struct mt_source_texts *same,
	struct mt_source_reading *r, struct mt_diags *diags);

/*
 * Reads a whole configuration: the Node's file (NULL: none), the directories that its `codecs` and
 * `sources` name (relative to the Node's file), installed codecs, and `n` further directories (-d).
 * Directories are read with everything below them that is not hidden. A file or directory that is
 * named twice is read once. `diags` gets every error, with the object or file that it is about.
 * `cache` NULL: read everything. 0 or -ENOMEM.
 */
int mt_source_read(struct mt_source_cache *cache, struct mt_source_reading *r,
	struct mt_diags *diags, const char *node_file, const char *const *directories, uint32_t n);

/* mt_source_read() into a model, for callers that need no single objects. 0, -ENOMEM or -E2BIG. */
int mt_source_load(struct mt_source_cache *cache, struct mt_model *m, struct mt_diags *diags,
	const char *node_file, const char *const *directories, uint32_t n);

/* True if a file of this name is read from a directory. */
bool mt_source_wants(const char *name);
/*
 * True if a file of this name is not read, but probably should be: "a.yaml.txt", "A.YAML". False
 * for copies and templates, which are left out on purpose: "a.yaml~", "a.yaml.bak".
 */
bool mt_source_is_misnamed(const char *name);

/* Most levels of nested directories, because links may form loops. */
#define MT_SOURCE_DEPTH 32

/*
 * A watch on everything that mt_source_read() reads: directories with all below them, and the
 * Node's file. It has one descriptor for the event loop, which is readable when there is something
 * to do. A change is reported when no other has followed for 80 ms, after 1 s at the latest, but
 * not in a pause (mt_watch_pause()). Where the kernel sends no events, the watch polls once a
 * second. This concerns targets of links, paths that lead elsewhere now, and directories beyond the
 * kernel's limit of watches.
 */
struct mt_watch;

struct mt_watch_what {
	const char *node_file; /* NULL: none */
	const char *const *directories;
	uint32_t n;
	uint64_t
		since; /* mt_watch_clock(): report changes at or after it; 0: only changes from now on */
	const char *mesh_file; /* of a MeshConfig; NULL: none */
	/*
	 * Of each directory: it is limited to some namespaces (sources[].namespaces), and not
	 * watched as part of another one. NULL: none is limited.
	 */
	const bool *confined;
};

/* The clock of file time stamps, ns. */
uint64_t mt_watch_clock(void);

/*
 * Returns NULL with *err = -errno if there is no memory or descriptor. It is no error if a
 * directory does not exist yet.
 */
struct mt_watch *mt_watch_new(const struct mt_watch_what *what, int *err);
/* NULL is allowed. */
void mt_watch_free(struct mt_watch *w);
int mt_watch_fd(const struct mt_watch *w);
/*
 * Watches other files and directories from now on. 0, or -ENOMEM: still watches the previous ones.
 */
int mt_watch_aim(struct mt_watch *w, const struct mt_watch_what *what);

/*
 * Call when the descriptor is readable; `now` is monotonic (ns). True: a change is complete (see
 * above), so load again.
 */
bool mt_watch_on_event(struct mt_watch *w, uint64_t now);
/*
 * Reports no change before `until` (in the clock of mt_watch_on_event()), so that loads leave time
 * for other work although a source changes all the time. Later changes are reported then.
 */
void mt_watch_pause(struct mt_watch *w, uint64_t until);

/* Writes the table of kinds and fields (Markdown) that docs/reference/configuration.md holds. */
void mt_source_reference(FILE *out);
/* Writes the index of kinds, with links to their tables, at the top of that page. */
void mt_source_index(FILE *out);
