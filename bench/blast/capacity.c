/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The knee: the highest open-loop rate at which p99, errors and answers per second are still good. The
 * rate doubles until it is not good, then the interval is halved in ratio down to 5 %. A rate is refused
 * only when it was not good twice, since one hiccup of the machine is no knee.
 */
#include "client.h"

#include <math.h>
#include <stdio.h>

#define RESOLUTION 1.05
#define RATE_START 1000.0
#define RATE_MAX   1e8
/* Answers per second below this share of the rate: the queue grows. */
#define KEEPS_UP 0.98

struct walk {
	struct blast_options o;
	struct blast_result best, last;
	double good; /* the highest rate that was */
	int rc;
	bool generator; /* it was the generator that could not do more */
};

static double failed_share(const struct blast_result *r)
{
	double due = (double)(r->measured[BLAST_SENT] + r->measured[BLAST_UNSENT]);

	return due > 0 ? 1 - (double)r->measured[BLAST_ANSWERED] / due : 1;
}

static bool is_good(const struct walk *w)
{
	const struct blast_result *r = &w->last;
	double due = (double)(r->measured[BLAST_SENT] + r->measured[BLAST_UNSENT]);

	return due > 0 && failed_share(r) <= w->o.max_errors &&
	       blast_hist_at(&r->latency, 0.99) <= w->o.max_p99 &&
	       (double)r->in_window >= KEEPS_UP * due;
}

static bool once(struct walk *w, double rate)
{
	bool good;

	w->o.rate = rate;
	w->rc = blast_run(&w->o, &w->last);
	if (w->rc)
		return false;
	good = is_good(w);
	printf("%10.0f/s  %10.0f answered/s  p99 %9.1f us  failed %.3f %%  busiest loop %3.0f %%  "
	       "%s\n",
		rate, (double)w->last.in_window / w->last.elapsed,
		(double)blast_hist_at(&w->last.latency, 0.99) / 1e3, failed_share(&w->last) * 100,
		w->last.busy * 100, good ? "good" : "too much");
	fflush(stdout);
	if (good && rate > w->good) {
		w->good = rate;
		w->best = w->last;
	}
	if (!good)
		w->generator = w->last.busy > 0.9;
	return good;
}

static bool twice(struct walk *w, double rate)
{
	return once(w, rate) || (!w->rc && !blast_stopped() && once(w, rate));
}

/* Down from a first rate that is too much, or up from one that is not; then between the two. */
static void search(struct walk *w, double rate)
{
	double bad = 0, between;

	while (!w->rc && !blast_stopped() && rate >= 1 && rate <= RATE_MAX && (!bad || !w->good)) {
		if (twice(w, rate))
			rate *= 2;
		else if (!w->rc) {
			bad = rate;
			rate /= 4;
		}
	}
	while (!w->rc && !blast_stopped() && w->good && bad / w->good > RESOLUTION) {
		between = sqrt(w->good * bad);
		if (!twice(w, between))
			bad = between;
	}
}

/*
 * A bucket that fills ten times a second: what a second admits is the limit, and a burst may be as long as
 * a tenth of it.
 */
static void print_limit(const struct walk *w, double limit)
{
	long fill = MT_MAX(lround(limit / 10), 1L);
	const char *interval = limit >= 10 ? "100ms" : "1s";

	if (limit < 10)
		fill = MT_MAX(lround(limit), 1L);
	printf("---\n"
	       "apiVersion: metaprotocol.aeraki.io/v1alpha1\n"
	       "kind: MetaRouter\n"
	       "metadata:\n"
	       "  name: capacity\n"
	       "spec:\n"
	       "  hosts:\n"
	       "  - %s\n"
	       "  localRateLimit:\n"
	       "    tokenBucket:\n"
	       "      maxTokens: %ld\n"
	       "      tokensPerFill: %ld\n"
	       "      fillInterval: %s\n"
	       "---\n",
		w->o.names.service, fill, fill, interval);
}

static int report(const struct walk *w)
{
	double limit = w->good * (1 - w->o.headroom);

	if (!w->good) {
		fprintf(stderr, "meltemi-blast: no rate was good; raise --max-p99 or --max-errors, "
				"or look at "
				"the server by a closed loop first\n");
		return 3;
	}
	printf("capacity %.0f calls/s with p99 %.1f us (bound %.1f us), failed %.3f %% (bound %.3f "
	       "%%)\n",
		w->good, (double)blast_hist_at(&w->best.latency, 0.99) / 1e3,
		(double)w->o.max_p99 / 1e3, failed_share(&w->best) * 100, w->o.max_errors * 100);
	if (w->generator)
		fputs("meltemi-blast: warning: above it the generator's own loop was busy: the "
		      "server may be "
		      "capable of more; add --threads\n",
			stderr);
	printf("A limit with %.0f %% of headroom; the host is --service, to be set to the "
	       "service's own:\n",
		w->o.headroom * 100);
	print_limit(w, limit);
	if (w->o.json)
		printf("{\"capacity\": %.0f, \"p99_us\": %.1f, \"failed_share\": %.5f, \"limit\": "
		       "%.0f, "
		       "\"generator_is_bottleneck\": %s}\n",
			w->good, (double)blast_hist_at(&w->best.latency, 0.99) / 1e3,
			failed_share(&w->best), limit, w->generator ? "true" : "false");
	return 0;
}

int blast_find_capacity(const struct blast_options *o)
{
	static struct walk w;

	w.o = *o;
	w.o.duration = o->step;
	w.o.warm_up = MT_MIN(o->warm_up, o->step / 4);
	/* Beyond the knee everything waits; there is no need to wait longer than for a bad answer. */
	w.o.timeout = MT_MIN(o->timeout, MT_MAX(10 * o->max_p99, MT_SEC));
	search(&w, o->rate > 0 ? o->rate : RATE_START);
	return w.rc ? w.rc : report(&w);
}
