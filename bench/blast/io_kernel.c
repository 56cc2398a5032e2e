/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include "options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

struct kernel {
	struct blast_io io;
	int ep, listener; /* listener 0: none */
};

static int ep_of(struct blast_io *io)
{
	return ((struct kernel *)io)->ep;
}

static int attach(struct blast_io *io)
{
	(void)io;
	return 0;
}

static void detach(struct blast_io *io)
{
	(void)io;
}

static int add(struct blast_io *io, int fd, uint32_t events, void *arg)
{
	struct epoll_event ev = {.events = events, .data.ptr = arg};

	return epoll_ctl(ep_of(io), EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int come_from(int fd, const struct mt_addr *from)
{
	struct sockaddr_storage at;
	uint32_t len = blast_sockaddr(from, 0, &at);
	int on = 1;

	/* connect() chooses the port, so that the whole range is available for each destination. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&at, len) ? -errno : 0;
}

static int open_socket(struct blast_io *io, const struct mt_addr *from, const struct mt_addr *to,
	uint16_t port, void *arg)
{
	struct sockaddr_storage at;
	uint32_t len = blast_sockaddr(to, port, &at);
	int on = 1, rc = 0,
	    fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (from)
		rc = come_from(fd, from);
	if (!rc && connect(fd, (struct sockaddr *)&at, len) && errno != EINPROGRESS)
		rc = -errno;
	if (!rc)
		rc = add(io, fd, EVENTS, arg);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int outcome(struct blast_io *io, int sock)
{
	socklen_t len = sizeof(int);
	int error = 0;

	(void)io;
	getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

static int listen_at(struct blast_io *io, const struct mt_addr *a, uint16_t port)
{
	struct kernel *k = (struct kernel *)io;
	struct sockaddr_storage at;
	uint32_t len = blast_sockaddr(a, port, &at);
	int on = 1;

	k->listener = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(k->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(k->listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(k->listener, (struct sockaddr *)&at, len) || listen(k->listener, 4096))
		return -errno;
	return add(io, k->listener, EPOLLIN, NULL);
}

static int accept_one(struct blast_io *io, void *arg)
{
	int on = 1, fd;

	fd = accept4(((struct kernel *)io)->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	add(io, fd, EVENTS, arg);
	return fd;
}

static int read_socket(struct blast_io *io, int sock, struct blast_queue *q, uint32_t len)
{
	ssize_t n;

	(void)io;
	blast_queue_room(q, len);
	n = recv(sock, q->bytes + q->tail, len, MSG_DONTWAIT);
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	q->tail += (uint32_t)n;
	return (int)n;
}

static int write_socket(struct blast_io *io, int sock, struct blast_queue *q)
{
	ssize_t n;

	(void)io;
	if (q->head == q->tail)
		return 0;
	n = send(sock, q->bytes + q->head, q->tail - q->head, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	q->head += (uint32_t)n;
	if (q->head == q->tail)
		q->head = q->tail = 0;
	return 0;
}

static void close_socket(struct blast_io *io, int sock, bool reset)
{
	struct linger now = {.l_onoff = 1};

	(void)io;
	if (reset)
		setsockopt(sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(sock);
}

static int wait_events(
	struct blast_io *io, struct epoll_event *events, int n, uint64_t until, uint64_t *idle)
{
	uint64_t now = blast_now(), ns = until > now ? until - now : 0;
	struct timespec ts = {(time_t)(ns / MT_SEC), (long)(ns % MT_SEC)};

	n = epoll_pwait2(ep_of(io), events, n, until == MT_NEVER ? NULL : &ts, NULL);
	*idle += blast_now() - now;
	return n;
}

static void destroy(struct blast_io *io)
{
	close(ep_of(io));
	if (((struct kernel *)io)->listener > 0)
		close(((struct kernel *)io)->listener);
	free(io);
}

static const struct blast_io_ops kernel_ops = {attach, detach, open_socket, outcome, listen_at,
	accept_one, read_socket, write_socket, close_socket, wait_events, destroy};

struct blast_io *blast_io_kernel(void)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->io.ops = &kernel_ops;
	k->ep = epoll_create1(EPOLL_CLOEXEC);
	if (k->ep >= 0)
		return &k->io;
	free(k);
	return NULL;
}
