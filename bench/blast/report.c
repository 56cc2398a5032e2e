/* SPDX-License-Identifier: Apache-2.0 */
/* The result as text and as one line of JSON. */
#include "client.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *key;
	double share;
} percentiles[] = {
	{"p50", "p50_us", 0.5},
	{"p90", "p90_us", 0.9},
	{"p99", "p99_us", 0.99},
	{"p99.5", "p995_us", 0.995},
	{"p99.9", "p999_us", 0.999},
	{"p99.99", "p9999_us", 0.9999},
	{"p99.999", "p99999_us", 0.99999},
	{"max", "max_us", 1},
};

/* Processor share of one thread's loop above which the generator is the bottleneck. */
#define BUSY_MAX 0.9

static const char *loop_name(const struct blast_options *o)
{
	static const char *const open[] = {"open, Poisson arrivals", "open, uniform arrivals"};

	return o->rate > 0 ? open[o->arrivals] : "closed";
}

static void text_hist(const char *name, const struct blast_hist *h)
{
	printf("%-10s", name);
	for (size_t i = 0; i < MT_ARRAY_LEN(percentiles); i++)
		printf("  %s %.1f", percentiles[i].name,
			(double)blast_hist_at(h, percentiles[i].share) / 1e3);
	printf("  mean %.1f us\n", h->n ? (double)h->sum / (double)h->n / 1e3 : 0);
}

/*
 * Prints failures of calls that were due outside of the measured part, because the exit status
 * counts them.
 */
static void text_outside(const struct blast_result *r)
{
	const char *before = "\noutside     of the measured part: ";

	for (uint32_t c = BLAST_NATIVE_ERROR; c <= BLAST_UNSENT; c++) {
		if (r->counts[c] == r->measured[c])
			continue;
		printf("%s%lu %s", before, r->counts[c] - r->measured[c], blast_count_names[c]);
		before = ", ";
	}
}

static void text_fates(const struct blast_result *r)
{
	printf("calls       %lu sent", r->measured[BLAST_SENT]);
	for (uint32_t c = BLAST_ANSWERED; c <= BLAST_UNSENT; c++)
		if (c == BLAST_ANSWERED || r->measured[c])
			printf(", %lu %s", r->measured[c], blast_count_names[c]);
	for (uint32_t c = BLAST_STRANGER; c <= BLAST_LATE; c++)
		if (r->counts[c])
			printf("; %lu replies %s", r->counts[c], blast_count_names[c]);
	text_outside(r);
	printf("\nconnections %lu opened, %lu failed to; %u up at the end, %u were answered\n",
		r->counts[BLAST_CONNECTED], r->counts[BLAST_CONNECT_FAILED], r->up_at_end,
		r->n_answered);
}

static void text(const struct blast_options *o, const struct blast_result *r)
{
	char to[MT_ADDR_STRLEN];

	printf("%s to %s, %u connections x %u outstanding, loop %s", o->proto->name,
		mt_addr_port_str(&o->host, o->port, to), o->connections, o->outstanding,
		loop_name(o));
	if (o->rate > 0)
		printf(" at %.0f/s", o->rate);
	printf(", %.1f s after %.1f s of warm-up\n", r->elapsed, (double)o->warm_up / 1e9);
	printf("rate        %.0f answered/s\n", (double)r->in_window / r->elapsed);
	text_fates(r);
	text_hist("latency", &r->latency);
	if (o->rate > 0) {
		text_hist("service", &r->service);
		text_hist("send lag", &r->lag);
		printf("backlog     at most %.1f ms behind the schedule, about %.0f calls\n",
			(double)r->max_lag / 1e6, (double)r->max_lag / 1e9 * o->rate);
	}
	text_hist("connect", &r->connects);
	printf("generator   %.2f us of CPU a call, busiest loop %.0f %%\n",
		r->in_window ? (double)r->cpu / (double)r->in_window / 1e3 : 0, r->busy * 100);
}

static void json_hist(const char *name, const struct blast_hist *h)
{
	printf(", \"%s\": {\"n\": %lu, \"mean_us\": %.1f, \"min_us\": %.1f", name, h->n,
		h->n ? (double)h->sum / (double)h->n / 1e3 : 0, h->n ? (double)h->min / 1e3 : 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(percentiles); i++)
		printf(", \"%s\": %.1f", percentiles[i].key,
			(double)blast_hist_at(h, percentiles[i].share) / 1e3);
	printf("}");
}

static void json(const struct blast_options *o, const struct blast_result *r)
{
	printf("{\"proto\": \"%s\", \"connections\": %u, \"outstanding\": %u, \"loop\": \"%s\", "
	       "\"rate\": %.1f, \"mean_size\": %.0f, \"seconds\": %.3f, \"per_second\": %.1f",
		o->proto->name, o->connections, o->outstanding, loop_name(o), o->rate,
		blast_dist_mean(&o->size), r->elapsed, (double)r->in_window / r->elapsed);
	for (uint32_t c = 0; c < BLAST_COUNTS; c++)
		printf(", \"%s\": %lu", blast_count_names[c],
			c <= BLAST_UNSENT ? r->measured[c] : r->counts[c]);
	printf(", \"connections_up\": %u, \"connections_answered\": %u, \"threads\": %u, "
	       "\"backend\": \"%s\"",
		r->up_at_end, r->n_answered, o->threads,
		!o->ports      ? "kernel"
		: o->link.ring ? "ring"
			       : "device");
	json_hist("latency", &r->latency);
	json_hist("service", &r->service);
	json_hist("send_lag", &r->lag);
	json_hist("connect", &r->connects);
	printf(", \"max_lag_us\": %.1f, \"cpu_us_per_call\": %.3f, \"busy\": %.3f, "
	       "\"generator_is_bottleneck\": %s}\n",
		(double)r->max_lag / 1e3,
		r->in_window ? (double)r->cpu / (double)r->in_window / 1e3 : 0, r->busy,
		r->busy > BUSY_MAX ? "true" : "false");
}

void blast_report(const struct blast_options *o, const struct blast_result *r)
{
	text(o, r);
	fflush(stdout);
	if (r->busy > BUSY_MAX)
		fprintf(stderr,
			"meltemi-blast: warning: its own loop was busy for %.0f %% of the time: "
			"this is the "
			"generator's speed, not the server's; add --threads\n",
			r->busy * 100);
	if (o->json)
		json(o, r);
	fflush(stdout);
}
