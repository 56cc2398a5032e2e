/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads whole files, and replaces them so that no reader sees half of one. Control thread and tools
 * only.
 */
#pragma once

#include "mt_log.h"

#include <sys/stat.h>
#include <sys/types.h>

#define MT_FILE_SMALL (1u << 20) /* maximum bytes of a certificate, a key or a token */

/*
 * Reads all of a regular file. A NUL follows that *len does not count. The caller frees the data:
 * free(), or mt_wipe_free() if it may contain a key. `flags`: more flags of open(), such as
 * O_NOFOLLOW. Returns 0; -EFBIG if the file has more than `max` bytes or grows meanwhile; -EINVAL
 * if it is not a regular file; else -errno. *e names the path.
 */
int mt_file_read(
	const char *path, size_t max, int flags, char **data, size_t *len, struct mt_err *e);

/* The same for a private key or a token, at most MT_FILE_SMALL bytes. */
int mt_file_read_secret(const char *path, char **data, size_t *len, struct mt_err *e);

/*
 * Opens a file in or below a directory, which is a descriptor of the caller, and nothing outside of
 * it: symbolic links and ".." of the relative path must not lead out. The kernel resolves it in one
 * step (openat2()), so that a directory that is renamed meanwhile leads nowhere else. O_CLOEXEC is
 * added to the flags. `links` false: no link is followed, because a few of them can hold a path of
 * 60,000 names; with O_PATH and O_NOFOLLOW one at the end is opened itself. Returns a descriptor or
 * -errno: -EXDEV if the path leads out, also by a link to an absolute path; -ELOOP for a link that
 * is not followed; -ENOSYS on a kernel before Linux 5.6.
 */
int mt_file_open_beneath(int directory, const char *path, int flags, bool links);

/* Members of this process's group may operate it, but not have its keys. */
enum mt_file_kind {
	MT_FILE_SHARED, /* the group may read it: documents, certificates */
	MT_FILE_SECRET, /* only the user may: private keys, tokens */
};

/*
 * The command that lets this process read a file, for -EACCES or EACCES in a process that is not
 * root: "chgrp GROUP PATH && chmod g+r PATH", or "chown USER PATH && chmod 400 PATH" for a secret.
 * PATH is the target of a symbolic link, which follows. If a directory on the way must not be
 * searched: "chgrp GROUP DIRECTORY && chmod g+x DIRECTORY". Otherwise "".
 */
const char *mt_file_remedy(
	const char *path, enum mt_file_kind kind, int err, char *buf, size_t size);
/* Fills *e for a file that open() refused with this errno, with the remedy. Returns -err. */
int mt_file_not_opened(const char *path, enum mt_file_kind kind, int err, struct mt_err *e);

/*
 * Replaces a file: writes it to ".NAME.new" in the same directory (a link of that name is not
 * followed), syncs it, renames it, and syncs the directory. It has exactly the mode, whatever the
 * umask; before the rename, 0600. If anything before the last step fails, the old content stays and
 * nothing else is left. Returns 0, or -errno with *e naming the path.
 */
int mt_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct mt_err *e);
/*
 * The same, with owner, group and mode of *like. They are set before the file has its name, so that
 * no link of that name, which another user may make, is followed.
 */
int mt_file_replace_like(
	const char *path, const void *data, size_t len, const struct stat *like, struct mt_err *e);

/*
 * Creates the directory with the mode if it does not exist (its parent must). Returns 0, or -errno
 * with *e naming the path.
 */
int mt_file_directory(const char *path, mode_t mode, struct mt_err *e);

/* For secret texts from malloc(): overwrites the text, then frees it. NULL is allowed. */
void mt_wipe_free(char *text);
