/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP face: the input is what a client of this host sends on one connection, to a node that has nothing. Whatever it is,
 * the connection ends in bounded time.
 */
#include "fuzz.h"

#include "mt_ctl.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS 100000 /* of 1 ms: any time limit passes meanwhile */

static uint64_t now;

static struct sockaddr_in any_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MT_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	MT_ASSERT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	close(fd);
	return a;
}

static struct mt_ctl *the_ctl(struct sockaddr_in *at)
{
	static struct sockaddr_in where;
	static struct mt_ctl *c;
	struct mt_ctl_env env = {.node = "fuzz"};
	struct mt_err e;

	if (!c) {
		where = any_port();
		env.http_addr = mt_addr4(where.sin_addr.s_addr);
		env.http_port = ntohs(where.sin_port);
		mt_log_set_level(MT_LOG_ERROR);
		c = mt_ctl_create(&env, 0, &e);
		MT_ASSERT(c);
		mt_ctl_set_state(c, MT_CTL_SERVING);
	}
	*at = where;
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct linger at_once = {1, 0};
	struct sockaddr_in at;
	struct mt_ctl *c = the_ctl(&at);
	int fd = socket(AF_INET, SOCK_STREAM, 0), turns = 0;
	ssize_t n;
	char buf[65536];

	MT_ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)!send(fd, data, MT_MIN(size, (size_t)32768), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	do {
		mt_ctl_turn(c, now += MT_MSEC);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while ((n > 0 || (n < 0 && errno == EAGAIN)) && ++turns < TURNS);
	MT_ASSERT(turns < TURNS);
	close(fd);
	return 0;
}
