/* SPDX-License-Identifier: Apache-2.0 */
/* TLS to a gRPC server: our identity, the trusted roots, and texts for failures. */
#include "mt_grpc_priv.h"

#include "mt_grpc_tls.h"
#include "mt_x509.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* Calls `use` for each certificate of a PEM text. Returns the sum of its results. */
static int each_certificate(const char *pem, int (*use)(SSL_CTX *ctx, X509 *x), SSL_CTX *ctx)
{
	STACK_OF(X509) *list = mt_x509_list(pem, MT_X509_ALL);
	int n = 0;

	for (int i = 0; list && i < (int)sk_X509_num(list); i++)
		n += use(ctx, sk_X509_value(list, i));
	mt_x509_list_free(list);
	ERR_clear_error();
	return n;
}

static int trust(SSL_CTX *ctx, X509 *x)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
}

static int present(SSL_CTX *ctx, X509 *x)
{
	if (!SSL_CTX_get0_certificate(ctx))
		return SSL_CTX_use_certificate(ctx, x) == 1;
	return SSL_CTX_add1_chain_cert(ctx, x) == 1;
}

static int use_identity(SSL_CTX *ctx, const struct mt_grpc_tls *t, struct mt_err *e)
{
	EVP_PKEY *key = mt_x509_key(t->key);
	int rc = 0;

	if (!key)
		rc = mt_err(e, -EINVAL, "our private key is not a PEM key");
	else if (each_certificate(t->chain, present, ctx) == 0)
		rc = mt_err(e, -EINVAL, "our certificate chain holds no PEM certificate");
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = mt_err(e, -EINVAL, "our private key does not belong to our certificate");
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

static int use_texts(SSL_CTX *ctx, const struct mt_grpc_tls *t, struct mt_err *e)
{
	if (!t->anybody && (!t->roots || each_certificate(t->roots, trust, ctx) == 0))
		return mt_err(e, -EINVAL, "the trusted roots hold no PEM certificate");
	/* A root may be an intermediate authority, because the operator trusts it. */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return t->chain ? use_identity(ctx, t, e) : 0;
}

static int use_credential(SSL_CTX *ctx, const struct mt_grpc_tls *t, struct mt_err *e)
{
	const struct mt_credential *c = t->credential;

	if (!t->anybody && !c->trust)
		return mt_err(e, -EINVAL, "there is no root to verify the server's certificate by");
	if (c->trust)
		SSL_CTX_set1_cert_store(ctx, c->trust);
	if (!c->chain)
		return 0;
	if (SSL_CTX_use_certificate(ctx, sk_X509_value(c->chain, 0)) != 1 ||
		SSL_CTX_use_PrivateKey(ctx, c->key) != 1)
		return mt_err(e, -EINVAL, "our certificate and key cannot be used");
	for (int i = 1; i < sk_X509_num(c->chain); i++)
		if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(c->chain, i)) != 1)
			return mt_err(e, -EINVAL, "our certificate chain cannot be used");
	return 0;
}

SSL_CTX *mt_tls_context(const struct mt_grpc_tls *t, struct mt_err *e)
{
	static const unsigned char h2[] = "\x02h2", istio[] = "\x08istio-h2\x05istio\x02h2";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int rc;

	if (!ctx) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, t->anybody ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_protos(
		ctx, t->istio ? istio : h2, (t->istio ? sizeof(istio) : sizeof(h2)) - 1);
	rc = t->credential ? use_credential(ctx, t, e) : use_texts(ctx, t, e);
	ERR_clear_error();
	if (rc == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/*
 * Sets the name or address that the certificate must have. A name is also sent as SNI, an address
 * is not (RFC 6066 §3).
 */
static bool expect(SSL *ssl, const struct mt_grpc_tls *t)
{
	struct mt_addr a;
	bool address = t->server_name && mt_addr_parse(t->server_name, &a) == 0;

	if (!t->server_name)
		return true;
	if (!address && SSL_set_tlsext_host_name(ssl, t->server_name) != 1)
		return false;
	if (t->n_sans || t->anybody)
		return true;
	SSL_set_hostflags(ssl, MT_X509_HOST_FLAGS);
	return address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), t->server_name) == 1
		       : SSL_set1_host(ssl, t->server_name) == 1;
}

