/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a map by a table of fields (struct mt_section) and reports errors with the field's path. */
#include "mt_fields.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define REASONS "docs/reference/configuration.md has the reasons"

uint32_t mt_path_push(struct mt_fctx *c, const char *name)
{
	uint32_t len = c->path_len;
	int n = snprintf(c->path + len, sizeof(c->path) - len, "%s%s", len ? "." : "", name);

	c->path_len = (uint32_t)MT_MIN((size_t)len + (size_t)MT_MAX(n, 0), sizeof(c->path) - 1);
	return len;
}

uint32_t mt_path_push_index(struct mt_fctx *c, uint32_t index)
{
	uint32_t len = c->path_len;
	int n = snprintf(c->path + len, sizeof(c->path) - len, "[%u]", index);

	c->path_len = (uint32_t)MT_MIN((size_t)len + (size_t)MT_MAX(n, 0), sizeof(c->path) - 1);
	return len;
}

void mt_path_pop(struct mt_fctx *c, uint32_t len)
{
	c->path_len = len;
	c->path[len] = '\0';
}

/* Adds a diagnostic with the current object, file and path. */
static void report(struct mt_fctx *c, enum mt_diag_severity severity, uint32_t line,
	const char *remedy, const char *fmt, va_list ap)
{
	char text[512];

	const struct mt_meta about = {.origin = {c->file, line}, .serial = c->serial, .ns = c->ns};

	vsnprintf(text, sizeof(text), fmt, ap);
	mt_diag_object(c->diags, severity, &about, line, c->path, remedy, "%s", text);
}

void mt_f_error(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(c, MT_DIAG_ERROR, line, remedy, fmt, ap);
	va_end(ap);
}

void mt_f_warn(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(c, MT_DIAG_WARNING, line, remedy, fmt, ap);
	va_end(ap);
}

void mt_f_note(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(c, MT_DIAG_NOTE, line, remedy, fmt, ap);
	va_end(ap);
}

static bool want(
	struct mt_fctx *c, const struct mt_ynode *n, enum mt_ytype type, const char *wanted)
{
	if (n->type == type)
		return true;
	mt_f_error(c, n->line, NULL, "must be %s, is %s", wanted, mt_yaml_type_str(n));
	return false;
}

bool mt_want_scalar(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted)
{
	return want(c, n, MT_Y_SCALAR, wanted);
}

bool mt_want_map(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted)
{
	return want(c, n, MT_Y_MAP, wanted);
}

bool mt_want_list(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted)
{
	return want(c, n, MT_Y_SEQ, wanted);
}

/* True if the key is the row's name, or, in sections with `snake`, its form in snake_case. */
static bool same_name(const struct mt_section *s, const char *row, const char *key)
{
	if (strcmp(row, key) == 0)
		return true;
	if (!s->snake)
		return false;
	for (; *row; row++) {
		if (isupper((unsigned char)*row)) {
			if (*key++ != '_' || tolower((unsigned char)*row) != *key++)
				return false;
		} else if (*row != *key++) {
			return false;
		}
	}
	return *key == '\0';
}

/* A linear search, because tables are short and building a map would take longer. */
static const struct mt_field *find_field(const struct mt_section *s, const char *key)
{
	for (uint32_t i = 0; i < s->n_fields; i++)
		if (same_name(s, s->fields[i].name, key) ||
			(s->fields[i].was && strcmp(s->fields[i].was, key) == 0))
			return &s->fields[i];
	return NULL;
}

static void warn_if_renamed(struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n)
{
	char remedy[128];

	if (!f->was || strcmp(f->was, n->key) != 0)
		return;
	snprintf(remedy, sizeof(remedy), "write %s", f->name);
	mt_f_note(c, n->key_line, remedy, "renamed; the next version will reject the old name");
}

static void unknown_field(struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n)
{
	struct mt_suggest near = {.word = n->key};
	char remedy[128];

	for (uint32_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].type != MT_F_SKIP)
			mt_suggest_offer(&near, s->fields[i].name);
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %s?", near.best);
	else
		snprintf(remedy, sizeof(remedy), "a %s has no such field; remove it", s->what);
	mt_f_error(c, n->key_line, remedy, "unknown field");
}

