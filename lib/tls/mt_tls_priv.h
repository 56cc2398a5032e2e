/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/tls: contexts and handshakes, which the library calls back. */
#pragma once

#include "mt_tls.h"

#include <openssl/ssl.h>
#include <pthread.h>

/* OpenSSL: seals tickets for a day. */
struct mt_tls_ticket_key {
	uint8_t name[16], cipher[32], mac[32];
	uint64_t made; /* seconds of CLOCK_BOOTTIME, plus 1; 0: no key */
};
struct mt_tls_ticket_keys {
	pthread_mutex_t lock;
	struct mt_tls_ticket_key now, before; /* `before` opens tickets until they have ended */
};

struct mt_tls_context {
	uint32_t refs;
	struct mt_tls_context *left; /* the next one that a worker was the last to hold */
	uint64_t id;
	uint64_t rules_id;   /* of what a peer is asked for, but for the roots and lists */
	uint64_t library_id; /* of what `ssl` is made of, but for the credential */
	char *sni;	     /* NULL: none */
	enum mt_tls_role role;
	enum mt_tls_trust trust;
	struct mt_credential *credential;
	SSL_CTX *ssl;
	struct mt_tls_ticket_keys *tickets; /* OpenSSL, a server that gives tickets; else NULL */
	struct mt_tls_san *sans;
	char **trust_domains;
	uint32_t n_sans, n_trust_domains;
	uint8_t *alpn; /* a length byte and a name each */
	uint32_t alpn_len;
};

/* OpenSSL: what the key log gives of TLS 1.3. */
struct mt_tls_secrets {
	uint8_t client[48], server[48];
	uint8_t client_len, server_len;
};

struct mt_tls_handshake {
	struct mt_tls_context *context;
	SSL *ssl; /* NULL: not yet, or no more */
	BIO *in, *out;
	char *sni;			     /* a client's */
	char asked_for[MT_TLS_NAME_MAX + 1]; /* of a server */
	uint32_t taken;			     /* bytes of the peer's, so far */
	uint32_t unread;
	/* OpenSSL: what it does not count. */
	bool finished_sent;
	uint8_t sent_records; /* behind our Finished */
	uint32_t got_records; /* behind the peer's ChangeCipherSpec */
	uint8_t got_alert, sent_alert;
	bool has_alert;		      /* got_alert is fatal */
	enum mt_tls_reason judgement; /* of the peer's certificate */
	struct mt_tls_secrets secrets;
	struct mt_tls_result result;
};

/* ---- verify.c ----- */

/* SSL_CTX_set_cert_verify_callback(); the context is the handshake's. */
int mt_tls_verify(X509_STORE_CTX *x, void *arg);
/* Names and times of a certificate whose chain was verified: none, or why not. */
enum mt_tls_reason mt_tls_judge(const struct mt_tls_context *c, X509 *leaf);
/* Whether the principal is of one of its trust domains. */
bool mt_tls_has_domain(const struct mt_tls_context *c, const char *principal);

/* ---- handover.c ----- */

/* -EPROTO: no cipher of ours, -ENOMEM */
int mt_tls_hand_over(struct mt_tls_handshake *h, struct mt_tls_keys *out);

#define MT_TLS_ALERT_RECORD 64
/* Behind a handshake of TLS 1.2: a fatal alert under our new key. Its length; 0: it cannot be made. */
uint32_t mt_tls_alert_record(const struct mt_tls_keys *k, uint8_t alert, uint8_t *out);

/* ---- handshake.c ----- */

/* SSL_CTX_set_client_hello_cb() */
int mt_tls_client_hello(SSL *ssl, int *alert, void *arg);
/* SSL_CTX_set_msg_callback() */
void mt_tls_message(
	int write_p, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg);
