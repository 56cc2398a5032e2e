/* SPDX-License-Identifier: Apache-2.0 */
/* One run: workers, the progress line, the sum. */
#include "client.h"
#include "allowed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void worker_init(struct blast_run *run, uint32_t i)
{
	const struct blast_options *o = run->o;
	struct blast_worker *w = &run->workers[i];
	uint32_t first = (uint32_t)((uint64_t)o->connections * i / o->threads);

	w->o = o;
	w->run = run;
	w->index = i;
	w->io = o->ports ? o->stacks[i] : blast_io_kernel();
	if (!w->io) {
		fputs("meltemi-blast: no epoll instance to be had\n", stderr);
		exit(4);
	}
	w->n_conns = (uint32_t)((uint64_t)o->connections * (i + 1) / o->threads) - first;
	w->cache = (struct blast_cache){.proto = o->proto, .names = o->names, .request = true};
	while ((1u << w->slot_bits) < o->outstanding)
		w->slot_bits++;
	mt_rand_seed(&w->rand, o->seed * 1000 + i);
	mt_list_init(&w->ready);
	mt_list_init(&w->sent);
	mt_list_init(&w->connecting);
	mt_list_init(&w->down);
	blast_conns_init(w, first);
}

static void worker_fini(struct blast_worker *w)
{
	blast_cache_fini(&w->cache);
	blast_queue_fini(&w->rx);
	blast_queue_fini(&w->tx);
	if (!w->o->ports)
		w->io->ops->destroy(w->io);
}

static uint64_t total(const struct blast_run *run, enum blast_count what)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < run->o->threads; i++)
		n += mt_count_read(&run->workers[i].counts[what]);
	return n;
}

static uint64_t ended(const struct blast_run *run)
{
	uint64_t n = 0;

	for (enum blast_count c = BLAST_ANSWERED; c <= BLAST_ABANDONED; c++)
		n += total(run, c);
	return n;
}

static void progress(const struct blast_run *run, uint64_t start, uint64_t before)
{
	uint64_t answered = total(run, BLAST_ANSWERED), all = ended(run);

	fprintf(stderr,
		"%5.0f s  %9lu answered/s  %lu failed  %lu in flight  %lu connect failures\n",
		(double)(blast_now() - start) / 1e9, answered - before, all - answered,
		total(run, BLAST_SENT) - all, total(run, BLAST_CONNECT_FAILED));
}

/* Runs until the workers end; prints a line per second, and one when measuring starts. */
static void watch(const struct blast_run *run, uint64_t start)
{
	uint64_t measure = start + run->o->warm_up, end = measure + run->o->duration;
	uint64_t next = start + MT_SEC, answered = 0, now;
	bool measuring = false;

	for (now = blast_now(); now < end && !blast_stopped(); now = blast_now()) {
		uint64_t until = MT_MIN(measuring ? end : measure, next);

		if (until > now)
			usleep((useconds_t)MT_MIN((until - now) / 1000 + 1, 100000u));
		now = blast_now();
		if (!measuring && now >= measure) {
			measuring = true;
			if (run->o->json && !run->o->find_capacity) {
				puts("{\"measuring\": true}");
				fflush(stdout);
			}
		}
		if (now < next)
			continue;
		next += MT_SEC;
		if (run->o->progress)
			progress(run, start, answered);
		answered = total(run, BLAST_ANSWERED);
	}
}

static void sum(const struct blast_run *run, struct blast_result *r)
{
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < run->o->threads; i++) {
		const struct blast_worker *w = &run->workers[i];
		double elapsed = (double)(w->end - MT_MIN(w->measure_from, w->end)) + 1;

		for (uint32_t c = 0; c < BLAST_COUNTS; c++) {
			r->counts[c] += w->counts[c];
			r->measured[c] += w->measured[c];
		}
		r->in_window += w->in_window;
		r->n_answered += w->n_answered;
		r->up_at_end += w->up_at_end;
		r->cpu += w->cpu;
		r->max_lag = MT_MAX(r->max_lag, w->max_lag);
		r->elapsed = MT_MAX(r->elapsed, elapsed / 1e9);
		r->busy = MT_MAX(r->busy, 1 - (double)w->waited / elapsed);
		blast_hist_merge(&r->latency, &w->latency);
		blast_hist_merge(&r->service, &w->service);
		blast_hist_merge(&r->lag, &w->lag);
		blast_hist_merge(&r->connects, &w->connects);
	}
	r->busy = MT_MAX(r->busy, 0);
}

static bool all_open(struct blast_run *run)
{
	const struct blast_options *o = run->o;
	char to[MT_ADDR_STRLEN];
	uint32_t up = 0;
	int error = 0;

	for (uint32_t i = 0; i < o->threads; i++) {
		up += run->workers[i].n_up;
		run->abort |= run->workers[i].failed;
		if (run->workers[i].last_errno)
			error = run->workers[i].last_errno;
	}
	if (!run->abort)
		return true;
	fprintf(stderr, "meltemi-blast: %u of %u connections to %s: %s; %s\n", up, o->connections,
		mt_addr_port_str(&o->host, o->port, to), error ? strerror(error) : "no answer",
		blast_remedy(o, error));
	return false;
}

static void start_all(struct blast_run *run)
{
	uint64_t now = blast_now();

	for (uint32_t i = 0; i < run->o->threads; i++) {
		struct blast_worker *w = &run->workers[i];

		w->start = now;
		w->measure_from = now + run->o->warm_up;
		w->end = w->measure_from + run->o->duration;
	}
}

int blast_run(const struct blast_options *o, struct blast_result *r)
{
	struct blast_run run = {.o = o, .workers = calloc(o->threads, sizeof(*run.workers))};
	uint64_t now;
	bool open;

	if (!run.workers || !blast_allowed(o)) {
		free(run.workers);
		return 4;
	}
	pthread_barrier_init(&run.opened, NULL, o->threads + 1);
	pthread_barrier_init(&run.started, NULL, o->threads + 1);
	for (uint32_t i = 0; i < o->threads; i++) {
		worker_init(&run, i);
		if (pthread_create(
			    &run.workers[i].thread, NULL, blast_worker_main, &run.workers[i])) {
			fputs("meltemi-blast: no more threads; use fewer by --threads\n", stderr);
			exit(4);
		}
	}
	pthread_barrier_wait(&run.opened);
	open = all_open(&run);
	start_all(&run);
	now = blast_now();
	pthread_barrier_wait(&run.started);
	if (open)
		watch(&run, now);
	for (uint32_t i = 0; i < o->threads; i++)
		pthread_join(run.workers[i].thread, NULL);
	sum(&run, r);
	for (uint32_t i = 0; i < o->threads; i++)
		worker_fini(&run.workers[i]);
	pthread_barrier_destroy(&run.opened);
	pthread_barrier_destroy(&run.started);
	free(run.workers);
	return open ? 0 : 4;
}
