/* SPDX-License-Identifier: Apache-2.0 */
/* Reads conditions: a map of places to what must be there. */
#include "file.h"

static void add_range(struct mt_fctx *c, struct cf_test *t, uint64_t lo, uint64_t hi, uint32_t line)
{
	if (t->n == CF_RANGES) {
		mt_f_error(c, line, "write 16 at most", "too many values");
		return;
	}
	t->range[t->n].lo = lo;
	t->range[t->n++].hi = hi;
}

/* A value: its text is kept too, because only resolve.c knows the place's type. */
static void read_value(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_test *t = obj;
	struct cf_num num = {0};
	struct mt_text text = {0};
	uint32_t errors = c->diags->errors;
	uint32_t at = t->n;

	/* Quoted values are texts, also an empty one. */
	if (n->type == MT_Y_SCALAR && !n->plain && !*n->text)
		text.s = "";
	else if (!mt_read_item(c, n, &text))
		return;
	if (!n->plain || !((text.s[0] >= '0' && text.s[0] <= '9') || text.s[0] == '-')) {
		add_range(c, t, 1, 0, n->line);
	} else {
		if (!cf_read_number(c, n, &num))
			return;
		add_range(c, t, num.v, num.v, n->line);
	}
	if (c->diags->errors == errors)
		t->texts[at] = text.s;
}

static void read_values(struct mt_fctx *c, const struct mt_ynode *n, struct cf_test *t)
{
	if (n->type == MT_Y_MAP) {
		mt_f_error(c, n->line, "write a number or a text, or several as a list",
			"must be a value or a list of values, is a map");
		return;
	}
	if (n->type == MT_Y_SEQ && n->n == 0) {
		mt_f_error(c, n->line, "write a value, or remove the condition",
			"it is compared with nothing");
		return;
	}
	/* One mistake for the list instead of one for each further value. */
	if (n->type == MT_Y_SEQ && n->n > CF_RANGES) {
		mt_f_error(c, n->line, "write 16 at most", "too many values");
		return;
	}
	cf_read_each(c, n, read_value, t);
}

struct conditions {
	struct mt_origin origin;
	struct cf_test *test;
	struct cf_num min, max, mask;
	struct mt_num present;
	bool is, not, same;
};

static void read_is(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct conditions *k = obj;

	k->is = true;
	read_values(c, n, k->test);
}

static void read_not(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct conditions *k = obj;

	k->not = k->test->negate = true;
	read_values(c, n, k->test);
}

static void read_same(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct conditions *k = obj;

	k->same = true;
	cf_read_ref(c, n, &k->test->same);
}

#define NUMBER_FIELD(member)                                                                       \
	static void read_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)          \
	{                                                                                          \
		cf_read_number(c, n, &((struct conditions *)obj)->member);                         \
	}
NUMBER_FIELD(min)
NUMBER_FIELD(max)
NUMBER_FIELD(mask)

static const struct mt_field fields[] = {
	{"is", MT_F_CUSTOM, .custom = read_is},
	{"not", MT_F_CUSTOM, .custom = read_not},
	{"min", MT_F_CUSTOM, .custom = read_min},
	{"max", MT_F_CUSTOM, .custom = read_max},
	{"mask", MT_F_CUSTOM, .custom = read_mask},
	{"same", MT_F_CUSTOM, .custom = read_same},
	{"present", MT_F_BOOL, AT(struct conditions, present)},
};
static const struct mt_section section = {.what = "condition",
	.size = sizeof(struct conditions),
	.n_fields = MT_ARRAY_LEN(fields),
	.fields = fields};

static void read_conditions(struct mt_fctx *c, const struct mt_ynode *n, struct cf_test *t)
{
	struct conditions k = {.test = t};
	bool range;

	t->mask = UINT64_MAX;
	if (n->type != MT_Y_MAP) {
		read_values(c, n, t);
		return;
	}
	mt_section_read(c, &section, n, &k);
	range = k.min.set || k.max.set;
	if (k.is + k.not +k.same + range + k.present.set != 1) {
		mt_f_error(c, n->line, "write one of is, not, min with max, same, and present",
			"a condition compares in one way");
		return;
	}
	t->min = k.min;
	t->max = k.max;
	t->n += range;
	t->present = k.present;
	if (k.mask.set)
		t->mask = k.mask.v;
}

void cf_read_when(struct mt_fctx *c, const struct mt_ynode *n, struct cf_when *out)
{
	struct cf_test **last = &out->first;

	out->line = n->line;
	if (!mt_want_map(c, n, "a map of places to conditions"))
		return;
	if (n->n > CF_TESTS) {
		mt_f_error(c, n->line, "write 16 at most", "too many conditions");
		return;
	}
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct cf_test *t = mt_region_alloc(&c->model->region, sizeof(*t));
		uint32_t mark = mt_path_push(c, k->key);

		if (!t)
			return;
		t->ref = (struct cf_ref){.name = k->key,
			.line = k->key_line,
			.path = mt_region_strdup(&c->model->region, c->path)};
		read_conditions(c, k, t);
		*last = t;
		last = &t->next;
		out->n++;
		mt_path_pop(c, mark);
	}
}
