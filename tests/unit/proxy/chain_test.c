/* SPDX-License-Identifier: Apache-2.0 */
/* Which filter chain a connection gets: the order of criteria as Envoy documents it for FilterChainMatch. */
#include "mt_snapshot.h"
#include "mt_strmap.h"
#include "scene.h"

#define A(text) prefix(text)

/* "198.51.100.0/24", kept for good. */
static struct mt_prefix *prefix(const char *text)
{
	static struct mt_prefix all[64];
	static uint32_t n;
	struct mt_prefix *p = &all[n++];

	MT_ASSERT(n <= MT_ARRAY_LEN(all) && mt_prefix_parse(text, &p->addr, &p->bits) == 0);
	return p;
}

static const char *const a_example[] = {"a.example"};
static const char *const star_example[] = {"*.example"};
static const char *const star_b_example[] = {"*.b.example"};
static const char *const h2[] = {"h2"};
static const char *const http1[] = {"http/1.1"};
static const char *const h2_or_http1[] = {"h2", "http/1.1"};
static const uint16_t ports[] = {7, 9};

struct ask {
	const char *local, *remote, *name, *alpn;
	uint16_t lport, rport;
	bool tls;
	const char *gets; /* the chain's name; NULL: none */
	bool by_bytes;	  /* addresses do not tell */
};

static void check(struct mt_filter_chain *chains, uint32_t n, const struct ask *q)
{
	struct mt_listener l = {.chains = chains, .n_chains = n};
	struct mt_filter_chain_facts f = {.lport = q->lport ? q->lport : 443,
		.rport = q->rport ? q->rport : 40000,
		.tls = q->tls || q->name || q->alpn};
	const struct mt_filter_chain *c;

	mt_addr_parse(q->local ? q->local : "192.0.2.1", &f.local);
	mt_addr_parse(q->remote ? q->remote : "203.0.113.9", &f.remote);
	if (q->name)
		f.name = (struct mt_slice){(const uint8_t *)q->name, (uint32_t)strlen(q->name)};
	if (q->alpn)
		f.alpn = (struct mt_slice){(const uint8_t *)q->alpn, (uint32_t)strlen(q->alpn)};
	c = mt_filter_chain_choose(&l, &f);
	CU_ASSERT_EQUAL(c != NULL, q->gets != NULL);
	if (c && q->gets)
		CU_ASSERT_STRING_EQUAL(c->name, q->gets);
	CU_ASSERT_EQUAL(mt_filter_chain_asks_bytes(&l, &f), q->by_bytes);
}

static void test_names(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "any"},
		{.name = "*.example", .match = {.server_names = star_example, .n_server_names = 1}},
		{.name = "*.b.example",
			.match = {.server_names = star_b_example, .n_server_names = 1}},
		{.name = "a", .match = {.server_names = a_example, .n_server_names = 1}},
	};
	static const struct ask asks[] = {
		{.name = "a.example", .gets = "a", .by_bytes = true},
		{.name = "c.example", .gets = "*.example", .by_bytes = true},
		{.name = "x.a.example", .gets = "*.example", .by_bytes = true},
		{.name = "x.b.example", .gets = "*.b.example", .by_bytes = true},
		{.name = "b.example", .gets = "*.example", .by_bytes = true},
		{.name = "example", .gets = "any", .by_bytes = true},
		{.name = ".example", .gets = "any", .by_bytes = true},
		{.name = "aexample", .gets = "any", .by_bytes = true},
		{.tls = true, .gets = "any", .by_bytes = true},
		{.gets = "any", .by_bytes = true},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(asks); i++)
		check(chains, MT_ARRAY_LEN(chains), &asks[i]);
	/* Without the one that takes all, who says no name has no chain. */
	check(chains + 1, 3, &(struct ask){.tls = true, .by_bytes = true});
}

