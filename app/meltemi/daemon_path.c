/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_path.h"

#include "mt_base.h"
#include "unit_user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A directory has the right to execute, too. */
static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/*
 * Prefers the meltemid of the same build: in a build directory, next to this program, or where it
 * is installed. Otherwise any in PATH.
 */
void daemon_path(char *path, size_t size)
{
	static const char *const places[] = {
		"../meltemid/meltemid", "../sbin/meltemid", "meltemid"};
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < MT_ARRAY_LEN(places); i++)
		if ((size_t)snprintf(path, size, "%s/%s", own, places[i]) < size &&
			is_program(path))
			return;
	snprintf(path, size, "meltemid");
}

/* In the child process. */
static void become(const char *user, const char *const *argv, const char *told, int out)
{
	char program[PATH_MAX];
	int fd = told ? open(told, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : out;
	int rc;

	daemon_path(program, sizeof(program));
	signal(SIGPIPE, SIG_DFL);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	rc = user ? unit_become(user) : 0;
	if (rc == 0) {
		execvp(program, (char **)(uintptr_t)argv);
		rc = -errno;
	} else if (rc == -ENOENT) {
		dprintf(STDERR_FILENO, "user %s of the unit does not exist\n", user);
		_exit(126);
	}
	if (rc != -ENOENT)
		dprintf(STDERR_FILENO, "%s: cannot be run as user %s: %s\n", program,
			user ? user : "of this process", strerror(-rc));
	_exit(rc == -ENOENT ? 127 : 126);
}

pid_t daemon_start(const char *user, const char *const *argv, const char *told, FILE **out)
{
	int fds[2];
	pid_t pid;

	*out = NULL;
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0)
		become(user, argv, told, fds[1]);
	close(fds[1]);
	*out = pid > 0 ? fdopen(fds[0], "r") : NULL;
	if (!*out)
		close(fds[0]);
	return pid;
}

int daemon_run(const char *user, const char *const *argv, char **out)
{
	size_t size;
	int status = -1;
	FILE *f = open_memstream(out, &size), *from = NULL;
	pid_t pid = f ? daemon_start(user, argv, NULL, &from) : -1;

	for (int c; pid > 0 && from && (c = getc(from)) != EOF;)
		putc(c, f);
	if (pid > 0 && from)
		fclose(from);
	if (f)
		fclose(f);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		WEXITSTATUS(status) == 127)
		return -1;
	return WEXITSTATUS(status);
}
