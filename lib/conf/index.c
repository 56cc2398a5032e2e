/* SPDX-License-Identifier: Apache-2.0 */
/* Documents by what they are about; whatever is said twice is refused. */
#include "mt_conf_priv.h"

#include <stdio.h>
#include <string.h>

/* An object of this kind, namespace and name. */
struct named {
	const struct mt_meta *meta;
	struct named *next; /* another one of the same id */
};

static bool same_name(const struct mt_meta *a, const struct mt_meta *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->ns, b->ns) == 0 &&
	       strcmp(a->kind, b->kind) == 0;
}

/* Who has the name already; NULL: nobody, so it is its own from now on. */
static const struct mt_meta *take_name(
	struct mt_build *b, struct mt_idmap *names, const struct mt_meta *meta)
{
	uint64_t id = mt_id_of_name(meta);
	struct named *first = mt_idmap_get(names, id), *n;

	for (n = first; n; n = n->next)
		if (same_name(n->meta, meta))
			return n->meta;
	n = mt_region_alloc(&b->tmp, sizeof(*n));
	if (n)
		*n = (struct named){meta, first};
	if (!n || mt_idmap_put(names, id, n))
		b->tmp.failed = true;
	return NULL;
}

/* The same kind, namespace and name twice. */
static void check_names(struct mt_build *b, const struct mt_objs *objs, struct mt_idmap *names)
{
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_meta *meta = objs->v[i], *first = take_name(b, names, meta);

		if (first)
			mt_b_error(b, meta, meta->origin.line, "metadata.name",
				"give it another name, or remove one",
				"%s \"%s\" is already at %s:%u", meta->kind, meta->name,
				first->origin.file, first->origin.line);
	}
}

/* Hosts first: all other documents are found by theirs. */
void mt_b_index(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const struct mt_objs *const all[] = {&m->service_entries, &m->workload_entries,
		&m->destination_rules, &m->virtual_services, &m->meta_routers, &m->app_protocols,
		&m->gateways, &m->envoy_filters};
	struct mt_idmap names = {0};
	uint32_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		n += all[i]->n;
	if (mt_idmap_reserve(&names, n))
		b->tmp.failed = true;
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		check_names(b, all[i], &names);
	mt_idmap_fini(&names);
	mt_b_index_hosts(b);
	mt_b_index_rules(b);
}
