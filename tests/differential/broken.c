/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tcp with one of its rules broken, against what the kernel answered: each must be noticed, by a
 * sequence that is unexplained, or by a rule that explains more or less than it should: where lib/tcp is
 * stricter than the kernel, a rule that it lost makes the two equal.
 */
#include "run.h"

#include "mt_mutant.h"
#include "stack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BREAKS_MAX 128

/* What was seen of one broken rule, in memory that its processes share with this one. */
struct broken {
	const char *name; /* NULL: nothing is broken */
	uint64_t sequences, unexplained, crashed;
	uint64_t by_rule[64];
};

/*
 * In a process of its own, which makes its own pools: a broken rule may end in an assertion, or keep
 * buffers.
 */
static void run_broken(struct broken *b, uint32_t n)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if ((b->name && !sc_break_select(b->name)) || !freopen("/dev/null", "w", stderr))
			_exit(EXIT_FAILURE);
		sc_stack_boot();
		b->unexplained += df_batch_compare(n);
		b->unexplained -= df_batch_repeat(n);
		for (uint32_t k = 0; k < n; k++)
			for (uint32_t r = 0; r < df_rules_count(); r++)
				b->by_rule[r] += df_results[k].rules >> r & 1;
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(EXIT_FAILURE);
	b->crashed += !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
	b->sequences += n;
}

/* The first rule that explains too much or too little; NULL: none does. */
static const char *wrong_count(const struct broken *b)
{
	for (uint32_t r = 0; r < df_rules_count() && !b->crashed; r++)
		if (df_rule_count(r, b->by_rule[r], b->sequences) != DF_COUNT_GOOD)
			return df_rule_name(r);
	return NULL;
}

static bool noticed(const struct broken *b)
{
	return b->unexplained || b->crashed || wrong_count(b);
}

static void say(const struct broken *b)
{
	const char *rule = wrong_count(b);
	const char *bad = b->name ? "noticed" : "WRONG", *good = b->name ? "MISSED" : "equal";

	printf("%-9s %-28s", noticed(b) ? bad : good, b->name ? b->name : "nothing broken");
	if (b->crashed)
		printf(" it crashed in the first %llu sequences\n",
			(unsigned long long)b->sequences);
	else if (rule && !b->unexplained)
		printf(" %s explains %llu of %llu sequences\n", rule,
			(unsigned long long)b->by_rule[df_rule_find(rule)],
			(unsigned long long)b->sequences);
	else
		printf(" %llu of %llu sequences\n", (unsigned long long)b->unexplained,
			(unsigned long long)b->sequences);
}

bool df_breaks_known(const char *names)
{
	char *list = strdup(names), *save = NULL;
	uint32_t n = 0;
	bool ok = list;

	for (char *name = strtok_r(list, ",", &save); ok && name;
		name = strtok_r(NULL, ",", &save), n++) {
		ok = sc_break_select(name) && n < BREAKS_MAX - 1;
		if (!ok)
			fprintf(stderr,
				"no rule is called %s: see build/tests/tcpscript/run "
				"--list-breaks\n",
				name);
	}
	if (ok && n == 0)
		fprintf(stderr,
			"--break wants a rule: see build/tests/tcpscript/run --list-breaks\n");
	mt_mutant_on = MT_MUTANT_NONE;
	free(list);
	return ok && n > 0;
}

/* The first is none: what is whole must not be noticed. */
static uint32_t split(char *names, struct broken *list)
{
	char *save = NULL;
	uint32_t n = 1;

	for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
		list[n++].name = name;
	return n;
}

int df_breaks_run(char *names, uint64_t first, uint64_t last)
{
	struct broken *list = mmap(NULL, BREAKS_MAX * sizeof(*list), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = EXIT_SUCCESS;
	uint32_t n;

	if (list == MAP_FAILED)
		return EXIT_FAILURE;
	n = split(names, list);
	while (first <= last) {
		uint32_t batch = df_batch(first, last);

		df_batch_kernel(batch, NULL);
		for (uint32_t i = 0; i < n; i++)
			if (!i || !noticed(&list[i]))
				run_broken(&list[i], batch);
		first += batch;
	}
	for (uint32_t i = 0; i < n; i++) {
		say(&list[i]);
		rc = noticed(&list[i]) == (i > 0) ? rc : EXIT_FAILURE;
	}
	return rc;
}
