/* SPDX-License-Identifier: Apache-2.0 */
/* Reads messages that lie in one piece, apart from connections: samples, templates, captures. */
#include "run.h"

const char *table_flat(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, struct mt_msg *msg)
{
	enum mt_decode rc = table_flat_run(r, t, dir, p, n, msg);

	if (rc == MT_DECODE_BAD)
		return mt_ct_fault_str((enum mt_ct_fault)msg->flags);
	if (rc == MT_DECODE_MORE)
		return "codec file: bytes are missing at its end";
	if (msg->len < n)
		return "codec file: bytes follow its end";
	return r->trace && r->trace->full ? "codec file: too many parts" : NULL;
}

const char *mt_codec_table_decode(const struct mt_codec_table *t, enum mt_dir dir, const uint8_t *p,
	uint32_t n, struct mt_msg *msg)
{
	struct table_state s;
	struct table_run r = {.s = &s};

	return table_flat(&r, t, dir, p, n, msg);
}

static void find(
	struct table_run *r, const struct mt_ct_place *p, uint32_t n, struct mt_ct_found *found)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mt_ct_found *to = &found[i];
		struct table_slot at;

		*to = (struct mt_ct_found){0};
		if (table_locate(r, &p[i], &at) != TABLE_GOT) {
			to->absent = p[i].flags & MT_CT_DEFAULT;
			to->value = p[i].absent;
			to->is_signed = table_is_signed(&p[i]);
			continue;
		}
		if ((uint64_t)at.off + at.len > r->arrived)
			continue;
		*to = (struct mt_ct_found){.off = at.off, .len = at.len, .there = true};
		to->number =
			p[i].type != MT_CT_BYTES && table_number(r, &p[i], &to->value) == TABLE_GOT;
		to->is_signed = table_is_signed(&p[i]);
	}
}

enum mt_decode mt_codec_table_first(const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, const struct mt_ct_place *places, uint32_t n_places,
	struct mt_ct_found *found, struct mt_msg *msg, struct mt_ct_cause *why)
{
	struct table_state s;
	struct table_run r = {.s = &s, .why = why};
	enum mt_decode rc;

	*why = (struct mt_ct_cause){0};
	rc = table_flat_run(&r, t, dir, p, n, msg);
	if (rc == MT_DECODE_BAD)
		why->fault = mt_ct_fault_str((enum mt_ct_fault)msg->flags);
	find(&r, places, n_places, found);
	return rc;
}