/* An earlier criterion that matches more specifically wins, and nothing goes back. */
static void test_order(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "port", .match = {.dst_port = 443, .transport = MT_TRANSPORT_TLS}},
		{.name = "prefix", .match = {.dst = A("192.0.2.1"), .n_dst = 1}},
		{.name = "wide", .match = {.dst = A("192.0.0.0/8"), .n_dst = 1}},
		{.name = "wider", .match = {.dst = A("0.0.0.0/0"), .n_dst = 1}},
		{.name = "any"},
	};

	check(chains, 5, &(struct ask){.tls = true, .gets = "port", .by_bytes = true});
	check(chains, 5, &(struct ask){.by_bytes = true}); /* plain, and no way back */
	check(chains, 5, &(struct ask){.lport = 80, .gets = "prefix"});
	check(chains, 5, &(struct ask){.lport = 80, .local = "192.9.9.9", .gets = "wide"});
	check(chains, 5, &(struct ask){.lport = 80, .local = "10.0.0.1", .gets = "wider"});
	check(chains, 5, &(struct ask){.lport = 80, .local = "2001:db8::1", .gets = "any"});
}

static void test_transport_and_alpn(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "tls", .match = {.transport = MT_TRANSPORT_TLS}},
		{.name = "plain", .match = {.transport = MT_TRANSPORT_PLAIN}},
		{.name = "h2", .match = {.transport = MT_TRANSPORT_TLS, .alpn = h2, .n_alpn = 1}},
		{.name = "http1",
			.match = {.transport = MT_TRANSPORT_TLS, .alpn = http1, .n_alpn = 1}},
	};

	check(chains, 4, &(struct ask){.gets = "plain", .by_bytes = true});
	check(chains, 4, &(struct ask){.tls = true, .gets = "tls", .by_bytes = true});
	check(chains, 4,
		&(struct ask){.alpn = "\x03"
				      "foo",
			.gets = "tls",
			.by_bytes = true});
	check(chains, 4,
		&(struct ask){.alpn = "\x02h2\x08http/1.1", .gets = "h2", .by_bytes = true});
	/* The client's order counts. */
	check(chains, 4,
		&(struct ask){.alpn = "\x08http/1.1\x02h2", .gets = "http1", .by_bytes = true});
	check(chains + 2, 2, &(struct ask){.tls = true, .by_bytes = true});
}

/* A client may send thousands of names: the first 32 count, for any chain. */
static void test_many_protocols(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "any"},
		{.name = "h2", .match = {.alpn = h2, .n_alpn = 1}},
		{.name = "both", .match = {.dst_port = 9, .alpn = h2_or_http1, .n_alpn = 2}},
	};
	char sent[2 * 33 + 16];

	for (uint32_t before = 30; before < 34; before++) {
		for (uint32_t i = 0; i < before; i++)
			memcpy(sent + 2 * i, "\x01x", 2);
		memcpy(sent + 2 * before, "\x02h2\x08http/1.1", 13);
		check(chains, 3,
			&(struct ask){.alpn = sent,
				.gets = before < 32 ? "h2" : "any",
				.by_bytes = true});
		check(chains, 3,
			&(struct ask){.alpn = sent,
				.lport = 9,
				.gets = before < 32 ? "both" : NULL,
				.by_bytes = true});
	}
}

