/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that come, change and go at random: whatever was taken over from load to load, the picture is that of a start with the
 * same documents, and so is what is told.
 *
 *	changes [SEED [ROUNDS]]
 */
#include "golden.h"

#include "mt_conf.h"
#include "mt_rand.h"
#include "mt_source.h"

#include <stdio.h>
#include <string.h>

#define HOSTS	  6
#define KINDS	  6
#define REVISIONS 12
#define NOW	  (100 * MT_SEC)

enum kind { SERVICE, RULE, ROUTES, ROUTER, POLICY, GATEWAY };

/* What there may be, read once: a document that did not change has the serial that it had. */
static struct mt_model *read_once[KINDS][HOSTS][REVISIONS];
/* 0: not there. */
static uint32_t revision[KINDS][HOSTS];

static const char *const ports[] = {"tcp-metaprotocol-dubbo", "tcp-metaprotocol-thrift", "tls"};

/* What each name of an instance leads to: nobody, one, or three of these. */
static struct mt_addr looked_up[HOSTS][3];
static uint32_t n_looked_up[HOSTS];

#define HEAD(group, kind) "apiVersion: " group "/v1\nkind: " kind "\n"

static void service(FILE *f, uint32_t host, uint32_t rev)
{
	fprintf(f,
		HEAD("networking.istio.io", "ServiceEntry") "metadata: {name: h%u}\nspec:\n"
							    "  hosts: [h%u.x%s]\n"
							    "  addresses: [192.0.2.%u]\n"
							    "  location: MESH_INTERNAL\n"
							    "  resolution: %s\n  ports:\n"
							    "  - {number: 80, name: %s}\n",
		host, host, rev % 5 == 1 ? ", other.x" : "", host + 1,
		rev % 4 == 3   ? "DNS"
		: rev % 4 == 2 ? "DNS_ROUND_ROBIN"
			       : "STATIC",
		ports[rev % 3]);
	if (rev % 4 == 1)
		fprintf(f, "  - {number: 81, name: tcp-2}\n");
	fprintf(f, "  endpoints:\n");
	for (uint32_t i = 0; i <= rev % 3; i++)
		fprintf(f, "  - {address: 198.51.100.%u, weight: %u, labels: {version: v%u}%s}\n",
			host * 8 + i + 1, rev % 2 + i + 1, (rev + i) % 2 + 1,
			i == rev % 2 ? ", locality: r/z" : "");
	if (rev % 4 >= 2)
		fprintf(f,
			"  - {address: n%u.test, labels: {version: v1}}\n"
			"  - {address: n%u.test, weight: 2, labels: {version: v2}}\n",
			host, rev % HOSTS);
}

static void rule(FILE *f, uint32_t host, uint32_t rev)
{
	static const char *const lb[] = {"simple: RANDOM", "consistentHash: {useSourceIp: true}",
		"consistentHash: {httpHeaderName: user}", "simple: ROUND_ROBIN",
		"localityLbSetting: {failover: [{from: q, to: r}]}",
		"localityLbSetting: {distribute: [{from: '*', to: {r: 60, '*': 40}}]}"};

	fprintf(f,
		HEAD("networking.istio.io", "DestinationRule") "metadata: {name: h%u}\nspec:\n"
							       "  host: h%u.x\n"
							       "  trafficPolicy: "
							       "{loadBalancer: {%s}%s}\n"
							       "  subsets:\n"
							       "  - {name: v1, labels: "
							       "{version: v1}}\n",
		host, host, lb[rev % MT_ARRAY_LEN(lb)], rev % 5 ? ", outlierDetection: {}" : "");
	if (rev % 3)
		fprintf(f, "  - {name: v2, labels: {version: v2}}\n");
}

static void destination(FILE *f, uint32_t rev)
{
	static const char *const to[] = {"host: h0.x", "host: h1.x, subset: v1", "host: other.x",
		"host: h2.x, subset: v2", "host: h3.x, port: {number: 81}", "host: h4.x",
		"host: h5.x, subset: v1"};

	fprintf(f, "    - {destination: {%s}, weight: %u}\n", to[rev % MT_ARRAY_LEN(to)],
		rev % 3 + 1);
}

