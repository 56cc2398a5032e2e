/* SPDX-License-Identifier: Apache-2.0 */
/* Whole conversations as a table: what is asked, what is said. */
#include "wire.h"
#include "../../outcomes_seen.h"

#include <stdio.h>

#define SVC  "svc.cluster.local"
#define SOAS " | svc.cluster.local SOA 30 hostmaster.svc.cluster.local"

static uint64_t counters[MT_DNS_N_OUTCOMES];

static const char *ask_at(const struct mt_dns_table *t, const struct wire_query *q,
	const struct mt_dns_ask *ask, char text[4096])
{
	uint8_t out[MT_DNS_TCP_MAX];
	struct wire w;
	uint32_t n = 0;

	wire_query(&w, q);
	switch (mt_dns_respond(t, ask, w.b, w.len, out,
		ask->datagram ? MT_DNS_UDP_MAX : sizeof(out), &n, counters)) {
	case MT_DNS_FORWARD:
		return strcpy(text, "FORWARD");
	case MT_DNS_SILENCE:
		return strcpy(text, "SILENCE");
	case MT_DNS_REPLY:
		break;
	}
	CU_ASSERT_EQUAL(mt_dns_id(out), q->id);
	return wire_text(out, n, text);
}

static const char *asked(const struct mt_dns_table *t, const struct wire_query *q, char text[4096])
{
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};

	return ask_at(t, q, &ask, text);
}

