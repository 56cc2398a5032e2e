/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/vips.json: {"version": 1, "addresses": {"HOST": "240.240.0.1", ...}, "gone": ["HOST", ...]}. `gone`, which the
 * first versions did not write, has those that are served no longer, who has gone longest first: an order, because
 * clocks are set.
 */
#include "mt_conf_priv.h"
#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "vips.json"
#define FILE_MAX  (64u << 20)

static bool read_addresses(struct mt_vips *v, json_t *addresses)
{
	const char *host;
	json_t *text;

	if (!json_is_object(addresses))
		return false;
	json_object_foreach(addresses, host, text)
	{
		struct mt_addr a;

		if (!json_is_string(text) || mt_addr_parse(json_string_value(text), &a) ||
			mt_vips_put(v, host, &a))
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
		if (!json_is_string(host))
			return false;
		mt_vips_left(v, json_string_value(host));
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
		return mt_err(err, rc, "%s cannot be read: %s (mend its permissions)", path,
			strerror(-rc));
	ok = parse(v, data, len);
	free(data);
	return ok ? 0
		  : mt_err(err, -EINVAL,
			    "%s is damaged (restore it, or remove it: services without an address "
			    "get new ones)",
			    path);
}

static json_t *gone_of(const struct mt_vips *v)
{
	struct mt_vip **list = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	json_t *gone = json_array();
	uint32_t n_list = 0;

	for (uint32_t n = 0; list && n < MT_VIP_MAX; n++)
		if (v->by_n[n] && v->by_n[n]->gone)
			list[n_list++] = v->by_n[n];
	if (n_list)
		qsort(list, n_list, sizeof(struct mt_vip *), mt_vip_by_gone);
	for (uint32_t i = 0; i < n_list; i++)
		json_array_append_new(gone, json_string(list[i]->host));
	free(list);
	return gone;
}

/* NULL: no memory. */
static char *text_of(const struct mt_vips *v)
{
	json_t *all = json_object();
	json_t *root =
		json_pack("{s:i, s:O, s:o}", "version", 1, "addresses", all, "gone", gone_of(v));
	int rc = all && root ? 0 : -1;
	char addr[MT_ADDR_STRLEN];
	char *text;

	for (uint32_t n = 0; rc == 0 && n < MT_VIP_MAX; n++) {
		struct mt_addr a;

		if (!v->by_n[n])
			continue;
		a = mt_vip_addr(v->by_n[n]);
		rc = json_object_set_new(all, v->by_n[n]->host, json_string(mt_addr_str(&a, addr)));
	}
	text = rc == 0 ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(all);
	json_decref(root);
	return text;
}

int mt_vips_save(const struct mt_vips *v, const char *state_dir, struct mt_err *err)
{
	char path[MT_CONF_PATH + 32];
	struct mt_err why;
	char *text;
	int rc;

	if (!v->by_n)
		return 0;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	text = text_of(v);
	rc = text ? mt_file_directory(state_dir, 0700, &why) : -ENOMEM;
	rc = rc ? rc : mt_file_replace(path, text, strlen(text), 0600, &why);
	free(text);
	if (rc)
		return mt_err(err, rc,
			"%s cannot be written: %s (make stateDirectory writable, or write "
			"addresses in the ServiceEntries)",
			path, strerror(-rc));
	return 0;
}
