/* SPDX-License-Identifier: Apache-2.0 */
/* Names of attributes, and what is selected from values. */
#include "mt_cel_parse.h"

#include <stdio.h>
#include <string.h>

/* Copies the text of a constant name, so that an evaluation does not need the expression. */
static int key_const(struct mt_cel_parser *p, const struct mt_cel_token *t, uint32_t *i)
{
	struct mt_cel *cel = p->cel;
	struct mt_cel_value v = mt_cel_text((struct mt_slice){cel->texts + cel->n_texts, t->len});

	memcpy(cel->texts + cel->n_texts, p->text + t->at, t->len);
	cel->n_texts = (uint16_t)(cel->n_texts + t->len);
	return mt_cel_add_const(p, t->at, &v, i);
}

enum found { FOUND_NOTHING, FOUND_START, FOUND_ALL };

/* Finds the attribute of this name, or one with a longer name that continues after a dot. */
static enum found find(const struct mt_cel_attributes *a, const char *name, size_t len, uint32_t *i)
{
	enum found found = FOUND_NOTHING;

	for (uint32_t k = 0; k < a->n; k++) {
		if (strncmp(a->of[k].name, name, len) != 0)
			continue;
		if (a->of[k].name[len] == '\0') {
			*i = k;
			return FOUND_ALL;
		}
		if (a->of[k].name[len] == '.')
			found = FOUND_START;
	}
	return found;
}

/* Writes the attributes that start like this name, or all. */
static void list_names(const struct mt_cel_attributes *a, const char *name, char *to, size_t size)
{
	size_t start = strcspn(name, "."), n = 0;
	bool any = false;

	for (uint32_t k = 0; k < a->n; k++)
		any |= strncmp(a->of[k].name, name, start) == 0 && a->of[k].name[start] == '.';
	to[0] = '\0';
	for (uint32_t k = 0; k < a->n && n < size; k++)
		if (!any ||
			(strncmp(a->of[k].name, name, start) == 0 && a->of[k].name[start] == '.'))
			n += (size_t)snprintf(
				to + n, size - n, "%s%s", n ? ", " : "", a->of[k].name);
}

static int unknown(struct mt_cel_parser *p, uint32_t at, const char *name)
{
	char names[160];

	list_names(p->attributes, name, names, sizeof(names));
	return mt_cel_fail(
		p, at, "`%.60s` is not an attribute here; attributes are %s", name, names);
}

/* Appends `.name` or `["name"]`. -ENOENT: neither follows. */
static int next_name(struct mt_cel_parser *p, char *name, size_t size, size_t *len)
{
	struct mt_cel_token t = p->next;
	uint32_t from, n;
	int rc = 0;

	if (mt_cel_is(p, ".") && p->next.kind == MT_CEL_T_NAME) {
		rc = mt_cel_advance(p);
		from = t.at;
		n = t.len;
		p->is_select = true;
	} else if (mt_cel_is(p, "[") && p->next.kind == MT_CEL_T_TEXT && p->next.len >= 2 &&
		   (p->text[t.at] == '"' || p->text[t.at] == '\'')) {
		rc = mt_cel_advance(p);
		if (rc == 0)
			rc = mt_cel_advance(p);
		if (rc == 0 && !mt_cel_is(p, "]"))
			return mt_cel_fail(p, p->now.at, "`]` is missing after a name");
		from = t.at + 1;
		n = t.len - 2;
		p->is_select = false;
	} else {
		return -ENOENT;
	}
	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc)
		return rc;
	if (*len + n + 2 > size)
		return mt_cel_fail(p, t.at, "the name is longer than any attribute's");
	*len += (size_t)snprintf(name + *len, size - *len, ".%.*s", (int)n, p->text + from);
	return 0;
}

int mt_cel_attribute(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	uint32_t at = p->now.at, i = 0;
	char name[128] = "";
	size_t len = p->now.len;
	enum found found;
	int rc;

	if (len >= sizeof(name))
		return mt_cel_fail(p, at, "the name is longer than any attribute's");
	memcpy(name, p->text + at, len);
	rc = mt_cel_advance(p);
	while (rc == 0 && (found = find(p->attributes, name, len, &i)) != FOUND_ALL) {
		if (found == FOUND_NOTHING)
			return unknown(p, at, name);
		rc = next_name(p, name, sizeof(name), &len);
		name[len] = '\0';
	}
	if (rc == -ENOENT)
		return unknown(p, at, name);
	if (rc)
		return rc;
	*t = (struct mt_cel_static){.base = (uint8_t)p->attributes->of[i].type,
		.of = (uint8_t)p->attributes->of[i].of,
		.depth = p->attributes->of[i].type == MT_CEL_LIST};
	return mt_cel_emit(p, MT_CEL_OP_ATTR, at, 0, i);
}

/* `.name` of a map. */
static int select_name(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	struct mt_cel_token name = p->now;
	char type[40];
	uint32_t i = 0;
	int rc;

	if (t->base != MT_CEL_MAP && t->base != MT_CEL_DYN)
		return mt_cel_fail(p, name.at, "%s has no member `%.*s`; only maps have members",
			mt_cel_static_str(*t, type, sizeof(type)), (int)MT_MIN(name.len, 40u),
			p->text + name.at);
	rc = key_const(p, &name, &i);
	if (rc == 0)
		rc = mt_cel_emit(p, MT_CEL_OP_KEY, name.at, 0, i);
	*t = mt_cel_element(*t);
	p->is_select = true;
	return rc ? rc : mt_cel_advance(p);
}

static int index_of(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	struct mt_cel_static args[2] = {*t};
	uint32_t at = p->now.at;
	int rc = mt_cel_advance(p);

	if (rc == 0)
		rc = mt_cel_expr(p, &args[1]);
	if (rc == 0)
		rc = mt_cel_expect(p, "]", "after an index");
	if (rc == 0)
		rc = mt_cel_apply(p, MT_CEL_OP_INDEX, at, args, 2, t);
	p->is_select = false;
	return rc;
}

int mt_cel_select(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	int rc;

	if (mt_cel_is(p, "["))
		return index_of(p, t);
	rc = mt_cel_advance(p);
	if (rc)
		return rc;
	if (p->now.kind != MT_CEL_T_NAME)
		return mt_cel_fail(p, p->now.at,
			"a name is missing after `.`; write m[\"key\"] for other keys");
	if (p->next.kind == MT_CEL_T_SIGN && p->text[p->next.at] == '(')
		return mt_cel_member_call(p, t);
	return select_name(p, t);
}
