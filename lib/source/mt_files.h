/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the files that read files: load.c (one), cache.c (changed ones), configuration.c
 * (all).
 */
#pragma once

#include "mt_source.h"

#include <sys/stat.h>

/*
 * beneath.c: the directory of a source. Files that are opened through it are in it or below it,
 * despite symbolic links and `..`; its own path may have links. NULL stands for no such directory:
 * paths are opened as they are.
 */
struct mt_root {
	const char *path; /* the caller's */
	size_t len;	  /* without slashes at the end */
	int fd;
	uint32_t *steps; /* the caller's: names that may still be resolved on paths with links */
};

/* Opens the directory; 0 or -errno, and then r->fd is -1. */
int mt_root_open(struct mt_root *r, const char *path, uint32_t *steps);
void mt_root_close(struct mt_root *r);
/*
 * Opens a path that begins with the root's. Subtracts the names that it resolved from *r->steps if
 * one of them is a link. Returns a descriptor, or -errno: -EXDEV if a link leads out of the root;
 * -EDQUOT if no more names may be resolved.
 */
int mt_root_openat(const struct mt_root *r, const char *path, int flags);
/* Read the state of such a path, or of a symbolic link itself. 0 or -errno, as above. */
int mt_root_stat(const struct mt_root *r, const char *path, struct stat *st);
int mt_root_lstat(const struct mt_root *r, const char *path, struct stat *st);

/* confined.c: the directory of a source, as it was at the start of a load. */
struct mt_root_place {
	const char *real; /* its path without links; NULL: unknown */
	dev_t dev;
	ino_t ino;    /* 0: there was none */
	bool limited; /* to some namespaces */
};

/*
 * Finds where a directory is now, also if it does not exist yet. Its text is in the region; without
 * memory it is NULL, and the region has failed.
 */
struct mt_root_place mt_root_place(struct mt_region *r, const char *directory, bool limited);
/* True if an open directory is at this place. */
bool mt_root_is_at(const struct mt_root_place *p, int fd);
/*
 * True if an open directory, which source `self` (index + 1) contains, is left to another one: the
 * innermost source has it, if that or `self` is limited. Compares paths, too, because another
 * directory may have replaced one of a source since.
 */
bool mt_root_is_of_another(
	const struct mt_root_place *v, uint32_t n, uint32_t self, int fd, const struct stat *st);

/* Limits of a source, or its use of them in a load. */
struct mt_source_limits {
	uint32_t names, directories; /* in all its directories */
	uint64_t bytes;		     /* of its documents */
	uint64_t memory; /* of what is read from it; twice that of a source of all namespaces */
	uint32_t steps;	 /* names that were resolved on paths with symbolic links */
};

extern struct mt_source_limits mt_source_limits;

/* The usual limits in messages of loads and of the watch. */
#define MT_TOO_MANY_NAMES	"131,072 names in all directories"
#define MT_TOO_MANY_DIRECTORIES "8,192 directories"
#define MT_TOO_MANY_STEPS	"2,097,152 names on paths with symbolic links"

/* The text of a file, shared by the cache and struct mt_source_texts (texts.c). */
struct mt_source_blob {
	uint32_t refs;
	size_t len;
	char *text, *path;
	char *source, *ns, *only; /* as in struct mt_source_place */
	bool mesh_config;
	uint8_t codecs;
};

/* Takes ownership of the text, also if it returns NULL (no memory). */
struct mt_source_blob *mt_blob_new(
	const struct mt_source_place *place, const char *path, char *text, size_t len);
struct mt_source_place mt_blob_place(const struct mt_source_blob *b);
void mt_blob_put(struct mt_source_blob *b); /* NULL is allowed */
/* cache.c: calls back for each file of the last load, in any order; `order` is its place in it. */
void mt_cache_each(const struct mt_source_cache *c,
	void (*cb)(void *arg, uint32_t order, struct mt_source_blob *b), void *arg);
/* Number of files of that load. */
uint32_t mt_cache_count(const struct mt_source_cache *c);

/* load.c: *rc of a file that changed while it was read, so that the text may be incomplete. */
#define MT_FILE_TORN 1
/*
 * Reads a whole regular file as UTF-8, NUL-terminated; the caller frees it. NULL with -errno in
 * *rc: it cannot be read, which `diags` reports; -ENOMEM; -EDQUOT as of mt_root_openat(); or
 * -ENOENT below the root, which the caller reports if it should.
 */
