/* SPDX-License-Identifier: Apache-2.0 */
/* Private to read.c and read_message.c: what both read. */
#pragma once

#include "file.h"

/* Custom fields with one cf_ref or cf_when: the row's `offset` is not passed on, so one each. */
#define REF_FIELD(type, member)                                                                    \
	static void read_##type##_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj) \
	{                                                                                          \
		cf_read_ref(c, n, &((struct cf_##type *)obj)->member);                             \
	}
#define WHEN_FIELD(type, member)                                                                   \
	static void read_##type##_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj) \
	{                                                                                          \
		cf_read_when(c, n, &((struct cf_##type *)obj)->member);                            \
	}
#define CUSTOM(key, type, member, ...)                                                             \
	{                                                                                          \
		key, MT_F_CUSTOM, .custom = read_##type##_##member, __VA_ARGS__                    \
	}

/* read.c: a place, or a list of up to 8. */
void cf_read_refs(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_ref **refs, uint32_t *count);
/* read_message.c */
extern const struct mt_section cf_sec_deadline;
mt_field_fn cf_read_messages, cf_read_ids, cf_read_statuses, cf_read_metas, cf_read_searches;
