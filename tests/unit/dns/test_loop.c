/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of the host that send queries back to this node. */
#include "lab.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct wire_query www = {.name = "Www.Example.org", .type = A, .id = 4711};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* systemd-resolved's own address stands for the servers that it has, but this node's. */
static void test_host_servers(void)
{
	static const struct {
		const char *conf, *resolved; /* NULL: there is no such file */
		const char *want;
	} cases[] = {
		{"nameserver 192.0.2.1\n", "nameserver 192.0.2.2\n", "192.0.2.1"},
		{"nameserver 127.0.0.53\n", "nameserver 192.0.2.2\nnameserver 192.0.2.3\n",
			"192.0.2.2 192.0.2.3"},
		{"nameserver 127.0.0.54\nnameserver 192.0.2.2\n",
			"nameserver 127.0.0.1\nnameserver 192.0.2.2\nnameserver 2001:db8::53\n",
			"192.0.2.2 2001:db8::53"},
		{"nameserver 127.0.0.53\n", "nameserver 127.0.0.1\n", ""},
		{"nameserver 127.0.0.53\n", NULL, "127.0.0.53"},
		{"nameserver 127.0.0.1\n", "nameserver 192.0.2.2\n", "127.0.0.1"},
		{"", "nameserver 192.0.2.2\n", ""},
	};
	const struct mt_addr own = mt_addr4(0x0100007f);
	char dir[] = "/tmp/mt_servers_XXXXXX", conf[64], resolved[64];
	const struct mt_dns_host_files files = {conf, resolved};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(conf, sizeof(conf), "%s/a", dir);
	snprintf(resolved, sizeof(resolved), "%s/b", dir);
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct mt_dns_address v[MT_DNS_SERVERS_MAX];
		char text[256] = "", a[MT_ADDR_STRLEN];
		uint32_t n;

		write_file(conf, cases[i].conf);
		unlink(resolved);
		if (cases[i].resolved)
			write_file(resolved, cases[i].resolved);
		n = mt_dns_host_servers(&files, &own, v);
		for (uint32_t k = 0; k < n; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				k ? " " : "", mt_addr_str(&v[k].addr, a));
		CU_ASSERT_STRING_EQUAL(text, cases[i].want);
	}
	unlink(conf);
	unlink(resolved);
	rmdir(dir);
}

/* The client, or a server on its behalf, sends what came to another server. */
static void send_back(struct lab *l, const struct asked *a)
{
	CU_ASSERT_EQUAL(send(l->client, a->b, a->len, 0), a->len);
	l->id = mt_dns_id(a->b);
	lab_turn(l);
}

/* A server that sends our queries back gets none: they go to the others, or end at once. */
static void test_loop(void)
{
	struct mt_dns_upstream_info info;
	struct asked a, round;
	struct lab l;
	char text[4096];

	lab_open(&l, 2, 0);
	CU_ASSERT_TRUE(lab_probed(&l, 0, &round) && lab_probed(&l, 1, &a));
	/* A query is under way there when it is found. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	for (uint32_t i = 13; i < 29; i++)
		round.b[i] = (uint8_t)toupper(round.b[i]);
	send_back(&l, &round);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab_answer(&l, l.client, text), "SERVFAIL"));
	CU_ASSERT(mt_dns_server_upstream(l.s, 0, &info) && info.loops);
	CU_ASSERT(mt_dns_server_upstream(l.s, 1, &info) && !info.loops);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	l.id = www.id;
	lab_reply(&l, 1, &a, 0x8180, 0, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "NOERROR ra Www.Example.org");
	for (int i = 0; i < 5; i++) {
		lab_ask(&l, l.client, &www);
		CU_ASSERT_FALSE(lab_asked(&l, 0, &a));
		CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
		lab_wait(&l, 1600 * MT_MSEC);
		CU_ASSERT_FALSE(lab_asked(&l, 0, &a));
		CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
		lab_reply(&l, 1, &a, 0x8180, 0, false);
		(void)lab_answer(&l, l.client, text);
	}
	/* Its next probe does not come back: it is used again. */
	lab_wait(&l, 31 * MT_SEC);
	CU_ASSERT_TRUE(lab_probed(&l, 0, &a));
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT(mt_dns_server_upstream(l.s, 0, &info) && !info.loops);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_close(&l);
}

/* All servers loop: each query ends at once. A probe of another node is a query like others. */
static void test_only_loops(void)
{
	static const struct wire_query foreign = {
		.name = "0123456789abcdef.loop-check.meltemi.example.com", .type = A, .id = 5};
	struct mt_dns_upstream_info info;
	struct asked a, round;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	CU_ASSERT_TRUE(lab_probed(&l, 0, &round));
	lab_ask(&l, l.client, &foreign);
	CU_ASSERT_TRUE(lab_probed(&l, 0, &a));
	CU_ASSERT(mt_dns_server_upstream(l.s, 0, &info) && !info.loops);
	lab_reply(&l, 0, &a, 0x8183, 0, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(lab_answer(&l, l.client, text), "NXDOMAIN"));
	/* A query goes round, and so does what asks for it. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	send_back(&l, &a);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 2);
	send_back(&l, &round);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	for (int i = 0; i < 3; i++) {
		ssize_t n = recv(l.client, text, sizeof(text), 0);

		CU_ASSERT(n > 12 && mt_dns_rcode((uint8_t *)text) == MT_DNS_SERVFAIL);
	}
	while (lab_asked(&l, 0, &a))
		;
	lab_ask(&l, l.client, &www);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_FALSE(lab_asked(&l, 0, &a));
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_loops), 1);
	/* It still loops half a minute later. */
	lab_wait(&l, 31 * MT_SEC);
	CU_ASSERT_TRUE(lab_probed(&l, 0, &round));
	send_back(&l, &round);
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT(mt_dns_server_upstream(l.s, 0, &info) && info.loops);
	lab_close(&l);
}

/* No host and no zone of the mesh answers a probe, whatever it covers. */
static void test_covered(void)
{
	static const char *const zones[] = {"example.com"};
	static const struct mt_dns_rules rules[] = {
		{.ttl = 30}, {.zones = zones, .n_zones = 1, .ttl = 30}};
	const struct mt_addr addr = mt_addr4(0x010000f0);

	for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		struct mt_dns_builder *b = mt_dns_builder_new(&rules[i]);
		struct mt_dns_upstream_info info;
		struct asked round;
		struct lab l;

		lab_open(&l, 1, 0);
		mt_dns_table_put(l.t);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS,
					i ? "a.example.com" : "*.example.com", &addr, 1),
			0);
		l.t = mt_dns_builder_finish(b, NULL);
		CU_ASSERT_TRUE(lab_probed(&l, 0, &round));
		/* Unbound and others answer names below "test" themselves. */
		CU_ASSERT_PTR_NOT_NULL(memmem(round.b, round.len, "\7example\3com", 13));
		send_back(&l, &round);
		CU_ASSERT(mt_dns_server_upstream(l.s, 0, &info) && info.loops);
		lab_close(&l);
	}
}

const struct mt_test loop_tests[] = {{"host_servers", test_host_servers}, {"loop", test_loop},
	{"only_loops", test_only_loops}, {"covered", test_covered}, {0}};
