/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on the day: certificates at their end, exceptions that are nearly over. */
#include "analyse_test.h"

#include <time.h>

#define DAY 86400

static void certificates_at_their_end(void)
{
	struct looked l;

	looked_begin(&l);
	looked_load(&l);
	CU_ASSERT_PTR_NULL(looked_reason(&l, "certificate-ends"));
	l.in.since = l.in.wall - 80 * DAY;
	l.in.until = l.in.wall + 15 * DAY;
	CU_ASSERT_PTR_NULL(looked_reason(&l, "certificate-ends"));
	l.in.until = l.in.wall + 13 * DAY;
	CU_ASSERT_STRING_EQUAL(looked_reason(&l, "certificate-ends"),
		"the node's own certificate ends in 13 days");
	/* One of a day, renewed an hour ago; and one that should have been. */
	l.in.since = l.in.wall - DAY / 24;
	l.in.until = l.in.since + DAY;
	CU_ASSERT_PTR_NULL(looked_reason(&l, "certificate-ends"));
	l.in.since = l.in.wall - DAY / 24 * 22;
	l.in.until = l.in.since + DAY;
	CU_ASSERT_STRING_EQUAL(
		looked_reason(&l, "certificate-ends"), "the node's own certificate ends in 0 days");
	l.in.until = l.in.wall - 1;
	CU_ASSERT_STRING_EQUAL(
		looked_reason(&l, "certificate-ends"), "the node's own certificate has ended");
	looked_end(&l);
}

/* The Node of the scene with an exception for the policy, as it is or was, until so many days from now. */
static void write_node(struct looked *l, const struct mt_content_hash *hash, int days)
{
	time_t at = (time_t)(l->in.wall + (int64_t)days * DAY);
	char text[700], day[16], digits[MT_CONTENT_HASH_TEXT];
	struct tm tm;

	mt_content_hash_str(hash, digits);
	gmtime_r(&at, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(text, sizeof(text),
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  unenforced: [{kind: AuthorizationPolicy, namespace: a, name: p, hash: "
		"\"%s\", until: \"%s\", because: it moves}]\n",
		digits, day);
	scene_write(&l->sc, "0-node.yaml", text);
	looked_load(l);
}

static void exceptions_that_are_over(void)
{
	struct looked l;
	struct mt_content_hash hash;

	looked_begin(&l);
	scene_write(&l.sc, "1-service.yaml", SERVICE("s", "a", "192.0.2.9"));
	scene_write(&l.sc, "2-policy.yaml", SECURITY("AuthorizationPolicy", "p", "a", "{}"));
	looked_load(&l);
	hash = scene_row(&l.sc, "AuthorizationPolicy", "p")->o->hash;
	write_node(&l, &hash, 30);
	CU_ASSERT_PTR_NULL(looked_reason(&l, "unenforced-soon"));
	CU_ASSERT_PTR_NULL(looked_reason(&l, "unenforced-void"));
	CU_ASSERT_PTR_NULL(looked_reason(&l, "unenforced-long"));
	write_node(&l, &hash, 400);
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "unenforced-long"));
	write_node(&l, &hash, 3);
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "unenforced-soon"));
	write_node(&l, &hash, -3);
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "unenforced-void"));
	hash.v[31] ^= 1;
	write_node(&l, &hash, 30);
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "unenforced-void"));
	looked_end(&l);
}

const struct mt_test time_tests[] = {
	{"certificates_at_their_end", certificates_at_their_end},
	{"exceptions_that_are_over", exceptions_that_are_over},
	{0},
};