/* Keeps items with errors in the list, because the whole document is then left out. */
static void read_list(
	struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n, void *obj)
{
	const struct mt_section *sub = f->sub;
	uint32_t i = 0;
	uint8_t *items;

	if (!mt_want_list(c, n, "a list"))
		return;
	items = mt_region_alloc(&c->model->region, (size_t)sub->size * n->n);
	if (!items)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next, i++) {
		uint32_t mark = mt_path_push_index(c, i);

		mt_section_read(c, sub, k, items + (size_t)sub->size * i);
		mt_path_pop(c, mark);
	}
	*(void **)((uint8_t *)obj + f->offset) = items;
	*(uint32_t *)((uint8_t *)obj + f->count) = i;
}

static void read_pointer(
	struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n, void *obj)
{
	void *sub = mt_region_alloc(&c->model->region, f->sub->size);

	if (!sub)
		return;
	mt_section_read(c, f->sub, n, sub);
	*(void **)((uint8_t *)obj + f->offset) = sub;
}

/* ---- fields without effect ------------------------------------------------------------------- */

static void ignore(struct mt_fctx *c, const struct mt_ynode *n, const char *words, bool counts)
{
	struct mt_ignored *i = c->ignored;
	int len;

	if (!i->n++) {
		i->line = n->key_line;
		i->words = words;
		memcpy(i->first, c->path, sizeof(i->first));
	}
	i->counts |= counts;
	len = snprintf(
		i->all + i->len, sizeof(i->all) - i->len, "%s%s", i->len ? ", " : "", c->path);
	if (i->n_all + 1 != i->n || (size_t)len >= sizeof(i->all) - i->len) {
		i->all[i->len] = '\0';
		return;
	}
	i->len += (uint32_t)len;
	i->n_all++;
}

void mt_ignored_tell(struct mt_fctx *c, const struct mt_ignored *i)
{
	enum mt_diag_severity severity = i->counts ? MT_DIAG_NOTE : MT_DIAG_FIELDS;
	const struct mt_meta about = {.origin = {c->file, i->line}, .serial = c->serial};

	if (!i->n)
		return;
	if (i->n == 1)
		mt_diag_object(c->diags, severity, &about, i->line, i->first, NULL, "%s: %s",
			i->counts ? "accepted, not enforced" : "without effect",
			i->words ? i->words : "");
	else if (i->n == i->n_all)
		mt_diag_object(c->diags, severity, &about, i->line, NULL, REASONS,
			"fields without effect: %s", i->all);
	else
		mt_diag_object(c->diags, severity, &about, i->line, NULL, REASONS,
			"fields without effect: %s, and %u more", i->all, i->n - i->n_all);
}

static void not_enforced(
	struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n, const char *instead)
{
	if (!f->harms && c->ignored)
		ignore(c, n, instead, true);
	else
		(f->harms ? mt_f_warn : mt_f_note)(
			c, n->key_line, NULL, "accepted, not enforced: %s", instead);
}

/* Reports a list with too many entries. */
static bool is_too_long(struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n)
{
	char remedy[64];

	if ((f->type != MT_F_LIST && f->type != MT_F_TEXTS) || !f->max || n->n <= f->max)
		return false;
	snprintf(remedy, sizeof(remedy), "write at most %u, or divide the document", f->max);
	mt_f_error(c, n->line, remedy, "has %u entries", n->n);
	return true;
}

/* Reports the first text of a list or map that is longer than `most`. */
static bool has_long_text(struct mt_fctx *c, const struct mt_ynode *n, size_t most)
{
	uint32_t i = 0;

	for (const struct mt_ynode *k = n->first; k; k = k->next, i++) {
		size_t key = n->type == MT_Y_MAP ? strlen(k->key) : 0;
		size_t text = k->type == MT_Y_SCALAR ? strlen(k->text) : 0;
		char remedy[64];
		uint32_t mark;

		if (text <= most && key <= MT_LABEL_KEY)
			continue;
		mark = n->type == MT_Y_MAP ? mt_path_push(c, k->key) : mt_path_push_index(c, i);
		snprintf(remedy, sizeof(remedy), "write at most %zu",
			text > most ? most : (size_t)MT_LABEL_KEY);
		mt_f_error(c, text > most ? k->line : k->key_line, remedy, "%s %zu bytes",
			text > most ? "has" : "its name has", text > most ? text : key);
		mt_path_pop(c, mark);
		return true;
	}
	return false;
}

