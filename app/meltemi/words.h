/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand at a place of a line: asked of the daemon, so that shell and daemon cannot disagree. */
#pragma once

#include "shell.h"

#include <jansson.h>

/* An answer of `complete`; {NULL} when the daemon is gone or silent: nothing is printed then. */
struct words {
	json_t *answer;
	size_t n;
};

/* What may stand for `part` behind the first `len` bytes of `line`. */
struct words words_ask(struct client *c, const char *line, size_t len, const char *part);
const char *words_at(const struct words *w, size_t i, const char **help);
/* What the argument there is called; "": nothing is wanted. */
const char *words_wanted(const struct words *w);
bool words_more(const struct words *w);
void words_free(struct words *w);

/* `meltemi --complete WORD...`, for the shells' completion: a line "word\thelp" each. The last may be "". */
int words_print(struct client *c, char **words, int n);

/* `meltemi completion bash|zsh|fish`: the script that does it. The exit code. */
int completion_script(const char *shell);
