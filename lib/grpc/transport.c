/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_grpc_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_state(struct mt_pipe *p, enum mt_pipe_state state)
{
	p->state = state;
	mt_pipe_want_write(p, state == MT_PIPE_CONNECTING);
}

void mt_pipe_want_write(struct mt_pipe *p, bool want)
{
	(void)mt_fds_change(p->fds, &p->watch, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- connection and handshake ---------------------------------------------------------------- */

/* Continues the TLS handshake. 0: done; -EAGAIN: not finished; another negative value: failed. */
static int handshake(struct mt_pipe *p, struct mt_err *e)
{
	int rc, why;

	/* SSL_get_error() reads the thread's error queue, which other code uses as well. */
	ERR_clear_error();
	rc = SSL_connect(p->ssl);
	if (rc == 1)
		return mt_tls_check_peer(p->ssl, p->tls, e);
	why = SSL_get_error(p->ssl, rc);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		mt_pipe_want_write(p, why == SSL_ERROR_WANT_WRITE);
		return -EAGAIN;
	}
	if (why == SSL_ERROR_SYSCALL && errno == 0)
		return mt_err(
			e, -ECONNRESET, "the server closed the connection in the TLS handshake");
	mt_tls_words(p->ssl, e);
	return -EPROTO;
}

static int connected(struct mt_pipe *p, struct mt_err *e)
{
	socklen_t len = sizeof(int);
	int err = 0;

	(void)getsockopt(p->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err)
		return mt_err(e, -err, "%s", strerror(err));
	if (!p->ctx) {
		set_state(p, MT_PIPE_OPEN);
		return 0;
	}
	p->ssl = mt_tls_session(p->ctx, p->tls, p->watch.fd);
	if (!p->ssl)
		return mt_err(e, -ENOMEM, "no memory");
	set_state(p, MT_PIPE_HANDSHAKE);
	return 0;
}

static void ready(struct mt_fd_watch *w, uint32_t events)
{
	struct mt_pipe *p = mt_container_of(w, struct mt_pipe, watch);
	struct mt_err e;
	int rc = 0;

	if (p->state == MT_PIPE_CONNECTING)
		rc = connected(p, &e);
	if (rc == 0 && p->state == MT_PIPE_HANDSHAKE) {
		rc = handshake(p, &e);
		if (rc == -EAGAIN)
			return;
		if (rc == 0)
			set_state(p, MT_PIPE_OPEN);
	}
	p->event(p, rc ? &e : NULL);
}

/*
 * Lets the kernel detect a dead peer by TCP keep-alive, to which no server objects. Servers count
 * HTTP/2 pings and close the connection if there are too many. Times are in s, the last one in ms.
 */
static void set_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {{IPPROTO_TCP, TCP_NODELAY, 1}, {SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 10}, {IPPROTO_TCP, TCP_KEEPINTVL, 3},
		{IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 20000}};

	for (size_t i = 0; i < MT_ARRAY_LEN(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			sizeof(options[i].value));
}

int mt_pipe_open(struct mt_pipe *p, struct mt_fds *fds, const struct mt_pipe_address *to,
	const struct mt_grpc_tls *tls, struct mt_err *e)
{
	int rc;

	p->fds = fds;
	p->tls = tls;
	p->ctx = NULL;
	p->ssl = NULL;
	if (tls) {
		p->ctx = mt_tls_context(tls, e);
		if (!p->ctx)
			return -EINVAL;
	}
	p->watch = (struct mt_fd_watch){
		.fd = socket(to->u.any.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		.events = EPOLLIN | EPOLLOUT,
		.ready = ready};
	if (p->watch.fd < 0) {
		rc = mt_err(e, -errno, "no socket: %s", strerror(errno));
		mt_pipe_close(p);
		return rc;
	}
	if (to->u.any.ss_family != AF_UNIX)
		set_options(p->watch.fd);
	rc = connect(p->watch.fd, (const struct sockaddr *)&to->u.any, to->len) == 0 ||
			     errno == EINPROGRESS
		     ? 0
		     : -errno;
	if (rc == 0)
		rc = mt_fds_add(fds, &p->watch);
	if (rc) {
		mt_err(e, rc, "%s", strerror(-rc));
		mt_pipe_close(p);
		return rc;
	}
	p->state = MT_PIPE_CONNECTING;
	return 0;
}

void mt_pipe_close(struct mt_pipe *p)
{
	int fd = p->watch.fd;

	if (p->ssl && p->state == MT_PIPE_OPEN)
		(void)SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	p->ssl = NULL;
	p->ctx = NULL;
	p->state = MT_PIPE_CLOSED;
	if (fd < 0)
		return;
	mt_fds_remove(p->fds, &p->watch);
	close(fd);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Result of a TLS call that transferred no bytes. */
static ssize_t tls_result(struct mt_pipe *p, int rc, struct mt_err *e)
{
	int why = SSL_get_error(p->ssl, rc);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return 0;
	if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && errno == 0))
		return mt_err(e, -ECONNRESET, "the server closed the connection");
	mt_tls_words(p->ssl, e);
	/*
	 * After a failure SSL_shutdown() must not be called; mt_pipe_close() calls it only if OPEN.
	 */
	p->state = MT_PIPE_HANDSHAKE;
	return -EPROTO;
}

static ssize_t plain_result(ssize_t n, struct mt_err *e)
{
	if (n > 0)
		return n;
	if (n == 0)
		return mt_err(e, -ECONNRESET, "the server closed the connection");
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return mt_err(e, -errno, "%s", strerror(errno));
}

ssize_t mt_pipe_read(struct mt_pipe *p, void *buf, size_t len, struct mt_err *e)
{
	int n;

	if (!p->ssl)
		return plain_result(recv(p->watch.fd, buf, len, 0), e);
	errno = 0;
	ERR_clear_error();
	n = SSL_read(p->ssl, buf, (int)MT_MIN(len, (size_t)INT32_MAX));
	return n > 0 ? n : tls_result(p, n, e);
}

/*
 * Reads the alert of a server that rejects our certificate. In TLS 1.3 the server sends the alert
 * after our handshake has ended (RFC 8446 section 6.2), and closes. A write then fails while the
 * alert is still unread.
 */
static int last_words(struct mt_pipe *p)
{
	uint8_t byte;

	ERR_clear_error();
	return MT_MIN(SSL_read(p->ssl, &byte, 1), 0);
}

ssize_t mt_pipe_write(struct mt_pipe *p, const void *buf, size_t len, struct mt_err *e)
{
	int n;

	if (!len)
		return 0;
	if (!p->ssl)
		return plain_result(send(p->watch.fd, buf, len, MSG_NOSIGNAL), e);
	errno = 0;
	ERR_clear_error();
	n = SSL_write(p->ssl, buf, (int)MT_MIN(len, (size_t)INT32_MAX));
	if (n <= 0 && (errno == EPIPE || errno == ECONNRESET))
		n = last_words(p);
	return n > 0 ? n : tls_result(p, n, e);
}
