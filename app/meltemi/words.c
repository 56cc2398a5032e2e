/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_path.h"
#include "mt_log.h"
#include "words.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct own_word {
	const char *word, *help;
};

/* The shell's own commands, which start a line. */
static const struct own_word own[] = {
	{"watch", "repeat a command: watch [-n SECONDS] COMMAND"},
	{"top", "a live view of the whole screen"},
	{"quit", "leave the shell"},
};

/* Leaves out a leading `watch [-n SECONDS]`. */
static const char *behind_watch(const char *line, size_t *len)
{
	const char *p = line, *end = line + *len;

	while (p < end && isspace((unsigned char)*p))
		p++;
	*len = (size_t)(end - p);
	if (*len < 6 || strncmp(p, "watch ", 6) != 0)
		return p;
	p += 6;
	if (end - p > 3 && strncmp(p, "-n ", 3) == 0) {
		p += 3;
		while (p < end && !isspace((unsigned char)*p))
			p++;
	}
	*len = (size_t)(end - p);
	return p;
}

static void add_own(struct words *w, const char *line, size_t len, const char *part)
{
	json_t *list = json_object_get(w->answer, "words");

	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)line[i]))
			return;
	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		if (strncmp(own[i].word, part, strlen(part)) == 0)
			json_array_append_new(list,
				json_pack("{s:s, s:s}", "word", own[i].word, "help", own[i].help));
}

struct words words_ask(struct client *c, const char *line, size_t len, const char *part)
{
	char request[LINE_MAX_BYTES + 1];
	const char *rest = behind_watch(line, &len);
	struct words w = {0};
	char *body;
	int n = snprintf(
		request, sizeof(request), "--json complete %.*s %s*", (int)len, rest, part);

	if (n < 0 || (size_t)n >= sizeof(request))
		return w;
	/* An error has a body, too. */
	if (client_try(c, request, &body) == EXIT_DONE)
		w.answer = json_loads(body, 0, NULL);
	free(body);
	add_own(&w, line, (size_t)(rest + len - line), part);
	w.n = json_array_size(json_object_get(w.answer, "words"));
	return w;
}

const char *words_at(const struct words *w, size_t i, const char **help)
{
	const json_t *row = json_array_get(json_object_get(w->answer, "words"), i);

	*help = text_in(row, "help");
	return text_in(row, "word");
}

const char *words_wanted(const struct words *w)
{
	return text_in(w->answer, "wants");
}

bool words_more(const struct words *w)
{
	return json_is_true(json_object_get(w->answer, "more"));
}

void words_free(struct words *w)
{
	json_decref(w->answer);
	w->answer = NULL;
}

/* ---- completion for bash, zsh and fish ------------------------------------------------------- */

/* Commands of this program, which are known without a daemon. */
static const struct own_word programs[] = {
	{"codec", "test a codec file: test FILE [SAMPLES]"},
	{"completion", "a script that lets bash, zsh or fish complete"},
	{"doctor", "problems of the daemon and the host, with remedies"},
	{"import", "how a node would handle a mesh's objects"},
	{"join", "become a member of an Istio mesh"},
	{"nic", "network cards of this host"},
	{"support", "one archive for a bug report"},
};

static const struct own_word of_codec[] = {
	{"test", "check a codec file, and read messages by it"},
	{"--all", "all messages, and all bytes of places"},
	{"--json", "the same as JSON"},
	{"--port", "of servers in captures"},
};

static const struct own_word of_import[] = {
	{"--address", "the Node's own address: ADDRESS/BITS"},
	{"--all", "every object on a line, nothing cut short"},
	{"--device", "the Node's port"},
	{"--force", "files that are there may be replaced"},
	{"--json", "the same as JSON"},
	{"--node", "writes the Node document to start with"},
	{"--save", "copies files and standard input to a directory"},
};

