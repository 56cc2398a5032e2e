/* SPDX-License-Identifier: Apache-2.0 */
/* What the Node gives to its sources: the index answers as a comparison with each entry does. */
#include "suites.h"

#include "mt_meant.h"
#include "mt_owned.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- hosts ----------------------------------------------------------------------------------- */

static const struct {
	const char *owned, *host;
	bool overlap;
} hosts[] = {
	{"pay.example.com", "pay.example.com", true},
	{"pay.example.com", "pay.example.org", false},
	{"pay.example.com", "x.pay.example.com", false},
	{"pay.example.com", "example.com", false},
	{"pay.example.com", "*.example.com", true},
	{"pay.example.com", "*.com", true},
	{"pay.example.com", "*.pay.example.com", false},
	{"pay.example.com", "*", true},
	{"pay.example.com", "*y.example.com", true},
	{"*.example.com", "pay.example.com", true},
	{"*.example.com", "a.b.example.com", true},
	{"*.example.com", "example.com", false},
	{"*.example.com", "badexample.com", false},
	{"*.example.com", "*.example.com", true},
	{"*.example.com", "*.com", true},
	{"*.example.com", "*.pay.example.com", true},
	{"*.example.com", "*example.com", true},
	{"*.example.com", "*.example.org", false},
	/* The names of a Service. */
	{"pay.shop", "pay.shop.svc.cluster.local", true},
	{"pay.shop", "pay.shop.svc", true},
	{"pay.shop.svc", "pay.shop", true},
	{"pay.shop.svc.cluster.local", "pay.shop", true},
	{"pay.shop.svc.cluster.local", "pay.shop.svc", true},
	{"pay.shop.svc.cluster.local", "pay.other", false},
	{"pay.shop.svc.cluster.local", "pay", false},
	{"example.com", "example.com.svc.cluster.local", true},
	{"*.shop.svc.cluster.local", "pay.shop", true},
	{"*.shop.svc.cluster.local", "pay.a", false},
	{"pay.shop", "*.shop.svc.cluster.local", true},
	{"*.svc.cluster.local", "pay.a", true},
	{"pay.a.shop.svc.cluster.local", "pay.a.shop", false},
	/* A wildcard covers a Service by each of its names, but has no short name itself. */
	{"*.shop.svc.cluster.local", "pay.shop.svc", true},
	{"*.shop.svc.cluster.local", "a.b.shop", false},
	{"*.shop.svc.cluster.local", "a.b.shop.svc", false},
	{"*.shop", "pay.shop.svc.cluster.local", true},
	{"*.shop", "a.b.svc.cluster.local", false},
	{"*.shop", "a.b.shop.svc.cluster.local", false},
	{"*.shop", "a.b.shop", true},
	{"*.shop", "*.shop.svc.cluster.local", true},
	{"*.shop", "*.shop.svc", true},
	{"*.shop.svc.cluster.local", "*.shop", true},
	{"*.shop", "*.svc.cluster.local", true},
	{"*.shop", "*.local", true},
	{"*.shop", "*.other.svc.cluster.local", false},
	{"*.shop", "*.a.shop.svc.cluster.local", false},
	{"*.a.shop", "*.a.shop.svc.cluster.local", false},
	{"*.svc", "*.shop", true},
	{"*.svc.cluster.local", "*.example.com", false},
	{"*.svc.cluster.local", "*.com", true},
	/* Texts that are not names. */
	{"pay.shop", "", false},
	{"pay.shop", ".", false},
	{"pay.shop", "..", false},
	{"pay.shop", "a.", false},
	{"pay.shop", "..svc", false},
	{"pay.shop", ".svc.cluster.local", false},
};

/* A Node with one list of hosts or addresses for each source. */
struct lists {
	struct mt_node node;
	struct mt_node_source source[4];
	struct mt_node_owns owns[4];
	struct mt_text host[4][8];
	struct mt_node_addr addr[4][8];
	char text[4][8][64];
};

static void begin(struct lists *l)
{
	memset(l, 0, sizeof(*l));
	l->node.sources = l->source;
	l->node.n_sources = MT_ARRAY_LEN(l->source);
	for (size_t i = 0; i < MT_ARRAY_LEN(l->source); i++) {
		l->source[i].owns = &l->owns[i];
		l->owns[i].hosts = l->host[i];
		l->owns[i].addresses = l->addr[i];
	}
}

