/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each object that was read, and of the services that they make. */
#include "mt_ctl_priv.h"

#include "mt_objects.h"

#include <string.h>

/* ---- services -------------------------------------------------------------------------------------- */

struct host {
	const char *name, *closed_by;
	bool served, open; /* some cluster has endpoints; some is not closed */
};

static int by_host(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static uint32_t merge(struct host *v, uint32_t n)
{
	uint32_t out = 0;

	qsort(v, n, sizeof(*v), by_host);
	for (uint32_t i = 0; i < n; i++) {
		if (out && strcmp(v[out - 1].name, v[i].name) == 0) {
			v[out - 1].served |= v[i].served;
			v[out - 1].open |= v[i].open;
			if (!v[out - 1].closed_by)
				v[out - 1].closed_by = v[i].closed_by;
		} else {
			v[out++] = v[i];
		}
	}
	return out;
}

static json_t *service_row(const struct host *h)
{
	const char *status = h->served ? "served" : h->open ? "no endpoints" : "closed";

	return json_pack("{s:o, s:s, s:o}", "host", mt_json_text(h->name), "status", status, "by",
		mt_json_text(h->closed_by ? h->closed_by : ""));
}

json_t *mt_ctl_services_json(const struct mt_snapshot *s)
{
	struct host *v = s ? calloc(s->n_clusters + 1, sizeof(*v)) : NULL;
	json_t *all = json_array();
	uint32_t n = 0;

	for (uint32_t i = 0; v && i < s->n_clusters; i++) {
		const struct mt_cluster *c = &s->clusters[i];
		const char *name = mt_cluster_host(c);

		if (name)
			v[n++] = (struct host){
				name, c->closed_by, c->n_eps || c->demand, !c->closed_by};
	}
	n = v ? merge(v, n) : 0;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(all, service_row(&v[i]));
	free(v);
	return all;
}

/* ---- objects --------------------------------------------------------------------------------------- */

static const struct mt_object_table *table_of(struct mt_ctl *c)
{
	return c->env.objects ? c->env.objects(c->env.arg) : NULL;
}

json_t *mt_show_objects(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_object_table *t = table_of(c);

	return json_pack("{s:o, s:o}", "objects", t ? mt_table_json(t) : json_array(), "services",
		mt_ctl_services_json(mt_ctl_snapshot(c)));
}

json_t *mt_show_held(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_object_table *t = table_of(c);
	json_t *all = json_array();

	for (uint32_t i = 0; t && i < t->n; i++)
		if (t->rows[i].status == MT_OBJECT_HELD)
			json_array_append_new(all, mt_row_json(&t->rows[i]));
	return json_pack("{s:o}", "held", all);
}
