/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes that succeed: with the library as anybody uses it, and between two of ours. */
#include "ends.h"
#include "mt_tls_alert.h"
#include "hello_make.h"
#include "pki.h"
#include "tls_test.h"

struct kind {
	int version;
	const char *name;
	enum mt_tls_cipher cipher;
};

static const struct kind kinds[] = {{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", MT_TLS_AES_128_GCM},
	{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", MT_TLS_AES_256_GCM},
	{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", MT_TLS_CHACHA20_POLY1305},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", MT_TLS_AES_128_GCM},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", MT_TLS_AES_256_GCM},
	{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", MT_TLS_CHACHA20_POLY1305}};

static void check_keys(
	const struct mt_tls_result *r, const struct kind *kind, enum mt_tls_role role)
{
	bool new = kind->version == TLS1_3_VERSION;

	CU_ASSERT_EQUAL(r->reason, MT_TLS_WHY_none);
	CU_ASSERT_EQUAL(r->keys.version, kind->version);
	CU_ASSERT_EQUAL(r->keys.cipher, kind->cipher);
	CU_ASSERT_EQUAL(r->keys.rx.seq, new ? 0 : 1);
	CU_ASSERT_EQUAL(r->tickets, new &&role == MT_TLS_SERVER ? 1 : 0);
	CU_ASSERT_EQUAL(r->keys.tx.seq, new ? r->tickets : 1);
}

/* Our chain as it is, and no root behind it. */
static int shown_to(const struct ends_plain *p)
{
	return (int)sk_X509_num(SSL_get_peer_cert_chain(p->ssl)) + SSL_is_server(p->ssl);
}

static void with_plain(enum mt_tls_role role, const struct kind *kind, uint32_t piece)
{
	struct mt_tls_rules rules = ends_rules(role);
	struct mt_tls_context *c;
	struct mt_tls_handshake *h;
	const struct mt_tls_result *r;
	struct ends_plain p;

	rules.tickets = role == MT_TLS_SERVER;
	c = ends_context(&rules);
	h = mt_tls_handshake_new(c, role == MT_TLS_CLIENT ? "outbound_.9090_._.Bob.shop" : NULL);
	ends_plain_new(&p, !role, role == MT_TLS_SERVER ? pki()->alice : pki()->bob, kind->version,
		kind->name);
	if (role == MT_TLS_SERVER)
		SSL_set_tlsext_host_name(p.ssl, "outbound_.9090_._.Bob.shop");
	CU_ASSERT_EQUAL(ends_talk(h, &p, piece), MT_TLS_DONE);
	CU_ASSERT_EQUAL(p.rc, 1);
	r = mt_tls_handshake_result(h);
	check_keys(r, kind, role);
	CU_ASSERT_STRING_EQUAL(r->peer.principal, role == MT_TLS_SERVER ? PKI_ALICE : PKI_BOB);
	CU_ASSERT_STRING_EQUAL(r->peer.sni, "outbound_.9090_._.bob.shop");
	CU_ASSERT_STRING_EQUAL(r->peer.alpn, "istio");
	CU_ASSERT_TRUE(r->peer.certificate);
	CU_ASSERT_FALSE(r->peer.resumed);
	CU_ASSERT_EQUAL(
		r->peer.not_after, (role == MT_TLS_SERVER ? pki()->alice : pki()->bob)->not_after);
	CU_ASSERT_EQUAL(shown_to(&p), rules.credential == pki()->bob ? 2 : 1);
	if (role == MT_TLS_CLIENT)
		CU_ASSERT_STRING_EQUAL(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name),
			"outbound_.9090_._.Bob.shop");
	ends_check_records(r, &p);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

static void test_each_cipher(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		with_plain(MT_TLS_SERVER, &kinds[i], UINT32_MAX);
		with_plain(MT_TLS_CLIENT, &kinds[i], UINT32_MAX);
	}
}

static void test_byte_by_byte(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(kinds); i += 3) {
		with_plain(MT_TLS_SERVER, &kinds[i], 1);
		with_plain(MT_TLS_CLIENT, &kinds[i], 1);
	}
}

static bool same(const struct mt_tls_half *a, const struct mt_tls_half *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->iv, b->iv, sizeof(a->iv)) == 0 &&
	       memcmp(a->secret, b->secret, sizeof(a->secret)) == 0;
}

static void test_two_of_ours(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		struct mt_tls_rules cr = ends_rules(MT_TLS_CLIENT), sr = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *cc, *sc;
		const struct mt_tls_result *c, *s;
		struct ends_pair p;

		sr.max_version = (uint16_t)kinds[i].version;
		if (kinds[i].version == TLS1_3_VERSION)
			sr.suites = kinds[i].name;
		else
			sr.ciphers = kinds[i].name;
		cc = ends_context(&cr);
		sc = ends_context(&sr);
		p = (struct ends_pair){.client = mt_tls_handshake_new(cc, "bob"),
			.server = mt_tls_handshake_new(sc, NULL)};
		ends_pair_talk(&p);
		CU_ASSERT_EQUAL(p.client_step, MT_TLS_DONE);
		CU_ASSERT_EQUAL(p.server_step, MT_TLS_DONE);
		c = mt_tls_handshake_result(p.client);
		s = mt_tls_handshake_result(p.server);
		CU_ASSERT_EQUAL(c->keys.cipher, kinds[i].cipher);
		CU_ASSERT_TRUE(same(&c->keys.tx, &s->keys.rx));
		CU_ASSERT_TRUE(same(&c->keys.rx, &s->keys.tx));
		CU_ASSERT_FALSE(same(&c->keys.rx, &c->keys.tx));
		CU_ASSERT_STRING_EQUAL(s->peer.sni, "bob");
		CU_ASSERT_EQUAL(s->tickets, 0); /* none wanted */
		ends_pair_free(&p);
		mt_tls_context_drop(cc);
		mt_tls_context_drop(sc);
	}
}

