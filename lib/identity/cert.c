/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_cert_priv.h"

#include "mt_crypto.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <time.h>

/* ---- content of a certificate ---------------------------------------------------------------- */

static void name_words(const X509_NAME *name, char *buf, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char text[256] = "";
	int n = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(bio, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	if (mt_escape(buf, size, text) == 0)
		snprintf(buf, size, "nobody");
}

static bool add_name(void *arg, int type, const char *name, size_t len)
{
	struct mt_cert *out = arg;
	char text[256];
	size_t n = strlen(out->names);

	if (type == GEN_IPADD || !len || len >= sizeof(text) || memchr(name, '\0', len))
		return true;
	memcpy(text, name, len);
	text[len] = '\0';
	if (type == GEN_URI && !out->uri[0])
		memcpy(out->uri, text, len + 1);
	if (n + len + 3 < sizeof(out->names)) {
		n += (size_t)snprintf(out->names + n, sizeof(out->names) - n, "%s", n ? ", " : "");
		mt_escape(out->names + n, sizeof(out->names) - n, text);
	}
	return true;
}

void mt_cert_describe(X509 *x, struct mt_cert *out)
{
	*out = (struct mt_cert){.not_before = mt_x509_time(X509_get0_notBefore(x)),
		.not_after = mt_x509_time(X509_get0_notAfter(x)),
		.authority = X509_check_ca(x) > 0};
	name_words(X509_get_subject_name(x), out->subject, sizeof(out->subject));
	name_words(X509_get_issuer_name(x), out->issuer, sizeof(out->issuer));
	mt_x509_names(x, MT_X509_ALL, add_name, out);
}

/* ---- PEM texts ------------------------------------------------------------------------------- */

uint32_t mt_cert_count(const char *pem)
{
	STACK_OF(X509) *list = mt_x509_list(pem, MT_CERT_TEXT);
	uint32_t n = list ? (uint32_t)(int)sk_X509_num(list) : 0;

	mt_x509_list_free(list);
	return n;
}

int mt_cert_read(const char *pem, uint32_t which, struct mt_cert *out, struct mt_err *e)
{
	STACK_OF(X509) *list = mt_x509_list(pem, MT_CERT_TEXT);
	int rc = 0;

	if (!list)
		return mt_err(e, -EINVAL, "it holds no PEM certificate");
	if (which < (uint32_t)(int)sk_X509_num(list))
		mt_cert_describe(sk_X509_value(list, (int)which), out);
	else
		rc = mt_err(e, -ENOENT, "it holds only %d certificates", (int)sk_X509_num(list));
	mt_x509_list_free(list);
	return rc;
}

/* ---- verification ---------------------------------------------------------------------------- */

int mt_cert_fits(const char *chain, const char *key, struct mt_err *e)
{
	STACK_OF(X509) *list = mt_x509_list(chain, MT_CERT_TEXT);
	EVP_PKEY *k = mt_x509_key(key);
	int rc = 0;

	if (!list)
		rc = mt_err(e, -EINVAL, "the chain holds no PEM certificate");
	else if (!k)
		rc = mt_err(e, -EINVAL,
			"the key is not a PEM private key without a password, or of a kind that %s "
			"does not have",
			mt_crypto_library());
	else if (X509_check_private_key(sk_X509_value(list, 0), k) != 1)
		rc = mt_err(e, -EINVAL, "the private key does not belong to the certificate");
	EVP_PKEY_free(k);
	mt_x509_list_free(list);
	ERR_clear_error();
	return rc;
}

static X509_STORE *store_of(const char *roots)
{
	STACK_OF(X509) *list = mt_x509_list(roots, MT_CERT_TEXT);
	X509_STORE *store = list ? X509_STORE_new() : NULL;

	for (int i = 0; store && i < (int)sk_X509_num(list); i++)
		(void)X509_STORE_add_cert(store, sk_X509_value(list, i));
	mt_x509_list_free(list);
	return store;
}

int mt_cert_trusted(const char *chain, const char *roots, int64_t at, struct mt_err *e)
{
	STACK_OF(X509) *list = mt_x509_list(chain, MT_CERT_TEXT);
	X509_STORE *store = store_of(roots);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int rc = 0;

	if (!list || !store || !ctx) {
		rc = mt_err(e, -EACCES, "%s",
			!list	 ? "the chain holds no PEM certificate"
			: !store ? "the roots hold no PEM certificate"
				 : "no memory");
	} else if (X509_STORE_CTX_init(ctx, store, sk_X509_value(list, 0), list) != 1) {
		rc = mt_err(e, -EACCES, "no memory");
	} else {
		X509_STORE_CTX_set_time(ctx, 0, (time_t)at);
		/* A root may be an intermediate CA: the operator trusts it explicitly. */
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		if (mt_crypto_verify(ctx) != 1)
			rc = mt_err(e, -EACCES, "%s",
				X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	mt_x509_list_free(list);
	ERR_clear_error();
	return rc;
}

/* ---- texts for times ------------------------------------------------------------------------- */

const char *mt_time_words(int64_t unix_s, char *buf, size_t size)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(buf, size, "%lld s", (long long)unix_s);
	return buf;
}

const char *mt_span_words(int64_t s, char *buf, size_t size)
{
	static const struct {
		int64_t s;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t n = 0, i = 0;

	s = s < 0 ? -s : s;
	while (i < MT_ARRAY_LEN(units) - 1 && s < units[i].s)
		i++;
	snprintf(buf, size, "0 s");
	for (size_t last = MT_MIN(i + 1, MT_ARRAY_LEN(units) - 1); i <= last && s > 0; i++) {
		int64_t v = s / units[i].s;

		s %= units[i].s;
		if (v && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%lld %s", n ? " " : "",
				(long long)v, units[i].unit);
	}
	return buf;
}
