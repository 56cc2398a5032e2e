/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake: the library between two memory BIOs. */
#include "mt_tls_alert.h"
#include "mt_tls_library.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#define FATAL	     2
#define ALERT_HEADER 2 /* level and description */
#define CLOSE_NOTIFY 0

static struct mt_tls_objects objects; /* any thread */

struct mt_tls_objects mt_tls_objects(void)
{
	return (struct mt_tls_objects){__atomic_load_n(&objects.made, __ATOMIC_RELAXED),
		__atomic_load_n(&objects.freed, __ATOMIC_RELAXED)};
}

/* ---- creation and end ------------------------------------------------------------------------ */

struct mt_tls_handshake *mt_tls_handshake_new(struct mt_tls_context *c, const char *sni)
{
	struct mt_tls_handshake *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->context = mt_tls_context_hold(c);
	if (!sni || (h->sni = strdup(sni)) != NULL)
		return h;
	mt_tls_handshake_free(h);
	return NULL;
}

/* Keeps `out`, which has the output to be sent. */
static void free_ssl(struct mt_tls_handshake *h)
{
	if (!h->ssl)
		return;
	SSL_free(h->ssl);
	h->ssl = NULL;
	__atomic_add_fetch(&objects.freed, 1, __ATOMIC_RELAXED);
	BIO_free(h->in);
	h->in = NULL;
}

void mt_tls_handshake_free(struct mt_tls_handshake *h)
{
	if (!h)
		return;
	free_ssl(h);
	BIO_free(h->in);
	BIO_free(h->out);
	mt_tls_context_drop(h->context);
	free(h->sni);
	OPENSSL_cleanse(h, sizeof(*h));
	free(h);
}

static bool begin(struct mt_tls_handshake *h)
{
	h->in = BIO_new(BIO_s_mem());
	h->out = BIO_new(BIO_s_mem());
	h->ssl = h->in && h->out ? SSL_new(h->context->ssl) : NULL;
	if (!h->ssl)
		return false;
	__atomic_add_fetch(&objects.made, 1, __ATOMIC_RELAXED);
	/* An empty BIO is not the end of the stream. */
	BIO_set_mem_eof_return(h->in, -1);
	BIO_up_ref(h->in);
	BIO_up_ref(h->out);
	SSL_set_bio(h->ssl, h->in, h->out);
	SSL_set_app_data(h->ssl, h);
	if (h->context->role == MT_TLS_SERVER) {
		SSL_set_accept_state(h->ssl);
		return true;
	}
	SSL_set_connect_state(h->ssl);
	return !h->sni || SSL_set_tlsext_host_name(h->ssl, h->sni) == 1;
}

/* ---- callbacks of the library ---------------------------------------------------------------- */

void mt_tls_message(
	int write_p, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	const uint8_t *p = buf;

	(void)version;
	(void)arg;
	if (type == SSL3_RT_ALERT && len == ALERT_HEADER && write_p) {
		h->sent_alert = p[1];
	} else if (type == SSL3_RT_ALERT && len == ALERT_HEADER) {
		h->got_alert = p[1];
		h->has_alert = p[0] == FATAL || p[1] == CLOSE_NOTIFY;
	} else {
		mt_tls_library_saw(h, write_p, type, p, len);
	}
}

/*
 * Reads the server name from the hello, because the library's function returns that of a resumed
 * session. The library refuses malformed ones by itself, later.
 */
static void read_server_name(struct mt_tls_handshake *h, const uint8_t *p, size_t n)
{
	size_t len = n >= 5 ? (size_t)p[3] << 8 | p[4] : 0;

	/* A list with one host_name (RFC 6066 §3). */
	if (len == 0 || n != 5 + len || len > MT_TLS_NAME_MAX || p[2] != 0 || memchr(p + 5, 0, len))
		return;
	memcpy(h->asked_for, p + 5, len);
	h->asked_for[len] = '\0';
}

int mt_tls_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	const unsigned char *p;
	size_t n;

	(void)alert;
	(void)arg;
	/*
	 * The first hello counts, because its name has selected the filter chain. A second one,
	 * after HelloRetryRequest, repeats it (RFC 8446 §4.1.2).
	 */
	if (!*h->asked_for && SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n))
		read_server_name(h, p, n);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- failure --------------------------------------------------------------------------------- */

static enum mt_tls_reason reason_of(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? MT_TLS_WHY_internal
								     : MT_TLS_WHY_protocol_error;
	switch (ERR_GET_REASON(error)) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return MT_TLS_WHY_no_certificate;
	case SSL_R_EXCESSIVE_MESSAGE_SIZE:
		return MT_TLS_WHY_too_long;
	case ERR_R_MALLOC_FAILURE:
	case ERR_R_INTERNAL_ERROR:
		return MT_TLS_WHY_internal;
	default:
		return mt_tls_library_reason(ERR_GET_REASON(error));
	}
}

static enum mt_tls_step failed(struct mt_tls_handshake *h, enum mt_tls_reason why)
{
	OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
	h->result = (struct mt_tls_result){.reason = why};
	h->result.alert = why == MT_TLS_WHY_peer_alert ? h->got_alert : h->sent_alert;
	ERR_clear_error();
	free_ssl(h);
	return MT_TLS_FAILED;
}

static enum mt_tls_step fail(struct mt_tls_handshake *h)
{
	enum mt_tls_reason why = h->judgement;

	if (why == MT_TLS_WHY_none && h->has_alert)
		why = MT_TLS_WHY_peer_alert;
	if (why == MT_TLS_WHY_none)
		why = reason_of(ERR_peek_error());
	return failed(h, why);
}

