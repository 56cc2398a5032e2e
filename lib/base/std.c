/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_std.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void mt_std_hold(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* In the wrong direction, so that its use still fails. */
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* True if standard output is a pipe that its reader has closed. */
static bool is_broken_pipe(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) > 0 && p.revents & POLLERR;
}

int mt_std_written(const char *program, int code)
{
	bool failed = ferror(stdout);

	errno = 0;
	failed = fflush(stdout) || failed;
	if (!failed || is_broken_pipe())
		return code;
	fprintf(stderr, "%s: standard output cannot be written%s%s\n", program, errno ? ": " : "",
		errno ? strerror(errno) : "");
	return code ? code : 1;
}
