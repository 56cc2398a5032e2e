/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the daemon: by options first, then by the environment, then by ~/.config/meltemi. */
#include "mt_bundle.h"
#include "shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *environment;
	size_t at;
} rows[] = {
	{"connect", "MELTEMI_CONNECT", offsetof(struct settings, connect)},
	{"socket", "MELTEMI_SOCKET", offsetof(struct settings, socket)},
	{"cert", "MELTEMI_CERT", offsetof(struct settings, cert)},
	{"key", "MELTEMI_KEY", offsetof(struct settings, key)},
	{"ca", "MELTEMI_CA", offsetof(struct settings, ca)},
	{"server-name", "MELTEMI_SERVER_NAME", offsetof(struct settings, server_name)},
};

#define SOCKET_ROW  1
#define CONNECT_ROW 0

static const char **place(struct settings *s, size_t row)
{
	return (const char **)((char *)s + rows[row].at);
}

/*
 * Takes a setting unless an earlier place has it. `decided`: an earlier place has a socket or a
 * remote daemon, so later ones count for neither.
 */
static void take(struct settings *s, size_t row, const char *value, bool decided)
{
	if (!value || !*value || *place(s, row))
		return;
	if (decided && (row == SOCKET_ROW || row == CONNECT_ROW))
		return;
	*place(s, row) = value;
}

static bool decided(const struct settings *s)
{
	return s->socket || s->connect;
}

static void from_environment(struct settings *s)
{
	bool before = decided(s);

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		take(s, i, getenv(rows[i].environment), before);
}

/*
 * Reads "name = value", with ~/ for the home directory. The text stays allocated while the program
 * runs.
 */
static bool from_line(struct settings *s, char *line, const char *home, bool before)
{
	char *name = shell_strip(line), *eq = strchr(name, '='), *value, *whole;

	if (!*name || *name == '#')
		return true;
	if (!eq)
		return false;
	*eq = '\0';
	value = shell_strip(eq + 1);
	name = shell_strip(name);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (asprintf(&whole, "%s%s", strncmp(value, "~/", 2) ? "" : home,
			    strncmp(value, "~/", 2) ? value : value + 1) < 0)
			return false;
		take(s, i, whole, before);
		if (*place(s, i) != whole)
			free(whole);
		return true;
	}
	return false;
}

static bool from_file(struct settings *s)
{
	const char *home = getenv("HOME");
	bool before = decided(s), good = true;
	unsigned int number = 0;
	char path[512], *line = NULL;
	size_t cap = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/.config/meltemi", home ? home : "");
	f = home ? fopen(path, "re") : NULL;
	if (!f)
		return true;
	while (good && getline(&line, &cap, f) >= 0) {
		number++;
		good = from_line(s, line, home, before);
	}
	free(line);
	fclose(f);
	if (!good)
		fprintf(stderr,
			"meltemi: %s:%u: not NAME = VALUE; the names are connect, socket, cert, "
			"key, ca, server-name\n",
			path, number);
	return good;
}

static bool take_apart(const struct settings *s, struct remote *r)
{
	if (mt_host_port(s->connect, r->host, sizeof(r->host), &r->port) || !r->port) {
		fprintf(stderr, "meltemi: --connect %s: not HOST:PORT\n", s->connect);
		return false;
	}
	if (!s->cert || !s->key || !s->ca) {
		fprintf(stderr, "meltemi: --connect needs --cert and --key (your certificate) and "
				"--ca (the authorities of the daemon's)\n");
		return false;
	}
	r->cert = s->cert;
	r->key = s->key;
	r->ca = s->ca;
	r->server_name = s->server_name;
	return true;
}

bool settings_complete(struct settings *s, struct remote *r)
{
	r->host[0] = '\0';
	from_environment(s);
	if (!from_file(s))
		return false;
	if (s->connect && !take_apart(s, r))
		return false;
	if (!s->socket)
		s->socket = SOCKET_DEFAULT;
	return true;
}
