/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's shell: one connection to the admin socket, one-shot or interactive. */
#pragma once

#include "mt_base.h"

/* Exit codes of the program. */
#define EXIT_DONE	 0
#define EXIT_REFUSED	 1 /* the daemon could not do it */
#define EXIT_USAGE	 2 /* no such command or option */
#define EXIT_UNREACHABLE 3 /* no daemon, or no right to talk to it */

#define SOCKET_DEFAULT "/run/meltemi/admin.sock"
#define LINE_MAX_BYTES 1024 /* of the protocol */

struct client {
	const char *path;
	int fd; /* -1: not connected */
};

/* Connects, or says on stderr why not and what to do. */
bool client_open(struct client *c, const char *path);
void client_close(struct client *c);

/*
 * One request. The exit code, and *body (malloc'd, NUL-terminated); or EXIT_UNREACHABLE and *body NULL
 * with the reason on stderr. A connection that the daemon closed meanwhile is opened once more.
 */
int client_ask(struct client *c, const char *line, char **body);

/* Asks and prints: the answer to stdout, a refusal to stderr. The exit code. */
int client_run(struct client *c, const char *line);

/* Reads commands until the end of input; a terminal gets editing, history and completion. */
int shell_run(struct client *c, bool json);

/* Repeats a command every `seconds` until interrupted. */
int watch_run(struct client *c, const char *line, double seconds);

/*
 * "watch [-n SECONDS] COMMAND..." -> the interval, and *rest at the command. false: bad usage, told on
 * stderr.
 */
bool watch_parse(const char *line, double *seconds, const char **rest);
