/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes that fail: each reason, what the peer is told, and what the library would not have. */
#include "ends.h"
#include "mt_crypto.h"
#include "mt_tls_alert.h"
#include "pki.h"
#include "tls_test.h"

#include <openssl/err.h>

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

/* ---- the peer's certificate ----------------------------------------------------------------------------- */

static struct mt_credential *leaf_of(const struct pki_node *by, const struct pki_how *how)
{
	struct pki_node leaf = pki_make(by, how);
	struct mt_credential *c = pki_credential(&leaf, NULL, pki()->roots, NULL);

	pki_free(&leaf);
	return c;
}

/* A peer of this credential, in both roles and versions; with `changed` rules. Ends with the reason and the alert. */
static void refuse(const struct mt_tls_rules *changed, struct mt_credential *peer,
	enum mt_tls_reason why, int alert)
{
	for (uint32_t i = 0; i < 4; i++) {
		enum mt_tls_role role = i & 1 ? MT_TLS_CLIENT : MT_TLS_SERVER;
		struct mt_tls_rules rules = ends_rules(role);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		struct mt_tls_objects o;
		struct ends_plain p;

		rules.sans = changed->sans;
		rules.n_sans = changed->n_sans;
		rules.trust_domains = changed->trust_domains;
		rules.n_trust_domains = changed->n_trust_domains;
		if (changed->credential)
			rules.credential = changed->credential;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, "bob");
		ends_plain_new(&p, !role, peer, versions[i / 2], NULL);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000),
			why == MT_TLS_WHY_none ? MT_TLS_DONE : MT_TLS_FAILED);
		CU_ASSERT_STRING_EQUAL(mt_tls_reason_name(mt_tls_handshake_result(h)->reason),
			mt_tls_reason_name(why));
		if (why != MT_TLS_WHY_none) {
			uint8_t rest[64];

			/* The peer has our alert, unless it believes itself done and reads it later. */
			(void)SSL_read(p.ssl, rest, sizeof(rest));
			CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->alert, alert);
			CU_ASSERT_EQUAL(p.alert, alert);
		}
		o = mt_tls_objects();
		CU_ASSERT_EQUAL(o.made, o.freed);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
}

static void refuse_leaf(
	const struct pki_node *by, const struct pki_how *how, enum mt_tls_reason why, int alert)
{
	struct mt_credential *peer = leaf_of(by, how);

	refuse(&(struct mt_tls_rules){0}, peer, why, alert);
	mt_credential_drop(peer);
}

static void test_expired(void)
{
	refuse_leaf(&pki()->root,
		&(struct pki_how){.san = "URI:" PKI_BOB, .from = -7200, .until = -60},
		MT_TLS_WHY_expired, MT_TLS_CERTIFICATE_EXPIRED);
}

static void test_not_yet_valid(void)
{
	refuse_leaf(&pki()->root,
		&(struct pki_how){.san = "URI:" PKI_BOB, .from = 600, .until = 7200},
		MT_TLS_WHY_expired, MT_TLS_CERTIFICATE_EXPIRED);
}

static void test_unknown_ca(void)
{
	refuse_leaf(&pki()->other_root, &(struct pki_how){.san = "URI:" PKI_BOB},
		MT_TLS_WHY_unknown_ca, MT_TLS_UNKNOWN_CA);
	refuse_leaf(NULL, &(struct pki_how){.san = "URI:" PKI_BOB}, MT_TLS_WHY_unknown_ca,
		MT_TLS_UNKNOWN_CA);
	/* The intermediate authority is not shown. */
	refuse_leaf(&pki()->mid, &(struct pki_how){.san = "URI:" PKI_BOB}, MT_TLS_WHY_unknown_ca,
		MT_TLS_UNKNOWN_CA);
}

