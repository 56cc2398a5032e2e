/* SPDX-License-Identifier: Apache-2.0 */
/* Reads localityLbSetting of DestinationRules and of MeshConfig. */
#include "mt_fields.h"

#include <string.h>

#define PERCENT 100u

static void read_to(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_locality_distribute *d = obj;
	uint32_t sum = 0;

	if (!mt_want_map(c, n, "a map of localities and percents"))
		return;
	d->to = mt_region_alloc(&c->model->region, sizeof(*d->to) * n->n);
	for (const struct mt_ynode *k = n->first; k && d->to; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		struct mt_locality_to *to = &d->to[d->n_to];

		to->where.s = mt_region_strdup(&c->model->region, k->key);
		to->where.line = k->key_line;
		if (to->where.s && mt_read_num(c, k, 1, PERCENT, &to->percent)) {
			sum += to->percent.v;
			d->n_to++;
		}
		mt_path_pop(c, mark);
	}
	if (d->n_to == n->n && sum != PERCENT)
		mt_f_error(c, n->line, "make it 100", "the percents add up to %u", sum);
}

static const struct mt_field distribute_fields[] = {
	{"from", MT_F_TEXT, AT(struct mt_locality_distribute, from), .required = true,
		.help = "locality of the Node as region/zone/subzone, `*` for any; the first match "
			"is used"},
	{"to", MT_F_CUSTOM, .custom = read_to, .required = true,
		.help = "localities of endpoints in the same form, with percentages of the calls "
			"that total 100; endpoints elsewhere and those without a locality get "
			"none"},
};

static const struct mt_section distribute_section = {"distribute",
	sizeof(struct mt_locality_distribute), MT_ARRAY_LEN(distribute_fields),
	.fields = distribute_fields};

static const struct mt_field failover_fields[] = {
	{"from", MT_F_TEXT, AT(struct mt_locality_failover, from), .required = true,
		.help = "the Node's region"},
	{"to", MT_F_TEXT, AT(struct mt_locality_failover, to), .required = true,
		.help = "the region that is next, before all others"},
};

static void check_failover(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_locality_failover *f = obj;

	if (!f->from.s || !f->to.s)
		return;
	if (strcmp(f->from.s, f->to.s) == 0)
		mt_f_error(c, f->to.line, "write another region",
			"a region cannot take over from itself");
	else if (strpbrk(f->from.s, "/*") || strpbrk(f->to.s, "/*"))
		mt_f_error(c, n->line, "write a region's name",
			"only whole regions take over from each other");
}

static const struct mt_section failover_section = {"failover", sizeof(struct mt_locality_failover),
	MT_ARRAY_LEN(failover_fields), .fields = failover_fields, .after = check_failover};

static const struct mt_field locality_fields[] = {
	{"enabled", MT_F_BOOL, AT(struct mt_locality_policy, enabled),
		.help = "`false`: localities are equal. Default: true; with outlierDetection "
			"endpoints of the Node's subzone are used first, then of its zone, of its "
			"region, then others"},
	{"distribute", MT_F_LIST, AT_LIST(struct mt_locality_policy, distribute),
		.sub = &distribute_section, .help = "shares of localities, instead of an order"},
	{"failover", MT_F_LIST, AT_LIST(struct mt_locality_policy, failover),
		.sub = &failover_section, .help = "the order of other regions"},
	{"failoverPriority", MT_F_TEXTS, AT_LIST(struct mt_locality_policy, labels),
		.help = "labels, NAME or NAME=VALUE: endpoints that match more of them in "
			"sequence, by the Node's value or that value, are used first"},
};

static void check_locality(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_locality_policy *p = obj;

	if (p->n_distribute && p->n_failover)
		mt_f_error(c, n->line, "keep one of them",
			"distribute and failover exclude each other");
}

const struct mt_section mt_sec_locality = {"localityLbSetting", sizeof(struct mt_locality_policy),
	MT_ARRAY_LEN(locality_fields), .fields = locality_fields, .after = check_locality};
