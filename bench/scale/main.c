/* SPDX-License-Identifier: Apache-2.0 */
/* Opens connections step by step, measures each step, and prints the results. */
#include "scale.h"

#include <inttypes.h>

#include <rte_cycles.h>

static void number(const char *name, double v, const char *end)
{
	printf("\"%s\":%.1f%s", name, v, end);
}

static void report(uint32_t n, const struct scale_figures *f)
{
	printf("{\"bench\":\"scale\",\"codec\":\"%s\",\"conns\":%u,\"size\":%u,\"outstanding\":%u,"
	       "\"tls\":\"%s\",",
		bench_codec_names[scale.o.codec], n, scale.o.size, scale.o.outstanding,
		scale.o.tls ? "both" : "off");
	number("bytes", f->counted, ",");
	number("bytes_resident", f->resident, ",");
	number("bytes_process", f->process, ",");
	number("idle_turn_cycles", f->idle_cycles, ",");
	if (scale.perf_fd >= 0)
		number("idle_turn_instructions", f->idle_instructions, ",");
	number("timer_cycles_hour", f->keep_cycles, ",");
	number("worst_idle_turn_us", f->worst_us, ",");
	number("lookup_staged_cycles", f->lookup.staged, ",");
	number("lookup_single_cycles", f->lookup.single, ",");
	number("exchange_ns_min", f->ns_min, ",");
	number("exchange_ns_median", f->ns_median, ",");
	number("exchange_cycles_min", f->cycles_min, ",");
	if (scale.perf_fd >= 0)
		number("exchange_instructions", f->instructions_exchange, ",");
	number("exchange_segments", f->segments, ",");
	number("churn_ns", f->churn_ns, ",");
	number("churn_cycles", f->churn_cycles, ",");
	printf("\"errors\":%" PRIu64 ",\"tsc_hz\":%" PRIu64 "}\n", scale_client().errors,
		rte_get_tsc_hz());
	fflush(stdout);
}

static bool step(uint32_t n)
{
	struct scale_figures f = {0};

	scale_measure(n, &f);
	report(n, &f);
	if (scale.o.max_bytes && f.counted > scale.o.max_bytes) {
		fprintf(stderr, "scale: %.1f bytes a connection, %u allowed\n", f.counted,
			scale.o.max_bytes);
		return false;
	}
	return scale_client().errors == 0;
}

int main(int argc, char **argv)
{
	int rc = scale_options_parse(argc, argv, &scale.o);

	if (rc)
		return rc;
	scale_set_up();
	scale_measure_base();
	for (uint32_t i = 0; i < scale.o.n_steps && rc == 0; i++)
		rc = step(scale.o.steps[i]) ? 0 : 1;
	scale_tear_down();
	return rc;
}