#ifndef OPENSSL_IS_AWSLC
/* A peer of this leaf's key that shows these certificates, to one of ours that trusts these roots. */
static void show(const struct pki_node *leaf, const X509 *const *chain, uint32_t n,
	const X509 *const *roots, uint32_t n_roots, enum mt_tls_reason why)
{
	char *pem = pki_pem(chain, n), *key = pki_key(leaf->key), *trust = pki_pem(roots, n_roots);
	struct pki_node own = pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_ALICE});
	struct mt_err e = {""};
	struct mt_credential *peer = mt_credential_new(
		&(struct mt_credential_texts){.chain = pem, .key = key, .roots = pki()->roots}, &e);
	struct mt_tls_rules rules = {.credential = pki_credential(&own, NULL, trust, NULL)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
	refuse(&rules, peer, why, MT_TLS_UNKNOWN_CA);
	mt_credential_drop(rules.credential);
	mt_credential_drop(peer);
	pki_free(&own);
	free(pem);
	free(key);
	free(trust);
}

/* Roots of one name that no identifier tells apart: each has signed a leaf. */
static void test_roots_of_one_name(void)
{
	const struct pki_how authority = {.authority = true}, how = {.san = "URI:" PKI_BOB};
	struct pki_node old = pki_make(NULL, &authority), new_ = pki_twin(&old, NULL, false);
	struct pki_node other = pki_twin(&old, NULL, false), leaf[3] = {pki_make(&old, &how)};
	const X509 *roots[2][2] = {{old.cert, new_.cert}, {new_.cert, old.cert}};

	leaf[1] = pki_make(&new_, &how);
	leaf[2] = pki_make(&other, &how);
	for (int i = 0; i < 6; i++)
		show(&leaf[i / 2], (const X509 *const[]){leaf[i / 2].cert}, 1, roots[i % 2], 2,
			i < 4 ? MT_TLS_WHY_none : MT_TLS_WHY_unknown_ca);
	for (int i = 0; i < 3; i++)
		pki_free(&leaf[i]);
	pki_free(&old);
	pki_free(&new_);
	pki_free(&other);
}

/*
 * Signatures tell roots apart, and not what the peer shows: it could show hundreds of one name, for each place of the chain.
 */
static void test_names_of_what_is_shown(void)
{
	const struct pki_how authority = {.authority = true}, how = {.san = "URI:" PKI_BOB};
	struct pki_node old = pki_make(NULL, &authority), new_ = pki_twin(&old, NULL, false);
	struct pki_node leaf = pki_make(&old, &how);
	STACK_OF(X509) *shown = sk_X509_new_null();
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX_check_issued_fn issued;

	mt_crypto_issuers_by_signature(store);
	issued = X509_STORE_get_check_issued(store);
	CU_ASSERT_FATAL(X509_STORE_CTX_init(x, store, leaf.cert, shown) == 1);
	CU_ASSERT_EQUAL(issued(x, leaf.cert, old.cert), 1);
	CU_ASSERT_EQUAL(issued(x, leaf.cert, new_.cert), 0);
	CU_ASSERT_FATAL(sk_X509_push(shown, new_.cert) == 1);
	CU_ASSERT_EQUAL(issued(x, leaf.cert, new_.cert), 1);
	CU_ASSERT_EQUAL(issued(x, old.cert, leaf.cert), 0);
	X509_STORE_CTX_free(x);
	X509_STORE_free(store);
	sk_X509_free(shown);
	pki_free(&leaf);
	pki_free(&old);
	pki_free(&new_);
}