/* Application data in one piece with Finished are not the handshake's. */
static void test_data_behind_finished(void)
{
	static const char text[] = "a call that could not wait";
	struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *c = ends_context(&rules);
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);
	struct mt_tls_keys k;
	uint8_t said[8192], opened[256], type;
	const uint8_t *out;
	struct ends_plain p;
	uint32_t n, first, used;

	ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	SSL_do_handshake(p.ssl);
	n = first = ends_plain_says(&p, said, sizeof(said));
	CU_ASSERT_EQUAL(mt_tls_handshake_step(h, said, n), MT_TLS_MORE);
	ends_plain_hears(&p, out, n = mt_tls_handshake_output(h, &out));
	mt_tls_handshake_sent(h, n);
	CU_ASSERT_EQUAL(SSL_do_handshake(p.ssl), 1);
	SSL_write(p.ssl, text, sizeof(text));
	n = ends_plain_says(&p, said, sizeof(said));
	CU_ASSERT_EQUAL(mt_tls_handshake_step(h, said, n), MT_TLS_DONE);
	used = mt_tls_handshake_used(h) - first;
	CU_ASSERT_EQUAL(n - used, 5 + sizeof(text) + 1 + 16);
	k = mt_tls_handshake_result(h)->keys;
	CU_ASSERT_EQUAL(ends_open(&k, said + used, n - used, opened, &type, &used), sizeof(text));
	CU_ASSERT_EQUAL(memcmp(opened, text, sizeof(text)), 0);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

/* Each cut of a hello; nothing is said before it is whole. */
static void test_hello_cut_anywhere(void)
{
	struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *c = ends_context(&rules);
	uint8_t hello[2048];
	const uint8_t *out;
	struct ends_plain p;
	uint32_t n;

	ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	SSL_do_handshake(p.ssl);
	n = ends_plain_says(&p, hello, sizeof(hello));
	for (uint32_t cut = 1; cut < n; cut++) {
		struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);

		CU_ASSERT_EQUAL(mt_tls_handshake_step(h, hello, cut), MT_TLS_MORE);
		CU_ASSERT_EQUAL(mt_tls_handshake_output(h, &out), 0);
		CU_ASSERT_EQUAL(mt_tls_handshake_step(h, hello + cut, n - cut), MT_TLS_MORE);
		CU_ASSERT_TRUE(mt_tls_handshake_output(h, &out) > 500);
		mt_tls_handshake_free(h);
	}
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

static void test_no_object_before_the_first_step(void)
{
	struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *c = ends_context(&rules);
	struct mt_tls_objects before = mt_tls_objects(), after;
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);

	after = mt_tls_objects();
	CU_ASSERT_EQUAL(after.made, before.made);
	CU_ASSERT_EQUAL(mt_tls_handshake_step(h, "garbage garbage", 15), MT_TLS_FAILED);
	after = mt_tls_objects();
	CU_ASSERT_EQUAL(after.made, before.made + 1);
	/* Gone with the failure, before the handshake is freed. */
	CU_ASSERT_EQUAL(after.freed, before.freed + 1);
	mt_tls_handshake_free(h);
	mt_tls_context_drop(c);
}

/* A hybrid key share makes no HelloRetryRequest of a hello that has X25519, too; without any share there is one. */
static void test_retry_request(void)
{
	struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *c = ends_context(&rules);
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);
	struct ends_plain p;

	ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	/* A share of the first one only, which the server has not. */
	SSL_set1_groups_list(p.ssl, "P-384:P-256");
	CU_ASSERT_EQUAL(ends_talk(h, &p, 100), MT_TLS_DONE);
	ends_check_records(mt_tls_handshake_result(h), &p);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

static void test_rsa(void)
{
	struct pki_node leaf =
		pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_BOB, .rsa = true});
	struct mt_credential *rsa = pki_credential(&leaf, NULL, pki()->roots, NULL);
	static const char *const ciphers[] = {
		"ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384", NULL};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(ciphers); i++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		struct ends_plain p;

		rules.credential = rsa;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, NULL);
		ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice,
			ciphers[i] ? TLS1_2_VERSION : TLS1_3_VERSION, ciphers[i]);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
		ends_check_records(mt_tls_handshake_result(h), &p);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
	mt_credential_drop(rsa);
	pki_free(&leaf);
}

