/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, from which handshakes are made: the library's SSL_CTX, and our rules. */
#include "mt_secret_hash.h"
#include "mt_tls_library.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#define VERIFY_DEPTH 10

/*
 * The ciphers that Envoy offers and Istio's sidecars accept, and ChaCha20. Only these three,
 * because records support no others. A server also accepts RSA key exchange, last, for Istio peers
 * that have nothing else.
 */
#define ECDHE                                                                                      \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
static const char *const ciphers_default[] = {
	[MT_TLS_CLIENT] = ECDHE, [MT_TLS_SERVER] = ECDHE ":AES128-GCM-SHA256:AES256-GCM-SHA384"};
static const char suites_default[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/* With the hybrid group if the library has it. */
static const char *const groups[] = {"X25519MLKEM768:X25519:P-256", "X25519:P-256"};

/* ---- our copies of the rules ----------------------------------------------------------------- */

static int copy_sans(struct mt_tls_context *c, const struct mt_tls_rules *r)
{
	c->sans = calloc(r->n_sans + 1u, sizeof(*c->sans));
	if (!c->sans)
		return -ENOMEM;
	for (; c->n_sans < r->n_sans; c->n_sans++) {
		c->sans[c->n_sans] = (struct mt_tls_san){
			strdup(r->sans[c->n_sans].text), r->sans[c->n_sans].prefix};
		if (!c->sans[c->n_sans].text)
			return -ENOMEM;
	}
	return 0;
}

static int copy_domains(struct mt_tls_context *c, const struct mt_tls_rules *r)
{
	c->trust_domains = calloc(r->n_trust_domains + 1u, sizeof(*c->trust_domains));
	if (!c->trust_domains)
		return -ENOMEM;
	for (; c->n_trust_domains < r->n_trust_domains; c->n_trust_domains++) {
		c->trust_domains[c->n_trust_domains] = strdup(r->trust_domains[c->n_trust_domains]);
		if (!c->trust_domains[c->n_trust_domains])
			return -ENOMEM;
	}
	return 0;
}

static int copy_alpn(struct mt_tls_context *c, const struct mt_tls_rules *r, struct mt_err *e)
{
	c->alpn = calloc(r->n_alpn + 1u, 1 + MT_TLS_ALPN_MAX);
	if (!c->alpn)
		return mt_err(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < r->n_alpn; i++) {
		size_t len = strlen(r->alpn[i]);

		if (len == 0 || len > MT_TLS_ALPN_MAX)
			return mt_err(e, -EINVAL, "ALPN %.64s: it is not of 1 to %d bytes",
				r->alpn[i], MT_TLS_ALPN_MAX);
		c->alpn[c->alpn_len++] = (uint8_t)len;
		memcpy(c->alpn + c->alpn_len, r->alpn[i], len);
		c->alpn_len += (uint32_t)len;
	}
	return 0;
}

static int copy_rules(struct mt_tls_context *c, const struct mt_tls_rules *r, struct mt_err *e)
{
	c->refs = 1;
	c->role = r->role;
	c->trust = r->trust;
	c->credential = mt_credential_hold(r->credential);
	c->sni = r->sni ? strdup(r->sni) : NULL;
	if (copy_sans(c, r) || copy_domains(c, r) || (r->sni && !c->sni))
		return mt_err(e, -ENOMEM, "no memory");
	return copy_alpn(c, r, e);
}

/* Rejects rules that the library would accept although they make no sense. */
static int check(const struct mt_tls_rules *r, struct mt_err *e)
{
	if (!r->credential)
		return mt_err(e, -EINVAL, "there is neither an identity nor a root");
	if (r->role == MT_TLS_SERVER && !r->credential->chain)
		return mt_err(e, -EINVAL, "a server needs a certificate");
	if (r->role == MT_TLS_CLIENT && r->trust == MT_TLS_IF_SHOWN)
		return mt_err(e, -EINVAL, "a server always shows a certificate");
	if (r->trust != MT_TLS_ANYBODY && !r->credential->trust)
		return mt_err(e, -EINVAL, "there is no root to verify the peer's certificate by");
	if (r->trust == MT_TLS_ANYBODY && (r->n_sans || r->n_trust_domains))
		return mt_err(
			e, -EINVAL, "names have no effect for a certificate that is not verified");
	if (r->sni && (r->role == MT_TLS_SERVER || strlen(r->sni) > MT_TLS_NAME_MAX))
		return mt_err(e, -EINVAL,
			"server name %.64s: only clients send one, of %d bytes at most", r->sni,
			MT_TLS_NAME_MAX);
	return 0;
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* Keyed, because documents contain the names, and equal ids make connections equivalent. */
static uint64_t hash_number(uint64_t v, uint64_t h)
{
	return mt_secret_hash(&v, sizeof(v), h);
}

static uint64_t hash_text(const char *text, uint64_t h)
{
	return hash_number(text ? mt_secret_hash_text(text, 1) : 0, h);
}

static uint64_t library_id(const struct mt_tls_context *c, const struct mt_tls_rules *r)
{
	const uint32_t words[] = {r->role, r->trust, r->min_version, r->max_version, r->tickets};
	uint64_t h = mt_secret_hash(words, sizeof(words), 0);

	h = mt_secret_hash(c->alpn, c->alpn_len, h);
	return hash_text(r->suites, hash_text(r->ciphers, h));
}

/*
 * Hashes the identity of our certificate: its principal, whatever its key and validity. A
 * certificate without one is hashed by its chain.
 */
static uint64_t hash_self(const struct mt_credential *cr, uint64_t h)
{
	char principal[MT_TLS_PRINCIPAL_MAX + 1];

	if (!cr->chain)
		return hash_number(0, h);
	if (mt_tls_principal(sk_X509_value(cr->chain, 0), principal) && *principal)
		return hash_text(principal, h);
	return mt_secret_hash(cr->chain_digest, sizeof(cr->chain_digest), h);
}

static uint64_t hash_names(const struct mt_tls_context *c, uint64_t h)
{
	h = hash_number(c->n_sans, h);
	for (uint32_t i = 0; i < c->n_sans; i++)
		h = hash_text(c->sans[i].text, hash_number(c->sans[i].prefix, h));
	h = hash_number(c->n_trust_domains, h);
	for (uint32_t i = 0; i < c->n_trust_domains; i++)
		h = hash_text(c->trust_domains[i], h);
	return h;
}

static void set_ids(struct mt_tls_context *c, const struct mt_tls_rules *r)
{
	const struct mt_credential *cr = c->credential;
	uint64_t h = c->library_id = library_id(c, r);

	/*
	 * A server's own certificate does not count, because it is not what clients are verified
	 * by.
	 */
	h = hash_text(c->sni, c->role == MT_TLS_CLIENT ? hash_self(cr, h) : h);
	h = mt_secret_hash(cr->trust_digest, sizeof(cr->trust_digest), h);
	c->id = hash_names(c, h);
	c->rules_id = hash_names(c, c->library_id);
}

uint64_t mt_tls_context_id(const struct mt_tls_context *c)
{
	return c->id;
}

const char *mt_tls_context_sni(const struct mt_tls_context *c)
{
	return c->sni;
}

/* ---- tickets --------------------------------------------------------------------------------- */

/* Adds a text with its NUL, so that different lists of texts have different hashes. */
static bool add_text(EVP_MD_CTX *md, const char *text)
{
	return EVP_DigestUpdate(md, text, strlen(text) + 1) == 1;
}

static bool add_rules(EVP_MD_CTX *md, const struct mt_tls_context *c)
{
	uint32_t head[4] = {c->role, c->trust, c->n_sans, c->n_trust_domains};
	bool ok = EVP_DigestUpdate(md, head, sizeof(head)) == 1;

	for (uint32_t i = 0; ok && i < c->n_sans; i++)
		ok = add_text(md, c->sans[i].prefix ? "prefix" : "exact") &&
		     add_text(md, c->sans[i].text);
	for (uint32_t i = 0; ok && i < c->n_trust_domains; i++)
		ok = add_text(md, c->trust_domains[i]);
	return ok;
}

/*
 * Binds sessions to our chain, roots and rules: one is resumed only under those that verified it.
 */
static bool bind_sessions(struct mt_tls_context *c)
{
	const struct mt_credential *cr = c->credential;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t id[32];
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, cr->chain_digest, sizeof(cr->chain_digest)) == 1 &&
		  EVP_DigestUpdate(md, cr->trust_digest, sizeof(cr->trust_digest)) == 1 &&
		  add_rules(md, c) && EVP_DigestFinal_ex(md, id, NULL) == 1;

	EVP_MD_CTX_free(md);
	return ok && SSL_CTX_set_session_id_context(c->ssl, id, sizeof(id)) == 1;
}

static bool set_tickets(struct mt_tls_context *c, bool wanted)
{
	/* Only clients keep sessions, so memory here does not grow with the number of sessions. */
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	if (c->role == MT_TLS_CLIENT || !wanted) {
		/* Neither in TLS 1.2 nor in 1.3. */
		SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(c->ssl, 0) == 1;
	}
	SSL_CTX_set_timeout(c->ssl, MT_TLS_TICKET_S);
	return SSL_CTX_set_num_tickets(c->ssl, 1) == 1 && bind_sessions(c) &&
	       mt_tls_library_judge_tickets(c);
}

/* ---- the library's context ------------------------------------------------------------------- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct mt_tls_context *c = arg;

	(void)ssl;
	for (uint32_t at = 0; at < c->alpn_len; at += 1u + c->alpn[at])
		for (unsigned int i = 0; i < in_len; i += 1u + in[i])
			if (in[i] == c->alpn[at] && memcmp(in + i, c->alpn + at, 1u + in[i]) == 0) {
				*out = in + i + 1;
				*out_len = in[i];
				return SSL_TLSEXT_ERR_OK;
			}
	return SSL_TLSEXT_ERR_NOACK;
}

static int set_alpn(struct mt_tls_context *c)
{
	if (c->role == MT_TLS_SERVER)
		SSL_CTX_set_alpn_select_cb(c->ssl, on_alpn, c);
	/* Here 0 means success. */
	return c->alpn_len && c->role == MT_TLS_CLIENT
		       ? SSL_CTX_set_alpn_protos(c->ssl, c->alpn, c->alpn_len)
		       : 0;
}

