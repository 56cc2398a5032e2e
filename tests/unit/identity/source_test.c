/* SPDX-License-Identifier: Apache-2.0 */
/* An identity that is a directory: replaced, half replaced, wrong, gone. */
#include "mt_identity_source.h"

#include "mt_file.h"
#include "mt_service.h"
#include "suites.h"
#include "tls/pki.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP (500 * MT_MSEC)

static char dir[64];
static struct mt_identity_source *src;
static uint64_t now;
static uint32_t changes;

/* One generation: a leaf of the root's. */
struct generation {
	char *chain, *key;
};

static struct generation generation_of(int64_t from, int64_t until)
{
	struct pki_node leaf = pki_make(&pki()->root,
		&(struct pki_how){.san = "URI:" PKI_BOB, .from = from, .until = until});
	struct generation g = {pki_pem((const X509 *const[]){leaf.cert}, 1), pki_key(leaf.key)};

	pki_free(&leaf);
	return g;
}

static struct generation generation(int64_t until)
{
	return generation_of(-7200, until);
}

static void generation_free(struct generation *g)
{
	free(g->chain);
	free(g->key);
}

static void put(const char *name, const char *text, size_t len, mode_t mode)
{
	char path[128];
	struct mt_err e;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CU_ASSERT_EQUAL_FATAL(mt_file_replace(path, text, len, mode, &e), 0);
}

static void put_generation(const struct generation *g)
{
	put(MT_IDENTITY_SOURCE_CHAIN, g->chain, strlen(g->chain), 0644);
	put(MT_IDENTITY_SOURCE_KEY, g->key, strlen(g->key), 0600);
}

static void put_roots(const char *text)
{
	put(MT_IDENTITY_SOURCE_ROOTS, text, strlen(text), 0644);
}

static void changed(void *arg)
{
	(void)arg;
	changes++;
}

/* 2 s: what is replaced is in use then. */
static void two_seconds(void)
{
	for (int i = 0; i < 4; i++)
		mt_identity_source_turn(src, now += STEP);
}

static void set_up(struct mt_service *s)
{
	strcpy(dir, "/tmp/mt-identity-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	changes = 0;
	src = mt_identity_directory_new(s, dir, changed, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
}

static void tear_down(void)
{
	static const char *const names[] = {
		MT_IDENTITY_SOURCE_CHAIN, MT_IDENTITY_SOURCE_KEY, MT_IDENTITY_SOURCE_ROOTS};
	char path[128];

	mt_identity_source_free(src);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void remove_crl(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, MT_IDENTITY_SOURCE_CRL);
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static bool is_used(const struct generation *g)
{
	struct mt_credential *c = mt_identity_source_hold(src);
	char *pem = c ? pki_pem((const X509 *const[]){sk_X509_value(c->chain, 0)}, 1) : NULL;
	bool used = pem && strcmp(pem, g->chain) == 0;

	free(pem);
	mt_credential_drop(c);
	return used;
}

static void expect(const struct generation *used, uint32_t serial, const char *why)
{
	CU_ASSERT_TRUE(is_used(used));
	CU_ASSERT_EQUAL(mt_identity_source_serial(src), serial);
	CU_ASSERT_EQUAL(changes, serial);
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_why(src), why));
	CU_ASSERT_EQUAL(mt_identity_source_why(src)[0] == '\0', why[0] == '\0');
}

static void test_replaced(void)
{
	struct generation one = generation(3600), two = generation(3600);
	struct mt_credential *held;

	set_up(NULL);
	CU_ASSERT_PTR_NULL(mt_identity_source_hold(src));
	two_seconds();
	CU_ASSERT_PTR_NULL(mt_identity_source_hold(src));
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_why(src), MT_IDENTITY_SOURCE_CHAIN));
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	expect(&one, 1, "");
	held = mt_identity_source_hold(src);
	two_seconds();
	put_generation(&one); /* the same once more */
	two_seconds();
	expect(&one, 1, "");
	put_generation(&two);
	two_seconds();
	expect(&two, 2, "");
	CU_ASSERT_EQUAL(X509_check_private_key(sk_X509_value(held->chain, 0), held->key), 1);
	mt_credential_drop(held);
	generation_free(&one);
	generation_free(&two);
	tear_down();
}

