/* SPDX-License-Identifier: Apache-2.0 */
/* Between load.c (one file), cache.c (files that are read again) and configuration.c (all of it). */
#pragma once

#include "mt_source.h"

#include <sys/stat.h>

/* The text of a file, shared by the cache and those who keep it (texts.c). */
struct mt_source_blob {
	uint32_t refs;
	size_t len;
	char *text, *path;
	char *source, *ns; /* of its place; ns NULL: not said */
	bool mesh_config;
};

/* Takes the text over, also when it answers NULL (no memory). */
struct mt_source_blob *mt_blob_new(
	const struct mt_source_place *place, const char *path, char *text, size_t len);
struct mt_source_place mt_blob_place(const struct mt_source_blob *b);
void mt_blob_put(struct mt_source_blob *b); /* NULL is allowed */
/* cache.c: calls back for each file of the last load, in no order. */
void mt_cache_each(const struct mt_source_cache *c,
	void (*cb)(void *arg, uint32_t order, struct mt_source_blob *b), void *arg);
/* How many files that load has read. */
uint32_t mt_cache_count(const struct mt_source_cache *c);

/* load.c: *rc of a file that changed while it was read: what it holds now may be more than the text. */
#define MT_FILE_TORN 1
/* A regular file whole, as UTF-8, NUL-terminated, to be freed; NULL after an entry in `diags`, and -errno in *rc. */
char *mt_file_text(struct mt_diags *diags, const char *path, struct stat *st, size_t *len, int *rc);
/* One piece of a text that was read. */
struct mt_piece_read {
	size_t at, len; /* in the text */
	uint32_t line;
	uint32_t first, n; /* its objects, among all of the text */
	uint32_t documents;
	bool clean; /* nothing was said about it */
};

/* What a text said, piece by piece: of one of ten thousand documents that changes, only that one is read again. */
struct mt_pieces {
	const char *text; /* the cache's */
	const struct mt_objects *objects;
	struct mt_piece_read *v;
	uint32_t n, cap;
};

/*
 * pieces.c: every object of a text; *documents counts its documents, sound or not. What `was` had at the same line in the same words,
 * and nothing was said about, is taken over. `now` (NULL: not wanted) is what there is from now on; `was` NULL: nothing. 0 or -ENOMEM.
 */
int mt_text_read(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *name, const char *text, size_t len,
	uint32_t *documents, const struct mt_pieces *was, struct mt_pieces *now);
void mt_pieces_fini(struct mt_pieces *p);
/* Room for a small document: there are tens of thousands of them, each with memory of its own. */
#define MT_PART_FIRST 1024
/* A file or directory cannot be read; returns -err. */
int mt_load_error(struct mt_diags *diags, const char *path, const char *remedy, int err);

/* By what a file or directory is known to be the same as when it was read. */
struct mt_file_identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	uint64_t mtime, ctime; /* ns */
};

/* cache.c */
struct mt_file_identity mt_file_identity(const struct stat *st);
/* The clock that stamps files, ns; it decides nothing but whether something is read once more. */
uint64_t mt_file_clock(void);
/* What was read then need not be read again. */
bool mt_file_settled(
	const struct mt_file_identity *was, const struct mt_file_identity *now, uint64_t read_at);

/* A name in a directory, with the directory's before it. */
struct mt_listed_name {
	const char *path;
	bool wanted; /* it is called like a document; else it may lead to a directory */
};

/* The cache's: names in order. Some may be gone by now. */
struct mt_listing {
	char *path; /* of the directory */
	struct mt_region region;
	struct mt_file_identity id;
	uint64_t read_at, round;
	struct mt_listed_name *v;
	uint32_t n;
};

/* cache.c: that of a directory, for this load; NULL: no memory. */
struct mt_listing *mt_cache_listing(struct mt_source_cache *c, const char *path);
/* listing.c: as the directory is now, of which `st` was just asked for. 0 or -errno, then it lists nothing. */
int mt_listing_read(struct mt_listing *l, const struct stat *st);
void mt_listing_fini(struct mt_listing *l);

/*
 * cache.c: the objects of a file go into the reading, read now or before; `st` is what stat() says of it now. 0, or
 * -errno when it cannot be read (also in `diags`).
 */
int mt_cache_read(struct mt_source_cache *c, struct mt_source_reading *r, struct mt_diags *diags,
	const struct mt_source_place *place, const char *path, const struct stat *st);
/* Of a file or directory not everything was read: what it said before must not be taken as gone. 0 or -ENOMEM. */
int mt_reading_partial(struct mt_source_reading *r, const char *path);
/* A load begins; at its end, what was not read in it is forgotten, if `all` of it could be read. */
void mt_cache_begin(struct mt_source_cache *c);
void mt_cache_end(struct mt_source_cache *c, bool all);
