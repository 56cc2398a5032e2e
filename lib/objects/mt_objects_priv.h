/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/objects. */
#pragma once

#include "mt_objects.h"

#include "mt_by_label.h"
#include "mt_idmap.h"
#include "mt_log.h"
#include "mt_sort.h"
#include "mt_strmap.h"

#define MT_OBJECT_KEY_MAX 2048

/* The last good version of one object. */
struct mt_kept_one {
	char *key;
	struct mt_object *good; /* NULL: not yet parsed from `text` */
	char *text, *file;
	/* namespaces that the source of its file is limited to, if `known`; NULL: to none */
	char *only;
	bool known;
	bool stale; /* the file has other ones, or none */
	uint32_t line;
	int64_t wall; /* when this version was stored, seconds since 1970 */
	struct mt_content_hash hash;
	bool mark; /* in mt_kept_update(): a row of the table has this identity */
};

struct mt_kept {
	struct mt_strmap all; /* struct mt_kept_one */
	char *path;	      /* NULL: no file */
	bool read_only;
	struct mt_service *service;
	bool spoilt;		  /* a write failed, so the next write replaces the whole file */
	int64_t wall;		  /* mt_kept_clock(); 0: not set */
	uint32_t lines;		  /* lines of the file, including stale ones */
	struct mt_objects parsed; /* unused */
	/*
	 * Secrets in use, kept only in memory, so that they stay in use while their files cannot be
	 * read, or hold what cannot be used.
	 */
	struct mt_objects secrets;
	struct mt_strmap secret_of; /* those that are not forgotten, by mt_object_key() */
};

/*
 * kept.c: returns the last good version of an object that is in no file, parsed from its text at
 * the first call; NULL: the text cannot be parsed. It is one of the source that holds its file now,
 * if there is one, whatever its text was stored with.
 */
struct mt_object *mt_kept_absent_good(struct mt_kept_one *one, const struct mt_source_reading *r);

/* kept_file.c */
int mt_kept_read(struct mt_kept *k);
struct mt_kept_change {
	const struct mt_kept_one *one;
	bool gone;
};
/*
 * Appends the changes to the file, or replaces the whole file if most of it is stale. Returns 0 or
 * -ENOMEM.
 */
int mt_kept_write(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n);
struct mt_kept_one *mt_kept_put(struct mt_kept *k, const char *key);
void mt_kept_drop(struct mt_kept *k, struct mt_kept_one *one);

/*
 * json.c: returns a document's tree as one line that parses to the same tree, with its aliases; the
 * caller frees the line. NULL: no memory, or the line would be longer than 64 MiB.
 */
char *mt_document_text(const struct mt_ynode *root);

/*
 * demands.c: true if `good` requires at least as strong TLS as `edited`, at each place where
 * `edited` has `tls`.
 */
bool mt_object_demands(const struct mt_object *good, const struct mt_object *edited);

/*
 * Writes "NAMESPACE/NAME" of an object as a key. Names of objects have at most 253 characters, so a
 * truncated name finds nothing.
 */
#define MT_OBJECT_NAME_MAX 512
static inline void mt_object_name_key(
	char key[MT_OBJECT_NAME_MAX], const char *ns, const char *name)
{
	snprintf(key, MT_OBJECT_NAME_MAX, "%.254s/%.254s", ns, name);
}

/*
 * shares.c: if all versions together exceed a model's memory, refuses versions of owners with more
 * than their share. False: no memory.
 */
bool mt_table_divide(struct mt_object_table *t);

/* verdict.c: replaces the version in use by the last good one, or by none. */
void mt_row_fall_back(struct mt_object_table *t, struct mt_object_row *row);

/*
 * order.c: sort objects and rows by identity, and fill by_age in order of precedence. Objects that
 * are unchanged since the last table cost little. mt_order_by_age() returns false if out of memory.
 */
void mt_order_objects(struct mt_object_table *t);
void mt_order_rows(struct mt_object_table *t);
bool mt_order_by_age(struct mt_object_table *t);

/* table.c: discards the model, because the version in use of some object changed. */
void mt_table_changed(struct mt_object_table *t);

/* standing.c: gives the model the standings of versions in use, and those that replace others. */
void mt_table_standings(struct mt_object_table *t, struct mt_model *m);

/* owns.c: indexes what the Node gives to its sources. */
void mt_table_own(struct mt_object_table *t, const struct mt_object *node);
/*
 * Ranks of objects of one identity, by addresses and hosts that the Node gives to sources. So no
 * source displaces an object that may have some.
 */
enum mt_owning {
	/*
	 * It has some, and may have all that it has; or it is unusable, and this is so for the last
	 * good version, which is one of the same source, of an operator's, or of a directory that
	 * the Node names no more and the source may have replaced.
	 */
	MT_OWNING_SOME,
	MT_OWNING_NONE,
	/*
	 * It may not have all of them; or it is unusable, and this is so for the last good version,
	 * which is one of another source. Or this is so for that version, and its file cannot be
	 * read.
	 */
	MT_OWNING_OTHERS,
};
/* owns.c: *foreign: the last good version is another source's, which the object may not use. */
enum mt_owning mt_object_owning(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o, bool *foreign);
/*
 * owns.c: true if the newest version, of a source with `namespaces`, has what another source owns.
 * Then its status and reason are set, and an error is in t->owns.
 */
