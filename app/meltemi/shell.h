/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's shell: one connection to the admin socket, one-shot or interactive. */
#pragma once

#include "mt_base.h"

/* Exit codes of the program. */
#define EXIT_DONE	 0
#define EXIT_REFUSED	 1 /* the daemon could not do it */
#define EXIT_USAGE	 2 /* no such command or option */
#define EXIT_UNREACHABLE 3 /* no daemon, or no right to talk to it */
#define ANSWER_FOUND	 4 /* of an answer: done, and something was found; the exit status is 1 */

#define SOCKET_DEFAULT "/run/meltemi/admin.sock"
#define LINE_MAX_BYTES 1024 /* of the protocol */

/* A daemon of another machine, by TLS: who it is, and what shows who we are. PEM files. */
struct remote {
	char host[256];
	uint16_t port;
	const char *cert, *key, *ca;
	const char *server_name; /* that its certificate must have; NULL: the host */
};

struct client {
	const char *path;
	const struct remote *remote; /* NULL: by `path` */
	struct ssl_st *tls;	     /* of remote */
	char why[512];		     /* remote: what went wrong last */
	int fd;			     /* -1: not connected */
	char view[128];
};

/* remote.c. False, with c->why: it cannot be reached, or one side does not believe the other. */
bool remote_open(struct client *c, int timeout_s);
void remote_close(struct client *c);
/* As send() and recv(). */
ssize_t remote_send(struct client *c, const void *p, size_t n);
ssize_t remote_recv(struct client *c, void *p, size_t n);

/* Where the daemon is, by what was said first: options, environment, ~/.config/meltemi. */
struct settings {
	const char *socket, *connect, *cert, *key, *ca, *server_name; /* NULL: not said */
};

/* settings.c. Fills up what the options left open, and takes `connect` apart into *r (host "": by the socket). False: told on stderr. */
bool settings_complete(struct settings *s, struct remote *r);

/* Connects, or says on stderr why not and what to do. */
bool client_open(struct client *c, const char *path);
void client_close(struct client *c);

/*
 * One request. The exit code, and *body (malloc'd, NUL-terminated); or EXIT_UNREACHABLE and *body NULL
 * with the reason on stderr. A connection that the daemon closed meanwhile is opened once more.
 */
int client_ask(struct client *c, const char *line, char **body);

/* The same, silent when nobody answers: for what the user did not ask for. */
int client_try(struct client *c, const char *line, char **body);

/* Asks and prints: the answer to stdout, a refusal to stderr. The exit code. */
int client_run(struct client *c, const char *line, bool pages);

/*
 * An answer as a terminal may get it: control characters of names that came over the wire, C1 ones too, are shown as \xNN. In
 * place of `*text`, which is malloc'd. In pipes it is left as it is.
 */
void screen_disarm(char **text, int fd);
/*
 * Whether stdout takes no more: told, and *code says so, but for a reader that has seen enough (`| head`).
 */
bool screen_broken(int *code);
/* Text to stdout, in colours where they are wanted; `pages`: by a pager if the screen is too small. */
void screen_show(const char *text, bool pages);

/* Reads commands until the end of input; a terminal gets editing, history and completion. */
int shell_run(struct client *c, bool json);
int terminal_run(struct client *c, bool json);
/* One line of input; *quit: the shell ends. The exit code of the command. */
int shell_line(struct client *c, const char *line, bool json, bool *quit);
/* Without the blanks around it, in place. */
char *shell_strip(char *line);

/* The live view of the whole screen, until it is left. The exit code. */
int top_run(struct client *c);

/* Repeats a command every `seconds` until interrupted. */
int watch_run(struct client *c, const char *line, double seconds);

/*
 * "watch [-n SECONDS] COMMAND..." -> the interval, and *rest at the command. false: bad usage, told on
 * stderr.
 */
/* Cuts "--watch SECONDS" off a line, wherever it stands: 1 it was there, 0 not, -1 bad usage. */
int watch_option(char *line, double *seconds);

bool watch_parse(const char *line, double *seconds, const char **rest);