/* An authority that two roots have signed, of which one is known here, in all orders, and with the unknown root itself. */
static void test_cross_signed(void)
{
	const struct pki_how authority = {.authority = true}, how = {.san = "URI:" PKI_BOB};
	struct pki_node foreign = pki_make(NULL, &authority);
	struct pki_node by_ours = pki_make(&pki()->root, &authority);
	struct pki_node by_foreign = pki_twin(&by_ours, &foreign, true);
	struct pki_node leaf = pki_make(&by_ours, &how);
	const X509 *const roots[] = {pki()->root.cert};
	const struct {
		const X509 *chain[4];
		uint32_t n;
		enum mt_tls_reason why;
	} t[] = {
		{{leaf.cert, by_ours.cert, by_foreign.cert}, 3, MT_TLS_WHY_none},
		{{leaf.cert, by_foreign.cert, by_ours.cert}, 3, MT_TLS_WHY_none},
		{{leaf.cert, by_foreign.cert, foreign.cert, by_ours.cert}, 4, MT_TLS_WHY_none},
		{{leaf.cert, foreign.cert, by_foreign.cert, by_ours.cert}, 4, MT_TLS_WHY_none},
		{{leaf.cert, by_foreign.cert}, 2, MT_TLS_WHY_unknown_ca},
		{{leaf.cert, by_foreign.cert, by_foreign.cert}, 3, MT_TLS_WHY_unknown_ca},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		show(&leaf, t[i].chain, t[i].n, roots, 1, t[i].why);
	pki_free(&foreign);
	pki_free(&by_ours);
	pki_free(&by_foreign);
	pki_free(&leaf);
}
#endif

/* Signed by a leaf, by an authority's name only, for another purpose. */
static void test_bad_certificate(void)
{
	struct pki_node leaf = pki_make(&pki()->root, &(struct pki_how){0});
	struct pki_node forged = {pki()->root.cert, pki()->other_root.key};
	struct pki_node under = pki_make(&leaf, &(struct pki_how){.san = "URI:" PKI_BOB});
	struct mt_credential *c = pki_credential(&under, &leaf, pki()->roots, NULL);

	/* AWS-LC takes a certificate that may sign none for nobody's authority, and OpenSSL for a bad one. */
#ifdef OPENSSL_IS_AWSLC
	refuse(&(struct mt_tls_rules){0}, c, MT_TLS_WHY_unknown_ca, MT_TLS_UNKNOWN_CA);
#else
	refuse(&(struct mt_tls_rules){0}, c, MT_TLS_WHY_bad_certificate, MT_TLS_UNKNOWN_CA);
#endif
	mt_credential_drop(c);
	pki_free(&under);
	pki_free(&leaf);
	refuse_leaf(&forged, &(struct pki_how){.san = "URI:" PKI_BOB}, MT_TLS_WHY_bad_certificate,
		MT_TLS_DECRYPT_ERROR);
	refuse_leaf(&pki()->root,
		&(struct pki_how){.san = "URI:" PKI_BOB, .purpose = "emailProtection"},
		MT_TLS_WHY_bad_certificate, MT_TLS_UNSUPPORTED_CERTIFICATE);
}

/* X.509-SVID: one URI, no authority, an ID as SPIFFE writes it. */
static void test_bad_principal(void)
{
	static const char *const bad[] = {"URI:" PKI_BOB ",URI:" PKI_ALICE,
		"URI:" PKI_BOB ",URI:https://shop.example",
		"URI:SPIFFE://cluster.local/ns/shop/sa/bob",
		"URI:spiffe://cluster.local/ns//sa/bob",
		"URI:spiffe://cluster.local/ns/shop/sa/bob/",
		"URI:spiffe://Cluster.local/ns/shop/sa/bob", "URI:spiffe:///ns/shop",
		"URI:spiffe://cluster.local/ns/../sa/bob", "URI:spiffe://cluster.local/ns/./sa",
		"URI:spiffe://cluster.local/ns/shop/sa/b%6fb",
		"URI:spiffe://cluster.local:8443/ns/shop/sa/bob",
		"URI:spiffe://cluster.local/ns/shop/sa/bob?x", "URI:spiffe://"};
	char longest[400] = "URI:spiffe://cluster.local/";

	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		refuse_leaf(&pki()->root, &(struct pki_how){.san = bad[i]},
			MT_TLS_WHY_bad_certificate, MT_TLS_BAD_CERTIFICATE);
	refuse_leaf(&pki()->root, &(struct pki_how){.san = "URI:" PKI_BOB, .authority = true},
		MT_TLS_WHY_bad_certificate, MT_TLS_BAD_CERTIFICATE);
	memset(longest + strlen(longest), 'a', 4 + MT_TLS_PRINCIPAL_MAX - strlen(longest));
	refuse_leaf(&pki()->root, &(struct pki_how){.san = longest}, MT_TLS_WHY_none, 0);
	strcat(longest, "a");
	refuse_leaf(&pki()->root, &(struct pki_how){.san = longest}, MT_TLS_WHY_bad_certificate,
		MT_TLS_BAD_CERTIFICATE);
}

/* Certificates that name nobody are good ones, where nobody in particular is asked for. */
static void test_no_principal(void)
{
	static const char *const domain[] = {"cluster.local"};
	const struct mt_tls_rules local = {.trust_domains = domain, .n_trust_domains = 1};
	struct mt_credential *peer = leaf_of(
		&pki()->root, &(struct pki_how){.san = "DNS:bob.example,URI:https://bob.example"});

	refuse(&(struct mt_tls_rules){0}, peer, MT_TLS_WHY_none, 0);
	refuse(&local, peer, MT_TLS_WHY_wrong_trust_domain, MT_TLS_BAD_CERTIFICATE);
	mt_credential_drop(peer);
}

static void test_trust_domain(void)
{
	static const char *const others[] = {"cluster.loca", "cluster.local.evil", "td"},
				 *const one[] = {"td", "cluster.local"};

	refuse(&(struct mt_tls_rules){.trust_domains = others, .n_trust_domains = 3}, pki()->bob,
		MT_TLS_WHY_wrong_trust_domain, MT_TLS_BAD_CERTIFICATE);
	refuse(&(struct mt_tls_rules){.trust_domains = one, .n_trust_domains = 2}, pki()->bob,
		MT_TLS_WHY_none, 0);
}

static void test_san(void)
{
	static const struct {
		struct mt_tls_san san;
		bool good;
	} rows[] = {{{PKI_BOB, false}, true}, {{PKI_ALICE, false}, false},
		{{"spiffe://cluster.local/ns/shop/", true}, true},
		{{"spiffe://cluster.local/ns/shop/", false}, false},
		{{"spiffe://cluster.local/ns/shopping/", true}, false},
		{{PKI_BOB "s", false}, false}, {{PKI_BOB "s", true}, false}, {{"", false}, false},
		/* *.bob.example */
		{{"a.bob.example", false}, true}, {{"bob.example", false}, false},
		{{"a.b.bob.example", false}, false}, {{"*.bob.example", false}, true},
		{{"*.bob", true}, true}, {{"a.bob.example", true}, false}};
	static const struct mt_tls_san two[] = {{PKI_ALICE, false}, {PKI_BOB, false}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		refuse(&(struct mt_tls_rules){.sans = &rows[i].san, .n_sans = 1}, pki()->bob,
			rows[i].good ? MT_TLS_WHY_none : MT_TLS_WHY_wrong_san,
			MT_TLS_BAD_CERTIFICATE);
	refuse(&(struct mt_tls_rules){.sans = two, .n_sans = 2}, pki()->bob, MT_TLS_WHY_none, 0);
}

/* A URI that is written into a name of another type is no URI. */
static void test_san_of_another_type(void)
{
	static const struct mt_tls_san bob = {PKI_BOB, false}, begins = {"spiffe://cluster", true};
	struct mt_credential *peer =
		leaf_of(&pki()->root, &(struct pki_how){.san = "DNS:" PKI_BOB});

	refuse(&(struct mt_tls_rules){.sans = &bob, .n_sans = 1}, peer, MT_TLS_WHY_wrong_san,
		MT_TLS_BAD_CERTIFICATE);
	refuse(&(struct mt_tls_rules){.sans = &begins, .n_sans = 1}, peer, MT_TLS_WHY_wrong_san,
		MT_TLS_BAD_CERTIFICATE);
	mt_credential_drop(peer);
}

/* Who trusts by these lists of the root's and of mid's. */
static void with_crl(
	const struct pki_node *gone, bool stale, bool of_mid, enum mt_tls_reason why, int alert)
{
	const struct pki *all = pki();
	struct pki_node leaf = pki_make(&all->mid, &(struct pki_how){.san = "URI:" PKI_BOB});
	char *root = pki_crl(&all->root, gone ? gone->cert : NULL, stale);
	char *mid = of_mid ? pki_crl(&all->mid, gone ? NULL : leaf.cert, false) : strdup("");
	struct mt_credential *peer = pki_credential(&leaf, &all->mid, all->roots, NULL), *ours;
	struct pki_node own = pki_make(&all->root, &(struct pki_how){.san = "URI:" PKI_ALICE});
	char *both;

	CU_ASSERT_FATAL(asprintf(&both, "%s%s", root, mid) > 0);
	ours = pki_credential(&own, NULL, all->roots, both);
	refuse(&(struct mt_tls_rules){.credential = ours}, peer, why, alert);
	mt_credential_drop(ours);
	mt_credential_drop(peer);
	pki_free(&leaf);
	pki_free(&own);
	free(root);
	free(mid);
	free(both);
}

static void test_revoked(void)
{
	with_crl(NULL, false, true, MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
	with_crl(&pki()->mid, false, true, MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
}

static void test_no_crl(void)
{
	with_crl(&pki()->other_root, false, false, MT_TLS_WHY_no_crl, MT_TLS_UNKNOWN_CA);
	with_crl(&pki()->other_root, true, true, MT_TLS_WHY_no_crl, MT_TLS_CERTIFICATE_EXPIRED);
	with_crl(&pki()->other_root, false, true, MT_TLS_WHY_none, 0);
}

/* Evaluates a peer by these roots and by the lists, which it frees. */
static void by_anchor(const char *roots, char *one, char *two, struct mt_credential *peer,
	enum mt_tls_reason why, int alert)
{
	struct pki_node own = pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_ALICE});
	struct mt_credential *ours;
	char *lists;

	CU_ASSERT_FATAL(asprintf(&lists, "%s%s", one, two ? two : "") > 0);
	ours = pki_credential(&own, NULL, roots, lists);
	refuse(&(struct mt_tls_rules){.credential = ours}, peer, why, alert);
	mt_credential_drop(ours);
	pki_free(&own);
	free(lists);
	free(one);
	free(two);
}

/* The list of a trusted intermediate authority is enough; that of its issuer may revoke it. */
static void test_crl_of_anchor(void)
{
	const struct pki_node *root = &pki()->root, *mid = &pki()->mid;
	struct pki_node leaf = pki_make(mid, &(struct pki_how){.san = "URI:" PKI_BOB});
	struct mt_credential *peer = pki_credential(&leaf, mid, pki()->roots, NULL);
	char *roots = pki_pem((const X509 *const[]){mid->cert}, 1);
	char *both = pki_pem((const X509 *const[]){mid->cert, root->cert}, 2);

	by_anchor(roots, pki_crl(mid, NULL, false), NULL, peer, MT_TLS_WHY_none, 0);
	by_anchor(roots, pki_crl_identified(mid, NULL), NULL, peer, MT_TLS_WHY_none, 0);
	by_anchor(roots, pki_crl(mid, leaf.cert, false), NULL, peer, MT_TLS_WHY_revoked,
		MT_TLS_CERTIFICATE_REVOKED);
	by_anchor(roots, pki_crl(mid, NULL, true), NULL, peer, MT_TLS_WHY_no_crl,
		MT_TLS_CERTIFICATE_EXPIRED);
	by_anchor(roots, pki_crl(root, NULL, false), NULL, peer, MT_TLS_WHY_no_crl,
		MT_TLS_UNKNOWN_CA);
	by_anchor(both, pki_crl(mid, NULL, false), pki_crl(root, NULL, false), peer,
		MT_TLS_WHY_none, 0);
	by_anchor(both, pki_crl_identified(mid, NULL), pki_crl_identified(root, NULL), peer,
		MT_TLS_WHY_none, 0);
	by_anchor(both, pki_crl(mid, NULL, false), pki_crl(root, mid->cert, false), peer,
		MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
	by_anchor(both, pki_crl_identified(mid, NULL), pki_crl_identified(root, mid->cert), peer,
		MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
	mt_credential_drop(peer);
	pki_free(&leaf);
	free(roots);
	free(both);
}

/* An authority below a trusted intermediate one is checked as before. */
static void test_crl_below_anchor(void)
{
	const struct pki_how authority = {.authority = true}, how = {.san = "URI:" PKI_BOB};
	const struct pki_node *mid = &pki()->mid;
	struct pki_node low = pki_make(mid, &authority), leaf = pki_make(&low, &how);
	struct mt_credential *peer = pki_credential(&leaf, &low, pki()->roots, NULL);
	char *roots = pki_pem((const X509 *const[]){mid->cert}, 1);

	by_anchor(roots, pki_crl(&low, NULL, false), pki_crl(mid, NULL, false), peer,
		MT_TLS_WHY_none, 0);
	by_anchor(roots, pki_crl(&low, NULL, false), pki_crl(mid, low.cert, false), peer,
		MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
	by_anchor(roots, pki_crl(&low, leaf.cert, false), pki_crl(mid, NULL, false), peer,
		MT_TLS_WHY_revoked, MT_TLS_CERTIFICATE_REVOKED);
	by_anchor(roots, pki_crl(&low, NULL, false), NULL, peer, MT_TLS_WHY_no_crl,
		MT_TLS_UNKNOWN_CA);
	by_anchor(
		roots, pki_crl(mid, NULL, false), NULL, peer, MT_TLS_WHY_no_crl, MT_TLS_UNKNOWN_CA);
	mt_credential_drop(peer);
	pki_free(&leaf);
	pki_free(&low);
	free(roots);
}

/* ---- no certificate, nothing in common -------------------------------------------------------------------- */

/* A client of the library's that may do this and that not; our reason and alert. */
static void client_is_refused(int version, const char *cipher, uint16_t our_max, uint16_t our_min,
	enum mt_tls_reason why, int alert)
{
	struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
	bool shows = why != MT_TLS_WHY_no_certificate;
	struct mt_tls_context *c;
	struct mt_tls_handshake *h;
	struct ends_plain p;
	uint8_t rest[64];

	rules.min_version = our_min;
	rules.max_version = our_max;
	if (why == MT_TLS_WHY_no_shared_cipher) {
		rules.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
		rules.suites = "TLS_AES_256_GCM_SHA384";
	}
	c = ends_context(&rules);
	h = mt_tls_handshake_new(c, NULL);
	ends_plain_new(&p, MT_TLS_CLIENT, shows ? pki()->alice : NULL, version, cipher);
	CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_FAILED);
	(void)SSL_read(p.ssl, rest, sizeof(rest));
	CU_ASSERT_STRING_EQUAL(
		mt_tls_reason_name(mt_tls_handshake_result(h)->reason), mt_tls_reason_name(why));
	CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->alert, alert);
	CU_ASSERT_EQUAL(p.alert, alert);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

static void test_no_certificate(void)
{
	client_is_refused(
		TLS1_3_VERSION, NULL, 0, 0, MT_TLS_WHY_no_certificate, MT_TLS_CERTIFICATE_REQUIRED);
	client_is_refused(
		TLS1_2_VERSION, NULL, 0, 0, MT_TLS_WHY_no_certificate, MT_TLS_HANDSHAKE_FAILURE);
}

static void test_no_shared_cipher(void)
{
	client_is_refused(TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", 0, 0,
		MT_TLS_WHY_no_shared_cipher, MT_TLS_HANDSHAKE_FAILURE);
	client_is_refused(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", 0, 0,
		MT_TLS_WHY_no_shared_cipher, MT_TLS_HANDSHAKE_FAILURE);
	/* Their key is of a kind that the client has no signature for. */
	client_is_refused(TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", 0, 0,
		MT_TLS_WHY_no_shared_cipher, MT_TLS_HANDSHAKE_FAILURE);
}

static void test_no_shared_version(void)
{
	client_is_refused(TLS1_2_VERSION, NULL, 0, TLS1_3_VERSION, MT_TLS_WHY_no_shared_version,
		MT_TLS_PROTOCOL_VERSION);
	client_is_refused(TLS1_3_VERSION, NULL, TLS1_2_VERSION, 0, MT_TLS_WHY_no_shared_version,
		MT_TLS_PROTOCOL_VERSION);
}

/* ---- alerts, garbage ----------------------------------------------------------------------------------------- */

/* The peer does not like us: it says why. */
static void test_peer_alert(void)
{
	struct pki_node stranger =
		pki_make(&pki()->other_root, &(struct pki_how){.san = "URI:" PKI_ALICE});
	struct mt_credential *ours = pki_credential(&stranger, NULL, pki()->roots, NULL);

	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		struct ends_plain p;

		rules.credential = ours;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, NULL);
		ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, versions[i], NULL);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_FAILED);
		CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->reason, MT_TLS_WHY_peer_alert);
		CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->alert, MT_TLS_UNKNOWN_CA);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
	mt_credential_drop(ours);
	pki_free(&stranger);
}

