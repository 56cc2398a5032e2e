/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects to a daemon on another host by TLS, with certificates of both sides. Blocks, up to the
 * socket's time limits.
 */
#include "shell.h"

#include "mt_addr.h"
#include "mt_x509.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNECT_S 10

static bool fail(struct client *c, const char *fmt, ...) mt_printf(2, 3);

static bool fail(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return false;
}

static const char *reason(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());

	return why ? why : "it cannot be read";
}

/* ---- connect --------------------------------------------------------------------------------- */

static int dial(const struct addrinfo *a, const struct timeval *limit)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), saved;

	if (fd < 0)
		return -1;
	/* SO_SNDTIMEO limits connect(), too. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, limit, sizeof(*limit));
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	saved = errno == EINPROGRESS ? ETIMEDOUT : errno;
	close(fd);
	errno = saved;
	return -1;
}

static bool reach(struct client *c, int timeout_s)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct timeval limit = {.tv_sec = CONNECT_S}, answers = {.tv_sec = timeout_s};
	struct addrinfo *all, *a;
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", c->remote->port);
	rc = getaddrinfo(c->remote->host, port, &hints, &all);
	if (rc)
		return fail(c, "%s", gai_strerror(rc));
	c->fd = -1;
	for (a = all; a && c->fd < 0; a = a->ai_next)
		c->fd = dial(a, &limit);
	freeaddrinfo(all);
	if (c->fd < 0)
		return fail(c, "%s; does the daemon listen there? (spec.admin.tls.listen)",
			strerror(errno));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &answers, sizeof(answers));
	return true;
}

/* ---- certificates and names ------------------------------------------------------------------ */

static SSL_CTX *context(struct client *c)
{
	const struct remote *r = c->remote;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	bool ok = ctx != NULL;

	ERR_clear_error();
	if (!ok)
		fail(c, "no memory");
	if (ok && SSL_CTX_load_verify_locations(ctx, r->ca, NULL) != 1)
		ok = fail(c, "--ca %s: %s", r->ca, reason());
	if (ok && SSL_CTX_use_certificate_chain_file(ctx, r->cert) != 1)
		ok = fail(c, "--cert %s: %s", r->cert, reason());
	if (ok && SSL_CTX_use_PrivateKey_file(ctx, r->key, SSL_FILETYPE_PEM) != 1)
		ok = fail(c, "--key %s: %s", r->key, reason());
	if (ok && SSL_CTX_check_private_key(ctx) != 1)
		ok = fail(c, "--key %s: is not that of %s", r->key, r->cert);
	if (ok) {
		/* A root may be an intermediate authority, because the operator trusts it. */
		X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
		SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static const char *name_of(const struct remote *r)
{
	return r->server_name ? r->server_name : r->host;
}

/* Mesh certificates have a URI and no other names. */
static bool is_uri(const char *name)
{
	return strstr(name, "://") != NULL;
}

static bool is_address(const char *name)
{
	struct mt_addr a;

	return mt_addr_parse(name, &a) == 0;
}

static bool want_name(SSL *tls, const char *name)
{
	if (is_uri(name))
		return true;
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), name) == 1;
	SSL_set_hostflags(tls, MT_X509_HOST_FLAGS);
	return SSL_set_tlsext_host_name(tls, name) == 1 && SSL_set1_host(tls, name) == 1;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* The meaning of an alert from the daemon, where the operator can do something about it. */
static const char *alert_words(unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return "the daemon requires a certificate that it accepts (--cert, --key)";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return "the daemon reports: your certificate has expired";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		return "the daemon reports: your certificate is revoked";
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "the daemon does not know the authority of your certificate "
		       "(spec.admin.tls.clientRoots)";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return "the daemon does not accept your certificate; is it one for clients?";
	case SSL_R_WRONG_VERSION_NUMBER:
		return "the server there does not use TLS";
	default:
		return NULL;
	}
}

static void explain_tls(struct client *c, int saved)
{
	long verify = SSL_get_verify_result(c->tls);
	unsigned long code = ERR_peek_error();
	const char *words = alert_words(code);

	if (verify == X509_V_ERR_HOSTNAME_MISMATCH || verify == X509_V_ERR_IP_ADDRESS_MISMATCH)
		fail(c, "its certificate is not for %s (--server-name sets another name)",
			name_of(c->remote));
	else if (verify != X509_V_OK)
		fail(c, "its certificate is refused: %s (--ca)",
			X509_verify_cert_error_string(verify));
	else if (words)
		fail(c, "%s", words);
	else if (code)
		fail(c, "TLS: %s", ERR_reason_error_string(code) ?: "unknown error");
	else if (saved == EAGAIN)
		fail(c, "no answer in time");
	else
		fail(c, "the daemon closed the connection%s%s", saved ? ": " : "",
			saved ? strerror(saved) : "");
}

bool remote_open(struct client *c, int timeout_s)
{
	const char *name = name_of(c->remote);
	SSL_CTX *ctx;

	c->why[0] = '\0';
	/* The daemon may close the connection, which must not end the shell. */
	(void)signal(SIGPIPE, SIG_IGN);
	ctx = context(c);
	if (!ctx || !reach(c, timeout_s)) {
		SSL_CTX_free(ctx);
		return false;
	}
	c->tls = SSL_new(ctx);
	SSL_CTX_free(ctx);
	errno = 0;
	if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1 || !want_name(c->tls, name))
		fail(c, "no memory, or %s is not a name", name);
	else if (SSL_connect(c->tls) != 1)
		explain_tls(c, errno);
	else if (is_uri(name) && !mt_x509_has_uri(SSL_get0_peer_certificate(c->tls), name))
		fail(c, "its certificate is not for %s (--server-name sets another name)", name);
	else
		return true;
	remote_close(c);
	close(c->fd);
	c->fd = -1;
	return false;
}

void remote_close(struct client *c)
{
	if (c->tls && SSL_is_init_finished(c->tls) && !c->why[0])
		(void)SSL_shutdown(c->tls);
	SSL_free(c->tls);
	ERR_clear_error();
	c->tls = NULL;
}

/*
 * Returns 0 for the end of the stream, else -1 with errno; c->why has the reason, except for a
 * timeout.
 */
static ssize_t broken(struct client *c, int rc)
{
	int saved = errno, why = SSL_get_error(c->tls, rc);

	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		errno = saved == EINTR ? EINTR : EAGAIN;
		return -1;
	}
	explain_tls(c, saved);
	errno = EPROTO;
	return -1;
}

ssize_t remote_send(struct client *c, const void *p, size_t n)
{
	size_t sent;
	char why;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_write_ex(c->tls, p, n, &sent);
	if (rc == 1)
		return (ssize_t)sent;
	/* The daemon may have sent an alert with the reason. */
	return remote_recv(c, &why, 1) < 0 ? -1 : broken(c, rc);
}

ssize_t remote_recv(struct client *c, void *p, size_t n)
{
	size_t got;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(c->tls, p, n, &got);
	return rc == 1 ? (ssize_t)got : broken(c, rc);
}
