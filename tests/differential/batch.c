/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences that run together: on the kernel, then one by one on lib/tcp, and what came of each. */
#include "run.h"

#include "stack.h"

#include <stdlib.h>
#include <string.h>

struct df_seq df_seqs[DF_AT_ONCE];
struct df_trace df_kernels[DF_AT_ONCE];
struct df_result df_results[DF_AT_ONCE];

uint32_t df_batch(uint64_t first, uint64_t last)
{
	uint32_t n = 0;

	for (; first + n <= last && n < DF_AT_ONCE; n++)
		df_generate(&df_seqs[n], first + n);
	return n;
}

void df_batch_kernel(uint32_t n, const uint32_t *which)
{
	const struct df_seq *list[DF_AT_ONCE];
	struct df_trace *traces[DF_AT_ONCE];

	for (uint32_t k = 0; k < n; k++) {
		list[k] = &df_seqs[which ? which[k] : k];
		traces[k] = &df_kernels[which ? which[k] : k];
		df_trace_free(traces[k]);
	}
	if (!df_kernel(list, traces, n))
		exit(1);
}

static void compare_one(uint32_t k)
{
	static struct df_trace ours;

	memset(&df_results[k], 0, sizeof(df_results[k]));
	if (df_ours(&df_seqs[k], &ours))
		df_compare(&df_seqs[k], &df_kernels[k], &ours, &df_results[k]);
	else
		df_results[k].verdict = DF_UNEXPLAINED;
	df_trace_free(&ours);
}

uint32_t df_batch_compare(uint32_t n)
{
	uint32_t bad = 0;

	for (uint32_t k = 0; k < n; k++) {
		compare_one(k);
		bad += df_results[k].verdict == DF_UNEXPLAINED;
	}
	return bad;
}

uint32_t df_batch_repeat(uint32_t n)
{
	uint32_t which[DF_AT_ONCE], bad = 0, mended = 0;

	for (uint32_t k = 0; k < n; k++)
		if (df_results[k].verdict == DF_UNEXPLAINED)
			which[bad++] = k;
	if (!bad)
		return 0;
	df_batch_kernel(bad, which);
	for (uint32_t i = 0; i < bad; i++) {
		compare_one(which[i]);
		mended += df_results[which[i]].verdict != DF_UNEXPLAINED;
	}
	return mended;
}

static void show_side(FILE *f, const char *name, const struct df_obs *o, const char *words)
{
	char line[256];

	df_obs_words(o, line, sizeof(line));
	fprintf(f, "    %-7s %s\n", name, line);
	while (words && *words) {
		int n = (int)strcspn(words, "\n");

		fprintf(f, "            %.*s\n", n, words);
		words += n + 1;
	}
}

static void show_traces(
	FILE *f, const struct df_seq *q, const struct df_trace *kernel, const struct df_trace *ours)
{
	char line[256];

	fprintf(f, "seed %llu: IPv%d%s%s", (unsigned long long)q->seed, q->v6 ? 6 : 4,
		q->ts ? ", ts" : "", q->sack ? ", sack" : "");
	if (q->wscale)
		fprintf(f, ", ws %u", q->shift);
	if (q->has_mss)
		fprintf(f, ", mss %u", q->mss);
	fprintf(f, ", irs %u\n", q->irs);
	for (uint32_t i = 0; i < q->n_steps; i++) {
		uint32_t fields = df_differ(&kernel->obs[i], &ours->obs[i]);

		df_step_words(q, i, line, sizeof(line));
		fprintf(f, "%3u %s\n", i, line);
		show_side(f, "kernel", &kernel->obs[i], kernel->words[i]);
		show_side(f, "meltemi", &ours->obs[i], ours->words[i]);
		if (fields) {
			df_fields_words(fields, line, sizeof(line));
			fprintf(f, "    differ: %s\n", line);
		}
	}
}

void df_show_one(struct df_seq *q, bool shrink)
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
		show_traces(stdout, q, &k, &o);
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
