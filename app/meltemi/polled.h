/* SPDX-License-Identifier: Apache-2.0 */
/* Commands whose answer goes on: asked for again and again, until it ends or the operator has seen enough. */
#pragma once

#include "shell.h"

#include <jansson.h>

/* Runs the line if it is such a command; false: it is not. */
bool polled_run(struct client *c, const char *line, int *code);

/* capture.c: `capture FILE ...`, the words behind `capture`. The exit code. */
int capture_run(struct client *c, const char *words);

/* Between them an interrupt ends the polling, and not the program. */
void poll_begin(void);
void poll_end(void);
/* Number of interrupts since poll_begin(), at most 2. */
int poll_interrupts(void);
/* A little pause; false: interrupted. */
bool poll_wait(void);
/* A --json request; NULL: it failed, which was told on stderr, with the exit code. */
json_t *poll_ask(struct client *c, const char *line, int *code);
