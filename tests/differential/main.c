/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run [--seeds A[-B]] [--show SEED] [--shrink] [--list] [--break NAME[,NAME...]] [--rules] [--json]
 * Exit: 0 nothing unexplained (with --break: each was noticed), 1 otherwise, 77 where no namespace can be
 * made.
 */
#include "diff.h"
#include "mt_mutant.h"
#include "stack.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN 5 /* unexplained differences that are shown in full */

struct tally {
	uint64_t sequences, steps, equal, explained, unexplained, again;
	uint64_t by_rule[64];
	uint64_t cells
		[DF_N_STATES]; /* flags that the peer sent in a state of the kernel's, as bits */
};

static struct tally tally;
static struct df_seq seqs[DF_AT_ONCE];
static struct df_trace kernel[DF_AT_ONCE];
static struct df_result results[DF_AT_ONCE];

static void run_kernel(uint32_t n, const uint32_t *which)
{
	const struct df_seq *list[DF_AT_ONCE];
	struct df_trace *traces[DF_AT_ONCE];

	for (uint32_t k = 0; k < n; k++) {
		list[k] = &seqs[which ? which[k] : k];
		traces[k] = &kernel[which ? which[k] : k];
		df_trace_free(traces[k]);
	}
	if (!df_kernel(list, traces, n))
		exit(1);
}

static void compare_one(uint32_t k)
{
	static struct df_trace ours;

	memset(&results[k], 0, sizeof(results[k]));
	if (df_ours(&seqs[k], &ours))
		df_compare(&seqs[k], &kernel[k], &ours, &results[k]);
	else
		results[k].verdict = DF_UNEXPLAINED;
	df_trace_free(&ours);
}

static uint32_t compare_all(uint32_t n)
{
	uint32_t bad = 0;

	for (uint32_t k = 0; k < n; k++) {
		compare_one(k);
		bad += results[k].verdict == DF_UNEXPLAINED;
	}
	return bad;
}

/* A machine that stood still for a moment makes the kernel's timers speak: those run once more. */
static void repeat_bad(uint32_t n)
{
	uint32_t which[DF_AT_ONCE], bad = 0;

	for (uint32_t k = 0; k < n; k++)
		if (results[k].verdict == DF_UNEXPLAINED)
			which[bad++] = k;
	if (!bad)
		return;
	run_kernel(bad, which);
	for (uint32_t i = 0; i < bad; i++) {
		compare_one(which[i]);
		tally.again += results[which[i]].verdict != DF_UNEXPLAINED;
	}
}

static void count_cells(const struct df_seq *q, const struct df_trace *trace)
{
	for (uint32_t i = 0; i < q->n_steps; i++) {
		const struct df_step *st = &q->step[i];
		uint32_t column =
			(st->flags & 7u) | (st->flags & SC_ACK ? 8u : 0u) | (st->len ? 16u : 0u);

		if (st->kind == DF_SEG && !st->badsum)
			tally.cells[i ? trace->obs[i - 1].state : DF_CLOSED] |= 1ull << column;
	}
	tally.steps += q->n_steps;
}

static void show_one(struct df_seq *q, bool shrink)
{
	static struct df_trace k, o;
	const struct df_seq *one[1];
	struct df_trace *trace[1] = {&k};
	struct df_result res;
	char fields[256];

	if (shrink)
		df_shrink(q);
	one[0] = q;
	df_keep_words = true;
	if (df_kernel(one, trace, 1) && df_ours(q, &o)) {
		df_compare(q, &k, &o, &res);
		df_show(stdout, q, &k, &o);
		df_fields_words(res.fields, fields, sizeof(fields));
		printf("%s at step %u:%s;",
			res.verdict == DF_UNEXPLAINED ? "UNEXPLAINED"
			: res.verdict == DF_EXPLAINED ? "explained"
						      : "equal",
			res.step, fields);
		for (uint32_t r = 0; r < df_rules_count(); r++)
			if (res.rules & 1ull << r)
				printf(" %s", df_rule_name(r));
		printf("\n\n");
	}
	df_keep_words = false;
	df_trace_free(&k);
	df_trace_free(&o);
}