/* Rejects ciphers that records do not support, so that no handshake ends with one. */
static int check_ciphers(const struct mt_tls_context *c, struct mt_err *e)
{
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(c->ssl);

	for (int i = 0; i < (int)sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *one = sk_SSL_CIPHER_value(all, i);
		int nid = SSL_CIPHER_get_cipher_nid(one);

		if (nid != NID_aes_128_gcm && nid != NID_aes_256_gcm &&
			nid != NID_chacha20_poly1305)
			return mt_err(e, -EINVAL, "cipher %s: there are no records of it here",
				SSL_CIPHER_get_name(one));
	}
	return 0;
}

static int set_versions(struct mt_tls_context *c, const struct mt_tls_rules *r, struct mt_err *e)
{
	int min = r->min_version ?: TLS1_2_VERSION, max = r->max_version ?: TLS1_3_VERSION;

	if (min < TLS1_2_VERSION || max > TLS1_3_VERSION || min > max)
		return mt_err(e, -EINVAL,
			"TLS from %04x to %04x: only 0303 and 0304 are spoken here", min, max);
	if (SSL_CTX_set_min_proto_version(c->ssl, min) != 1 ||
		SSL_CTX_set_max_proto_version(c->ssl, max) != 1)
		return mt_err(e, -EINVAL, "the library does not speak this version of TLS");
	if (SSL_CTX_set_cipher_list(c->ssl, r->ciphers ?: ciphers_default[r->role]) != 1)
		return mt_err(
			e, -EINVAL, "ciphers %.200s: the library has none of them", r->ciphers);
	if (SSL_CTX_set_ciphersuites(c->ssl, r->suites ?: suites_default) != 1)
		return mt_err(e, -EINVAL,
			"cipher suites %.200s: the library does not have all of them", r->suites);
	if (SSL_CTX_set1_groups_list(c->ssl, groups[0]) != 1 &&
		SSL_CTX_set1_groups_list(c->ssl, groups[1]) != 1)
		return mt_err(e, -EINVAL, "the library has no X25519");
	return check_ciphers(c, e);
}

