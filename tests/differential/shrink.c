/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves out steps of a sequence while it still ends in the same kind of difference. */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

static struct df_seq tries[DF_STEPS];
static struct df_trace kernel[DF_STEPS], ours[DF_STEPS];

static void without(struct df_seq *q, uint32_t i)
{
	memmove(&q->step[i], &q->step[i + 1], (q->n_steps - i - 1) * sizeof(q->step[0]));
	q->n_steps--;
}

/* Whether sequence k, run on both, is unexplained in one of the fields. */
static bool still(uint32_t k, uint32_t fields)
{
	struct df_result res;

	if (!df_ours(&tries[k], &ours[k]))
		return true;
	df_compare(&tries[k], &kernel[k], &ours[k], &res);
	df_trace_free(&kernel[k]);
	df_trace_free(&ours[k]);
	return res.verdict == DF_UNEXPLAINED && res.fields & fields;
}

static bool leave_one_out(struct df_seq *q, uint32_t fields)
{
	const struct df_seq *list[DF_STEPS];
	struct df_trace *traces[DF_STEPS];
	uint32_t n = q->n_steps;

	for (uint32_t k = 0; k < n; k++) {
		tries[k] = *q;
		without(&tries[k], k);
		list[k] = &tries[k];
		traces[k] = &kernel[k];
	}
	df_kernel(list, traces, n);
	for (uint32_t k = n; k-- > 0;)
		if (still(k, fields)) {
			*q = tries[k];
			return true;
		}
	return false;
}

void df_shrink(struct df_seq *q)
{
	const struct df_seq *one[1] = {q};
	struct df_trace *trace[1] = {&kernel[0]};
	struct df_result res;

	if (!df_kernel(one, trace, 1) || !df_ours(q, &ours[0]))
		return;
	df_compare(q, &kernel[0], &ours[0], &res);
	df_trace_free(&kernel[0]);
	df_trace_free(&ours[0]);
	if (res.verdict != DF_UNEXPLAINED)
		return;
	q->n_steps = res.step + 1;
	while (q->n_steps > 1 && leave_one_out(q, res.fields))
		;
}
