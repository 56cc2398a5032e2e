/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands with a continuous answer. The daemon answers at once with what is new since the last
 * request, and is polled again. A command ends when the daemon reports its end, or by an interrupt.
 */
#include "polled.h"

#include "mt_log.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define POLL_NS 100000000

static volatile sig_atomic_t interrupted;
static struct sigaction before, before_term;

static void on_interrupt(int sig)
{
	interrupted += interrupted < 2;
}

void poll_begin(void)
{
	struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	interrupted = 0;
	sigaction(SIGINT, &act, &before);
	sigaction(SIGTERM, &act, &before_term);
}

void poll_end(void)
{
	sigaction(SIGINT, &before, NULL);
	sigaction(SIGTERM, &before_term, NULL);
}

int poll_interrupts(void)
{
	return interrupted;
}

bool poll_wait(void)
{
	const struct timespec ts = {.tv_nsec = POLL_NS};

	if (!interrupted)
		(void)nanosleep(&ts, NULL);
	return !interrupted;
}

json_t *poll_ask(struct client *c, const char *line, int *code)
{
	json_t *j = NULL;
	char *body;

	*code = client_ask(c, line, &body);
	if (body)
		j = json_loads(body, 0, NULL);
	if (*code == EXIT_DONE && !j) {
		fprintf(stderr, "meltemi: the daemon's answer cannot be read\n");
		*code = EXIT_REFUSED;
	} else if (*code != EXIT_DONE) {
		const char *why = json_string_value(json_object_get(j, "error"));

		char words[1024];

		mt_escape(words, sizeof(words), why ? why : "");
		if (why)
			fprintf(stderr, "%s\n", words);
		json_decref(j);
		j = NULL;
	}
	free(body);
	return j;
}

static void print_steps(const json_t *steps)
{
	char line[4096];
	json_t *row;
	size_t i;

	json_array_foreach(steps, i, row)
	{
		snprintf(line, sizeof(line), "%-14s %10.2f us %9lld  %-8s %-12s ",
			text_in(row, "trace"), json_number_value(json_object_get(row, "us")),
			(long long)json_integer_value(json_object_get(row, "cycles")),
			text_in(row, "library"), text_in(row, "step"));
		fputs(line, stdout);
		mt_escape(line, sizeof(line), text_in(row, "what"));
		puts(line);
	}
}

/* `trace show --follow`: prints steps as they occur. */
static int follow(struct client *c)
{
	char line[64] = "--json trace show";
	bool on = true;
	int code = EXIT_DONE;

	poll_begin();
	while (on) {
		json_t *j = poll_ask(c, line, &code);

		if (!j)
			break;
		print_steps(json_object_get(j, "steps"));
		snprintf(line, sizeof(line), "--json trace show from %lld",
			(long long)json_integer_value(json_object_get(j, "next")));
		on = !screen_broken(&code) && strcmp(text_in(j, "trace"), "running") == 0 &&
		     poll_wait();
		json_decref(j);
	}
	poll_end();
	return code;
}

/* True for the daemon's own commands that start with `capture`. */
static bool is_daemons(const char *words)
{
	static const char *const own[] = {"start", "read", "stop"};
	size_t n = strcspn(words, " ");

	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		if (strlen(own[i]) == n && memcmp(words, own[i], n) == 0)
			return true;
	return false;
}

bool polled_run(struct client *c, const char *line, int *code)
{
	const char *words = strncmp(line, "--json ", 7) == 0 ? line + 7 : line;

	if (strcmp(words, "capture") == 0 || strncmp(words, "capture ", 8) == 0) {
		words += words[7] == ' ' ? 8 : 7;
		if (is_daemons(words))
			return false;
		*code = capture_run(c, words);
		return true;
	}
	if (strcmp(line, "trace show --follow") == 0) {
		*code = follow(c);
		return true;
	}
	return false;
}
