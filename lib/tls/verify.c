/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies the peer: its chain by the library (RFC 5280), its names by the rules of a context. */
#include "mt_crypto.h"
#include "mt_tls_priv.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 256 /* names of a certificate that are checked */

/* ---- the principal (SPIFFE ID §2, X.509-SVID §2 and §4) -------------------------------------- */

struct uris {
	uint32_t n, n_spiffe;
	char *out;
	bool good;
};

static bool is_domain_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-' ||
	       ch == '_';
}

static bool is_path_char(char ch)
{
	return is_domain_char(ch) || (ch >= 'A' && ch <= 'Z');
}

/* "td" or "td/ns/x/sa/y" without a part that is empty, "." or "..". */
static bool is_spiffe_id(const char *p, size_t len)
{
	size_t at = 0, part = 0;

	while (at < len && is_domain_char(p[at]))
		at++;
	if (at == 0 || (at < len && p[at] != '/'))
		return false;
	while (at < len) {
		part = ++at;
		while (at < len && is_path_char(p[at]))
			at++;
		if (at == part || (at < len && p[at] != '/'))
			return false;
		if (at - part <= 2 && p[part] == '.' && p[at - 1] == '.')
			return false;
	}
	return true;
}

static bool look_at_uri(void *arg, int type, const char *text, size_t len)
{
	struct uris *u = arg;
	size_t scheme = strlen(MT_SPIFFE);

	if (type != GEN_URI)
		return true;
	u->n++;
	/*
	 * A scheme may have any case, but an ID in another case would not equal the text in a
	 * policy.
	 */
	if (len < scheme || strncasecmp(text, MT_SPIFFE, scheme) != 0)
		return true;
	u->n_spiffe++;
	u->good = len <= MT_TLS_PRINCIPAL_MAX && memcmp(text, MT_SPIFFE, scheme) == 0 &&
		  is_spiffe_id(text + scheme, len - scheme);
	if (u->good) {
		memcpy(u->out, text, len);
		u->out[len] = '\0';
	}
	return true;
}

bool mt_tls_principal(X509 *leaf, char out[MT_TLS_PRINCIPAL_MAX + 1])
{
	struct uris u = {.out = out};

	out[0] = '\0';
	mt_x509_names(leaf, MT_X509_ALL, look_at_uri, &u);
	if (u.n_spiffe == 0)
		return true;
	/* Exactly one URI, and not a CA's certificate. */
	if (u.n == 1 && u.good && !(X509_get_extension_flags(leaf) & EXFLAG_CA))
		return true;
	out[0] = '\0';
	return false;
}

/* ---- rules ----------------------------------------------------------------------------------- */

bool mt_tls_has_domain(const struct mt_tls_context *c, const char *principal)
{
	const char *td = principal + strlen(MT_SPIFFE);
	size_t len;

	if (!principal[0])
		return false;
	len = strcspn(td, "/");
	for (uint32_t i = 0; i < c->n_trust_domains; i++)
		if (strlen(c->trust_domains[i]) == len && memcmp(td, c->trust_domains[i], len) == 0)
			return true;
	return false;
}

struct search {
	const struct mt_tls_context *context;
	bool found;
};

static bool is_uri(const char *text)
{
	return strstr(text, "://") != NULL;
}

static bool compare(void *arg, int type, const char *text, size_t len)
{
	struct search *s = arg;

	/* Skip names with a NUL, because comparisons must see the whole text. */
	if (memchr(text, '\0', len))
		return true;
	for (uint32_t i = 0; i < s->context->n_sans && !s->found; i++) {
		const struct mt_tls_san *san = &s->context->sans[i];
		size_t want = strlen(san->text);

		/*
		 * A rule with a URI matches no name of another type, whatever authority signs such
		 * names.
		 */
		if (type != GEN_URI && is_uri(san->text))
			continue;
		s->found = (san->prefix ? len >= want : len == want) &&
			   memcmp(text, san->text, want) == 0;
	}
	return !s->found;
}

/* True if the certificate has the name, also by a wildcard. */
static bool has_host(X509 *leaf, const struct mt_tls_san *san)
{
	return !san->prefix && mt_x509_has_host(leaf, san->text);
}

static bool has_san(const struct mt_tls_context *c, X509 *leaf)
{
	struct search s = {.context = c};

	mt_x509_names(leaf, NAMES_MAX, compare, &s);
	for (uint32_t i = 0; i < c->n_sans && !s.found; i++)
		s.found = has_host(leaf, &c->sans[i]);
	ERR_clear_error();
	return s.found;
}

static bool is_its_time(X509 *leaf)
{
	int64_t now = (int64_t)time(NULL);

	return mt_x509_time(X509_get0_notBefore(leaf)) <= now &&
	       now <= mt_x509_time(X509_get0_notAfter(leaf));
}

enum mt_tls_reason mt_tls_judge(const struct mt_tls_context *c, X509 *leaf)
{
	char principal[MT_TLS_PRINCIPAL_MAX + 1];

	if (!mt_tls_principal(leaf, principal))
		return MT_TLS_WHY_bad_certificate;
	if (!is_its_time(leaf))
		return MT_TLS_WHY_expired;
	if (c->n_trust_domains && !mt_tls_has_domain(c, principal))
		return MT_TLS_WHY_wrong_trust_domain;
	if (c->n_sans && !has_san(c, leaf))
		return MT_TLS_WHY_wrong_san;
	return MT_TLS_WHY_none;
}

/* ---- chain verification ---------------------------------------------------------------------- */

static enum mt_tls_reason reason_of(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return MT_TLS_WHY_expired;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return MT_TLS_WHY_unknown_ca;
	case X509_V_ERR_CERT_REVOKED:
		return MT_TLS_WHY_revoked;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return MT_TLS_WHY_no_crl;
	case X509_V_ERR_OUT_OF_MEM:
		return MT_TLS_WHY_internal;
	default:
		return MT_TLS_WHY_bad_certificate;
	}
}

int mt_tls_verify(X509_STORE_CTX *x, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	const struct mt_tls_context *c = h->context;

	(void)arg;
	if (c->trust == MT_TLS_ANYBODY)
		return 1;
	if (mt_crypto_verify(x) != 1) {
		h->judgement = reason_of(X509_STORE_CTX_get_error(x));
		/*
		 * "Expired or is not currently valid" (RFC 8446 §6.2). For a certificate before its
		 * time libraries would send another alert.
		 */
		if (h->judgement == MT_TLS_WHY_expired)
			X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_HAS_EXPIRED);
		return 0;
	}
	h->judgement = mt_tls_judge(c, X509_STORE_CTX_get0_cert(x));
	if (h->judgement == MT_TLS_WHY_none)
		return 1;
	/* X509_V_ERR_HOSTNAME_MISMATCH makes the library send bad_certificate. */
	X509_STORE_CTX_set_error(x, h->judgement == MT_TLS_WHY_expired
					    ? X509_V_ERR_CERT_HAS_EXPIRED
					    : X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}
