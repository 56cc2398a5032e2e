/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds are independent, so processes share them by a counter in common memory, a few at a time and in
 * order: all below the lowest that is being run are done, which is where an interrupted run goes on.
 */
#include "jobs.h"

#include "../eal_unpinned.h"
#include "../states_seen.h"

#include "options.h"
#include "pool_sim.h"

#include "mt_buf.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK	  8
#define BEAT_NS	  (100 * MT_MSEC)
#define TTY_BEATS 10  /* between progress lines on a terminal, */
#define LOG_BEATS 300 /* and elsewhere */

struct job {
	pid_t pid;
	_Atomic uint64_t seed; /* that it runs; UINT64_MAX: none any more */
	struct sim_report report;
};

struct shared {
	_Atomic uint64_t next;
	_Atomic bool stop;
	_Atomic bool printing;
	struct job job[];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = 1;
}

static bool eal(void)
{
	static char *args[] = {"sim", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};

	if (eal_init_unpinned(MT_ARRAY_LEN(args) - 1, args) >= 0 && mt_buf_init() == 0)
		return true;
	fprintf(stderr, "sim: DPDK's EAL did not start (is 512 MB of memory free?)\n");
	return false;
}

int sim_seeds_run(const struct sim_options *opt, struct sim_report *r)
{
	static struct sim sim;
	int rc = 0;

	if (!eal())
		return 1;
	sim_cells = &r->cells;
	if (opt->cases)
		rc = sim_cases_run(&sim, opt, r);
	for (uint64_t seed = opt->seed_from; !opt->cases && seed <= opt->seed_to; seed++) {
		sim_seed_run(&sim, opt, seed);
		sim_report_add(r, &sim);
		if (!sim.failed)
			continue;
		sim_report_failure(&sim);
		if (!opt->keep_going)
			break;
	}
	states_seen();
	sim_pools_reset();
	free(sim.heap);
	return rc;
}

/* ---- a process of several ---- */

static void tell_failure(struct shared *sh, const struct sim *s)
{
	const struct timespec while_another_prints = {.tv_nsec = 1000000};

	while (atomic_exchange(&sh->printing, true))
		nanosleep(&while_another_prints, NULL);
	sim_report_failure(s);
	fflush(stdout);
	atomic_store(&sh->printing, false);
}

static int work(const struct sim_options *opt, struct shared *sh, struct job *me)
{
	static struct sim sim;
	uint64_t seed, end;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN); /* the parent says when */
	if (!eal())
		return 1;
	sim_cells = &me->report.cells;
	while (!atomic_load(&sh->stop)) {
		atomic_store(&me->seed, atomic_load(&sh->next));
		seed = atomic_fetch_add(&sh->next, CHUNK);
		end = MT_MIN(seed + CHUNK - 1, opt->seed_to);
		for (; seed <= end && !atomic_load(&sh->stop); seed++) {
			atomic_store(&me->seed, seed);
			sim_seed_run(&sim, opt, seed);
			sim_report_add(&me->report, &sim);
			if (!sim.failed)
				continue;
			tell_failure(sh, &sim);
			if (!opt->keep_going)
				atomic_store(&sh->stop, true);
		}
		if (seed > opt->seed_to)
			break;
		atomic_store(&me->seed, seed);
	}
	states_seen();
	if (!atomic_load(&sh->stop))
		atomic_store(&me->seed, UINT64_MAX);
	return 0;
}

/* ---- the one that started them ---- */

static uint64_t lowest(const struct sim_options *opt, struct shared *sh)
{
	uint64_t low = MT_MIN(atomic_load(&sh->next), opt->seed_to + 1);

	for (uint32_t i = 0; i < opt->jobs; i++)
		low = MT_MIN(low, atomic_load(&sh->job[i].seed));
	return low;
}

static void progress(const struct sim_options *opt, struct shared *sh, uint64_t beats)
{
	uint64_t all = opt->seed_to - opt->seed_from + 1, done = 0, failed = 0, left;
	bool tty = isatty(STDERR_FILENO);

	if (beats % (tty ? TTY_BEATS : LOG_BEATS))
		return;
	for (uint32_t i = 0; i < opt->jobs; i++) {
		done += sh->job[i].report.seeds;
		failed += sh->job[i].report.failed;
	}
	left = done ? (all - MT_MIN(done, all)) * beats / done / 10 : 0;
	fprintf(stderr,
		"%ssim: %" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " s gone, "
		"about %" PRIu64 " s left%s",
		tty ? "\r" : "", done, all, failed, beats / 10, left, tty ? "   " : "\n");
}

/* A process that ended on its own accord, or of a signal: then the seed that it ran is to blame. */
static void ended(const struct sim_options *opt, struct shared *sh, pid_t pid, int status)
{
	for (uint32_t i = 0; i < opt->jobs; i++) {
		struct job *j = &sh->job[i];

		if (j->pid != pid)
			continue;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return;
		printf("seed %" PRIu64 " FAILED: the simulator ended by %s %d\n",
			atomic_load(&j->seed), WIFEXITED(status) ? "exit" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		printf("replay: build/tests/sim/sim --seeds %" PRIu64 " --verbose\n",
			atomic_load(&j->seed));
		if (j->report.failed < REPORT_FAILED)
			j->report.failed_seed[j->report.failed] = atomic_load(&j->seed);
		j->report.failed++;
		atomic_store(&sh->stop, true);
	}
}

static void wait_for_all(const struct sim_options *opt, struct shared *sh)
{
	const struct timespec beat = {.tv_nsec = BEAT_NS};
	uint64_t beats = 0;
	uint32_t left = opt->jobs;
	int status;
	pid_t pid;

	while (left) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0) {
			ended(opt, sh, pid, status);
			left--;
			continue;
		}
		if (pid < 0 && errno == ECHILD)
			return;
		if (interrupted)
			atomic_store(&sh->stop, true);
		nanosleep(&beat, NULL);
		progress(opt, sh, ++beats);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\n");
}

static bool start(const struct sim_options *opt, struct shared *sh)
{
	for (uint32_t i = 0; i < opt->jobs; i++) {
		struct job *j = &sh->job[i];
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0)
			_exit(work(opt, sh, j));
		if (pid < 0) {
			fprintf(stderr, "sim: fork: %s\n", strerror(errno));
			atomic_store(&sh->stop, true);
			return false;
		}
		j->pid = pid;
	}
	return true;
}

int sim_jobs_run(const struct sim_options *opt, struct sim_report *r)
{
	size_t bytes = sizeof(struct shared) + opt->jobs * sizeof(struct job);
	struct shared *sh =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t low;
	bool ok;

	if (sh == MAP_FAILED) {
		fprintf(stderr, "sim: no memory for %u jobs\n", opt->jobs);
		return 1;
	}
	atomic_store(&sh->next, opt->seed_from);
	for (uint32_t i = 0; i < opt->jobs; i++)
		atomic_store(&sh->job[i].seed, opt->seed_from);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	ok = start(opt, sh);
	wait_for_all(opt, sh);
	for (uint32_t i = 0; i < opt->jobs; i++)
		sim_report_merge(r, &sh->job[i].report);
	low = lowest(opt, sh);
	munmap(sh, bytes);
	if (r->seeds < opt->seed_to - opt->seed_from + 1)
		printf("stopped; go on with --seeds %" PRIu64 "-%" PRIu64 "\n", low, opt->seed_to);
	return ok && !interrupted ? 0 : 1;
}
