/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "mt_crypto.h"
#include "mt_ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: meltemid -c NODE.yaml [-d DIRECTORY]... [--check [--strict] [--json]]\n"
	"                [--log-level LEVEL] [--log-format FORMAT] [--log-time] [--core-files]\n"
	"                [--no-seccomp]\n"
	"       meltemid -c NODE.yaml --rights [--unit|--udev]\n"
	"\n"
	"  -c, --config FILE      the Node document\n"
	"  -d, --directory DIR    a directory of documents, besides the Node's sources; "
	"repeatable\n"
	"      --check            read, check and compile everything, start nothing\n"
	"      --strict           with --check: warnings fail, too (calls are lost, or have\n"
	"                         another outcome than the documents specify); notes do not\n"
	"      --json             with --check: the status of each object, as JSON; with\n"
	"                         --analyse: the findings\n"
	"      --analyse          the same as --check, with problems of policies instead of "
	"counts;\n"
	"                         --principal P [--from A]: the calls that this caller may make\n"
	"      --rights           print the user, capabilities and devices that the ports need;\n"
	"                         --unit: as a drop-in of meltemid.service, --udev: as a rule\n"
	"      --metrics          print docs/reference/metrics.md: every metric, with its meaning\n"
	"      --commands         print the commands of meltemi(1) as a section of its manual "
	"page\n"
	"      --complete WORD... print what may replace the last word of a command of "
	"meltemi(1)\n"
	"      --log-level LEVEL  error, warn, info (default) or debug\n"
	"      --log-format FMT   text (default) or json\n"
	"      --log-time         put the time into each line\n"
	"      --core-files       let the kernel write core files: they hold keys of identities\n"
	"      --no-seccomp       do not limit the system calls of the running daemon\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n"
	"\n"
	"Exit codes: 0 ok, 1 run time, 2 the Node document; of --check: 0 no document is refused\n"
	"or last-good, 1 one is (with --strict: or a warning), 2 the Node document cannot be "
	"used;\n"
	"of --analyse: 1 something is found. SIGTERM drains, SIGHUP reloads.\n";

enum {
	OPT_CHECK = 256,
	OPT_STRICT,
	OPT_JSON,
	OPT_ANALYSE,
	OPT_PRINCIPAL,
	OPT_FROM,
	OPT_METRICS,
	OPT_COMMANDS,
	OPT_COMPLETE,
	OPT_LOG_LEVEL,
	OPT_LOG_FORMAT,
	OPT_LOG_TIME,
	OPT_CORE_FILES,
	OPT_RIGHTS,
	OPT_UNIT,
	OPT_UDEV,
	OPT_NO_SECCOMP
};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"directory", required_argument, NULL, 'd'},
	{"check", no_argument, NULL, OPT_CHECK},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"json", no_argument, NULL, OPT_JSON},
	{"analyse", no_argument, NULL, OPT_ANALYSE},
	{"principal", required_argument, NULL, OPT_PRINCIPAL},
	{"from", required_argument, NULL, OPT_FROM},
	{"metrics", no_argument, NULL, OPT_METRICS},
	{"commands", no_argument, NULL, OPT_COMMANDS},
	{"complete", no_argument, NULL, OPT_COMPLETE},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"log-format", required_argument, NULL, OPT_LOG_FORMAT},
	{"log-time", no_argument, NULL, OPT_LOG_TIME},
	{"core-files", no_argument, NULL, OPT_CORE_FILES},
	{"rights", no_argument, NULL, OPT_RIGHTS},
	{"unit", no_argument, NULL, OPT_UNIT},
	{"udev", no_argument, NULL, OPT_UDEV},
	{"no-seccomp", no_argument, NULL, OPT_NO_SECCOMP},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static int wrong(const char *what)
{
	fprintf(stderr, "meltemid: %s\n%s", what, usage);
	return EXIT_CONFIG;
}

