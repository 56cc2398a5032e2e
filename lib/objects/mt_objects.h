/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/objects: decides for each object on its own which version is used, and gives it a status. A
 * table holds all objects of one load, by identity. An error in one object affects only that
 * object: its last good version stays in use; without one, the object is left out. A load is:
 *
 * struct mt_object_table *t = mt_table_new(&reading, kept); do snapshot = mt_conf_compile(conf,
 * mt_table_model(t), diags, now); while (!snapshot && mt_table_refuse(t, diags));
 * mt_table_finish(t, diags);
 *
 * Control thread only.
 */
#pragma once

#include "mt_idmap.h"
#include "mt_object.h"
#include "mt_source.h"
#include "mt_strmap.h"

#include <jansson.h>

/* ---- the last good version of each object ---------------------------------------------------- */

/*
 * Last good versions by identity, which outlive restarts: STATE/objects.jsonl holds their texts,
 * never compiled data, and no Node or Secret. mt_kept_open() reads that file. It logs how many
 * lines it cannot read, and skips those.
 */
struct mt_kept;

/* state_dir NULL: keep no file. read_only: never write the file. Returns NULL if out of memory. */
struct mt_kept *mt_kept_open(const char *state_dir, bool read_only);
void mt_kept_free(struct mt_kept *k);
struct mt_service;
/*
 * Sets the service thread that writes the file; NULL: write at once, in the caller. Drain the
 * service before freeing it.
 */
void mt_kept_serve(struct mt_kept *k, struct mt_service *s);
uint32_t mt_kept_count(const struct mt_kept *k);
/* Last good version with the identity of `o`; NULL: none. Valid until mt_kept_update(). */
struct mt_object *mt_kept_good(struct mt_kept *k, const struct mt_object *o);

struct mt_object_table;

/*
 * Call when the table's load is applied. Stores its good versions, forgets objects that have no
 * row, and writes these changes to the file. 0 or -ENOMEM; errors of the file are only logged.
 * `wall`: seconds since 1970.
 */
int mt_kept_update(struct mt_kept *k, const struct mt_object_table *t, int64_t wall);
/* Sets the time that ends exemptions (spec.unenforced), in seconds since 1970; 0: use the clock. */
void mt_kept_clock(struct mt_kept *k, int64_t wall);
/* For the operator: forgets the last good version of an object. False: there was none. */
bool mt_kept_forget(struct mt_kept *k, const char *kind, const char *ns, const char *name);

/* ---- the objects of one load ----------------------------------------------------------------- */

struct mt_note {
	const char *field; /* NULL: the object as a whole */
	const char *text;
};

struct mt_object_row {
	struct mt_object *
		o; /* the newest version; in a row with `absent` set, the last good version instead */
	struct mt_object *good; /* the last good version of earlier loads; NULL: none */
	struct mt_object *used; /* the version that the compiler gets; NULL: none */
	enum mt_object_status status;
	const char *why; /* reason of the status; NULL: none */
	struct mt_note *notes;
	struct mt_origin *origins; /* other places with the same content */
	const char **touches;	   /* hosts that it affects: mt_table_touch() */
	uint32_t n_notes, n_origins, n_touches;
	uint32_t age; /* index in mt_object_table.by_age */
	bool absent;  /* not found now, but a file that may hold it could not be read */
	bool double_; /* duplicate: it has the identity of an earlier row */
	/* Values before any compilation; mt_table_reset() restores them. */
	struct mt_object *first_used;
	enum mt_object_status first_status;
	const char *first_why;
	bool unenforced;  /* exempt for now: the Node's spec.unenforced lists it */
	bool delegated;	  /* an applied VirtualService delegates to it */
	bool good_is_bad; /* the last good version was rejected, too, in this load */
	bool condemned;	  /* mt_table_refuse() is about to reject the version in use */
};

struct mt_object_table {
	struct mt_region region;
	struct mt_region words;	    /* texts of reasons and touches; mt_table_reset() frees them */
	struct mt_model *model;	    /* NULL: not built yet from the versions in use */
	struct mt_objects objects;  /* references to the objects of the rows */
	struct mt_object_row *rows; /* by identity */
	uint32_t n, cap;
	struct mt_object_row **by_age;
	struct mt_idmap by_serial;   /* rows, by serial of the version in use */
	bool touched;		     /* mt_table_touch() has run */
	struct mt_closing *closings; /* fail-closed rules of objects that cannot be evaluated */
	int64_t wall, until; /* times of creation and of the next end of an exemption, 0: none */
	struct mt_mesh_settings mesh;
	uint32_t n_closings, n_files_bad;
	char **files_bad; /* copies of the names of files and directories not read completely */
	struct mt_diags translated; /* diagnostics of translating objects for the model */
	struct mt_diags told;	    /* errors of versions that are not used any more */
	uint32_t n_rounds;	    /* calls of mt_table_refuse() since creation or reset */
	struct mt_strmap troubles;  /* namespaces with errors in some round (verdict.c) */
	bool node_refused;	    /* without a valid Node nothing can be compiled */
	bool first_node_refused;    /* its value before any compilation */
	bool unknown_closed;	    /* a protecting object has no readable namespace: not ready */
};

/* Takes over the objects of the reading. NULL: no memory. */
struct mt_object_table *mt_table_new(struct mt_source_reading *r, struct mt_kept *kept);
void mt_table_free(struct mt_object_table *t);

/*
 * Restores the state after creation, to compile the same objects with other discovered resources.
 */
void mt_table_reset(struct mt_object_table *t);

/*
 * Model of the versions in use, in their order of precedence, with the closings. The table owns it;
 * it is valid until the table uses another version of some object. NULL with *rc: -ENOMEM, or
 * -E2BIG if all objects together exceed what a configuration may hold.
 */
struct mt_model *mt_table_model(struct mt_object_table *t, int *rc);

/*
 * Gives objects with errors in `diags` their last good version, or removes them. True: something
 * changed, so compile again; this ends, because each time fewer versions are left. After 64 rounds
 * new versions of the same kind and namespace fall back together with those that have errors, in
 * namespaces that had errors in more than 8 rounds, and after 256 rounds in all namespaces. False
 * with node_refused: the Node itself has errors.
 */
bool mt_table_refuse(struct mt_object_table *t, const struct mt_diags *diags);

/*
 * Sets each row's final status, reason and notes; call after the last compilation, with its
 * `diags`. Adds to `diags` what the table found itself, and an error for each rejected or held
 * object that no error names.
 */
void mt_table_finish(struct mt_object_table *t, struct mt_diags *diags);

/* Fills the rows' touches, by their statuses. Call after mt_table_finish(), if they are needed. */
void mt_table_touch(struct mt_object_table *t);

/* True if an exemption has ended since the table was created: load again. */
bool mt_table_is_due(const struct mt_object_table *t, int64_t wall);

/* True if an object that was last seen in this file, and is in no file now, may still be there. */
bool mt_table_may_hold(const struct mt_object_table *t, const char *file);
/* Counts the objects by status. */
void mt_table_counts(const struct mt_object_table *t, uint32_t counts[MT_OBJECT_STATUSES]);
/*
 * True if an object is rejected or on its last good version, or if a file was not read completely.
 */
bool mt_table_has_trouble(const struct mt_object_table *t);

/* All rows as an array. NULL: no memory. */
json_t *mt_table_json(struct mt_object_table *t);
/*
 * One row, as `show objects --json` and `--check --json` print it. Call after mt_table_touch().
 * NULL: no memory.
 */
json_t *mt_row_json(const struct mt_object_row *row);
