/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

static int listen_here(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 16), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static int connect_to(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)at, sizeof(*at)), 0);
	return fd;
}

static bool waits(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* And was not reset. */
static bool has_ended(int fd)
{
	char byte;

	return waits(fd, 1000) && read(fd, &byte, 1) == 0;
}

/* The next descriptor would have the number of the limit; returns the limit that was. */
static struct rlimit no_more_files(void)
{
	struct rlimit was, now;
	int next = dup(STDIN_FILENO);

	CU_ASSERT_FATAL(next >= 0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &was);
	now = was;
	now.rlim_cur = (rlim_t)next;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &now), 0);
	return was;
}

static void none_left(void)
{
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	struct sockaddr_in at;
	struct rlimit was;
	int l = listen_here(&at), first = connect_to(&at), fd, clients[3];

	fd = mt_accept(l, &from, &len);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(from.ss_family, AF_INET);
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to(&at);
	was = no_more_files();
	for (int i = 0; i < 3; i++) {
		CU_ASSERT(waits(l, 0));
		CU_ASSERT_EQUAL(mt_accept(l, NULL, NULL), -1);
		CU_ASSERT_EQUAL(errno, EMFILE);
		CU_ASSERT(has_ended(clients[i]));
	}
	CU_ASSERT_FALSE(waits(l, 0));
	setrlimit(RLIMIT_NOFILE, &was);
	CU_ASSERT_EQUAL(mt_accept(l, NULL, NULL), -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(fd);
	close(first);
	close(l);
}

const struct mt_test accept_tests[] = {{"no descriptor is left", none_left}, {0}};
