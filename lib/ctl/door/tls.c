/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for shells on other machines: the node's certificate, the trusted authorities, and the
 * identity and role of the client.
 */
#include "mt_ctl_priv.h"

#include "mt_credential.h"
#include "mt_file.h"
#include "mt_x509.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX 16 /* examined names of a certificate */

uint64_t mt_tls_stamp(const struct mt_ctl_tls *t)
{
	const char *const files[] = {
		t->certificate, t->key, t->client_roots, t->client_revocations};
	uint64_t stamp = 0;
	struct stat st;

	for (size_t i = 0; i < MT_ARRAY_LEN(files); i++) {
		if (!files[i] || stat(files[i], &st) != 0)
			st = (struct stat){0};
		stamp = stamp * 1000003 + st.st_ino;
		stamp = stamp * 1000003 + (uint64_t)st.st_size;
		stamp = stamp * 1000003 + (uint64_t)st.st_ctim.tv_sec * MT_SEC +
			(uint64_t)st.st_ctim.tv_nsec;
	}
	return stamp;
}

static const char *reason(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());

	return why ? why : "it cannot be read";
}

/* Does not prompt: at start there may be a terminal, and the daemon would block there. */
static int no_passphrase(char *buf, int size, int writes, void *wanted)
{
	*(bool *)wanted = true;
	return -1;
}

static int load_key(SSL_CTX *ctx, const struct mt_ctl_tls *t, struct mt_err *e)
{
	bool wanted = false;
	int ok, fd = open(t->key, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct mt_err why;

	/* The TLS library does not report why it cannot open a file. */
	if (fd < 0)
		return mt_err(e, mt_file_not_opened(t->key, MT_FILE_SECRET, errno, &why),
			"admin.tls.key %s", why.text);
	close(fd);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &wanted);
	ok = SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	if (wanted)
		return mt_err(e, -EINVAL,
			"admin.tls.key %s: the key is encrypted, but a daemon has no passphrase "
			"(write it without one, readable for the daemon only: `openssl pkey -in "
			"OLD -out NEW`)",
			t->key);
	if (ok != 1)
		return mt_err(e, -EINVAL, "admin.tls.key %s: %s", t->key, reason());
	if (SSL_CTX_check_private_key(ctx) != 1)
		return mt_err(
			e, -EINVAL, "admin.tls.key %s: is not that of %s", t->key, t->certificate);
	return 0;
}

/*
 * Loads the revocation lists. From then on every authority from the client's issuer up to a root
 * must have a list here that has not expired.
 */
static int load_revocations(SSL_CTX *ctx, const struct mt_ctl_tls *t, struct mt_err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *l = X509_STORE_add_lookup(store, X509_LOOKUP_file());

	if (!l || X509_load_crl_file(l, t->client_revocations, X509_FILETYPE_PEM) < 1)
		return mt_err(e, -EINVAL, "admin.tls.clientRevocations %s: %s",
			t->client_revocations, reason());
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	X509_STORE_set_verify_cb(store, mt_x509_on_verify);
	return 0;
}

static int load(SSL_CTX *ctx, const struct mt_ctl_tls *t, struct mt_err *e)
{
	int rc;

	if (SSL_CTX_use_certificate_chain_file(ctx, t->certificate) != 1)
		return mt_err(e, -EINVAL, "admin.tls.certificate %s: %s", t->certificate, reason());
	rc = load_key(ctx, t, e);
	if (rc < 0)
		return rc;
	if (SSL_CTX_load_verify_locations(ctx, t->client_roots, NULL) != 1)
		return mt_err(
			e, -EINVAL, "admin.tls.clientRoots %s: %s", t->client_roots, reason());
	/* A root may be an intermediate authority, because the operator trusts it. */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return t->client_revocations ? load_revocations(ctx, t, e) : 0;
}

