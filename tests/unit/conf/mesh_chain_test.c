/* SPDX-License-Identifier: Apache-2.0 */
/* Filter chains of discovery services' listeners: which of them are served, and that nobody gets one that is not his. */
#include "mesh_build.h"

#include <stdio.h>

/* To a cluster of its name each. */
static const struct {
	const char *what;
	uint32_t port;
	const char *prefix, *transport, *server_name;
	bool tls;
} chain_rows[] = {
	{"tls", 0, NULL, "tls", NULL, false},
	{"sni", 0, NULL, NULL, "a.x", false},
	{"context", 0, NULL, NULL, NULL, true},
	{"other port", 2, NULL, NULL, NULL, false},
	{"any", 0, NULL, NULL, NULL, false},
	{"net", 0, "192.0.2.0/24", NULL, NULL, false},
	{"host", 0, "192.0.2.1/32", "raw_buffer", NULL, false},
	{"elsewhere", 0, "198.51.100.0/24", NULL, NULL, false},
	{"port", 1, NULL, NULL, NULL, false},
	{"port elsewhere", 1, "198.51.100.0/24", NULL, NULL, false},
	{"last", 0, NULL, NULL, NULL, false},
};

static void add_row(struct mt_model *m, struct mt_res_listener *l, size_t i)
{
	struct mt_res_chain *c = mesh_chain(m, l);
	static const char *names[1];

	mesh_dest(m, &c->dests, &c->n_dests, chain_rows[i].what, 1);
	c->match.port = chain_rows[i].port;
	c->match.transport = chain_rows[i].transport;
	if (chain_rows[i].server_name) {
		names[0] = chain_rows[i].server_name;
		c->match.server_names = names;
		c->match.n_server_names = 1;
	}
	if (chain_rows[i].tls)
		c->tls = mt_region_alloc(&m->region, sizeof(*c->tls));
	if (!chain_rows[i].prefix)
		return;
	c->match.prefixes = mt_region_alloc(&m->region, sizeof(*c->match.prefixes));
	c->match.n_prefixes = 1;
	CU_ASSERT_EQUAL(mt_prefix_parse(chain_rows[i].prefix, &c->match.prefixes->addr,
				&c->match.prefixes->bits),
		0);
}

/* Where each of its protocols leads: "A B"; "": there is no listener. */
static const char *serves(const struct mt_snapshot *s, char text[256])
{
	const struct mt_listener *l = listener(s, "192.0.2.1", 1);
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; l && i < l->n_protos; i++)
		len += (size_t)snprintf(text + len, 256 - len, "%s%s", i ? ", " : "",
			s->clusters[l->protos[i].services[0]->tcp_cluster].name);
	return text;
}

/* Which chains serve of those from `first` to `last`, and what is told. */
static void chains(void)
{
	static const struct {
		size_t first, last;
		const char *serves, *words;
	} t[] = {
		{0, 8, "port", "one of its filter chains is served; connections that the 8 others"},
		{0, 7, "host", "the 7 others are for are refused"},
		{3, 5, "net", "the 2 others are for are refused"},
		{3, 4, "any", "the 1 others are for are refused"},
		{0, 1, "tls, sni", NULL},
		/* Who ends TLS gets what asks for nothing, and "any" nothing. */
		{0, 4, "tls, sni", "2 filter chains are served; connections that the 3 others"},
		{2, 2, "", "TLS cannot be ended: it names no certificate"},
		{3, 3, "", "no filter chain is for its address"},
		{7, 7, "", "no filter chain is for its address"},
		{8, 10, "port", "the 2 others are for are refused"},
		{9, 10, "", "no filter chain is for its address"},
	};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
		char text[256];

		for (size_t i = 0; i < MT_ARRAY_LEN(chain_rows); i++)
			mesh_simple_cluster(sc.m, chain_rows[i].what);
		for (size_t i = t[k].first; i <= t[k].last; i++)
			add_row(sc.m, l, i);
		mesh_load(&sc);
		CU_ASSERT_STRING_EQUAL(serves(sc.s, text), t[k].serves);
		CU_ASSERT_EQUAL(sc.diags.n, t[k].words != NULL);
		if (t[k].words)
			CU_ASSERT(
				mesh_told(&sc, *t[k].serves ? MT_DIAG_WARNING : MT_DIAG_NOT_SERVED,
					"l", t[k].words));
		mesh_scene_end(&sc);
	}
}

/* Where a client is led, who asks for a server name in TLS (NULL: he comes in clear text); "refused", or "none". */
static const char *led(const struct mesh_scene *sc, const char *client, const char *sni)
{
	struct mt_filter_chain_facts f = {.lport = 1, .rport = 40000, .tls = sni != NULL};
	const struct mt_listener *l = listener(sc->s, "192.0.2.1", 1);
	const struct mt_filter_chain *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(mt_addr_parse(client, &f.remote), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &f.local), 0);
	if (sni)
		f.name = (struct mt_slice){(const uint8_t *)sni, (uint32_t)strlen(sni)};
	c = mt_filter_chain_choose(l, &f);
	if (!c)
		return "none";
	if (c->refuse)
		return "refused";
	return sc->s->clusters[c->protos->services[0]->tcp_cluster].name;
}

