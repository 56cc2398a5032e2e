/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"
#include "options.h"

#include "shell.h"

#include "mt_fields.h"
#include "mt_identity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi join [--check] [--json] [--delta] [--ttl TIME] [-o OUTDIR] BUNDLE\n"
	"\n"
	"Makes this machine a member of an Istio mesh. BUNDLE is the directory that\n"
	"`istioctl x workload entry configure` wrote: cluster.env, mesh.yaml, root-cert.pem,\n"
	"istio-token, hosts. Every step is checked; the one that fails is named, with a remedy.\n"
	"\n"
	"  -o, --output OUTDIR  where key, certificate and bootstrap go (" JOIN_OUT_DEFAULT
	")\n      --check          check everything, write nothing\n      --delta          the "
	"bootstrap requests incremental discovery\n      --ttl TIME       lifetime of "
	"certificates: 1m to 720h (24h)\n      --json           the steps as JSON\n\nExit status: "
	"0 joined, 1 a step failed, 2 bad usage.\n";

/* ---- the steps ------------------------------------------------------------------------------- */

enum {
	BUNDLE,
	ADDRESS,
	ROOTS,
	TOKEN,
	NAMES,
	REACH,
	CLOCK,
	TRUST,
	CSR,
	IDENTITY,
	XDS,
	WRITE,
	STEPS
};

#define NEED(step) (1u << (step))

/*
 * Steps that do not depend on a failed one still run, so that one call reports as much as possible.
 */
static const struct {
	const char *name;
	join_step_fn *run;
	uint32_t needs;
} steps[STEPS] = {
	[BUNDLE] = {"bundle", join_bundle, 0},
	[ADDRESS] = {"address", join_address, NEED(BUNDLE)},
	[ROOTS] = {"roots", join_roots, NEED(BUNDLE)},
	[TOKEN] = {"token", join_token, NEED(BUNDLE)},
	[NAMES] = {"names", join_names, NEED(ADDRESS)},
	[REACH] = {"reach", join_reach, NEED(NAMES)},
	[CLOCK] = {"clock", join_clock, NEED(REACH)},
	[TRUST] = {"trust", join_trust, NEED(REACH) | NEED(ROOTS) | NEED(CLOCK)},
	[CSR] = {"csr", join_csr, NEED(TRUST) | NEED(TOKEN)},
	[IDENTITY] = {"identity", join_identity, NEED(CSR)},
	[XDS] = {"xds", join_xds, NEED(IDENTITY)},
	[WRITE] = {"write", join_write, NEED(XDS)},
};

int64_t join_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

uint64_t join_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

void join_wait(struct join *j)
{
	mt_resolver_turn(j->names);
	mt_fds_dispatch(&j->fds, 64, 100);
}

/* ---- the report ------------------------------------------------------------------------------ */

/* NULL, which JSON writes as null, for a text without content. */
static const char *known(const char *text)
{
	return *text ? text : NULL;
}

/* Every row has all members. `f`: of a failed step. */
static json_t *row_json(
	const char *name, const char *state, const char *words, const struct mt_finding *f)
{
	return json_pack("{s:s, s:s, s:s?, s:s?, s:o, s:s?, s:s?}", "step", name, "state", state,
		"words", known(words), "file", known(f->file), "line",
		f->line ? json_integer(f->line) : json_null(), "field", known(f->field), "remedy",
		known(f->remedy));
}

static void print_failure(const char *name, const struct mt_finding *f)
{
	char place[160] = "";

	if (f->file[0] && f->line)
		snprintf(place, sizeof(place), "%s:%u: ", f->file, f->line);
	else if (f->file[0])
		snprintf(place, sizeof(place), "%s: ", f->file);
	printf("%-9s FAILED   %s%s%s%s\n", name, place, f->field, f->field[0] ? ": " : "",
		f->words);
	if (f->remedy[0])
		printf("%-9s          remedy: %s\n", "", f->remedy);
}