static const struct {
	const char *name;
	uint16_t type;
	const char *want;
} talk[] = {
	/* hosts by their own names, whatever the case, which is kept */
	{"reviews.default." SVC, A,
		"NOERROR aa ra reviews.default." SVC " | reviews.default." SVC " A 30 240.240.0.1"},
	{"ReViEws.Default.svc.cluster.LOCAL", A,
		"NOERROR aa ra ReViEws.Default.svc.cluster.LOCAL | "
		"ReViEws.Default.svc.cluster.LOCAL "
		"A 30 240.240.0.1"},
	{"six.example.com", AAAA,
		"NOERROR aa ra six.example.com | six.example.com AAAA 30 2001:db8::6"},
	{"orders", A, "NOERROR aa ra orders | orders A 30 240.240.0.10"},
	/* exists, but not so */
	{"reviews.default." SVC, AAAA, "NOERROR aa ra reviews.default." SVC SOAS},
	{"reviews.default." SVC, MX, "NOERROR aa ra reviews.default." SVC SOAS},
	{"db.example.com", AAAA,
		"NOERROR aa ra db.example.com | db.example.com SOA 30 hostmaster.db.example.com"},
	{"db.example.com", HTTPS,
		"NOERROR aa ra db.example.com | db.example.com SOA 30 hostmaster.db.example.com"},
	{"six.example.com", A,
		"NOERROR aa ra six.example.com | six.example.com SOA 30 "
		"hostmaster.six.example.com"},
	{"db.example.com", ANY, "NOERROR aa ra db.example.com | db.example.com A 30 240.240.0.3"},
	{"ratings.books." SVC, ANY,
		"NOERROR aa ra ratings.books." SVC " | ratings.books." SVC
		" A 30 240.240.0.2 | ratings.books." SVC " AAAA 30 2001:db8::2"},
	/* what else a host outside of our zones has is not ours */
	{"db.example.com", MX, "FORWARD"},
	{"db.example.com", TXT, "FORWARD"},
	{"example.com", A, "FORWARD"},
	{"x.db.example.com", A, "FORWARD"},
	{"cluster.local", A, "FORWARD"},
	{"", NS, "FORWARD"},
	/* short names */
	{"reviews", A, "NOERROR aa ra reviews | reviews A 30 240.240.0.1"},
	{"reviews.default", A, "NOERROR aa ra reviews.default | reviews.default A 30 240.240.0.1"},
	{"reviews.default.svc", A,
		"NOERROR aa ra reviews.default.svc | reviews.default.svc A 30 240.240.0.1"},
	{"ratings.books", AAAA, "NOERROR aa ra ratings.books | ratings.books AAAA 30 2001:db8::2"},
	{"ratings", A, "FORWARD"},
	{"ratings.default", A, "FORWARD"},
	{"db.example.net", A, "FORWARD"},
	/* search lists */
	{"db.example.com.default." SVC, A,
		"NOERROR aa ra db.example.com.default." SVC " | db.example.com.default." SVC
		" CNAME 30 db.example.com | db.example.com A 30 240.240.0.3"},
	{"db.example.com.corp.example", A,
		"NOERROR aa ra db.example.com.corp.example | db.example.com.corp.example CNAME 30 "
		"db.example.com | db.example.com A 30 240.240.0.3"},
	{"a.wild.example.com.corp.example", A,
		"NOERROR aa ra a.wild.example.com.corp.example | a.wild.example.com.corp.example "
		"CNAME 30 "
		"a.wild.example.com | a.wild.example.com A 30 240.240.0.4"},
	{"db.example.com.default." SVC, AAAA,
		"NOERROR aa ra db.example.com.default." SVC " | db.example.com.default." SVC
		" CNAME 30 db.example.com | db.example.com SOA 30 hostmaster.db.example.com"},
	/* the zone is that of the alias's host; what else a host outside of our zones has is not ours */
	{"reviews.default." SVC ".corp.example", AAAA,
		"NOERROR aa ra reviews.default." SVC ".corp.example | reviews.default." SVC
		".corp.example CNAME 30 reviews.default." SVC SOAS},
	{"two.mesh.test.default." SVC, MX,
		"NOERROR aa ra two.mesh.test.default." SVC " | two.mesh.test.default." SVC
		" CNAME 30 two.mesh.test | mesh.test SOA 30 hostmaster.mesh.test"},
	{"db.example.com.default." SVC, MX,
		"NOERROR aa ra db.example.com.default." SVC " | db.example.com.default." SVC
		" CNAME 30 db.example.com"},
	{"db.example.com.corp.example", MX, "FORWARD"},
	{"corp.example", A, "FORWARD"},
	{"www.corp.example", A, "FORWARD"},
	/* wildcards: at any depth, the longest wins, the name itself is none */
	{"a.wild.example.com", A,
		"NOERROR aa ra a.wild.example.com | a.wild.example.com A 30 240.240.0.4"},
	{"c.b.a.wild.example.com", A,
		"NOERROR aa ra c.b.a.wild.example.com | c.b.a.wild.example.com A 30 240.240.0.4"},
	{"a.deep.wild.example.com", A,
		"NOERROR aa ra a.deep.wild.example.com | a.deep.wild.example.com A 30 240.240.0.5"},
	{"known.wild.example.com", A,
		"NOERROR aa ra known.wild.example.com | known.wild.example.com A 30 240.240.0.6"},
	{"wild.example.com", A, "FORWARD"},
	{"x.w.mesh.test", A, "NOERROR aa ra x.w.mesh.test | x.w.mesh.test A 30 240.240.0.7"},
	/* zones: what is not there does not exist, what is between does */
	{"nobody.default." SVC, A, "NXDOMAIN aa ra nobody.default." SVC SOAS},
	{"x.reviews.default." SVC, A, "NXDOMAIN aa ra x.reviews.default." SVC SOAS},
	{"nobody.mesh.test", AAAA,
		"NXDOMAIN aa ra nobody.mesh.test | mesh.test SOA 30 hostmaster.mesh.test"},
	{"default." SVC, A, "NOERROR aa ra default." SVC SOAS},
	{"other." SVC, A, "NXDOMAIN aa ra other." SVC SOAS},
	{SVC, A, "NOERROR aa ra " SVC SOAS},
	{SVC, SOA, "NOERROR aa ra " SVC SOAS},
	{"w.mesh.test", A, "NOERROR aa ra w.mesh.test | mesh.test SOA 30 hostmaster.mesh.test"},
	{"notmesh.test", A, "FORWARD"},
	{"empty.test", A, "NOERROR aa ra empty.test | empty.test SOA 30 hostmaster.empty.test"},
	/* RFC 6761 */
	{"localhost", A, "NOERROR aa ra localhost | localhost A 3600 127.0.0.1"},
	{"a.localhost", AAAA, "NOERROR aa ra a.localhost | a.localhost AAAA 3600 ::1"},
	{"localhost", MX, "NOERROR aa ra localhost | localhost SOA 30 hostmaster.localhost"},
	{"x.invalid", A, "NXDOMAIN aa ra x.invalid | invalid SOA 30 hostmaster.invalid"},
	{"x.onion", A, "NXDOMAIN aa ra x.onion | onion SOA 30 hostmaster.onion"},
};

