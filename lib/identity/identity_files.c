/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_identity.h"

#include "mt_cert.h"
#include "mt_credential.h"
#include "mt_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1

struct field {
	const char *name;
	size_t offset, size;
	bool required;
};

#define FIELD(name, required)                                                                      \
	{                                                                                          \
#name, offsetof(struct mt_identity_conf, name),                                    \
			sizeof(((struct mt_identity_conf *)0)->name), required                     \
	}

static const struct field fields[] = {
	FIELD(ca, true), FIELD(server_name, true), FIELD(uri, true), FIELD(cluster_id, false)};

/* Reads the lifetime that `meltemi join` was given, if any; renewals request the same. */
static int read_ttl(const json_t *o, uint32_t *ttl, struct mt_err *e)
{
	const json_t *v = json_object_get(o, "ttl_s");
	json_int_t n = json_integer_value(v);

	if (!v)
		return 0;
	if (n < MT_IDENTITY_TTL_MIN_S || n > MT_IDENTITY_TTL_MAX_S)
		return mt_err(e, -EINVAL, "ttl_s: it is not between %d and %d",
			MT_IDENTITY_TTL_MIN_S, MT_IDENTITY_TTL_MAX_S);
	*ttl = (uint32_t)n;
	return 0;
}

static int read_fields(const json_t *o, struct mt_identity_conf *out, struct mt_err *e)
{
	*out = (struct mt_identity_conf){0};
	if (json_integer_value(json_object_get(o, "version")) != VERSION)
		return mt_err(e, -EINVAL, "version: it is not %d", VERSION);
	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];
		const char *s = json_string_value(json_object_get(o, f->name));

		if ((!s || !*s) && f->required)
			return mt_err(e, -EINVAL, "%s: it is not there", f->name);
		if (s && strlen(s) >= f->size)
			return mt_err(e, -EINVAL, "%s: it is too long", f->name);
		if (s)
			strcpy((char *)out + f->offset, s);
	}
	return read_ttl(o, &out->ttl_s, e);
}

int mt_identity_conf_read(const char *path, struct mt_identity_conf *out, struct mt_err *e)
{
	struct mt_err why;
	char *text;
	size_t len;
	json_t *o;
	int rc = mt_file_read(path, MT_FILE_SMALL, 0, &text, &len, e);

	if (rc)
		return rc;
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	rc = json_is_object(o) ? read_fields(o, out, &why)
			       : mt_err(&why, -EINVAL, "it is not a JSON object");
	json_decref(o);
	return rc ? mt_err(e, rc, "%s: %s", path, why.text) : 0;
}

int mt_identity_conf_write(const char *path, const struct mt_identity_conf *c, struct mt_err *e)
{
	json_t *o = json_pack("{s:i}", "version", VERSION);
	char *text;
	int rc;

	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++)
		(void)json_object_set_new(
			o, fields[i].name, json_string((const char *)c + fields[i].offset));
	if (c->ttl_s)
		(void)json_object_set_new(o, "ttl_s", json_integer(c->ttl_s));
	text = json_dumps(o, JSON_INDENT(2));
	json_decref(o);
	rc = text ? mt_file_replace(path, text, strlen(text), 0600, e)
		  : mt_err(e, -ENOMEM, "no memory");
	free(text);
	return rc;
}

static char *read_beside(const char *dir, const char *name, bool secret, struct mt_err *e)
{
	char *path, *text = NULL;
	size_t len;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		(void)mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	if (secret ? mt_file_read_secret(path, &text, &len, e)
		   : mt_file_read(path, MT_FILE_SMALL, 0, &text, &len, e))
		text = NULL;
	free(path);
	return text;
}

struct mt_credential *mt_identity_peek(const char *dir, struct mt_err *e)
{
	char *both = read_beside(dir, MT_IDENTITY_FILE, true, e);
	char *roots = both ? read_beside(dir, MT_IDENTITY_ROOTS, false, e) : NULL;
	struct mt_credential *c = NULL;

	if (roots)
		c = mt_credential_new(
			&(struct mt_credential_texts){.chain = both, .key = both, .roots = roots},
			e);
	mt_wipe_free(both);
	free(roots);
	return c;
}

int mt_identity_save(const char *path, const char *chain, const char *key, struct mt_err *e)
{
	char *text;
	int rc;

	if (asprintf(&text, "%s%s", chain, key) < 0)
		return mt_err(e, -ENOMEM, "no memory");
	rc = mt_file_replace(path, text, strlen(text), 0600, e);
	mt_wipe_free(text);
	return rc;
}
