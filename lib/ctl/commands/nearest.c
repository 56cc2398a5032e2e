/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command that a mistyped line may have meant. */
#include "mt_ctl_priv.h"

#include <string.h>

#define FAR 2 /* most mistakes in one word */

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
			    : mt_word_distance(r->words[i], have, words, len);
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
