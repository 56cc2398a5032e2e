/* SPDX-License-Identifier: Apache-2.0 */
/* secrets.c keeps names and versions, secrets_file.c fills those that are files. */
#pragma once

#include "mt_list.h"
#include "mt_secrets.h"

#include <sys/types.h>
#include <time.h>

/* How a file looked when it was read. */
struct mt_secret_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

/* As it looks now; all zero: it is not there. NULL is allowed. */
struct mt_secret_stamp mt_secret_stamp(const char *path);
bool mt_secret_stamp_same(const struct mt_secret_stamp *a, const struct mt_secret_stamp *b);

struct mt_secret_name {
	struct mt_list node;
	char *name;
	struct mt_secret *current; /* NULL: none yet */
	struct mt_err why;	   /* the newest version is refused; "" it is not */

	/* Names of files; else all NULL. */
	char *chain_path, *key_path, *root_path;
	struct mt_secret_stamp stamps[2];
	unsigned int look_again; /* turns, whatever the stamps say */
};

struct mt_secrets {
	struct mt_list names;
	uint64_t serial;    /* of the last version */
	uint64_t next_look; /* at the files; monotonic, ns */
};

/* mt_secrets_set() for a name that is known. */
int mt_secrets_put(struct mt_secrets *s, struct mt_secret_name *n, const char *chain,
	const char *key, const char *roots, struct mt_err *e);

/* Whether a name means files; then its paths are set. -EINVAL with *e when it is written wrongly, -ENOMEM. */
int mt_secret_file_name(struct mt_secret_name *n, struct mt_err *e);
/* Reads the files if they changed, or if `first`. */
void mt_secret_file_read(struct mt_secrets *s, struct mt_secret_name *n, bool first);
