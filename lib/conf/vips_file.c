/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/vips.json: {"version": 1, "addresses": {"HOST": "240.240.0.1", ...}, "gone": ["HOST", ...]}. `gone`, which the
 * first versions did not write, has those that are served no longer, who has gone longest first: an order, because
 * clocks are set.
 */
#include "mt_conf_priv.h"
#include "mt_file.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "vips.json"
#define FILE_MAX  (64u << 20)

/* What hosts are made of, as a rule. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*"

/* Files of earlier versions may have hosts with capitals. NULL: no memory; free() it. */
static char *host_of(const char *name)
{
	char *host = strdup(name);

	if (host)
		mt_host_fold(host);
	return host;
}

/* If the file has a host in several forms, the first keeps its address; the others become free. */
static bool read_address(struct mt_vips *v, const char *name, const json_t *text)
{
	char *host = host_of(name);
	struct mt_addr a;
	bool ok;

	ok = host && json_is_string(text) && mt_addr_parse(json_string_value(text), &a) == 0 &&
	     ((strcmp(host, name) != 0 && mt_strmap_get(&v->by_host, host)) ||
		     mt_vips_put(v, host, &a) == 0);
	free(host);
	return ok;
}

static bool read_addresses(struct mt_vips *v, json_t *addresses)
{
	const char *host;
	json_t *text;

	if (!json_is_object(addresses))
		return false;
	json_object_foreach(addresses, host, text)
	{
		if (!read_address(v, host, text))
			return false;
	}
	return true;
}

static bool read_gone(struct mt_vips *v, json_t *gone)
{
	json_t *host;
	size_t i;

	if (gone && !json_is_array(gone))
		return false;
	json_array_foreach(gone, i, host)
	{
		char *name = json_is_string(host) ? host_of(json_string_value(host)) : NULL;

		if (!name)
			return false;
		mt_vips_left(v, name);
		free(name);
	}
	return true;
}

static bool parse(struct mt_vips *v, const char *data, size_t len)
{
	json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	bool ok = json_integer_value(json_object_get(root, "version")) == 1 &&
		  read_addresses(v, json_object_get(root, "addresses")) &&
		  read_gone(v, json_object_get(root, "gone"));

	json_decref(root);
	return ok;
}

int mt_vips_load(struct mt_vips *v, const char *state_dir, bool read_only, struct mt_err *err)
{
	char path[MT_CONF_PATH + 32];
	struct mt_err why;
	char *data;
	size_t len;
	bool ok;
	int rc;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	rc = mt_file_read(path, FILE_MAX, O_NOFOLLOW, &data, &len, &why);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	/* A check by somebody else than the daemon's user does without what it may not see. */
	if (rc && read_only)
		return 0;
	if (rc)
		return mt_err(err, rc, "%s cannot be read: %s (fix its permissions)", path,
			strerror(-rc));
	ok = parse(v, data, len);
	free(data);
	return ok ? 0
		  : mt_err(err, -EINVAL,
			    "%s is damaged (restore it, or remove it: services without an address "
			    "get new ones)",
			    path);
}

/* A JSON string. */
static void put_host(FILE *f, const char *host)
{
	char *text;
	json_t *j;

	if (!host[strspn(host, PLAIN)]) {
		fprintf(f, "\"%s\"", host);
		return;
	}
	j = json_string(host);
	text = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
	fputs(text ? text : "\"\"", f);
	free(text);
	json_decref(j);
}

static void put_gone(const struct mt_vips *v, FILE *f)
{
	struct mt_vip **list = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	uint32_t n_list = 0;

	for (uint32_t n = 0; list && v->by_n && n < MT_VIP_MAX; n++)
		if (v->by_n[n] && v->by_n[n]->gone)
			list[n_list++] = v->by_n[n];
	if (n_list)
		qsort(list, n_list, sizeof(struct mt_vip *), mt_vip_by_gone);
	for (uint32_t i = 0; i < n_list; i++) {
		fputs(i ? ",\n  " : "\n  ", f);
		put_host(f, list[i]->host);
	}
	free(list);
}

/* By hand: tens of thousands of hosts are written while others wait for the control thread. */
static void put_all(const struct mt_vips *v, FILE *f)
{
	const char *sep = "\n  ";
	char addr[MT_ADDR_STRLEN];

	fputs("{\n \"version\": 1,\n \"addresses\": {", f);
	for (uint32_t n = 0; v->by_n && n < MT_VIP_MAX; n++) {
		struct mt_addr a;

		if (!v->by_n[n])
			continue;
		a = mt_vip_addr(v->by_n[n]);
		fputs(sep, f);
		put_host(f, v->by_n[n]->host);
		fprintf(f, ": \"%s\"", mt_addr_str(&a, addr));
		sep = ",\n  ";
	}
	fputs("\n },\n \"gone\": [", f);
	put_gone(v, f);
	fputs("\n ]\n}\n", f);
}

char *mt_vips_text(const struct mt_vips *v, uint64_t *hash)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	put_all(v, f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	*hash = mt_secret_hash(text, len, 0) | 1;
	return text;
}

static void written(void *arg, int rc, const struct mt_err *e)
{
	struct mt_vips *v = arg;
	struct mt_vips_disk *d = &v->disk;

	d->writing = false;
	d->has = rc ? 0 : d->wanted;
	d->rc = rc;
	if (!rc)
		return;
	v->late = true;
	(void)mt_err(&d->why, rc,
		"addresses of services cannot be kept: %s (make stateDirectory writable, or write "
		"addresses in the ServiceEntries)",
		e->text);
}

void mt_vips_write(struct mt_vips *v, const char *state_dir, char *text, uint64_t hash)
{
	char path[MT_CONF_PATH + 32];

	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	v->disk.wanted = hash;
	v->disk.has = 0;
	v->disk.rc = 0;
	v->disk.writing = true;
	mt_service_replace(v->disk.service, path, text, text ? strlen(text) : 0, 0600, written, v);
}
