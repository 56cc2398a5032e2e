/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_pages_names[] = {"auto", "on", "off", NULL};

uint32_t bench_word(const char *option, const char *text, const char *const *words)
{
	for (uint32_t i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	fprintf(stderr, "%s: --%s: \"%s\" is not one of:", program_invocation_short_name, option,
		text);
	for (; *words; words++)
		fprintf(stderr, " %s", *words);
	fputc('\n', stderr);
	exit(2);
}

uint32_t bench_number(const char *option, const char *text, uint32_t lo, uint32_t hi)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < lo || n > hi) {
		fprintf(stderr, "%s: --%s: a number from %u to %u, not \"%s\"\n",
			program_invocation_short_name, option, lo, hi, text);
		exit(2);
	}
	return (uint32_t)n;
}
