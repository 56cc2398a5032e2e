/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two orders of a table: by identity, and by precedence (oldest first). Each object has its
 * place in the last sorted table. Objects with a place are merged in that order, and only new
 * objects are sorted, so that one change among 10,000 objects costs little. Places are hints, and a
 * final sort corrects wrong ones.
 */
#include "mt_objects_priv.h"

#include <stdlib.h>
#include <string.h>

static int by_object(const void *a, const void *b)
{
	const struct mt_object *const *x = a, *const *y = b;
	int c = mt_object_cmp(*x, *y);

	if (!c)
		c = strcmp((*x)->origin.file, (*y)->origin.file);
	return c ? c
		 : ((*x)->origin.line > (*y)->origin.line) -
			       ((*x)->origin.line < (*y)->origin.line);
}

static int by_row(const void *a, const void *b)
{
	const struct mt_object_row *x = a, *y = b;
	int c = strcmp(mt_object_key(x->o), mt_object_key(y->o));

	if (!c)
		c = (x->rank > y->rank) - (x->rank < y->rank);
	return c ? c : by_object(&x->o, &y->o);
}

static int by_age(const void *a, const void *b)
{
	const struct mt_object_row *const *x = a, *const *y = b;
	int c = mt_object_age_cmp((*x)->o, (*y)->o);

	return c ? c : by_object(&(*x)->o, &(*y)->o);
}

static uint32_t *object_place(void *object)
{
	return &((struct mt_object *)object)->place;
}

static uint32_t *row_age_place(void *row)
{
	return &((struct mt_object_row *)row)->o->age_place;
}

/* How to sort an array of pointers to items that have their last place, counted from 1. */
struct order {
	uint32_t *(*place)(void *thing);
	int (*cmp)(const void *, const void *); /* compares two elements, as for qsort(3) */
};

/*
 * Puts each item with a valid, free place into `places`, and all others into `rest`. Returns the
 * number of items in `rest`.
 */
static uint32_t put_in_place(const struct order *how, void **v, uint32_t n, void **places,
	uint32_t n_places, void **rest)
{
	uint32_t n_rest = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = *how->place(v[i]);

		if (at && at < n_places && !places[at])
			places[at] = v[i];
		else
			rest[n_rest++] = v[i];
	}
	return n_rest;
}

/* Merges `rest`, which is sorted, with `places`, which is in order if the hints are right. */
static void merge(const struct order *how, void **v, void *const *places, uint32_t n_places,
	void *const *rest, uint32_t n_rest)
{
	uint32_t n = 0, k = 0;

	for (uint32_t at = 1; at < n_places; at++) {
		if (!places[at])
			continue;
		while (k < n_rest && how->cmp(&rest[k], &places[at]) < 0)
			v[n++] = rest[k++];
		v[n++] = places[at];
	}
	while (k < n_rest)
		v[n++] = rest[k++];
}

/*
 * Sorts `v` by the places of its items. There are twice as many places as items, because half of
 * the earlier items may have been removed.
 */
static void sort(const struct order *how, void **v, uint32_t n)
{
	uint32_t n_places = 2 * n + 1, n_rest;
	void **places = calloc((size_t)n_places + n, sizeof(void *));
	void **rest = places + n_places;

	if (places) {
		n_rest = put_in_place(how, v, n, places, n_places, rest);
		qsort(rest, n_rest, sizeof(void *), how->cmp);
		merge(how, v, places, n_places, rest, n_rest);
		free(places);
	}
	mt_sort(v, n, sizeof(void *), how->cmp);
	for (uint32_t i = 0; i < n; i++)
		*how->place(v[i]) = i + 1;
}

void mt_order_objects(struct mt_object_table *t)
{
	static const struct order identity = {object_place, by_object};

	sort(&identity, (void **)t->objects.v, t->objects.n);
}

void mt_order_rows(struct mt_object_table *t)
{
	mt_sort(t->rows, t->n, sizeof(*t->rows), by_row);
}

bool mt_order_by_age(struct mt_object_table *t)
{
	static const struct order age = {row_age_place, by_age};

	t->by_age = mt_region_alloc(&t->region, sizeof(struct mt_object_row *) * (t->n + 1));
	if (!t->by_age)
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		t->by_age[i] = &t->rows[i];
	sort(&age, (void **)t->by_age, t->n);
	for (uint32_t i = 0; i < t->n; i++)
		t->by_age[i]->age = i;
	return true;
}
