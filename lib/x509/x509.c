/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_x509.h"

#include "mt_addr.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

/*
 * An empty password for encrypted PEM data, also certificates: otherwise the library would prompt
 * for one on the terminal or standard input, and wait.
 */
static char no_password[] = "";

/* ---- PEM texts ------------------------------------------------------------------------------- */

STACK_OF(X509) * mt_x509_list(const char *pem, int max)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *x;

	while (bio && list && (int)sk_X509_num(list) < max &&
		(x = PEM_read_bio_X509(bio, NULL, NULL, no_password)) != NULL) {
		if (!sk_X509_push(list, x)) {
			X509_free(x);
			break;
		}
	}
	BIO_free(bio);
	/* The library reports the end of the text as an error. */
	ERR_clear_error();
	if (list && (int)sk_X509_num(list) > 0)
		return list;
	sk_X509_free(list);
	return NULL;
}

void mt_x509_list_free(STACK_OF(X509) * list)
{
	sk_X509_pop_free(list, X509_free);
}

EVP_PKEY *mt_x509_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

/* ---- fields of a certificate ----------------------------------------------------------------- */

int64_t mt_x509_time(const ASN1_TIME *t)
{
	struct tm tm;
	bool ok = t && ASN1_TIME_to_tm(t, &tm) == 1;

	ERR_clear_error();
	return ok ? (int64_t)timegm(&tm) : 0;
}

/* Formats an address; "" if it is neither IPv4 nor IPv6. */
static void address_text(const unsigned char *data, int len, char buf[MT_ADDR_STRLEN])
{
	struct mt_addr a;
	uint32_t v4;

	buf[0] = '\0';
	if (len == (int)sizeof(v4)) {
		memcpy(&v4, data, sizeof(v4));
		a = mt_addr4(v4);
	} else if (len == (int)sizeof(a.b)) {
		memcpy(a.b, data, sizeof(a.b));
	} else {
		return;
	}
	mt_addr_str(&a, buf);
}

/* Passes one name to `fn`; false if `fn` wants no more. */
static bool tell(const GENERAL_NAME *g, mt_x509_name_fn *fn, void *arg)
{
	const ASN1_STRING *s = g->d.ia5; /* the same member for all three */
	const unsigned char *data;
	char addr[MT_ADDR_STRLEN];

	if (g->type != GEN_DNS && g->type != GEN_URI && g->type != GEN_IPADD)
		return true;
	data = ASN1_STRING_get0_data(s);
	if (g->type != GEN_IPADD)
		return fn(arg, g->type, data ? (const char *)data : "",
			(size_t)ASN1_STRING_length(s));
	address_text(data, ASN1_STRING_length(s), addr);
	return fn(arg, g->type, addr, strlen(addr));
}

void mt_x509_names(const X509 *x, int max, mt_x509_name_fn *fn, void *arg)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names && i < (int)sk_GENERAL_NAME_num(names) && i < max; i++)
		if (!tell(sk_GENERAL_NAME_value(names, i), fn, arg))
			break;
	GENERAL_NAMES_free(names);
	/* Extensions that cannot be read leave errors in the queue. */
	ERR_clear_error();
}

struct wanted {
	const char *uri;
	bool found;
};

static bool is_wanted(void *arg, int type, const char *text, size_t len)
{
	struct wanted *w = arg;

	w->found = type == GEN_URI && len == strlen(w->uri) && memcmp(text, w->uri, len) == 0;
	return !w->found;
}

bool mt_x509_has_uri(const X509 *x, const char *uri)
{
	struct wanted w = {.uri = uri};

	mt_x509_names(x, MT_X509_ALL, is_wanted, &w);
	return w.found;
}

bool mt_x509_has_host(X509 *x, const char *name)
{
	bool found =
		!strstr(name, "://") && X509_check_host(x, name, 0, MT_X509_HOST_FLAGS, NULL) == 1;

	ERR_clear_error();
	return found;
}