static void add_host(struct lists *l, uint32_t source, const char *host)
{
	uint32_t n = l->owns[source].n_hosts++;

	snprintf(l->text[source][n], sizeof(l->text[source][n]), "%s", host);
	l->host[source][n] = (struct mt_text){l->text[source][n], n + 1};
}

static void add_address(struct lists *l, uint32_t source, const char *text)
{
	uint32_t n = l->owns[source].n_addresses++;
	struct mt_node_addr *a = &l->addr[source][n];

	snprintf(l->text[source][n], sizeof(l->text[source][n]), "%s", text);
	a->text = (struct mt_text){l->text[source][n], n + 1};
	CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(text, &a->addr, &a->prefix), 0);
}

static void one_host(void)
{
	static struct lists l;

	for (size_t i = 0; i < MT_ARRAY_LEN(hosts); i++) {
		const struct mt_owned_entry *e;
		struct mt_region r;
		struct mt_owned *o;

		begin(&l);
		add_host(&l, 2, hosts[i].owned);
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, NULL, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(o);
		e = mt_owned_host(o, hosts[i].host, 1);
		if ((e != NULL) != hosts[i].overlap)
			printf("\n  %s, %s", hosts[i].owned, hosts[i].host);
		CU_ASSERT_EQUAL(e != NULL, hosts[i].overlap);
		if (e)
			CU_ASSERT(e->source == 2 && e->at == 0 && e->host);
		CU_ASSERT_PTR_NULL(mt_owned_host(o, hosts[i].host, 2));
		mt_region_fini(&r);
	}
	CU_ASSERT_PTR_NULL(mt_owned_host(NULL, "x", 0));
}

/* ---- names of DNS clients -------------------------------------------------------------------- */