static void test_talk(void)
{
	struct mt_dns_table *t = wire_table();
	char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(talk); i++) {
		const struct wire_query q = {
			.name = talk[i].name, .type = talk[i].type, .id = (uint16_t)(i * 977)};

		asked(t, &q, text);
		CU_ASSERT_STRING_EQUAL(text, talk[i].want);
		if (strcmp(text, talk[i].want) != 0)
			printf("\n%s %u:\n  %s\n  %s\n", talk[i].name, talk[i].type, text,
				talk[i].want);
	}
	mt_dns_table_put(t);
}

/* Headers and EDNS: the rest of the query is the same. */
static const struct {
	struct wire_query q;
	const char *want;
} heads[] = {
	{{.name = "orders", .type = A, .edns = 4096},
		"NOERROR aa ra orders | orders A 30 240.240.0.10 | opt 1232 0"},
	{{.name = "orders", .type = A, .edns = 100, .ext = 0x8000},
		"NOERROR aa ra orders | orders A 30 240.240.0.10 | opt 1232 8000"},
	{{.name = "orders", .type = A, .edns = 1232, .ext = 0x10000},
		"NOERROR ra orders | opt 1232 1000000"},
	{{.name = "nobody.mesh.test", .type = A, .edns = 512},
		"NXDOMAIN aa ra nobody.mesh.test | mesh.test SOA 30 hostmaster.mesh.test | opt "
		"1232 0"},
	{{.name = "orders", .type = A, .class = 255},
		"NOERROR aa ra orders | orders A 30 240.240.0.10"},
	{{.name = "version.bind", .type = TXT, .class = 3}, "REFUSED ra version.bind"},
	{{.name = "mesh.test", .type = 252}, "REFUSED ra mesh.test"},
	{{.name = "mesh.test", .type = 251, .edns = 512}, "REFUSED ra mesh.test | opt 1232 0"},
	{{.name = "orders", .type = A, .flags = 0x2900}, "MALFORMED: none"},
	{{.name = "orders", .type = A, .flags = 0x8100}, "SILENCE"},
	{{.name = "example.com", .type = A, .flags = 0x0010}, "REFUSED ra example.com"},
	{{.name = "orders", .type = A, .flags = 0x0010},
		"NOERROR aa ra orders | orders A 30 240.240.0.10"},
};

static void test_heads(void)
{
	struct mt_dns_table *t = wire_table();
	char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(heads); i++) {
		asked(t, &heads[i].q, text);
		if (heads[i].q.flags == 0x2900) {
			CU_ASSERT_STRING_EQUAL(text, "NOTIMP ra");
			continue;
		}
		CU_ASSERT_STRING_EQUAL(text, heads[i].want);
		if (strcmp(text, heads[i].want) != 0)
			printf("\n%s\n%s\n", text, heads[i].want);
	}
	mt_dns_table_put(t);
}

static void test_without_servers(void)
{
	const struct mt_dns_ask ask = {.datagram = true};
	struct mt_dns_table *t = wire_table();
	char text[4096];

	CU_ASSERT_STRING_EQUAL(
		ask_at(t, &(struct wire_query){.name = "example.com", .type = A}, &ask, text),
		"REFUSED example.com");
	CU_ASSERT_STRING_EQUAL(
		ask_at(t, &(struct wire_query){.name = "orders", .type = A}, &ask, text),
		"NOERROR aa orders | orders A 30 240.240.0.10");
	CU_ASSERT_STRING_EQUAL(
		ask_at(NULL, &(struct wire_query){.name = "orders", .type = A}, &ask, text),
		"SERVFAIL orders");
	mt_dns_table_put(t);
}

/* Every address comes first as often as the others. */
static void test_rotation(void)
{
	struct mt_dns_table *t = wire_table();
	uint32_t first[2] = {0, 0};

	for (uint32_t i = 0; i < 1000; i++) {
		const struct mt_dns_ask ask = {.datagram = true, .rnd = i * 4294967u};
		char text[4096];
		const char *at;

		ask_at(t, &(struct wire_query){.name = "two.mesh.test", .type = A}, &ask, text);
		at = strstr(text, " A 30 240.240.0.");
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "240.240.0.8"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "240.240.0.9"));
		first[at[16] == '9']++;
	}
	CU_ASSERT(first[0] > 480 && first[1] > 480);
	mt_dns_table_put(t);
}

