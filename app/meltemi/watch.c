/* SPDX-License-Identifier: Apache-2.0 */
#include "shell.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MIN 0.1
#define SECONDS_MAX 3600.0

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = 1;
}

bool watch_parse(const char *line, double *seconds, const char **rest)
{
	const char *p = line + strlen("watch");
	int n = 0;

	*seconds = 2;
	while (isspace((unsigned char)*p))
		p++;
	if (strncmp(p, "-n", 2) == 0) {
		if (sscanf(p + 2, "%lf%n", seconds, &n) != 1 || *seconds < SECONDS_MIN ||
			*seconds > SECONDS_MAX) {
			fprintf(stderr, "meltemi: watch -n needs seconds from %g to %g\n",
				SECONDS_MIN, SECONDS_MAX);
			return false;
		}
		p += 2 + n;
	}
	while (isspace((unsigned char)*p))
		p++;
	*rest = p;
	if (*p)
		return true;
	fprintf(stderr, "meltemi: usage: watch [-n SECONDS] COMMAND\n");
	return false;
}

int watch_option(char *line, double *seconds)
{
	char *at = strstr(line, "--watch"), *end;

	if (!at || (at != line && !isspace((unsigned char)at[-1])))
		return 0;
	*seconds = strtod(at + strlen("--watch") + (at[7] == '='), &end);
	if (end == at + 7 || (*end && !isspace((unsigned char)*end)) || *seconds < SECONDS_MIN ||
		*seconds > SECONDS_MAX) {
		fprintf(stderr, "meltemi: --watch needs seconds from %g to %g\n", SECONDS_MIN,
			SECONDS_MAX);
		return -1;
	}
	while (isspace((unsigned char)*end))
		end++;
	memmove(at, end, strlen(end) + 1);
	return 1;
}

static void wait_for(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds};

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	/* An interrupt ends the wait. */
	(void)nanosleep(&left, NULL);
}

int watch_run(struct client *c, const char *line, double seconds)
{
	/* SA_RESTART continues a write that waits for the terminal; nanosleep() ends anyway. */
	struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, old;
	bool screen = isatty(STDOUT_FILENO);
	int code = EXIT_DONE;

	interrupted = 0;
	sigaction(SIGINT, &act, &old);
	while (!interrupted && code == EXIT_DONE) {
		char *body;

		code = client_ask(c, line, &body);
		if (body) {
			screen_disarm(&body, code ? STDERR_FILENO : STDOUT_FILENO);
			/* Clears the screen and prints all at once, which avoids flicker. */
			fputs(screen && !code ? "\033[H\033[2J" : "", stdout);
			if (code)
				fputs(body, stderr);
			else
				screen_show(body, false);
			if (screen_broken(&code))
				interrupted = 1;
		}
		free(body);
		if (code == EXIT_DONE && !interrupted)
			wait_for(seconds);
	}
	sigaction(SIGINT, &old, NULL);
	return code;
}