/* What it sends as an answer to our hello; or, to a server, as one. */
static void answer(
	enum mt_tls_role role, const void *bytes, uint32_t n, enum mt_tls_reason why, int alert)
{
	struct mt_tls_rules rules = ends_rules(role);
	struct mt_tls_context *c = ends_context(&rules);
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);
	const uint8_t *out;

	if (role == MT_TLS_CLIENT) {
		CU_ASSERT_EQUAL(mt_tls_handshake_step(h, NULL, 0), MT_TLS_MORE);
		mt_tls_handshake_sent(h, mt_tls_handshake_output(h, &out));
	}
	CU_ASSERT_EQUAL(mt_tls_handshake_step(h, bytes, n), MT_TLS_FAILED);
	CU_ASSERT_STRING_EQUAL(
		mt_tls_reason_name(mt_tls_handshake_result(h)->reason), mt_tls_reason_name(why));
	CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->alert, alert);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	if (why == MT_TLS_WHY_protocol_error) {
		CU_ASSERT_EQUAL_FATAL(mt_tls_handshake_output(h, &out), 7);
		CU_ASSERT_EQUAL(out[0], 21);
		CU_ASSERT_EQUAL(out[6], alert);
	}
	mt_tls_handshake_free(h);
	mt_tls_context_drop(c);
}

