/* SPDX-License-Identifier: Apache-2.0 */
/* The application over the kernel's sockets: the same calls and the same bytes as over lib/tcp. */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void df_app_accept(bool v6, struct df_slot *(*of)(uint16_t port))
{
	struct sockaddr_in6 a; /* sin_port and sin6_port lie at the same place */
	socklen_t len = sizeof(a);
	struct df_slot *s;
	int fd;

	while ((fd = accept4(df_listener(v6), (void *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
		0) {
		s = of(ntohs(a.sin6_port));
		if (!s) {
			close(fd);
			continue;
		}
		if (s->fd >= 0)
			close(s->fd); /* its TIME-WAIT made room for this one */
		s->fd = fd;
		s->open = true;
		s->shut = false;
		s->t.now.accepted = true;
		s->t.now.eof = false;
		s->t.now.err = DF_OK;
	}
}

/* ---- calls ---- */

static void open_one(struct df_slot *s)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(s->t.port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(s->t.port)};
	bool v6 = s->t.q->v6;
	int on = 1;

	inet_pton(AF_INET, "10.0.0.2", &a4.sin_addr);
	inet_pton(AF_INET6, "fd00::2", &a6.sin6_addr);
	s->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(s->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	if (connect(s->fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)) &&
		errno != EINPROGRESS)
		perror("connect");
}

static void write_some(struct df_slot *s, uint32_t n)
{
	uint8_t bytes[8192];
	ssize_t done;

	n = MT_MIN(n, (uint32_t)sizeof(bytes));
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = sc_pattern_ours(s->written + i);
	done = send(s->fd, bytes, n, MSG_NOSIGNAL);
	if (done > 0)
		s->written += (uint32_t)done;
}

void df_app_end(struct df_slot *s)
{
	struct linger now = {1, 0};

	if (s->fd < 0)
		return;
	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s->fd);
	s->fd = -1;
}

void df_app_call(struct df_slot *s, const struct df_step *st)
{
	if (st->kind == DF_CONNECT && s->fd < 0)
		open_one(s);
	if (st->kind == DF_READER)
		s->reading = st->n;
	if (s->fd < 0 || !s->open)
		return;
	switch (st->kind) {
	case DF_WRITE:
		if (!s->shut && !s->t.now.err)
			write_some(s, st->n);
		break;
	case DF_SHUTDOWN:
		s->shut = true;
		shutdown(s->fd, SHUT_WR);
		break;
	case DF_CLOSE:
		close(s->fd);
		s->fd = -1;
		break;
	case DF_ABORT:
		df_app_end(s);
		break;
	}
}

/* ---- what the socket tells ---- */

static uint8_t err_of(int e)
{
	switch (e) {
	case ECONNRESET:
	case EPIPE: /* a RST behind a FIN */
		return DF_RESET;
	case ECONNREFUSED:
		return DF_REFUSED;
	case ETIMEDOUT:
		return DF_TIMEOUT;
	default:
		return DF_OTHER;
	}
}

static void look_for_connected(struct df_slot *s)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return;
	if (info.tcpi_state == TCP_SYN_SENT || info.tcpi_state == TCP_SYN_RECV ||
		info.tcpi_state == TCP_CLOSE)
		return;
	s->open = s->t.now.connected = true;
}

static void look_for_error(struct df_slot *s)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (!getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &len) && e && !s->t.now.err)
		s->t.now.err = err_of(e);
}

static void read_all(struct df_slot *s)
{
	uint8_t bytes[4096];
	ssize_t n;

	while ((n = recv(s->fd, bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			s->t.now.wrong |= bytes[i] != sc_pattern_theirs(s->read + (uint32_t)i);
		s->read += (uint32_t)n;
	}
	if (n == 0 && !s->t.now.err)
		s->t.now.eof = true;
	if (n < 0 && errno != EAGAIN && !s->t.now.err)
		s->t.now.err = err_of(errno);
}

void df_app_look(struct df_slot *s)
{
	if (s->fd < 0)
		return;
	if (!s->open)
		look_for_connected(s);
	if (s->open && s->reading && !s->t.now.err)
		read_all(s);
	look_for_error(s);
	df_read(&s->t, s->read);
}