SSL *mt_tls_session(SSL_CTX *ctx, const struct mt_grpc_tls *t, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl)
		return NULL;
	if (SSL_set_fd(ssl, fd) == 1 && expect(ssl, t)) {
		SSL_set_connect_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

/* ---- the server's names ---------------------------------------------------------------------- */

struct words {
	char *buf;
	size_t n, size;
};

static bool add_name(void *arg, int type, const char *name, size_t len)
{
	struct words *w = arg;
	char text[96];

	snprintf(text, sizeof(text), "%.*s", (int)MT_MIN(len, 90u), name);
	w->n += (size_t)snprintf(w->buf + w->n, w->size - w->n, "%s", w->n ? ", " : "");
	if (w->n < w->size)
		w->n += mt_escape(w->buf + w->n, w->size - w->n, text);
	return w->n < w->size;
}

/* Writes the first names of the certificate, for the error message. */
static void names_of(X509 *x, char *buf, size_t size)
{
	struct words w = {.buf = buf, .size = size};

	snprintf(buf, size, "nothing");
	mt_x509_names(x, 4, add_name, &w);
}

/* True if the certificate has this name, address or URI. */
static bool has_name(X509 *x, const char *name)
{
	return mt_x509_has_host(x, name) || X509_check_ip_asc(x, name, 0) == 1 ||
	       mt_x509_has_uri(x, name);
}

int mt_tls_check_peer(SSL *ssl, const struct mt_grpc_tls *t, struct mt_err *e)
{
	X509 *x = SSL_get1_peer_certificate(ssl);
	const unsigned char *alpn;
	unsigned int len;
	char names[300];
	bool ok = !t->n_sans;

	if (!x)
		return mt_err(e, -EACCES, "the server shows no certificate");
	for (uint32_t i = 0; i < t->n_sans && !ok; i++)
		ok = has_name(x, t->sans[i]);
	if (!ok)
		names_of(x, names, sizeof(names));
	X509_free(x);
	if (!ok)
		return mt_err(e, -EACCES, "the server's certificate is for %s, not for %.128s",
			names, t->sans[0]);
	SSL_get0_alpn_selected(ssl, &alpn, &len);
	if (t->istio)
		return 0;
	if (len != 2 || memcmp(alpn, "h2", 2) != 0)
		return mt_err(e, -EPROTO, "the server does not speak HTTP/2 over TLS");
	return 0;
}

void mt_tls_words(SSL *ssl, struct mt_err *e)
{
	long verify = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_error();

	if (verify != X509_V_OK)
		mt_err(e, 0, "the server's certificate is refused: %s",
			X509_verify_cert_error_string(verify));
	else if (code)
		mt_err(e, 0, "TLS: %s", ERR_reason_error_string(code) ?: "unknown error");
	else
		mt_err(e, 0, "TLS: %s", errno ? strerror(errno) : "unknown error");
	ERR_clear_error();
}

/* ---- contexts of others --------------------------------------------------------------------- */

/* As expect() and mt_tls_check_peer(). */
static bool is_expected(X509 *x, const struct mt_grpc_tls *t)
{
	for (uint32_t i = 0; i < t->n_sans; i++)
		if (has_name(x, t->sans[i]))
			return true;
	if (t->n_sans)
		return false;
	return t->anybody || !t->server_name || mt_x509_has_host(x, t->server_name) ||
	       X509_check_ip_asc(x, t->server_name, 0) == 1;
}

/* Replaces the verification of the handshake; 1: the certificate is accepted. */
static int verify(X509_STORE_CTX *s, void *arg)
{
	const struct mt_grpc_tls *t = arg;
	X509 *x = X509_STORE_CTX_get0_cert(s);

	if (t->anybody)
		X509_STORE_CTX_set_error(s, X509_V_OK);
	else if (X509_verify_cert(s) <= 0)
		return 0;
	if (x && is_expected(x, t))
		return 1;
	X509_STORE_CTX_set_error(s, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

bool mt_grpc_tls_may_use(void)
{
#ifdef OPENSSL_IS_AWSLC
	return false;
#else
	return true;
#endif
}

int mt_grpc_tls_use(void *ctx, const struct mt_grpc_tls *t, struct mt_err *e)
{
	static const unsigned char istio[] = "\x0eistio-http/1.1\x05istio\x08http/1.1";
	int rc;

	if (!mt_grpc_tls_may_use())
		return mt_err(e, -ENOTSUP, "the TLS library of this build cannot be used");
	rc = t->credential ? use_credential(ctx, t, e) : use_texts(ctx, t, e);
	ERR_clear_error();
	if (rc)
		return rc;
	if (t->istio)
		SSL_CTX_set_alpn_protos(ctx, istio, sizeof(istio) - 1);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, (void *)(uintptr_t)t);
	return 0;
}