static int set_identity(struct mt_tls_context *c, struct mt_err *e)
{
	const struct mt_credential *cr = c->credential;
	bool ok = true;

	if (!cr->chain)
		return 0;
	ok = SSL_CTX_use_certificate(c->ssl, sk_X509_value(cr->chain, 0)) == 1 &&
	     SSL_CTX_use_PrivateKey(c->ssl, cr->key) == 1;
	for (int i = 1; ok && i < (int)sk_X509_num(cr->chain); i++)
		ok = SSL_CTX_add1_chain_cert(c->ssl, sk_X509_value(cr->chain, i)) == 1;
	return ok ? 0
		  : mt_err(e, -EINVAL, "our certificate is none for TLS: %s",
			    ERR_reason_error_string(ERR_peek_error()) ?: "unknown error");
}

/*
 * Sets the authorities that the certificate request names. Clients with several certificates choose
 * by them.
 */
static bool set_authorities(struct mt_tls_context *c)
{
	STACK_OF(X509_NAME) * names;

	if (c->role == MT_TLS_CLIENT || c->trust == MT_TLS_ANYBODY)
		return true;
	names = SSL_dup_CA_list(c->credential->authorities);
	if (!names)
		return false;
	SSL_CTX_set_client_CA_list(c->ssl, names);
	return true;
}