static void test_two_generations(void)
{
	struct generation one = generation(3600), two = generation(3600);

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	put(MT_IDENTITY_SOURCE_KEY, two.key, strlen(two.key), 0600);
	two_seconds();
	expect(&one, 1, "does not belong to the certificate");
	put(MT_IDENTITY_SOURCE_CHAIN, two.chain, strlen(two.chain), 0644);
	two_seconds();
	expect(&two, 2, "");
	generation_free(&one);
	generation_free(&two);
	tear_down();
}

/* A look between the renames of chain and key reports nothing, unless the second one does not come. */
static void test_between_renames(void)
{
	struct generation one = generation(3600), two = generation(3600);

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	put(MT_IDENTITY_SOURCE_CHAIN, two.chain, strlen(two.chain), 0644);
	mt_identity_source_turn(src, now += STEP);
	expect(&one, 1, "");
	put(MT_IDENTITY_SOURCE_KEY, two.key, strlen(two.key), 0600);
	mt_identity_source_turn(src, now += STEP);
	expect(&two, 2, "");
	two_seconds();
	put(MT_IDENTITY_SOURCE_KEY, one.key, strlen(one.key), 0600);
	mt_identity_source_turn(src, now += STEP);
	expect(&two, 2, "");
	mt_identity_source_turn(src, now += STEP);
	expect(&two, 2, "does not belong to the certificate");
	generation_free(&one);
	generation_free(&two);
	tear_down();
}

/* Wrong files are reported, even if they change before each look. */
static void test_changes_all_the_time(void)
{
	struct generation one = generation(3600), two = generation(3600);

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	for (int i = 0; i < 3; i++) {
		put(MT_IDENTITY_SOURCE_KEY, two.key, strlen(two.key), 0600);
		mt_identity_source_turn(src, now += STEP);
		expect(&one, 1, i < 2 ? "" : "does not belong to the certificate");
	}
	put(MT_IDENTITY_SOURCE_CHAIN, two.chain, strlen(two.chain), 0644);
	mt_identity_source_turn(src, now += STEP);
	expect(&two, 2, "");
	generation_free(&one);
	generation_free(&two);
	tear_down();
}

static void test_roots(void)
{
	struct generation one = generation(3600);
	struct mt_credential *c;
	char *both;

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	CU_ASSERT_FATAL(asprintf(&both, "%s%s", pki()->roots, pki()->other_roots) > 0);
	put_roots(both);
	two_seconds();
	expect(&one, 2, "");
	c = mt_identity_source_hold(src);
	CU_ASSERT_EQUAL((int)sk_X509_NAME_num(c->authorities), 2);
	mt_credential_drop(c);
	free(both);
	generation_free(&one);
	tear_down();
}

/* Nothing of it displaces the last good one. */
static void put_crl(const X509 *gone, bool stale)
{
	char *text = pki_crl(&pki()->root, gone, stale);

	put(MT_IDENTITY_SOURCE_CRL, text, strlen(text), 0644);
	free(text);
}

static uint32_t n_crls(void)
{
	struct mt_credential *c = mt_identity_source_hold(src);
	struct mt_credential_crl crl;
	uint32_t n = 0;

	while (c && mt_credential_crl(c, n, &crl)) {
		CU_ASSERT_TRUE(crl.next_update > crl.this_update && crl.this_update > 0);
		CU_ASSERT_TRUE(crl.issuer[0] != '\0');
		n++;
	}
	mt_credential_drop(c);
	return n;
}

