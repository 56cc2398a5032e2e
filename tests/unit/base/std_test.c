/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mt_std.h"
#include "suites.h"

/* Runs a child whose standard output is `path` (NULL: closed), and returns its exit code. */
static int child(const char *path, int code)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		close(STDOUT_FILENO);
		if (path && open(path, O_WRONLY) != STDOUT_FILENO)
			_exit(99);
		mt_std_hold();
		/* Nothing else gets the number of a standard descriptor. */
		if (dup(STDIN_FILENO) <= STDERR_FILENO)
			_exit(98);
		fputs("output", stdout);
		_exit(mt_std_written("a", code));
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* The reader has closed the pipe before the output came: no message, and no error. */
static void reader_has_gone(void)
{
	int ends[2], status = 0;
	pid_t pid;

	fflush(stdout);
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	close(ends[0]);
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		if (dup2(ends[1], STDOUT_FILENO) != STDOUT_FILENO)
			_exit(99);
		setvbuf(stdout, NULL, _IONBF, 0);
		fputs("output", stdout);
		_exit(mt_std_written("a", 0));
	}
	close(ends[1]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void output_is_lost(void)
{
	fflush(stdout);
	CU_ASSERT_EQUAL(child("/dev/null", 0), 0);
	CU_ASSERT_EQUAL(child("/dev/null", 3), 3);
	CU_ASSERT_EQUAL(child("/dev/full", 0), 1);
	CU_ASSERT_EQUAL(child("/dev/full", 3), 3);
	CU_ASSERT_EQUAL(child(NULL, 0), 1);
}

const struct mt_test std_tests[] = {
	{"output is lost", output_is_lost}, {"reader has gone", reader_has_gone}, {0}};
