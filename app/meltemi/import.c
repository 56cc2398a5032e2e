/* SPDX-License-Identifier: Apache-2.0 */
#include "import.h"
#include "options.h"
#include "print_error.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static const char usage[] =
	"usage: meltemi import [--json] [--all] [-o NODE.yaml] [--save DIR] [--force]\n            "
	"          [--device DEVICE] [--address ADDRESS/BITS] FILE|DIRECTORY|-...\n\nShows how "
	"Meltemi handles a mesh's objects: the services that are served, those that\nare closed, "
	"with cause and remedy, and the objects without effect. It reads files and\ndirectories of "
	"YAML or JSON as they are, and - is standard input:\n\n  kubectl get "
	"istio-io,services,endpointslices,pods,namespaces -A -o yaml |\n    meltemi import -\n\n  "
	"-o, --node FILE    writes the Node document to start with\n      --save DIR     copies "
	"files and standard input there, for that Node to read; a\n                     directory "
	"is read where it is\n      --force        existing files may be replaced\n      --device "
	"DEV   the Node's port (net_af_packet0,iface=p0)\n      --address A/B  the Node's own "
	"address there (192.0.2.1/24)\n      --all          every object on a line, nothing "
	"truncated\n      --json         the same as JSON: objects, services, files, node\n\nExit "
	"status: 0 nothing is refused, 1 something is refused, or no object is of a mesh,\n2 bad "
	"usage, or a file cannot be read or written, 3 meltemid is not next to meltemi.\n";

static volatile sig_atomic_t stopped;

bool import_stopped(void)
{
	return stopped;
}

static void stop(int signal)
{
	stopped = 1;
}

/* Without SA_RESTART, so that read() and waitpid() return and temporary files are removed. */
void import_signals(void)
{
	static const int which[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction s = {.sa_handler = stop};

	for (size_t i = 0; i < MT_ARRAY_LEN(which); i++)
		sigaction(which[i], &s, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- the command line ------------------------------------------------------------------------ */

static int read_options(struct import *m, int argc, char **argv)
{
	const struct option_row options[] = {{"node", 'o', .text = &m->out},
		{"save", .text = &m->save}, {"force", .flag = &m->force},
		{"device", .text = &m->device}, {"address", .text = &m->address},
		{"all", .flag = &m->all}, {"json", .flag = &m->json}, {NULL}};
	int code = options_read(options, NULL, true, usage, argc, argv);

	if (code >= 0)
		return code;
	if (optind == argc)
		return options_wrong(usage);
	m->n = (uint32_t)(argc - optind);
	if (m->n > IMPORT_INPUTS) {
		print_error(
			"more than %d files and directories: name the directory that holds them",
			IMPORT_INPUTS);
		return EXIT_USAGE;
	}
	m->inputs = calloc(m->n, sizeof(*m->inputs));
	for (uint32_t i = 0; m->inputs && i < m->n; i++)
		m->inputs[i].arg = argv[optind + (int)i];
	return m->inputs ? -1 : EXIT_REFUSED;
}

/* ---- the result ------------------------------------------------------------------------------ */

static bool is_of_a_mesh(const json_t *object)
{
	return strcmp(text_in(object, "status"), "ignored") != 0;
}

/* True if the inputs contain an object that is not ignored. */
static bool found_a_mesh(const struct import *m)
{
	json_t *row;
	size_t i;

	json_array_foreach(
		json_object_get(m->report, "objects"), i, row) if (is_of_a_mesh(row)) return true;
	return false;
}

static void print_json(struct import *m, bool written)
{
	json_object_set_new(m->report, "node", json_string(m->node));
	json_object_set_new(m->report, "written", written ? json_string(m->out) : json_null());
	screen_json(json_incref(m->report));
}

static void print_page(const struct import *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	import_page(m, f);
	fclose(f);
	fputs(text, stdout);
	free(text);
}

static int tell(struct import *m)
{
	bool found = found_a_mesh(m);
	int code = m->trouble || !found ? EXIT_REFUSED : EXIT_DONE;
	bool write = found && m->out;

	if (!import_node_make(m))
		return EXIT_USAGE;
	if (write && m->save && !import_save(m))
		return EXIT_USAGE;
	/* Headers for a collector, which may be added to it, can hold a token. */
	if (write && !import_write(m, m->out, m->node, strlen(m->node), 0640))
		return EXIT_USAGE;
	if (m->json)
		print_json(m, write);
	else
		print_page(m);
	if (fflush(stdout) || ferror(stdout)) {
		print_error("the answer cannot be written: %s", strerror(errno));
		return EXIT_REFUSED;
	}
	return code;
}

/*
 * Checks that what the written Node will read exists when it starts (standard input and files need
 * --save), and that its own file may be written.
 */
static bool is_kept(const struct import *m)
{
	for (uint32_t i = 0; m->out && !m->save && i < m->n; i++)
		if (!m->inputs[i].directory) {
			print_error("%s is not a directory: --save DIR keeps a copy for the Node "
				    "to read",
				m->inputs[i].stream ? "standard input" : m->inputs[i].arg);
			return false;
		}
	return !m->out || import_may_write(m, m->out);
}

static int run(struct import *m)
{
	int code = EXIT_USAGE;

	import_signals();
	if (import_read(m) && is_kept(m) && !stopped)
		code = import_check(m);
	if (stopped)
		code = EXIT_REFUSED;
	/* From here on no temporary file is needed, except as the source of copies to save. */
	if (code == EXIT_DONE)
		code = tell(m);
	import_clean(m);
	return code;
}

int import_run(int argc, char **argv, bool json)
{
	struct import m = {
		.device = "net_af_packet0,iface=p0", .address = "192.0.2.1/24", .json = json};
	int code = read_options(&m, argc, argv);

	if (code < 0)
		code = run(&m);
	json_decref(m.report);
	free(m.node);
	free(m.inputs);
	return code;
}