static int log_level(struct args *a, const char *word)
{
	int level = mt_log_level_parse(word);

	if (level < 0)
		return wrong("--log-level must be error, warn, info or debug");
	mt_log_set_level((enum mt_log_level)level);
	a->log_level = level;
	a->debug = level == MT_LOG_DEBUG;
	return -1;
}

static int log_format(const char *word)
{
	int format = mt_log_format_parse(word);

	if (format < 0)
		return wrong("--log-format must be text or json");
	mt_log_set_format((enum mt_log_format)format);
	return -1;
}

/* Prints and frees the text. */
static int print_text(struct mt_text_buf *text)
{
	bool ok = !text->failed && (!text->p || fputs(text->p, stdout) >= 0) && fflush(stdout) == 0;

	mt_text_fini(text);
	return ok ? EXIT_OK : EXIT_RUN;
}

static int print_page(void (*write)(struct mt_text_buf *out))
{
	struct mt_text_buf page = {0};

	write(&page);
	return print_text(&page);
}

static int print_words(int n, char **words)
{
	struct mt_text_buf text = {0};

	mt_ctl_complete((const char *const *)words, (uint32_t)n, &text);
	return print_text(&text);
}

/* The field of an option without an argument; NULL: the option is not one of these. */
static bool *flag(struct args *a, int opt)
{
	switch (opt) {
	case OPT_CHECK:
		return &a->check;
	case OPT_STRICT:
		return &a->strict;
	case OPT_JSON:
		return &a->json;
	case OPT_CORE_FILES:
		return &a->core_files;
	case OPT_NO_SECCOMP:
		return &a->no_seccomp;
	case OPT_RIGHTS:
		return &a->rights;
	case OPT_UNIT:
		return &a->unit;
	case OPT_UDEV:
		return &a->udev;
	default:
		return NULL;
	}
}

static int one(struct args *a, int opt)
{
	bool *given = flag(a, opt);

	if (given) {
		*given = true;
		return -1;
	}
	switch (opt) {
	case 'c':
		a->node = optarg;
		return -1;
	case 'd':
		if (a->n_dirs == ARGS_DIRS_MAX)
			return wrong("too many directories");
		a->dirs[a->n_dirs++] = optarg;
		return -1;
	case OPT_ANALYSE:
		a->check = a->analyse = true;
		return -1;
	case OPT_PRINCIPAL:
		a->principal = optarg;
		return -1;
	case OPT_FROM:
		a->from = optarg;
		return -1;
	case OPT_LOG_LEVEL:
		return log_level(a, optarg);
	case OPT_LOG_FORMAT:
		return log_format(optarg);
	case OPT_LOG_TIME:
		mt_log_set_time(true);
		return -1;
	case OPT_METRICS:
		return print_page(mt_ctl_metrics_page);
	case OPT_COMMANDS:
		return print_page(mt_ctl_commands_page);
	case 'h':
		fputs(usage, stdout);
		return EXIT_OK;
	case 'V':
		printf("meltemid " MT_VERSION " (%s)\n", mt_crypto_library());
		return EXIT_OK;
	default:
		fputs(usage, stderr);
		return EXIT_CONFIG;
	}
}

int args_read(struct args *a, int argc, char **argv)
{
	int opt;

	memset(a, 0, sizeof(*a));
	a->log_level = -1;
	while ((opt = getopt_long(argc, argv, "c:d:hV", options, NULL)) != -1) {
		/* The words after it are of another program's command line. */
		int code = opt == OPT_COMPLETE ? print_words(argc - optind, argv + optind)
					       : one(a, opt);

		if (code >= 0)
			return code;
	}
	if (optind < argc)
		return wrong("there is an argument too many");
	if (a->strict && (!a->check || a->analyse))
		return wrong("--strict belongs to --check");
	if (a->json && !a->check)
		return wrong("--json belongs to --check");
	if ((a->principal || a->from) && !a->analyse)
		return wrong("--principal and --from belong to --analyse");
	if ((a->unit || a->udev) && !a->rights)
		return wrong("--unit and --udev belong to --rights");
	if (!a->node)
		return wrong("the Node document is missing (-c NODE.yaml)");
	return -1;
}