/* Search domains: NULL: the default ones, "-": the node does not answer DNS. */
static const struct {
	const char *search[2], *owned, *host;
	bool overlap;
} searched[] = {
	{{0}, "pay.a.corp", "pay.a.corp.default.svc.cluster.local", true},
	{{0}, "pay.a.corp", "pay.a.corp.svc.cluster.local", true},
	{{0}, "pay.a.corp", "pay.a.corp.cluster.local", true},
	/* The node answers pay.a.corp.default.svc.cluster.local with these. */
	{{0}, "pay.a.corp", "pay.a.corp.default.svc", true},
	{{0}, "pay.a.corp", "pay.a.corp.default", true},
	{{0}, "pay.a.corp", "pay.a.corp.svc", true},
	{{0}, "pay.a.corp", "pay.a.corp.other.svc.cluster.local", true},
	{{0}, "pay.a.corp", "pay.a.corp.other", false},
	{{0}, "pay.a.corp", "pay.a.corp.example.org", false},
	{{0}, "pay.a.corp", "x.a.corp.default.svc.cluster.local", false},
	{{0}, "pay.a.corp", "xpay.a.corp.default.svc.cluster.local", false},
	{{0}, "pay.a.corp", "pay.a.corpdefault.svc.cluster.local", false},
	{{"-"}, "pay.a.corp", "pay.a.corp.default.svc.cluster.local", false},
	{{"-"}, "pay.a.corp", "*.local", false},
	{{"-"}, "pay.default", "pay", false},
	/* The names of a Service. */
	{{0}, "pay.shop", "pay.shop.default.svc.cluster.local", true},
	{{0}, "pay.shop", "pay.shop.svc.default.svc.cluster.local", true},
	{{0}, "pay.shop.svc.cluster.local", "pay.shop.default.svc.cluster.local", true},
	{{0}, "pay.shop", "pay.shop.svc.cluster.local.cluster.local", true},
	{{0}, "pay.shop", "pay.default.svc.cluster.local", false},
	/* Wildcards. */
	{{0}, "pay.a.corp", "*.default.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.local", true},
	{{0}, "pay.a.corp", "*.corp.default.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.corp.other.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.org.default.svc.cluster.local", false},
	{{0}, "pay.a.corp", "*.other.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.team.svc.cluster.local", false},
	{{0}, "pay.a.corp", "*.mesh.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.x.mesh.svc.cluster.local", false},
	{{0}, "pay.a.corp", "pay.a.corp.mesh", true},
	/* Names of pods are those of a Service of another namespace, too. */
	{{0}, "*.kafka.svc.cluster.local", "kafka-0.kafka.team.svc.cluster.local", false},
	{{0}, "*.kafka.svc.cluster.local", "*.kafka.team.svc.cluster.local", false},
	{{0}, "*.kafka.svc.cluster.local", "kafka-0.kafka.mesh.svc.cluster.local", true},
	{{0}, "*.kafka.svc.cluster.local", "kafka-0.kafka.other.svc.cluster.local", true},
	{{"team.svc.cluster.local"}, "*.kafka.svc.cluster.local",
		"kafka-0.kafka.team.svc.cluster.local", true},
	/* Because of these there is no data for the name that is queried, in place of no name. */
	{{0}, "pay.a.corp", "x.pay.a.corp.other.svc.cluster.local", true},
	{{0}, "pay.a.corp", "*.pay.a.corp.other.svc.cluster.local", true},
	{{0}, "pay.a.corp", "x.pay.a.corp.team.svc.cluster.local", false},
	{{0}, "pay.a.corp", "x.y.a.corp.other.svc.cluster.local", false},
	{{0}, "pay.shop", "x.y.pay.shop.other.svc.cluster.local", true},
	{{0}, "pay.shop", "pay.shop.x.other.svc.cluster.local", false},
	{{0}, "pay.a.corp", "*.example.org", false},
	{{0}, "*.a.corp", "pay.a.corp.default.svc.cluster.local", true},
	{{0}, "*.a.corp", "pay.b.corp.default.svc.cluster.local", false},
	{{0}, "*.a.corp", "*.a.corp.svc.cluster.local", true},
	/* Hosts without a dot are answered as Services of the Node's namespace. */
	{{0}, "pay.default", "pay", true},
	{{0}, "pay.other", "pay", false},
	{{0}, "*.default.svc.cluster.local", "pay", true},
	{{0}, "*.cluster.local", "pay", true},
	/* All other hosts are queried below these, too. */
	{{0}, "*.default.svc.cluster.local", "www.example.com", false},
	{{0}, "*.default.svc.cluster.local", "*.example.com", false},
	{{0}, "*.default.svc.cluster.local", "pay.shop", false},
	{{0}, "*.cluster.local", "www.example.com", false},
	/* The node does not find a host with two dots by svc.cluster.local. */
	{{0}, "*.com.svc.cluster.local", "www.example.com", false},
	{{0}, "*.com.svc.cluster.local", "*.example.com", false},
	{{0}, "www.example.com.svc.cluster.local", "www.example.com", false},
	{{0}, "*.com.svc.cluster.local", "example.com", true},
	{{0}, "*.com.svc.cluster.local", "*.com", true},
	{{0}, "www.example.com.default.svc.cluster.local", "www.example.com", true},
	{{0}, "pay.a.corp.cluster.local", "pay.a.corp", true},
	/* Those of the Node. */
	{{"corp.example"}, "pay.a.corp", "pay.a.corp.corp.example", true},
	{{"corp.example"}, "pay.a.corp", "pay.a.corp.default.svc.cluster.local", true},
	{{"corp.example"}, "pay.corp.example", "pay", true},
	{{"corp.example"}, "*.corp.example", "pay", true},
	{{"corp.example"}, "*.corp.example", "www.example.com", false},
	{{"corp.example"}, "*.pay.corp.example", "x.pay", true},
	{{"corp.example"}, "*.pay.corp.example", "*.pay", true},
	{{"a.b", "b"}, "x.y.a", "x.y", true},
	{{"a.b", "b"}, "x.y", "x.y.a", true},
	{{"svc.cluster.local.b", "b"}, "www.example.com.svc.cluster.local", "www.example.com",
		true},
	/* Clients of namespace b query x.y.a.b.svc.cluster.local for x.y.a. */
	{{"a.b.svc.cluster.local"}, "x.y.a", "x.y", true},
	{{"a.b.svc.cluster.local"}, "x.y", "x.y.a", true},
	/* Texts that are no names. */
	{{0}, "pay.a.corp", "", false},
	{{0}, "pay.a.corp", "*", true},
	{{0}, "pay.a.corp", ".", false},
	{{0}, "pay.a.corp", ".svc.cluster.local", false},
	{{0}, "pay.a.corp", "..svc.cluster.local", false},
};

