/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as a source gave it: one document, or one item of a List. It has an identity (source,
 * group, kind, namespace, name), an origin (file and line, not part of the identity) and content.
 * Each load gives it a status. Once read, an object is immutable except for hints. All loads with
 * this object share it. Control thread only.
 */
#pragma once

#include "mt_content_hash.h"
#include "mt_diag.h"
#include "mt_model.h"

#include <stdio.h>

struct mt_ynode;

/* Status of an object, by severity; docs/reference/objects.md. */
enum mt_object_status {
	MT_OBJECT_IN_FORCE,
	MT_OBJECT_NOTES, /* in force, except for the fields that its notes name */
	MT_OBJECT_ELSEWHERE,
	MT_OBJECT_IGNORED,
	MT_OBJECT_NO_EFFECT,
	MT_OBJECT_SHADOWED,
	MT_OBJECT_WAITING,
	MT_OBJECT_FAIL_CLOSED,
	MT_OBJECT_LAST_GOOD,
	MT_OBJECT_REFUSED,
	MT_OBJECT_STATUSES
};

/* "in-force", "refused", ...: as in the CLI and in JSON. */
const char *mt_object_status_str(enum mt_object_status s);
/* The meaning of a status, one sentence. */
const char *mt_object_status_help(enum mt_object_status s);

/* Prints the table of docs/reference/objects.md. */
void mt_object_reference(FILE *out);

/* How an object restricts access: what it denies as long as it cannot be evaluated. */
enum mt_object_restricts {
	MT_RESTRICTS_NOT,
	MT_RESTRICTS_CALLS,    /* calls and opaque TCP */
	MT_RESTRICTS_MESSAGES, /* calls only, because opaque TCP carries no token */
};

struct mt_object {
	/* The identity. "" where a document that cannot be read does not show it. */
	const char *source, *group, *kind, *ns, *name;
	const char *only; /* namespaces that its source may have; NULL: all */
	const char *key;  /* the whole identity: mt_object_key(); set when it is first listed */
	struct mt_origin origin;
	uint64_t serial; /* of this reading; never used again */
	/* Of its content, except its place, its status and an API server's records. */
	struct mt_content_hash hash;
	int64_t created;   /* creationTimestamp, seconds since 1970; 0: not written, the oldest */
	bool ns_unwritten; /* its namespace is the default one, because none is written */
	uint32_t place,
		age_place; /* index + 1 in the most recently sorted table; 0: none. Mutable hints */
	bool illegible;	   /* not YAML: the identity is as far as its lines show */
	bool is_node;	   /* the Node document */
	/* Refused, because its source may not have it; it stands for no object of its identity. */
	bool outside;
	enum mt_object_status
		status;	 /* as reading left it: IN_FORCE, or IGNORED, NO_EFFECT, REFUSED with why */
	const char *why; /* NULL: see its errors */
	bool may_restrict; /* others of its kind do, even if this one does not */
	enum mt_object_restricts restricts;
	const struct mt_ynode *root; /* the parsed document; NULL: illegible */
	struct mt_model *
		part; /* memory of all this, and the compiler's object; each list has a reference */
};

/* The objects of a file, or of all sources. */
struct mt_objects {
	struct mt_object **v;
	uint32_t n, cap;
};

/* Adds an object and takes a reference to it. Returns 0 or -ENOMEM. */
int mt_objects_add(struct mt_objects *l, struct mt_object *o);
void mt_objects_fini(struct mt_objects *l);

/* "SOURCE\nGROUP\nKIND\nNAMESPACE\nNAME". */
static inline const char *mt_object_key(const struct mt_object *o)
{
	return o->key;
}
/*
 * Orders by identity. Among objects of one identity the winner is first: usable ones, then the
 * oldest, then by content. Those that are `outside` are last.
 */
int mt_object_cmp(const struct mt_object *a, const struct mt_object *b);
/* Orders objects of any kind by precedence: the oldest, then by name, then by namespace. */
int mt_object_age_cmp(const struct mt_object *a, const struct mt_object *b);
/* "Kind NAMESPACE/NAME". */
int mt_object_str(const struct mt_object *o, char *buf, size_t size);

/*
 * The owner of the object, which has a share of limits: its source, by the namespaces to which that
 * is limited, or else its namespace.
 */
static inline const char *mt_object_owner(const struct mt_object *o)
{
	return o->only ? o->only : o->ns;
}

static inline void mt_object_put(struct mt_object *o)
{
	mt_model_free(o->part);
}
