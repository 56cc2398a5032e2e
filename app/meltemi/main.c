/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"
#include "shell.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] [--json] [COMMAND...]\n"
	"       meltemi [-s SOCKET] [--json] watch [-n SECONDS] COMMAND...\n"
	"       meltemi [--json] join [--check] [-o OUTDIR] BUNDLE\n"
	"\n"
	"Asks a running meltemid. Without a command it reads commands from a terminal (with\n"
	"completion by Tab, help by ?, history) or from standard input. `meltemi join` makes\n"
	"this machine a member of an Istio mesh; it needs no daemon.\n"
	"\n"
	"  -s, --socket SOCKET  the daemon's admin.socket (default $MELTEMI_SOCKET, else\n"
	"                       " SOCKET_DEFAULT ")\n"
	"      --json           answers as JSON\n"
	"  -h, --help           this text; `meltemi help` lists the daemon's commands\n"
	"  -V, --version        the version of this program\n"
	"\n"
	"Exit status: 0 done, 1 the daemon could not do it, 2 no such command or option,\n"
	"3 no daemon answers.\n";

struct options {
	const char *socket;
	bool json;
};

/* -1: go on; else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'}, {0}};
	int c;

	/* +: options behind the command are the daemon's. */
	while ((c = getopt_long(argc, argv, "+s:hV", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->socket = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_DONE;
		case 'V':
			printf("meltemi %s\n", MT_VERSION);
			return EXIT_DONE;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	return -1;
}

/* The words of the command as one line; false: too long. */
static bool in_one_line(char *line, size_t size, bool json, char **words)
{
	size_t n = json ? (size_t)snprintf(line, size, "--json ") : 0;

	line[n] = '\0';
	for (; *words; words++) {
		n += (size_t)snprintf(line + n, size - n, "%s%s", *words, words[1] ? " " : "");
		if (n >= size)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *env = getenv("MELTEMI_SOCKET");
	struct options o = {.socket = env && *env ? env : SOCKET_DEFAULT};
	struct client c = {.fd = -1};
	char line[LINE_MAX_BYTES + 64], with_json[sizeof(line) + 16];
	const char *command;
	double seconds;
	int code = read_options(&o, argc, argv);
	bool watch = optind < argc && strcmp(argv[optind], "watch") == 0;

	if (code >= 0)
		return code;
	if (optind < argc && strcmp(argv[optind], "join") == 0)
		return join_run(argc - optind, argv + optind, o.json);
	if (!in_one_line(line, sizeof(line), o.json && !watch, argv + optind)) {
		fprintf(stderr, "meltemi: the command is too long\n");
		return EXIT_USAGE;
	}
	command = line;
	if (watch && !watch_parse(line, &seconds, &command))
		return EXIT_USAGE;
	if (!client_open(&c, o.socket))
		return EXIT_UNREACHABLE;
	if (optind == argc) {
		code = shell_run(&c, o.json);
	} else if (watch) {
		snprintf(with_json, sizeof(with_json), "%s%s", o.json ? "--json " : "", command);
		code = watch_run(&c, with_json, seconds);
	} else {
		code = client_run(&c, line);
	}
	client_close(&c);
	return code;
}