/* What has no forward secrecy is not offered to servers. */
static void test_rsa_key_exchange(void)
{
	struct pki_node leaf =
		pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_BOB, .rsa = true});
	struct mt_credential *rsa = pki_credential(&leaf, NULL, pki()->roots, NULL);
	struct mt_tls_rules rules = ends_rules(MT_TLS_CLIENT);
	struct mt_tls_context *c = ends_context(&rules);
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);
	struct ends_plain p;

	ends_plain_new(
		&p, MT_TLS_SERVER, rsa, TLS1_2_VERSION, "AES256-GCM-SHA384:AES128-GCM-SHA256");
	CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_FAILED);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->reason, MT_TLS_WHY_peer_alert);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(h)->alert, MT_TLS_HANDSHAKE_FAILURE);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
	mt_credential_drop(rsa);
	pki_free(&leaf);
}

/* Only the first of ours that is offered; none of ours: none, and no failure. */
static void test_alpn(void)
{
	static const struct {
		const char *ours[2], *agreed;
	} rows[] = {{{"istio", "h2"}, "istio"}, {{"h2", "istio"}, "h2"}, {{"h3", "http/1.1"}, ""}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		struct ends_plain p;

		rules.alpn = rows[i].ours;
		rules.n_alpn = 2;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, NULL);
		ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
		CU_ASSERT_STRING_EQUAL(mt_tls_handshake_result(h)->peer.alpn, rows[i].agreed);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
}

/* Who shows nothing is nobody, where that is allowed; what was not verified is nobody, too. */
static void test_nobody(void)
{
	static const enum mt_tls_trust trusts[] = {MT_TLS_IF_SHOWN, MT_TLS_ANYBODY};
	static const char *const only[] = {"cluster.local"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(trusts); i++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		struct ends_plain p;

		rules.trust = trusts[i];
		rules.trust_domains = i ? NULL : only;
		rules.n_trust_domains = !i;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, NULL);
		ends_plain_new(&p, MT_TLS_CLIENT, NULL, TLS1_3_VERSION, NULL);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
		CU_ASSERT_STRING_EQUAL(mt_tls_handshake_result(h)->peer.principal, "");
		CU_ASSERT_FALSE(mt_tls_handshake_result(h)->peer.certificate);
		CU_ASSERT_FALSE(mt_tls_handshake_result(h)->peer.member);
		ends_check_records(mt_tls_handshake_result(h), &p);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
}

/* Whose roots may be anybody's: only where trust domains are named a peer is a member of one. */
static void test_members(void)
{
	static const char *const domains[] = {"cluster.local"};

	for (int named = 0; named < 2; named++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c;
		struct mt_tls_handshake *h;
		const struct mt_tls_peer *peer;
		struct ends_plain p;

		rules.trust_domains = domains;
		rules.n_trust_domains = (uint32_t)named;
		c = ends_context(&rules);
		h = mt_tls_handshake_new(c, NULL);
		ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
		CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
		peer = &mt_tls_handshake_result(h)->peer;
		CU_ASSERT_TRUE(peer->certificate);
		CU_ASSERT_EQUAL(peer->member, named);
		CU_ASSERT_STRING_EQUAL(peer->principal, PKI_ALICE);
		mt_tls_handshake_free(h);
		ends_plain_free(&p);
		mt_tls_context_drop(c);
	}
}

/* A client that takes anybody has nobody to speak of. */
static void test_client_takes_anybody(void)
{
	struct mt_tls_rules rules = ends_rules(MT_TLS_CLIENT);
	struct mt_tls_context *c;
	struct mt_tls_handshake *h;
	struct ends_plain p;

	rules.trust = MT_TLS_ANYBODY;
	c = ends_context(&rules);
	h = mt_tls_handshake_new(c, NULL);
	ends_plain_new(&p, MT_TLS_SERVER, pki()->bob, TLS1_3_VERSION, NULL);
	CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
	CU_ASSERT_STRING_EQUAL(mt_tls_handshake_result(h)->peer.principal, "");
	CU_ASSERT_FALSE(mt_tls_handshake_result(h)->peer.certificate);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	mt_tls_context_drop(c);
}

const struct mt_test handshake_tests[] = {
	{"handshakes with each version and cipher, both roles", test_each_cipher},
	{"handshakes byte by byte", test_byte_by_byte},
	{"handshakes of two of ours", test_two_of_ours},
	{"records behind Finished stay", test_data_behind_finished},
	{"a hello cut at each byte", test_hello_cut_anywhere},
	{"no object before the first step", test_no_object_before_the_first_step},
	{"a hello without a share that we have", test_retry_request},
	{"RSA certificates", test_rsa}, {"RSA key exchange", test_rsa_key_exchange},
	{"ALPN: ours in our order, none is no failure", test_alpn},
	{"who shows no certificate is nobody", test_nobody}, {"members of the mesh", test_members},
	{"a client that verifies nobody", test_client_takes_anybody}, {0}};