/* It comes, changes, is broken and goes; what is out of date is used all the same, and lets nobody in. */
static void test_revocations(void)
{
	struct generation g = generation(3600);

	set_up(NULL);
	put_generation(&g);
	put_roots(pki()->roots);
	two_seconds();
	expect(&g, 1, "");
	CU_ASSERT_EQUAL(n_crls(), 0);
	put_crl(NULL, false);
	two_seconds();
	expect(&g, 2, "");
	CU_ASSERT_EQUAL(n_crls(), 1);
	put_crl(pki()->root.cert, false);
	two_seconds();
	expect(&g, 3, "");
	put(MT_IDENTITY_SOURCE_CRL, "-----BEGIN X509 CRL-----\nno\n", 28, 0644);
	two_seconds();
	expect(&g, 3, "the CRL holds no PEM list");
	CU_ASSERT_EQUAL(n_crls(), 1);
	put_crl(NULL, true);
	two_seconds();
	expect(&g, 4, "");
	CU_ASSERT_EQUAL(n_crls(), 1);
	remove_crl();
	two_seconds();
	expect(&g, 5, "");
	CU_ASSERT_EQUAL(n_crls(), 0);
	tear_down();
	generation_free(&g);
}

static void test_bad(void)
{
	static const struct {
		const char *name, *text;
		size_t len;
		const char *why;
	} rows[] = {{MT_IDENTITY_SOURCE_CHAIN, "", 0, "holds no PEM certificate"},
		{MT_IDENTITY_SOURCE_CHAIN, "a\0b", 3, "it is not text"},
		{MT_IDENTITY_SOURCE_KEY, "-----BEGIN PRIVATE KEY-----\n", 28,
			"not a PEM private key"},
		{MT_IDENTITY_SOURCE_ROOTS, "roots\n", 6, "the roots hold no PEM certificate"}};
	struct generation one = generation(3600), old = generation(-60);

	set_up(NULL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		put_generation(&one);
		put_roots(pki()->roots);
		two_seconds();
		expect(&one, 1, "");
		put(rows[i].name, rows[i].text, rows[i].len, 0600);
		two_seconds();
		expect(&one, 1, rows[i].why);
	}
	put_roots(pki()->roots);
	put_generation(&old);
	two_seconds();
	expect(&one, 1, "has expired");
	generation_free(&one);
	generation_free(&old);
	tear_down();
}

/* Before its time it displaces none that is good, and is better than none. */
static void test_too_early(void)
{
	struct generation one = generation(3600), early = generation_of(3600, 7200);

	set_up(NULL);
	put_generation(&early);
	put_roots(pki()->roots);
	two_seconds();
	expect(&early, 1, "");
	put_generation(&one);
	two_seconds();
	expect(&one, 2, "");
	put_generation(&early);
	two_seconds();
	expect(&one, 2, "not valid yet");
	generation_free(&one);
	generation_free(&early);
	tear_down();
}

static void test_gone(void)
{
	struct generation one = generation(3600);
	char path[128];

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	snprintf(path, sizeof(path), "%s/%s", dir, MT_IDENTITY_SOURCE_ROOTS);
	unlink(path);
	two_seconds();
	expect(&one, 1, "No such file");
	generation_free(&one);
	tear_down();
}

static void test_mode(void)
{
	struct generation one = generation(3600);
	char path[128];

	set_up(NULL);
	put_generation(&one);
	put_roots(pki()->roots);
	two_seconds();
	CU_ASSERT_STRING_EQUAL(mt_identity_source_note(src), "");
	snprintf(path, sizeof(path), "%s/%s", dir, MT_IDENTITY_SOURCE_KEY);
	chmod(path, 0640);
	two_seconds();
	expect(&one, 1, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_note(src), "0640"));
	chmod(path, 0600);
	two_seconds();
	CU_ASSERT_STRING_EQUAL(mt_identity_source_note(src), "");
	/* Members of the service's group may not have the key: it belongs to the service's user. */
	if (geteuid() == 0) {
		const uid_t owners[] = {64747, 0};

		chmod(dir, 0755);
		for (size_t i = 0; i < MT_ARRAY_LEN(owners); i++) {
			CU_ASSERT_EQUAL(chown(path, owners[i], 64747), 0);
			chmod(path, owners[i] ? 0400 : 0640);
			CU_ASSERT_EQUAL(setegid(64747) | seteuid(64747), 0);
			two_seconds();
			CU_ASSERT_EQUAL(seteuid(0) | setegid(0), 0);
			CU_ASSERT_EQUAL(mt_identity_source_note(src)[0] != '\0', owners[i] == 0);
		}
		CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_note(src), "chown 64747 "));
	}
	generation_free(&one);
	tear_down();
}

