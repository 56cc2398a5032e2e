/* SPDX-License-Identifier: Apache-2.0 */
/* Reads scalar values, labels and lists of texts. */
#include "mt_fields.h"
#include "mt_strmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 4096u

bool mt_is_empty(const struct mt_ynode *n)
{
	return n->type == MT_Y_SCALAR && (*n->text == '\0' || mt_yaml_is_null(n));
}

bool mt_read_text(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out)
{
	if (!mt_want_scalar(c, n, "a text") || mt_is_empty(n))
		return false;
	*out = (struct mt_text){n->text, n->line};
	return true;
}

/* Reports an empty item of a list, which is not the same as none. */
static bool is_item(struct mt_fctx *c, const struct mt_ynode *n)
{
	if (!mt_is_empty(n))
		return true;
	mt_f_error(c, n->line, "write a value or remove it", "is empty");
	return false;
}

bool mt_read_item(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out)
{
	return is_item(c, n) && mt_read_text(c, n, out);
}

/* Parses decimal digits only: no sign, blanks, octal or "1e3". 0, -EINVAL or -ERANGE. */
static int parse_u64(const char *s, uint64_t *v)
{
	*v = 0;
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (*v > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		*v = *v * 10 + (uint64_t)(*s - '0');
	}
	return 0;
}

/* Takes the text literally: 080 is 80, and 1e3 and 0x50 are errors. */
bool mt_read_num(
	struct mt_fctx *c, const struct mt_ynode *n, uint32_t min, uint32_t max, struct mt_num *out)
{
	char remedy[64];
	uint64_t v = 0;
	int rc;

	if (!mt_want_scalar(c, n, "a number"))
		return false;
	snprintf(remedy, sizeof(remedy), "write a whole number from %u to %u", min, max);
	rc = parse_u64(n->text, &v);
	if (rc == -EINVAL) {
		mt_f_error(c, n->line, remedy, "\"%.64s\" is not a number", n->text);
		return false;
	}
	if (rc || v < min || v > max) {
		mt_f_error(c, n->line, remedy, "%.64s is out of range", n->text);
		return false;
	}
	*out = (struct mt_num){(uint32_t)v, n->line, true};
	return true;
}

bool mt_read_decimal(
	struct mt_fctx *c, const struct mt_ynode *n, double least, double most, struct mt_num *out)
{
	char *end;
	double v;

	if (!mt_want_scalar(c, n, "a number"))
		return false;
	v = strtod(n->text, &end);
	if (end == n->text || *end || !(v >= least && v <= most)) {
		mt_f_error(c, n->line, NULL, "\"%.64s\" is not a number from %g to %g", n->text,
			least, most);
		return false;
	}
	*out = (struct mt_num){(uint32_t)(v * 100 + 0.5), n->line, true};
	return true;
}

bool mt_read_duration(struct mt_fctx *c, const struct mt_ynode *n, uint32_t min_ms, uint32_t max_ms,
	struct mt_num *out)
{
	uint64_t ms = 0;
	char most[40], least[40];
	int rc;

	if (!mt_want_scalar(c, n, "a duration"))
		return false;
	rc = mt_duration_parse(n->text, &ms);
	if (rc == -EINVAL) {
		mt_f_error(c, n->line, "write a number with its unit: 500ms, 10s, 1m, 1h30m",
			"\"%.64s\" is not a duration", n->text);
		return false;
	}
	if (!rc && ms < min_ms) {
		if (min_ms % 1000)
			snprintf(least, sizeof(least), "write at least %ums", min_ms);
		else
			snprintf(least, sizeof(least), "write at least %us", min_ms / 1000);
		mt_f_error(c, n->line, least, "%.64s is too short", n->text);
		return false;
	}
	if (rc || ms > max_ms) {
		snprintf(most, sizeof(most), "%uh at most", max_ms / 3600000);
		mt_f_error(c, n->line, most, "%.64s is too long", n->text);
		return false;
	}
	*out = (struct mt_num){(uint32_t)ms, n->line, true};
	return true;
}

