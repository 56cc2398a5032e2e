/* SPDX-License-Identifier: Apache-2.0 */
/* Names of metadata, from the keys of formats and filters. */
#include "mt_alog_names.h"

#include "mt_alog_kept.h"

#include <ctype.h>
#include <strings.h>

_Static_assert(2 * MT_ALOG_NAMES <= MT_ALOG_KEPT_VALUES, "a call keeps a value of each name");

static bool add(struct mt_alog_names *to, const struct mt_alog_key *key)
{
	char(*of)[MT_ALOG_NAME + 1] = to->of[key->from];
	uint32_t *n = &to->n[key->from];

	for (uint32_t i = 0; i < *n; i++)
		if (strlen(of[i]) == key->name.len &&
			strncasecmp(of[i], (const char *)key->name.p, key->name.len) == 0)
			return true;
	if (*n == MT_ALOG_NAMES || key->name.len > MT_ALOG_NAME)
		return false;
	for (uint32_t i = 0; i < key->name.len; i++)
		of[*n][i] = (char)tolower(key->name.p[i]);
	of[(*n)++][key->name.len] = '\0';
	return true;
}

bool mt_alog_name(struct mt_alog_names *to, const struct mt_alog_format *format,
	const struct mt_alog_filter *filter)
{
	const struct mt_alog_key *key;
	bool all = true;

	for (uint32_t i = 0; format && (key = mt_alog_key(format, i)); i++)
		if (key->from == MT_ALOG_REQUEST || key->from == MT_ALOG_RESPONSE)
			all &= add(to, key);
	for (uint32_t i = 0; filter && (key = mt_alog_filter_key(filter, i)); i++)
		all &= add(to, key);
	return all;
}

bool mt_alog_name_request(struct mt_alog_names *to, const char *key)
{
	const struct mt_alog_key k = {
		.from = MT_ALOG_REQUEST, .name = {(const uint8_t *)key, (uint32_t)strlen(key)}};

	return add(to, &k);
}
