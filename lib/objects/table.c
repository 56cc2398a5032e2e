/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of one load's objects by identity: finds duplicates, chooses the version to use, and
 * adds objects that may be in unreadable files.
 */
#include "mt_objects_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MIN 16u

/*
 * Makes room for one more row. Rows are large, so the first allocation has one for each object. It
 * must grow if there are absent objects, even if no object was read.
 */
static bool grow(struct mt_object_table *t)
{
	uint32_t cap = MT_MAX(MT_MAX(2 * t->n, t->objects.n), ROWS_MIN);
	struct mt_object_row *rows = mt_region_alloc(&t->region, sizeof(*rows) * cap);

	if (!rows)
		return false;
	if (t->n)
		memcpy(rows, t->rows, sizeof(*rows) * t->n);
	t->rows = rows;
	t->cap = cap;
	return true;
}

static struct mt_object_row *add_row(struct mt_object_table *t, struct mt_object *o)
{
	struct mt_object_row *row;

	if (t->n == t->cap && !grow(t))
		return NULL;
	row = &t->rows[t->n++];
	*row = (struct mt_object_row){
		.o = o, .status = o->status, .why = o->why, .rank = MT_OWNING_NONE};
	return row;
}

static bool same_identity(const struct mt_object *a, const struct mt_object *b)
{
	return strcmp(mt_object_key(a), mt_object_key(b)) == 0;
}

/*
 * True if the object can be another version or a duplicate. It needs a kind and a name, and its
 * source must be allowed to have it.
 */
static bool is_named(const struct mt_object *o)
{
	return *o->kind && *o->name && o->status != MT_OBJECT_IGNORED && !o->outside;
}

static void add_origin(struct mt_object_table *t, struct mt_object_row *row, struct mt_origin at)
{
	struct mt_origin *slot =
		mt_region_push(&t->region, (void **)&row->origins, &row->n_origins, sizeof(*slot));

	if (slot)
		*slot = at;
}

/*
 * Adds a duplicate, which has the identity of row `first`. If objects of this kind may restrict
 * access, both are used and a call must pass both. Otherwise only `first` is used, which has an
 * address or a host that the Node gives to a source, or is the older one; among equally old ones it
 * has the hash that sorts first.
 */
static void add_double(struct mt_object_table *t, struct mt_object_row *first, struct mt_object *o,
	enum mt_owning rank)
{
	const char *younger = rank != first->rank
				      ? "%s:%u of this name has an address or a host that the Node "
					"gives to a source"
			      : o->created != first->o->created
				      ? "%s:%u is the older one of this name"
				      : "%s:%u has this name, too, and is used: neither is older";
	bool counts = o->may_restrict && o->status != MT_OBJECT_REFUSED;
	struct mt_object_row *row;
	uint32_t at = (uint32_t)(first - t->rows);

	if (mt_content_hash_same(&o->hash, &first->o->hash)) {
		add_origin(t, first, o->origin);
		return;
	}
	row = add_row(t, o);
	/* Of several Nodes check_nodes() chooses the one that is used. */
	if (!row || o->is_node)
		return;
	first = &t->rows[at];
	/* Report errors of the duplicate itself instead, if it has any. */
	if (o->status != MT_OBJECT_REFUSED || o->illegible)
		row->why = mt_region_printf(&t->region,
			counts ? "also at %s:%u, with other content: a call must pass both"
			       : younger,
			first->o->origin.file, first->o->origin.line);
	if (counts)
		row->used = o;
	else
		row->status = MT_OBJECT_REFUSED;
	row->double_ = true;
	row->rank = (uint8_t)rank;
}

/* The objects of one identity, which may be of several sources. */
struct identity {
	struct mt_object_table *t;
	struct mt_object **v;
	uint32_t n;
	uint32_t first; /* its first row */
	const struct mt_source_reading *r;
	struct mt_kept *kept;
};

/*
 * Adds an object. One with an address or a host that the Node gives to another source is not a
 * duplicate: it is refused, whatever its content and its date are.
 */