static void names_of_clients(void)
{
	struct mt_node_mesh mesh = {.ns.s = "mesh"};
	struct mt_text team[] = {{.s = "team"}, {.s = "mesh"}};
	static struct lists l;

	for (size_t i = 0; i < MT_ARRAY_LEN(searched); i++) {
		const char *const *names = searched[i].search;
		struct mt_text texts[2] = {{.s = names[0]}, {.s = names[1]}};
		struct mt_node_dns dns = {.search = texts,
			.n_search = !names[0] ? 0 : 1 + (names[1] != NULL),
			.search_set = names[0] != NULL};
		struct mt_region r;
		struct mt_owned *o;
		bool has;

		begin(&l);
		l.node.meta.ns = "default";
		l.node.mesh = &mesh;
		l.source[1].namespaces = team;
		l.source[1].n_namespaces = MT_ARRAY_LEN(team);
		l.node.dns = names[0] && strcmp(names[0], "-") == 0 ? NULL : &dns;
		add_host(&l, 2, searched[i].owned);
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, NULL, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(o);
		has = mt_owned_name(o, searched[i].host, 1) != NULL;
		if (has != searched[i].overlap)
			printf("\n  %s, %s", searched[i].owned, searched[i].host);
		CU_ASSERT_EQUAL(has, searched[i].overlap);
		CU_ASSERT_PTR_NULL(mt_owned_name(o, searched[i].host, 2));
		mt_region_fini(&r);
	}
	CU_ASSERT_PTR_NULL(mt_owned_name(NULL, "x", 0));
}

/* A name that a source owns is its own, whatever is queried for that of another one. */
static void an_own_name(void)
{
	static const struct {
		const char *own, *host;
		bool overlap;
	} t[] = {
		{"q.q", "x.y", true},
		{"x.y", "x.y", false},
		{"x.y", "x.y.svc.cluster.local", false},
		{"x.y", "*.y", true},
		{"*.y", "x.y", false},
		{"*.y", "*.y", true},
		{"*.y.svc.cluster.local", "x.y", false},
		/* Not by a star for two labels. */
		{"*.z", "x.y.default.z", true},
		{"*.web.svc.cluster.local", "x.y.default.web.svc.cluster.local", true},
		{"x.y.default.web.svc.cluster.local", "x.y.default.web.svc.cluster.local", false},
	};
	struct mt_text z = {.s = "z"};
	struct mt_node_dns dns = {.search = &z, .n_search = 1, .search_set = true};
	static struct lists l;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_region r;
		struct mt_owned *o;
		bool has;

		begin(&l);
		l.node.meta.ns = "default";
		l.node.dns = &dns;
		add_host(&l, 1, t[i].own);
		add_host(&l, 2, "x.y.default");
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, NULL, NULL);
		has = mt_owned_name(o, t[i].host, 1) != NULL;
		if (has != t[i].overlap)
			printf("\n  %s, %s", t[i].own, t[i].host);
		CU_ASSERT_EQUAL(has, t[i].overlap);
		mt_region_fini(&r);
	}
}

/* Names of a namespace are for the one source of the namespace, and for a version of none. */
static void names_of_a_namespace(void)
{
	static const struct {
		uint32_t self;
		bool alone, overlap;
	} t[] = {
		{1, true, false},
		{MT_OWNED_NO_SOURCE, true, false},
		{3, true, true},
		{1, false, true},
		{MT_OWNED_NO_SOURCE, false, true},
	};
	static const char *const hosts_of[] = {
		"*.team.svc.cluster.local", "pay.a.corp.team.svc.cluster.local"};
	struct mt_text team = {.s = "team"};
	struct mt_node_dns dns = {0};
	static struct lists l;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_region r;
		struct mt_owned *o;

		begin(&l);
		l.node.dns = &dns;
		add_host(&l, 2, "pay.a.corp");
		for (int k = 0; k < (t[i].alone ? 1 : 2); k++) {
			l.source[k + 1].namespaces = &team;
			l.source[k + 1].n_namespaces = 1;
		}
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, NULL, NULL);
		for (size_t k = 0; k < MT_ARRAY_LEN(hosts_of); k++)
			CU_ASSERT_EQUAL(
				mt_owned_name(o, hosts_of[k], t[i].self) != NULL, t[i].overlap);
		mt_region_fini(&r);
	}
}

