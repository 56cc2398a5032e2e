/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_codec.h"

#include <string.h>
#include <strings.h>

uint32_t kv_reads;
static const char *const keys[] = {"method", "interface", NULL};

static bool same_name(const char *p, size_t len, const struct mt_key *key)
{
	if (len != key->len)
		return false;
	return (key->icase ? strncasecmp(p, key->name, len) : strncmp(p, key->name, len)) == 0;
}

static bool metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	/* The "chain" of these tests is plain text. */
	const char *text = (const char *)c;

	kv_reads++;
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		const char *eq = strchr(line, '='), *end = strchr(line, '\n');

		if (!same_name(line, (size_t)(eq - line), key))
			continue;
		*value = (struct mt_slice){(const uint8_t *)eq + 1, (uint32_t)(end - eq - 1)};
		/* Keys that begin with "far" behave as values that cross buffers. */
		if (strncmp(line, "far", 3) == 0) {
			memcpy(scratch, value->p, value->len);
			value->p = scratch;
		}
		return true;
	}
	return false;
}

const struct mt_codec kv_codec = {
	.name = "kv", .keys = keys, .leading_keys = 0x1, .metadata.leading = metadata};

void kv_view(struct mt_view *v, const char *text)
{
	v->codec = &kv_codec;
	v->chain = (struct mt_chain *)text;
	v->n_mutations = 0;
}