static void add_object(struct identity *x, struct mt_object *o, enum mt_owning rank, bool foreign)
{
	struct mt_object_table *t = x->t;
	struct mt_object_row *row;

	if (rank != MT_OWNING_OTHERS && t->n > x->first) {
		add_double(t, &t->rows[x->first], o, rank);
		return;
	}
	row = add_row(t, o);
	if (!row)
		return;
	row->rank = (uint8_t)rank;
	row->apart = rank == MT_OWNING_OTHERS && (foreign || t->n - 1 > x->first);
}

static void add_identity(struct identity *x)
{
	enum mt_owning rank;
	bool foreign;

	if (!is_named(x->v[0])) {
		(void)add_row(x->t, x->v[0]);
		return;
	}
	if (x->n == 1) {
		rank = mt_object_owning(x->t, x->r, x->kept, x->v[0], &foreign);
		add_object(x, x->v[0], rank, foreign);
		return;
	}
	for (int want = MT_OWNING_SOME; want <= MT_OWNING_OTHERS; want++)
		for (uint32_t i = 0; i < x->n; i++) {
			rank = mt_object_owning(x->t, x->r, x->kept, x->v[i], &foreign);
			if ((int)rank == want)
				add_object(x, x->v[i], rank, foreign);
		}
}

static void add_objects(
	struct mt_object_table *t, const struct mt_source_reading *r, struct mt_kept *kept)
{
	struct identity x = {.t = t, .r = r, .kept = kept};
	uint32_t n = t->objects.n;

	mt_order_objects(t);
	for (uint32_t i = 0; i < n; i += x.n) {
		x.v = t->objects.v + i;
		x.first = t->n;
		for (x.n = 1; i + x.n < n && is_named(x.v[0]) && is_named(x.v[x.n]) &&
			      same_identity(x.v[0], x.v[x.n]);)
			x.n++;
		add_identity(&x);
	}
}

/*
 * Returns the last good version of a row. The table takes a reference, because `kept` replaces this
 * version when a newer one is applied, and a later compilation with other discovered resources may
 * still reject the newer one.
 */
static struct mt_object *good_of(
	struct mt_object_table *t, const struct mt_object_row *row, struct mt_kept *kept)
{
	struct mt_object *good = is_named(row->o) ? mt_kept_good(kept, row->o) : NULL;

	if (good && good != row->o && mt_objects_add(&t->objects, good)) {
		t->region.failed = true;
		return NULL;
	}
	return good;
}

/*
 * Chooses the version to compile first: the newest if it could be read, otherwise the last good
 * one. Among duplicates only the first row has a last good version.
 */
static void choose(
	struct mt_object_table *t, const struct mt_source_reading *r, struct mt_kept *kept)
{
	const char *ignored;

	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		if (row->o->status == MT_OBJECT_IGNORED || row->double_)
			continue;
		row->good = row->apart || mt_good_is_unnamed(t, r, kept, row->o)
				    ? NULL
				    : good_of(t, row, kept);
		if (mt_good_is_disowned(t, r, row, &ignored))
			row->good = NULL;
		if (row->o->status != MT_OBJECT_REFUSED && !mt_row_is_disowned(t, row) &&
			!mt_row_is_held(t, kept, row)) {
			row->used = row->o;
		} else if (row->good && !row->o->is_node) {
			mt_row_fall_back(t, row);
		}
	}
}

/* State of the search for objects that are in no file now. */
struct search {
	struct mt_object_table *t;
	const struct mt_source_reading *r;
	struct mt_strmap here; /* keys of the objects that were read */
};

