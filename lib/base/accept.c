/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_accept.h"

#include "mt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/*
 * A spare descriptor, closed for a moment when no other one is left. The kernel closes it when the
 * process ends.
 */
static int spare = -1;

static void keep_spare(void)
{
	if (spare < 0)
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int take(int listener, struct sockaddr_storage *from, socklen_t *len)
{
	return accept4(listener, (struct sockaddr *)from, len, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void turn_away(int listener)
{
	int fd;

	if (spare < 0)
		return;
	close(spare);
	fd = take(listener, NULL, NULL);
	if (fd >= 0)
		close(fd);
	spare = -1;
	keep_spare();
	mt_log(MT_LOG_WARN, "admin",
		"no descriptor is left: a connection was closed; raise the limit of open files "
		"(LimitNOFILE=, ulimit -n)");
}

int mt_accept(int listener, struct sockaddr_storage *from, socklen_t *len)
{
	int fd, why;

	keep_spare();
	fd = take(listener, from, len);
	why = errno;
	if (fd < 0 && (why == EMFILE || why == ENFILE))
		turn_away(listener);
	errno = why;
	return fd;
}