bool mt_row_is_disowned(struct mt_object_table *t, struct mt_object_row *row);
/*
 * owns.c: the same for a usable version that is apart: the object itself is in a file that cannot
 * be read.
 */
bool mt_row_is_held(struct mt_object_table *t, struct mt_kept *kept, struct mt_object_row *row);
/*
 * owns.c: true if the last good version has something that a source owns, and was of a directory
 * that the Node names no more, with namespaces that the object's source lacks. So it is not the
 * object's, and this is still known after a restart, because mt_kept_good() was not called.
 */
bool mt_good_is_unnamed(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o);
/*
 * owns.c: the same for the last good version. *why: the reason if the row has no other one; else
 * NULL.
 */
bool mt_good_is_disowned(struct mt_object_table *t, const struct mt_source_reading *r,
	const struct mt_object_row *row, const char **why);

/* mesh.c: returns the Node; NULL: there is no valid one. */
const struct mt_node *mt_table_node(const struct mt_object_table *t);
/*
 * mesh.c: the first sets t->mesh from the versions in use, the second warns in `diags` where Node
 * and MeshConfig differ.
 */
void mt_table_mesh(struct mt_object_table *t);
void mt_table_mesh_tell(const struct mt_object_table *t, struct mt_diags *diags);

/* budget.c: memory of the model and comparisons that objects cost. */
struct mt_cost {
	uint64_t memory, work;
};
/*
 * Set `t`, `region` and `most` (of all owners); the last quarter is for owners (mt_object_owner())
 * with less than a quarter.
 */
struct mt_budget {
	struct mt_object_table *t;
	struct mt_region *region;
	struct mt_cost most, used;
	struct mt_strmap owners; /* struct mt_cost */
	/* Of the current object: */
	struct mt_cost *own, left;
	size_t from;   /* memory in use before it */
	uint64_t work; /* done for it */
	bool full;     /* it has no more of one of them */
};
/* Begins with an object. False: no memory. */
bool mt_budget_begin(struct mt_budget *b, const struct mt_meta *meta);
bool mt_budget_begin_row(struct mt_budget *b, const struct mt_object_row *row);
/* Charges work of about a comparison of names each. False: the object may cost no more. */
bool mt_budget_has(struct mt_budget *b, uint64_t work);
/* Charges its owner. False: it was cut. */
bool mt_budget_end(struct mt_budget *b);
void mt_budget_fini(struct mt_budget *b);

/*
 * translate.c: adds service entries and endpoints from Kubernetes objects to the model. This and
 * the next three functions put their diagnostics into t->translated.
 */
void mt_table_translate(struct mt_object_table *t, struct mt_model *m);
/* gateway_api.c: adds gateways and virtual services from Gateway API objects to the model. */
void mt_table_gateway_api(struct mt_object_table *t, struct mt_model *m);
/*
 * delegates.c: replaces VirtualServices that delegate by copies that contain the delegates' rules.
 */
void mt_table_delegate(struct mt_object_table *t, struct mt_model *m);
/* proxies.c: finds which Telemetry and ProxyConfig objects apply to this node. */
void mt_table_proxies(struct mt_object_table *t, const struct mt_model *m);
/* delegates.c: sets the statuses of delegates, after all other statuses. */
void mt_table_delegates_settle(struct mt_object_table *t);
/* verdict.c: indexes the rows for mt_table_row(), after their versions in use changed. */
void mt_table_index(struct mt_object_table *t);
/*
 * verdict.c: returns the row with this serial, which is that of the version in use, or of the
 * newest version if none is used; NULL: none.
 */
struct mt_object_row *mt_table_row(const struct mt_object_table *t, uint64_t serial);

/*
 * unenforced.c: the first function exempts the objects that the Node lists, the second warns in
 * `diags` about entries of this list.
 */
void mt_table_unenforce(
	struct mt_object_table *t, const struct mt_node *node, const struct mt_kept *kept);
void mt_table_unenforced_tell(
	const struct mt_object_table *t, const struct mt_node *node, struct mt_diags *diags);

/*
 * closing_filters.c: the second narrows `c` to the places of the object's filters. It returns false
 * with `c` unchanged if it cannot read the filters.
 */
bool mt_closing_is_filter(const struct mt_object *o);
bool mt_closing_read_filter(struct mt_region *r, const struct mt_object *o, struct mt_closing *c);

/*
 * closing_filters.c: adds the spec's targets to the scope of `c`. Returns false if a target cannot
 * be read or has an unknown kind.
 */
bool mt_closing_targets(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *spec);

/* closing_filters.c: warns in `diags` about targets of WasmPlugins in other namespaces. */
void mt_table_plugins_tell(const struct mt_object_table *t, struct mt_diags *diags);

/*
 * closing.c: reads a map of labels. Returns NULL if there is no map, or, with *bad set, if the map
 * cannot be read.
 */
struct mt_policy_selector *mt_closing_labels(
	struct mt_region *r, const struct mt_ynode *map, bool *bad);
/* closing.c: sets t->closings for the rows that cannot be evaluated. False: no memory. */
bool mt_table_close(struct mt_object_table *t);
/*
 * closing.c: gives the model the table's closings, and one more for each object that restricts
 * access if the compiler has rejected all its versions. If memory runs out, the model's region is
 * marked as failed.
 */
void mt_table_close_refused(struct mt_object_table *t, struct mt_model *m);