/* Adds a row for `good`, which was last seen in `file`. Adds none if out of memory. */
static void add_absent_row(struct search *s, struct mt_object *good, const char *file)
{
	const char *holder = good ? mt_source_holder(s->r, file, good) : NULL;
	struct mt_object_table *t = s->t;
	struct mt_object_row *row;
	const char *why;

	if (!holder)
		return;
	row = add_row(t, good);
	if (!row || mt_objects_add(&t->objects, good))
		return;
	row->good = row->used = good;
	row->status = MT_OBJECT_LAST_GOOD;
	row->absent = true;
	row->moving = !s->r->unread && s->r->n_changing == s->r->n_partial;
	if (row->moving)
		row->why = mt_region_printf(
			&t->region, "%s, where it was seen last, changed while it was read", file);
	else if (holder == file)
		row->why = mt_region_printf(&t->region,
			"%s, where it was seen last, could not be read to its end", file);
	else
		row->why = mt_region_printf(&t->region,
			"no file has it, but %s cannot be read: no object%s is removed until it "
			"can be read",
			holder, s->r->unread ? "" : " of its namespaces");
	if (mt_good_is_disowned(t, s->r, row, &why)) {
		row->good = row->used = NULL;
		row->status = MT_OBJECT_REFUSED;
		row->moving = false;
		row->why = why;
	}
}

/* True for an object that is missing; mt_source_holder() decides whether it still exists. */
static bool is_absent(const struct search *s, const char *key, const char *file)
{
	return !mt_strmap_get(&s->here, key) &&
	       (s->r->n_unread || mt_source_is_partial(s->r, file));
}

/*
 * Adds rows for objects that were not found, but may still be in the file where they were last
 * seen.
 */
static void add_absent(
	struct mt_object_table *t, const struct mt_source_reading *r, struct mt_kept *kept)
{
	struct search s = {.t = t, .r = r};
	struct mt_kept_one *one;
	struct mt_object *o;
	uint32_t pos = 0, n = t->n;

	if (!r->n_partial)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (!t->rows[i].o->outside && !t->rows[i].apart)
			mt_strmap_put(&s.here, mt_object_key(t->rows[i].o), t, NULL);
	while ((one = mt_strmap_next(&kept->all, &pos, NULL)) != NULL)
		if (is_absent(&s, one->key, one->file))
			add_absent_row(&s, mt_kept_absent_good(one, r), one->file);
	/* Those of `secrets` that were not forgotten. */
	pos = 0;
	while ((o = mt_strmap_next(&kept->secret_of, &pos, NULL)) != NULL)
		if (is_absent(&s, mt_object_key(o), o->origin.file))
			add_absent_row(&s, o, o->origin.file);
	mt_strmap_fini(&s.here);
	mt_order_rows(t);
}

/* Refuses every Node except `node`, the first one that was read, and its copies. */
static void check_nodes(struct mt_object_table *t, const struct mt_object *node)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		if (!row->o->is_node || row->o == node ||
			(same_identity(row->o, node) &&
				mt_content_hash_same(&row->o->hash, &node->hash)))
			continue;
		row->used = NULL;
		row->status = MT_OBJECT_REFUSED;
		row->why = row->why ? row->why : "a second Node: keep one of them";
	}
}

static void remember(struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		row->first_used = row->used;
		row->first_status = row->status;
		row->first_why = row->why;
	}
}

void mt_table_reset(struct mt_object_table *t)
{
	bool changed = false;

	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		changed |= row->used != row->first_used;
		row->used = row->first_used;
		row->status = row->first_status;
		row->why = row->first_why;
		row->good_is_bad = false;
		row->notes = NULL;
		row->n_notes = 0;
		row->warned = row->unusable = row->unreadable = false;
		row->touches = NULL;
		row->n_touches = 0;
	}
	t->node_refused = t->first_node_refused;
	t->n_rounds = t->n_unreadable = 0;
	mt_strmap_fini(&t->troubles);
	if (changed)
		mt_table_changed(t);
	mt_diags_fini(&t->told);
	mt_diags_init(&t->told);
	mt_region_fini(&t->words);
	mt_region_init(&t->words, 0);
}

static void keep_partial(struct mt_object_table *t, const struct mt_source_reading *r)
{
	t->n_files_bad = r->n_partial;
	t->n_files_changing = r->n_changing;
	for (uint32_t i = 0; i < r->n_partial && !t->region.failed; i++)
		t->region.failed = mt_reading_partial(&t->reading, r->partial[i]) != 0;
	if (!r->unread)
		return;
	t->unread = t->reading.unread = strdup(r->unread);
	t->region.failed |= !t->unread;
}

bool mt_table_may_hold(const struct mt_object_table *t, const char *file)
{
	return mt_source_is_partial(&t->reading, file);
}

