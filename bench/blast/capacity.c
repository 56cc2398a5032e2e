/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The knee: the highest open-loop rate at which p99, errors and answers per second are within their
 * bounds. The rate doubles until a bound is missed. Then the interval is halved geometrically until
 * its ends differ by at most 5 %. A rate is rejected only after two failures, since one disturbance
 * of the machine is not a knee.
 */
#include "client.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RESOLUTION 1.05
#define RATE_START 1000.0
#define RATE_MAX   1e8
/* Above it the generator's own loop limits the result. */
#define GENERATOR_BUSY 0.9
/*
 * Below this share of answers in the window to calls due in it the queue grows. The base is calls
 * due, not the rate, because Poisson arrivals of a short step deviate from the rate.
 */
#define KEEPS_UP 0.98

struct walk {
	struct blast_options o;
	struct blast_result best, last;
	double good; /* the highest good rate */
	int rc;
	bool generator; /* the generator was the bottleneck */
	char why[256];	/* why the last rate was not good; empty if it was */
};

static double due_of(const struct blast_result *r)
{
	return (double)(r->measured[BLAST_SENT] + r->measured[BLAST_UNSENT]);
}

static double failed_share(const struct blast_result *r)
{
	double due = due_of(r);

	return due > 0 ? 1 - (double)r->measured[BLAST_ANSWERED] / due : 1;
}

/* Answers in the window as a share of the calls due in it. */
static double kept_up(const struct blast_result *r)
{
	double due = due_of(r);

	return due > 0 ? (double)r->in_window / due : 0;
}

static void add_why(struct walk *w, const char *format, double got, double bound)
	__attribute__((format(printf, 2, 0)));
static void add_why(struct walk *w, const char *format, double got, double bound)
{
	size_t len = strlen(w->why);

	if (len)
		len += (size_t)snprintf(w->why + len, sizeof(w->why) - len, ", ");
	snprintf(w->why + len, sizeof(w->why) - len, format, got, bound);
}

/* Evaluates the last run; `why` lists each missed bound. */
static bool is_good(struct walk *w)
{
	const struct blast_result *r = &w->last;
	double p99 = (double)blast_hist_at(&r->latency, 0.99) / 1e3;

	w->why[0] = '\0';
	if (due_of(r) <= 0)
		add_why(w, "no call fell due in the step", 0, 0);
	else if (kept_up(r) < KEEPS_UP)
		add_why(w, "answers came to %.1f %% of the calls due (bound %.0f %%)",
			kept_up(r) * 100, KEEPS_UP * 100);
	if (failed_share(r) > w->o.max_errors)
		add_why(w, "%.3f %% were not answered (bound %.3f %%)", failed_share(r) * 100,
			w->o.max_errors * 100);
	if (blast_hist_at(&r->latency, 0.99) > w->o.max_p99)
		add_why(w, "p99 is %.1f us (bound %.1f us)", p99, (double)w->o.max_p99 / 1e3);
	if (!w->why[0])
		return true;
	w->generator = r->busy > GENERATOR_BUSY;
	if (w->generator)
		add_why(w,
			"the generator itself was late, its loop busy for %.0f %% (bound %.0f "
			"%%)",
			r->busy * 100, GENERATOR_BUSY * 100);
	return false;
}

static bool once(struct walk *w, double rate)
{
	const struct blast_result *r = &w->last;
	bool good;

	w->o.rate = rate;
	w->rc = blast_run(&w->o, &w->last);
	if (w->rc)
		return false;
	if (blast_stopped()) {
		printf("%10.0f/s  interrupted, not judged\n", rate);
		return false;
	}
	good = is_good(w);
	printf("%10.0f/s  %10.0f due/s  %10.0f answered/s (%5.1f %%)  p99 %9.1f us  failed %.3f "
	       "%%  busiest loop %3.0f %%  %s%s\n",
		rate, due_of(r) / r->elapsed, (double)r->in_window / r->elapsed, kept_up(r) * 100,
		(double)blast_hist_at(&r->latency, 0.99) / 1e3, failed_share(r) * 100,
		r->busy * 100, good ? "good" : "too much: ", w->why);
	fflush(stdout);
	if (good && rate > w->good) {
		w->good = rate;
		w->best = w->last;
	}
	return good;
}

static bool twice(struct walk *w, double rate)
{
	return once(w, rate) || (!w->rc && !blast_stopped() && once(w, rate));
}

/*
 * Searches down from a first rate that is too high, or up from one that is not; then between the
 * two.
 */
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
 * Prints a token bucket that fills ten times a second, so that the limit is admitted per second and
 * a burst has at most a tenth of it.
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

static void tell_limit(const struct walk *w, double limit)
{
	if (w->o.proto == &blast_tcp) {
		printf("%.0f calls/s leave %.0f %% of headroom. No MetaRouter is printed: limits "
		       "are "
		       "for message protocols, and have no effect on a plain TCP port.\n",
			limit, w->o.headroom * 100);
		return;
	}
	printf("A limit with %.0f %% of headroom; the host is --service, to be set to the "
	       "service's own:\n",
		w->o.headroom * 100);
	print_limit(w, limit);
}

static int report(const struct walk *w)
{
	double limit = w->good * (1 - w->o.headroom);

	if (blast_stopped())
		fputs("meltemi-blast: interrupted before the capacity was narrowed down\n", stderr);
	if (!w->good && blast_stopped())
		return 3;
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
	tell_limit(w, limit);
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
	/*
	 * Beyond the knee everything waits, so a longer timeout than that of a clearly bad answer
	 * is useless.
	 */
	w.o.timeout = MT_MIN(o->timeout, MT_MAX(10 * o->max_p99, MT_SEC));
	search(&w, o->rate > 0 ? o->rate : RATE_START);
	return w.rc ? w.rc : report(&w);
}