static void test_alerts_before_anything(void)
{
	answer(MT_TLS_CLIENT, "\x15\x03\x03\x00\x02\x02\x28", 7, MT_TLS_WHY_peer_alert,
		MT_TLS_HANDSHAKE_FAILURE);
	answer(MT_TLS_CLIENT, "\x15\x03\x03\x00\x02\x01\x00", 7, MT_TLS_WHY_peer_alert, 0);
}

/* A warning is none of the reasons why we give up. */
static void test_warning(void)
{
	static const char unrecognized_name[] = "\x15\x03\x03\x00\x02\x01\x70";
	static const char hello_done[] = "\x16\x03\x03\x00\x04\x0e\x00\x00\x00";
	uint8_t both[16];

	memcpy(both, unrecognized_name, 7);
	memcpy(both + 7, hello_done, 9);
	answer(MT_TLS_CLIENT, both, sizeof(both), MT_TLS_WHY_protocol_error,
		MT_TLS_UNEXPECTED_MESSAGE);
}

/* More certificates than anybody has. */
static void test_long_chain(void)
{
	static char names[100000] = "URI:" PKI_BOB;
	struct mt_credential *peer;
	uint32_t n = (uint32_t)strlen(names);

	for (uint32_t i = 0; n < 90000; i++)
		n += (uint32_t)snprintf(names + n, sizeof(names) - n, ",DNS:name%u.example", i);
	peer = leaf_of(&pki()->root, &(struct pki_how){.san = names});
	refuse(&(struct mt_tls_rules){0}, peer, MT_TLS_WHY_too_long, MT_TLS_ILLEGAL_PARAMETER);
	mt_credential_drop(peer);
}

