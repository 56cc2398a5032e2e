/* SPDX-License-Identifier: Apache-2.0 */
/* What operators are told of the node's own identity: used, last good, expired, without roots; never its key. */
#include "suites.h"

#include "mt_ctl_metrics_priv.h"
#include "tls/pki.h"

#define HOUR 3600

static struct mt_ctl_identity said;

static struct mt_ctl_identity beside[2];
static uint32_t n_beside;

static bool who(void *arg, uint32_t which, struct mt_ctl_identity *out)
{
	if (which > n_beside)
		return false;
	*out = which ? beside[which - 1] : said;
	return true;
}

/* s before the certificate's end. */
static void set_left(struct mt_ctl *c, int64_t s)
{
	c->now = (uint64_t)(said.credential->not_after - s) * MT_SEC;
}

static struct mt_ctl *begin(const struct mt_credential *credential)
{
	struct mt_ctl *c = test_ctl(&(struct mt_ctl_env){.who = who});

	said = (struct mt_ctl_identity){.credential = credential,
		.wanted = true,
		.from = "/etc/certs",
		.directory = "/etc/certs",
		.why = "",
		.note = "",
		.changes = 3};
	if (credential)
		set_left(c, HOUR);
	return c;
}

static bool says(struct mt_ctl *c, const char *command, const char *words)
{
	int code;
	char *out = test_run(c, command, &code);
	bool yes = code == MT_CTL_OK && strstr(out, words) != NULL;

	free(out);
	return yes;
}

static void test_good(void)
{
	struct mt_ctl *c = begin(pki()->alice);
	char serial[64];

	snprintf(serial, sizeof(serial), "\"serial\": \"%02x\"",
		(unsigned int)ASN1_INTEGER_get(
			X509_get0_serialNumber(sk_X509_value(pki()->alice->chain, 0))));
	CU_ASSERT(says(c, "--json show identity", "\"state\": \"good\""));
	CU_ASSERT(says(c, "--json show identity", "\"principal\": \"" PKI_ALICE "\""));
	CU_ASSERT(says(c, "--json show identity", "\"trust_domain\": \"cluster.local\""));
	CU_ASSERT(says(c, "--json show identity", serial));
	CU_ASSERT(says(c, "--json show identity", "\"left_s\": 3600"));
	CU_ASSERT(says(c, "--json show identity", "\"subject\": \"O=authority"));
	CU_ASSERT(says(c, "show health", "a root of the node ends in"));
	CU_ASSERT_FALSE(says(c, "show health", "not renewed"));
	mt_ctl_destroy(c);
	pki_end();
}

/* What stands in the way, and how soon the end is. */
static void test_ends(void)
{
	struct mt_ctl *c = begin(pki()->alice);

	said.why = "key.pem: no such thing";
	said.note = "key.pem: its mode is 0644";
	CU_ASSERT(says(c, "--json show identity", "\"state\": \"last-good\""));
	CU_ASSERT(says(c, "--json show identity", "\"reason\": \"key.pem: no such thing\""));
	CU_ASSERT(says(c, "show health",
		"the last good identity stays in use, the new one cannot be used: key.pem"));
	CU_ASSERT(says(c, "show health", "its mode is 0644"));
	set_left(c, 719);
	CU_ASSERT(says(c, "show health", "certificate ends in 11 min 59 s and is not renewed"));
	set_left(c, -1);
	CU_ASSERT(says(c, "--json show identity", "\"state\": \"expired\""));
	CU_ASSERT(says(c, "show health", "the node's certificate has expired"));
	/* A source's certificate is told as the source's. */
	said.directory = NULL;
	CU_ASSERT_FALSE(says(c, "show health", "the node's certificate has expired"));
	c->now += 1000ull * 365 * 86400 * MT_SEC;
	CU_ASSERT(says(c, "show health", "no root of the node is valid"));
	mt_ctl_destroy(c);
	pki_end();
}

static void test_missing(void)
{
	struct mt_ctl *c = begin(NULL);

	said.why = "cert-chain.pem: No such file";
	CU_ASSERT(says(c, "--json show identity", "\"state\": \"missing\""));
	CU_ASSERT(says(c, "--json show identity", "\"principal\": null"));
	CU_ASSERT(says(c, "show health", "the node has no identity, and what needs one stays"));
	said.wanted = false;
	CU_ASSERT(says(c, "--json show identity", "\"identity\": []"));
	CU_ASSERT_FALSE(says(c, "show health", "has no identity"));
	mt_ctl_destroy(c);
}

/* The log has one line when renewal is late, and none for a certificate of a source. */
static void test_logged(void)
{
	const struct mt_log_counts *n = mt_log_counts(MT_LOGS_config);
	uint64_t before = n->lines[MT_LOG_WARN];
	struct mt_ctl *c = begin(pki()->alice);

	mt_ctl_turn(c, c->now);
	CU_ASSERT_EQUAL(n->lines[MT_LOG_WARN], before);
	set_left(c, 719);
	mt_ctl_turn(c, c->now);
	CU_ASSERT_EQUAL(n->lines[MT_LOG_WARN], before + 1);
	for (int i = 0; i < 5; i++)
		mt_ctl_turn(c, c->now + 61 * MT_SEC);
	CU_ASSERT_EQUAL(n->lines[MT_LOG_WARN], before + 1);
	set_left(c, -1);
	mt_ctl_turn(c, c->now);
	CU_ASSERT_EQUAL(n->lines[MT_LOG_WARN], before + 2);
	mt_ctl_destroy(c);
	c = begin(pki()->alice);
	said.directory = NULL;
	set_left(c, 719);
	mt_ctl_turn(c, c->now);
	CU_ASSERT_EQUAL(n->lines[MT_LOG_WARN], before + 2);
	mt_ctl_destroy(c);
	pki_end();
}

/* Those beside the node's own, each by itself; a root that is the node's, too, is told of once. */
static void test_beside(void)
{
	struct mt_ctl *c = begin(pki()->alice);

	beside[0] = said;
	beside[0].credential = pki()->bob;
	beside[0].held_for = PKI_BOB;
	beside[1] = (struct mt_ctl_identity){.held_for = "spiffe://x/carol",
		.wanted = true,
		.from = "",
		.why = "carol/key.pem: no such thing",
		.note = ""};
	n_beside = 2;
	CU_ASSERT(says(c, "--json show identity", "\"for\": \"node\""));
	CU_ASSERT(says(c, "--json show identity", "\"for\": \"" PKI_BOB "\""));
	CU_ASSERT(says(c, "--json show identity", "\"principal\": \"" PKI_BOB "\""));
	CU_ASSERT(says(c, "--json show identity", "\"state\": \"missing\""));
	CU_ASSERT(says(c, "show health", "its services' clients are refused: carol/key.pem"));
	CU_ASSERT_FALSE(says(c, "show health", "the node has no identity"));
	n_beside = 0;
	mt_ctl_destroy(c);
	pki_end();
}

const struct mt_test identity_tests[] = {{"those beside it", test_beside},
	{"a good identity", test_good}, {"last good, ends soon, expired", test_ends},
	{"late renewal in the log", test_logged}, {"none", test_missing}, {0}};
