/* SPDX-License-Identifier: Apache-2.0 */
/* Between load.c (one file), cache.c (files that are read again) and configuration.c (all of it). */
#pragma once

#include "mt_source.h"

#include <sys/stat.h>

/* load.c: a regular file whole, NUL-terminated, to be freed; NULL after an entry in `diags`. */
char *mt_file_text(struct mt_diags *diags, const char *path, struct stat *st, size_t *len, int *rc);
/* Every document of a text; *documents counts them, sound or not. 0 or -ENOMEM. */
int mt_text_read(struct mt_model *m, struct mt_diags *diags, const char *name, const char *text,
	size_t len, uint32_t *documents);
/* A file or directory cannot be read; returns -err. */
int mt_load_error(struct mt_diags *diags, const char *path, const char *remedy, int err);

/*
 * cache.c: what the file says goes into `m`, read now or before; `st` is what stat() says of it now. 0, or
 * -errno when it cannot be read (also in `diags`).
 */
int mt_cache_read(struct mt_source_cache *c, struct mt_model *m, struct mt_diags *diags,
	const char *path, const struct stat *st);
/* A load begins; at its end, what was not read in it is forgotten, if `all` of it could be read. */
void mt_cache_begin(struct mt_source_cache *c);
void mt_cache_end(struct mt_source_cache *c, bool all);
