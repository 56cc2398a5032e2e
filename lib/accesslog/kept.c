/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of metadata values: a head, the name, the value, and the next head. */
#include "mt_alog_kept.h"

#include <strings.h>

struct head {
	uint8_t from; /* enum mt_alog_from */
	uint8_t pad;
	uint16_t name_len, value_len;
};

bool mt_alog_keep(uint8_t block[MT_ALOG_KEPT], uint16_t *used, enum mt_alog_from from,
	struct mt_slice name, struct mt_slice value)
{
	const struct head h = {.from = (uint8_t)from,
		.name_len = (uint16_t)name.len,
		.value_len = (uint16_t)value.len};
	uint8_t *to = block + *used;

	if ((uint64_t)name.len + value.len + sizeof(h) > (uint64_t)(MT_ALOG_KEPT - *used))
		return false;
	to = mempcpy(to, &h, sizeof(h));
	to = mempcpy(to, name.p, name.len);
	if (value.len)
		to = mempcpy(to, value.p, value.len);
	*used = (uint16_t)(to - block);
	return true;
}

uint32_t mt_alog_kept(
	const uint8_t *block, uint32_t len, struct mt_alog_named to[MT_ALOG_KEPT_VALUES])
{
	uint32_t n = 0, at = 0;
	struct head h;

	while (n < MT_ALOG_KEPT_VALUES && len - at >= sizeof(h)) {
		const uint8_t *name = block + at + sizeof(h);

		memcpy(&h, block + at, sizeof(h));
		if (len - at < sizeof(h) + h.name_len + h.value_len)
			break;
		to[n++] = (struct mt_alog_named){.from = (enum mt_alog_from)h.from,
			.name = {name, h.name_len},
			.value = {MT_VALUE_TEXT, {.text = {name + h.name_len, h.value_len}}}};
		at += (uint32_t)sizeof(h) + h.name_len + h.value_len;
	}
	return n;
}

static bool is_request(const struct mt_alog_named *n, const char *name)
{
	return n->from == MT_ALOG_REQUEST && n->value.type == MT_VALUE_TEXT &&
	       n->name.len == strlen(name) &&
	       strncasecmp((const char *)n->name.p, name, n->name.len) == 0;
}

bool mt_alog_trace(const struct mt_alog_named *named, uint32_t n, struct mt_span *span)
{
	struct mt_span_values values = {.seen = 0};

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < MT_SPAN_KEYS; k++)
			if (is_request(&named[i], mt_span_keys[k]))
				mt_span_see(&values, (enum mt_span_key)k, named[i].value.text);
	return mt_span_find(span, &values);
}