/* A later criterion counts where the earlier ones are level, and what does not match in the end may have won before. */
static void test_level(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "h2 from 10/8",
			.match = {.alpn = h2, .n_alpn = 1, .src = A("10.0.0.0/8"), .n_src = 1}},
		{.name = "h2 on 80", .match = {.dst_port = 80, .alpn = h2, .n_alpn = 1}},
		{.name = "both", .match = {.alpn = h2_or_http1, .n_alpn = 2}},
		{.name = "local", .match = {.source = MT_SOURCE_LOCAL}},
		{.name = "any"},
	};
	const char *h2_first = "\x02h2\x08http/1.1", *http1_first = "\x08http/1.1\x02h2";

	for (int turned = 0; turned < 2; turned++) {
		check(chains, 5, &(struct ask){.alpn = h2_first, .gets = "both", .by_bytes = true});
		check(chains, 5,
			&(struct ask){.alpn = http1_first, .gets = "both", .by_bytes = true});
		check(chains, 5,
			&(struct ask){.alpn = h2_first,
				.remote = "10.1.1.1",
				.gets = "h2 from 10/8",
				.by_bytes = true});
		check(chains, 5,
			&(struct ask){.alpn = h2_first,
				.lport = 80,
				.gets = "h2 on 80",
				.by_bytes = true});
		check(chains, 5, &(struct ask){.tls = true, .lport = 80, .by_bytes = true});
		check(chains, 5, &(struct ask){.tls = true, .gets = "any", .by_bytes = true});
		check(chains, 5,
			&(struct ask){.tls = true,
				.remote = "127.0.0.1",
				.gets = "local",
				.by_bytes = true});
		for (int i = 0; i < 2; i++) {
			struct mt_filter_chain c = chains[i];

			chains[i] = chains[4 - i];
			chains[4 - i] = c;
		}
	}
}

static void test_sources(void)
{
	struct mt_filter_chain chains[] = {
		{.name = "local", .match = {.source = MT_SOURCE_LOCAL}},
		{.name = "external", .match = {.source = MT_SOURCE_EXTERNAL}},
		{.name = "net",
			.match = {.source = MT_SOURCE_EXTERNAL,
				.src = A("203.0.113.0/24"),
				.n_src = 1}},
		{.name = "host",
			.match = {.source = MT_SOURCE_EXTERNAL,
				.src = A("203.0.113.9"),
				.n_src = 1}},
		{.name = "port",
			.match = {.source = MT_SOURCE_EXTERNAL,
				.src = A("203.0.113.9"),
				.n_src = 1,
				.src_ports = ports,
				.n_src_ports = 2}},
	};

	check(chains, 5, &(struct ask){.remote = "127.1.2.3", .gets = "local"});
	check(chains, 5, &(struct ask){.remote = "::1", .gets = "local"});
	check(chains, 5, &(struct ask){.remote = "192.0.2.1", .gets = "local"});
	check(chains, 5, &(struct ask){.remote = "198.51.100.1", .gets = "external"});
	check(chains, 5, &(struct ask){.remote = "203.0.113.8", .gets = "net"});
	check(chains, 5, &(struct ask){.gets = "host"});
	check(chains, 5, &(struct ask){.rport = 9, .gets = "port"});
	check(chains + 2, 3, &(struct ask){.remote = "198.51.100.1"});
}

/* The same chain of another snapshot is found by what it matches, whatever its place and name are. */
static void test_identity(void)
{
	struct mt_filter_chain_proto protos[2][3] = {
		{{.codec = &toy_codec}, {.codec = &toy_opaque_codec}, {.codec = &toy_codec}},
		{{.codec = &toy_codec}, {.codec = &toy_codec}, {.codec = &toy_opaque_codec}}};
	struct mt_filter_chain chains[2][3] = {
		{{.name = "a", .n_protos = 1},
			{.name = "b", .n_protos = 1, .match = {.transport = MT_TRANSPORT_TLS}},
			{.name = "c",
				.n_protos = 1,
				.match = {.src = A("10.0.0.0/8"), .n_src = 1}}},
		{{.name = "x", .n_protos = 1, .match = {.src = A("10.0.0.0/8"), .n_src = 1}},
			{.name = "a", .n_protos = 1},
			{.name = "b", .n_protos = 1, .match = {.transport = MT_TRANSPORT_TLS}}}};
	struct mt_listener l[2] = {
		{.chains = chains[0], .n_chains = 3, .protos = protos[0], .n_protos = 3},
		{.chains = chains[1], .n_chains = 3, .protos = protos[1], .n_protos = 3}};

	mt_listener_link(&l[0]);
	mt_listener_link(&l[1]);
	CU_ASSERT_FALSE(l[0].decided);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(mt_filter_chain_find(&l[1], chains[0][i].id, protos[0][i].codec,
					    protos[0][i].codec_opts),
			&protos[1][(i + 1) % 3]);
	CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l[1], chains[0][0].id, &toy_opaque_codec, 0));
	CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l[1], chains[0][0].id, &toy_codec, 1));
	chains[1][1].refuse = "cannot be served";
	CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l[1], chains[0][0].id, &toy_codec, 0));
	l[0].n_chains = l[0].n_protos = 1;
	mt_listener_link(&l[0]);
	CU_ASSERT_TRUE(l[0].decided);
}