/* ---- cost ------------------------------------------------------------------------------------ */

#define MANY 4096

/* Names of 250 bytes that differ in their first label only, and have `labels` others. */
static void long_name(char buf[256], uint32_t number, uint32_t labels)
{
	uint32_t step = 240 / labels;

	memset(buf, 'x', 250);
	for (uint32_t i = 0; i < labels; i++)
		buf[9 + i * step] = '.';
	snprintf(buf, 10, "%09u", number);
	buf[9] = '.';
	buf[250] = '\0';
}

/* Processor time for some searches among many owned names, which find nothing. */
static clock_t time_of(uint32_t labels)
{
	static struct mt_text hosts_of[MANY];
	struct mt_node_owns owns = {.hosts = hosts_of, .n_hosts = MANY};
	struct mt_node_source source = {.owns = &owns};
	const struct mt_node n = {.sources = &source, .n_sources = 1};
	struct mt_region r;
	struct mt_owned *o;
	char name[256];
	clock_t begin;

	mt_region_init(&r, 0);
	for (uint32_t i = 0; i < MANY; i++) {
		long_name(name, 2 * i, labels);
		hosts_of[i].s = mt_region_strdup(&r, name);
	}
	o = mt_owned_new(&r, &n, NULL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	begin = clock();
	for (uint32_t i = 0; i < MANY; i++) {
		long_name(name, 2 * i + 1, labels);
		CU_ASSERT_PTR_NULL(mt_owned_host(o, name, 1));
	}
	begin = clock() - begin;
	mt_region_fini(&r);
	return begin;
}

/* A name with many labels costs no more than another one of its length. */
static void many_labels(void)
{
	bool good = false;

	for (int try = 0; try < 5 && !good; try++)
		good = time_of(120) < 8 * time_of(3) + CLOCKS_PER_SEC / 100;
	CU_ASSERT_TRUE(good);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static const struct {
	const char *owned, *net;
	bool overlap;
} nets[] = {
	{"192.0.2.2", "192.0.2.2", true},
	{"192.0.2.2", "192.0.2.3", false},
	{"192.0.2.2", "::ffff:192.0.2.2", true},
	{"192.0.2.2", "192.0.2.0/24", true},
	{"192.0.2.0/24", "192.0.2.2", true},
	{"192.0.2.0/24", "192.0.3.0/24", false},
	{"192.0.2.0/24", "192.0.2.128/25", true},
	{"0.0.0.0/0", "192.0.2.2", true},
	{"0.0.0.0/0", "2001:db8::1", false},
	{"::/0", "2001:db8::1", true},
	{"::/0", "192.0.2.2", false},
	{"::ffff:192.0.2.0/120", "192.0.2.2", true},
	{"2001:db8::/32", "2001:db8::2", true},
	{"2001:db8::/32", "2001:DB8:0::0.0.0.2", true},
	{"2001:db8::/32", "2001:db9::2", false},
};

static void one_address(void)
{
	static struct lists l;

	for (size_t i = 0; i < MT_ARRAY_LEN(nets); i++) {
		struct mt_region r;
		struct mt_owned *o;
		struct mt_addr a;
		uint8_t prefix;

		begin(&l);
		add_address(&l, 3, nets[i].owned);
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, NULL, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(o);
		CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(nets[i].net, &a, &prefix), 0);
		if ((mt_owned_address(o, &a, prefix, 0) != NULL) != nets[i].overlap)
			printf("\n  %s, %s", nets[i].owned, nets[i].net);
		CU_ASSERT_EQUAL(mt_owned_address(o, &a, prefix, 0) != NULL, nets[i].overlap);
		CU_ASSERT_PTR_NULL(mt_owned_address(o, &a, prefix, 3));
		if (prefix == (mt_addr_is4(&a) ? 32 : 128))
			CU_ASSERT_EQUAL(mt_owned_is_address(o, &a), nets[i].overlap);
		mt_region_fini(&r);
	}
	CU_ASSERT_FALSE(mt_owned_is_address(NULL, &(struct mt_addr){0}));
}

/* ---- at random ------------------------------------------------------------------------------- */

static uint32_t below(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % n;
}

/* Few labels, so that most names have something to do with each other. */
static const char *random_host(uint64_t *state, bool odd, char buf[64])
{
	static const char *const labels[] = {"a", "b", "svc", "ba"};
	static const char *const ends[] = {"", ".svc", ".svc.cluster.local", ".cluster.local"};
	uint32_t n = 1 + below(state, 3);
	size_t at = 0;

	if (below(state, 3) == 0)
		at = (size_t)snprintf(buf, 64, odd && below(state, 2) ? "*" : "*.");
	for (uint32_t i = 0; i < n; i++)
		at += (size_t)snprintf(buf + at, 64 - at, "%s%s", i ? "." : "",
			labels[below(state, MT_ARRAY_LEN(labels))]);
	snprintf(buf + at, 64 - at, "%s", ends[below(state, MT_ARRAY_LEN(ends))]);
	return buf;
}

static bool ends_in(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

static bool overlap_as_written(const char *a, const char *b)
{
	if (a[0] == '*' && b[0] == '*')
		return ends_in(a + 1, b + 1) || ends_in(b + 1, a + 1);
	return mt_host_covers(a, b) || mt_host_covers(b, a);
}

/* Writes the names of a Service. */
static void names_of(const char *name, size_t len, char out[3][MT_MEANT_HOST])
{
	static const char *const ends[] = {"", ".svc", ".svc.cluster.local"};

	for (size_t i = 0; i < MT_ARRAY_LEN(ends); i++)
		snprintf(out[i], MT_MEANT_HOST, "%.*s%s", (int)len, name, ends[i]);
}

/* The number of bytes of NAME.NAMESPACE, if the host is a name of a Service, else 0. */
static size_t service(const char *host)
{
	static const char *const ends[] = {".svc.cluster.local", ".svc", ""};

	for (size_t i = 0; i < MT_ARRAY_LEN(ends); i++) {
		size_t len = strlen(host) - (ends_in(host, ends[i]) ? strlen(ends[i]) : 0);
		const char *dot = memchr(host, '.', len);

		if ((ends_in(host, ends[i]) && dot && dot > host && dot + 1 < host + len &&
			    !memchr(dot + 1, '.', (size_t)(host + len - dot - 1))))
			return len;
	}
	return 0;
}

/* True if a host, or a wildcard, covers a name of the Service. */
static bool covers_service(const char *host, const char *name, size_t len)
{
	char names[3][MT_MEANT_HOST];

	names_of(name, len, names);
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		if (mt_host_covers(host, names[i]))
			return true;
	return false;
}

/* True if both wildcards cover a Service, of those whose namespace may be in a random host. */
static bool cover_a_service(const char *a, const char *b)
{
	static const char *const services[] = {
		"x.a", "x.b", "x.svc", "x.ba", "x.cluster", "x.local"};

	for (size_t i = 0; a[1] == '.' && b[1] == '.' && i < MT_ARRAY_LEN(services); i++)
		if (covers_service(a, services[i], strlen(services[i])) &&
			covers_service(b, services[i], strlen(services[i])))
			return true;
	return false;
}

static bool overlap(const char *a, const char *b)
{
	bool both = a[0] == '*' && b[0] == '*';

	if (overlap_as_written(a, b))
		return true;
	if (both)
		return cover_a_service(a, b);
	return (a[0] != '*' && service(a) && covers_service(b, a, service(a))) ||
	       (b[0] != '*' && service(b) && covers_service(a, b, service(b)));
}

static void count_clash(
	void *arg, const struct mt_owned_entry *e, const struct mt_owned_entry *other)
{
	CU_ASSERT(e->source > other->source && e->host == other->host);
	++*(uint32_t *)arg;
}

static void fill_hosts(struct lists *l, uint64_t *state)
{
	char buf[64];

	begin(l);
	for (uint32_t i = 0; i < 1 + below(state, 8); i++)
		add_host(l, below(state, 4), random_host(state, false, buf));
}

/* True if lists of two sources overlap. */
static bool hosts_clash(const struct lists *l)
{
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t k = 0; k < i; k++)
			for (uint32_t x = 0; x < l->owns[i].n_hosts; x++)
				for (uint32_t y = 0; y < l->owns[k].n_hosts; y++)
					if (overlap(l->text[i][x], l->text[k][y]))
						return true;
	return false;
}

static bool hosts_overlap(const struct lists *l, const char *host, uint32_t self)
{
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t x = 0; i != self && x < l->owns[i].n_hosts; x++)
			if (overlap(l->text[i][x], host))
				return true;
	return false;
}

