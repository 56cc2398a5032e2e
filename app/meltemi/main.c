/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"
#include "doctor.h"
#include "import.h"
#include "join.h"
#include "nic.h"
#include "options.h"
#include "support.h"
#include "words.h"

#include "mt_std.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] [--json] [COMMAND...]\n"
	"       meltemi [-s SOCKET] [--json] watch [-n SECONDS] COMMAND...\n"
	"       meltemi [-s SOCKET] top\n"
	"       meltemi [-s SOCKET] capture FILE|- [EXPRESSION] [count N] [seconds N]\n"
	"       meltemi --connect HOST:PORT --cert FILE --key FILE --ca FILE ...\n"
	"       meltemi completion bash|zsh|fish\n"
	"       meltemi [--json] join [--check] [-o OUTDIR] BUNDLE\n"
	"       meltemi [--json] import [--all] [-o NODE.yaml] FILE|DIRECTORY|-...\n"
	"       meltemi [--json] analyse [--config NODE.yaml] --directory DIR...\n"
	"       meltemi [--json] codec test FILE [SAMPLES]...\n"
	"       meltemi [-s SOCKET] [--json] doctor [--all]\n"
	"       meltemi [-s SOCKET] [--json] nic [COMMAND]\n"
	"       meltemi [-s SOCKET] support [-o FILE]\n"
	"\n"
	"Queries a running meltemid. Without a command it reads commands from a terminal (with\n"
	"completion by Tab, help by ?, history) or from standard input. `meltemi join` makes\n"
	"this machine a member of an Istio mesh, `meltemi import` shows how a node would handle\n"
	"a mesh's objects, `meltemi analyse --directory DIR` finds problems of policies in files,\n"
	"`meltemi codec test FILE` checks a codec file; none of them needs a daemon.\n"
	"\n"
	"  -s, --socket SOCKET  the daemon's admin.socket (default $MELTEMI_SOCKET, else\n"
	"                       " SOCKET_DEFAULT ")\n"
	"      --connect H:P    a daemon of another machine, by TLS (its admin.tls.listen)\n"
	"      --cert FILE      our certificate, --key FILE its key, --ca FILE the\n"
	"                       authorities of the daemon's\n"
	"      --server-name N  the name (or spiffe:// URI) that the daemon's certificate\n"
	"                       must have; default: the host\n"
	"      --json           answers as JSON\n"
	"      --watch SECONDS  repeats the command until interrupted\n"
	"  -h, --help           this text; `meltemi help` lists the daemon's commands; after\n"
	"                       a command: its description\n"
	"  -V, --version        the version of this program\n"
	"\n"
	"Exit status: 0 done, 1 the daemon could not do it, 2 no such command or option,\n"
	"3 no daemon answers.\n";

struct options {
	struct settings at;
	bool json, complete;
	const char *watch; /* NULL, or the interval in seconds */
};

/* Options after the command are for the daemon. Returns -1 to go on, else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
	bool version = false;
	const struct option_row options[] = {{"socket", 's', .text = &o->at.socket},
		{"connect", .text = &o->at.connect}, {"cert", .text = &o->at.cert},
		{"key", .text = &o->at.key}, {"ca", .text = &o->at.ca},
		{"server-name", .text = &o->at.server_name}, {"json", .flag = &o->json},
		{"watch", .text = &o->watch}, {"complete", .flag = &o->complete},
		{"version", 'V', .flag = &version}, {NULL}};
	int code = options_read(options, NULL, false, usage, argc, argv);

	if (!version)
		return code;
	printf("meltemi %s\n", MT_VERSION);
	return EXIT_DONE;
}

/* Joins the words of the command to one line; false if it is too long. */
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

/* While the user types there is no message about a missing daemon. */
static int complete_words(struct client *c, const char *socket, char **words, int n)
{
	c->path = socket;
	return words_print(c, words, n);
}

/* True for `top --help` and the like, which the daemon does not know. */
static bool asks_usage(int n, char **words)
{
	static const char *const own[] = {"top", "watch", "completion"};

	if (n < 2 || strcmp(words[n - 1], "--help") != 0)
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		if (strcmp(words[0], own[i]) == 0)
			return true;
	return false;
}

/* Runs commands that need no daemon, or that find it by themselves. -1 if this is none of them. */
static int run_own(const struct options *o, const struct remote *r, int n, char **words)
{
	const char *first = n ? words[0] : "";

	if (asks_usage(n, words)) {
		fputs(usage, stdout);
		return EXIT_DONE;
	}
	if (strcmp(first, "join") == 0)
		return join_run(n, words, o->json);
	if (strcmp(first, "import") == 0)
		return import_run(n, words, o->json);
	if (strcmp(first, "analyse") == 0)
		return analyse_run(n, words, o->json);
	if (strcmp(first, "codec") == 0)
		return codec_run(n, words, o->json);
	if (strcmp(first, "completion") == 0)
		return completion_script(words[1]);
	if (strcmp(first, "doctor") != 0 && strcmp(first, "support") != 0 &&
		strcmp(first, "nic") != 0)
		return -1;
	if (r->host[0]) {
		fprintf(stderr,
			"meltemi: %s examines the machine that it runs on: `ssh %s meltemi %s`\n",
			first, r->host, first);
		return EXIT_USAGE;
	}
	if (strcmp(first, "support") == 0)
		return support_run(n, words, o->at.socket);
	if (strcmp(first, "nic") == 0)
		return nic_run(n, words, o->at.socket, o->json);
	return doctor_run(n, words, o->at.socket, o->json);
}

static int run(int argc, char **argv)
{
	static struct options o; /* the strings that it points to are never freed */
	struct remote remote;
	struct client c = {.fd = -1};
	char line[LINE_MAX_BYTES + 64];
	int code = read_options(&o, argc, argv);
	bool quit;

	if (code >= 0)
		return code;
	if (!settings_complete(&o.at, &remote))
		return EXIT_USAGE;
	if (remote.host[0])
		c.remote = &remote;
	/* Before run_own(), because a command that is still being typed must not run. */
	if (o.complete)
		return complete_words(&c, o.at.socket, argv + optind, argc - optind);
	code = run_own(&o, &remote, argc - optind, argv + optind);
	if (code >= 0)
		return code;
	if (!in_one_line(line, sizeof(line), o.watch, argv + optind)) {
		fprintf(stderr, "meltemi: the command is too long\n");
		return EXIT_USAGE;
	}
	if (!client_open(&c, o.at.socket))
		return EXIT_UNREACHABLE;
	code = optind == argc ? shell_run(&c, o.json) : shell_line(&c, line, o.json, &quit);
	client_close(&c);
	return code;
}

int main(int argc, char **argv)
{
	mt_std_hold();
	return mt_std_written("meltemi", run(argc, argv));
}