static void test_garbage(void)
{
	static uint8_t garbage[MT_TLS_INPUT_MAX + 1];

	answer(MT_TLS_CLIENT, "\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 9, MT_TLS_WHY_protocol_error,
		MT_TLS_UNEXPECTED_MESSAGE);
	answer(MT_TLS_SERVER, "\x17\x03\x03\x00\x04\x0e\x00\x00\x00", 9, MT_TLS_WHY_protocol_error,
		MT_TLS_UNEXPECTED_MESSAGE);
	answer(MT_TLS_SERVER, garbage, sizeof(garbage), MT_TLS_WHY_too_long, 0);
}

/* One byte of the server's flight is another one. The client ends, one way or the other, and nothing is left behind. */
static void test_each_byte_changed(void)
{
	struct mt_tls_rules cr = ends_rules(MT_TLS_CLIENT), sr = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *cc = ends_context(&cr), *sc = ends_context(&sr);
	uint8_t flight[4096];
	const uint8_t *p;

	for (uint32_t at = 0, n = 1; at < n; at += 7) {
		struct mt_tls_handshake *c = mt_tls_handshake_new(cc, NULL),
					*s = mt_tls_handshake_new(sc, NULL);
		struct mt_tls_objects o;

		mt_tls_handshake_step(c, NULL, 0);
		n = mt_tls_handshake_output(c, &p);
		CU_ASSERT_EQUAL(mt_tls_handshake_step(s, p, n), MT_TLS_MORE);
		n = mt_tls_handshake_output(s, &p);
		memcpy(flight, p, n);
		/* Signatures are of several lengths: the last flight may have been longer. */
		flight[MT_MIN(at, n - 1)] ^= 0x10;
		CU_ASSERT_NOT_EQUAL(mt_tls_handshake_step(c, flight, n), MT_TLS_DONE);
		mt_tls_handshake_free(c);
		mt_tls_handshake_free(s);
		o = mt_tls_objects();
		CU_ASSERT_EQUAL(o.made, o.freed);
	}
	mt_tls_context_drop(cc);
	mt_tls_context_drop(sc);
}

