/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes full buckets, so that no count becomes older than its rule's bits allow, and buckets of
 * rules that have ended. Control thread only.
 */
#include "mt_keyed_priv.h"

#include "mt_mutant.h"

#define PARTS 8u /* ticks of a pass */

static void look(struct mt_keyed *t, uint64_t *place, uint64_t now)
{
	uint64_t word = mt_keyed_load(place);
	const struct mt_keyed_rule *r = t->rules[word >> MT_KEYED_RULE_SHIFT];

	if (word == 0)
		return;
	if (r->state == MT_KEYED_ENDED && !mt_mutant(MT_MUTANT_keyed_ended_kept)) {
		mt_keyed_swap(place, word, 0);
		return;
	}
	if (!mt_keyed_gives_way(t, word, now))
		t->used_now++;
	else if (!mt_mutant(MT_MUTANT_keyed_never_swept))
		mt_keyed_swap(place, word, 0);
}

static void pass_ends(struct mt_keyed *t)
{
	t->next_line = 0;
	t->passes++;
	t->used = t->used_now;
	t->used_now = 0;
}

static void age(const struct mt_keyed *t, struct mt_keyed_rule *r, uint64_t now)
{
	if (r->refs > 0)
		return;
	if (r->state == MT_KEYED_LIVE && now >= r->ended_at + MT_KEYED_LINGER) {
		r->state = MT_KEYED_ENDED;
		r->ended_at = now;
		r->ended_pass = t->passes;
	} else if (r->state == MT_KEYED_ENDED && now >= r->ended_at + MT_KEYED_REST &&
		   t->passes - r->ended_pass >= 2) {
		r->state = MT_KEYED_FREE;
	}
}

void mt_keyed_tick(struct mt_keyed *t, uint64_t now)
{
	uint32_t end = MT_MIN(t->next_line + (t->lines + PARTS - 1) / PARTS, t->lines);

	for (uint32_t i = 1; i <= MT_KEYED_RULES && t->rules[i]; i++)
		age(t, t->rules[i], now);
	for (; t->next_line < end; t->next_line++)
		for (uint32_t i = 0; i < MT_KEYED_LINE; i++)
			look(t, &t->words[t->next_line * MT_KEYED_LINE + i], now);
	if (t->next_line == t->lines)
		pass_ends(t);
}
