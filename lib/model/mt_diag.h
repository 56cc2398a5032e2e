/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics: the list of mistakes in a configuration. Each entry has the file, the line, the path
 * of the field and the remedy. Sources add entries while they read, and lib/conf while it checks
 * and compiles. The daemon prints entries as compilers do. Control thread only.
 */
#pragma once

#include "mt_region.h"
#include "mt_strmap.h"
#include "mt_model_types.h"

#include <stdio.h>

enum mt_diag_severity {
	MT_DIAG_ERROR, /* the object is refused; an entry without an object refuses the load */
	/* Calls are lost, or have another outcome than the documents specify. Fails --strict. */
	MT_DIAG_WARNING,
	/* A resource of a discovery service is invalid. The load continues without the resource. */
	MT_DIAG_LEFT_OUT,
	/*
	 * A resource is valid, but needs a feature that Meltemi does not have yet. The load
	 * continues without the resource and without its last good version.
	 */
	MT_DIAG_NOT_SERVED,
	/* A document is valid, but has no effect because this node has nothing that it selects. */
	MT_DIAG_INERT,
	/* A document is valid, and another one is used in its place. */
	MT_DIAG_SHADOWED,
	/*
	 * A document restricts access and cannot be evaluated, so it fails closed for everything
	 * that it may select.
	 */
	MT_DIAG_CLOSED,
	/* A document restricts access to endpoints with proxies of their own, which enforce it. */
	MT_DIAG_ELSEWHERE,
	/* As MT_DIAG_INERT, but probably a mistake, such as a host that no service has. */
	MT_DIAG_UNUSED,
	/* Information: every call has the outcome that the documents specify. */
	MT_DIAG_NOTE,
	/*
	 * As MT_DIAG_NOTE, for fields without a meaning on this node. The object's status does not
	 * change.
	 */
	MT_DIAG_FIELDS,
	/*
	 * This machine lacks a device or feature that the Node document names. The document may be
	 * for another machine.
	 */
	MT_DIAG_MACHINE,
	/*
	 * A document names a file that cannot be used. The document's last good version is used
	 * instead (mt_table_may_fall_back()). Without a last good version the document stays in
	 * use, and services that need the file are not served. Operators see an error in both
	 * cases.
	 */
	MT_DIAG_UNREADABLE,
	/*
	 * As MT_DIAG_UNREADABLE, for a Secret, or for TLS material that the document needs and does
	 * not name. Operators see a warning.
	 */
	MT_DIAG_ABSENT,
	/*
	 * As MT_DIAG_WARNING, for an object that claims what another one keeps. The object stays in
	 * use without it, and its version never becomes a last good one, so that it is as new after
	 * a restart as before it.
	 */
	MT_DIAG_DISPUTED,
	MT_DIAG_SEVERITIES
};

/*
 * Owner of entries, which has a share of the list: a namespace, or a source of documents that is
 * limited to some namespaces.
 */
struct mt_diag_owner {
	const char *name;
	uint32_t n, n_hosts; /* numbers of kept entries and hosts */
};

struct mt_diag {
	enum mt_diag_severity severity;
	struct mt_origin origin;
	uint64_t object; /* meta.serial of the object; 0: no object (a file, the machine) */
	/* name of a discovery service's resource; NULL: the entry is about a document */
	const char *resource;
	const char *kind;    /* meta.kind of the resource */
	const char *path;    /* field, "spec.ports[0].number"; NULL: the whole document or file */
	const char *message; /* what is wrong */
	const char *remedy;  /* what to do, or NULL */
	struct mt_diag_owner *owner; /* NULL: the operator or a discovery service */
	uint32_t bytes;		     /* size of the entry's texts */
};

/*
 * Limits that bound the memory of the list, above the needs of any mesh: entries of one severity in
 * a row about one object; entries, and bytes of their texts, of all owners; hosts of all objects.
 * The last quarter of each of the last three is for owners with less than MT_DIAG_KEEP_OWNER
 * entries or hosts. Entries without an owner have MT_DIAG_KEEP places of their own. Entries beyond
 * a limit are counted, but the list keeps only their object and severity (mt_diags_entry()).
 */
#define MT_DIAG_KEEP_OBJECT 40
#define MT_DIAG_KEEP_OWNER  1000
#define MT_DIAG_KEEP	    500000
#define MT_DIAG_BYTES	    (256u << 20)
#define MT_DIAG_HOSTS	    2000000

/* A host to which an object applies; the compiler records it. */
struct mt_diag_host {
	uint64_t object;
	const char *host;
	struct mt_diag_owner *owner;
};

/* An entry without texts. The entry decides the status of its object as one with texts does. */
struct mt_diag_beyond {
	uint64_t object;
	enum mt_diag_severity severity;
};

