/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/objects: decides which version of each object is used, and sets the object's status. An
 * object is one document or one item of a List (lib/model/mt_object.h), read by lib/source. An
 * error in one object affects only that object: its last good version stays in use; without one,
 * the object is left out. docs/reference/objects.md is the operator's page. Control thread only.
 *
 * A load:
 *
 *     mt_source_read()    files -> objects, each with its own memory (a part)
 *     mt_table_new()      rows by identity: duplicates, the version to try first,
 *                         objects that may exist in unreadable files
 *     mt_table_model()    versions in use, within the shares of their owners, in order of
 *                         precedence -> a model
 *     mt_conf_compile()   errors name objects by their serial
 *     mt_table_refuse()   objects with errors fall back to their last good version,
 *                         or are left out; compile again until there is a snapshot
 *     mt_table_finish()   statuses, reasons, notes
 *     mt_kept_update()    stores the new last good versions after the snapshot is applied
 *
 * Invariants:
 * - Each object that was read has exactly one row. An object that is in no file has a row
 *   (`absent`) only while a file or directory that may contain it could not be read completely. An
 *   unreadable file or directory that the configuration names may contain every object.
 * - Rows are ordered by identity. Precedence (the order for the compiler) is creation time, name,
 *   namespace, then identity and content. Path, file time and order of reading never matter.
 * - A row uses its newest version, its last good one, or none (`used`). Restrictions are those of
 *   the used version, or of the newest if none is used. So a broken PERMISSIVE policy does not fail
 *   closed, and a broken restrictive policy without a last good version does.
 * - If all objects together take too much memory, those of the owners with the largest need are
 *   refused (shares.c). An owner is a namespace, or a source that is limited to some namespaces. So
 *   no author can crowd out the objects of others.
 * - The costs of all objects together have shares by owner, too: memory and comparisons of
 *   translations, and the lists of hosts (budget.c).
 * - An object of a source that is limited to some namespaces is refused if it has an address or a
 *   host that the Node gives to another source, and none of its versions is used (owns.c).
 * - An error refuses the object with its serial (struct mt_diag.object). An error without an object
 *   refuses the load. The error of an unreadable file has the serial of no row, so it is reported
 *   and refuses nothing.
 * - A refused object that restricts access denies calls as an unreadable one does
 *   (mt_table_close_refused()). Each model has its own list of such objects.
 * - struct mt_kept has references to applied objects, or their texts from the state file until the
 *   objects are needed. An object is forgotten when no file has it and the file and directory in
 *   which it was last seen were read completely.
 *
 * Cost of a load with errors: each round refuses at least one version, so a load ends. A version
 * falls back once per round, however many errors it has. For 64 rounds only objects with errors
 * fall back. From the 65th round on, all new versions of a kind and namespace fall back together if
 * that kind has errors and the namespace had errors in more than 8 rounds. So thousands of objects
 * in one namespace that each hide the error of the next cost a load 64 compilations, and only
 * objects of that kind and namespace are lost. Each further such namespace costs 8 more
 * compilations, and one for each kind. After 256 rounds in all, such a namespace costs only one
 * compilation for each kind.
 *
 * objects.jsonl has one JSON object a line: `object` (the identity), `file`, `line`, `time`,
 * `hash`, `document` (as one line of YAML in flow style), `namespaces` (of its source). A later
 * line of the same identity replaces an earlier one, and a line without `document` removes the
 * object. The file is rewritten when more than half of it is stale. Unreadable lines are skipped,
 * with one warning for all. The file never contains a Node, a Secret or compiled data.
 */
#pragma once

#include "mt_idmap.h"
#include "mt_object.h"
#include "mt_source.h"
#include "mt_strmap.h"

#include <jansson.h>

/* ---- the last good version of each object ---------------------------------------------------- */

/*
 * Last good versions by identity. STATE/objects.jsonl holds their texts, so that they outlive
 * restarts; it has no compiled data, Node or Secret. mt_kept_open() reads this file, skips
 * unreadable lines and logs their number.
 */
struct mt_kept;

