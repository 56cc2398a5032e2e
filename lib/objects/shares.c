/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Division of a model's memory among owners (mt_object_owner()), if the versions in use together
 * need more than the limit. An owner that needs less than an equal part gets all of its need; the
 * others get equal parts of the rest (max-min fairness). An owner above its part loses versions,
 * new ones before last good ones and younger before older; each has an error. Other owners are not
 * affected.
 */
#include "mt_objects_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t mt_objects_memory = MT_MODEL_LIMIT;
uint64_t mt_objects_work = 1u << 27;

/*
 * From this round on, a version that exceeds its owner's part is left out instead of replaced by
 * its last good version.
 */
#define ROUNDS 4

struct owner {
	const char *name;
	uint64_t needs, taken;
};

struct division {
	struct mt_object_table *t;
	struct mt_region region;
	struct mt_strmap map;  /* struct owner */
	struct owner **owners; /* sorted by need after level_of() */
	uint32_t n_owners;
	uint64_t operators; /* memory of the operator's objects */
	uint64_t level;	    /* limit of each owner's memory */
};

/* True for the operator's objects: the Node, and a MeshConfig. */
static bool is_operators(const struct mt_object *o)
{
	return o->is_node || strcmp(o->kind, "MeshConfig") == 0;
}

static bool delegates(const struct mt_rule_list *l)
{
	for (uint32_t i = 0; i < l->n_rules; i++)
		if (l->rules[i].delegate)
			return true;
	return false;
}

/*
 * Returns the memory of a version: the version's model, and the copies of lists of rules into which
 * delegates are joined.
 */
static uint64_t bytes_of(const struct mt_object *o)
{
	const struct mt_model *part = o->part;
	uint64_t bytes = part->region.used;

	for (uint32_t i = 0; i < part->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = part->virtual_services.v[i];

		for (uint32_t k = 0; k < vs->n_lists; k++)
			if (delegates(&vs->lists[k]))
				bytes += vs->lists[k].n_rules * sizeof(*vs->lists[k].rules);
	}
	return bytes;
}

static bool counts(const struct mt_object_row *row)
{
	return row->used && !row->unenforced;
}

static struct owner *owner_of(struct division *d, const struct mt_object *o)
{
	const char *name = mt_object_owner(o);
	struct owner *w = mt_strmap_get(&d->map, name), **slot;

	if (w)
		return w;
	w = mt_region_alloc(&d->region, sizeof(*w));
	slot = mt_region_push(&d->region, (void **)&d->owners, &d->n_owners, sizeof(*slot));
	if (!w || !slot || mt_strmap_put(&d->map, name, w, NULL)) {
		d->region.failed = true;
		return NULL;
	}
	w->name = name;
	*slot = w;
	return w;
}

/* Adds up the needs of each owner and of the operator. Returns false if out of memory. */
static bool sum_up(struct division *d)
{
	for (uint32_t i = 0; i < d->t->n; i++) {
		const struct mt_object_row *row = &d->t->rows[i];
		struct owner *w;

		if (!counts(row))
			continue;
		if (is_operators(row->o)) {
			d->operators += bytes_of(row->used);
			continue;
		}
		w = owner_of(d, row->o);
		if (!w)
			return false;
		w->needs += bytes_of(row->used);
	}
	return true;
}

static int by_need(const void *a, const void *b)
{
	const struct owner *const *x = a, *const *y = b;

	return ((*x)->needs > (*y)->needs) - ((*x)->needs < (*y)->needs);
}

/*
 * Returns the limit of each owner's memory with which all owners together stay below
 * mt_objects_memory.
 */
static uint64_t level_of(struct division *d)
{
	uint64_t left = mt_objects_memory - MT_MIN(d->operators, mt_objects_memory);

	if (d->n_owners)
		qsort(d->owners, d->n_owners, sizeof(struct owner *), by_need);
	for (uint32_t i = 0; i < d->n_owners; i++) {
		uint64_t part = left / (d->n_owners - i);

		if (d->owners[i]->needs > part)
			return part;
		left -= d->owners[i]->needs;
	}
	return UINT64_MAX;
}