/*
 * After a change of a codec file each chain is found with the new version, and not a chain before
 * it; also by `kin`, if it terminates TLS. Not with a codec of other rules.
 */
static void test_versions(void)
{
	const struct mt_codec old = {.name = "acme", .content = 1},
			      new = {.name = "acme", .content = 2},
			      other = {.name = "acme", .content = 3, .executes_other = true};
	struct mt_filter_chain_proto protos[3] = {
		{.codec = &toy_codec}, {.codec = &new}, {.codec = &new}};
	struct mt_filter_chain chains[3] = {{.n_protos = 1},
		{.n_protos = 1, .match = {.server_names = a_example, .n_server_names = 1}},
		{.n_protos = 1, .match = {.server_names = star_b_example, .n_server_names = 1}}};
	struct mt_listener l = {.chains = chains, .n_chains = 3, .protos = protos, .n_protos = 3};

	mt_listener_link(&l);
	CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l, chains[0].id, &old, 0));
	for (uint32_t i = 1; i < 3; i++) {
		CU_ASSERT_PTR_EQUAL(mt_filter_chain_find(&l, chains[i].id, &old, 0), &protos[i]);
		CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l, chains[i].id, &old, 1));
		CU_ASSERT_PTR_NULL(mt_filter_chain_find(&l, chains[i].id, &other, 0));
		CU_ASSERT_PTR_NULL(mt_filter_chain_heir(&l, chains[i].kin, &old, 0));
		chains[i].tls = (struct mt_tls_context *)&l; /* only whether there is one counts */
		CU_ASSERT_PTR_EQUAL(mt_filter_chain_heir(&l, chains[i].kin, &old, 0), &protos[i]);
		CU_ASSERT_PTR_NULL(mt_filter_chain_heir(&l, chains[i].kin, &other, 0));
	}
}

/*
 * Names whose unkeyed hashes (mt_hash_bytes(), as a chain's identity would chain them) are equal:
 * the one chain does not take the other one's connections.
 */
static void test_forged_names(void)
{
	static const char *const names[2][1] = {{"oifaefgochbbngbn.a"}, {"hnhojonfmpblhajb.a"}};
	struct mt_filter_chain_proto protos[2] = {{.codec = &toy_codec}, {.codec = &toy_codec}};
	struct mt_filter_chain chains[2] = {
		{.n_protos = 1, .match = {.server_names = names[0], .n_server_names = 1}},
		{.n_protos = 1, .match = {.server_names = names[1], .n_server_names = 1}}};
	struct mt_listener l = {.chains = chains, .n_chains = 2, .protos = protos, .n_protos = 2};
	const uint32_t none[3] = {0}, no_prefix = 0, one_name = 1;
	uint64_t h = mt_hash_bytes(&one_name, sizeof(one_name),
		mt_hash_bytes(&no_prefix, sizeof(no_prefix), mt_hash_bytes(none, sizeof(none), 0)));

	CU_ASSERT_EQUAL(mt_strhash(names[0][0], h), mt_strhash(names[1][0], h));
	mt_listener_link(&l);
	CU_ASSERT_NOT_EQUAL(chains[0].kin, chains[1].kin);
	CU_ASSERT_NOT_EQUAL(chains[0].id, chains[1].id);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_PTR_EQUAL(
			mt_filter_chain_find(&l, chains[i].id, &toy_codec, 0), &protos[i]);
}

