/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command that a mistyped line may have meant. */
#include "mt_ctl_priv.h"

#include <string.h>

#define WORD_MAX 24 /* longer words are not compared */
#define FAR	 2  /* most mistakes in one word */

/* Edit distance: insertions, deletions, replacements, and transpositions of adjacent characters. */
static uint32_t distance(const char *a, size_t n, const char *b, size_t m)
{
	uint32_t d[WORD_MAX + 1][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return UINT32_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (uint32_t)i;
	for (size_t k = 0; k <= m; k++)
		d[0][k] = (uint32_t)k;
	for (size_t i = 1; i <= n; i++)
		for (size_t k = 1; k <= m; k++) {
			uint32_t best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);

			best = MT_MIN(best, MT_MIN(d[i - 1][k], d[i][k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				best = MT_MIN(best, d[i - 2][k - 2] + 1);
			d[i][k] = best;
		}
	return d[n][m];
}

/*
 * Sum of mistakes in all words of the command; UINT32_MAX: too many. A short form of a word has no
 * mistake.
 */
static uint32_t mistakes(const struct mt_request *r, const char *words)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; *words; i++) {
		size_t len = strcspn(words, " "), have;
		uint32_t d;

		if (i == r->n)
			return UINT32_MAX;
		have = strlen(r->words[i]);
		d = have && have <= len && memcmp(words, r->words[i], have) == 0
			    ? 0
			    : distance(r->words[i], have, words, len);
		if (d > FAR || d >= len)
			return UINT32_MAX;
		sum += d;
		words += len + (words[len] == ' ');
	}
	return sum;
}

const struct mt_command *mt_command_nearest(const struct mt_request *r)
{
	const struct mt_command *cmd, *found = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		uint32_t n = mistakes(r, cmd->words);

		if (n < least) {
			least = n;
			found = cmd;
		}
	}
	return found;
}
