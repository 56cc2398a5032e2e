/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/objects. */
#pragma once

#include "mt_objects.h"

#include "mt_idmap.h"
#include "mt_log.h"
#include "mt_sort.h"
#include "mt_strmap.h"

#define MT_OBJECT_KEY_MAX 2048

/* One kept version. */
struct mt_kept_one {
	char *key;
	struct mt_object *good; /* NULL: not parsed from its text yet */
	char *text, *file;
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
	bool spoilt;		  /* a write failed: the next one replaces the whole file */
	int64_t wall;		  /* mt_kept_clock(); 0: not set */
	uint32_t lines;		  /* of the file, stale ones included */
	struct mt_objects parsed; /* unused */
	/* Secrets in use: only in memory, and only to outlive files that cannot be read. */
	struct mt_objects secrets;
};

/* kept.c: the object, parsed from its text at the first call. NULL: the text cannot be read. */
struct mt_object *mt_kept_one_good(struct mt_kept *k, struct mt_kept_one *one);

/* kept_file.c */
int mt_kept_read(struct mt_kept *k);
struct mt_kept_change {
	const struct mt_kept_one *one;
	bool gone;
};
/*
 * Appends the changes to the file, or replaces the whole file if most of it is stale. 0 or -ENOMEM.
 */
int mt_kept_write(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n);
struct mt_kept_one *mt_kept_put(struct mt_kept *k, const char *key);
void mt_kept_drop(struct mt_kept *k, struct mt_kept_one *one);

/*
 * json.c: a document's tree as one line that parses to the same tree. The caller frees it. NULL: no
 * memory, or aliases would make it longer than 64 MiB.
 */
char *mt_document_text(const struct mt_ynode *root);

/*
 * demands.c: true if `good` demands as strong TLS as `edited` at each place where that has `tls`.
 */
bool mt_object_demands(const struct mt_object *good, const struct mt_object *edited);

/*
 * shares.c: refuses versions of owners with more than their share of a model's memory, if all
 * together exceed it. False: no memory.
 */
bool mt_table_divide(struct mt_object_table *t);

/* verdict.c: replaces the version in use by the last good one, or by none. */
void mt_row_fall_back(struct mt_object_table *t, struct mt_object_row *row);

/*
 * order.c: sort objects and rows by identity, and fill by_age in order of precedence. Objects that
 * did not change since the last table cost little. mt_order_by_age(): false if out of memory.
 */
void mt_order_objects(struct mt_object_table *t);
void mt_order_rows(struct mt_object_table *t);
bool mt_order_by_age(struct mt_object_table *t);

/* table.c: discards the model, because the version in use of some object changed. */
void mt_table_changed(struct mt_object_table *t);

/* mesh.c: the Node; NULL: there is no valid one. */
const struct mt_node *mt_table_node(const struct mt_object_table *t);
/*
 * mesh.c: sets t->mesh from the versions in use; warns in `diags` where Node and MeshConfig differ.
 */
void mt_table_mesh(struct mt_object_table *t);
void mt_table_mesh_tell(const struct mt_object_table *t, struct mt_diags *diags);

/*
 * by_label.c: an index of items by namespace and label. A lookup returns the items that have the
 * first label of `want`; the caller must check the other labels.
 */
struct mt_bag {
	void **v;
	uint32_t n;
};
struct mt_by_label {
	struct mt_strmap map; /* struct mt_bag */
	struct mt_region *region;
};
void mt_by_label_add(
	struct mt_by_label *x, const char *ns, const struct mt_labels *labels, void *thing);
const struct mt_bag *mt_by_label_find(
	const struct mt_by_label *x, const char *ns, const struct mt_labels *want);
void mt_by_label_fini(struct mt_by_label *x);

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
/* delegates.c: sets the statuses of delegates, once all other statuses are known. */
void mt_table_delegates_settle(struct mt_object_table *t);
/* verdict.c: indexes the rows for mt_table_row(), after their versions in use changed. */
void mt_table_index(struct mt_object_table *t);
/*
 * verdict.c: the row whose version in use (or, without one, the newest) has that serial; NULL:
 * none.
 */
struct mt_object_row *mt_table_row(const struct mt_object_table *t, uint64_t serial);

/*
 * unenforced.c: exempts the objects that the Node lists; warns in `diags` about entries of its
 * list.
 */
void mt_table_unenforce(
	struct mt_object_table *t, const struct mt_node *node, const struct mt_kept *kept);
void mt_table_unenforced_tell(
	const struct mt_object_table *t, const struct mt_node *node, struct mt_diags *diags);

/*
 * closing_filters.c: narrows `c` to the places of the object's filters. False: these cannot be
 * read, and `c` is unchanged.
 */
bool mt_closing_is_filter(const struct mt_object *o);
bool mt_closing_read_filter(struct mt_region *r, const struct mt_object *o, struct mt_closing *c);

/*
 * closing_filters.c: adds the spec's targets to the scope of `c`. False: one of them cannot be
 * read, or its kind is not known.
 */
bool mt_closing_targets(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *spec);

/* closing_filters.c: warns in `diags` about targets of WasmPlugins in other namespaces. */
void mt_table_plugins_tell(const struct mt_object_table *t, struct mt_diags *diags);

/* closing.c: reads a map of labels. NULL: there is none, or it cannot be read, which sets *bad. */
struct mt_policy_selector *mt_closing_labels(
	struct mt_region *r, const struct mt_ynode *map, bool *bad);
/* closing.c: sets t->closings for the rows that cannot be evaluated. False: no memory. */
bool mt_table_close(struct mt_object_table *t);
/*
 * closing.c: gives the model the table's closings, and one more for each protecting object that the
 * compiler has rejected in every version. Out of memory: the model's region has failed.
 */
void mt_table_close_refused(struct mt_object_table *t, struct mt_model *m);
