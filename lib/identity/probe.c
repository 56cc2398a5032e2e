/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_probe.h"

#include "mt_cert_priv.h"
#include "mt_sockaddr.h"
#include "mt_x509.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- connection ------------------------------------------------------------------------------ */

static void local_address(int fd, char buf[MT_ADDR_STRLEN])
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct mt_addr a;

	buf[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
		mt_sockaddr_read((struct sockaddr *)&ss, &a, NULL))
		mt_addr_str(&a, buf);
}

/* Waits until the socket is ready; 0, or an errno. */
static int wait_for(int fd, short events, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	do
		n = poll(&p, 1, wait_ms);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : n == 0 ? ETIMEDOUT : 0;
}

/* Connects and returns the socket; negative with p->error set. */
static int dial(const struct mt_addr *addr, uint16_t port, int wait_ms, struct mt_probe *p)
{
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(addr, port, &ss), size = sizeof(p->error);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	p->error = fd < 0 ? errno : 0;
	if (fd >= 0 && connect(fd, (struct sockaddr *)&ss, len))
		p->error = errno == EINPROGRESS ? wait_for(fd, POLLOUT, wait_ms) : errno;
	if (fd >= 0 && !p->error && getsockopt(fd, SOL_SOCKET, SO_ERROR, &p->error, &size))
		p->error = errno;
	if (!p->error) {
		local_address(fd, p->local);
		return fd;
	}
	p->timed_out = p->error == ETIMEDOUT;
	mt_err(&p->why, 0, "%s", strerror(p->error));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static bool is_time(int error)
{
	return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

/*
 * Always continues the handshake, to get the certificate. Records the first error. If that is about
 * a validity time, a later error of another kind replaces it.
 */
static int on_verify(int ok, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mt_probe *p = SSL_get_app_data(ssl);
	int error = X509_STORE_CTX_get_error(ctx);

	if (!ok && (p->verify == X509_V_OK || (is_time(p->verify) && !is_time(error))))
		p->verify = error;
	return 1;
}

static SSL_CTX *context(const char *roots, struct mt_probe *p)
{
	static const unsigned char h2[] = "\x02h2";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	STACK_OF(X509) *list = mt_x509_list(roots, MT_CERT_TEXT);
	struct mt_cert c;

	for (int i = 0; ctx && list && i < (int)sk_X509_num(list); i++)
		(void)X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), sk_X509_value(list, i));
	if (list) {
		mt_cert_describe(sk_X509_value(list, 0), &c);
		snprintf(p->root, sizeof(p->root), "%s", c.subject);
	}
	mt_x509_list_free(list);
	if (!ctx)
		return NULL;
	/* A root may be an intermediate authority, as for the daemon's own connections. */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_alpn_protos(ctx, h2, sizeof(h2) - 1);
	return ctx;
}

static void explain(SSL *ssl, int rc, struct mt_probe *p)
{
	unsigned long code = ERR_peek_error();
	int why = SSL_get_error(ssl, rc);

	p->not_tls = ERR_GET_LIB(code) == ERR_LIB_SSL &&
		     ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER;
	if (code && ERR_reason_error_string(code))
		mt_err(&p->why, 0, "%s", ERR_reason_error_string(code));
	else if (why == SSL_ERROR_SYSCALL && errno)
		mt_err(&p->why, 0, "%s", strerror(errno));
	else
		mt_err(&p->why, 0, "the server closes the connection in the TLS handshake");
	ERR_clear_error();
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool shake_hands(SSL *ssl, int fd, int wait_ms, struct mt_probe *p)
{
	int64_t end = now_ms() + wait_ms;

	for (;;) {
		int rc, why;

		errno = 0;
		ERR_clear_error();
		rc = SSL_connect(ssl);
		if (rc == 1)
			return true;
		why = SSL_get_error(ssl, rc);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
			explain(ssl, rc, p);
			return false;
		}
		if (wait_for(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
			    (int)MT_MAX(end - now_ms(), 0)) == ETIMEDOUT) {
			p->timed_out = true;
			mt_err(&p->why, 0, "the server does not answer the TLS handshake");
			return false;
		}
	}
}

static void look(SSL *ssl, const char *name, struct mt_probe *p)
{
	X509 *x = SSL_get1_peer_certificate(ssl);
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	p->h2 = len == 2 && memcmp(alpn, "h2", 2) == 0;
	if (!x) {
		p->verify = X509_V_ERR_UNSPECIFIED;
		mt_err(&p->distrust, 0, "the server shows no certificate");
		return;
	}
	mt_cert_describe(x, &p->cert);
	p->named = mt_x509_has_host(x, name);
	mt_err(&p->distrust, 0, "%s", X509_verify_cert_error_string(p->verify));
	X509_free(x);
}

void mt_probe_server(const struct mt_addr *addr, uint16_t port, const char *name, const char *roots,
	int wait_ms, struct mt_probe *out)
{
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;

	*out = (struct mt_probe){.stage = MT_PROBE_CONNECT};
	fd = dial(addr, port, wait_ms, out);
	if (fd < 0)
		return;
	out->stage = MT_PROBE_TLS;
	ctx = context(roots, out);
	ssl = ctx ? SSL_new(ctx) : NULL;
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1) {
		mt_err(&out->why, 0, "no memory");
	} else {
		SSL_set_app_data(ssl, out);
		if (shake_hands(ssl, fd, wait_ms, out)) {
			out->stage = MT_PROBE_DONE;
			look(ssl, name, out);
			(void)SSL_shutdown(ssl);
		}
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	close(fd);
}