static struct mt_dns_table *many_addresses(uint32_t n)
{
	const struct mt_dns_rules rules = {.ttl = 5};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_addr addrs[128];

	for (uint32_t i = 0; i < n; i++)
		addrs[i] = mt_addr4(0x0a000000 + i);
	CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, "many.test", addrs, n), 0);
	return mt_dns_builder_finish(b, NULL);
}

/* A set that does not fit is left out as a whole, with TC; over a stream it comes. */
static void test_truncation(void)
{
	static const struct {
		uint32_t addrs, edns;
		bool datagram, cut;
		uint32_t records;
	} cases[] = {
		{30, 0, true, false, 30}, /* 12 + 15 + 30 * 16 = 507 */
		{31, 0, true, true, 0}, {31, 512, true, true, 0},
		{29, 512, true, false, 29}, /* the OPT record takes 11 more */
		{30, 512, true, true, 0}, {64, 1232, true, false, 64}, {64, 65535, true, false, 64},
		{64, 1000, true, true, 0}, {64, 0, false, false, 64},
		{128, 0, false, false, 64}, /* more than a name may have */
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct mt_dns_table *t = many_addresses(cases[i].addrs);
		const struct mt_dns_ask ask = {.datagram = cases[i].datagram};
		const struct wire_query q = {.name = "many.test", .type = A, .edns = cases[i].edns};
		uint32_t records = 0;
		char text[4096];

		ask_at(t, &q, &ask, text);
		CU_ASSERT_NSTRING_EQUAL(
			text, cases[i].cut ? "NOERROR aa tc" : "NOERROR aa many", 13);
		for (const char *p = text; (p = strstr(p, " A 5 ")); p++)
			records++;
		CU_ASSERT_EQUAL(records, cases[i].records);
		mt_dns_table_put(t);
	}
}

/* What is said when others cannot be asked. */
static void test_error(void)
{
	struct wire w;
	uint8_t out[MT_DNS_UDP_MAX];
	char text[4096];
	uint32_t n;

	wire_query(&w, &(struct wire_query){.name = "a.b", .type = A, .id = 7, .edns = 4096});
	n = mt_dns_error(w.b, w.len, MT_DNS_SERVFAIL, false, out);
	CU_ASSERT_STRING_EQUAL(wire_text(out, n, text), "SERVFAIL ra a.b | opt 1232 0");
	CU_ASSERT_EQUAL(mt_dns_id(out), 7);
	n = mt_dns_error(w.b, w.len, 0, true, out);
	CU_ASSERT_STRING_EQUAL(wire_text(out, n, text), "NOERROR tc ra a.b | opt 1232 0");
	CU_ASSERT_EQUAL(mt_dns_error(w.b, 5, 0, true, out), 0);
}

static void test_counts(void)
{
	struct mt_dns_table *t = wire_table();
	char text[4096];

	outcomes_seen(&mt_dns_outcomes, counters);
	memset(counters, 0, sizeof(counters));
	asked(t, &(struct wire_query){.name = "orders", .type = A}, text);
	asked(t, &(struct wire_query){.name = "orders", .type = AAAA}, text);
	asked(t, &(struct wire_query){.name = "no.mesh.test", .type = A}, text);
	asked(t, &(struct wire_query){.name = "example.com", .type = A}, text);
	CU_ASSERT_EQUAL(counters[MT_DNS_queries], 4);
	CU_ASSERT_EQUAL(counters[MT_DNS_answered], 1);
	CU_ASSERT_EQUAL(counters[MT_DNS_no_data], 1);
	CU_ASSERT_EQUAL(counters[MT_DNS_no_such_name], 1);
	outcomes_seen(&mt_dns_outcomes, counters);
	mt_dns_table_put(t);
}

const struct mt_test answer_tests[] = {{"talk", test_talk}, {"heads", test_heads},
	{"without_servers", test_without_servers}, {"rotation", test_rotation},
	{"truncation", test_truncation}, {"error", test_error}, {"counts", test_counts}, {0}};
