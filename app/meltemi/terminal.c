/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from a terminal: editing, history, completion by Tab, explanation by ?. */
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

#define HISTORY_LINES 1000

static struct client *asked; /* readline passes nothing along */
static struct words found;

static char *next_word(const char *text, int state)
{
	static size_t at;
	const char *help;

	if (state == 0)
		at = 0;
	return at < found.n ? strdup(words_at(&found, at++, &help)) : NULL;
}

static char **complete(const char *text, int start, int end)
{
	char **matches;

	rl_attempted_completion_over = 1;
	found = words_ask(asked, rl_line_buffer, (size_t)start, text);
	/* A field wants its value next. */
	matches = rl_completion_matches(text, next_word);
	if (matches && matches[0] && strchr(matches[0], '='))
		rl_completion_suppress_append = 1;
	words_free(&found);
	return matches;
}

/* `?` explains what may stand where the cursor is. */
static int explain_line(int count, int key)
{
	int start = rl_point;
	char part[256];
	struct words w;

	while (start > 0 && !isspace((unsigned char)rl_line_buffer[start - 1]))
		start--;
	snprintf(part, sizeof(part), "%.*s", rl_point - start, rl_line_buffer + start);
	w = words_ask(asked, rl_line_buffer, (size_t)start, part);
	printf("?\n");
	if (!w.answer)
		printf("  no daemon answers\n");
	else if (*words_wanted(&w))
		printf("  %s\n", words_wanted(&w));
	else if (w.n == 0)
		printf("  nothing may stand here\n");
	for (size_t i = 0; i < w.n; i++) {
		const char *help, *word = words_at(&w, i, &help);

		printf("  %-20s %s\n", word, help);
	}
	if (words_more(&w))
		printf("  ... and more\n");
	words_free(&w);
	rl_on_new_line();
	return 0;
}

static void prepare(struct client *c)
{
	asked = c;
	rl_readline_name = "meltemi";
	/* Fields and conditions are words of their own. */
	rl_basic_word_break_characters = " \t\n";
	rl_completer_word_break_characters = " \t\n";
	rl_attempted_completion_function = complete;
	rl_bind_key('?', explain_line);
}

int terminal_run(struct client *c, bool json)
{
	const char *home = getenv("HOME");
	char path[512], *line;
	bool quit = false;
	int code = EXIT_DONE;

	prepare(c);
	snprintf(path, sizeof(path), "%s/.meltemi_history", home ? home : "");
	stifle_history(HISTORY_LINES);
	if (home)
		(void)read_history(path);
	while (!quit && (line = readline("meltemi> ")) != NULL) {
		char *words = shell_strip(line);

		if (*words)
			add_history(words);
		code = shell_line(c, words, json, &quit);
		free(line);
	}
	if (!quit)
		printf("\n");
	if (home)
		(void)write_history(path);
	return quit ? EXIT_DONE : code;
}
