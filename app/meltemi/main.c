/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"
#include "join.h"
#include "support.h"
#include "words.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] [--json] [COMMAND...]\n"
	"       meltemi [-s SOCKET] [--json] watch [-n SECONDS] COMMAND...\n"
	"       meltemi [-s SOCKET] top\n"
	"       meltemi completion bash|zsh|fish\n"
	"       meltemi [--json] join [--check] [-o OUTDIR] BUNDLE\n"
	"       meltemi [-s SOCKET] [--json] doctor [--all]\n"
	"       meltemi [-s SOCKET] support [-o FILE] [--redact-names]\n"
	"\n"
	"Asks a running meltemid. Without a command it reads commands from a terminal (with\n"
	"completion by Tab, help by ?, history) or from standard input. `meltemi join` makes\n"
	"this machine a member of an Istio mesh; it needs no daemon.\n"
	"\n"
	"  -s, --socket SOCKET  the daemon's admin.socket (default $MELTEMI_SOCKET, else\n"
	"                       " SOCKET_DEFAULT ")\n"
	"      --json           answers as JSON\n"
	"      --watch SECONDS  repeats the command until interrupted\n"
	"  -h, --help           this text; `meltemi help` lists the daemon's commands\n"
	"  -V, --version        the version of this program\n"
	"\n"
	"Exit status: 0 done, 1 the daemon could not do it, 2 no such command or option,\n"
	"3 no daemon answers.\n";

struct options {
	const char *socket;
	bool json, complete;
	const char *watch; /* NULL, or seconds */
};

/* -1: go on; else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"watch", required_argument, NULL, 'w'},
		{"complete", no_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
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
		case 'w':
			o->watch = optarg;
			break;
		case 'c':
			o->complete = true;
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
static bool in_one_line(char *line, size_t size, const char *watch, char **words)
{
	size_t n = watch ? (size_t)snprintf(line, size, "--watch %s ", watch) : 0;

	line[n] = '\0';
	for (; *words; words++) {
		n += (size_t)snprintf(line + n, size - n, "%s%s", *words, words[1] ? " " : "");
		if (n >= size)
			return false;
	}
	return true;
}

/* While a command is typed: no word about a daemon that is not there. */
static int complete_words(struct client *c, const char *socket, char **words, int n)
{
	c->path = socket;
	return words_print(c, words, n);
}

int main(int argc, char **argv)
{
	const char *env = getenv("MELTEMI_SOCKET");
	struct options o = {.socket = env && *env ? env : SOCKET_DEFAULT};
	struct client c = {.fd = -1};
	char line[LINE_MAX_BYTES + 64];
	int code = read_options(&o, argc, argv);
	bool quit;

	if (code >= 0)
		return code;
	if (optind < argc && strcmp(argv[optind], "join") == 0)
		return join_run(argc - optind, argv + optind, o.json);
	if (optind < argc && strcmp(argv[optind], "doctor") == 0)
		return doctor_run(argc - optind, argv + optind, o.socket, o.json);
	if (optind < argc && strcmp(argv[optind], "support") == 0)
		return support_run(argc - optind, argv + optind, o.socket);
	if (optind < argc && strcmp(argv[optind], "completion") == 0)
		return completion_script(argv[optind + 1]);
	if (!in_one_line(line, sizeof(line), o.watch, argv + optind)) {
		fprintf(stderr, "meltemi: the command is too long\n");
		return EXIT_USAGE;
	}
	if (o.complete)
		return complete_words(&c, o.socket, argv + optind, argc - optind);
	if (!client_open(&c, o.socket))
		return EXIT_UNREACHABLE;
	code = optind == argc ? shell_run(&c, o.json) : shell_line(&c, line, o.json, &quit);
	client_close(&c);
	return code;
}