struct mt_diags {
	struct mt_region region;
	struct mt_diag_host *hosts;
	uint32_t n_hosts;
	struct mt_diag *items;
	uint32_t n;
	struct mt_diag_beyond *beyond;
	uint32_t n_beyond;
	/*
	 * Owner of all entries that are added; NULL: each object's namespace owns its entries. The
	 * caller keeps the text.
	 */
	const char *owner;
	struct mt_strmap owners; /* struct mt_diag_owner by name, in region `names` */
	struct mt_region names;
	uint32_t n_unowned; /* entries without an owner */
	size_t bytes;	    /* of texts of entries with an owner */
	size_t compact;	    /* memory in use after the last removal */
	/*
	 * object of the last entry, and the number of consecutive entries about this object, by
	 * severity
	 */
	uint64_t last_object;
	uint32_t n_last[MT_DIAG_SEVERITIES];
	/* numbers of all entries, also of those beyond the limits; `inert` includes `unused` */
	uint32_t errors, warnings, left_out, not_served, inert, closed, elsewhere, shadowed, unused,
		notes, machine, unreadable, absent;
};

void mt_diags_init(struct mt_diags *d);
void mt_diags_fini(struct mt_diags *d);

/*
 * Adds an entry. Path, message, remedy and the file's name are copied, so the list outlives the
 * model. The message is one clause without a full stop. Control characters are written as \n or
 * \x1b, so that no document can send commands to the operator's terminal.
 */
void mt_diag_add(struct mt_diags *d, enum mt_diag_severity severity, struct mt_origin origin,
	const char *path, const char *remedy, const char *fmt, ...) mt_printf(6, 7);

/* As mt_diag_add(), for an object that was read, at a line of the object's file. */
void mt_diag_object(struct mt_diags *d, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *fmt, ...) mt_printf(7, 8);

/*
 * As mt_diag_add(), for a resource of a discovery service. The entry has the resource's source,
 * kind and name, so that the receiver can reject the resource by name. Any severity except
 * MT_DIAG_ERROR.
 */
void mt_diag_resource(struct mt_diags *d, enum mt_diag_severity severity,
	const struct mt_meta *meta, const char *path, const char *remedy, const char *fmt, ...)
	mt_printf(6, 7);

/*
 * Records one more host to which the object applies. Returns false if the list is full for the
 * object's owner; then it stays so until entries are removed.
 */
bool mt_diag_host(struct mt_diags *d, const struct mt_meta *meta, const char *host);

/* Copies an entry of another list, with this severity. */
void mt_diags_copy(struct mt_diags *d, const struct mt_diag *e, enum mt_diag_severity severity);
/* Copies all entries of another list, with their owners. Entries without texts remain without. */
void mt_diags_copy_all(struct mt_diags *d, const struct mt_diags *from);

/*
 * Returns entry i of n + n_beyond, in no order. An entry without texts is made in `room`, with a
 * message that there were too many to keep it.
 */
const struct mt_diag *mt_diags_entry(const struct mt_diags *d, uint32_t i, struct mt_diag *room);

/*
 * Restores the list to `mark`, an earlier copy of *d, by removing later entries. Texts of the
 * remaining entries may move.
 */
void mt_diags_rewind(struct mt_diags *d, const struct mt_diags *mark);

/*
 * Formats "FILE:LINE: error: PATH: MESSAGE (REMEDY)" without a newline, or "SOURCE: left out: KIND
 * NAME: PATH: MESSAGE". Returns the result of snprintf().
 */
int mt_diag_format(const struct mt_diag *e, char *buf, size_t size);

/* "error", "warning" or "note". */
const char *mt_diag_severity_str(enum mt_diag_severity severity);
/* True if entries of this severity fail `meltemid --check --strict`. */
bool mt_diag_is_strict(enum mt_diag_severity severity);
/* Returns the number of entries that fail --strict, including those beyond the limits. */
uint32_t mt_diags_strict(const struct mt_diags *d);

/* Returns the number of all entries, including those beyond the limits. */
uint32_t mt_diags_count(const struct mt_diags *d);

/* Sorts the entries: errors first and notes last, then by file and line. */
void mt_diags_sort(struct mt_diags *d);

/* Sorts the entries as mt_diags_sort() does, and prints each on a line of its own. */
void mt_diags_print(struct mt_diags *d, FILE *out);

/*
 * Finds the candidate for which a mistyped word was most likely meant. Zero a struct mt_suggest,
 * set `word`, and call mt_suggest_offer() for each candidate. Then `best` is the nearest candidate,
 * or NULL if none is near.
 */
struct mt_suggest {
	const char *word;
	const char *best;
	uint32_t distance;
};

void mt_suggest_offer(struct mt_suggest *s, const char *candidate);
/*
 * Returns the edit distance without regard to case (insert, delete, replace, swap of neighbours),
 * or `max` if it is greater.
 */
uint32_t mt_edit_distance(const char *a, const char *b, uint32_t max);
