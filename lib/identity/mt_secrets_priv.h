/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface between secrets.c, which stores names and versions, and secrets_file.c, which reads
 * files.
 */
#pragma once

#include "mt_list.h"
#include "mt_secrets.h"

#include <sys/types.h>
#include <time.h>

/* Identification of a file's version. */
struct mt_secret_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

/* Returns the current stamp of a file; all zero if it does not exist or path is NULL. */
struct mt_secret_stamp mt_secret_stamp(const char *path);
bool mt_secret_stamp_same(const struct mt_secret_stamp *a, const struct mt_secret_stamp *b);

struct mt_secret_name {
	struct mt_list node;
	char *name;
	struct mt_secret *current; /* NULL: none yet */
	struct mt_err why;	   /* why the newest version is rejected; "": it is not */

	/* Names of files; else all NULL. */
	char *chain_path, *key_path, *root_path;
	struct mt_secret_stamp stamps[2];
	unsigned int look_again; /* checks that read the files even if the stamps are equal */
};

struct mt_secrets {
	struct mt_list names;
	uint64_t serial;    /* of the last version */
	uint64_t next_look; /* next check of the files; monotonic, ns */
};

/* mt_secrets_set() for an existing name. */
int mt_secrets_put(struct mt_secrets *s, struct mt_secret_name *n, const char *chain,
	const char *key, const char *roots, struct mt_err *e);

/*
 * Sets the paths of a name of files. Returns 0, also for other names; -EINVAL with *e for a
 * malformed one; -ENOMEM.
 */
int mt_secret_file_name(struct mt_secret_name *n, struct mt_err *e);
/* Reads the files of a name if they have changed, or if `first`. */
void mt_secret_file_read(struct mt_secrets *s, struct mt_secret_name *n, bool first);