SSL_CTX *mt_tls_server(const struct mt_ctl_tls *t, struct mt_err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc = ctx ? 0 : mt_err(e, -ENOMEM, "no memory");

	ERR_clear_error();
	if (rc == 0)
		rc = load(ctx, t, e);
	ERR_clear_error();
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/*
	 * No resumption: a client that returns must show its certificate again, because the
	 * certificate may have been replaced or may have lost its role.
	 */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	return ctx;
}

/* ---- reading and writing -------------------------------------------------------------------- */

static ssize_t ended(SSL *tls, int rc)
{
	int why = SSL_get_error(tls, rc);

	ERR_clear_error();
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = EPROTO;
	return -1;
}

ssize_t mt_tls_recv(SSL *tls, void *p, size_t n)
{
	size_t got;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(tls, p, n, &got);
	return rc == 1 ? (ssize_t)got : ended(tls, rc);
}

ssize_t mt_tls_send(SSL *tls, const void *p, size_t n)
{
	size_t sent;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(tls, p, n, &sent);
	return rc == 1 ? (ssize_t)sent : ended(tls, rc);
}

/* ---- verification --------------------------------------------------------------------------- */

const char *mt_tls_doubt(SSL_CTX *ctx, SSL *tls)
{
	X509_STORE_CTX *s = X509_STORE_CTX_new();
	X509 *x = SSL_get0_peer_certificate(tls);
	const char *why = "no memory";

	if (s && x &&
		X509_STORE_CTX_init(
			s, SSL_CTX_get_cert_store(ctx), x, SSL_get_peer_cert_chain(tls)) == 1 &&
		X509_STORE_CTX_set_default(s, "ssl_client") == 1) {
		bool good = X509_verify_cert(s) == 1;

		why = good ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(s));
	}
	X509_STORE_CTX_free(s);
	ERR_clear_error();
	return why;
}

/* ---- identity and role ---------------------------------------------------------------------- */

/*
 * Finds the first row before *place that matches the name, and stores its index there; false: none.
 */
static bool role_of(const struct mt_ctl_tls *t, const char *name, size_t len, uint32_t *place)
{
	for (uint32_t i = 0; i < *place; i++) {
		const char *want = t->roles[i].identity;
		size_t n = strlen(want);
		bool open = n && want[n - 1] == '*';

		n -= open;
		if (open ? len < n || memcmp(want, name, n) != 0
			 : len != n || memcmp(want, name, n) != 0)
			continue;
		*place = i;
		return true;
	}
	return false;
}

struct look {
	const struct mt_ctl_tls *t;
	struct mt_who *who;
	uint32_t place; /* earliest matching row so far */
	bool any;	/* the certificate has names of these types */
};

/*
 * Checks one name of the certificate; the earliest row that matches any name applies. A name with a
 * NUL is ignored, because the NUL would hide the rest.
 */
static void look(struct look *l, const char *name, size_t len)
{
	char text[256];

	if (len == 0 || len >= sizeof(text) || memchr(name, '\0', len))
		return;
	memcpy(text, name, len);
	text[len] = '\0';
	if (role_of(l->t, name, len, &l->place) || !l->who->name[0])
		mt_escape(l->who->name, sizeof(l->who->name), text);
}

static bool look_at_name(void *arg, int type, const char *name, size_t len)
{
	struct look *l = arg;

	if (type != GEN_URI && type != GEN_DNS)
		return true;
	l->any = true;
	look(l, name, len);
	return true;
}

static void look_at_subject(X509 *x, struct look *l)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *s;

	if (at < 0)
		return;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	look(l, (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

bool mt_tls_who(SSL *tls, const struct mt_ctl_tls *t, struct mt_who *who, int64_t *valid)
{
	X509 *x = SSL_get0_peer_certificate(tls);
	struct look l = {.t = t, .who = who, .place = t->n_roles};

	*valid = 0;
	if (!x)
		return false;
	mt_x509_names(x, NAMES_MAX, look_at_name, &l);
	if (!l.any)
		look_at_subject(x, &l);
	*valid = mt_x509_time(X509_get0_notAfter(x));
	if (l.place == t->n_roles)
		return false;
	who->role = t->roles[l.place].role;
	return true;
}
