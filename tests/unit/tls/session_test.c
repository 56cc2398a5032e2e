/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets of our servers: what is resumed, and what must not be. */
#include "ends.h"
#include "mt_strmap.h"
#include "mt_tls_priv.h"
#include "pki.h"
#include "tls_test.h"

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

static const char *asks_for = "Bob.shop";

/* Of TLS 1.3 AWS-LC tells sessions by this alone. */
static SSL_SESSION *newest;

static int keep(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(newest);
	newest = session;
	return 1;
}

static void keep_sessions(SSL *ssl)
{
	SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep);
}

/* One connection of Alice's library; with a session of before, which is replaced by the new one. What ours says of it. */
static struct mt_tls_result connect_with(
	struct mt_tls_context *c, int version, SSL_SESSION **session)
{
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, NULL);
	struct mt_tls_result r;
	struct ends_plain p;
	uint8_t rest[64];

	ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, version, NULL);
	keep_sessions(p.ssl);
	SSL_set_tlsext_host_name(p.ssl, asks_for);
	if (*session)
		SSL_set_session(p.ssl, *session);
	SSL_SESSION_free(*session);
	(void)ends_talk(h, &p, 1000);
	r = *mt_tls_handshake_result(h);
	if (r.reason == MT_TLS_WHY_none)
		ends_check_records(&r, &p);
	(void)SSL_read(p.ssl, rest, sizeof(rest)); /* what is left: an alert */
	*session = newest ? newest : SSL_get1_session(p.ssl);
	newest = NULL;
	SSL_set_shutdown(p.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	return r;
}

static struct mt_tls_rules rules_with_tickets(void)
{
	struct mt_tls_rules r = ends_rules(MT_TLS_SERVER);

	r.tickets = true;
	return r;
}

static void test_resumed(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct mt_tls_rules rules = rules_with_tickets();
		struct mt_tls_context *c = ends_context(&rules);
		SSL_SESSION *session = NULL;
		struct mt_tls_result r = connect_with(c, versions[i], &session);

		CU_ASSERT_FALSE(r.peer.resumed);
		CU_ASSERT_TRUE(SSL_SESSION_has_ticket(session));
		CU_ASSERT_TRUE(SSL_SESSION_get_ticket_lifetime_hint(session) <= MT_TLS_TICKET_S);
		r = connect_with(c, versions[i], &session);
		CU_ASSERT_EQUAL(r.reason, MT_TLS_WHY_none);
		CU_ASSERT_TRUE(r.peer.resumed);
		CU_ASSERT_TRUE(r.peer.certificate);
		CU_ASSERT_STRING_EQUAL(r.peer.principal, PKI_ALICE);
		CU_ASSERT_STRING_EQUAL(r.peer.alpn, "istio");
		CU_ASSERT_EQUAL(r.peer.not_after, pki()->alice->not_after);
		CU_ASSERT_STRING_EQUAL(r.peer.sni, "bob.shop");
		/* What is asked for now, not what was when the ticket was given. */
		asks_for = "elsewhere";
		r = connect_with(c, versions[i], &session);
		asks_for = "Bob.shop";
		CU_ASSERT_TRUE(r.peer.resumed);
		CU_ASSERT_STRING_EQUAL(r.peer.sni, "elsewhere");
		SSL_SESSION_free(session);
		mt_tls_context_drop(c);
	}
}

static void test_no_tickets(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct mt_tls_rules rules = ends_rules(MT_TLS_SERVER);
		struct mt_tls_context *c = ends_context(&rules);
		SSL_SESSION *session = NULL;
		struct mt_tls_result r = connect_with(c, versions[i], &session);

		CU_ASSERT_EQUAL(r.tickets, 0);
		CU_ASSERT_FALSE(SSL_SESSION_has_ticket(session));
		r = connect_with(c, versions[i], &session);
		CU_ASSERT_EQUAL(r.reason, MT_TLS_WHY_none);
		CU_ASSERT_FALSE(r.peer.resumed);
		SSL_SESSION_free(session);
		mt_tls_context_drop(c);
	}
}

/* Contexts whose ticket keys are the same ones, so that only what a session is bound to keeps them apart. */
static void share_keys(struct mt_tls_context *from, struct mt_tls_context *to)
{
#ifndef OPENSSL_IS_AWSLC
	to->tickets->now = from->tickets->now;
#else
	uint8_t keys[80];
	int n = (int)SSL_CTX_get_tlsext_ticket_keys(from->ssl, NULL, 0);

	CU_ASSERT_FATAL(n > 0 && n <= (int)sizeof(keys));
	CU_ASSERT_EQUAL(SSL_CTX_get_tlsext_ticket_keys(from->ssl, keys, n), 1);
	CU_ASSERT_EQUAL(SSL_CTX_set_tlsext_ticket_keys(to->ssl, keys, n), 1);
#endif
}

