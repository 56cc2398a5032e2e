/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that share a name: which of them is taken for an issuer. */
#include "mt_crypto.h"
#include "mt_test.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

struct party {
	X509 *cert;
	EVP_PKEY *key;
};

static void set_ca(X509 *x)
{
	X509_EXTENSION *e =
		X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void set_name(X509_NAME *n, const char *cn)
{
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0);
}

/*
 * Makes a certificate for `cn`, issued by `by` (NULL: by itself), with the key of `same` (NULL: a
 * new one). It has no key identifiers: only names and signatures tell which one is the issuer.
 */
static struct party make(const char *cn, const struct party *by, const struct party *same)
{
	static long serial;
	struct party p = {X509_new(), same ? same->key : mt_crypto_new_key()};

	CU_ASSERT_FATAL(p.cert && p.key);
	if (same)
		EVP_PKEY_up_ref(p.key);
	X509_set_version(p.cert, 2);
	set_ca(p.cert);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(p.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), 3600);
	set_name(X509_get_subject_name(p.cert), cn);
	X509_set_issuer_name(p.cert, X509_get_subject_name((by ? by : &p)->cert));
	X509_set_pubkey(p.cert, p.key);
	CU_ASSERT_TRUE(X509_sign(p.cert, (by ? by : &p)->key, EVP_sha256()) > 0);
	return p;
}

static void drop(struct party *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
}

/* The result of a verification; `all`: what the peer sent besides the leaf. */
static int verify(X509_STORE *store, X509 *leaf, STACK_OF(X509) * all, bool plainly)
{
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	int rc;

	CU_ASSERT_EQUAL_FATAL(X509_STORE_CTX_init(x, store, leaf, all), 1);
	rc = plainly ? X509_verify_cert(x) : mt_crypto_verify(x);
	/* The list stays the caller's, and whole. */
	CU_ASSERT_PTR_EQUAL(X509_STORE_CTX_get0_untrusted(x), all);
	X509_STORE_CTX_free(x);
	ERR_clear_error();
	return rc;
}

static void test_self_signed(void)
{
	struct party root = make("root", NULL, NULL), other = make("root", NULL, NULL),
		     leaf = make("leaf", &root, NULL), fake = make("root", &other, NULL);

	CU_ASSERT_TRUE(mt_crypto_self_signed(root.cert, false));
	CU_ASSERT_TRUE(mt_crypto_self_signed(root.cert, true));
	CU_ASSERT_FALSE(mt_crypto_self_signed(leaf.cert, false));
	CU_ASSERT_FALSE(mt_crypto_self_signed(leaf.cert, true));
	/* By names, and by another one's signature. */
	CU_ASSERT_TRUE(mt_crypto_self_signed(fake.cert, false));
	CU_ASSERT_FALSE(mt_crypto_self_signed(fake.cert, true));
	ERR_clear_error();
	drop(&root);
	drop(&other);
	drop(&leaf);
	drop(&fake);
}

static void test_share_a_name(void)
{
	struct party a = make("a", NULL, NULL), b = make("b", &a, NULL),
		     again = make("a", &b, NULL);
	STACK_OF(X509) *all = sk_X509_new_null();

	CU_ASSERT_FALSE(mt_crypto_share_a_name(all));
	sk_X509_push(all, a.cert);
	CU_ASSERT_FALSE(mt_crypto_share_a_name(all));
	sk_X509_push(all, b.cert);
	CU_ASSERT_FALSE(mt_crypto_share_a_name(all));
	sk_X509_push(all, again.cert);
	CU_ASSERT_TRUE(mt_crypto_share_a_name(all));
	sk_X509_free(all);
	drop(&a);
	drop(&b);
	drop(&again);
}

/* Whether the leaf of `by` is verified by a store with these two roots. */
static int by_store(const struct party *first, const struct party *second, const struct party *by,
	bool signatures)
{
	struct party leaf = make("leaf", by, NULL);
	X509_STORE *store = X509_STORE_new();
	int rc;

	if (signatures)
		mt_crypto_issuers_by_signature(store);
	X509_STORE_add_cert(store, first->cert);
	X509_STORE_add_cert(store, second->cert);
	rc = verify(store, leaf.cert, NULL, false);
	X509_STORE_free(store);
	drop(&leaf);
	return rc;
}

/* A root that is replaced by one with the same name: leaves of both are verified. */
static void test_issuers_by_signature(void)
{
	struct party old = make("root", NULL, NULL), new_ = make("root", NULL, NULL),
		     stranger = make("root", NULL, NULL);
	int by_name = by_store(&old, &new_, &old, false) + by_store(&old, &new_, &new_, false);
	bool chooses = strncmp(mt_crypto_library(), "OpenSSL", 7) == 0;

	CU_ASSERT_EQUAL(by_name, 1);
	for (int i = 0; i < 4; i++) {
		const struct party *first = i & 1 ? &old : &new_, *second = i & 1 ? &new_ : &old;
		int rc = by_store(first, second, i & 2 ? &old : &new_, true);

		CU_ASSERT(rc == 1 || !chooses);
	}
	CU_ASSERT_NOT_EQUAL(by_store(&old, &new_, &stranger, true), 1);
	drop(&old);
	drop(&new_);
	drop(&stranger);
}

/*
 * The peer sends two certificates of one intermediate, by the root and by an unknown one: the chain
 * is found whichever is first. If both are of the unknown root, there is none.
 */
static void test_dead_ends(void)
{
	struct party root = make("root", NULL, NULL), unknown = make("unknown", NULL, NULL),
		     good = make("middle", &root, NULL), dead = make("middle", &unknown, &good),
		     leaf = make("leaf", &good, NULL);
	bool chooses = strncmp(mt_crypto_library(), "OpenSSL", 7) == 0;
	X509_STORE *store = X509_STORE_new();
	int plainly = 0, chosen = 0;

	X509_STORE_add_cert(store, root.cert);
	for (int i = 0; i < 2; i++) {
		STACK_OF(X509) *all = sk_X509_new_null();

		sk_X509_push(all, i ? good.cert : dead.cert);
		sk_X509_push(all, i ? dead.cert : good.cert);
		plainly += verify(store, leaf.cert, all, true) == 1;
		chosen += verify(store, leaf.cert, all, false) == 1;
		CU_ASSERT_EQUAL(sk_X509_num(all), 2);
		sk_X509_free(all);
	}
	CU_ASSERT_EQUAL(plainly, 1);
	CU_ASSERT_EQUAL(chosen, chooses ? 2 : plainly);
	for (int i = 0; i < 2; i++) {
		STACK_OF(X509) *all = sk_X509_new_null();

		sk_X509_push(all, dead.cert);
		if (i)
			sk_X509_push(all, dead.cert);
		CU_ASSERT_NOT_EQUAL(verify(store, leaf.cert, all, false), 1);
		sk_X509_free(all);
	}
	X509_STORE_free(store);
	drop(&root);
	drop(&unknown);
	drop(&good);
	drop(&dead);
	drop(&leaf);
}

const struct mt_test chains_tests[] = {
	{"self-signed", test_self_signed},
	{"certificates that share a name", test_share_a_name},
	{"issuers by signature", test_issuers_by_signature},
	{"dead ends", test_dead_ends},
	{0},
};
