/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about objects of documents that are not in use as they are written, and certificates. */
#include "suites.h"

#include "../../../lib/ctl/mt_ctl_events_priv.h"
#include "../../../lib/ctl/mt_health.h"
#include "mt_objects.h"

static struct mt_object_table *table(void *arg)
{
	return arg;
}

static const char *text(void *arg)
{
	return arg;
}

/* The words of the only finding about a configuration. */
static char *finding(const struct mt_ctl_env *env)
{
	struct mt_ctl *c = test_ctl(env);
	struct mt_health h = {.c = c, .list = json_array(), .check = "configuration"};
	const char *words;
	char *copy;

	mt_check_configuration(&h);
	CU_ASSERT_EQUAL(json_array_size(h.list), 1);
	words = json_string_value(json_object_get(json_array_get(h.list, 0), "words"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	copy = strdup(words);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	json_decref(h.list);
	mt_ctl_destroy(c);
	return copy;
}

static char *words_of(struct mt_object_table *t)
{
	return finding(&(struct mt_ctl_env){.node = "n", .objects = table, .arg = t});
}

/* Their number is in front, so that an author of a first one with a long name hides no others. */
static void test_several(void)
{
	static char longest[400];
	struct mt_object o[] = {
		{.kind = "ServiceEntry", .ns = "a", .name = "x", .origin = {"a.yaml", 1}},
		{.kind = "ServiceEntry", .ns = "b", .name = "y", .origin = {"b.yaml", 2}}};
	struct mt_object_row rows[] = {
		{.o = &o[0], .status = MT_OBJECT_REFUSED, .why = "it is wrong"},
		{.o = &o[1], .status = MT_OBJECT_REFUSED, .why = "so is it"}};
	struct mt_object_table t = {.rows = rows, .n = 1};
	char *words = words_of(&t);

	CU_ASSERT_STRING_EQUAL(words, "ServiceEntry a/x (a.yaml:1) is refused: it is wrong");
	free(words);
	t.n = 2;
	words = words_of(&t);
	CU_ASSERT_STRING_EQUAL(words,
		"2 objects (`show objects`), first: ServiceEntry a/x (a.yaml:1) is refused: it is "
		"wrong");
	free(words);
	memset(longest, 'x', sizeof(longest) - 1);
	o[0].name = longest;
	words = words_of(&t);
	CU_ASSERT_EQUAL(strncmp(words, "2 objects (`show objects`), first: ", 35), 0);
	free(words);
}

/* The messages of a load are counted as lines, whatever names and words are in them. */
static void test_messages(void)
{
	static char one[] = "lab: left out: CDS left out: x\n";
	static char two[] = "a.yaml:1: warning: x\nlab: left out: CDS left out: left out: x\n"
			    "lab: left out: CDS y\n";
	const struct {
		char *all;
		const char *words;
	} rows[] = {
		{one, "lab: left out: CDS left out: x"},
		{two, "2 messages (`show config`), first: lab: left out: CDS left out: left out: "
		      "x"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char *words = finding(
			&(struct mt_ctl_env){.node = "n", .diagnostics = text, .arg = rows[i].all});

		CU_ASSERT_STRING_EQUAL(words, rows[i].words);
		free(words);
	}
}

/* Adds a certificate or a list, as a look found it, of 1000 s. It ends in so many seconds. */
static void looked_at(struct mt_ctl *c, const char *name, bool list, bool own, int64_t left)
{
	struct mt_cert_look *l = calloc(1, sizeof(*l) + strlen(name) + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	strcpy(l->name, name);
	l->list = list;
	l->own = own;
	l->not_after = left - mt_ctl_until(c, 0);
	l->not_before = l->not_after - 1000;
	CU_ASSERT_EQUAL_FATAL(mt_strmap_put(&c->events->certificates, l->name, l, NULL), 0);
}

static bool has_row(const json_t *rows, const char *about, const char *state, const char *words)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *has = json_string_value(json_object_get(row, "words"));

		if (strcmp(json_string_value(json_object_get(row, "about")), about) == 0)
			return strcmp(json_string_value(json_object_get(row, "state")), state) ==
				       0 &&
			       strstr(has, words);
	}
	return false;
}

/* The end of a certificate that documents name. The identity's check has the node's own. */
static void test_certificates(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_health h = {.c = c, .list = json_array(), .check = "certificates"};

	mt_ctl_turn(c, c->now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->events);
	looked_at(c, "/etc/good.pem", false, false, 101);
	looked_at(c, "/etc/soon.pem", false, false, 99);
	looked_at(c, "/etc/over.pem", false, false, -1);
	looked_at(c, "revocation list of /etc/soon.crl", true, false, 99);
	looked_at(c, "revocation list of /etc/over.crl", true, false, -1);
	looked_at(c, "of the identity in /etc/own", false, true, -1);
	mt_check_certificates(&h);
	CU_ASSERT_EQUAL(h.n, 4);
	CU_ASSERT(has_row(h.list, "/etc/soon.pem", "warning", "less than a tenth"));
	CU_ASSERT(has_row(h.list, "/etc/over.pem", "fault", "expired: peers refuse it"));
	CU_ASSERT(has_row(h.list, "revocation list of /etc/soon.crl", "warning", "expires in"));
	CU_ASSERT(has_row(h.list, "revocation list of /etc/over.crl", "fault",
		"certificates of its authority are refused"));
	json_decref(h.list);
	mt_ctl_destroy(c);
}

const struct mt_test health_objects_tests[] = {{"several objects", test_several},
	{"messages of a load", test_messages}, {"certificates of documents", test_certificates},
	{0}};