static void hosts_at_random(void)
{
	static struct lists l;
	uint64_t state = 42;
	uint32_t good = 0;

	for (int round = 0; round < 20000; round++) {
		uint32_t clashes = 0;
		struct mt_region r;
		struct mt_owned *o;

		fill_hosts(&l, &state);
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, count_clash, &clashes);
		CU_ASSERT_EQUAL(clashes > 0, hosts_clash(&l));
		good += clashes == 0;
		for (int k = 0; k < 8 && !clashes; k++) {
			uint32_t self = below(&state, 5);
			char host[64];
			bool has = mt_owned_host(o, random_host(&state, true, host), self);

			if (has != hosts_overlap(&l, host, self))
				printf("\n  round %d: %s", round, host);
			CU_ASSERT_EQUAL(has, hosts_overlap(&l, host, self));
		}
		mt_region_fini(&r);
	}
	CU_ASSERT(good > 500);
}

static const char *random_net(uint64_t *state, char buf[64])
{
	static const struct {
		const char *form;
		uint32_t bits;
	} forms[] = {{"10.0.0.%u/%u", 32}, {"::ffff:10.0.0.%u/%u", 128}, {"2001:db8::%x/%u", 128}};
	uint32_t i = below(state, MT_ARRAY_LEN(forms)), free_bits = below(state, 5);

	snprintf(buf, 64, forms[i].form, below(state, 16) >> free_bits << free_bits,
		forms[i].bits - free_bits);
	return buf;
}

