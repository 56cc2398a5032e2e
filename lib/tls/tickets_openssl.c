/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers' tickets with OpenSSL: verifies their certificates again, and changes the keys that seal
 * them each day.
 */
#include "mt_tls_library.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

/* In TLS 1.2 a key opens all sessions whose tickets it has sealed. */
#define TICKET_KEY_S (24 * 3600)

static int on_new_ticket(SSL *ssl, void *arg)
{
	(void)ssl;
	(void)arg;
	return 1;
}

/* Ignores a ticket whose certificate would be refused now; the full handshake then reports why. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
	size_t len, SSL_TICKET_STATUS status, void *arg)
{
	const struct mt_tls_context *c = arg;
	X509 *leaf;

	(void)ssl;
	(void)name;
	(void)len;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	leaf = SSL_SESSION_get0_peer(session);
	if (leaf && c->trust != MT_TLS_ANYBODY && mt_tls_judge(c, leaf) != MT_TLS_WHY_none)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec + 1;
}

static bool new_key(struct mt_tls_ticket_key *k, uint64_t now)
{
	k->made = now;
	return RAND_bytes(k->name, sizeof(k->name)) == 1 &&
	       RAND_priv_bytes(k->cipher, sizeof(k->cipher)) == 1 &&
	       RAND_priv_bytes(k->mac, sizeof(k->mac)) == 1;
}

/* Copies the key that seals (name NULL), or the key with this name. false: there is none. */
static bool find_key(
	struct mt_tls_ticket_keys *all, const unsigned char *name, struct mt_tls_ticket_key *out)
{
	uint64_t now = seconds();
	bool found = true;

	pthread_mutex_lock(&all->lock);
	if (now - all->now.made >= TICKET_KEY_S) {
		struct mt_tls_ticket_key next;

		found = new_key(&next, now);
		if (found) {
			all->before = all->now;
			all->now = next;
		}
		OPENSSL_cleanse(&next, sizeof(next));
	}
	if (all->before.made && now - all->now.made > MT_TLS_TICKET_S)
		OPENSSL_cleanse(&all->before, sizeof(all->before));
	if (!name || memcmp(name, all->now.name, sizeof(all->now.name)) == 0)
		*out = all->now;
	else if (all->before.made && memcmp(name, all->before.name, sizeof(all->before.name)) == 0)
		*out = all->before;
	else
		found = false;
	pthread_mutex_unlock(&all->lock);
	return found;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3) */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seals)
{
	const struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	struct mt_tls_ticket_key k;
	OSSL_PARAM params[] = {OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, k.mac, sizeof(k.mac)),
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 6), OSSL_PARAM_END};
	bool ok;

	if (!find_key(h->context->tickets, seals ? NULL : name, &k))
		return seals ? -1 : 0;
	if (seals)
		memcpy(name, k.name, sizeof(k.name));
	ok = (!seals || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1) &&
	     EVP_MAC_CTX_set_params(mac, params) == 1 &&
	     EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv, seals) == 1;
	OPENSSL_cleanse(&k, sizeof(k));
	if (!ok)
		return -1;
	/*
	 * TLS 1.3: a resumed session gets another ticket (RFC 8446 §C.4), as with the library's own
	 * keys.
	 */
	return !seals && SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

bool mt_tls_library_judge_tickets(struct mt_tls_context *c)
{
	c->tickets = OPENSSL_secure_zalloc(sizeof(*c->tickets));
	if (!c->tickets)
		return false;
	/* Unlike pthread_mutex_init() it cannot fail, so what is freed always has a lock. */
	c->tickets->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	return new_key(&c->tickets->now, seconds()) &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, on_ticket_key) == 1 &&
	       SSL_CTX_set_session_ticket_cb(c->ssl, on_new_ticket, on_ticket, c) == 1;
}

void mt_tls_library_free_tickets(struct mt_tls_context *c)
{
	if (!c->tickets)
		return;
	pthread_mutex_destroy(&c->tickets->lock);
	OPENSSL_secure_clear_free(c->tickets, sizeof(*c->tickets));
	c->tickets = NULL;
}
