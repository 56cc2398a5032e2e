/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as a source read it: one document, or one item of a List. An object has an identity
 * (source, group, kind, namespace, name), an origin (file and line, not part of the identity) and
 * content. Each load gives the object a status. After it was read, an object is immutable except
 * for hints, so all loads share it. Control thread only.
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
	MT_OBJECT_NOTES, /* in force, except for the fields that the notes name */
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

/* Returns the word for a status in the CLI and in JSON: "in-force", "refused", ... */
const char *mt_object_status_str(enum mt_object_status s);
/* Returns the meaning of a status in one sentence. */
const char *mt_object_status_help(enum mt_object_status s);

/* Prints the table of docs/reference/objects.md. */
void mt_object_reference(FILE *out);

/* How an object restricts access, and so what is denied while the object cannot be evaluated. */
enum mt_object_restricts {
	MT_RESTRICTS_NOT,
	MT_RESTRICTS_CALLS,    /* calls and opaque TCP */
	MT_RESTRICTS_MESSAGES, /* calls only, because opaque TCP carries no token */
};

struct mt_object {
	/* The identity. Parts that an unreadable document does not show are "". */
	const char *source, *group, *kind, *ns, *name;
	const char *only; /* namespaces that the object's source may have; NULL: all */
	/* the whole identity, for mt_object_key(); set when the object is first listed */
	const char *key;
	struct mt_origin origin;
	uint64_t serial; /* unique for each reading of the object */
	/* Hash of the content, without place, status and the records of an API server. */
	struct mt_content_hash hash;
	/*
	 * creationTimestamp, seconds since 1970; 0: not written, so the object counts as the oldest,
	 * except at addresses (MT_STANDING_UNDATED)
	 */
	int64_t created;
	bool ns_unwritten; /* no namespace is written, so `ns` is the default */
	uint32_t place,
		age_place; /* mutable hints: index + 1 in the most recently sorted table; 0: none */
	bool illegible;	   /* not valid YAML; the identity is the part that the lines show */
	bool is_node;	   /* the Node document */
	/*
	 * Refused, because the source may not have objects of this namespace. Such an object never
	 * takes the place of another one with its identity.
	 */
	bool outside;
	enum mt_object_status
		/* status after reading: IN_FORCE, or IGNORED, NO_EFFECT or REFUSED with `why` */
		status;
	const char *why;   /* NULL: the object's errors give the reason */
	bool may_restrict; /* the object's kind can restrict access, even if this object does not */
	enum mt_object_restricts restricts;
	const struct mt_ynode *root; /* the parsed document; NULL if `illegible` */
	struct mt_model *
		/*
		 * the model that holds this struct's memory and the compiler's object; each list
		 * has a reference to it
		 */
		part;
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
 * Orders by identity. Among objects of one identity the one that is used comes first: usable before
 * invalid, then the oldest, then by content. Objects with `outside` are last.
 */
int mt_object_cmp(const struct mt_object *a, const struct mt_object *b);
/* Orders objects of any kind by precedence: the oldest first, then by name, then by namespace. */
int mt_object_age_cmp(const struct mt_object *a, const struct mt_object *b);
/* Formats "Kind NAMESPACE/NAME" or, without a namespace, "Kind NAME". Returns as snprintf(). */
int mt_object_str(const struct mt_object *o, char *buf, size_t size);

/*
 * Returns the owner of the object, which has a share of limits. The owner is the object's
 * namespace; for a source that is limited to some namespaces, these namespaces together.
 */
static inline const char *mt_object_owner(const struct mt_object *o)
{
	return o->only ? o->only : o->ns;
}

static inline void mt_object_put(struct mt_object *o)
{
	mt_model_free(o->part);
}