static bool nets_overlap(const struct mt_node_addr *a, const struct mt_addr *b, uint8_t prefix)
{
	return mt_prefix_contains(&a->addr, a->prefix, b) ||
	       mt_prefix_contains(b, prefix, &a->addr);
}

static bool addresses_clash(const struct lists *l)
{
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t k = 0; k < i; k++)
			for (uint32_t x = 0; x < l->owns[i].n_addresses; x++)
				for (uint32_t y = 0; y < l->owns[k].n_addresses; y++)
					if (nets_overlap(&l->addr[i][x], &l->addr[k][y].addr,
						    l->addr[k][y].prefix))
						return true;
	return false;
}

static bool addresses_overlap(
	const struct lists *l, const struct mt_addr *a, uint8_t prefix, uint32_t self)
{
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t x = 0; i != self && x < l->owns[i].n_addresses; x++)
			if (nets_overlap(&l->addr[i][x], a, prefix))
				return true;
	return false;
}

static void addresses_at_random(void)
{
	static struct lists l;
	uint64_t state = 7;
	uint32_t good = 0;

	for (int round = 0; round < 20000; round++) {
		uint32_t clashes = 0, n = 1 + below(&state, 8);
		struct mt_region r;
		struct mt_owned *o;
		char buf[64];

		begin(&l);
		for (uint32_t i = 0; i < n; i++)
			add_address(&l, below(&state, 4), random_net(&state, buf));
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &l.node, count_clash, &clashes);
		CU_ASSERT_EQUAL(clashes > 0, addresses_clash(&l));
		good += clashes == 0;
		for (int k = 0; k < 8 && !clashes; k++) {
			uint32_t self = below(&state, 5);
			struct mt_addr a;
			uint8_t prefix;

			CU_ASSERT_EQUAL_FATAL(
				mt_prefix_parse(random_net(&state, buf), &a, &prefix), 0);
			CU_ASSERT_EQUAL(mt_owned_address(o, &a, prefix, self) != NULL,
				addresses_overlap(&l, &a, prefix, self));
		}
		mt_region_fini(&r);
	}
	CU_ASSERT(good > 500);
}

const struct mt_test owned_tests[] = {
	{"one_host", one_host},
	{"names_of_clients", names_of_clients},
	{"an_own_name", an_own_name},
	{"names_of_a_namespace", names_of_a_namespace},
	{"many_labels", many_labels},
	{"one_address", one_address},
	{"hosts_at_random", hosts_at_random},
	{"addresses_at_random", addresses_at_random},
	{0},
};
