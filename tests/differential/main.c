/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run [--seeds A[-B]] [--show SEED] [--shrink] [--list] [--explained RULE] [--break NAME[,NAME...]] [--rules]
 *     [--json]
 * Exit: 0 nothing unexplained and no rule above its ceiling or below its floor (with --break: each was noticed), 1 otherwise,
 * 77 where no namespace can be made.
 */
#include "run.h"
#include "stack.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 5 /* unexplained differences that are shown in full */

struct tally {
	uint64_t sequences, steps, compared, equal, explained, unexplained, again;
	uint64_t by_rule[64];
	uint64_t cells
		[DF_N_STATES]; /* flags that the peer sent in a state of the kernel's, as bits */
};

static struct tally tally;
/* Of the steps that were compared: what lies behind a rule that ends the comparison is no evidence. */
static void count_cells(const struct df_seq *q, const struct df_trace *trace, uint32_t compared)
{
	for (uint32_t i = 0; i < compared; i++) {
		const struct df_step *st = &q->step[i];
		uint32_t column =
			(st->flags & 7u) | (st->flags & SC_ACK ? 8u : 0u) | (st->len ? 16u : 0u);

		if (st->kind == DF_SEG && !st->badsum)
			tally.cells[i ? trace->obs[i - 1].state : DF_CLOSED] |= 1ull << column;
	}
	tally.steps += q->n_steps;
	tally.compared += compared;
}

static void add_result(uint32_t k)
{
	const struct df_result *res = &df_results[k];

	tally.sequences++;
	tally.equal += res->verdict == DF_EQUAL;
	tally.explained += res->verdict == DF_EXPLAINED;
	tally.unexplained += res->verdict == DF_UNEXPLAINED;
	for (uint32_t r = 0; r < df_rules_count(); r++)
		tally.by_rule[r] += res->rules >> r & 1;
	count_cells(&df_seqs[k], &df_kernels[k], res->compared);
}

/* The sequences that a rule explains, in words or in full: to see whether they are what it says. */
static void list_explained(uint32_t n, int32_t rule, bool list)
{
	for (uint32_t k = 0; k < n && rule >= 0; k++)
		if (df_results[k].rules >> rule & 1 && list)
			printf("%s %llu\n", df_rule_name((uint32_t)rule),
				(unsigned long long)df_seqs[k].seed);
		else if (df_results[k].rules >> rule & 1)
			df_show_one(&df_seqs[k], false);
}

static void list_bad(uint32_t n, bool list, bool shrink)
{
	static uint32_t shown;
	char fields[256];

	for (uint32_t k = 0; k < n; k++) {
		if (df_results[k].verdict != DF_UNEXPLAINED)
			continue;
		df_fields_words(df_results[k].fields, fields, sizeof(fields));
		if (list)
			printf("BAD %llu step %u:%s\n", (unsigned long long)df_seqs[k].seed,
				df_results[k].step, fields);
		if (!list && shown++ < SHOWN)
			df_show_one(&df_seqs[k], shrink);
	}
}

/* What is asked for beside the sums. */
struct asked {
	bool list, shrink;
	int32_t rule; /* -1: of none */
};

static void run_seeds(uint64_t first, uint64_t last, const struct asked *a)
{
	while (first <= last) {
		uint32_t n = df_batch(first, last);

		df_batch_kernel(n, NULL);
		if (df_batch_compare(n))
			tally.again += df_batch_repeat(n);
		list_bad(n, a->list, a->shrink);
		list_explained(n, a->rule, a->list);
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

/* The rules that explained more than they may, which hides something, or less than they must. */
static uint32_t report_rules(void)
{
	static const char *const words[] = {[DF_COUNT_GOOD] = "",
		[DF_COUNT_ABOVE] = " (ABOVE ITS CEILING)",
		[DF_COUNT_BELOW] = " (BELOW ITS FLOOR)"};
	uint32_t bad = 0;

	for (uint32_t r = 0; r < df_rules_count(); r++) {
		enum df_count how = df_rule_count(r, tally.by_rule[r], tally.sequences);

		printf("%8llu  %s%s\n", (unsigned long long)tally.by_rule[r], df_rule_name(r),
			words[how]);
		bad += how != DF_COUNT_GOOD;
	}
	return bad;
}

static uint32_t report(bool json)
{
	unsigned long long n = tally.sequences, e = tally.equal, x = tally.explained,
			   u = tally.unexplained;
	uint32_t bad = report_rules();

	if (json)
		printf("{\"sequences\":%llu,\"equal\":%llu,\"explained\":%llu,\"unexplained\":%llu,"
		       "\"repeated\":%llu,\"steps\":%llu,\"compared\":%llu,\"cells\":%u,"
		       "\"rules_wrong\":%u}\n",
			n, e, x, u, (unsigned long long)tally.again,
			(unsigned long long)tally.steps, (unsigned long long)tally.compared,
			cells(), bad);
	else
		printf("%llu sequences, %llu equal, %llu explained, %llu unexplained (%llu of %llu "
		       "steps compared, %u cells of state and flags, %llu sequences run again)\n",
			n, e, x, u, (unsigned long long)tally.compared,
			(unsigned long long)tally.steps, cells(), (unsigned long long)tally.again);
	return bad;
}

static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
	{"show", required_argument, NULL, 'w'}, {"explained", required_argument, NULL, 'x'},
	{"break", required_argument, NULL, 'b'}, {"list", no_argument, NULL, 'l'},
	{"shrink", no_argument, NULL, 'k'}, {"rules", no_argument, NULL, 'r'},
	{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};

static int usage(int rc)
{
	fprintf(rc ? stderr : stdout,
		"usage: run [--seeds A[-B]] [--show SEED] [--shrink] [--list] [--explained RULE] "
		"[--break NAME,...] [--rules] [--json]\n"
		"Sends the same sequences of segments and calls to lib/tcp and to the kernel's TCP "
		"and compares by\n"
		"meaning what they answer; seeds 1-10000 unless told otherwise. Needs root: it "
		"makes a "
		"namespace\n"
		"with a TAP device.\n"
		"--show prints both traces of one sequence, --shrink leaves out steps that do not "
		"matter first;\n"
		"--list prints a line for each that is not explained instead of five traces;\n"
		"--explained prints those that a rule explains, too;\n"
		"--break breaks rules of lib/tcp, one after the other: each must be noticed;\n"
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
	struct asked asked = {.rule = -1};
	bool json = false;
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
		if (c == 'x' && (asked.rule = df_rule_find(optarg)) < 0)
			return wrong("--explained wants a rule, see --rules", optarg);
		asked.list |= c == 'l';
		json |= c == 'j';
		asked.shrink |= c == 'k';
		broken = c == 'b' ? optarg : broken;
	}
	if (optind < argc)
		return wrong("only options are understood", argv[optind]);
	if (broken && !df_breaks_known(broken))
		return 2;
	rc = df_kernel_up();
	if (rc)
		return rc;
	if (broken)
		return df_breaks_run(broken, first, last);
	sc_stack_boot();
	if (show) {
		df_generate(&df_seqs[0], show);
		df_show_one(&df_seqs[0], asked.shrink);
		return EXIT_SUCCESS;
	}
	run_seeds(first, last, &asked);
	return report(json) + tally.unexplained ? EXIT_FAILURE : EXIT_SUCCESS;
}