/*
 * Refuses a row's version in use, which exceeds the owner's part. `all`: the last good version is
 * refused, too.
 */
static void refuse(struct division *d, struct mt_object_row *row, const struct owner *w, bool all)
{
	const struct mt_object *o = row->used;
	const struct mt_meta about = {.origin = o->origin, .serial = o->serial, .ns = w->name};
	char what[400], remedy[] = "make it smaller, or remove others of them";

	snprintf(what, sizeof(what),
		"takes %llu KiB of memory, more than is left of the %llu KiB for objects of %s "
		"%.200s: a configuration may take %llu MiB",
		(unsigned long long)bytes_of(o) >> 10, (unsigned long long)d->level >> 10,
		o->only ? "the source of" : "namespace", *w->name ? w->name : "\"\"",
		(unsigned long long)mt_objects_memory >> 20);
	mt_diag_object(
		&d->t->told, MT_DIAG_ERROR, &about, o->origin.line, NULL, remedy, "%s", what);
	if (!row->why)
		row->why = mt_region_printf(&d->t->words, "%s (%s)", what, remedy);
	row->good_is_bad |= all;
	mt_row_fall_back(d->t, row);
}

/* True for a version that is not the last good one. */
static bool is_new(const struct mt_object_row *row)
{
	return !(row->good && mt_content_hash_same(&row->good->hash, &row->used->hash));
}

/*
 * Assigns memory to the new versions or to the others, the oldest first, and refuses versions above
 * their owner's part. Returns true if it refused one.
 */
static bool hand_out(struct division *d, bool new, bool all)
{
	bool refused = false;

	for (uint32_t i = 0; i < d->t->n; i++) {
		struct mt_object_row *row = d->t->by_age[i];
		struct owner *w;
		uint64_t bytes;

		if (!counts(row) || is_operators(row->o) || is_new(row) != new)
			continue;
		w = owner_of(d, row->o);
		if (!w)
			break;
		bytes = bytes_of(row->used);
		if (w->taken + bytes <= d->level) {
			w->taken += bytes;
			continue;
		}
		refuse(d, row, w, all);
		refused = true;
	}
	return refused;
}

/* True if all versions in use together are within the limit. */
static bool is_enough(const struct mt_object_table *t)
{
	uint64_t parts = 0, bytes = 0;

	for (uint32_t i = 0; i < t->n; i++)
		parts += counts(&t->rows[i]) ? t->rows[i].used->part->region.used : 0;
	/*
	 * A copy of rules is never larger than the version's model, so most loads need no look at
	 * the rules.
	 */
	if (parts <= mt_objects_memory / 2)
		return true;
	for (uint32_t i = 0; i < t->n; i++)
		bytes += counts(&t->rows[i]) ? bytes_of(t->rows[i].used) : 0;
	return bytes <= mt_objects_memory;
}

/*
 * Runs one round, which refuses versions above their owners' parts. Returns false if it refused
 * none, or if out of memory (*failed).
 */
static bool divide(struct mt_object_table *t, bool all, bool *failed)
{
	struct division d = {.t = t};
	bool refused = false;

	mt_region_init(&d.region, 0);
	if (sum_up(&d)) {
		d.level = level_of(&d);
		refused = hand_out(&d, false, all);
		refused |= hand_out(&d, true, all);
	}
	*failed = d.region.failed;
	mt_strmap_fini(&d.map);
	mt_region_fini(&d.region);
	return refused && !*failed;
}

bool mt_table_divide(struct mt_object_table *t)
{
	bool failed = false;

	for (int round = 0; !is_enough(t) && divide(t, round >= ROUNDS, &failed); round++)
		;
	return !failed;
}