/* ---- rules that nobody can mean --------------------------------------------------------------------------------- */

static void no_context(struct mt_tls_rules r, const char *words)
{
	struct mt_err e = {""};

	CU_ASSERT_PTR_NULL(mt_tls_context_new(&r, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, words));
}

static void test_rules(void)
{
	struct mt_tls_rules server = ends_rules(MT_TLS_SERVER), client = ends_rules(MT_TLS_CLIENT),
			    r;
	static const struct mt_tls_san san = {PKI_BOB, false};
	static const char *const long_alpn[] = {"a-protocol-whose-name-is-too-long-for-us"};
	struct mt_err e;
	struct mt_credential *only_roots =
		mt_credential_new(&(struct mt_credential_texts){.roots = pki()->roots}, &e);

	r = server;
	r.credential = NULL;
	no_context(r, "neither an identity nor a root");
	r.credential = only_roots;
	no_context(r, "needs a certificate");
	r = client;
	r.trust = MT_TLS_IF_SHOWN;
	no_context(r, "always shows");
	r.trust = MT_TLS_ANYBODY;
	r.sans = &san;
	r.n_sans = 1;
	no_context(r, "have no effect");
	r = client;
	r.ciphers = "ECDHE-ECDSA-AES128-SHA";
	no_context(r, "ECDHE-ECDSA-AES128-SHA: there are no records");
	r.ciphers = "none at all";
	no_context(r, "the library has none");
	r = client;
	r.suites = "TLS_AES_128_CCM_SHA256";
	/* OpenSSL has it, and AWS-LC does not. */
	no_context(r, "TLS_AES_128_CCM_SHA256: the");
	r = client;
	r.min_version = TLS1_1_VERSION;
	no_context(r, "0303 and 0304");
	r = client;
	r.alpn = long_alpn;
	no_context(r, "ALPN a-protocol");
	mt_credential_drop(only_roots);
}

