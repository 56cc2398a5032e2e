/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for services that write none: 240.240.<n / 255>.<n % 255>, as the ecosystem gives them. A
 * host keeps its address over restarts by STATE/vips.json.
 */
#include "mt_conf_priv.h"

#include "mt_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "vips.json"
#define FILE_MAX  (16u << 20)

static struct mt_addr addr_of(uint32_t n)
{
	return mt_addr4(htonl(0xf0f00000u | (n / 255) << 8 | n % 255));
}

/* 0: not one of these addresses. */
static uint32_t n_of(const struct mt_addr *a)
{
	uint32_t v = mt_addr_is4(a) ? ntohl(mt_addr_v4(a)) : 0;
	uint32_t n = (v >> 8 & 0xff) * 255 + (v & 0xff);

	return v >> 16 == 0xf0f0 && (v & 0xff) % 255 && n < MT_VIP_MAX ? n : 0;
}

static int init(struct mt_vips *v)
{
	if (v->by_n)
		return 0;
	v->by_n = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	v->next = 1;
	return v->by_n ? 0 : -ENOMEM;
}

void mt_vips_fini(struct mt_vips *v)
{
	mt_strmap_fini(&v->by_host);
	mt_region_fini(&v->region);
	free(v->by_n);
	*v = (struct mt_vips){0};
}

/* Both ways at once: by host for the service, by number for who is free. */
static int put(struct mt_vips *v, const char *host, uint32_t n)
{
	struct mt_vip *vip;

	if (!n || init(v) || v->by_n[n] || mt_strmap_get(&v->by_host, host))
		return -EINVAL;
	vip = mt_region_alloc(&v->region, sizeof(*vip));
	if (!vip)
		return -ENOMEM;
	vip->host = mt_region_strdup(&v->region, host);
	vip->n = n;
	if (!vip->host || mt_strmap_put(&v->by_host, vip->host, vip, NULL))
		return -ENOMEM;
	v->by_n[n] = vip;
	return 0;
}

int mt_vips_put(struct mt_vips *v, const char *host, const struct mt_addr *a)
{
	return put(v, host, n_of(a));
}

bool mt_vips_get(struct mt_vips *v, const char *host,
	bool (*taken)(void *arg, const struct mt_addr *a), void *arg, struct mt_addr *out)
{
	struct mt_vip *vip = mt_strmap_get(&v->by_host, host);

	if (init(v))
		return false;
	if (vip) {
		*out = addr_of(vip->n);
		/* Somebody else writes it in a document now: that one has it. */
		if (!taken(arg, out))
			return true;
		mt_strmap_del(&v->by_host, host);
		v->by_n[vip->n] = NULL;
		v->dirty = true;
	}
	for (uint32_t i = 0; i < MT_VIP_MAX; i++) {
		uint32_t n = (v->next + i) % MT_VIP_MAX;

		if (n % 255 == 0 || v->by_n[n])
			continue;
		*out = addr_of(n);
		if (taken(arg, out) || put(v, host, n))
			continue;
		v->next = n + 1;
		v->dirty = true;
		return true;
	}
	return false;
}

/* ---- the file: {"version": 1, "addresses": {"HOST": "240.240.0.1", ...}} ----------------------- */

static bool take(struct mt_vips *v, const char *host, json_t *value)
{
	const char *text = json_string_value(value);
	struct mt_addr a;

	return text && mt_addr_parse(text, &a) == 0 && mt_vips_put(v, host, &a) == 0;
}

static bool parse(struct mt_vips *v, const char *data, size_t len)
{
	json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL), *value;
	json_t *all = json_object_get(root, "addresses");
	bool ok = json_integer_value(json_object_get(root, "version")) == 1 && json_is_object(all);
	const char *host;

	json_object_foreach(all, host, value) ok = ok && take(v, host, value);
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

	mt_region_init(&v->region, 0);
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

/* NULL: no memory. */
static char *text_of(const struct mt_vips *v)
{
	json_t *all = json_object();
	json_t *root = json_pack("{s:i, s:O}", "version", 1, "addresses", all);
	int rc = all && root ? 0 : -1;
	char addr[MT_ADDR_STRLEN];
	char *text;

	for (uint32_t n = 0; rc == 0 && v->by_n && n < MT_VIP_MAX; n++) {
		struct mt_addr a = addr_of(n);

		if (v->by_n[n])
			rc = json_object_set_new(
				all, v->by_n[n]->host, json_string(mt_addr_str(&a, addr)));
	}
	text = rc == 0 ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(all);
	json_decref(root);
	return text;
}

int mt_vips_save(struct mt_vips *v, const char *state_dir, struct mt_err *err)
{
	char path[MT_CONF_PATH + 32];
	struct mt_err why;
	char *text;
	int rc;

	if (!v->dirty)
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
	v->dirty = false;
	return 0;
}
