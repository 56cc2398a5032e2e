/* SPDX-License-Identifier: Apache-2.0 */
#include "ends.h"

#include "mt_test.h"
#include "pki.h"

#include <openssl/err.h>

#define APPLICATION 23

uint8_t ends_unread[65536];
uint32_t ends_unread_len;

/* ---- ours ------------------------------------------------------------------------------------------- */

struct mt_tls_context *ends_context(const struct mt_tls_rules *r)
{
	struct mt_err e = {""};
	struct mt_tls_context *c = mt_tls_context_new(r, &e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

struct mt_tls_rules ends_rules(enum mt_tls_role role)
{
	static const char *const istio[] = {"istio"};

	return (struct mt_tls_rules){.role = role,
		.credential = role == MT_TLS_SERVER ? pki()->bob : pki()->alice,
		.alpn = istio,
		.n_alpn = 1};
}

/* ---- the library's ------------------------------------------------------------------------------------ */

static void on_message(
	int write_p, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	struct ends_plain *p = arg;

	(void)version;
	(void)ssl;
	if (type == SSL3_RT_ALERT && len == 2 && !write_p)
		p->alert = ((const uint8_t *)buf)[1];
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned int n, void *arg)
{
	return SSL_select_next_proto((unsigned char **)out, out_len,
		       (const unsigned char *)"\x05istio", 6, in, n) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

void ends_plain_new(struct ends_plain *p, enum mt_tls_role role, const struct mt_credential *c,
	int version, const char *cipher)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	*p = (struct ends_plain){.ctx = ctx, .alert = -1};
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (cipher)
		CU_ASSERT_EQUAL(version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, cipher)
							  : SSL_CTX_set_cipher_list(ctx, cipher),
			1);
	if (c && c->chain)
		SSL_CTX_use_cert_and_key(ctx, sk_X509_value(c->chain, 0), c->key, NULL, 1);
	for (int i = 1; c && c->chain && i < (int)sk_X509_num(c->chain); i++)
		SSL_CTX_add1_chain_cert(ctx, sk_X509_value(c->chain, i));
	if (c && c->trust) {
		SSL_CTX_set1_cert_store(ctx, c->trust);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"x", 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2\x05istio", 9);
	p->ssl = SSL_new(ctx);
	SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_msg_callback(p->ssl, on_message);
	SSL_set_msg_callback_arg(p->ssl, p);
	if (role == MT_TLS_SERVER)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

void ends_plain_free(struct ends_plain *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	ERR_clear_error();
}

uint32_t ends_plain_says(struct ends_plain *p, void *buf, uint32_t size)
{
	int n = BIO_read(SSL_get_wbio(p->ssl), buf, (int)size);

	return n > 0 ? (uint32_t)n : 0;
}

void ends_plain_hears(struct ends_plain *p, const void *buf, uint32_t n)
{
	BIO_write(SSL_get_rbio(p->ssl), buf, (int)n);
}

/* ---- conversations ---------------------------------------------------------------------------------------- */

/* The library's end's turn; whether it has said or heard something. */
static void plain_turn(struct ends_plain *p)
{
	ERR_clear_error();
	if (p->rc != 1)
		p->rc = SSL_do_handshake(p->ssl);
}

static bool hear(struct mt_tls_handshake *h, enum mt_tls_step *step, const uint8_t *p, uint32_t n,
	uint32_t piece)
{
	for (uint32_t at = 0, part; at < n; at += part) {
		part = MT_MIN(piece, n - at);
		if (*step == MT_TLS_MORE) {
			*step = mt_tls_handshake_step(h, p + at, part);
			continue;
		}
		memcpy(ends_unread + ends_unread_len, p + at, part);
		ends_unread_len += part;
	}
	return n > 0;
}

/* Of all that the peer has said: what is behind the handshake. */
static void keep_unread(struct mt_tls_handshake *h, const uint8_t *all, uint32_t n)
{
	uint32_t used = mt_tls_handshake_used(h);

	CU_ASSERT_FATAL(used <= n);
	ends_unread_len = n - used;
	memcpy(ends_unread, all + used, ends_unread_len);
}

enum mt_tls_step ends_talk(struct mt_tls_handshake *h, struct ends_plain *p, uint32_t piece)
{
	static uint8_t said[262144];
	enum mt_tls_step step = MT_TLS_MORE;
	const uint8_t *out;
	uint32_t all = 0, n;
	bool moved = true;

	ends_unread_len = 0;
	while (moved) {
		moved = false;
		plain_turn(p);
		n = ends_plain_says(p, said + all, sizeof(said) - all);
		if (all == 0 && n == 0 && step == MT_TLS_MORE)
			step = mt_tls_handshake_step(h, NULL, 0);
		moved = hear(h, &step, said + all, n, piece);
		all += n;
		while ((n = mt_tls_handshake_output(h, &out)) > 0) {
			n = MT_MIN(n, piece);
			ends_plain_hears(p, out, n);
			mt_tls_handshake_sent(h, n);
			moved = true;
		}
	}
	plain_turn(p);
	if (step == MT_TLS_DONE)
		keep_unread(h, said, all);
	return step;
}

/* Behind its end, what is said to it stays unread; only the client is said more. */
static bool pass(struct mt_tls_handshake *from, struct mt_tls_handshake *to, enum mt_tls_step *step)
{
	const uint8_t *p;
	uint32_t n = mt_tls_handshake_output(from, &p), used = mt_tls_handshake_used(to), taken = 0;

	if (n == 0)
		return false;
	if (*step == MT_TLS_MORE) {
		*step = mt_tls_handshake_step(to, p, n);
		taken = *step == MT_TLS_DONE ? mt_tls_handshake_used(to) - used : n;
	}
	memcpy(ends_unread + ends_unread_len, p + taken, n - taken);
	ends_unread_len += n - taken;
	mt_tls_handshake_sent(from, n);
	return true;
}

void ends_pair_talk(struct ends_pair *p)
{
	ends_unread_len = 0;
	p->server_step = MT_TLS_MORE;
	p->client_step = mt_tls_handshake_step(p->client, NULL, 0);
	while (pass(p->client, p->server, &p->server_step) ||
		pass(p->server, p->client, &p->client_step))
		;
}

void ends_pair_free(struct ends_pair *p)
{
	mt_tls_handshake_free(p->client);
	mt_tls_handshake_free(p->server);
}

/* ---- records ----------------------------------------------------------------------------------------------- */

static const EVP_CIPHER *cipher_of(const struct mt_tls_keys *k)
{
	return k->cipher == MT_TLS_AES_128_GCM	 ? EVP_aes_128_gcm()
	       : k->cipher == MT_TLS_AES_256_GCM ? EVP_aes_256_gcm()
						 : EVP_chacha20_poly1305();
}

static void put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

/* Bytes of the nonce that are written in front of the record. */
static uint32_t explicit_of(const struct mt_tls_keys *k)
{
	return k->version == TLS1_2_VERSION && k->cipher != MT_TLS_CHACHA20_POLY1305 ? 8 : 0;
}

static void nonce_of(const struct mt_tls_keys *k, const struct mt_tls_half *half,
	const uint8_t *written, uint8_t nonce[12])
{
	uint8_t seq[8];

	memcpy(nonce, half->iv, 12);
	if (explicit_of(k)) {
		memcpy(nonce + 4, written, 8);
		return;
	}
	put64(seq, half->seq);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= seq[i];
}

static uint32_t aad_of(const struct mt_tls_keys *k, uint64_t seq, const uint8_t *head,
	uint32_t text, uint8_t aad[13])
{
	if (k->version == TLS1_3_VERSION) {
		memcpy(aad, head, 5);
		return 5;
	}
	put64(aad, seq);
	memcpy(aad + 8, head, 3);
	aad[11] = (uint8_t)(text >> 8);
	aad[12] = (uint8_t)text;
	return 13;
}

uint32_t ends_seal(struct mt_tls_keys *k, uint8_t type, const void *text, uint32_t n, uint8_t *out)
{
	bool new = k->version == TLS1_3_VERSION;
	uint32_t ex = explicit_of(k), inner = n + new, len = ex + inner + 16;
	uint8_t aad[13], nonce[12], *body = out + 5 + ex;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int part;

	memcpy(out, (const uint8_t[]){new ? 23 : type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len}, 5);
	if (ex)
		put64(out + 5, k->tx.seq);
	nonce_of(k, &k->tx, out + 5, nonce);
	memcpy(body, text, n);
	if (new)
		body[n] = type;
	EVP_EncryptInit_ex(ctx, cipher_of(k), NULL, k->tx.key, nonce);
	EVP_EncryptUpdate(ctx, NULL, &part, aad, (int)aad_of(k, k->tx.seq, out, n, aad));
	EVP_EncryptUpdate(ctx, body, &part, body, (int)inner);
	EVP_EncryptFinal_ex(ctx, body + inner, &part);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, body + inner);
	EVP_CIPHER_CTX_free(ctx);
	k->tx.seq++;
	return 5 + len;
}

uint32_t ends_open(struct mt_tls_keys *k, const uint8_t *in, uint32_t n, uint8_t *out,
	uint8_t *type, uint32_t *used)
{
	uint32_t ex = explicit_of(k), len = n < 5 ? 0 : (uint32_t)in[3] << 8 | in[4], text;
	uint8_t aad[13], nonce[12], tag[16];
	EVP_CIPHER_CTX *ctx;
	int part, rest = 0;
	bool ok;

	if (n < 5 || n < 5 + len || len < ex + 16)
		return 0;
	text = len - ex - 16;
	nonce_of(k, &k->rx, in + 5, nonce);
	memcpy(tag, in + 5 + ex + text, 16);
	ctx = EVP_CIPHER_CTX_new();
	EVP_DecryptInit_ex(ctx, cipher_of(k), NULL, k->rx.key, nonce);
	EVP_DecryptUpdate(ctx, NULL, &part, aad, (int)aad_of(k, k->rx.seq, in, text, aad));
	EVP_DecryptUpdate(ctx, out, &part, in + 5 + ex, (int)text);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag);
	ok = EVP_DecryptFinal_ex(ctx, out + part, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return 0;
	k->rx.seq++;
	*used = 5 + len;
	*type = in[0];
	if (k->version == TLS1_3_VERSION)
		*type = out[--text];
	return text;
}

void ends_check_records(const struct mt_tls_result *r, struct ends_plain *p)
{
	static const char there[] = "what they say", back[] = "what we say";
	struct mt_tls_keys k = r->keys;
	uint8_t record[512], text[4096], type = 0;
	uint32_t n = 0, used, at = 0;

	CU_ASSERT_EQUAL(SSL_write(p->ssl, there, sizeof(there)), (int)sizeof(there));
	ends_unread_len += ends_plain_says(p, ends_unread + ends_unread_len, 4096);
	while (at < ends_unread_len && type != APPLICATION) {
		n = ends_open(&k, ends_unread + at, ends_unread_len - at, text, &type, &used);
		CU_ASSERT_FATAL(n > 0);
		at += used;
	}
	CU_ASSERT_EQUAL(at, ends_unread_len);
	CU_ASSERT_EQUAL(n, sizeof(there));
	CU_ASSERT_EQUAL(memcmp(text, there, sizeof(there)), 0);
	n = ends_seal(&k, APPLICATION, back, sizeof(back), record);
	ends_plain_hears(p, record, n);
	CU_ASSERT_EQUAL(SSL_read(p->ssl, text, sizeof(text)), (int)sizeof(back));
	CU_ASSERT_EQUAL(memcmp(text, back, sizeof(back)), 0);
}