/* Reports a text that is longer than the field permits. */
static bool is_long_text(struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n)
{
	char remedy[64];
	size_t len;

	if (f->type == MT_F_LABELS || f->type == MT_F_TEXTS)
		return (f->length || f->host) &&
		       has_long_text(c, n, f->length ? f->length : MT_HOST_TEXT);
	len = f->type == MT_F_TEXT && f->host && n->type == MT_Y_SCALAR ? strlen(n->text) : 0;
	if (len <= MT_HOST_TEXT)
		return false;
	snprintf(remedy, sizeof(remedy), "write at most %u", MT_HOST_TEXT);
	mt_f_error(c, n->line, remedy, "has %zu bytes", len);
	return true;
}

void mt_field_read(struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n, void *obj)
{
	void *at = (uint8_t *)obj + f->offset;

	if (is_too_long(c, f, n) || is_long_text(c, f, n))
		return;
	if (f->status == MT_S_LATER)
		not_enforced(c, f, n, f->instead);
	switch (f->type) {
	case MT_F_TEXT:
		(f->host ? mt_read_host : mt_read_text)(c, n, at);
		break;
	case MT_F_NUM:
		mt_read_num(c, n, f->min, f->max ? f->max : UINT32_MAX, at);
		break;
	case MT_F_DURATION:
		mt_read_duration(c, n, f->min, f->max ? f->max : UINT32_MAX, at);
		break;
	case MT_F_BOOL:
		mt_read_bool(c, n, at);
		break;
	case MT_F_WORD:
		mt_read_word(c, n, f->words, at);
		break;
	case MT_F_TEXTS:
		(f->host ? mt_read_hosts : mt_read_texts)(
			c, n, at, (uint32_t *)((uint8_t *)obj + f->count));
		break;
	case MT_F_LABELS:
		mt_read_labels(c, n, at);
		break;
	case MT_F_OBJECT:
		mt_section_read(c, f->sub, n, at);
		break;
	case MT_F_POINTER:
		read_pointer(c, f, n, obj);
		break;
	case MT_F_LIST:
		read_list(c, f, n, obj);
		break;
	case MT_F_CUSTOM:
		f->custom(c, n, obj);
		break;
	case MT_F_SKIP:
		if (c->ignored && !f->quiet)
			ignore(c, n, f->help, false);
		break;
	case MT_F_LATER:
		not_enforced(c, f, n, f->help);
		break;
	case MT_F_REFUSED:
		mt_f_error(c, n->key_line, "remove it", "%s", f->help);
		break;
	}
}

/* True if the value counts as not written: null, and an empty text where the field is a text. */
static bool is_absent(const struct mt_field *f, const struct mt_ynode *n)
{
	if (mt_yaml_is_null(n))
		return true;
	if (!mt_is_empty(n))
		return false;
	switch (f->type) {
	case MT_F_TEXT:
	case MT_F_SKIP:
	case MT_F_LATER:
	case MT_F_REFUSED:
		return true;
	case MT_F_WORD:
		return f->blank;
	case MT_F_CUSTOM:
		return f->required;
	default:
		return false;
	}
}

/* Reads one key of a map. A required field must have a value. */
static void read_entry(struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n,
	void *obj, uint32_t seen[])
{
	const struct mt_field *f = find_field(s, n->key);

	if (!f) {
		if (!s->unknown || !s->unknown(c, n, obj))
			unknown_field(c, s, n);
		return;
	}
	if (seen[f - s->fields]) {
		mt_f_error(c, n->key_line, "keep one of them", "written twice, first on line %u",
			seen[f - s->fields]);
		return;
	}
	seen[f - s->fields] = n->key_line;
	warn_if_renamed(c, f, n);
	if (!is_absent(f, n))
		mt_field_read(c, f, n, obj);
	else if (f->required)
		mt_f_error(c, n->line, f->help, "is empty");
}

static void missing_field(struct mt_fctx *c, const struct mt_section *s, const struct mt_field *f,
	const struct mt_ynode *n)
{
	char remedy[256];

	snprintf(remedy, sizeof(remedy), "add it: %s", f->help ? f->help : "it is required");
	mt_f_error(c, n->line, remedy, "the %s is missing its %s", s->what, f->name);
}

#define FIELDS_MAX 64

void mt_section_read(
	struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n, void *obj)
{
	uint32_t seen[FIELDS_MAX] = {0};
	struct mt_origin *origin = obj;

	MT_ASSERT(s->n_fields <= FIELDS_MAX);
	*origin = (struct mt_origin){c->file, n->line};
	if (!mt_want_map(c, n, "a map of fields"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		read_entry(c, s, k, obj, seen);
		mt_path_pop(c, mark);
	}
	for (uint32_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].required && !seen[i])
			missing_field(c, s, &s->fields[i], n);
	if (s->after)
		s->after(c, n, obj);
}