static struct mt_res_match *limited(struct mt_model *m, struct mt_res_chain *c, const char *clients)
{
	c->match.sources = mt_region_alloc(&m->region, sizeof(*c->match.sources));
	c->match.n_sources = 1;
	CU_ASSERT_EQUAL(
		mt_prefix_parse(clients, &c->match.sources->addr, &c->match.sources->bits), 0);
	return &c->match;
}

static struct mt_res_chain *bytes_to(
	struct mesh_scene *sc, struct mt_res_listener *l, const char *to)
{
	struct mt_res_chain *c = mesh_chain(sc->m, l);

	mesh_simple_cluster(sc->m, to);
	mesh_dest(sc->m, &c->dests, &c->n_dests, to, 1);
	return c;
}

static void for_name(struct mt_res_chain *c, const char **name)
{
	c->match.transport = "tls";
	c->match.server_names = name;
	c->match.n_server_names = 1;
}

/* A chain for some clients only: they never get what is for the others, and the others never get theirs. */
static void by_client(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);

	limited(sc.m, bytes_to(&sc, l, "some"), "10.0.0.0/8");
	bytes_to(&sc, l, "rest");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	CU_ASSERT_FALSE(listener(sc.s, "192.0.2.1", 1)->decided);
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", NULL), "some");
	CU_ASSERT_STRING_EQUAL(led(&sc, "198.51.100.7", NULL), "rest");
	/* Alone it serves its own clients, and nobody else. */
	l->n_chains = 1;
	l->meta.serial++;
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", NULL), "some");
	CU_ASSERT_STRING_EQUAL(led(&sc, "198.51.100.7", NULL), "none");
	mesh_scene_end(&sc);
}

/* As of documents: TLS goes on as it is by the name that it asks for. Who ends TLS refuses those of his name. */
static void by_name(void)
{
	static const char *a[] = {"a.x"}, *b[] = {"*.b.x"}, *c[] = {"c.x"};
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	struct mt_res_chain *ends;

	for_name(bytes_to(&sc, l, "a"), a);
	for_name(bytes_to(&sc, l, "b"), b);
	ends = bytes_to(&sc, l, "c");
	for_name(ends, c);
	ends->tls = mt_region_alloc(&sc.m->region, sizeof(*ends->tls));
	l->fallback = bytes_to(&sc, mesh_listener(sc.m, "other", "192.0.2.2", 1), "rest");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 1);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "3 filter chains are served"));
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", "a.x"), "a");
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", "1.b.x"), "b");
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", "c.x"), "refused");
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", "d.x"), "rest");
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", NULL), "rest");
	mesh_scene_end(&sc);
}

/* Everybody gets the chain that asks for nothing, and what it ends is TLS; messages in TLS have nobody who reads them. */
static void nobody(void)
{
	static const char *a[] = {"a.x"};
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	struct mt_res_chain *ends = bytes_to(&sc, l, "all");

	ends->tls = mt_region_alloc(&sc.m->region, sizeof(*ends->tls));
	l->fallback = bytes_to(&sc, mesh_listener(sc.m, "other", "192.0.2.2", 1), "rest");
	l = mesh_listener(sc.m, "m", "192.0.2.3", 1);
	mesh_proxy(sc.m, l, "dubbo", NULL);
	for_name(&l->chains[0], a);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 1);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "l", "TLS cannot be ended"));
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "m", "messages that come in TLS"));
	mesh_scene_end(&sc);
}

/*
 * What asks clear text for an application protocol gets nobody, and takes clear text from chains that ask for less, as in Envoy; it
 * is left out where that takes nothing from anybody.
 */
static void in_clear_text(void)
{
	static const char *h2[] = {"h2"}, *a[] = {"a.x"};
	static const struct {
		bool named, plain, any, fallback; /* the others */
		const char *clear, *tls;
		uint32_t n_chains;
	} t[] = {
		{.any = true, .clear = "none", .tls = "any", .n_chains = 2},
		{.any = true, .fallback = true, .clear = "rest", .tls = "any", .n_chains = 3},
		{.any = true, .plain = true, .clear = "plain", .tls = "any", .n_chains = 2},
		{.fallback = true, .clear = "rest", .tls = "rest", .n_chains = 1},
		{.named = true, .any = true, .clear = "any", .tls = "none", .n_chains = 2},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
		struct mt_res_chain *c = bytes_to(&sc, l, "nobody");

		c->match.transport = "raw_buffer";
		c->match.alpn = h2;
		c->match.n_alpn = 1;
		c->match.server_names = a;
		c->match.n_server_names = t[i].named;
		if (t[i].plain)
			bytes_to(&sc, l, "plain")->match.transport = "raw_buffer";
		if (t[i].any)
			bytes_to(&sc, l, "any");
		if (t[i].fallback)
			l->fallback =
				bytes_to(&sc, mesh_listener(sc.m, "other", "192.0.2.2", 1), "rest");
		mesh_load(&sc);
		CU_ASSERT_EQUAL(listener(sc.s, "192.0.2.1", 1)->n_chains, t[i].n_chains);
		CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", NULL), t[i].clear);
		CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", "a.x"), t[i].tls);
		mesh_scene_end(&sc);
	}
}