static void routes(FILE *f, uint32_t host, uint32_t rev)
{
	fprintf(f,
		HEAD("networking.istio.io", "VirtualService") "metadata: {name: h%u}\nspec:\n"
							      "  hosts: [h%u.x]\n"
							      "  gateways: [mesh, g%u]\n",
		host, host, host);
	fprintf(f, "  http:\n  - name: r%u\n    match: [{headers: {%s: {exact: a}}}]\n    route:\n",
		rev, rev % 2 ? "method" : "user");
	destination(f, rev);
	destination(f, rev + host);
	fprintf(f, "  - route:\n");
	destination(f, rev * 3 + 1);
	fprintf(f, "  tcp:\n  - route:\n");
	destination(f, rev + 2);
	if (rev % 3 == 0)
		return;
	fprintf(f, "  tls:\n  - match: [{sniHosts: [a.h%u.x, s%u.h%u.x]}]\n    route:\n", host,
		rev % 4, host);
	destination(f, rev + 1);
	fprintf(f, "  - match: [{sniHosts: ['*.h%u.x'], gateways: [%s]}]\n    route:\n", host,
		rev % 2 ? "mesh" : "g1");
	destination(f, rev + 3);
}

static void router(FILE *f, uint32_t host, uint32_t rev)
{
	fprintf(f,
		"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
		"metadata: {name: h%u}\nspec:\n  hosts: [h%u.x]\n"
		"  localRateLimit: {tokenBucket: {maxTokens: %u, tokensPerFill: 1, fillInterval: "
		"1s}}\n",
		host, host, rev);
	if (rev % 2)
		return;
	fprintf(f, "  routes:\n  - name: m%u\n    route:\n", rev);
	destination(f, rev * 5 + host);
}

static void policy(FILE *f, uint32_t host, uint32_t rev)
{
	fprintf(f,
		HEAD("security.istio.io", "AuthorizationPolicy") "metadata: {name: p%u}\nspec:\n",
		host);
	if (host == 1)
		fprintf(f,
			"  targetRefs: [{group: networking.istio.io, kind: Gateway, name: g%u}]\n"
			"  action: DENY\n  rules: [{from: [{source: {ipBlocks: "
			"[10.%u.0.0/16]}}]}]\n",
			rev % HOSTS, rev % 2);
	else if (rev % 3 == 0)
		fprintf(f,
			"  selector: {matchLabels: {version: v%u}}\n  action: DENY\n"
			"  rules: [{}]\n",
			rev % 2 + 1);
	else
		fprintf(f,
			"  selector: {matchLabels: {version: v%u}}\n  action: DENY\n"
			"  rules: [{to: [{operation: {methods: [m%u]}}]}]\n",
			rev % 2 + 1, rev);
}

static void gateway(FILE *f, uint32_t host, uint32_t rev)
{
	static const char *const hosts[] = {"*", "./*.x", "*.h1.x", "other/*"};

	fprintf(f,
		HEAD("networking.istio.io", "Gateway") "metadata: {name: g%u}\nspec:\n  servers:\n"
						       "  - {port: {number: %u, name: %s}, "
						       "hosts: ['%s']%s}\n",
		host, 9000 + host, ports[rev % 3], hosts[rev % 4],
		rev % 3 == 2 ? ", tls: {mode: PASSTHROUGH}" : "");
}

static void write_document(FILE *f, enum kind kind, uint32_t host, uint32_t rev)
{
	static void (*const writers[])(FILE *, uint32_t, uint32_t) = {
		service, rule, routes, router, policy, gateway};

	writers[kind](f, host, rev);
}

static struct mt_model *read_one(enum kind kind, uint32_t host, uint32_t rev)
{
	struct mt_model **m = &read_once[kind][host][rev];
	struct mt_diags diags;
	char *text, name[32];
	size_t size;
	FILE *f;

	if (*m)
		return *m;
	f = open_memstream(&text, &size);
	MT_ASSERT(f);
	write_document(f, kind, host, rev);
	fclose(f);
	snprintf(name, sizeof(name), "%u-%u.yaml", kind, host);
	*m = mt_model_new();
	mt_diags_init(&diags);
	if (mt_source_text(*m, &diags, name, text, size) || diags.errors) {
		mt_diags_print(&diags, stderr);
		fprintf(stderr, "%s", text);
		abort();
	}
	mt_diags_fini(&diags);
	free(text);
	return *m;
}

/* Policies are rare: what they guard is made anew with every load. */
static bool is_there(enum kind kind, uint32_t host)
{
	uint32_t rev = revision[kind][host];

	return rev && (kind != POLICY || (host <= 1 && rev > REVISIONS / 2));
}

/* Filters in the proxies of clients, of which nobody runs any: of one port, or of the other. */
static void add_closing(struct mt_model *m)
{
	static struct mt_closing_place places[] = {
		{MT_CONTEXT_OUTBOUND, MT_CHAIN_ANY, 80}, {MT_CONTEXT_OUTBOUND, MT_CHAIN_ANY, 81}};
	static struct mt_closing closing = {
		.about = {.kind = "EnvoyFilter", .ns = "default", .name = "f"},
		.of = MT_CLOSING_BARE,
		.n_places = 1};
	uint32_t rev = revision[POLICY][2];

	if (rev <= REVISIONS / 2)
		return;
	closing.about.serial = 1000000 + rev;
	closing.places = &places[rev % 2];
	m->closings = &closing;
	m->n_closings = 1;
}

