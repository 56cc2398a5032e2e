/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a configuration, as a list: each entry names the file, the line, the path of the
 * field and the remedy. Sources add what they find while reading, lib/conf what it finds while checking
 * and compiling; the daemon prints them as compilers do. Control thread only.
 */
#pragma once

#include "mt_region.h"
#include "mt_model_types.h"

#include <stdio.h>

enum mt_diag_severity {
	MT_DIAG_ERROR, /* the object is refused; of no object: the load */
	MT_DIAG_WARNING,
	MT_DIAG_LEFT_OUT, /* a resource of a discovery service is wrong; the load goes on without it */
	/* One that is sound, and asks for what cannot be served yet: the load goes on without it, and without its last one. */
	MT_DIAG_NOT_SERVED,
	/* A document is sound, and nothing that it is about is here: it has no effect. */
	MT_DIAG_INERT,
	/* A document is sound, and another one is used in its place. */
	MT_DIAG_SHADOWED,
	/* A document protects, cannot be evaluated, and so closes what it may be about. */
	MT_DIAG_CLOSED,
	/* A document protects what others protect: it is theirs to enforce. */
	MT_DIAG_ELSEWHERE,
	MT_DIAG_SEVERITIES
};

struct mt_diag {
	enum mt_diag_severity severity;
	struct mt_origin origin;
	uint64_t object;      /* its meta.serial; 0: of none (a file, the machine) */
	const char *resource; /* its name, of what a discovery service says; NULL: a document's */
	const char *kind;     /* its meta.kind */
	const char *path;     /* "spec.ports[0].number"; NULL: the document or file as a whole */
	const char *message;  /* what is wrong */
	const char *remedy;   /* what to do, or NULL */
};

/*
 * What is counted, not kept, so that memory is bounded: of one object in a row more than so many of one severity, and
 * of all objects more than any mesh has. Each object that has a mistake has one here.
 */
#define MT_DIAG_KEEP_OBJECT 40
#define MT_DIAG_KEEP	    500000

/* A host that an object is about, found while everything was compiled. */
struct mt_diag_host {
	uint64_t object;
	const char *host;
};

struct mt_diags {
	struct mt_region region;
	struct mt_diag_host *hosts;
	uint32_t n_hosts;
	struct mt_diag *items;
	uint32_t n;
	uint64_t last_object; /* what was told last is about it; so often of each severity */
	uint32_t n_last[MT_DIAG_SEVERITIES];
	uint32_t errors, warnings, left_out, not_served, inert, closed, elsewhere,
		shadowed; /* all of them, kept or not */
};

void mt_diags_init(struct mt_diags *d);
void mt_diags_fini(struct mt_diags *d);

/*
 * Adds an entry; path, message and remedy are copied. The message is one clause without a full stop.
 * The file's name is copied as well, so the list outlives the model. Control characters are written as
 * \n or \x1b, so that no document commands the operator's terminal.
 */
void mt_diag_add(struct mt_diags *d, enum mt_diag_severity severity, struct mt_origin origin,
	const char *path, const char *remedy, const char *fmt, ...) mt_printf(6, 7);

/* The same about one object that was read, at a line of its file. */
void mt_diag_object(struct mt_diags *d, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *fmt, ...) mt_printf(7, 8);

/*
 * The same about one resource of a discovery service: its source, kind and name go along, so that who
 * received it can refuse it by name. Any severity but MT_DIAG_ERROR.
 */
void mt_diag_resource(struct mt_diags *d, enum mt_diag_severity severity,
	const struct mt_meta *meta, const char *path, const char *remedy, const char *fmt, ...)
	mt_printf(6, 7);

/* The object is about this host, too. */
void mt_diag_host(struct mt_diags *d, const struct mt_meta *meta, const char *host);

/* An entry of another list, as grave as `severity`. */
void mt_diags_copy(struct mt_diags *d, const struct mt_diag *e, enum mt_diag_severity severity);

/* What was added since `mark`, a copy of the list as it was then, is not there any more. */
void mt_diags_rewind(struct mt_diags *d, const struct mt_diags *mark);

/* "FILE:LINE: error: PATH: MESSAGE (REMEDY)" without a newline, or "SOURCE: left out: KIND
 * NAME: PATH: MESSAGE"; returns what snprintf() returns. */
int mt_diag_format(const struct mt_diag *e, char *buf, size_t size);

/* All that was told, kept or not. */
uint32_t mt_diags_count(const struct mt_diags *d);

/* Sorted by gravity, then by file and line. */
void mt_diags_sort(struct mt_diags *d);

/* Every entry on a line of its own: errors first, then in the order of files and lines. */
void mt_diags_print(struct mt_diags *d, FILE *out);

/*
 * The candidate that a mistyped word most likely meant, or NULL when none is near. Candidates are
 * offered one by one: zero a struct mt_suggest, set `word`, call mt_suggest_offer() for each, read
 * `best`.
 */
struct mt_suggest {
	const char *word;
	const char *best;
	uint32_t distance;
};

void mt_suggest_offer(struct mt_suggest *s, const char *candidate);
/* The edit distance without regard to case (insert, delete, replace, swap of neighbours), at most `max`. */
uint32_t mt_edit_distance(const char *a, const char *b, uint32_t max);
