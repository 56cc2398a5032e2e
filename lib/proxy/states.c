/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and notes changes of state by the tables of the folders (mt_states.h). */
#include "mt_states.h"

#include <stdio.h>

const struct mt_states *const mt_states_all[] = {&mt_exchange_states, &mt_attempt_states,
	&mt_receive_states, &mt_down_states, &mt_up_states, NULL};

static const char *name_of(const struct mt_states *t, uint32_t state)
{
	return state < t->n ? t->names[state] : "?";
}

void mt_states_note(const struct mt_states *t, uint32_t from, uint32_t to)
{
	char text[96];

	if (mt_likely(from < t->n && to < t->n && t->may[from][to])) {
		__atomic_store_n(&t->seen[from][to], 1, __ATOMIC_RELAXED);
		return;
	}
	snprintf(text, sizeof(text), "%s: %s may not follow %s", t->object, name_of(t, to),
		name_of(t, from));
	mt_assert_failed(__FILE__, __LINE__, text);
}