const struct mt_test refuse_tests[] = {{"expired", test_expired},
	{"not yet valid", test_not_yet_valid}, {"unknown authority", test_unknown_ca},
#ifndef OPENSSL_IS_AWSLC
	{"roots of one name", test_roots_of_one_name}, {"cross-signed", test_cross_signed},
	{"names of what is shown", test_names_of_what_is_shown},
#endif
	{"bad certificates", test_bad_certificate},
	{"names that no principal has", test_bad_principal},
	{"certificates without a principal", test_no_principal},
	{"trust domains", test_trust_domain}, {"expected names", test_san},
	{"expected URIs in names of another type", test_san_of_another_type},
	{"revoked", test_revoked}, {"revocation lists that are missing", test_no_crl},
	{"lists of a trusted intermediate authority", test_crl_of_anchor},
	{"lists below a trusted intermediate authority", test_crl_below_anchor},
	{"no certificate", test_no_certificate}, {"no shared cipher", test_no_shared_cipher},
	{"no shared version", test_no_shared_version}, {"the peer's alert", test_peer_alert},
	{"alerts before anything", test_alerts_before_anything}, {"a warning", test_warning},
	{"a chain that is too long", test_long_chain}, {"garbage in a handshake", test_garbage},
	{"a byte of a flight changed", test_each_byte_changed},
	{"rules that cannot be", test_rules}, {0}};