/*
 * Reads the last good versions from `state_dir`; NULL: there is no file. `read_only`: never write
 * the file. Returns NULL if out of memory.
 */
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
 * Returns the last good version with the identity of `o`, which is `o` itself if its content is the
 * same; NULL: none. Valid until mt_kept_update().
 */
struct mt_object *mt_kept_good(struct mt_kept *k, struct mt_object *o);

struct mt_object_table;

/*
 * Stores the table's good versions, forgets objects without a row, and writes these changes to the
 * file. Call when the table's load is applied. Returns 0 or -ENOMEM; errors of the file are only
 * logged. `wall`: seconds since 1970.
 */
int mt_kept_update(struct mt_kept *k, const struct mt_object_table *t, int64_t wall);
/* Sets the time that ends exemptions (spec.unenforced), in seconds since 1970; 0: use the clock. */
void mt_kept_clock(struct mt_kept *k, int64_t wall);
/*
 * Forgets the last good version of an object, at an operator's request. Returns false if there was
 * none.
 */
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
	const char **touches;	   /* hosts that the object affects: mt_table_touch() */
	uint32_t n_notes, n_origins, n_touches;
	uint32_t age; /* index in mt_object_table.by_age */
	bool absent;  /* in no file, but a file that may contain the object could not be read */
	bool moving;  /* absent, and only because its file or directory changed during the load */
	bool double_; /* duplicate: an earlier row has the same identity */
	/*
	 * Refused because of an address or a host that the Node gives to another source, and that
	 * this version or the last good one has. It is not a version of the object of this
	 * identity, which has another row, or was in another source's file.
	 */
	bool apart;
	uint8_t rank; /* enum mt_owning, among objects of one identity */
	/* Values before any compilation; mt_table_reset() restores them. */
	struct mt_object *first_used;
	enum mt_object_status first_status;
	const char *first_why;
	bool unenforced; /* exempt for now: the Node's spec.unenforced lists it */
	bool delegated;	 /* an applied VirtualService delegates to it */
	/*
	 * never becomes a last good version, because it names TLS material that is not available or
	 * claims what another object keeps
	 */
	bool unusable;
	bool unreadable;  /* `unusable` because a file cannot be read */
	bool warned;	  /* there is a warning, or the object has no effect, probably by mistake */
	bool good_is_bad; /* this load has also rejected the last good version */
	bool condemned;	  /* mt_table_refuse() is about to reject the version in use */
};

struct mt_object_table {
	struct mt_region region;
	struct mt_region words;	    /* texts of reasons and touches; mt_table_reset() frees them */
	struct mt_model *model;	    /* made of the versions in use; NULL: not made yet */
	struct mt_objects objects;  /* references to the objects of the rows */
	struct mt_object_row *rows; /* by identity */
	uint32_t n, cap;
	struct mt_object_row **by_age;
	struct mt_idmap by_serial;   /* rows, by serial of the version in use */
	struct mt_idmap standings;   /* of the versions in use, for the model (standing.c) */
	struct mt_idmap replacing;   /* versions in use that have a last good one, likewise */
	bool touched;		     /* mt_table_touch() has run */
	struct mt_closing *closings; /* fail-closed rules of objects that cannot be evaluated */
	/* times of the table's creation, and of the next end of an exemption (0: none) */
	int64_t wall, until;
	struct mt_mesh_settings mesh;
	uint32_t n_closings, n_files_bad;
	uint32_t n_files_changing; /* of n_files_bad: mt_source_reading.n_changing */
	uint32_t n_unreadable;	   /* rows with `unreadable` */
	/* Only the files and directories that were not read completely, and `unread`, are used. */
	struct mt_source_reading reading;
	char *unread; /* copy of mt_source_reading.unread; while it is set no object is removed */
	const struct mt_object *node; /* the first Node; NULL: none */
	const struct mt_owned *owned; /* index of its spec.sources[].owns; NULL: none */
	struct mt_diags owns;	      /* errors of objects that have it, of other sources */
	struct mt_diags translated;   /* diagnostics of translating objects for the model */
	struct mt_diags told;	      /* errors of versions that are no longer used */
	uint32_t n_rounds;	      /* calls of mt_table_refuse() since creation or reset */
	struct mt_strmap troubles;    /* namespaces with errors in some round (verdict.c) */
	bool node_refused;	      /* without a valid Node nothing can be compiled */
	bool first_node_refused;      /* node_refused before any compilation */
	/*
	 * the namespace of an object that restricts access cannot be read, so the node is not ready
	 */
	bool unknown_closed;
};

