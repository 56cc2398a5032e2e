/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run [--seeds A[-B]] [--show SEED] [--rules]
 * Exit: 0 each difference is explained, each rule explains as many sequences as it must and may, and
 * each state was compared; 1 otherwise; 77 where the kernel cannot track connections.
 */
#include "conntrack.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH	 5000u
#define SHOWN	 5u /* unexplained differences that are printed */
#define RULES	 64u
#define MEETINGS 100u /* of corresponding states in 10,000 sequences, at least */

static struct ct_sequence sequences[BATCH];
static struct ct_states states[BATCH];
static struct ct_result results[BATCH];

static struct {
	uint64_t sequences, segments, compared, equal, unexplained;
	uint64_t by_rule[RULES];
	uint64_t pairs[CT_KERNELS]
		      [MT_L4_STATES]; /* segments that left both sides in these states */
} tally;

static const char *const kernel_names[CT_KERNELS] = {"none", "SYN_SENT", "SYN_RECV", "ESTABLISHED",
	"FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2", "reversed"};
static const char *const our_names[MT_L4_STATES] = {"none", "syn_sent", "syn_received",
	"established", "half_closed", "closing", "time_wait", "reset"};

static bool run(uint32_t n)
{
	if (!ct_kernel_run(sequences, states, n))
		return false;
	for (uint32_t k = 0; k < n; k++) {
		ct_ours_run(&sequences[k], &states[k]);
		ct_compare(&sequences[k], &states[k], &results[k]);
	}
	return true;
}

/* ---- one sequence in words --------------------------------------------------------------------- */

static void print_segment(const struct ct_segment *g, const struct ct_sequence *q)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} flags[] = {{CT_SYN, " SYN"}, {CT_FIN, " FIN"}, {CT_RST, " RST"}, {CT_ACK, " ACK"}};
	char text[64] = "";

	for (size_t i = 0; i < MT_ARRAY_LEN(flags); i++)
		if (g->flags & flags[i].bit)
			strcat(text, flags[i].name);
	printf("  %s%-12s seq %-10u ack %-10u %4u bytes", g->from ? "server" : "client",
		*text ? text : " no flags", g->seq, g->ack, g->len);
	if (q->at[0].stamp)
		printf("  stamp %-8u", g->stamp);
}

static void print_sequence(const struct ct_sequence *q, const struct ct_states *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		print_segment(&q->at[i], q);
		printf("  %-12s %-12s%s\n", kernel_names[s->kernel[i]], our_names[s->ours[i]],
			ct_corresponds(s->kernel[i], s->ours[i]) ? "" : " *");
	}
}

/* ---- the smallest sequence with the difference --------------------------------------------------- */

/* Leaves out one segment, if the same states still differ unexplained; false: each is needed. */
static bool leave_one_out(struct ct_sequence *q, struct ct_states *s)
{
	uint8_t kernel = s->kernel[q->n - 1], ours = s->ours[q->n - 1];
	uint32_t n = q->n;

	for (uint32_t k = 0; k < n; k++) {
		sequences[k] = *q;
		memmove(&sequences[k].at[k], &q->at[k + 1], (n - k - 1) * sizeof(q->at[0]));
		sequences[k].n--;
	}
	if (!run(n))
		return false;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t at = results[k].different;

		if (at == CT_EQUAL || states[k].kernel[at] != kernel || states[k].ours[at] != ours)
			continue;
		*q = sequences[k];
		q->n = at + 1;
		*s = states[k];
		return true;
	}
	return false;
}

static void print_smallest(struct ct_sequence q, struct ct_states s, uint32_t different)
{
	q.n = different + 1;
	while (q.n > 1 && leave_one_out(&q, &s))
		;
	printf("run --show %llu; without the segments that do not matter; the kernel, lib/l4:\n",
		(unsigned long long)q.seed);
	print_sequence(&q, &s, q.n);
}

/* ---- runs ------------------------------------------------------------------------------------------ */

static void add(uint32_t k)
{
	const struct ct_result *r = &results[k];

	tally.sequences++;
	tally.segments += sequences[k].n;
	tally.compared += r->compared;
	tally.unexplained += r->different != CT_EQUAL;
	tally.equal += r->different == CT_EQUAL && r->rules == 0;
	for (uint32_t i = 0; i < RULES; i++)
		tally.by_rule[i] += r->rules >> i & 1;
	for (uint32_t i = 0; i < r->compared; i++)
		tally.pairs[states[k].kernel[i]][states[k].ours[i]]++;
}

