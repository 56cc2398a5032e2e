/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/objects: every object on its own. A table holds all objects that one load found, by identity: which version of each
 * is used, and what becomes of it. What is wrong with one object costs that object only: its last good version goes on, if
 * there is one, and everything else is as if it were not there. A load is:
 *
 *	struct mt_object_table *t = mt_table_new(&reading, kept);
 *	do
 *		snapshot = mt_conf_compile(conf, mt_table_model(t), diags, now);
 *	while (!snapshot && mt_table_refuse(t, diags));
 *	mt_table_finish(t, diags);
 *
 * Control thread only.
 */
#pragma once

#include "mt_idmap.h"
#include "mt_object.h"
#include "mt_source.h"

#include <jansson.h>

/* ---- the last good version of each object ---------------------------------------------------------- */

/*
 * By identity, also over restarts: STATE/objects.jsonl holds the text of each, never what was made of it, and no Node and no
 * Secret. `mt_kept_open()` reads that file; what cannot be read of it is told, and left out.
 */
struct mt_kept;

/* state_dir NULL: nothing outlives the process. NULL: no memory. */
struct mt_kept *mt_kept_open(const char *state_dir, bool read_only);
void mt_kept_free(struct mt_kept *k);
struct mt_service;
/* Who writes the file from now on; NULL: it is written at once. Drained before the service goes. */
void mt_kept_serve(struct mt_kept *k, struct mt_service *s);
uint32_t mt_kept_count(const struct mt_kept *k);
/* The last good version of that identity; NULL: there is none. It lives until mt_kept_update(). */
struct mt_object *mt_kept_good(struct mt_kept *k, const struct mt_object *o);

struct mt_object_table;

/*
 * The table's load is in force: what of it is good is kept from now on, what has left with a whole listing is forgotten, and
 * the file follows. 0 or -ENOMEM; what becomes of the file is told in the log. `wall`: seconds since 1970.
 */
int mt_kept_update(struct mt_kept *k, const struct mt_object_table *t, int64_t wall);
/* What time it is, for what holds until a day; seconds since 1970. Not said: the machine's clock. */
void mt_kept_clock(struct mt_kept *k, int64_t wall);
/* An operator's word: no version of before is held for it any more. False: none was. */
bool mt_kept_forget(struct mt_kept *k, const char *kind, const char *ns, const char *name);

/* ---- the objects of one load ------------------------------------------------------------------------ */

struct mt_note {
	const char *field; /* NULL: the object as a whole */
	const char *text;
};

struct mt_object_row {
	struct mt_object *
		o; /* the newest version; held rows of objects that are nowhere: the last good one */
	struct mt_object *good; /* the last good version of before; NULL: none */
	struct mt_object *used; /* the version that the compiler gets; NULL: none */
	enum mt_object_status status;
	const char *why; /* NULL: nothing to say */
	struct mt_note *notes;
	struct mt_origin *origins; /* where else the same stands */
	const char **touches;	   /* hosts that it is about: mt_table_touch() */
	uint32_t n_notes, n_origins, n_touches;
	uint32_t age; /* place in the order in which objects count */
	bool absent;  /* it is nowhere now: what may hold it could not be read */
	bool double_; /* another one of the identity of the row before */
	/* As they were before the compiler said anything. */
	struct mt_object *first_used;
	enum mt_object_status first_status;
	const char *first_why;
	bool unenforced;  /* the Node's operator has left it out for a while */
	bool delegated;	  /* the rules of a VirtualService in force are its own */
	bool good_is_bad; /* its last good version does not go with the others any more */
	bool condemned;	  /* mt_table_refuse() is about to refuse the version in use */
};

struct mt_object_table {
	struct mt_region region;
	struct mt_region words;	    /* of verdicts, and touches: gone with mt_table_reset() */
	struct mt_model *model;	    /* NULL: to be made of what is used */
	struct mt_objects objects;  /* what rows are made of */
	struct mt_object_row *rows; /* by identity */
	uint32_t n, cap;
	struct mt_object_row **by_age;
	struct mt_idmap by_serial;   /* rows, by what they use */
	bool touched;		     /* mt_table_touch() has been here */
	struct mt_closing *closings; /* what objects that cannot be evaluated close */
	int64_t wall, until; /* when it was made; when somebody's leave ends next, 0: nobody's */
	struct mt_mesh_settings mesh;
	uint32_t n_closings, n_files_bad;
	char **files_bad; /* files and directories that were not read to their end; the reading's, copied */
	struct mt_diags translated; /* what became of Kubernetes' objects on the way to the model */
	struct mt_diags told;	    /* errors of versions that are not used any more */
	uint32_t n_rounds;	    /* calls of mt_table_refuse() since creation or reset */
	bool node_refused;	    /* nothing can be compiled without it */
	bool first_node_refused;    /* as it was before the compiler said anything */
	bool unknown_closed; /* something protects, and not even its namespace can be read: the node is not ready */
};

/* Takes the objects of the reading over. NULL: no memory. */
struct mt_object_table *mt_table_new(struct mt_source_reading *r, struct mt_kept *kept);
void mt_table_free(struct mt_object_table *t);

/* As it was when it was new: the same objects are to be compiled with other things beside them. */
void mt_table_reset(struct mt_object_table *t);

/*
 * What is used, in the order in which objects count, and what closes. The table's: it lives until another version of some
 * object is used. NULL with *rc: -ENOMEM, or -E2BIG: all of it is more than a configuration may hold.
 */
struct mt_model *mt_table_model(struct mt_object_table *t, int *rc);

/*
 * Gives objects with errors in `diags` their last good version, or removes them. True: something
 * changed, so compile again; this ends, because each time fewer versions are left. After 64 rounds
 * new versions of the same kind and namespace fall back together with those that have errors. False
 * with node_refused: the Node itself is wrong.
 */
bool mt_table_refuse(struct mt_object_table *t, const struct mt_diags *diags);

/* All verdicts are in: each row's status, reason and notes. What closes is told in `diags`, too. */
void mt_table_finish(struct mt_object_table *t, struct mt_diags *diags);

/* After mt_table_finish(), for who looks at rows' touches: which hosts each object is about, by what became of it. */
void mt_table_touch(struct mt_object_table *t);

/* A day has passed until which something was not enforced: it is to be made anew. */
bool mt_table_is_due(const struct mt_object_table *t, int64_t wall);

/* True if an object that was last seen in this file, and is in no file now, may still be there. */
bool mt_table_may_hold(const struct mt_object_table *t, const char *file);
/* How many objects have each status. */
void mt_table_counts(const struct mt_object_table *t, uint32_t counts[MT_OBJECT_STATUSES]);
/* Something is refused or held, or a file could not be read. */
bool mt_table_has_trouble(const struct mt_object_table *t);

/* Every row, as an array. NULL: no memory. */
json_t *mt_table_json(struct mt_object_table *t);
/* One object, as `show objects --json` and `--check --json` print it, after mt_table_touch(). NULL: no memory. */
json_t *mt_row_json(const struct mt_object_row *row);
