/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/served.json: {"version": 1, "hosts": [{"host": "a.example", "source": "documents", "where": "/etc/meltemi/a.yaml"},
 * ...], "without": ["mesh", ...]}.
 */
#include "mt_served.h"

#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "served.json"
#define FILE_MAX  (64u << 20)

int mt_served_add(struct mt_served *l, const char *host, const char *source, const char *where)
{
	struct mt_served_host *h = mt_region_push(&l->region, (void **)&l->v, &l->n, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->host = mt_region_strdup(&l->region, host);
	h->source = mt_region_strdup(&l->region, source);
	h->where = mt_region_strdup(&l->region, where);
	if (h->host && h->source && h->where)
		return 0;
	l->n--;
	return -ENOMEM;
}

int mt_served_add_without(struct mt_served *l, const char *source)
{
	const char **s =
		mt_region_push(&l->region, (void **)&l->without, &l->n_without, sizeof(*s));

	if (s)
		*s = mt_region_strdup(&l->region, source);
	if (s && *s)
		return 0;
	l->n_without -= s != NULL;
	return -ENOMEM;
}

static int by_words(const void *x, const void *y)
{
	const struct mt_served_host *a = x, *b = y;
	int d = strcmp(a->source, b->source);

	if (d == 0)
		d = strcmp(a->host, b->host);
	return d ? d : strcmp(a->where, b->where);
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

void mt_served_tidy(struct mt_served *l)
{
	uint32_t n = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_words);
	for (uint32_t i = 0; i < l->n; i++)
		if (n == 0 || by_words(&l->v[n - 1], &l->v[i]) != 0)
			l->v[n++] = l->v[i];
	l->n = n;
	if (l->n_without)
		qsort(l->without, l->n_without, sizeof(*l->without), by_text);
}

bool mt_served_equal(const struct mt_served *a, const struct mt_served *b)
{
	if (a->n != b->n || a->n_without != b->n_without)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (by_words(&a->v[i], &b->v[i]) != 0)
			return false;
	for (uint32_t i = 0; i < a->n_without; i++)
		if (strcmp(a->without[i], b->without[i]) != 0)
			return false;
	return true;
}

void mt_served_fini(struct mt_served *l)
{
	mt_region_fini(&l->region);
	*l = (struct mt_served){0};
}

/* ---- the file ---------------------------------------------------------------------------------- */

static bool read_hosts(struct mt_served *l, json_t *hosts)
{
	json_t *h;
	size_t i;

	if (!json_is_array(hosts))
		return false;
	json_array_foreach(hosts, i, h)
	{
		const char *host, *source, *where;

		if (json_unpack(h, "{s:s, s:s, s:s}", "host", &host, "source", &source, "where",
			    &where) ||
			mt_served_add(l, host, source, where))
			return false;
	}
	return true;
}

static bool read_without(struct mt_served *l, json_t *without)
{
	json_t *s;
	size_t i;

	if (!json_is_array(without))
		return false;
	json_array_foreach(without, i, s)
	{
		if (!json_is_string(s) || mt_served_add_without(l, json_string_value(s)))
			return false;
	}
	return true;
}

int mt_served_load(struct mt_served *l, const char *state_dir, struct mt_err *err)
{
	char path[PATH_MAX];
	json_t *root;
	char *data;
	size_t len;
	bool ok;
	int rc;

	*l = (struct mt_served){0};
	mt_region_init(&l->region, 0);
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	rc = mt_file_read(path, FILE_MAX, O_NOFOLLOW, &data, &len, err);
	if (rc)
		return rc == -ENOTDIR ? -ENOENT : rc;
	root = json_loadb(data, len, 0, NULL);
	free(data);
	ok = json_integer_value(json_object_get(root, "version")) == 1 &&
	     read_hosts(l, json_object_get(root, "hosts")) &&
	     read_without(l, json_object_get(root, "without"));
	json_decref(root);
	if (!ok) {
		mt_served_fini(l);
		return mt_err(err, -EINVAL, "%s/" FILE_NAME " is damaged", state_dir);
	}
	mt_served_tidy(l);
	return 0;
}

/* NULL: no memory. */
static char *text_of(const struct mt_served *l)
{
	json_t *hosts = json_array(), *without = json_array();
	json_t *root =
		json_pack("{s:i, s:O, s:O}", "version", 1, "hosts", hosts, "without", without);
	char *text;
	int rc = root ? 0 : -1;

	for (uint32_t i = 0; i < l->n && rc == 0; i++)
		rc = json_array_append_new(
			hosts, json_pack("{s:s, s:s, s:s}", "host", l->v[i].host, "source",
				       l->v[i].source, "where", l->v[i].where));
	for (uint32_t i = 0; i < l->n_without && rc == 0; i++)
		rc = json_array_append_new(without, json_string(l->without[i]));
	text = rc == 0 ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(hosts);
	json_decref(without);
	json_decref(root);
	return text;
}

void mt_served_save(const struct mt_served *l, const char *state_dir, struct mt_service *s,
	mt_replaced_fn *fn, void *arg)
{
	char path[PATH_MAX];
	char *text = text_of(l);

	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	mt_service_replace(s, path, text, text ? strlen(text) : 0, 0600, fn, arg);
}