#ifndef OPENSSL_IS_AWSLC
/* A key seals for a day, and opens until the tickets that it sealed have ended. */
static void test_keys_of_a_day(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct mt_tls_rules rules = rules_with_tickets();
		struct mt_tls_context *c = ends_context(&rules);
		struct mt_tls_ticket_key first;
		SSL_SESSION *session = NULL, *kept;

		(void)connect_with(c, versions[i], &session);
		first = c->tickets->now;
		CU_ASSERT_TRUE(connect_with(c, versions[i], &session).peer.resumed);
		CU_ASSERT_EQUAL(memcmp(&first, &c->tickets->now, sizeof(first)), 0);
		c->tickets->now.made -= 24 * 3600;
		kept = SSL_SESSION_dup(session);
		CU_ASSERT_TRUE(connect_with(c, versions[i], &session).peer.resumed);
		CU_ASSERT_NOT_EQUAL(memcmp(first.name, c->tickets->now.name, 16), 0);
		CU_ASSERT_EQUAL(memcmp(first.name, c->tickets->before.name, 16), 0);
		SSL_SESSION_free(session);
		session = kept;
		c->tickets->now.made -= MT_TLS_TICKET_S + 1;
		CU_ASSERT_FALSE(connect_with(c, versions[i], &session).peer.resumed);
		CU_ASSERT_EQUAL(c->tickets->before.made, 0);
		CU_ASSERT_TRUE(connect_with(c, versions[i], &session).peer.resumed);
		SSL_SESSION_free(session);
		mt_tls_context_drop(c);
	}
}
#endif

static bool resumes(const struct mt_tls_rules *first, const struct mt_tls_rules *second,
	bool shared, int version)
{
	struct mt_tls_context *one = ends_context(first), *two = ends_context(second);
	SSL_SESSION *session = NULL;
	struct mt_tls_result r;

	if (shared)
		share_keys(one, two);
	(void)connect_with(one, version, &session);
	r = connect_with(two, version, &session);
	SSL_SESSION_free(session);
	mt_tls_context_drop(one);
	mt_tls_context_drop(two);
	CU_ASSERT_EQUAL(r.reason, MT_TLS_WHY_none);
	return r.peer.resumed;
}

/* Chain, roots and rules: with any of them changed a session is as none. */
static void test_bound(void)
{
	static const struct mt_tls_san alice = {PKI_ALICE, false}, begins = {PKI_ALICE, true};
	static const char *const local[] = {"cluster.local"};
	struct mt_tls_rules same = rules_with_tickets(), other = same;
	char *both;
	struct pki_node leaf = pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_BOB});
	struct mt_credential *new_leaf = pki_credential(&leaf, NULL, pki()->roots, NULL),
			     *new_roots;

	CU_ASSERT_FATAL(asprintf(&both, "%s%s", pki()->roots, pki()->other_roots) > 0);
	new_roots = pki_credential(&leaf, NULL, both, NULL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		CU_ASSERT_TRUE(resumes(&same, &same, true, versions[i]));
		CU_ASSERT_FALSE(resumes(&same, &same, false, versions[i]));
		other.credential = new_leaf;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		same.credential = new_leaf;
		other.credential = new_roots;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		other = same;
		other.sans = &alice;
		other.n_sans = 1;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		same.sans = &begins;
		same.n_sans = 1;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		other = same;
		other.trust_domains = local;
		other.n_trust_domains = 1;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		other = same;
		other.trust = MT_TLS_IF_SHOWN;
		CU_ASSERT_FALSE(resumes(&same, &other, true, versions[i]));
		same = other = rules_with_tickets();
	}
	mt_credential_drop(new_leaf);
	mt_credential_drop(new_roots);
	pki_free(&leaf);
	free(both);
}

/* Its certificate would be refused by now: then a handshake says so, in full. */
static void test_judged_anew(void)
{
	static const struct mt_tls_san alice = {PKI_ALICE, false};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct mt_tls_rules rules = rules_with_tickets();
		SSL_SESSION *session = NULL;
		struct mt_tls_context *c;
		struct mt_tls_result r;

		rules.sans = &alice;
		rules.n_sans = 1;
		c = ends_context(&rules);
		(void)connect_with(c, versions[i], &session);
		((char *)c->sans[0].text)[0] = 'S'; /* as time passes */
		r = connect_with(c, versions[i], &session);
		CU_ASSERT_STRING_EQUAL(mt_tls_reason_name(r.reason), "wrong_san");
		SSL_SESSION_free(session);
		mt_tls_context_drop(c);
	}
}

