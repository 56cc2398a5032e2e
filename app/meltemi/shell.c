/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles lines from any input: runs the shell's own commands, and sends the others to the daemon.
 */
#include "shell.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *shell_strip(char *line)
{
	char *end = line + strlen(line);

	while (isspace((unsigned char)*line))
		line++;
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return line;
}

/*
 * Parses `watch ...` or `... --watch N`. Returns 1 with the interval and the command in *line, 0
 * for neither, -1 for bad usage.
 */
static int watched(char *copy, const char **line, double *seconds)
{
	int option = watch_option(copy, seconds);

	*line = copy;
	if (option < 0 || strncmp(copy, "watch", 5) != 0 || (copy[5] != ' ' && copy[5] != '\0'))
		return option;
	return watch_parse(copy, seconds, line) ? 1 : -1;
}

int shell_line(struct client *c, const char *line, bool json, bool *quit)
{
	char copy[LINE_MAX_BYTES + 64], with_json[sizeof(copy) + 16];
	double seconds = 2;
	int watch;

	*quit = strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0;
	if (*quit || !*line || *line == '#')
		return EXIT_DONE;
	if (strcmp(line, "top") == 0)
		return top_run(c);
	if ((size_t)snprintf(copy, sizeof(copy), "%s", line) >= sizeof(copy)) {
		fprintf(stderr, "meltemi: the command is too long\n");
		return EXIT_USAGE;
	}
	watch = watched(copy, &line, &seconds);
	if (watch < 0)
		return EXIT_USAGE;
	if (json) {
		snprintf(with_json, sizeof(with_json), "--json %s", line);
		line = with_json;
	}
	return watch ? watch_run(c, line, seconds) : client_run(c, line, true);
}

/* Runs commands from a file or pipe, and stops at the first that fails. */
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
			code = shell_line(c, shell_strip(line), json, &quit);
		}
	}
	free(line);
	return code;
}

int shell_run(struct client *c, bool json)
{
	return isatty(STDIN_FILENO) ? terminal_run(c, json) : run_script(c, json);
}
