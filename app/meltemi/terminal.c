/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lines from a terminal: editing, history, completion by Tab, help by ?. */
#include "mt_log.h"
#include "words.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

#define HISTORY_LINES 1000

static struct client *asked; /* readline has no argument for it */
static struct words found;
static volatile sig_atomic_t interrupted;

static char *next_word(const char *text, int state)
{
	static size_t at;
	const unsigned char *p;
	const char *help;

	if (state == 0)
		at = 0;
	while (at < found.n) {
		const char *word = words_at(&found, at++, &help);

		/* What cannot be typed is not completed. */
		for (p = (const unsigned char *)word; *p >= 0x20 && *p != 0x7f;)
			p++;
		if (!*p)
			return strdup(word);
	}
	return NULL;
}

static char **complete(const char *text, int start, int end)
{
	char **matches;

	rl_attempted_completion_over = 1;
	found = words_ask(asked, rl_line_buffer, (size_t)start, text);
	/* No blank after a field or operator, because its value comes next. */
	matches = rl_completion_matches(text, next_word);
	if (matches && matches[0][0] && strchr("=>.", matches[0][strlen(matches[0]) - 1]))
		rl_completion_suppress_append = 1;
	words_free(&found);
	return matches;
}

/* `?` explains what is allowed at the cursor. */
static int explain_line(int count, int key)
{
	int start = rl_point;
	char part[256], safe[512];
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

		mt_escape(safe, sizeof(safe), word);
		printf("  %-20s %s\n", safe, help);
	}
	if (words_more(&w))
		printf("  ... and more\n");
	words_free(&w);
	rl_on_new_line();
	return 0;
}

/* Ctrl-C at the prompt only drops the line. */
static int drop_line(void)
{
	if (!interrupted)
		return 0;
	interrupted = 0;
	rl_replace_line("", 1);
	rl_crlf();
	rl_on_new_line();
	rl_forced_update_display();
	return 0;
}

/* If a key arrives together with the signal, no read is interrupted: check here as well. */
static int get_key(FILE *in)
{
	int key = rl_getc(in);

	(void)drop_line();
	return key;
}

static void on_interrupt(int sig)
{
	interrupted = 1;
}

static void prepare(struct client *c)
{
	struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &act, NULL);
	rl_catch_signals = 0; /* readline's own handler keeps the line */
	rl_signal_event_hook = drop_line;
	rl_getc_function = get_key;
	asked = c;
	rl_readline_name = "meltemi";
	/* Only blanks separate words: conditions such as a=b are one word. */
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