static void print_rules(void)
{
	const struct ct_rule *rules;
	uint32_t n = ct_rules(&rules);

	for (uint32_t i = 0; i < n; i++)
		printf("%s (%s)\n    %s\n", rules[i].name, rules[i].document, rules[i].text);
}

/* True if each rule explains as many sequences as it must and may. */
static bool check_rules(bool all)
{
	const struct ct_rule *rules;
	uint32_t n = ct_rules(&rules);
	bool ok = true;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t found = tally.by_rule[i] * 10000 / MT_MAX(tally.sequences, 1u);
		bool fits = !all || (found >= rules[i].least && found <= rules[i].most);

		printf("%8llu %s", (unsigned long long)tally.by_rule[i], rules[i].name);
		if (!fits)
			printf(": of 10,000 sequences %u to %u are allowed", rules[i].least,
				rules[i].most);
		printf("\n");
		ok &= fits;
	}
	return ok;
}

/* True if both sides were in corresponding states often enough, for each state of lib/l4. */
static bool check_states(bool all)
{
	bool ok = true;

	for (uint8_t l = 0; all && l < MT_L4_STATES; l++) {
		uint64_t n = 0;

		for (uint8_t k = 0; k < CT_KERNELS; k++)
			n += ct_corresponds(k, l) ? tally.pairs[k][l] : 0;
		if (n >= MEETINGS)
			continue;
		printf("%s was compared with the kernel's state %llu times only\n", our_names[l],
			(unsigned long long)n);
		ok = false;
	}
	return ok;
}

static void print_pairs(void)
{
	for (uint32_t k = 0; k < CT_KERNELS; k++)
		for (uint32_t l = 0; l < MT_L4_STATES; l++)
			if (tally.pairs[k][l])
				printf("%8llu %s, %s%s\n", (unsigned long long)tally.pairs[k][l],
					kernel_names[k], our_names[l],
					ct_corresponds((uint8_t)k, (uint8_t)l) ? ""
									       : " (explained)");
}

static int run_seeds(uint64_t first, uint64_t last)
{
	static struct ct_sequence shown[SHOWN];
	static struct ct_states shown_states[SHOWN];
	uint32_t at[SHOWN], n_shown = 0;
	bool ok;

	for (uint64_t seed = first; seed <= last; seed += BATCH) {
		uint32_t n = (uint32_t)MT_MIN((uint64_t)BATCH, last - seed + 1);

		for (uint32_t k = 0; k < n; k++)
			ct_make(seed + k, &sequences[k]);
		if (!run(n))
			return 1;
		for (uint32_t k = 0; k < n; k++) {
			add(k);
			if (results[k].different == CT_EQUAL || n_shown == SHOWN)
				continue;
			shown[n_shown] = sequences[k];
			shown_states[n_shown] = states[k];
			at[n_shown++] = results[k].different;
		}
	}
	print_pairs();
	ok = check_rules(tally.sequences >= 10000);
	ok &= check_states(tally.sequences >= 10000);
	for (uint32_t i = 0; i < n_shown; i++)
		print_smallest(shown[i], shown_states[i], at[i]);
	printf("seeds %llu to %llu: %llu sequences, %llu equal, %llu explained, %llu unexplained; "
	       "%llu of %llu segments compared\n",
		(unsigned long long)first, (unsigned long long)last,
		(unsigned long long)tally.sequences, (unsigned long long)tally.equal,
		(unsigned long long)(tally.sequences - tally.equal - tally.unexplained),
		(unsigned long long)tally.unexplained, (unsigned long long)tally.compared,
		(unsigned long long)tally.segments);
	return ok && tally.unexplained == 0 ? 0 : 1;
}

static int show(uint64_t seed)
{
	ct_make(seed, &sequences[0]);
	if (!run(1))
		return 1;
	print_sequence(&sequences[0], &states[0], sequences[0].n);
	if (results[0].different == CT_EQUAL)
		return 0;
	print_smallest(sequences[0], states[0], results[0].different);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
		{"show", required_argument, NULL, 'w'}, {"rules", no_argument, NULL, 'r'}, {0}};
	uint64_t first = 1, last = 10000;
	bool one = false;
	char *end;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			return print_rules(), 0;
		if (c == '?')
			return 2;
		one |= c == 'w';
		first = last = strtoull(optarg, &end, 10);
		if (*end == '-')
			last = strtoull(end + 1, NULL, 10);
	}
	rc = ct_kernel_up();
	if (rc)
		return rc;
	ct_ours_up();
	rc = one ? show(first) : run_seeds(first, last);
	return ct_ours_down() ? rc : 1;
}