/* ---- elsewhere ------------------------------------------------------------------------------------------ */

/* A task that holds the thread up, so that what comes behind it waits. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int wait_at_gate(struct mt_task *t)
{
	(void)t;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return 0;
}

static void no_more(struct mt_task *t, int rc)
{
	(void)t;
	(void)rc;
}

static void test_elsewhere(void)
{
	struct mt_err e;
	struct mt_service *s = mt_service_new("mt-test", &e);
	struct mt_task hold = {.run = wait_at_gate, .done = no_more};
	struct generation one = generation(3600);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	set_up(s);
	put_generation(&one);
	put_roots(pki()->roots);
	pthread_mutex_lock(&gate);
	CU_ASSERT_EQUAL(mt_service_submit(s, &hold), 0);
	two_seconds(); /* one look, and no other behind it */
	CU_ASSERT_EQUAL(mt_identity_source_serial(src), 0);
	pthread_mutex_unlock(&gate);
	mt_service_drain(s);
	expect(&one, 1, "");
	/* It goes while it is being read. */
	pthread_mutex_lock(&gate);
	CU_ASSERT_EQUAL(mt_service_submit(s, &hold), 0);
	put_roots(pki()->other_roots);
	two_seconds();
	tear_down();
	src = NULL;
	pthread_mutex_unlock(&gate);
	mt_service_drain(s);
	CU_ASSERT_EQUAL(changes, 1);
	mt_service_free(s);
	generation_free(&one);
	pki_end();
}

/* One that is somebody else's displaces nothing, and is told. */
static void test_claimed(void)
{
	static const struct {
		const char *san, *words;
	} rows[] = {{"URI:" PKI_ALICE, "it is the certificate of " PKI_ALICE ", not of " PKI_BOB},
		{"DNS:x", "it is the certificate of a holder without a SPIFFE ID, not of "}};
	struct generation own = generation(3600);

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct pki_node node =
			pki_make(&pki()->root, &(struct pki_how){.san = rows[i].san});
		struct generation g = {
			pki_pem((const X509 *const[]){node.cert}, 1), pki_key(node.key)};

		set_up(NULL);
		mt_identity_source_claim(src, PKI_BOB);
		put_roots(pki()->roots);
		put_generation(&g);
		two_seconds();
		CU_ASSERT_PTR_NULL(mt_identity_source_hold(src));
		CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_why(src), rows[i].words));
		put_generation(&own);
		two_seconds();
		expect(&own, 1, "");
		put_generation(&g);
		two_seconds();
		expect(&own, 1, rows[i].words);
		generation_free(&g);
		pki_free(&node);
		tear_down();
	}
	generation_free(&own);
}

const struct mt_test source_tests[] = {{"somebody else's", test_claimed},
	{"replaced", test_replaced}, {"revocations", test_revocations},
	{"a chain and a key of two generations", test_two_generations},
	{"between two renames", test_between_renames},
	{"wrong, and changed before each look", test_changes_all_the_time},
	{"several roots", test_roots}, {"what cannot be used", test_bad},
	{"too early", test_too_early}, {"a file that is gone", test_gone},
	{"a key that others can read", test_mode}, {"read elsewhere", test_elsewhere}, {0}};
