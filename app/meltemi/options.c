/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "shell.h"

#include <getopt.h>
#include <stdio.h>

#define FIRST 256 /* value of row 0, above all letters */

int options_wrong(const char *usage)
{
	fputs(usage, stderr);
	return EXIT_USAGE;
}

static bool take(const struct option_row *rows, void *arg, int c)
{
	const struct option_row *row = c >= FIRST ? &rows[c - FIRST] : rows;

	while (c < FIRST && row->name && row->letter != c)
		row++;
	if (row->take)
		return row->take(arg, optarg);
	if (row->flag)
		*row->flag = true;
	else if (row->text)
		*row->text = optarg;
	return row->name != NULL;
}

int options_read(const struct option_row *rows, void *arg, bool words_first, const char *usage,
	int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
	char shorts[2 * OPTIONS_MAX + 4];
	int n = snprintf(shorts, sizeof(shorts), "%sh", words_first ? "" : "+"), c;

	for (int i = 0; rows[i].name; i++) {
		longs[i + 1] = (struct option){rows[i].name,
			rows[i].flag ? no_argument : required_argument, NULL, FIRST + i};
		if (rows[i].letter)
			n += snprintf(shorts + n, sizeof(shorts) - (size_t)n, "%c%s",
				rows[i].letter, rows[i].flag ? "" : ":");
	}
	optind = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_DONE;
		}
		if (c == '?' || !take(rows, arg, c))
			return options_wrong(usage);
	}
	return -1;
}