static bool set_trust(struct mt_tls_context *c)
{
	int mode = SSL_VERIFY_PEER |
		   (c->trust == MT_TLS_VERIFIED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);

	if (c->trust == MT_TLS_ANYBODY)
		mode = SSL_VERIFY_NONE;
	if (c->credential->trust)
		SSL_CTX_set1_cert_store(c->ssl, c->credential->trust);
	SSL_CTX_set_verify(c->ssl, mode, NULL);
	SSL_CTX_set_verify_depth(c->ssl, VERIFY_DEPTH);
	SSL_CTX_set_cert_verify_callback(c->ssl, mt_tls_verify, NULL);
	SSL_CTX_set_max_cert_list(c->ssl, MT_TLS_CHAIN_MAX);
	return set_authorities(c);
}

/* Shares the library's context of `like`, which contains no names and never changes. */
static bool share(struct mt_tls_context *c, const struct mt_tls_context *like)
{
	if (!like || c->role != MT_TLS_CLIENT || like->library_id != c->library_id ||
		like->credential != c->credential || SSL_CTX_up_ref(like->ssl) != 1)
		return false;
	c->ssl = like->ssl;
	return true;
}

static int set_up(struct mt_tls_context *c, const struct mt_tls_rules *r, struct mt_err *e)
{
	int rc;

	set_ids(c, r);
	if (share(c, r->like))
		return 0;
	c->ssl = SSL_CTX_new(r->role == MT_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
	if (!c->ssl)
		return mt_err(e, -ENOMEM, "no memory");
	/*
	 * Otherwise the library builds and verifies our own chain in each handshake, and sends the
	 * root, too.
	 */
	SSL_CTX_set_mode(c->ssl, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(c->ssl,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Leaves bytes after Finished to us. */
	SSL_CTX_set_read_ahead(c->ssl, 0);
	SSL_CTX_set_msg_callback(c->ssl, mt_tls_message);
	if (r->role == MT_TLS_SERVER)
		SSL_CTX_set_client_hello_cb(c->ssl, mt_tls_client_hello, NULL);
	rc = mt_tls_library_set_up(c) ? set_versions(c, r, e) : mt_err(e, -ENOMEM, "no memory");
	if (rc == 0)
		rc = set_identity(c, e);
	if (rc == 0 && (!set_trust(c) || set_alpn(c) != 0 || !set_tickets(c, r->tickets)))
		rc = mt_err(e, -ENOMEM, "no memory");
	return rc;
}

/* ---- creation and end ------------------------------------------------------------------------ */

struct mt_tls_context *mt_tls_context_new(const struct mt_tls_rules *r, struct mt_err *e)
{
	struct mt_tls_context *c;
	int rc = check(r, e);

	if (rc)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	rc = copy_rules(c, r, e);
	if (rc == 0)
		rc = set_up(c, r, e);
	ERR_clear_error();
	if (rc == 0)
		return c;
	mt_tls_context_drop(c);
	return NULL;
}

struct mt_tls_context *mt_tls_context_hold(struct mt_tls_context *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

static void free_context(struct mt_tls_context *c)
{
	SSL_CTX_free(c->ssl);
	mt_tls_library_free_tickets(c);
	for (uint32_t i = 0; i < c->n_sans; i++)
		free((char *)c->sans[i].text);
	for (uint32_t i = 0; i < c->n_trust_domains; i++)
		free(c->trust_domains[i]);
	free(c->sans);
	free(c->trust_domains);
	free(c->alpn);
	mt_credential_drop(c->credential);
	free(c->sni);
	free(c);
}

void mt_tls_context_drop(struct mt_tls_context *c)
{
	if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free_context(c);
}

static struct mt_tls_context *left_ones; /* any thread; taken only as a whole */

void mt_tls_context_leave(struct mt_tls_context *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	c->left = __atomic_load_n(&left_ones, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&left_ones, &c->left, c, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void mt_tls_contexts_sweep(void)
{
	struct mt_tls_context *c, *next;

	if (!__atomic_load_n(&left_ones, __ATOMIC_RELAXED))
		return;
	for (c = __atomic_exchange_n(&left_ones, NULL, __ATOMIC_ACQUIRE); c; c = next) {
		next = c->left;
		free_context(c);
	}
}

enum mt_tls_role mt_tls_context_role(const struct mt_tls_context *c)
{
	return c->role;
}

enum mt_tls_trust mt_tls_context_trust(const struct mt_tls_context *c)
{
	return c->trust;
}

uint16_t mt_tls_context_min_version(const struct mt_tls_context *c)
{
	return (uint16_t)SSL_CTX_get_min_proto_version(c->ssl);
}
