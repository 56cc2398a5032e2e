/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that may hold keys: read whole, written so that nobody ever sees half of one. */
#pragma once

#include "mt_log.h"

#define MT_FILE_SMALL (1u << 20) /* longer files are refused */

/*
 * The whole of a regular file, with a NUL behind it that *len does not count; mt_wipe_free() when it may hold a
 * key. 0, or -errno with *e naming the path.
 */
int mt_file_read(const char *path, char **text, size_t *len, struct mt_err *e);

/*
 * Replaces a file: written beside it with mode 0600, synced, renamed over it, the directory synced. The old
 * content stays when anything fails. 0, or -errno with *e naming the path.
 */
int mt_file_replace(const char *path, const char *text, size_t len, struct mt_err *e);

/* The directory, made with mode 0700 if it is not there (its parent must be). 0, or -errno with *e. */
int mt_file_directory(const char *path, struct mt_err *e);
