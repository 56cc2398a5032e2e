/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/objects. */
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
	struct mt_object *good; /* NULL: only its text is there yet */
	char *text, *file;
	uint32_t line;
	int64_t wall; /* when it was good last written */
	uint64_t hash;
	bool mark; /* found by the sweep that is under way */
};

struct mt_kept {
	struct mt_strmap all; /* struct mt_kept_one */
	char *path;	      /* NULL: no file */
	bool read_only;
	struct mt_service *service;
	bool spoilt;		  /* a write failed: the file is written anew with the next one */
	int64_t wall;		  /* 0: not said */
	uint32_t lines;		  /* of the file, stale ones as well */
	struct mt_objects parsed; /* made of texts of the file; they live as long as this */
};

/* kept.c: read from its text when it is asked for first; NULL: it cannot be. */
struct mt_object *mt_kept_one_good(struct mt_kept *k, struct mt_kept_one *one);

/* kept_file.c */
int mt_kept_read(struct mt_kept *k);
/* The texts that follow: those of `changed` (and what has gone), or everything anew when the file has grown stale. */
struct mt_kept_change {
	const struct mt_kept_one *one;
	bool gone;
};
int mt_kept_write(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n);
struct mt_kept_one *mt_kept_put(struct mt_kept *k, const char *key);
void mt_kept_drop(struct mt_kept *k, struct mt_kept_one *one);

/* json.c: a document's tree as one line that reads back to the same tree; to be freed, NULL: no memory. */
char *mt_document_text(const struct mt_ynode *root);

/* verdict.c: the newest version cannot be used: the last good one is, or none. */
void mt_row_fall_back(struct mt_object_table *t, struct mt_object_row *row);

/* order.c: by identity; in the order in which they count. What did not change since the last table costs little. */
void mt_order_objects(struct mt_object_table *t);
void mt_order_rows(struct mt_object_table *t);
bool mt_order_by_age(struct mt_object_table *t);

/* table.c: another version is used from now on. */
void mt_table_changed(struct mt_object_table *t);

/* mesh.c: the Node; NULL: it cannot be used. */
const struct mt_node *mt_table_node(const struct mt_object_table *t);
/* mesh.c: what holds for the whole mesh, by the versions that are used; and where Node and MeshConfig differ. */
void mt_table_mesh(struct mt_object_table *t);
void mt_table_mesh_tell(const struct mt_object_table *t, struct mt_diags *diags);

/* by_label.c: things of namespaces by their labels; what has all labels of `want` is among what is found. */
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

/* translate.c: what Kubernetes' kinds mean, into the model; what is to be told of it goes to t->translated. */
void mt_table_translate(struct mt_object_table *t, struct mt_model *m);
/* gateway_api.c: what Gateway API means, into the model; what is told goes to t->translated. */
void mt_table_gateway_api(struct mt_object_table *t, struct mt_model *m);
/* delegates.c: VirtualServices with the rules of those that they delegate to; what is told goes to t->translated. */
void mt_table_delegate(struct mt_object_table *t, struct mt_model *m);
/* proxies.c: which Telemetry and ProxyConfig are for this node; what is told goes to t->translated. */
void mt_table_proxies(struct mt_object_table *t, const struct mt_model *m);
/* Once all other statuses are known. */
void mt_table_delegates_settle(struct mt_object_table *t);
/* verdict.c: the row whose used version has that serial; NULL: none. From mt_table_finish() on. */
struct mt_object_row *mt_table_row(const struct mt_object_table *t, uint64_t serial);

/* unenforced.c: what the Node leaves out; and what is to be told of its list. */
void mt_table_unenforce(
	struct mt_object_table *t, const struct mt_node *node, const struct mt_kept *kept);
void mt_table_unenforced_tell(
	const struct mt_object_table *t, const struct mt_node *node, struct mt_diags *diags);

/* closing_filters.c: where its filters stand; false: that cannot be read, and it is left as it was. */
bool mt_closing_is_filter(const struct mt_object *o);
bool mt_closing_read_filter(struct mt_region *r, const struct mt_object *o, struct mt_closing *c);

/* closing.c: a map of words; NULL: none is written, or it cannot be read, and *bad says so. */
struct mt_policy_selector *mt_closing_labels(
	struct mt_region *r, const struct mt_ynode *map, bool *bad);
/* closing.c: what rows close, in force or not; false: no memory. */
bool mt_table_close(struct mt_object_table *t);
/*
 * closing.c: gives the model the table's closings, and one for each object that protects and that
 * the compiler has refused since. Out of memory: the model's region has failed.
 */
void mt_table_close_refused(struct mt_object_table *t, struct mt_model *m);
