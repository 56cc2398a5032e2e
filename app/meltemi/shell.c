/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interactive shell. What can be completed and explained comes from the daemon's own table
 * (`help`), so shell and daemon cannot disagree.
 */
#include "shell.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#define HISTORY_LINES 1000

/* The daemon's commands and our own; strings of `table`. */
static struct {
	const char *words, *help;
} commands[64];
static size_t n_commands;
static json_t *table;

static void add_command(const char *words, const char *help)
{
	if (words && n_commands < MT_ARRAY_LEN(commands)) {
		commands[n_commands].words = words;
		commands[n_commands++].help = help ? help : "";
	}
}

static void load_commands(struct client *c)
{
	json_t *list, *row;
	char *body;
	size_t i;

	if (client_ask(c, "help --json", &body) == EXIT_DONE)
		table = json_loads(body, 0, NULL);
	free(body);
	list = json_object_get(table, "commands");
	json_array_foreach(list, i, row)
		add_command(json_string_value(json_object_get(row, "command")),
			json_string_value(json_object_get(row, "help")));
	add_command("watch", "repeat a command: watch [-n SECONDS] COMMAND");
	add_command("quit", "leave the shell");
}

/* ---- completion ----------------------------------------------------------------------------- */

/* Where the word under the cursor begins, with a leading `watch` left out. */
static const char *completed_line(int start, size_t *before)
{
	const char *line = rl_line_buffer;

	*before = (size_t)start;
	while (isspace((unsigned char)*line) && *before) {
		line++;
		(*before)--;
	}
	if (*before > 6 && strncmp(line, "watch ", 6) == 0) {
		line += 6;
		*before -= 6;
	}
	return line;
}

static size_t completing_before;
static const char *completing_line;

/* The next command whose words continue the line; readline frees what it gets. */
static char *next_word(const char *text, int state)
{
	static size_t at;

	if (state == 0)
		at = 0;
	while (at < n_commands) {
		const char *w = commands[at++].words;
		size_t len;
		bool known = false;

		if (strncmp(w, completing_line, completing_before) != 0)
			continue;
		w += completing_before;
		len = strcspn(w, " ");
		if (strncmp(w, text, strlen(text)) != 0)
			continue;
		/* `show ports`, `show workers`: `show` once. */
		for (size_t i = 0; i + 1 < at && !known; i++)
			known = strncmp(commands[i].words, completing_line, completing_before) ==
					0 &&
				strncmp(commands[i].words + completing_before, w, len) == 0 &&
				strcspn(commands[i].words + completing_before, " ") == len;
		if (!known)
			return strndup(w, len);
	}
	return NULL;
}

static char **complete(const char *text, int start, int end)
{
	rl_attempted_completion_over = 1;
	completing_line = completed_line(start, &completing_before);
	return rl_completion_matches(text, next_word);
}

/* `?` explains what may follow. */
static int explain_line(int count, int key)
{
	const char *line = rl_line_buffer;

	while (isspace((unsigned char)*line))
		line++;
	printf("?\n");
	for (size_t i = 0; i < n_commands; i++)
		if (strncmp(commands[i].words, line, strlen(line)) == 0)
			printf("  %-18s %s\n", commands[i].words, commands[i].help);
	rl_on_new_line();
	return 0;
}

/* ---- loop ----------------------------------------------------------------------------------- */

static char *strip(char *line)
{
	char *end = line + strlen(line);

	while (isspace((unsigned char)*line))
		line++;
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return line;
}

/* One line of input; *quit: the shell ends. The exit code of the command. */
static int run_line(struct client *c, const char *line, bool json, bool *quit)
{
	char with_json[LINE_MAX_BYTES + 16];
	double seconds;
	bool watch = strncmp(line, "watch", 5) == 0 && (line[5] == ' ' || line[5] == '\0');

	*quit = strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0;
	if (*quit || !*line || *line == '#')
		return EXIT_DONE;
	if (watch && !watch_parse(line, &seconds, &line))
		return EXIT_USAGE;
	if (json) {
		snprintf(with_json, sizeof(with_json), "--json %s", line);
		line = with_json;
	}
	return watch ? watch_run(c, line, seconds) : client_run(c, line);
}

static int run_terminal(struct client *c, bool json)
{
	const char *home = getenv("HOME");
	char path[512], *line;
	bool quit = false;
	int code = EXIT_DONE;

	load_commands(c);
	rl_readline_name = "meltemi";
	rl_attempted_completion_function = complete;
	rl_bind_key('?', explain_line);
	snprintf(path, sizeof(path), "%s/.meltemi_history", home ? home : "");
	stifle_history(HISTORY_LINES);
	if (home)
		(void)read_history(path);
	while (!quit && (line = readline("meltemi> ")) != NULL) {
		char *words = strip(line);

		if (*words)
			add_history(words);
		code = run_line(c, words, json, &quit);
		free(line);
	}
	if (!quit)
		printf("\n");
	if (home)
		(void)write_history(path);
	json_decref(table);
	return quit ? EXIT_DONE : code;
}

/* Commands from a file or pipe: stops at the first that fails. */
static int run_script(struct client *c, bool json)
{
	unsigned int number = 0;
	char *line = NULL;
	size_t cap = 0;
	bool quit = false;
	int code = EXIT_DONE;
	ssize_t len;

	while (code == EXIT_DONE && !quit && (len = getline(&line, &cap, stdin)) >= 0) {
		number++;
		if (memchr(line, '\0', (size_t)len)) {
			fprintf(stderr, "meltemi: line %u holds a NUL byte: not text\n", number);
			code = EXIT_USAGE;
		} else {
			code = run_line(c, strip(line), json, &quit);
		}
	}
	free(line);
	return code;
}

int shell_run(struct client *c, bool json)
{
	return isatty(STDIN_FILENO) ? run_terminal(c, json) : run_script(c, json);
}
