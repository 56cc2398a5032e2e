/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/objects: decides which version of each object is used, and its status. An object is one
 * document or one item of a List (lib/model/mt_object.h); lib/source reads them. An error in one
 * object affects only that object: its last good version stays in use; without one, the object is
 * left out. Operators read docs/reference/objects.md. Control thread only.
 *
 * A load:
 *
 *     mt_source_read()    files -> objects, each with its own memory (a part)
 *     mt_table_new()      rows by identity: duplicates, the version to try first,
 *                         objects that may exist in unreadable files
 *     mt_table_model()    versions in use, within the shares of their owners, in order of
 *                         precedence -> a model
 *     mt_conf_compile()   errors name objects by their serial
 *     mt_table_refuse()   those fall back to their last good version, or leave;
 *                         compile again until there is a snapshot
 *     mt_table_finish()   statuses, reasons, notes
 *     mt_kept_update()    after it is applied: the new last good versions
 *
 * Invariants:
 * - Each object that was read has exactly one row. An object in no file has a row (`absent`) only
 *   while a file or directory that may contain it could not be read completely. A file or directory
 *   that the configuration names and that cannot be read may contain every object.
 * - Rows are ordered by identity. Precedence (the order for the compiler) is creation time, name,
 *   namespace, then identity and content. Path, file time and order of reading never matter.
 * - A row uses its newest version, its last good one, or none (`used`). Restrictions follow `used`,
 *   and without a used version the newest. So a broken PERMISSIVE does not fail closed, and a
 *   broken policy without a last good version does.
 * - Objects that take too much memory together are refused by owner (shares.c): by the namespaces
 *   of a source that is limited to some, or else by namespace. So one author keeps no others' out.
 * - An error refuses the object that it is about (struct mt_diag.object, its serial). An error
 *   without an object refuses the load. An unreadable file is an error about an object without a
 *   row: it is reported, and refuses nothing.
 * - A refused object that protects denies calls as an unreadable one does
 *   (mt_table_close_refused()); each model has its own list of such objects.
 * - `kept` has references to the objects that were applied, or texts of the state file until they
 *   are needed. An object is forgotten when it is in no file, and every file and directory where it
 *   was last seen was read completely.
 *
 * Cost of a load with errors: each round refuses at least one version, so a load ends. A version
 * falls back once per round, however many errors it has. For 64 rounds only objects with errors
 * fall back. From the 65th round on, all new versions of a kind and namespace fall back together if
 * that kind has errors and the namespace had errors in more than 8 rounds. So thousands of objects
 * in one namespace, each hiding the next one's error, cost a load 64 compilations, and only objects
 * of that kind and namespace are lost. Each further such namespace costs 8 more compilations, and
 * one for each kind. After 256 rounds in all it costs only one for each kind.
 *
 * objects.jsonl has one JSON object a line: `object` (the identity), `file`, `line`, `time`,
 * `hash`, `document` (as one line of YAML in flow style). A later line of the same identity
 * replaces an earlier one, and a line without `document` removes the object. The file is rewritten
 * when more than half of it is stale. An unreadable line is skipped, with one warning. It never
 * contains a Node, a Secret or compiled data.
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
/*
 * Last good version with the identity of `o`; `o` itself if that has the same content. NULL: none.
 * Valid until mt_kept_update().
 */
struct mt_object *mt_kept_good(struct mt_kept *k, struct mt_object *o);

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
	enum mt_diag_severity severity;
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
	bool moving;  /* absent, and only because its file or directory changed meanwhile */
	bool double_; /* duplicate: it has the identity of an earlier row */
	/* Values before any compilation; mt_table_reset() restores them. */
	struct mt_object *first_used;
	enum mt_object_status first_status;
	const char *first_why;
	bool unenforced;  /* exempt for now: the Node's spec.unenforced lists it */
	bool delegated;	  /* an applied VirtualService delegates to it */
	bool unusable;	  /* it names TLS material that cannot be had: never a last good version */
	bool unreadable;  /* `unusable`, because of a file */
	bool warned;	  /* a warning is about it, or it has no effect, probably by mistake */
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
	uint32_t n_files_changing; /* of n_files_bad: mt_source_reading.n_changing */
	uint32_t n_unreadable;	   /* rows with `unreadable` */
	/* Of the load: the files and directories that were not read completely, and `unread`. */
	struct mt_source_reading reading;
	char *unread; /* copy of mt_source_reading.unread: nothing is removed meanwhile */
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

/* Most memory of the objects of a model: MT_MODEL_LIMIT, or lower in tests. */
extern uint64_t mt_objects_memory;

/*
 * Model of the versions in use, in their order of precedence, with the closings. If they exceed
 * mt_objects_memory together, versions of those owners that have more than their share fall back or
 * leave first. The table owns the model; it is valid until the table uses another version of some
 * object. NULL with *rc: -ENOMEM, or -E2BIG if the operator's own objects exceed the limit.
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
 * True if a version in use names TLS material that cannot be had (MT_DIAG_UNREADABLE,
 * MT_DIAG_ABSENT), and its object has another last good version. Then discard what was compiled,
 * call mt_table_refuse(), and compile again. Otherwise the version stays in use.
 */
bool mt_table_may_fall_back(struct mt_object_table *t, const struct mt_diags *diags);

/*
 * Sets each row's final status, reason and notes; call after the last compilation, with its
 * `diags`. Adds to `diags` what the table found itself, and an error for each rejected or last-good
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
/* Number of objects on their last good version until an operator repairs a document or file. */
uint32_t mt_table_fallen_back(const struct mt_object_table *t);
/*
 * True if an object is rejected or on its last good version, or names a file that cannot be used,
 * or if a file was not read completely and did not change meanwhile.
 */
bool mt_table_has_trouble(const struct mt_object_table *t);

/* "error", "warning", "note" or "ok": the worst of the row's status and notes. */
const char *mt_row_severity(const struct mt_object_row *row);

/* All rows as an array. NULL: no memory. */
json_t *mt_table_json(struct mt_object_table *t);
/*
 * One row, as `show objects --json` and `--check --json` print it. Call after mt_table_touch().
 * NULL: no memory.
 */
json_t *mt_row_json(const struct mt_object_row *row);
