/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's shell: one connection to the admin socket, one-shot or interactive. */
#pragma once

#include "mt_base.h"

#include <jansson.h>

/* Exit codes of the program. */
#define EXIT_DONE	 0
#define EXIT_REFUSED	 1 /* the daemon could not do it */
#define EXIT_USAGE	 2 /* no such command or option */
#define EXIT_UNREACHABLE 3 /* no daemon, or no permission to connect */
/* an answer's code: done, and something was found; the exit status is 1 */
#define ANSWER_FOUND 4

#define SOCKET_DEFAULT "/run/meltemi/admin.sock"
#define LINE_MAX_BYTES 1024 /* limit of the protocol */

/*
 * A daemon on another host, by TLS: its address, and the PEM files of our certificate and of its
 * roots.
 */
struct remote {
	char host[256];
	uint16_t port;
	const char *cert, *key, *ca;
	const char *server_name; /* the name that its certificate must have; NULL: the host */
};

struct client {
	const char *path;
	const struct remote *remote; /* NULL: connect to `path` */
	struct ssl_st *tls;	     /* for a remote daemon */
	char why[512];		     /* for a remote daemon: the last error */
	int fd;			     /* -1: not connected */
	int pid;		     /* of the process that listens at `path`; 0: unknown */
	int failed; /* errno of the last request without an answer; EAGAIN: none in time */
	char view[128];
};

/*
 * remote.c. False with c->why if the daemon cannot be reached, or either side does not accept the
 * other's certificate.
 */
bool remote_open(struct client *c, int timeout_s);
void remote_close(struct client *c);
/* As send() and recv(). */
ssize_t remote_send(struct client *c, const void *p, size_t n);
ssize_t remote_recv(struct client *c, void *p, size_t n);

/*
 * How to reach the daemon. Options take precedence over the environment, and that over
 * ~/.config/meltemi.
 */
struct settings {
	const char *socket, *connect, *cert, *key, *ca, *server_name; /* NULL: not given */
};

/*
 * settings.c. Completes what the options do not contain, and splits `connect` into *r (host "": use
 * the socket). False after a message.
 */
bool settings_complete(struct settings *s, struct remote *r);

/*
 * Longest wait in s for a place in the queue of the daemon's socket, and for an answer; less in
 * tests.
 */
extern unsigned client_connect_s, client_answer_s;

/* Connects; false after a message with the reason and a remedy. */
bool client_open(struct client *c, const char *path);
void client_close(struct client *c);

/*
 * Sends one request. Returns the exit code with *body (malloc'd, NUL-terminated), or
 * EXIT_UNREACHABLE with *body NULL after a message. Connects again first if the daemon has closed
 * the connection.
 */
int client_ask(struct client *c, const char *line, char **body);

/*
 * The same without messages, for requests that the user did not make. Sends the request a second
 * time, on a new connection, if there is no answer.
 */
int client_try(struct client *c, const char *line, char **body);

/*
 * Sends a request and prints the answer to stdout, or the error to stderr. Returns the exit code.
 */
int client_run(struct client *c, const char *line, bool pages);

/*
 * Makes an answer safe for a terminal: control characters, C1 ones too, become \xNN, because names
 * may come from the network. Replaces the malloc'd *text. Does nothing if `fd` is not a terminal.
 */
void screen_disarm(char **text, int fd);
/*
 * True if stdout cannot be written any more. Sets *code after a message, unless the reader has
 * closed a pipe (`| head`).
 */
bool screen_broken(int *code);
/*
 * Prints text to stdout, with colours where they are wanted. `pages`: through a pager if the screen
 * is too small.
 */
void screen_show(const char *text, bool pages);

/* A text member of an answer; "" if it has none. */
static inline const char *text_in(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

/* Prints JSON to stdout, and drops the reference. */
void screen_json(json_t *j);

/* Reads commands until the end of input; a terminal has editing, history and completion. */
int shell_run(struct client *c, bool json);
int terminal_run(struct client *c, bool json);
/* Runs one line of input and returns its exit code. *quit: the shell is to end. */
int shell_line(struct client *c, const char *line, bool json, bool *quit);
/* Removes blanks at both ends, in place. */
char *shell_strip(char *line);

/* The live view on the whole screen, until the user leaves it. Returns the exit code. */
int top_run(struct client *c);

/* Repeats a command every `seconds` until interrupted. */
int watch_run(struct client *c, const char *line, double seconds);

/*
 * Removes "--watch SECONDS" from a line, at any place: 1 if it was there, 0 if not, -1 for bad
 * usage.
 */
int watch_option(char *line, double *seconds);

/*
 * Parses "watch [-n SECONDS] COMMAND...": the interval, and *rest at the command. False after a
 * message if the usage is wrong.
 */
bool watch_parse(const char *line, double *seconds, const char **rest);
