/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits by key: the rules, and the keys that they refuse most often. */
#include "mt_ctl_priv.h"

#include "mt_filter_keyed.h"

#include <string.h>

#define HOTTEST 100u

struct rules {
	struct mt_region region;
	struct mt_keyed_limit_info *v;
	uint32_t n;
};

static void add_service(struct rules *to, const struct mt_service *s)
{
	struct mt_keyed_limit_info info, *slot;

	for (uint32_t i = 0; i < s->n_filter_insts; i++) {
		const struct mt_filter_inst *f = &s->filter_insts[i];

		for (uint32_t k = 0; f->type == &mt_filter_keyed_ratelimit &&
				     mt_keyed_limit_at(f->conf, k, &info);
			k++) {
			slot = mt_region_push(&to->region, (void **)&to->v, &to->n, sizeof(*slot));
			if (slot)
				*slot = info;
		}
	}
}

static int by_name(const void *a, const void *b)
{
	const struct mt_keyed_limit_info *x = a, *y = b;
	int order = strcmp(x->of.name, y->of.name);

	if (order)
		return order;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static void add_rule(json_t *list, const struct mt_keyed_limit_info *i)
{
	mt_json_add(list, MT_M("rule", i->of.name), MT_M("by", *i->kind ? i->kind : "none"),
		MT_M("max", i->of.numbers.max_tokens),
		MT_M("fill_ms", i->of.numbers.fill_ns / MT_MSEC), MT_M("admitted", i->of.admitted),
		MT_M("refused", i->report_only ? 0 : i->of.refused),
		MT_M("would_refuse", i->report_only ? i->of.refused : 0),
		MT_M("overflowed", i->of.overflowed),
		MT_M("mode", i->report_only ? "report only" : "enforced"));
}

json_t *mt_rows_limits_by_key(struct mt_ctl *c)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();
	struct rules all = {.n = 0};

	mt_region_init(&all.region, 0);
	for (uint32_t i = 0; snap && i < snap->n_services; i++)
		add_service(&all, snap->services[i]);
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_name);
	/* Ports of a service have the rules of its policy together. */
	for (uint32_t i = 0; i < all.n; i++)
		if (i == 0 || all.v[i].rule != all.v[i - 1].rule)
			add_rule(list, &all.v[i]);
	mt_region_fini(&all.region);
	if (json_array_size(list))
		return list;
	json_decref(list);
	return json_null();
}

json_t *mt_show_limits_top(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_limit_registry *reg = c->env.conf ? mt_conf_limits(c->env.conf) : NULL;
	const struct mt_keyed *t = reg ? mt_limit_keyed(reg, 0) : NULL;
	struct mt_keyed_hot *hot = calloc(HOTTEST, sizeof(*hot));
	uint32_t n = t && hot ? mt_keyed_hottest(t, c->now, hot, HOTTEST) : 0;
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		mt_json_add(list, MT_M("rule", hot[i].rule),
			MT_M("key", mt_json_bytes(hot[i].name, hot[i].len)),
			MT_M("shown", hot[i].hidden ? "digest" : "key"),
			MT_M("refused", hot[i].refused), MT_M("error", hot[i].error),
			MT_M("last_ms", (c->now - MT_MIN(hot[i].last, c->now)) / MT_MSEC));
	free(hot);
	return mt_json_object(MT_M("places", t ? mt_keyed_places(t) : 0),
		MT_M("used", t ? mt_keyed_used(t) : 0), MT_M("top", list));
}