struct mt_object_table *mt_table_new(struct mt_source_reading *r, struct mt_kept *kept)
{
	struct mt_object_table *t = calloc(1, sizeof(*t));
	const struct mt_object *node = NULL;

	if (!t)
		return NULL;
	mt_region_init(&t->region, 0);
	mt_region_init(&t->words, 0);
	mt_diags_init(&t->told);
	mt_diags_init(&t->translated);
	mt_diags_init(&t->owns);
	for (uint32_t i = 0; i < r->objects.n && !node; i++)
		if (r->objects.v[i]->is_node)
			node = r->objects.v[i];
	t->objects = r->objects;
	r->objects = (struct mt_objects){0};
	keep_partial(t, r);
	mt_table_own(t, node);
	add_objects(t, r, kept);
	choose(t, r, kept);
	check_nodes(t, node);
	add_absent(t, r, kept);
	t->node_refused = t->first_node_refused = !node || node->status == MT_OBJECT_REFUSED;
	mt_table_mesh(t);
	mt_table_unenforce(t, mt_table_node(t), kept);
	if (mt_order_by_age(t) && mt_table_close(t) && !t->region.failed) {
		remember(t);
		return t;
	}
	mt_table_free(t);
	return NULL;
}

void mt_table_free(struct mt_object_table *t)
{
	if (!t)
		return;
	mt_objects_fini(&t->objects);
	mt_source_reading_fini(&t->reading);
	mt_diags_fini(&t->told);
	mt_diags_fini(&t->translated);
	mt_diags_fini(&t->owns);
	mt_model_free(t->model);
	mt_idmap_fini(&t->by_serial);
	mt_idmap_fini(&t->standings);
	mt_idmap_fini(&t->replacing);
	mt_strmap_fini(&t->troubles);
	mt_region_fini(&t->words);
	mt_region_fini(&t->region);
	free(t);
}

void mt_table_changed(struct mt_object_table *t)
{
	mt_model_free(t->model);
	t->model = NULL;
}

static int share_all(struct mt_object_table *t, struct mt_model *m)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object_row *row = t->by_age[i];
		int rc = row->used && !row->unenforced ? mt_model_share(m, row->used->part) : 0;

		if (rc)
			return rc;
		if (row->used && row->used->part->node)
			m->node = row->used->part->node;
	}
	return 0;
}

struct mt_model *mt_table_model(struct mt_object_table *t, int *rc)
{
	struct mt_model *m = t->model;

	*rc = 0;
	if (m)
		return m;
	m = mt_table_divide(t) ? mt_model_new() : NULL;
	*rc = m ? share_all(t, m) : -ENOMEM;
	if (*rc) {
		mt_model_free(m);
		return NULL;
	}
	mt_table_mesh(t);
	m->mesh = t->mesh;
	m->owned = t->owned;
	mt_table_index(t);
	mt_table_standings(t, m);
	mt_table_translate(t, m);
	mt_table_gateway_api(t, m);
	mt_table_delegate(t, m);
	mt_table_proxies(t, m);
	mt_table_close_refused(t, m);
	if (m->region.failed) {
		mt_model_free(m);
		*rc = -ENOMEM;
		return NULL;
	}
	t->model = m;
	return m;
}

void mt_table_counts(const struct mt_object_table *t, uint32_t counts[MT_OBJECT_STATUSES])
{
	memset(counts, 0, sizeof(counts[0]) * MT_OBJECT_STATUSES);
	for (uint32_t i = 0; i < t->n; i++)
		counts[t->rows[i].status]++;
}

uint32_t mt_table_fallen_back(const struct mt_object_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += t->rows[i].status == MT_OBJECT_LAST_GOOD && !t->rows[i].moving;
	return n;
}

bool mt_table_has_trouble(const struct mt_object_table *t)
{
	uint32_t counts[MT_OBJECT_STATUSES];

	mt_table_counts(t, counts);
	return counts[MT_OBJECT_REFUSED] || mt_table_fallen_back(t) ||
	       t->n_files_bad > t->n_files_changing || t->n_unreadable;
}
