/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field masks (google/protobuf/field_mask.proto): paths of field names separated by dots. A list
 * can only be the last element of a path.
 */
#include "mt_envoy_priv.h"

bool mt_envoy_mask_parse(struct mt_envoy_mask *m, const char *text)
{
	char *at = m->text, *rest = NULL, *path;

	if (strlen(text) >= sizeof(m->text))
		return false;
	memcpy(m->text, text, strlen(text) + 1);
	m->n = 0;
	while ((path = strtok_r(at, ",", &rest)) != NULL) {
		if (m->n == MT_ENVOY_PATHS)
			return false;
		m->paths[m->n++] = path;
		at = NULL;
	}
	return true;
}

/* True if the first element of the path is this name; *rest: the path after its dot, or "". */
static bool begins(const char *path, const char *name, const char **rest)
{
	size_t len = strcspn(path, ".");

	if (strlen(name) != len || strncmp(path, name, len) != 0)
		return false;
	*rest = path[len] ? path + len + 1 : "";
	return true;
}

bool mt_envoy_mask_fits(const struct mt_envoy_mask *m, const char *words)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const char *w = words, *rest;
		bool found = false;

		while (*w && !found) {
			size_t len = strcspn(w, " ");
			char word[64];

			snprintf(word, sizeof(word), "%.*s", (int)len, w);
			found = begins(m->paths[i], word, &rest);
			w += len + (w[len] == ' ');
		}
		if (!found)
			return false;
	}
	return true;
}

bool mt_envoy_mask_has(const struct mt_envoy_mask *m, const char *field)
{
	const char *rest;

	for (uint32_t i = 0; i < m->n; i++)
		if (begins(m->paths[i], field, &rest))
			return true;
	return m->n == 0;
}

static bool trim(json_t *j, const char *const *paths, uint32_t n)
{
	const char *key, *below[MT_ENVOY_PATHS], *rest;
	bool ok = true;
	json_t *v;
	void *next;

	json_object_foreach_safe(j, next, key, v)
	{
		uint32_t n_below = 0;
		bool whole = strcmp(key, "@type") == 0;

		for (uint32_t i = 0; i < n; i++) {
			if (!begins(paths[i], key, &rest))
				continue;
			whole |= *rest == '\0';
			below[n_below++] = rest;
		}
		if (whole)
			continue;
		if (n_below && json_is_object(v)) {
			ok &= trim(v, below, n_below);
			continue;
		}
		ok &= n_below == 0;
		json_object_del(j, key);
	}
	return ok;
}

bool mt_envoy_mask_trim(const struct mt_envoy_mask *m, json_t *j)
{
	return m->n == 0 || trim(j, m->paths, m->n);
}
