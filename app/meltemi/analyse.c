/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi analyse --directory DIR`: reports on documents in files what `analyse` reports on a
 * running node. Runs meltemid --analyse with the given Node document, or with one made for the
 * directories as `import` makes it. Needs neither a daemon nor privileges.
 */
#include "daemon_path.h"
#include "import.h"
#include "print_error.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] [--json] analyse [principal=PRINCIPAL] [from=ADDRESS]\n"
	"       meltemi [--json] analyse [--config NODE.yaml] --directory DIR...\n"
	"                                [principal=PRINCIPAL] [from=ADDRESS]\n"
	"\n"
	"Lists problems of policies: services that are open, rules that never decide,\n"
	"traffic in plaintext, names that no caller has, each with file and line. Analyses what\n"
	"a running node applies; with --directory documents, without a node, for a pipeline.\n"
	"\n"
	"  -c, --config FILE    the Node document; without it one is made for the directories\n"
	"  -d, --directory DIR  documents: a directory with all below it, or a file; repeatable\n"
	"      --json           the same as JSON\n"
	"      principal=P      the services that a caller of that name may call, and the rules\n"
	"                       (cluster.local/ns/a/sa/b; nothing: a caller in plaintext)\n"
	"      from=A           from that address\n"
	"\n"
	"Exit status: 0 nothing is found, or notes alone, 1 something is, 2 bad usage, or the\n"
	"Node document cannot be used, 3 no daemon answers, or meltemid is not found.\n";

struct ask {
	const char *config, *principal, *from;
	const char *dirs[IMPORT_INPUTS];
	uint32_t n;
	bool json, help, wrong;
};

/*
 * Returns the value of an option written as "NAME VALUE" or "NAME=VALUE"; NULL if the word is not
 * this option, or has no value.
 */
static const char *value_of(const char *name, char **argv, int *at)
{
	size_t len = strlen(name);

	if (strncmp(argv[*at], name, len) != 0)
		return NULL;
	if (argv[*at][len] == '=')
		return argv[*at] + len + 1;
	return argv[*at][len] == '\0' && argv[*at + 1] ? argv[++*at] : NULL;
}

static void add_directory(struct ask *a, const char *dir)
{
	if (a->n < IMPORT_INPUTS)
		a->dirs[a->n++] = dir;
	else
		a->wrong = true;
}

static void read_word(struct ask *a, char **argv, int *at)
{
	const char *v;

	if ((v = value_of("--directory", argv, at)) || (v = value_of("-d", argv, at)))
		add_directory(a, v);
	else if ((v = value_of("--config", argv, at)) || (v = value_of("-c", argv, at)))
		a->config = v;
	else if (strncmp(argv[*at], "principal=", 10) == 0)
		a->principal = argv[*at] + 10;
	else if (strncmp(argv[*at], "from=", 5) == 0)
		a->from = argv[*at] + 5;
	else if (strcmp(argv[*at], "--json") == 0)
		a->json = true;
	else if (strcmp(argv[*at], "--help") == 0 || strcmp(argv[*at], "-h") == 0)
		a->help = true;
	else
		a->wrong = true;
}

/* Writes the arguments of meltemid other than the Node document's; returns their number. */
static uint32_t arguments(const struct ask *a, const char **argv)
{
	uint32_t n = 0;

	argv[n++] = "--analyse";
	if (a->json)
		argv[n++] = "--json";
	if (a->principal) {
		argv[n++] = "--principal";
		argv[n++] = a->principal;
	}
	if (a->from) {
		argv[n++] = "--from";
		argv[n++] = a->from;
	}
	return n;
}

/* The operator has given the Node document: replaces this program by meltemid. */
static int with_node(const struct ask *a)
{
	const char *argv[2 * IMPORT_INPUTS + IMPORT_ARGS + 4] = {"meltemid", "-c", a->config};
	char program[PATH_MAX];
	uint32_t n = 3;

	for (uint32_t i = 0; i < a->n; i++) {
		argv[n++] = "-d";
		argv[n++] = a->dirs[i];
	}
	n += arguments(a, argv + n);
	argv[n] = NULL;
	daemon_path(program, sizeof(program));
	execvp(program, (char **)argv);
	print_error("meltemid cannot be run: %s", strerror(errno));
	return EXIT_UNREACHABLE;
}

static int without_node(const struct ask *a)
{
	struct import m = {.device = "net_af_packet0,iface=p0", .address = "192.0.2.1/24"};
	int code = EXIT_USAGE;

	m.inputs = calloc(a->n, sizeof(*m.inputs));
	if (!m.inputs)
		return EXIT_REFUSED;
	m.n = a->n;
	for (uint32_t i = 0; i < a->n; i++)
		m.inputs[i].arg = a->dirs[i];
	(void)arguments(a, m.args);
	import_signals();
	if (import_read(&m) && !import_stopped())
		code = import_analyse(&m);
	import_clean(&m);
	free(m.inputs);
	return import_stopped() ? EXIT_REFUSED : code;
}

int analyse_run(int argc, char **argv, bool json)
{
	static struct ask a;

	a.json = json;
	for (int i = 1; i < argc; i++)
		read_word(&a, argv, &i);
	if (a.help) {
		fputs(usage, stdout);
		return EXIT_DONE;
	}
	if (!a.n && !a.config)
		return -1;
	if (a.wrong) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return a.config ? with_node(&a) : without_node(&a);
}
