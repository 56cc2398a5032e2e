/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface of watch_tree.c (which files and directories exist) to watch.c (events, when to
 * report).
 */
#pragma once

#include "mt_region.h"
#include "mt_source.h"
#include "mt_strmap.h"

#include <sys/stat.h>

/* A directory with an inotify watch. */
struct mt_watched {
	const char *path;
	int wd;
	uint32_t wanted; /* number of documents in it */
	bool documents;	 /* documents in it are read */
	bool node;	 /* the Node's file is in it */
	bool unreadable; /* it cannot be listed */
};

/* State of a file by stat(); all zero: it does not exist. */
struct mt_stamp {
	uint64_t dev, ino, size, mtime, ctime;
};

/* A path that is polled, because events do not report its changes. */
struct mt_look {
	const char *path;
	bool content;	  /* compare size and times, too, and not only device and inode */
	uint32_t root_at; /* index + 1 in roots of the source that it is in; 0: none */
	struct mt_stamp stamp;
};

/* The polled paths of one source, or those of no source; each range is polled by itself. */
struct mt_look_range {
	uint32_t first, n; /* in looks */
	uint32_t at, end;  /* paths polled in this round; where its current part ends */
	uint64_t began;	   /* time of this round's first */
	uint64_t due;	   /* time of the next poll */
};

/* Result of one walk through all directories. */
struct mt_walk {
	struct mt_region region;
	struct mt_watched *dirs; /* by wd */
	struct mt_look *looks;
	struct mt_look_range *ranges;
	uint32_t n_dirs, n_looks, n_ranges;
	uint32_t n_limited;  /* directories beyond the kernel's limit of watches */
	uint64_t n_steps;    /* names resolved on paths with symbolic links */
	struct mt_strmap at; /* looks by path: index + 1 */
	bool younger;	     /* something changed at or after `since` of mt_tree_walk() */
};

struct mt_watch_tree {
	int inotify; /* -1: everything is polled */
	struct mt_region region;
	const char *node_file, *node_name; /* NULL: none */
	const char *mesh_file;		   /* polled once a second; NULL: none */
	const char **roots;
	bool *confined;	 /* of each root: limited to some namespaces, and of no other source */
	bool *told_ends; /* of each root: it was logged that its watch is not complete */
	uint32_t n_roots;
	struct mt_walk now;
	bool told_limit;
};

void mt_tree_init(struct mt_watch_tree *t);
void mt_tree_fini(struct mt_watch_tree *t);
/* Sets the files and directories that the next walk starts from. 0 or -ENOMEM. */
int mt_tree_aim(struct mt_watch_tree *t, const struct mt_watch_what *what);
/* True if `what` names the files and directories that are already set. */
bool mt_tree_is_aimed(const struct mt_watch_tree *t, const struct mt_watch_what *what);
/*
 * Walks through all directories; adds watches for new ones and removes those of deleted ones.
 * Returns 1 if what would be read has changed since the last walk, or at or after `since` (0: not
 * considered); 0 if not; or -ENOMEM, and the last walk stays in effect.
 */
int mt_tree_walk(struct mt_watch_tree *t, uint64_t since);
/*
 * Polls the next paths of a range up to r->end, as long as *work is not 0, and subtracts from it
 * MT_LOOK_WORK for each path, and names resolved on paths with symbolic links. True if one of them
 * has changed.
 */
bool mt_tree_look(struct mt_watch_tree *t, struct mt_look_range *r, uint32_t *work);
#define MT_LOOK_WORK 4
/* The directory with this watch descriptor; NULL: none. */
const struct mt_watched *mt_tree_find(const struct mt_watch_tree *t, int wd);
/* True if the path is polled. */
bool mt_tree_looks_at(const struct mt_watch_tree *t, const char *path);
