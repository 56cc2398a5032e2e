/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to lib/tls: contexts, handshakes, and the library's callbacks. */
#pragma once

#include "mt_tls.h"

#include <openssl/ssl.h>
#include <pthread.h>

/* OpenSSL: a key that seals tickets for a day. */
struct mt_tls_ticket_key {
	uint8_t name[16], cipher[32], mac[32];
	uint64_t made; /* seconds of CLOCK_BOOTTIME, plus 1; 0: no key */
};
struct mt_tls_ticket_keys {
	pthread_mutex_t lock;
	struct mt_tls_ticket_key now, before; /* `before` opens tickets until they have expired */
};

struct mt_tls_context {
	uint32_t refs;
	struct mt_tls_context *left; /* next context whose last reference a worker has dropped */
	uint64_t id;
	uint64_t rules_id;   /* hash of what is required of a peer, except roots and lists */
	uint64_t library_id; /* hash of what `ssl` is made from, except the credential */
	char *sni;	     /* NULL: none */
	enum mt_tls_role role;
	enum mt_tls_trust trust;
	struct mt_credential *credential;
	SSL_CTX *ssl;
	/* OpenSSL, for a server that issues tickets; else NULL */
	struct mt_tls_ticket_keys *tickets;
	struct mt_tls_san *sans;
	char **trust_domains;
	uint32_t n_sans, n_trust_domains;
	uint8_t *alpn; /* each name after a length byte */
	uint32_t alpn_len;
};

/* OpenSSL: TLS 1.3 secrets from the key log. */
struct mt_tls_secrets {
	uint8_t client[48], server[48];
	uint8_t client_len, server_len;
};

struct mt_tls_handshake {
	struct mt_tls_context *context;
	SSL *ssl; /* NULL: not created yet, or already freed */
	BIO *in, *out;
	char *sni;			     /* client: the name to send */
	char asked_for[MT_TLS_NAME_MAX + 1]; /* server: the name that the client requested */
	uint32_t taken;			     /* bytes received from the peer */
	uint32_t unread;
	/* OpenSSL: counted here, because the library does not. */
	bool finished_sent;
	uint8_t sent_records; /* after our Finished */
	uint32_t got_records; /* after the peer's ChangeCipherSpec */
	uint8_t got_alert, sent_alert;
	bool has_alert;		      /* got_alert is fatal or close_notify */
	enum mt_tls_reason judgement; /* on the peer's certificate */
	struct mt_tls_secrets secrets;
	struct mt_tls_result result;
};

/* ---- verify.c ----- */

/* For SSL_CTX_set_cert_verify_callback(); uses the handshake's context. */
int mt_tls_verify(X509_STORE_CTX *x, void *arg);
/*
 * Checks the names and validity of a certificate whose chain was verified. Returns none or the
 * reason.
 */
enum mt_tls_reason mt_tls_judge(const struct mt_tls_context *c, X509 *leaf);
/* True if the principal is in one of the context's trust domains. */
bool mt_tls_has_domain(const struct mt_tls_context *c, const char *principal);

/* ---- handover.c ----- */

/*
 * Copies the keys out of the library. Returns 0, -EPROTO if records do not support the cipher, or
 * -ENOMEM.
 */
int mt_tls_hand_over(struct mt_tls_handshake *h, struct mt_tls_keys *out);

#define MT_TLS_ALERT_RECORD 64
/*
 * TLS 1.2, after the handshake: writes a fatal alert under our new key. Returns its length; 0: not
 * possible.
 */
uint32_t mt_tls_alert_record(const struct mt_tls_keys *k, uint8_t alert, uint8_t *out);

/* ---- handshake.c ----- */

/* SSL_CTX_set_client_hello_cb() */
int mt_tls_client_hello(SSL *ssl, int *alert, void *arg);
/* SSL_CTX_set_msg_callback() */
void mt_tls_message(
	int write_p, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg);