static const struct own_word of_nic[] = {
	{"bind", "give a card to DPDK: ADDRESS"},
	{"confirm", "keep a card that was bound"},
	{"list", "all cards"},
	{"release", "return a card to the kernel's driver: ADDRESS"},
	{"show", "one card, and what to do next: ADDRESS or INTERFACE"},
	{"write", "add a card to a Node document: ADDRESS"},
	{"--address", "an address of the port: ADDRESS/BITS"},
	{"--check", "show the change, write nothing"},
	{"--confirm-within", "roll back after this time unless confirmed (60s)"},
	{"--driver", "another driver than vfio-pci"},
	{"--force", "also if the card is in use"},
	{"--json", "the same as JSON"},
	{"--name", "of the port"},
	{"--no-iommu", "without IOMMU: the card can access all memory"},
	{"--node", "the Node document"},
	{"--rights", "also the rights of the unit"},
	{"--timeout", "of each write to sysfs (10s)"},
};

/* Options that may stand before the command. */
static const struct own_word options[] = {
	{"--ca", "authorities of a remote daemon's certificate"},
	{"--cert", "our certificate for a remote daemon"},
	{"--connect", "a daemon of another machine: HOST:PORT"},
	{"--help", "the usage"},
	{"--json", "answers as JSON"},
	{"--key", "the key of --cert"},
	{"--server-name", "the name in a remote daemon's certificate"},
	{"--socket", "the daemon's admin.socket"},
	{"--version", "the version of this program"},
	{"--watch", "repeats the command every so many seconds"},
};

static void print_own(const struct own_word *v, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(v[i].word, part, strlen(part)) == 0)
			printf("%s\t%s\n", v[i].word, v[i].help);
}

static void print_found(const struct words *w)
{
	char safe[512];

	for (size_t i = 0; i < w->n; i++) {
		const char *help, *word = words_at(w, i, &help);

		/* Names may come from documents and from the network. */
		mt_escape(safe, sizeof(safe), word);
		printf("%s\t%s\n", safe, help);
	}
}

/*
 * No daemon answers: meltemid of the same build knows the commands without names of a node. It
 * replaces this program.
 */
static int print_static(char **given, int n)
{
	char path[PATH_MAX], *argv[LINE_MAX_BYTES + 3] = {"meltemid", "--complete"};

	if (n <= 1)
		print_own(own, MT_ARRAY_LEN(own), n ? given[0] : "");
	if ((size_t)n >= MT_ARRAY_LEN(argv) - 2)
		return EXIT_USAGE;
	memcpy(argv + 2, given, (size_t)n * sizeof(*given));
	fflush(stdout);
	daemon_path(path, sizeof(path));
	execvp(path, argv);
	return EXIT_UNREACHABLE;
}

int words_print(struct client *c, char **given, int n)
{
	char line[LINE_MAX_BYTES];
	struct words w;
	size_t len = 0;

	if (n == 1 && given[0][0] == '-') {
		print_own(options, MT_ARRAY_LEN(options), given[0]);
		return EXIT_DONE;
	}
	if (n <= 1)
		print_own(programs, MT_ARRAY_LEN(programs), n ? given[0] : "");
	if (n > 1 && strcmp(given[0], "import") == 0) {
		/* Otherwise it is a file name, which the system's shell completes. */
		if (given[n - 1][0] == '-')
			print_own(of_import, MT_ARRAY_LEN(of_import), given[n - 1]);
		return EXIT_DONE;
	}
	if (n > 1 && strcmp(given[0], "codec") == 0) {
		if (n == 2 || given[n - 1][0] == '-')
			print_own(of_codec, MT_ARRAY_LEN(of_codec), given[n - 1]);
		return EXIT_DONE;
	}
	if (n > 1 && strcmp(given[0], "nic") == 0) {
		if (n == 2 || given[n - 1][0] == '-')
			print_own(of_nic, MT_ARRAY_LEN(of_nic), given[n - 1]);
		return EXIT_DONE;
	}
	line[0] = '\0';
	for (int i = 0; i + 1 < n && len < sizeof(line); i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ", given[i]);
	if (len >= sizeof(line))
		return EXIT_USAGE;
	w = words_ask(c, line, len, n ? given[n - 1] : "");
	if (!w.answer)
		return print_static(given, n);
	print_found(&w);
	words_free(&w);
	return EXIT_DONE;
}
