/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands with a continuous answer: the daemon is polled until it reports the end, or until the
 * user interrupts.
 */
#pragma once

#include "shell.h"

#include <jansson.h>

/* Runs the line if it is such a command; otherwise returns false. */
bool polled_run(struct client *c, const char *line, int *code);

/* capture.c: `capture FILE ...`; `words` are those after `capture`. Returns the exit code. */
int capture_run(struct client *c, const char *words);

/* Between these calls an interrupt ends the polling instead of the program. */
void poll_begin(void);
void poll_end(void);
/* Number of interrupts since poll_begin(), at most 2. */
int poll_interrupts(void);
/* Waits for at most 100 ms; false if there was an interrupt. */
bool poll_wait(void);
/* Sends a request with --json. NULL if it failed, after a message, with the exit code in *code. */
json_t *poll_ask(struct client *c, const char *line, int *code);
