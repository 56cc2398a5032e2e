/* SPDX-License-Identifier: Apache-2.0 */
/* What a watch looks at: between watch.c (events and when to tell) and watch_tree.c (what is there). */
#pragma once

#include "mt_region.h"
#include "mt_source.h"
#include "mt_strmap.h"

#include <sys/stat.h>

/* A directory that the kernel tells of. */
struct mt_watched {
	const char *path;
	int wd;
	uint32_t wanted; /* documents in it */
	bool documents;	 /* what is in it is read */
	bool node;	 /* the Node's file is in it */
	bool unreadable; /* its names cannot be listed */
};

/* What stat() says of something; all zero: it is not there. */
struct mt_stamp {
	uint64_t dev, ino, size, mtime, ctime;
};

/* Something that no event tells of, so it is looked at by time. */
struct mt_look {
	const char *path;
	bool content; /* its times count, too, and not only which one it is */
	struct mt_stamp stamp;
};

/* What one walk through everything found. */
struct mt_walk {
	struct mt_region region;
	struct mt_watched *dirs; /* by wd */
	struct mt_look *looks;
	uint32_t n_dirs, n_looks;
	uint32_t n_limited;  /* directories for which the kernel had no watch left */
	struct mt_strmap at; /* looks by path: index + 1 */
	bool younger;	     /* something changed at or after the time that was asked for */
};

struct mt_watch_tree {
	int inotify; /* -1: all is looked at by time */
	struct mt_region region;
	const char *node_file, *node_name; /* NULL: none */
	const char *mesh_file;		   /* looked at once a second; NULL: none */
	const char **roots;
	uint32_t n_roots;
	struct mt_walk now;
	bool told_limit;
};

void mt_tree_init(struct mt_watch_tree *t);
void mt_tree_fini(struct mt_watch_tree *t);
/* Other files and directories; the next walk finds them. 0 or -ENOMEM. */
int mt_tree_aim(struct mt_watch_tree *t, const struct mt_watch_what *what);
/* Whether it is aimed at the same already. */
bool mt_tree_is_aimed(const struct mt_watch_tree *t, const struct mt_watch_what *what);
/*
 * Walks through everything: directories that came are watched, those that went are not. 1: what would be read has changed
 * since the last walk, or at or after `since` (0: whenever); 0; or -ENOMEM, and all is as it was.
 */
int mt_tree_walk(struct mt_watch_tree *t, uint64_t since);
/* n of what no event tells of, from `first` on: whether one of them has changed. */
bool mt_tree_look(struct mt_watch_tree *t, uint32_t first, uint32_t n);
/* NULL: there is none. */
const struct mt_watched *mt_tree_find(const struct mt_watch_tree *t, int wd);
/* Whether that path is looked at by time. */
bool mt_tree_looks_at(const struct mt_watch_tree *t, const char *path);
