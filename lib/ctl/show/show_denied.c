/* SPDX-License-Identifier: Apache-2.0 */
/* The most frequent denied callers of all workers, by policy, client, service and reason. */
#include "ask.h"
#include "tune.h"
#include "view.h"

#include <stdlib.h>

#define SHOWN 16

/* Rows of all workers, those of the same caller joined. */
struct denied {
	struct mt_denied_row *v;
	uint32_t n;
	json_t *silent; /* workers that do not answer */
};

static void join(struct denied *d, const struct mt_denied_row *r)
{
	uint32_t i = 0;

	while (i < d->n && !mt_denied_same(&d->v[i], r))
		i++;
	if (i == d->n) {
		d->v[d->n++] = *r;
		return;
	}
	d->v[i].count += r->count;
	d->v[i].over += r->over;
	d->v[i].last = MT_MAX(d->v[i].last, r->last);
}

static void gather(struct mt_ctl *c, struct denied *d)
{
	static const struct mt_expr all;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ask *a = mt_ask(c, w, MT_ASK_DENIED, &all);

		for (uint32_t i = 0; a && i < a->n; i++)
			join(d, &a->denied[i]);
		if (!a)
			json_array_append_new(d->silent, json_integer(w));
	}
}

static int by_count(const void *x, const void *y)
{
	const struct mt_denied_row *a = x, *b = y;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return a->last < b->last ? 1 : a->last > b->last ? -1 : 0;
}

static void add(json_t *list, const struct mt_denied_row *r)
{
	char client[MT_ADDR_STRLEN];
	json_t *row = mt_json_add(list, MT_M("policy", mt_json_known(r->by)),
		MT_M("client", mt_addr_str(&r->client, client)),
		MT_M("service", mt_json_known(r->service)), MT_M("reason", r->reason),
		MT_M("denied", r->count), MT_M("at_least", r->count - r->over));

	mt_set_time(row, "last", (int64_t)(r->last / MT_MSEC));
}

json_t *mt_show_denied(struct mt_ctl *c, const struct mt_request *r)
{
	struct denied d = {.v = calloc((size_t)c->env.n_workers * MT_DENIED_ROWS + 1,
				   sizeof(struct mt_denied_row)),
		.silent = json_array()};
	json_t *list = json_array(), *all;

	if (d.v)
		gather(c, &d);
	if (d.n)
		qsort(d.v, d.n, sizeof(d.v[0]), by_count);
	for (uint32_t i = 0; i < MT_MIN(d.n, (uint32_t)SHOWN); i++)
		add(list, &d.v[i]);
	all = mt_json_object(
		MT_M("denied", list), MT_M("more", d.n - MT_MIN(d.n, (uint32_t)SHOWN)));
	if (json_array_size(d.silent))
		json_object_set(all, "workers_without_answer", d.silent);
	mt_render_absent(all, "workers_without_answer");
	json_decref(d.silent);
	free(d.v);
	return all;
}