static void add_result(uint32_t k)
{
	const struct df_result *res = &results[k];

	tally.sequences++;
	tally.equal += res->verdict == DF_EQUAL;
	tally.explained += res->verdict == DF_EXPLAINED;
	tally.unexplained += res->verdict == DF_UNEXPLAINED;
	for (uint32_t r = 0; r < df_rules_count(); r++)
		tally.by_rule[r] += res->rules >> r & 1;
	count_cells(&seqs[k], &kernel[k]);
}

static void list_bad(uint32_t n, bool list, bool shrink)
{
	static uint32_t shown;
	char fields[256];

	for (uint32_t k = 0; k < n; k++) {
		if (results[k].verdict != DF_UNEXPLAINED)
			continue;
		df_fields_words(results[k].fields, fields, sizeof(fields));
		if (list)
			printf("BAD %llu step %u:%s\n", (unsigned long long)seqs[k].seed,
				results[k].step, fields);
		if (!list && shown++ < SHOWN)
			show_one(&seqs[k], shrink);
	}
}

static uint32_t generate(uint64_t first, uint64_t last)
{
	uint32_t n = 0;

	for (; first + n <= last && n < DF_AT_ONCE; n++)
		df_generate(&seqs[n], first + n);
	return n;
}

static void run_seeds(uint64_t first, uint64_t last, bool list, bool shrink)
{
	while (first <= last) {
		uint32_t n = generate(first, last);

		run_kernel(n, NULL);
		if (compare_all(n))
			repeat_bad(n);
		list_bad(n, list, shrink);
		for (uint32_t k = 0; k < n; k++)
			add_result(k);
		first += n;
	}
}

static uint32_t cells(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < DF_N_STATES; i++)
		n += (uint32_t)__builtin_popcountll(tally.cells[i]);
	return n;
}

#define MANY 50000 /* sequences in which each rule should have matched */

static void report_rules(void)
{
	for (uint32_t r = 0; r < df_rules_count(); r++)
		printf("%8llu  %s%s\n", (unsigned long long)tally.by_rule[r], df_rule_name(r),
			tally.by_rule[r] == 0 && tally.sequences >= MANY ? " (no longer needed?)"
									 : "");
}

static void report(bool json)
{
	unsigned long long n = tally.sequences, e = tally.equal, x = tally.explained,
			   u = tally.unexplained;

	report_rules();
	if (json)
		printf("{\"sequences\":%llu,\"equal\":%llu,\"explained\":%llu,\"unexplained\":%llu,"
		       "\"repeated\":%llu,\"steps\":%llu,\"cells\":%u}\n",
			n, e, x, u, (unsigned long long)tally.again,
			(unsigned long long)tally.steps, cells());
	else
		printf("%llu sequences, %llu equal, %llu explained, %llu unexplained (%llu steps, "
		       "%u "
		       "cells of state and flags, %llu sequences run again)\n",
			n, e, x, u, (unsigned long long)tally.steps, cells(),
			(unsigned long long)tally.again);
}

/* ---- broken rules ---- */

#define UNKNOWN 255

/*
 * lib/tcp with one rule broken (NULL: none), against what the kernel answered. In a process of its own that
 * makes its own pools: a broken rule may end in an assertion, or keep buffers.
 */
static uint32_t noticed(const char *name, uint32_t n)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (name && !sc_break_select(name))
			_exit(UNKNOWN);
		if (!freopen("/dev/null", "w", stderr))
			_exit(UNKNOWN);
		sc_stack_boot();
		_exit((int)MT_MIN(compare_all(n), 200u));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return UNKNOWN;
	return WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 1;
}

/* Before the kernel's side takes its time. */
static bool known_breaks(const char *names)
{
	char *list = strdup(names), *save = NULL;
	uint32_t n = 0;
	bool ok = list;

	for (char *name = strtok_r(list, ",", &save); ok && name;
		name = strtok_r(NULL, ",", &save), n++) {
		ok = sc_break_select(name);
		if (!ok)
			fprintf(stderr,
				"no rule is called %s: see build/tests/tcpscript/run "
				"--list-breaks\n",
				name);
	}
	if (ok && n == 0)
		fprintf(stderr,
			"--break wants a rule: see build/tests/tcpscript/run --list-breaks\n");
	mt_mutant_on = MT_MUTANT_NONE;
	free(list);
	return ok && n > 0;
}

