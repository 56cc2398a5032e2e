/* SPDX-License-Identifier: Apache-2.0 */
/* Files read whole, and replaced so that nobody ever sees half of one: control thread and tools only. */
#pragma once

#include "mt_log.h"

#include <sys/types.h>

#define MT_FILE_SMALL (1u << 20) /* bytes that a certificate, a key or a token has at most */

/*
 * The whole of a regular file, with a NUL behind it that *len does not count; free(), or mt_wipe_free() when it may
 * hold a key. `flags`: further ones of open(), as O_NOFOLLOW. 0; -EFBIG when it has more than `max` bytes or grows
 * meanwhile, -EINVAL when it is no regular file, else -errno; *e names the path.
 */
int mt_file_read(
	const char *path, size_t max, int flags, char **data, size_t *len, struct mt_err *e);

/*
 * Replaces a file: written beside it as ".NAME.new" (a link of that name is not followed), synced, renamed over it,
 * the directory synced. It has exactly the mode, whatever the umask; before it has its name, 0600. The old content
 * stays when anything before the last step fails, and nothing else is left behind. 0, or -errno with *e naming the path.
 */
int mt_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct mt_err *e);

/* The directory, made with the mode if it is not there (its parent must be). 0, or -errno with *e naming the path. */
int mt_file_directory(const char *path, mode_t mode, struct mt_err *e);

/* For texts from malloc() that nobody may find in memory afterwards: overwritten, then freed. NULL is allowed. */
void mt_wipe_free(char *text);