static const struct mt_service *of_listener(const struct mt_snapshot *s, uint32_t proto)
{
	return listener(s, "192.0.2.1", 1)->protos[proto].services[0];
}

/* Each chain's service is taken over for itself; one that cannot be compiled costs its listener, as it does alone. */
static void shared(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	const struct mt_service *some, *rest;
	struct mt_res_chain *c;
	struct mt_res_routes *r;

	mesh_simple_cluster(sc.m, "x");
	mesh_proxy(sc.m, l, "dubbo", "r");
	limited(sc.m, &l->chains[0], "10.0.0.0/8");
	bytes_to(&sc, l, "rest");
	r = mesh_routes(sc.m, "r");
	mesh_rule(sc.m, &r->list, "all", "x");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	some = of_listener(sc.s, 0);
	rest = of_listener(sc.s, 1);
	CU_ASSERT_STRING_EQUAL(some->resource, "l");
	CU_ASSERT_STRING_EQUAL(rest->resource, "l");
	CU_ASSERT_EQUAL(sc.s->n_services, 2);
	mesh_load(&sc);
	CU_ASSERT_PTR_EQUAL(of_listener(sc.s, 0), some);
	CU_ASSERT_PTR_EQUAL(of_listener(sc.s, 1), rest);
	mesh_rule(sc.m, &r->list, "more", "x");
	r->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_EQUAL(of_listener(sc.s, 0), some);
	CU_ASSERT_PTR_EQUAL(of_listener(sc.s, 1), rest);
	c = &l->chains[0];
	c->proxy->protocol.s = "no such protocol";
	l->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(listener(sc.s, "192.0.2.1", 1));
	CU_ASSERT_EQUAL(sc.s->n_services, 0);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "l", "unknown protocol"));
	mesh_scene_end(&sc);
}

/* Criteria behind the address cannot bring back what it has ruled out, whichever of the listener's addresses it is. */
static void by_address(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.9", 1);
	struct mt_res_address *at =
		mt_region_push(&sc.m->region, (void **)&l->addresses, &l->n_addresses, sizeof(*at));
	struct mt_res_chain *c;

	*at = (struct mt_res_address){.port = 1};
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &at->addr), 0);
	c = bytes_to(&sc, l, "second");
	c->match.prefixes = mt_region_alloc(&sc.m->region, sizeof(*c->match.prefixes));
	c->match.n_prefixes = 1;
	c->match.prefixes[0] = (struct mt_res_prefix){at->addr, 32};
	bytes_to(&sc, l, "first");
	bytes_to(&sc, l, "never");
	mesh_load(&sc);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "the 1 others"));
	CU_ASSERT_STRING_EQUAL(led(&sc, "10.1.2.3", NULL), "second");
	CU_ASSERT_EQUAL(sc.s->n_services, 2);
	CU_ASSERT_EQUAL(listener(sc.s, "192.0.2.9", 1)->n_protos, 2);
	mesh_scene_end(&sc);
}

/* A listener's own protocol detection time-out is used before MeshConfig's; 0 is none. */
static void detection(void)
{
	static const struct {
		struct mt_num own, mesh;
		uint32_t want;
	} rows[] = {
		{{0}, {0}, MT_LISTENER_DETECT_MS},
		{{0}, {.v = 5000, .set = true}, 5000},
		{{0}, {.set = true}, MT_LISTENER_DETECT_NEVER},
		{{.v = 15000, .set = true}, {.v = 5000, .set = true}, 15000},
		{{.set = true}, {.v = 5000, .set = true}, MT_LISTENER_DETECT_NEVER},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
		const struct mt_mesh_config mesh = {.detect_timeout = rows[i].mesh};

		l->detect = rows[i].own;
		sc.m->mesh.config = &mesh;
		bytes_to(&sc, l, "all");
		mesh_load(&sc);
		CU_ASSERT_EQUAL(listener(sc.s, "192.0.2.1", 1)->detect_ms, rows[i].want);
		mesh_scene_end(&sc);
	}
}

const struct mt_test mesh_chain_tests[] = {
	{"detection", detection},
	{"chains", chains},
	{"by_client", by_client},
	{"by_name", by_name},
	{"by_address", by_address},
	{"nobody", nobody},
	{"in_clear_text", in_clear_text},
	{"shared", shared},
	{0},
};