static int run_breaks(char *names, uint64_t first, uint64_t last)
{
	uint32_t n = generate(first, last), whole;
	char *save = NULL;
	int rc;

	run_kernel(n, NULL);
	whole = noticed(NULL, n);
	rc = whole ? EXIT_FAILURE : EXIT_SUCCESS;
	printf("%-9s %-28s %u of %u sequences\n", whole ? "WRONG" : "equal", "nothing broken",
		whole, n);
	for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		uint32_t bad = noticed(name, n);
		bool ok = bad > whole && bad != UNKNOWN;

		if (bad == UNKNOWN)
			printf("UNKNOWN   %s\n", name);
		else
			printf("%-9s %-28s %u%s of %u sequences\n", ok ? "noticed" : "MISSED", name,
				bad, bad == 200 ? " or more" : "", n);
		rc = ok ? rc : EXIT_FAILURE;
	}
	return rc;
}

static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
	{"show", required_argument, NULL, 'w'}, {"break", required_argument, NULL, 'b'},
	{"list", no_argument, NULL, 'l'}, {"shrink", no_argument, NULL, 'k'},
	{"rules", no_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'}, {0}};

static int usage(int rc)
{
	fprintf(rc ? stderr : stdout,
		"usage: run [--seeds A[-B]] [--show SEED] [--shrink] [--list] [--break NAME,...] "
		"[--rules] [--json]\n"
		"Sends the same sequences of segments and calls to lib/tcp and to the kernel's TCP "
		"and compares by\n"
		"meaning what they answer; seeds 1-10000 unless told otherwise. Needs root: it "
		"makes a "
		"namespace\n"
		"with a TAP device.\n"
		"--show prints both traces of one sequence, --shrink leaves out steps that do not "
		"matter first;\n"
		"--list prints a line for each that is not explained instead of five traces;\n"
		"--break breaks rules of lib/tcp, one after the other: each must be noticed, in "
		"the "
		"first 512 seeds;\n"
		"--rules "
		"prints the\n"
		"differences that are meant.\n");
	return rc;
}

/* "7" or "1-10000", from 1 on. */
static bool seeds(const char *text, unsigned long long *first, unsigned long long *last)
{
	char *end;

	errno = 0;
	*first = *last = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9')
		return false;
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		*last = strtoull(end + 1, &end, 10);
	return errno == 0 && *end == '\0' && *first >= 1 && *first <= *last && *last < ULLONG_MAX;
}

static int wrong(const char *what, const char *text)
{
	fprintf(stderr, "run: %s, not \"%s\"\n", what, text);
	return usage(2);
}

int main(int argc, char **argv)
{
	unsigned long long first = 1, last = 10000, show = 0, show_last;
	bool json = false, list = false, shrink = false;
	char *broken = NULL;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return usage(c == 'h' ? EXIT_SUCCESS : 2);
		if (c == 'r')
			return df_rules_print(), EXIT_SUCCESS;
		if (c == 's' && !seeds(optarg, &first, &last))
			return wrong("--seeds wants A or A-B, from 1 on", optarg);
		if (c == 'w' && (!seeds(optarg, &show, &show_last) || show != show_last))
			return wrong("--show wants a seed", optarg);
		list |= c == 'l';
		json |= c == 'j';
		shrink |= c == 'k';
		broken = c == 'b' ? optarg : broken;
	}
	if (optind < argc)
		return wrong("only options are understood", argv[optind]);
	if (broken && !known_breaks(broken))
		return 2;
	rc = df_kernel_up();
	if (rc)
		return rc;
	if (broken)
		return run_breaks(broken, first, last);
	sc_stack_boot();
	if (show) {
		df_generate(&seqs[0], show);
		show_one(&seqs[0], shrink);
		return EXIT_SUCCESS;
	}
	run_seeds(first, last, list, shrink);
	report(json);
	return tally.unexplained ? EXIT_FAILURE : EXIT_SUCCESS;
}
