/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_diag.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 63u

/* Optimal string alignment (Damerau-Levenshtein with single swaps), three rows. */
uint32_t mt_edit_distance(const char *a, const char *b, uint32_t max)
{
	uint32_t row[3][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX || la + max <= lb || lb + max <= la)
		return max;
	for (uint32_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (uint32_t i = 1; i <= la; i++) {
		uint32_t *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		cur[0] = i;
		for (uint32_t j = 1; j <= lb; j++) {
			int ca = tolower((unsigned char)a[i - 1]);
			int cb = tolower((unsigned char)b[j - 1]);
			uint32_t best = MT_MIN(up[j] + 1, cur[j - 1] + 1);

			best = MT_MIN(best, up[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
				cb == tolower((unsigned char)a[i - 2]))
				best = MT_MIN(best, up2[j - 2] + 1);
			cur[j] = best;
		}
	}
	return MT_MIN(row[la % 3][lb], max);
}

void mt_suggest_offer(struct mt_suggest *s, const char *candidate)
{
	/*
	 * A third of the letters may differ, between 1 and 4: "hsot" finds "host", "v9" does not
	 * find "match".
	 */
	uint32_t allowed = (uint32_t)strlen(s->word) / 3;
	uint32_t d;

	allowed = MT_MAX(1u, MT_MIN(allowed, 4u));
	d = mt_edit_distance(s->word, candidate, allowed + 1);
	if (d > allowed || (s->best && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}