char *mt_file_text(struct mt_diags *diags, const struct mt_root *root, const char *path,
	struct stat *st, size_t *len, int *rc);
/* One piece of a text that was read. */
struct mt_piece_read {
	size_t at, len; /* range of bytes in the text */
	uint32_t line;
	uint32_t first, n; /* range of its objects among those of the text */
	uint32_t documents;
	bool clean; /* it has no diagnostics */
};

/* The pieces of a text, so that a change of one document in 10,000 reads only that one again. */
struct mt_pieces {
	const char *text; /* owned by the cache */
	const struct mt_objects *objects;
	struct mt_piece_read *v;
	uint32_t n, cap;
	uint64_t memory; /* of the objects and diagnostics of the text */
	uint64_t most;	 /* of `memory`; 0: no limit */
};

/*
 * pieces.c: reads every object of a text. *documents receives the number of its documents, with or
 * without errors. Reuses the objects of pieces in `was` (NULL: none) that have the same line and
 * text and no diagnostics. `now` (NULL: not wanted) receives the pieces of this text. 0, -ENOMEM,
 * -E2BIG, or -EOVERFLOW for more memory than now->most, which is an error in `diags`.
 */
int mt_text_read(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *name, const char *text, size_t len,
	uint32_t *documents, const struct mt_pieces *was, struct mt_pieces *now);
void mt_pieces_fini(struct mt_pieces *p);
/*
 * Size of a part's first block: small, because there may be tens of thousands of small documents.
 */
#define MT_PART_FIRST 1024
/* Reports in `diags` that a file or directory cannot be read; returns -err. */
int mt_load_error(struct mt_diags *diags, const char *path, const char *remedy, int err);

/* A file or directory with the same identity is assumed unchanged (see mt_file_settled()). */
struct mt_file_identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	uint64_t mtime, ctime; /* ns */
};

/* cache.c */
struct mt_file_identity mt_file_identity(const struct stat *st);
/* The clock of file time stamps, ns; used only to decide whether to read something again. */
uint64_t mt_file_clock(void);
/* True if what was read at `read_at` has not changed since and need not be read again. */
bool mt_file_settled(
	const struct mt_file_identity *was, const struct mt_file_identity *now, uint64_t read_at);

/* An entry of a directory. */
struct mt_listed_name {
	const char *path; /* with the directory's */
	bool wanted;	  /* it has the name of a document; otherwise it may lead to a directory */
	bool misnamed;	  /* mt_source_is_misnamed() */
};

/* The entries of a directory in the order of names, kept by the cache. Some may be gone by now. */
struct mt_listing {
	char *path; /* of the directory */
	struct mt_region region;
	struct mt_file_identity id;
	uint64_t read_at, round;
	struct mt_listed_name *v;
	uint32_t n;
	uint32_t n_seen; /* entries of any name */
};

/* cache.c: the listing of a directory, marked as used by this load. NULL: no memory. */
struct mt_listing *mt_cache_listing(struct mt_source_cache *c, const char *path);
/*
 * listing.c: updates the listing from a descriptor of the directory, which it closes; `st` is the
 * directory's current state. 0, or -errno: it is empty. -E2BIG: it has more than `most` entries.
 */
int mt_listing_read(struct mt_listing *l, int fd, const struct stat *st, uint32_t most);
void mt_listing_fini(struct mt_listing *l);

/*
 * cache.c: adds the objects of a file to the reading; reads the file again only if it changed. `st`
 * is its current state. *memory receives the memory that the file takes, at most `most`. 0, or
 * -errno if it cannot be read, which `diags` reports as in mt_file_text(); -EOVERFLOW: it takes
 * more memory.
 */
int mt_cache_read(struct mt_source_cache *c, struct mt_source_reading *r, struct mt_diags *diags,
	const struct mt_source_place *place, const struct mt_root *root, const char *path,
	const struct stat *st, uint64_t most, uint64_t *memory);
/* mt_reading_partial() for a file or directory that changed while it was read. */
int mt_reading_changing(struct mt_source_reading *r, const char *path);
/*
 * Mark the start and the end of a load. mt_cache_end() forgets listings that the load did not use,
 * and with `all` also files that it did not read.
 */
void mt_cache_begin(struct mt_source_cache *c);
void mt_cache_end(struct mt_source_cache *c, bool all);
