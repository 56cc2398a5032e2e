/* SPDX-License-Identifier: Apache-2.0 */
/* The meltemid of the same build, which checks documents for this program. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

/* Finds it; otherwise the one in PATH. */
void daemon_path(char *path, size_t size);

/*
 * Starts it, with stdout, and stderr if `told` is NULL, as *out, which the caller closes; else
 * stderr goes to the file `told`. `user`: of the new process; NULL: the one of this process.
 * Returns its pid, -1 with errno. Its exit status is 127 if it was not found, or 126 if it could
 * not start, with the reason on stderr.
 */
pid_t daemon_start(const char *user, const char *const *argv, const char *told, FILE **out);
/*
 * Runs it to its end. *out is what it prints, also to stderr; the caller frees it. Returns its exit
 * status; -1 if it was not found or a signal ended it.
 */
int daemon_run(const char *user, const char *const *argv, char **out);
