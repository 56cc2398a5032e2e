/* SPDX-License-Identifier: Apache-2.0 */
/* Situations that rules are made of, and the rules: each says which fields it explains of a case. */
#pragma once

#include "diff.h"

#define ALL UINT32_MAX

/* ---- situations.c ---- */
bool df_is_seg(const struct df_case *c);
uint32_t df_space(const struct df_step *st);
bool df_before(const struct df_case *c, enum df_kind kind);
/* A FIN of the peer's came, in sequence or not. */
bool df_fin_came(const struct df_case *c);
/* We did nothing at all with the segment. */
bool df_we_ignored(const struct df_case *c);
bool df_was(const struct df_case *c, enum df_state state);
/* The timestamp of the segment of step i, as `ecr` counts. */
int32_t df_stamp(const struct df_case *c, uint32_t i);
/* Where the first in the stream of the peer's FINs stands. */
int32_t df_first_fin(const struct df_case *c);
/* What a segment acknowledges, relative to our initial number. */
int32_t df_acks(const struct df_case *c, uint32_t i);
/* How many segments lay near the right edge. */
uint32_t df_edges(const struct df_case *c);

/* ---- explained_ends.c, explained_data.c ---- */
/* *end: what follows can not be compared. It counts only if a field is explained. */
#define EXPLAINED(name, least, most, stricter, rfc, why)                                           \
	uint32_t df_rule_##name(const struct df_case *c, bool *end);
#include "explained.def"
#undef EXPLAINED