/* Time passes for certificates in tickets, too. */
static void test_end_of_certificate(void)
{
	struct mt_tls_rules rules = rules_with_tickets();
	struct mt_tls_context *c = ends_context(&rules);
	struct pki_node old = pki_make(
		&pki()->root, &(struct pki_how){.san = "URI:" PKI_ALICE, .from = -60, .until = -2});
	struct pki_node early = pki_make(
		&pki()->root, &(struct pki_how){.san = "URI:" PKI_ALICE, .from = 60, .until = 120});

	CU_ASSERT_EQUAL(mt_tls_judge(c, old.cert), MT_TLS_WHY_expired);
	CU_ASSERT_EQUAL(mt_tls_judge(c, early.cert), MT_TLS_WHY_expired);
	CU_ASSERT_EQUAL(mt_tls_judge(c, sk_X509_value(pki()->alice->chain, 0)), MT_TLS_WHY_none);
	pki_free(&old);
	pki_free(&early);
	mt_tls_context_drop(c);
}

#ifndef OPENSSL_IS_AWSLC /* its client sends none without being offered it */
/* Nothing of it is taken, and the handshake goes on (RFC 8446 §4.2.10). */
static void test_early_data_is_skipped(void)
{
	static const char early[] = "a request that anybody may repeat";
	struct mt_tls_rules rules = rules_with_tickets();
	struct mt_tls_context *c = ends_context(&rules);
	SSL_SESSION *session = NULL;
	struct mt_tls_handshake *h;
	struct ends_plain p;
	size_t n;

	(void)connect_with(c, TLS1_3_VERSION, &session);
	CU_ASSERT_EQUAL(SSL_SESSION_get_max_early_data(session), 0);
	/* As if it were of another server's. */
	CU_ASSERT_EQUAL(SSL_SESSION_set_max_early_data(session, sizeof(early)), 1);
	h = mt_tls_handshake_new(c, NULL);
	ends_plain_new(&p, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	SSL_set_session(p.ssl, session);
	CU_ASSERT_EQUAL(SSL_write_early_data(p.ssl, early, sizeof(early), &n), 1);
	CU_ASSERT_EQUAL(ends_talk(h, &p, 1000), MT_TLS_DONE);
	CU_ASSERT_EQUAL(SSL_get_early_data_status(p.ssl), SSL_EARLY_DATA_REJECTED);
	CU_ASSERT_TRUE(mt_tls_handshake_result(h)->peer.resumed);
	ends_check_records(mt_tls_handshake_result(h), &p);
	mt_tls_handshake_free(h);
	ends_plain_free(&p);
	SSL_SESSION_free(session);
	mt_tls_context_drop(c);
}
#endif

/* ---- whom one context has let in, before another one ---- */

static struct mt_tls_context *judge(const char *roots, const char *crl, const char *domain,
	uint16_t min_version, enum mt_tls_trust trust)
{
	const struct pki_node bob = {
		.cert = sk_X509_value(pki()->bob->chain, 0), .key = pki()->bob->key};
	struct mt_credential *cr = pki_credential(&bob, &pki()->mid, roots, crl);
	struct mt_tls_rules r = rules_with_tickets();
	struct mt_tls_context *c;

	r.credential = cr;
	r.trust = trust;
	r.min_version = min_version;
	r.trust_domains = &domain;
	r.n_trust_domains = domain != NULL;
	c = ends_context(&r);
	mt_credential_drop(cr);
	return c;
}

static char *both_roots(void)
{
	const X509 *const certs[] = {pki()->other_root.cert, pki()->root.cert};

	return pki_pem(certs, 2);
}

/* Of a client by the root: with its whole chain, and of a resumed session, of which the leaf alone is known. */
static void check_standing(struct mt_tls_context *c, const struct mt_tls_peer *peer,
	enum mt_tls_standing whole, enum mt_tls_standing resumed)
{
	CU_ASSERT_EQUAL(mt_tls_context_standing(c, &peer[0]), whole);
	CU_ASSERT_EQUAL(mt_tls_context_standing(c, &peer[1]), resumed);
	mt_tls_context_drop(c);
}

static void test_standing(void)
{
	const X509 *alice = sk_X509_value(pki()->alice->chain, 0);
	char *both = both_roots(), *revoked = pki_crl(&pki()->root, alice, false);
	char *others = pki_crl(&pki()->root, pki()->mid.cert, false);
	struct mt_tls_context *old = judge(pki()->roots, NULL, "cluster.local", 0, MT_TLS_VERIFIED);
	struct mt_tls_peer nobody = {.certificate = false};
	struct mt_tls_peer peer[2];
	SSL_SESSION *session = NULL;

	for (uint32_t i = 0; i < 2; i++)
		peer[i] = connect_with(old, TLS1_3_VERSION, &session).peer;
	CU_ASSERT(!peer[0].resumed && peer[1].resumed);
	CU_ASSERT(peer[0].n_marks == 2 && peer[1].n_marks == 1);
	check_standing(judge(both, NULL, "cluster.local", 0, MT_TLS_VERIFIED), peer, MT_TLS_STANDS,
		MT_TLS_OUTDATED);
	check_standing(judge(pki()->other_roots, NULL, "cluster.local", 0, MT_TLS_VERIFIED), peer,
		MT_TLS_OUTDATED, MT_TLS_OUTDATED);
	check_standing(judge(pki()->roots, others, "cluster.local", 0, MT_TLS_VERIFIED), peer,
		MT_TLS_STANDS, MT_TLS_OUTDATED);
	check_standing(judge(pki()->roots, revoked, "cluster.local", 0, MT_TLS_VERIFIED), peer,
		MT_TLS_CONDEMNED, MT_TLS_CONDEMNED);
	check_standing(judge(pki()->roots, NULL, "elsewhere", 0, MT_TLS_VERIFIED), peer,
		MT_TLS_CONDEMNED, MT_TLS_CONDEMNED);
	check_standing(judge(pki()->roots, NULL, "cluster.local", 0x0304, MT_TLS_VERIFIED), peer,
		MT_TLS_OUTDATED, MT_TLS_OUTDATED);
	check_standing(judge(pki()->roots, NULL, NULL, 0, MT_TLS_ANYBODY), peer, MT_TLS_OUTDATED,
		MT_TLS_OUTDATED);
	/* Who has shown nothing. */
	CU_ASSERT_EQUAL(mt_tls_context_standing(old, &nobody), MT_TLS_CONDEMNED);
	mt_tls_context_drop(old);
	old = judge(pki()->roots, NULL, "cluster.local", 0, MT_TLS_IF_SHOWN);
	CU_ASSERT_EQUAL(mt_tls_context_standing(old, &nobody), MT_TLS_OUTDATED);
	nobody.rules = old->rules_id;
	CU_ASSERT_EQUAL(mt_tls_context_standing(old, &nobody), MT_TLS_STANDS);
	mt_tls_context_drop(old);
	SSL_SESSION_free(session);
	free(both);
	free(revoked);
	free(others);
}

/* Names with equal unkeyed hashes (mt_strhash()) make contexts that are not equivalent. */
static void test_forged_names(void)
{
	static const struct mt_tls_san names[] = {
		{"gbdefammojeadlcd.a", false}, {"cbepepfeebojcjnl.a", false}};
	struct mt_tls_context *c[2];

	CU_ASSERT_EQUAL(mt_strhash(names[0].text, 1), mt_strhash(names[1].text, 1));
	for (uint32_t i = 0; i < 2; i++) {
		struct mt_tls_rules r = ends_rules(MT_TLS_CLIENT);

		r.sans = &names[i];
		r.n_sans = 1;
		c[i] = ends_context(&r);
	}
	CU_ASSERT_NOT_EQUAL(mt_tls_context_id(c[0]), mt_tls_context_id(c[1]));
	CU_ASSERT_NOT_EQUAL(c[0]->rules_id, c[1]->rules_id);
	mt_tls_context_drop(c[0]);
	mt_tls_context_drop(c[1]);
}

const struct mt_test session_tests[] = {{"names with equal hashes", test_forged_names},
	{"sessions are resumed", test_resumed}, {"no tickets, no sessions", test_no_tickets},
#ifndef OPENSSL_IS_AWSLC
	{"ticket keys are of a day", test_keys_of_a_day},
#endif
#ifndef OPENSSL_IS_AWSLC
	{"early data is skipped", test_early_data_is_skipped},
#endif
	{"sessions are bound to chain, trust and rules", test_bound},
	{"a certificate in a ticket is judged anew", test_judged_anew},
	{"a certificate in a ticket that has expired", test_end_of_certificate},
	{"standing before other rules", test_standing}, {0}};