/* ---- end ------------------------------------------------------------------------------------- */

static void copy(char *to, size_t size, const void *from, size_t len)
{
	if (from && len < size && !memchr(from, '\0', len))
		memcpy(to, from, len);
}

static void to_lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s |= 0x20;
}

static void mark(struct mt_tls_peer *p, const X509 *x)
{
	/* If the chain is too long, drop its middle and keep its authority's end. */
	struct mt_tls_mark *m = &p->marks[MT_MIN(p->n_marks, MT_TLS_MARKS - 1)];

	*m = (struct mt_tls_mark){mt_x509_key_mark(x), mt_x509_issue_mark(x)};
	p->n_marks = (uint8_t)(m - p->marks + 1);
}

static void mark_chain(struct mt_tls_handshake *h, struct mt_tls_peer *p, const X509 *leaf)
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(h->ssl);

	if (!chain)
		mark(p, leaf);
	for (int i = 0; i < sk_X509_num(chain); i++)
		mark(p, sk_X509_value(chain, i));
}

/* Describes the peer. false: the verified certificate has no valid principal. */
static bool describe(struct mt_tls_handshake *h, struct mt_tls_peer *p)
{
	const char *sni = h->sni ?: h->asked_for;
	const unsigned char *alpn;
	unsigned int len;
	X509 *leaf = SSL_get0_peer_certificate(h->ssl);

	p->resumed = SSL_session_reused(h->ssl);
	p->rules = h->context->rules_id;
	copy(p->sni, sizeof(p->sni), sni, strlen(sni));
	to_lower(p->sni);
	SSL_get0_alpn_selected(h->ssl, &alpn, &len);
	copy(p->alpn, sizeof(p->alpn), alpn, len);
	if (!leaf || h->context->trust == MT_TLS_ANYBODY)
		return true;
	p->certificate = true;
	p->member = h->context->n_trust_domains > 0;
	p->not_after = mt_x509_time(X509_get0_notAfter(leaf));
	mark_chain(h, p, leaf);
	return mt_tls_principal(leaf, p->principal);
}

/*
 * Fails a handshake if its last record has bytes after Finished. The library keeps them, and they
 * cannot be application data.
 */
static enum mt_tls_step fail_behind(struct mt_tls_handshake *h)
{
	uint8_t record[MT_TLS_ALERT_RECORD];
	int n = (int)mt_tls_alert_record(&h->result.keys, MT_TLS_UNEXPECTED_MESSAGE, record);

	if (n && BIO_write(h->out, record, n) == n)
		h->sent_alert = MT_TLS_UNEXPECTED_MESSAGE;
	OPENSSL_cleanse(&h->result, sizeof(h->result));
	return failed(h, MT_TLS_WHY_protocol_error);
}

static enum mt_tls_step finish(struct mt_tls_handshake *h)
{
	struct mt_tls_result *r = &h->result;

	if (!describe(h, &r->peer) || mt_tls_hand_over(h, &r->keys)) {
		OPENSSL_cleanse(r, sizeof(*r));
		return failed(h, MT_TLS_WHY_internal);
	}
	/* The library has taken nothing after Finished out of the BIO, so the rest is records. */
	if (SSL_has_pending(h->ssl))
		return fail_behind(h);
	h->unread = (uint32_t)BIO_ctrl_pending(h->in);
	r->tickets = r->keys.version == TLS1_3_VERSION ? (uint8_t)r->keys.tx.seq : 0;
	ERR_clear_error();
	free_ssl(h);
	return MT_TLS_DONE;
}

enum mt_tls_step mt_tls_handshake_step(struct mt_tls_handshake *h, const void *in, uint32_t n)
{
	int rc;

	ERR_clear_error();
	if (!h->ssl && !begin(h))
		return failed(h, MT_TLS_WHY_internal);
	if (n > MT_TLS_INPUT_MAX - h->taken)
		return failed(h, MT_TLS_WHY_too_long);
	if (n && BIO_write(h->in, in, (int)n) != (int)n)
		return failed(h, MT_TLS_WHY_internal);
	h->taken += n;
	mt_tls_library_hears(h, in, n);
	rc = SSL_do_handshake(h->ssl);
	if (rc == 1)
		return finish(h);
	if (SSL_get_error(h->ssl, rc) == SSL_ERROR_WANT_READ)
		return MT_TLS_MORE;
	return fail(h);
}

/* ---- output ---------------------------------------------------------------------------------- */

uint32_t mt_tls_handshake_output(const struct mt_tls_handshake *h, const uint8_t **p)
{
	char *data = NULL;
	long n = h->out ? BIO_get_mem_data(h->out, &data) : 0;

	*p = (const uint8_t *)data;
	return n > 0 ? (uint32_t)n : 0;
}

void mt_tls_handshake_sent(struct mt_tls_handshake *h, uint32_t n)
{
	const uint8_t *p;

	/* A memory BIO drops its first bytes only by a read. */
	MT_ASSERT(n <= mt_tls_handshake_output(h, &p));
	for (uint8_t skipped[1024]; n;) {
		int part = BIO_read(h->out, skipped, (int)MT_MIN(n, sizeof(skipped)));

		MT_ASSERT(part > 0);
		n -= (uint32_t)part;
	}
}

uint32_t mt_tls_handshake_used(const struct mt_tls_handshake *h)
{
	return h->taken - h->unread;
}

const struct mt_tls_result *mt_tls_handshake_result(const struct mt_tls_handshake *h)
{
	return &h->result;
}
