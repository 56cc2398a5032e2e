/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what is wrong with a configuration. Each entry has the file, the line, the path of
 * the field and the remedy. Sources add what they find while reading, lib/conf what it finds while
 * checking and compiling. The daemon prints entries as compilers do. Control thread only.
 */
#pragma once

#include "mt_region.h"
#include "mt_strmap.h"
#include "mt_model_types.h"

#include <stdio.h>

enum mt_diag_severity {
	MT_DIAG_ERROR, /* the object is refused; without an object: the load */
	/* calls are lost, or have another outcome than the documents specify: fails --strict */
	MT_DIAG_WARNING,
	/* a resource of a discovery service is wrong; the load goes on without it */
	MT_DIAG_LEFT_OUT,
	/*
	 * A resource is valid, but needs what cannot be served yet: the load goes on without it,
	 * and without its last good version.
	 */
	MT_DIAG_NOT_SERVED,
	/* A document is valid, but nothing that it selects is here: it has no effect. */
	MT_DIAG_INERT,
	/* A document is valid, and another one is used in its place. */
	MT_DIAG_SHADOWED,
	/*
	 * A document restricts access and cannot be evaluated: it fails closed for all that it may
	 * select.
	 */
	MT_DIAG_CLOSED,
	/* A document restricts access to what other proxies protect: they enforce it. */
	MT_DIAG_ELSEWHERE,
	/* As MT_DIAG_INERT, and probably a mistake, such as a host that no service has. */
	MT_DIAG_UNUSED,
	/* For information: every call has the outcome that its documents specify. */
	MT_DIAG_NOTE,
	/* As MT_DIAG_NOTE, about fields without a meaning here: the object's status stays. */
	MT_DIAG_FIELDS,
	/* This machine lacks what the Node needs; the document may be for another machine. */
	MT_DIAG_MACHINE,
	/*
	 * A document names a file that cannot be used: its last good version is used instead
	 * (mt_table_may_fall_back()). Without one it stays in use, and what needs the file is not
	 * served. An error for the operator in both cases.
	 */
	MT_DIAG_UNREADABLE,
	/* The same for what the document does not name, or for a Secret: a warning. */
	MT_DIAG_ABSENT,
	MT_DIAG_SEVERITIES
};

/*
 * Author of entries, which has a share of the list: a namespace, or a source of documents that is
 * limited to some.
 */
struct mt_diag_owner {
	const char *name;
	uint32_t n, n_hosts; /* entries and hosts that are kept */
};

struct mt_diag {
	enum mt_diag_severity severity;
	struct mt_origin origin;
	uint64_t object;      /* its meta.serial; 0: no object (a file, the machine) */
	const char *resource; /* name of a discovery service's resource; NULL: a document */
	const char *kind;     /* the resource's meta.kind */
	const char *path;     /* "spec.ports[0].number"; NULL: the document or file as a whole */
	const char *message;  /* what is wrong */
	const char *remedy;   /* what to do, or NULL */
	struct mt_diag_owner *owner; /* NULL: the operator or a discovery service */
	uint32_t bytes;		     /* of its texts */
};

/*
 * Limits of the list, so that memory is bounded: entries of one severity in a row about one object,
 * entries and bytes of texts of all owners, and hosts of all objects. These are more than any mesh
 * has. The last quarter of each is for owners with less than MT_DIAG_KEEP_OWNER entries or hosts.
 * Entries without an owner have MT_DIAG_KEEP places of their own. Further entries are counted, but
 * keep no more than their object and severity (mt_diags_entry()).
 */
#define MT_DIAG_KEEP_OBJECT 40
#define MT_DIAG_KEEP_OWNER  1000
#define MT_DIAG_KEEP	    500000
#define MT_DIAG_BYTES	    (256u << 20)
#define MT_DIAG_HOSTS	    2000000

/* A host that an object applies to, found while everything was compiled. */
struct mt_diag_host {
	uint64_t object;
	const char *host;
	struct mt_diag_owner *owner;
};

/* An entry without texts; it decides the status of its object as others do. */
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
	/* Owner of all entries that are added; NULL: the namespace of each. The caller's text. */
	const char *owner;
	struct mt_strmap owners; /* struct mt_diag_owner by name, in region `names` */
	struct mt_region names;
	uint32_t n_unowned; /* entries without an owner */
	size_t bytes;	    /* of texts of entries with an owner */
	size_t compact;	    /* memory in use after the last removal */
	/* of the last entry; n_last counts its entries in a row, by severity */
	uint64_t last_object;
	uint32_t n_last[MT_DIAG_SEVERITIES];
	/* all of them, kept or not; `inert` includes `unused` */
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

/* As mt_diag_add(), about an object that was read, at a line of its file. */
void mt_diag_object(struct mt_diags *d, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *fmt, ...) mt_printf(7, 8);

/*
 * As mt_diag_add(), about a resource of a discovery service. The entry has its source, kind and
 * name, so that the receiver can reject the resource by name. Any severity except MT_DIAG_ERROR.
 */
void mt_diag_resource(struct mt_diags *d, enum mt_diag_severity severity,
	const struct mt_meta *meta, const char *path, const char *remedy, const char *fmt, ...)
	mt_printf(6, 7);

/* Records a host that the object applies to as well. */
void mt_diag_host(struct mt_diags *d, const struct mt_meta *meta, const char *host);

/* Copies an entry of another list, with this severity. */
void mt_diags_copy(struct mt_diags *d, const struct mt_diag *e, enum mt_diag_severity severity);
/* Copies all entries of another list, with their owners; those without texts stay so. */
void mt_diags_copy_all(struct mt_diags *d, const struct mt_diags *from);

/*
 * The i-th entry, of n + n_beyond, in no order. One without texts is made in `room`, with a message
 * that reports that.
 */
const struct mt_diag *mt_diags_entry(const struct mt_diags *d, uint32_t i, struct mt_diag *room);

/*
 * Removes what was added since `mark`, a copy of the list from then. Texts of other entries may
 * move.
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
/* The number of entries that do, kept or not. */
uint32_t mt_diags_strict(const struct mt_diags *d);

/* The number of all entries, kept or not. */
uint32_t mt_diags_count(const struct mt_diags *d);

/* Sorts errors first and notes last, then by file and line. */
void mt_diags_sort(struct mt_diags *d);

/* Prints each entry on a line of its own: errors first and notes last, then by file and line. */
void mt_diags_print(struct mt_diags *d, FILE *out);

/*
 * Finds the candidate that a mistyped word most likely meant, or NULL if none is near. Zero a
 * struct mt_suggest, set `word`, call mt_suggest_offer() for each candidate, then read `best`.
 */
struct mt_suggest {
	const char *word;
	const char *best;
	uint32_t distance;
};

void mt_suggest_offer(struct mt_suggest *s, const char *candidate);
/* The edit distance, ignoring case (insert, delete, replace, swap of neighbours), at most `max`. */
uint32_t mt_edit_distance(const char *a, const char *b, uint32_t max);