/* Runs and reports one step. True if it succeeded. */
static bool run_step(struct join *j, int i, json_t *rows)
{
	char words[600] = "";
	struct mt_finding f = {0};
	bool ok = steps[i].run(j, words, sizeof(words), &f);

	(void)json_array_append_new(
		rows, row_json(steps[i].name, ok ? "ok" : "failed", ok ? words : f.words, &f));
	if (j->o.json)
		return ok;
	if (ok)
		printf("%-9s ok       %s\n", steps[i].name, words);
	else
		print_failure(steps[i].name, &f);
	fflush(stdout);
	return ok;
}

static int run_steps(struct join *j)
{
	json_t *rows = json_array(), *all;
	static const struct mt_finding none;
	const char *failed = NULL;
	uint32_t done = 0;

	for (int i = 0; i < STEPS; i++) {
		if (i == WRITE && j->o.check)
			continue;
		if ((steps[i].needs & ~done) == 0) {
			if (run_step(j, i, rows))
				done |= NEED(i);
			else if (!failed)
				failed = steps[i].name;
			continue;
		}
		(void)json_array_append_new(rows, row_json(steps[i].name, "skipped", "", &none));
		if (!j->o.json)
			printf("%-9s -\n", steps[i].name);
	}
	all = json_pack("{s:s?, s:b, s:o}", "failed", failed, "written", done & NEED(WRITE) ? 1 : 0,
		"steps", rows);
	if (j->o.json)
		screen_json(json_incref(all));
	json_decref(all);
	return failed ? EXIT_REFUSED : EXIT_DONE;
}

/* ---- the command ----------------------------------------------------------------------------- */

static bool read_ttl(void *options, const char *text)
{
	struct join_options *o = options;
	uint64_t ms;

	if (mt_duration_parse(text, &ms) || ms < MT_IDENTITY_TTL_MIN_S * 1000ull ||
		ms > MT_IDENTITY_TTL_MAX_S * 1000ull) {
		fprintf(stderr, "meltemi: --ttl %s: write a time of 1m to 720h, like 12h\n", text);
		return false;
	}
	o->ttl_s = (uint32_t)(ms / 1000);
	return true;
}

/* Returns -1 to go on, else the exit code. */
static int read_options(struct join_options *o, int argc, char **argv)
{
	const struct option_row options[] = {{"output", 'o', .text = &o->out},
		{"check", .flag = &o->check}, {"json", .flag = &o->json},
		{"delta", .flag = &o->delta}, {"ttl", .take = read_ttl}, {NULL}};
	int code = options_read(options, o, true, usage, argc, argv);

	if (code < 0 && optind + 1 != argc)
		return options_wrong(usage);
	o->dir = argv[optind];
	return code;
}

static bool start(struct join *j)
{
	struct mt_err e;

	signal(SIGPIPE, SIG_IGN);
	mt_rand_secret(&j->rng, sizeof(j->rng));
	if (gethostname(j->hostname, sizeof(j->hostname) - 1))
		strcpy(j->hostname, "meltemi");
	if (mt_fds_init(&j->fds)) {
		fprintf(stderr, "meltemi: no event loop: %s\n", strerror(errno));
		return false;
	}
	j->names = mt_resolver_new(&j->fds, &e);
	if (!j->names)
		fprintf(stderr, "meltemi: %s\n", e.text);
	return j->names != NULL;
}

int join_run(int argc, char **argv, bool json)
{
	struct join *j = calloc(1, sizeof(*j));
	int code;

	if (!j)
		return EXIT_REFUSED;
	j->o = (struct join_options){.out = JOIN_OUT_DEFAULT, .json = json};
	code = read_options(&j->o, argc, argv);
	if (code < 0) {
		code = start(j) ? run_steps(j) : EXIT_REFUSED;
		mt_ca_free(j->ca);
		free(j->roots);
		json_decref(j->node);
		mt_bundle_free(&j->bundle);
		mt_resolver_free(j->names);
		mt_fds_fini(&j->fds);
	}
	free(j);
	return code;
}
