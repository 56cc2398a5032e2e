/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run [--list] [--list-breaks] [--break NAME|all] [--json] [--verbose] [CASE...]
 * A CASE is a name of a file in the folder of cases, or a path to a script.
 */
#include "stack.h"

#include <dirent.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES_MAX 512

static struct sc_script scripts[CASES_MAX];
static uint32_t n_scripts;
static struct sc_run run; /* large */

struct result {
	uint32_t cases, failed, runs;
	char first[64];	  /* the first case that failed */
	char error[4096]; /* and why */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sc_script *)a)->name, ((const struct sc_script *)b)->name);
}

static bool add(const char *path)
{
	if (n_scripts == CASES_MAX || sc_load(&scripts[n_scripts], path)) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return false;
	}
	n_scripts++;
	return true;
}

static bool add_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool ok = true;

	if (!d) {
		fprintf(stderr, "%s: no such folder\n", folder);
		return false;
	}
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);
		char path[512];

		if (n < 5 || !sc_is(e->d_name + n - 4, ".tcp"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		ok = add(path) && ok;
	}
	closedir(d);
	qsort(scripts, n_scripts, sizeof(scripts[0]), by_name);
	return ok;
}

static bool add_named(const char *name)
{
	char path[512];

	if (strchr(name, '/'))
		return add(name);
	snprintf(path, sizeof(path), "%s/%s.tcp", SC_CASES, name);
	if (access(path, R_OK)) {
		fprintf(stderr, "no case is called %s: see --list\n", name);
		return false;
	}
	return add(path);
}

/* All the ways in which a script may run; the first failure ends it. */
static bool run_variants(const struct sc_script *s, struct result *res)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct sc_variant v = {.v6 = i & 1, .ts = !(i & 2), .slow = i & 4};

		if ((s->fix_family && v.v6 != s->v6) || (s->fix_ts && v.ts != s->ts))
			continue;
		res->runs++;
		if (sc_run(&run, s, v))
			continue;
		if (!res->failed++) {
			snprintf(res->first, sizeof(res->first), "%.63s", s->name);
			snprintf(res->error, sizeof(res->error), "%s", run.error);
		}
		return false;
	}
	return true;
}

static void run_all(struct result *res, bool verbose, bool stop)
{
	sc_stack_boot();
	memset(res, 0, sizeof(*res));
	for (uint32_t i = 0; i < n_scripts; i++) {
		bool ok = run_variants(&scripts[i], res);

		res->cases++;
		if (verbose)
			printf("%-6s %s\n", ok ? "ok" : "FAILED", scripts[i].name);
		if (!ok && !stop)
			printf("%s\n", run.error);
		if (!ok && stop)
			return;
	}
}

/* One break in a process of its own: a broken rule may end in an assertion. */
static bool caught(const char *name, struct result *res)
{
	int fd[2], status = 0;
	ssize_t got;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) || (pid = fork()) < 0)
		return false;
	if (pid == 0) {
		close(fd[0]);
		sc_break_select(name);
		run_all(res, false, true);
		if (write(fd[1], res, sizeof(*res)) != (ssize_t)sizeof(*res))
			_exit(2);
		_exit(0);
	}
	close(fd[1]);
	memset(res, 0, sizeof(*res));
	got = read(fd[0], res, sizeof(*res));
	close(fd[0]);
	waitpid(pid, &status, 0);
	if (got != (ssize_t)sizeof(*res)) {
		snprintf(res->first, sizeof(res->first), "a crash (status %d)", status);
		snprintf(res->error, sizeof(res->error), "%s", "");
		return WIFSIGNALED(status);
	}
	return res->failed > 0;
}

static int break_all(bool json, bool verbose)
{
	static struct result res;
	uint32_t survived = 0;

	for (uint32_t i = 0; i < sc_breaks_count(); i++) {
		bool ok = caught(sc_break_name(i), &res);

		survived += !ok;
		printf("%-9s %-28s %s\n", ok ? "caught" : "SURVIVED", sc_break_name(i),
			ok ? res.first : "");
		if (verbose && ok)
			printf("%s\n", res.error);
	}
	if (json)
		printf("{\"breaks\":%u,\"survived\":%u}\n", sc_breaks_count(), survived);
	return survived ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void report(const struct result *res, bool json)
{
	if (json)
		printf("{\"cases\":%u,\"failed\":%u,\"runs\":%u,\"cells\":%u}\n", res->cases,
			res->failed, res->runs, sc_cells());
	else
		printf("%u cases in %u runs, %u failed; segments met %u cells of state and flags\n",
			res->cases, res->runs, res->failed, sc_cells());
}

static const struct option options[] = {{"list", no_argument, NULL, 'l'},
	{"list-breaks", no_argument, NULL, 'L'}, {"break", required_argument, NULL, 'b'},
	{"json", no_argument, NULL, 'j'}, {"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'}, {0}};

static int usage(int rc)
{
	printf("usage: run [--list] [--list-breaks] [--break NAME|all] [--json] [--verbose] "
	       "[CASE...]\n"
	       "Runs packet scripts against lib/tcp and lib/net, each over IPv4 and IPv6, with and "
	       "without\n"
	       "timestamps, by the fast path and the slow one. --break breaks a rule: then a case "
	       "must "
	       "fail;\n"
	       "`--break all` breaks one after the other and fails when a case notices none.\n");
	return rc;
}

int main(int argc, char **argv)
{
	static struct result res;
	const char *broken = NULL;
	bool json = false, verbose = false, list = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'L')
			return sc_breaks_list(), EXIT_SUCCESS;
		if (c == 'h' || c == '?')
			return usage(c == 'h' ? EXIT_SUCCESS : 2);
		list |= c == 'l';
		json |= c == 'j';
		verbose |= c == 'v';
		broken = c == 'b' ? optarg : broken;
	}
	if (optind == argc && !add_folder(SC_CASES))
		return 2;
	for (int i = optind; i < argc; i++)
		if (!add_named(argv[i]))
			return 2;
	for (uint32_t i = 0; list && i < n_scripts; i++)
		printf("%-32s %s\n", scripts[i].name, scripts[i].title);
	if (list)
		return EXIT_SUCCESS;
	if (broken && sc_is(broken, "all"))
		return break_all(json, verbose);
	if (broken && !sc_break_select(broken)) {
		fprintf(stderr, "no rule is called %s: see --list-breaks\n", broken);
		return 2;
	}
	run_all(&res, verbose, false);
	report(&res, json);
	return res.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