/* Creates a table and takes over the objects of the reading. Returns NULL if out of memory. */
struct mt_object_table *mt_table_new(struct mt_source_reading *r, struct mt_kept *kept);
void mt_table_free(struct mt_object_table *t);

/*
 * Restores the state after creation, to compile the same objects with other discovered resources.
 */
void mt_table_reset(struct mt_object_table *t);

/* Limit of the memory of a model's objects: MT_MODEL_LIMIT, or lower in tests. */
extern uint64_t mt_objects_memory;
/* Limit of the comparisons of each translation into the model; lower in tests. */
extern uint64_t mt_objects_work;

/*
 * Returns the model of the versions in use, in order of precedence, with the closings. If these
 * versions together exceed mt_objects_memory, versions of owners above their share first fall back
 * or are left out. The table owns the model, which is valid until the table uses another version of
 * some object. Returns NULL with *rc set to -ENOMEM, or to -E2BIG if the operator's own objects
 * exceed the limit.
 */
struct mt_model *mt_table_model(struct mt_object_table *t, int *rc);

/*
 * Lets objects with errors in `diags` fall back to their last good version, or leaves them out.
 * Returns true if a version changed: compile again. The rounds end, because each leaves fewer
 * versions. After 64 rounds, in namespaces that had errors in more than 8 of them, all new versions
 * of a kind with errors fall back together; after 256 rounds in all namespaces. Returns false with
 * node_refused set if the Node itself has errors.
 */
bool mt_table_refuse(struct mt_object_table *t, const struct mt_diags *diags);

/*
 * True if a version in use names TLS material that is not available (MT_DIAG_UNREADABLE,
 * MT_DIAG_ABSENT), and the object has another last good version that requires no weaker TLS. Then
 * discard the compiled snapshot, call mt_table_refuse(), and compile again. Otherwise the version
 * stays in use.
 */
bool mt_table_may_fall_back(struct mt_object_table *t, const struct mt_diags *diags);

/*
 * Sets each row's final status, reason and notes; call after the last compilation, with its
 * `diags`. Adds to `diags` the table's own diagnostics, and an error for each refused or last-good
 * object that no error names.
 */
void mt_table_finish(struct mt_object_table *t, struct mt_diags *diags);

/*
 * Fills the rows' touches, which depend on the statuses. If touches are needed, call this after
 * mt_table_finish().
 */
void mt_table_touch(struct mt_object_table *t);

/*
 * True if an exemption has ended since the table was created, so that the caller must load again.
 */
bool mt_table_is_due(const struct mt_object_table *t, int64_t wall);

/* True if the file may still contain an object that was last seen there and is now in no file. */
bool mt_table_may_hold(const struct mt_object_table *t, const char *file);
/* Counts objects by status. */
void mt_table_counts(const struct mt_object_table *t, uint32_t counts[MT_OBJECT_STATUSES]);
/* Number of objects on their last good version until an operator repairs a document or file. */
uint32_t mt_table_fallen_back(const struct mt_object_table *t);
/*
 * True if an object is refused, is on its last good version or names an unusable file, or if a file
 * was not read completely and did not change meanwhile.
 */
bool mt_table_has_trouble(const struct mt_object_table *t);

/* Returns "error", "warning", "note" or "ok": the worst of the row's status and notes. */
const char *mt_row_severity(const struct mt_object_row *row);

/* Returns all rows as an array; NULL if out of memory. */
json_t *mt_table_json(struct mt_object_table *t);
/*
 * Returns one row in the form of `show objects --json` and `--check --json`; NULL if out of memory.
 * Call after mt_table_touch().
 */
json_t *mt_row_json(const struct mt_object_row *row);
