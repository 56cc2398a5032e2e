/* SPDX-License-Identifier: Apache-2.0 */
/* Collects answers of the running daemon. If it ends meanwhile, the answers so far stay. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#define ROWS 2000 /* requested instead of an answer that is too long */

/* Sends a request. *bytes: the length of the answer, also if it is too long to be kept. */
static json_t *ask(struct support *s, const char *line, size_t *bytes)
{
	char *body = NULL;
	json_t *j = NULL;

	*bytes = 0;
	if (client_try(&s->client, line, &body) == EXIT_DONE)
		*bytes = strlen(body);
	if (*bytes && *bytes <= SUPPORT_ITEM_MAX)
		j = json_loads(body, 0, NULL);
	free(body);
	return j;
}

static void show(struct support *s, const char *command)
{
	struct item *it = support_add(s, "answer of the daemon", "show/%s.json", command + 5);
	char line[160];
	size_t bytes;

	for (char *p = it->name; *p; p++)
		if (*p == ' ')
			*p = '-';
	snprintf(line, sizeof(line), "--json %s", command);
	it->json = ask(s, line, &bytes);
	it->cut = bytes > SUPPORT_ITEM_MAX;
	if (it->cut) {
		snprintf(line, sizeof(line), "--json %s limit %d", command, ROWS);
		it->json = ask(s, line, &bytes);
	}
	s->bytes += bytes;
	if (s->bytes > SUPPORT_ALL_MAX) {
		json_decref(it->json);
		it->json = NULL;
		support_left_out(
			it, "the archive would be larger than %u MB", SUPPORT_ALL_MAX >> 20);
	} else if (!it->json) {
		support_left_out(it, "the daemon did not answer `%s`", command);
	}
}

void support_daemon(struct support *s)
{
	size_t i, bytes;
	json_t *help = ask(s, "--json help", &bytes), *row;

	s->daemon = help != NULL;
	json_array_foreach(json_object_get(help, "commands"), i, row)
	{
		const char *words = json_string_value(json_object_get(row, "command"));

		if (words && strncmp(words, "show ", 5) == 0)
			show(s, words);
	}
	json_decref(help);
}