static void find_name(void *arg, const char *name, struct mt_name_state *out)
{
	uint32_t host = (uint32_t)strtoul(name + 1, NULL, 10) % HOSTS;

	(void)arg;
	*out = (struct mt_name_state){.addrs = looked_up[host],
		.n = n_looked_up[host],
		.answered = true,
		.why = n_looked_up[host] || host % 2 ? "" : "no such name"};
}

static void change_name(uint32_t host, uint32_t what)
{
	char text[32];

	n_looked_up[host] = what % 4;
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "203.0.113.%u", host * 20 + what % 7 + i + 1);
		MT_ASSERT(mt_addr_parse(text, &looked_up[host][i]) == 0);
	}
}

static struct mt_model *model(void)
{
	struct mt_model *m = mt_model_new();

	for (enum kind k = 0; k < KINDS; k++)
		for (uint32_t i = 0; i < HOSTS; i++)
			if (is_there(k, i))
				MT_ASSERT(mt_model_share(m, read_one(k, i, revision[k][i])) == 0);
	add_closing(m);
	m->names.find = find_name;
	return m;
}

/* What was made of them and what was told, in words; NULL: refused. */
static char *load(struct mt_conf *conf)
{
	struct mt_model *m = model();
	struct mt_diags diags;
	struct mt_snapshot *s;
	struct mt_err err;
	char *text, *all;

	mt_diags_init(&diags);
	s = mt_conf_compile(conf, m, &diags, NOW);
	if (s) {
		json_t *root = json_pack("{so so so}", "listeners", golden_listeners(s), "services",
			golden_services(s), "clusters", golden_clusters(s));
		json_t *told = json_array();

		MT_ASSERT(mt_conf_publish(conf, s, NOW, NULL, &err) == 0);
		mt_conf_reap(conf, NOW);
		for (uint32_t i = 0; i < diags.n; i++)
			add_text(told, "%s:%u %s: %s", diags.items[i].origin.file,
				diags.items[i].origin.line,
				diags.items[i].path ? diags.items[i].path : "",
				diags.items[i].message);
		put_json(root, "told", sorted(told, NULL));
		text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
		json_decref(root);
	} else {
		if (getenv("MELTEMI_SHOW"))
			mt_diags_print(&diags, stderr);
		MT_ASSERT(asprintf(&text, "refused: %u errors\n", diags.errors) > 0);
	}
	MT_ASSERT(asprintf(&all, "%s\n", text) > 0);
	free(text);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return all;
}

static void keep(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* A third of all that may be there is not. */
static void change(struct mt_rand *r)
{
	uint32_t kind = mt_rand_u64(r) % KINDS, host = mt_rand_u64(r) % HOSTS;
	uint32_t rev = (uint32_t)(mt_rand_u64(r) % (REVISIONS * 3 / 2));

	revision[kind][host] = rev < REVISIONS ? rev : 0;
	if (mt_rand_u64(r) % 4 == 0)
		change_name(host, (uint32_t)mt_rand_u64(r));
}

int main(int argc, char **argv)
{
	const struct mt_conf_options options = {.workers = 1};
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint32_t rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000, bad = 0;
	struct mt_conf_work work;
	struct mt_conf *conf;
	struct mt_rand rand;
	struct mt_err err;

	conf = mt_conf_create(&options, &err);
	MT_ASSERT(conf);
	mt_rand_seed(&rand, seed);
	for (uint32_t round = 0; round < rounds && !bad; round++) {
		struct mt_conf *fresh = mt_conf_create(&options, &err);
		char *now, *start;

		for (uint64_t n = mt_rand_u64(&rand) % 3 + 1; n; n--)
			change(&rand);
		now = load(conf);
		start = load(fresh);
		if (strcmp(now, start) != 0) {
			bad = 1;
			keep("/tmp/changes-now.json", now);
			keep("/tmp/changes-start.json", start);
			printf("seed %lu, round %u: a reload says something else than a start: "
			       "diff /tmp/changes-start.json /tmp/changes-now.json\n",
				(unsigned long)seed, round);
		}
		free(now);
		free(start);
		mt_conf_destroy(fresh);
	}
	work = mt_conf_work(conf);
	printf("%u loads, clusters %lu made, %lu taken over, services %lu made, %lu taken over\n",
		rounds, (unsigned long)work.clusters_made, (unsigned long)work.clusters_shared,
		(unsigned long)work.services_made, (unsigned long)work.services_shared);
	mt_conf_destroy(conf);
	for (size_t i = 0; i < sizeof(read_once) / sizeof(struct mt_model *); i++)
		mt_model_free((&read_once[0][0][0])[i]);
	return (int)bad;
}
