/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as a source gave it: one document, or one item of a List. It has an identity (source, group, kind,
 * namespace, name), an origin (file and line, which are no part of the identity) and content, and each load gives it a
 * status. Objects are immutable once read but for hints, and shared by the loads that list them. Control thread only.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"

#include <stdio.h>

struct mt_ynode;

/* What becomes of an object; docs/reference/objects.md. The order is of gravity. */
enum mt_object_status {
	MT_OBJECT_IN_FORCE,
	MT_OBJECT_NOTES, /* in force, but for the fields that its notes name */
	MT_OBJECT_ELSEWHERE,
	MT_OBJECT_FOREIGN,
	MT_OBJECT_INERT,
	MT_OBJECT_SHADOWED,
	MT_OBJECT_WAITING,
	MT_OBJECT_CLOSED,
	MT_OBJECT_HELD,
	MT_OBJECT_REFUSED,
	MT_OBJECT_STATUSES
};

/* "in-force", "refused": as the shell and JSON say it. */
const char *mt_object_status_str(enum mt_object_status s);
/* What it means, one sentence. */
const char *mt_object_status_help(enum mt_object_status s);

/* The table of docs/reference/objects.md. */
void mt_object_reference(FILE *out);

/* Why an object restricts who may call; what it closes as long as it cannot be evaluated. */
enum mt_object_restricts {
	MT_RESTRICTS_NOT,
	MT_RESTRICTS_CALLS,    /* calls and byte streams */
	MT_RESTRICTS_MESSAGES, /* calls only: bytes carry no token */
};

struct mt_object {
	/* The identity. "" where a piece that cannot be read does not tell. */
	const char *source, *group, *kind, *ns, *name;
	const char *key; /* all of it: mt_object_key(), from the first list on that it is in */
	struct mt_origin origin;
	uint64_t serial; /* of this reading; never used again */
	uint64_t
		hash; /* of its content: not of where it stands, its status and what an API server notes */
	int64_t created;   /* creationTimestamp, seconds since 1970; 0: not written, the oldest */
	bool ns_unwritten; /* its namespace is the default one because nobody says another */
	uint32_t place,
		age_place; /* in the last table that was sorted, from 1 on; 0: none. Hints, which anybody may change */
	bool illegible; /* no YAML: identity as far as its lines tell */
	bool is_node;	/* the Node document */
	enum mt_object_status
		status;	   /* as reading left it: IN_FORCE, or FOREIGN, INERT, REFUSED with why */
	const char *why;   /* NULL: its errors tell */
	bool may_restrict; /* others of its kind do, if not this one */
	enum mt_object_restricts restricts;
	const struct mt_ynode *root; /* what was parsed; NULL: illegible */
	struct mt_model *
		part; /* what holds all of this, and the object for the compiler; it has one reference more
				      * for each who lists the object */
};

/* Those of a file, or of all sources. */
struct mt_objects {
	struct mt_object **v;
	uint32_t n, cap;
};

/* Takes one more reference. 0 or -ENOMEM. */
int mt_objects_add(struct mt_objects *l, struct mt_object *o);
void mt_objects_fini(struct mt_objects *l);

/* "SOURCE\nGROUP\nKIND\nNAMESPACE\nNAME". */
static inline const char *mt_object_key(const struct mt_object *o)
{
	return o->key;
}
/* By identity; then as who wins among those of one identity: what can be used, the oldest, then by content. */
int mt_object_cmp(const struct mt_object *a, const struct mt_object *b);
/* In which order objects count, of whatever kind: the oldest, then by name, then by namespace. */
int mt_object_age_cmp(const struct mt_object *a, const struct mt_object *b);
/* "Kind NAMESPACE/NAME". */
int mt_object_str(const struct mt_object *o, char *buf, size_t size);

static inline void mt_object_put(struct mt_object *o)
{
	mt_model_free(o->part);
}