/* A chain of some of the criteria; most ask for a name alone, as those of gateways do. */
static void draw_chain(struct mt_rand *rng, struct mt_filter_chain *c, char names[3][32],
	const char *list[3], struct mt_prefix *net)
{
	static const char *const forms[] = {"n%u.example", "n%u.example", "*.n%u.example"};
	uint32_t n = mt_rand_below(rng, 8) ? 1 + mt_rand_below(rng, 3) : 0;
	bool wild = mt_rand_below(rng, 6) == 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *form = forms[wild ? mt_rand_below(rng, 3) : 0];

		snprintf(names[i], 32, form, mt_rand_below(rng, 24));
		list[i] = names[i];
	}
	*c = (struct mt_filter_chain){
		.name = "c", .match = {.server_names = list, .n_server_names = n}};
	if (mt_rand_below(rng, 3) == 0)
		c->match.transport = MT_TRANSPORT_TLS;
	if (mt_rand_below(rng, 3) == 0) {
		c->match.alpn = h2_or_http1;
		c->match.n_alpn = 1 + mt_rand_below(rng, 2);
	}
	if (mt_rand_below(rng, 10) == 0) {
		MT_ASSERT(mt_prefix_parse("192.0.2.0/24", &net->addr, &net->bits) == 0);
		c->match.dst = net;
		c->match.n_dst = 1;
	}
	c->match.dst_port = mt_rand_below(rng, 12) == 0 ? 443 : 0;
}

/* By the index of names as without it, whatever else chains ask for. */
static void test_many_names(void)
{
	static struct mt_filter_chain chains[80];
	static char names[80][3][32];
	static const char *lists[80][3];
	static struct mt_prefix nets[80];
	uint32_t indexed = 0, found = 0;
	struct mt_rand rng;

	mt_rand_seed(&rng, 22);
	for (uint32_t round = 0; round < 60; round++) {
		struct mt_listener l = {.chains = chains, .n_chains = 20 + mt_rand_below(&rng, 60)};

		for (uint32_t i = 0; i < l.n_chains; i++)
			draw_chain(&rng, &chains[i], names[i], lists[i], &nets[i]);
		l.has_fallback = mt_rand_below(&rng, 2);
		CU_ASSERT_EQUAL_FATAL(mt_chain_names_build(&l), 0);
		indexed += l.names != NULL;
		for (uint32_t i = 0; l.names && i < 200; i++) {
			char name[32];
			struct mt_filter_chain_facts f = {
				.lport = 443, .tls = mt_rand_below(&rng, 8)};
			struct mt_chain_names *by = l.names;
			const struct mt_filter_chain *c;
			bool asks;

			snprintf(name, sizeof(name),
				mt_rand_below(&rng, 4) ? "n%u.example" : "x.n%u.example",
				mt_rand_below(&rng, 28));
			if (mt_rand_below(&rng, 8))
				f.name = (struct mt_slice){
					(const uint8_t *)name, (uint32_t)strlen(name)};
			if (mt_rand_below(&rng, 2))
				f.alpn = (struct mt_slice){(const uint8_t *)"\10http/1.1\2h2", 12};
			mt_addr_parse(
				mt_rand_below(&rng, 2) ? "192.0.2.1" : "198.51.100.1", &f.local);
			c = mt_filter_chain_choose(&l, &f);
			asks = mt_filter_chain_asks_bytes(&l, &f);
			l.names = NULL;
			CU_ASSERT_PTR_EQUAL(c, mt_filter_chain_choose(&l, &f));
			CU_ASSERT_EQUAL(asks, mt_filter_chain_asks_bytes(&l, &f));
			l.names = by;
			found += c != NULL;
		}
		free(l.names);
	}
	CU_ASSERT(indexed > 30);
	CU_ASSERT(found > 1000);
}

const struct mt_test chain_tests[] = {{"many names", test_many_names}, {"server names", test_names},
	{"order", test_order}, {"transport and protocols", test_transport_and_alpn},
	{"many protocols", test_many_protocols}, {"level", test_level}, {"sources", test_sources},
	{"identity", test_identity}, {"versions of a codec file", test_versions},
	{"names with equal hashes", test_forged_names}, {0}};
