/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is allowed at a place in a line. The daemon is queried, so that it and the shell cannot
 * disagree.
 */
#pragma once

#include "shell.h"

#include <jansson.h>

/* An answer to `complete`; empty without an answer, and then nothing is printed. */
struct words {
	json_t *answer;
	size_t n;
};

/* What may replace `part` after the first `len` bytes of `line`. */
struct words words_ask(struct client *c, const char *line, size_t len, const char *part);
const char *words_at(const struct words *w, size_t i, const char **help);
/* The name of the argument at that place; "": there is none. */
const char *words_wanted(const struct words *w);
bool words_more(const struct words *w);
void words_free(struct words *w);

/*
 * `meltemi --complete WORD...`, for completion by bash, zsh and fish: prints lines "word\thelp".
 * The last word may be "".
 */
int words_print(struct client *c, char **words, int n);

/* `meltemi completion bash|zsh|fish`: prints the script. Returns the exit code. */
int completion_script(const char *shell);