/* Accepts the unquoted words of YAML 1.1, but not its one-letter forms. Quoted words are texts. */
bool mt_read_bool(struct mt_fctx *c, const struct mt_ynode *n, struct mt_num *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	if (!mt_want_scalar(c, n, "true or false"))
		return false;
	for (uint32_t i = 0; n->plain && i < MT_ARRAY_LEN(words); i++) {
		if (strcasecmp(words[i], n->text) != 0)
			continue;
		*out = (struct mt_num){i & 1, n->line, true};
		return true;
	}
	mt_f_error(c, n->line, n->plain ? "write true or false" : "write it without quotes",
		"\"%.64s\" is not true or false", n->text);
	return false;
}

bool mt_read_word(
	struct mt_fctx *c, const struct mt_ynode *n, const char *const *words, struct mt_num *out)
{
	struct mt_suggest near;
	char list[192] = "one of ";
	size_t len = strlen(list);

	if (!mt_want_scalar(c, n, "a word"))
		return false;
	near = (struct mt_suggest){.word = n->text};
	for (uint32_t i = 0; words[i]; i++) {
		if (strcmp(words[i], n->text) == 0) {
			*out = (struct mt_num){i, n->line, true};
			return true;
		}
		mt_suggest_offer(&near, words[i]);
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", i ? ", " : "", words[i]);
		if (len >= sizeof(list))
			len = sizeof(list) - 1;
	}
	if (near.best)
		snprintf(list, sizeof(list), "did you mean %s?", near.best);
	mt_f_error(c, n->line, list, "\"%.64s\" is not known here", n->text);
	return false;
}

/* Reads one entry of a map of texts; `seen` finds duplicate keys without a quadratic search. */
static bool read_label(
	struct mt_fctx *c, const struct mt_ynode *k, struct mt_strmap *seen, struct mt_labels *out)
{
	void *before = NULL;
	struct mt_kv *kv;

	if (!mt_want_scalar(c, k, "a text"))
		return false;
	mt_strmap_put(seen, k->key, (void *)k, &before);
	if (before) {
		mt_f_error(c, k->key_line, "keep one of them", "written twice, first on line %u",
			((const struct mt_ynode *)before)->key_line);
		return false;
	}
	kv = &out->kv[out->n_kv++];
	kv->key = k->key;
	/* Null is an empty text here, because labels often have no value. */
	kv->value = mt_yaml_is_null(k) ? "" : k->text;
	kv->origin = (struct mt_origin){c->file, k->line};
	return true;
}

bool mt_read_labels(struct mt_fctx *c, const struct mt_ynode *n, struct mt_labels *out)
{
	struct mt_strmap seen = {0};
	bool ok = true;

	if (!mt_want_map(c, n, "a map of names and texts"))
		return false;
	if (n->n > LABELS_MAX) {
		mt_f_error(c, n->line, "4,096 at most", "too many entries");
		return false;
	}
	out->kv = mt_region_alloc(&c->model->region, sizeof(*out->kv) * n->n);
	if (!out->kv)
		return false;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		ok = read_label(c, k, &seen, out) && ok;
		mt_path_pop(c, mark);
	}
	mt_strmap_fini(&seen);
	return ok;
}

bool mt_read_host(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out)
{
	size_t len;
	char *host;

	if (!mt_read_text(c, n, out))
		return false;
	host = mt_host_name(&c->model->region, out->s);
	if (!host)
		return false;
	len = strlen(host);
	/* Keep "h..", "*." and ".", which are not names, so that errors show them. */
	if (len >= 2 && host[len - 1] == '.' && !strchr(".*/", host[len - 2]))
		host[len - 1] = '\0';
	out->s = host;
	return true;
}

typedef bool read_one(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out);

static bool read_each(struct mt_fctx *c, const struct mt_ynode *n, read_one *read,
	struct mt_text **out, uint32_t *n_out)
{
	bool ok = true;
	uint32_t i = 0;

	if (!mt_want_list(c, n, "a list of texts"))
		return false;
	*out = mt_region_alloc(&c->model->region, sizeof(**out) * n->n);
	if (!*out)
		return false;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);

		if (is_item(c, k) && read(c, k, &(*out)[*n_out]))
			(*n_out)++;
		else
			ok = false;
		mt_path_pop(c, mark);
	}
	return ok;
}

bool mt_read_texts(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_text **out, uint32_t *n_out)
{
	return read_each(c, n, mt_read_text, out, n_out);
}

bool mt_read_hosts(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_text **out, uint32_t *n_out)
{
	return read_each(c, n, mt_read_host, out, n_out);
}
