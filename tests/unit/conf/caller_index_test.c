/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of callers for Istio's metrics: by address, service account and namespace. */
#include "mesh_build.h"
#include "mt_conf_priv.h"

#include <string.h>

#define META(name) "metadata: {name: " name ", namespace: shop}\n"
#define ENTRY(name, address, more)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n" META(                     \
		name) "spec: {address: " address ", " more "}\n"
#define V1 "labels: {app: a, version: v1}, serviceAccount: acc"
#define V2 "labels: {app: a, version: v2}, serviceAccount: acc"
#define POD(name, more, status)                                                                    \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                   \
	", namespace: shop, labels: {app: web, pod-template-hash: 7d4b9}}\n"                       \
	"spec: {" more "containers: [{name: c}]}\nstatus: {" status "}\n"
#define INLINE(name, address)                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n" META(                      \
		name) "spec:\n  hosts: [" name ".x]\n  location: MESH_INTERNAL\n"                  \
		      "  resolution: STATIC\n  ports: [{number: 80, name: tcp}]\n"                 \
		      "  endpoints: [{address: " address "}]\n"

static void publish(struct mt_conf *conf, const char *text)
{
	struct built b = build_text(conf, text);
	struct mt_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, b.s, NOW, NULL, &err), 0);
	(void)mt_conf_reap(conf, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
}

static struct mt_caller find(const struct mt_conf *conf, uint64_t key)
{
	return mt_caller_find(mt_conf_current(conf)->callers, key);
}

/* "WORKLOAD;NAMESPACE;APP;VERSION", "-" for unknown ones; "": the caller is unknown. */
static const char *labels(const struct mt_conf *conf, uint64_t id)
{
	static const enum mt_peer_label shown[] = {
		MT_PEER_WORKLOAD, MT_PEER_NAMESPACE, MT_PEER_APP, MT_PEER_VERSION};
	static char text[256];
	const struct mt_peer *p = id ? mt_conf_caller(conf, id) : NULL;
	size_t at = 0;

	text[0] = '\0';
	CU_ASSERT_EQUAL(p != NULL, id != 0);
	for (size_t i = 0; p && i < MT_ARRAY_LEN(shown); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? ";" : "",
			p->label[shown[i]] ? p->label[shown[i]] : "-");
	return text;
}

static uint64_t address(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return mt_caller_address(&a);
}

static uint64_t account(const char *ns, const char *name)
{
	return mt_caller_account(ns, strlen(ns), name, strlen(name));
}

static void expect(const struct mt_conf *conf, uint64_t key, const char *expected)
{
	const char *is = labels(conf, find(conf, key).id);

	CU_ASSERT_STRING_EQUAL(is, expected);
	if (strcmp(is, expected) != 0)
		printf("\n  is \"%s\", not \"%s\"\n", is, expected);
}

/* The principal of an account in this snapshot has these parts. */
static void expect_principal(const struct mt_conf *conf, uint64_t key, const char *account)
{
	const struct mt_peer *p = mt_conf_caller(conf, find(conf, key).id);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->label[MT_PEER_ACCOUNT] != NULL, account != NULL);
	if (p->label[MT_PEER_ACCOUNT] && account)
		CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_ACCOUNT], account);
	CU_ASSERT_STRING_EQUAL(mt_conf_current(conf)->trust_domain, "cluster.local");
	CU_ASSERT_PTR_NULL(mt_conf_current(conf)->principal);
}

/* ---- documents ------------------------------------------------------------------------------- */

/* The caller at 192.0.2.1. */
static const struct {
	const char *text, *caller;
} rows[] = {
	/* No service has it. */
	{ENTRY("w1", "192.0.2.1", V1), "w1;shop;a;v1"},
	{POD("web-7d4b9-x2k", "", "podIP: 192.0.2.1"), "web;shop;web;-"},
	{POD("web-7d4b9-x2k", "", "podIP: 192.0.2.9, podIPs: [{ip: 192.0.2.9}, {ip: 192.0.2.1}]"),
		"web;shop;web;-"},
	{INLINE("a", "192.0.2.1"), "a;shop;-;-"},
	/* Two Pods of a Deployment would be one workload. */
	{POD("web-7d4b9-x2k", "", "podIP: 192.0.2.1") POD("web-7d4b9-y3l", "", "podIP: 192.0.2.1"),
		"web;shop;web;-"},
	/* Whose calls they are is not known. */
	{ENTRY("w1", "192.0.2.1", V1) ENTRY("w2", "192.0.2.1", V1), ""},
	{ENTRY("w1", "192.0.2.1", V1) INLINE("a", "192.0.2.1"), ""},
	{POD("web-7d4b9-x2k", "hostNetwork: true, ", "podIP: 192.0.2.1"), ""},
	{POD("web-7d4b9-x2k", "", "podIP: 192.0.2.1, phase: Succeeded"), ""},
	{ENTRY("w1", "192.0.2.2", V1), ""},
};

static void documents(void)
{
	struct mt_conf *conf = new_conf();

	/* Each one in place of the one before. */
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		publish(conf, rows[i].text);
		expect(conf, address("192.0.2.1"), rows[i].caller);
	}
	publish(conf, ENTRY("w1", "192.0.2.2", V1));
	CU_ASSERT_EQUAL(conf->callers.table->n, 3); /* with its account and namespace */
	CU_ASSERT_EQUAL(conf->callers.labels.n, 2); /* its own, and the namespace's */
	CU_ASSERT_EQUAL(conf->callers.disputes.n, 0);
	mt_conf_destroy(conf);
}

/* An account has what its workloads share. */
static void accounts(void)
{
	struct mt_conf *conf = new_conf();

	publish(conf, ENTRY("w1", "192.0.2.1", V1));
	expect(conf, account("shop", "acc"), "w1;shop;a;v1");
	expect(conf, account("other", "acc"), "");
	expect(conf, mt_caller_namespace("shop", 4), "-;shop;-;-");
	expect(conf, mt_caller_namespace("other", 5), "");
	CU_ASSERT_EQUAL(find(conf, address("192.0.2.1")).account, account("shop", "acc"));
	publish(conf, ENTRY("w1", "192.0.2.1", V1) ENTRY("w2", "192.0.2.2", V2));
	expect(conf, account("shop", "acc"), "-;shop;a;-");
	expect_principal(conf, account("shop", "acc"), "acc");
	expect_principal(conf, mt_caller_namespace("shop", 4), NULL);
	publish(conf, ENTRY("w2", "192.0.2.2", V2));
	expect(conf, account("shop", "acc"), "w2;shop;a;v2");
	/* As a SPIFFE id, of its own namespace only. */
	publish(conf, ENTRY("w3", "192.0.2.3",
			      "serviceAccount: \"spiffe://cluster.local/ns/shop/sa/own\""));
	expect(conf, account("shop", "own"), "w3;shop;-;-");
	expect(conf, account("shop", "acc"), "");
	publish(conf, ENTRY("w3", "192.0.2.3",
			      "serviceAccount: \"spiffe://cluster.local/ns/else/sa/own\""));
	expect(conf, account("shop", "own"), "");
	expect(conf, account("else", "own"), "");
	expect(conf, address("192.0.2.3"), "w3;shop;-;-");
	/* Pods have an account, written or not. */
	publish(conf, POD("web-7d4b9-x2k", "serviceAccountName: w, ", "podIP: 192.0.2.1"));
	expect(conf, account("shop", "w"), "web;shop;web;-");
	publish(conf, POD("web-7d4b9-x2k", "", "podIP: 192.0.2.1"));
	expect(conf, account("shop", "default"), "web;shop;web;-");
	expect_principal(conf, address("192.0.2.1"), "default");
	mt_conf_destroy(conf);
}

static struct mt_snapshot *compile(struct mt_conf *conf, const struct mt_model *m)
{
	struct mt_diags diags;
	struct mt_snapshot *s;

	mt_diags_init(&diags);
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	mt_diags_fini(&diags);
	return s;
}

static const struct mt_caller_rows *rows_of(const struct mt_snapshot *s)
{
	return mt_container_of(s, const struct mt_snap, pub)->callers;
}

/* Snapshots share rows of the same documents. What is not published claims nothing. */
static void unchanged(void)
{
	struct mt_conf *conf = new_conf();
	struct built b = build_text(conf, ENTRY("w1", "192.0.2.1", V1) ENTRY("w2", "192.0.2.2", V2)
						  POD("web-7d4b9-x2k", "", "podIP: 192.0.2.3"));
	struct mt_snapshot *s = b.s, *held;
	struct mt_err err;
	uint64_t gone;
	void *first;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, s, NOW, NULL, &err), 0);
	s = compile(conf, b.m);
	CU_ASSERT_PTR_EQUAL(rows_of(s), conf->callers.rows);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, s, NOW, NULL, &err), 0);
	/* The first document is gone; the others are the same. */
	first = b.m->workload_entries.v[0];
	b.m->workload_entries.v[0] = b.m->workload_entries.v[1];
	b.m->workload_entries.n = 1;
	s = compile(conf, b.m);
	CU_ASSERT_PTR_NOT_EQUAL(rows_of(s), conf->callers.rows);
	expect(conf, address("192.0.2.1"), "w1;shop;a;v1");
	mt_conf_discard(conf, s, NOW);
	expect(conf, address("192.0.2.1"), "w1;shop;a;v1");
	/* Its labels end with it, although a client holds the old snapshot. */
	gone = find(conf, address("192.0.2.1")).id;
	held = mt_conf_current(conf);
	mt_snapshot_hold(held, 0);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, compile(conf, b.m), NOW, NULL, &err), 0);
	CU_ASSERT_PTR_NULL(mt_conf_caller(conf, gone));
	mt_snapshot_drop(held, 0);
	expect(conf, address("192.0.2.1"), "");
	expect(conf, address("192.0.2.2"), "w2;shop;a;v2");
	expect(conf, address("192.0.2.3"), "web;shop;web;-");
	/* Others in front of them. */
	b.m->workload_entries.v[1] = b.m->workload_entries.v[0];
	b.m->workload_entries.v[0] = first;
	b.m->workload_entries.n = 2;
	CU_ASSERT_EQUAL(mt_conf_publish(conf, compile(conf, b.m), NOW, NULL, &err), 0);
	expect(conf, address("192.0.2.1"), "w1;shop;a;v1");
	expect(conf, address("192.0.2.3"), "web;shop;web;-");
	/* None at all. */
	b.m->workload_entries.n = b.m->pods.n = 0;
	CU_ASSERT_EQUAL(mt_conf_publish(conf, compile(conf, b.m), NOW, NULL, &err), 0);
	(void)mt_conf_reap(conf, NOW);
	CU_ASSERT_EQUAL(conf->callers.labels.n, 0);
	CU_ASSERT_EQUAL(conf->callers.table->n, 0);
	CU_ASSERT_EQUAL(conf->callers.table->used, 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	mt_conf_destroy(conf);
}

/* More workloads than a dispute remembers, and back to one. */
static void crowded(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_callers *c = &conf->callers;
	struct mt_caller_claim x[40];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(x); i++) {
		char name[16];
		const struct mt_peer p = {.label = {[MT_PEER_WORKLOAD] = name}};

		snprintf(name, sizeof(name), "w%u", i);
		x[i] = (struct mt_caller_claim){.address = address("192.0.2.1"),
			.account = account("shop", "acc"),
			.of = mt_caller_labels_get(c, mt_peer_id(&p), &p)};
		CU_ASSERT_PTR_NOT_NULL_FATAL(x[i].of);
		mt_caller_add(c, &x[i]);
		mt_caller_labels_put(c, x[i].of);
	}
	CU_ASSERT_EQUAL(mt_caller_find(c->table, x[0].address).id, 0);
	/* Fewer workloads than are compared. */
	CU_ASSERT_EQUAL(mt_caller_find(c->table, x[0].account).id, 0);
	for (uint32_t i = 0; i + 1 < MT_ARRAY_LEN(x); i++)
		mt_caller_remove(c, &x[i]);
	CU_ASSERT_EQUAL(mt_caller_find(c->table, x[0].account).id, x[39].of->node.key);
	mt_caller_remove(c, &x[39]);
	CU_ASSERT_EQUAL(c->table->n, 0);
	CU_ASSERT_EQUAL(c->disputes.n, 0);
	CU_ASSERT_EQUAL(c->labels.n, 0);
	mt_conf_destroy(conf);
}

/* ---- discovery servers ----------------------------------------------------------------------- */

static void mesh_workload(struct mt_model *m, struct mt_res_endpoints *e, const char *name)
{
	const struct mt_peer p = {.label = {[MT_PEER_WORKLOAD] = name, [MT_PEER_NAMESPACE] = "m"}};
	struct mt_res_locality *l = &e->localities[e->n_localities - 1];

	l->eps[l->n_eps - 1].peer = mt_res_peer_add(&m->region, e, &p);
}

static struct mt_model *mesh_model(const char *first, const char *second)
{
	struct mt_model *m = mt_model_new();
	struct mt_res_endpoints *e = mesh_endpoints(m, "c");

	mesh_cluster(m, "c");
	mesh_endpoint(m, e, "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_workload(m, e, first);
	mesh_endpoint(m, e, "198.51.100.2", 1, MT_RES_HEALTHY);
	mesh_workload(m, e, second);
	return m;
}

static void publish_model(struct mt_conf *conf, struct mt_model *m, const char *text)
{
	struct mt_diags diags;

	mt_diags_init(&diags);
	if (text)
		mt_source_text(m, &diags, "t", text, strlen(text));
	(void)mesh_publish(conf, m, &diags);
	(void)mt_conf_reap(conf, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
}

static void endpoints(void)
{
	struct mt_conf *conf = new_conf();

	publish_model(conf, mesh_model("w1", "w2"), NULL);
	expect(conf, address("198.51.100.1"), "w1;m;-;-");
	expect(conf, address("198.51.100.2"), "w2;m;-;-");
	expect(conf, mt_caller_namespace("m", 1), "-;m;-;-");
	CU_ASSERT_EQUAL(find(conf, address("198.51.100.1")).account, 0);
	/* One of them is another workload's now. */
	publish_model(conf, mesh_model("w1", "w3"), NULL);
	expect(conf, address("198.51.100.1"), "w1;m;-;-");
	expect(conf, address("198.51.100.2"), "w3;m;-;-");
	/* Documents precede, as long as they are there. */
	publish_model(conf, mesh_model("w1", "w3"), ENTRY("w9", "198.51.100.2", V1));
	expect(conf, address("198.51.100.1"), "w1;m;-;-");
	expect(conf, address("198.51.100.2"), "w9;shop;a;v1");
	publish_model(conf, mesh_model("w1", "w3"), NULL);
	expect(conf, address("198.51.100.2"), "w3;m;-;-");
	publish_model(conf, mt_model_new(), NULL);
	expect(conf, address("198.51.100.1"), "");
	CU_ASSERT_EQUAL(conf->callers.table->n, 0);
	CU_ASSERT_EQUAL(conf->callers.labels.n, 0);
	mt_conf_destroy(conf);
}

/* ---- sources that are limited to namespaces --------------------------------------------------- */

/* Publishes with the source of the WorkloadEntry `limited` limited to namespaces; NULL: none is. */
static void publish_limited(struct mt_conf *conf, struct mt_model *m, const char *limited)
{
	struct mt_idmap standings = {0};
	struct mt_snapshot *s;
	struct mt_err err;

	for (uint32_t i = 0; i < m->workload_entries.n; i++) {
		const struct mt_workload_entry *e = m->workload_entries.v[i];
		bool is = limited && strcmp(e->meta.name, limited) == 0;
		uintptr_t standing = is ? MT_STANDING_LIMITED : 0;

		CU_ASSERT_EQUAL(
			mt_idmap_put(&standings, e->meta.serial, (void *)(standing + 1)), 0);
	}
	m->standings = &standings;
	s = compile(conf, m);
	m->standings = NULL;
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, s, NOW, NULL, &err), 0);
	(void)mt_conf_reap(conf, NOW);
	mt_idmap_fini(&standings);
}

/* Their entries name no client of another source, and do not make it unknown. */
static void of_others(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_diags diags;
	struct mt_model *m = mesh_model("w1", "w2");
	static const char text[] = ENTRY("w8", "198.51.100.1", V1) ENTRY("w9", "198.51.100.1", V2)
		ENTRY("w7", "198.51.100.2", V1);

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	publish_limited(conf, m, NULL);
	expect(conf, address("198.51.100.1"), "");
	publish_limited(conf, m, "w9");
	expect(conf, address("198.51.100.1"), "w8;shop;a;v1");
	expect(conf, address("198.51.100.2"), "w7;shop;a;v1");
	/* The rows of unchanged documents follow their sources. */
	publish_limited(conf, m, "w7");
	expect(conf, address("198.51.100.1"), "");
	expect(conf, address("198.51.100.2"), "w2;m;-;-");
	publish_limited(conf, m, NULL);
	expect(conf, address("198.51.100.2"), "w7;shop;a;v1");
	mt_diags_fini(&diags);
	mt_model_free(m);
	publish_model(conf, mt_model_new(), NULL);
	CU_ASSERT_EQUAL(conf->callers.table->n, 0);
	CU_ASSERT_EQUAL(conf->callers.disputes.n, 0);
	CU_ASSERT_EQUAL(conf->callers.labels.n, 0);
	mt_conf_destroy(conf);
}

static void claim(
	struct mt_callers *c, uint32_t at, const char *name, enum mt_caller_rank rank, bool add)
{
	const struct mt_peer p = {.label = {[MT_PEER_WORKLOAD] = name}};
	const struct mt_addr a = mt_addr4(at);
	struct mt_caller_labels *of = mt_caller_labels_get(c, mt_peer_id(&p), &p);
	const struct mt_caller_claim x = {.address = mt_caller_address(&a),
		.account =
			rank == MT_CALLER_OF_LIMITED ? mt_caller_key(at * 0x9e3779b97f4a7c15) : 0,
		.of = of,
		.rank = rank};

	CU_ASSERT_PTR_NOT_NULL_FATAL(of);
	if (add)
		mt_caller_add(c, &x);
	else
		mt_caller_remove(c, &x);
	mt_caller_labels_put(c, of);
}

/* However many of their entries have an address. */
static void outnumbered(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_callers *c = &conf->callers;
	const struct mt_addr a = mt_addr4(1);
	const struct mt_peer one = {.label = {[MT_PEER_WORKLOAD] = "one"}};
	uint64_t key = mt_caller_address(&a);
	char name[16];

	for (int add = 1; add >= 0; add--)
		for (uint32_t i = 0; i < 40; i++) {
			snprintf(name, sizeof(name), "w%u", i);
			claim(c, 1, name, MT_CALLER_OF_LIMITED, add);
			if (i == 20 && add)
				claim(c, 1, "one", MT_CALLER_OF_MESH, true);
			if (!add || i >= 20)
				CU_ASSERT_EQUAL(mt_caller_find(c->table, key).id, mt_peer_id(&one));
		}
	CU_ASSERT_EQUAL(c->disputes.n, 0);
	claim(c, 1, "one", MT_CALLER_OF_MESH, false);
	CU_ASSERT_EQUAL(c->table->n, 0);
	CU_ASSERT_EQUAL(c->labels.n, 0);
	mt_conf_destroy(conf);
}

/* Their addresses and accounts leave half of the places to others. */
static void half(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_callers *c = &conf->callers;
	const uint32_t first = 1u << 24, n = MT_CALLERS_MAX / 2 + 100;

	for (uint32_t i = 0; i < n; i++)
		claim(c, first + i, "w", MT_CALLER_OF_LIMITED, true);
	CU_ASSERT_EQUAL(c->table->n, MT_CALLERS_MAX / 2);
	CU_ASSERT_EQUAL(c->unplaced, n - MT_CALLERS_MAX / 4);
	claim(c, first + n, "w", MT_CALLER_OF_DOCUMENT, true);
	claim(c, first + n + 1, "w", MT_CALLER_OF_MESH, true);
	CU_ASSERT_EQUAL(c->table->n, MT_CALLERS_MAX / 2 + 2);
	CU_ASSERT_EQUAL(c->unplaced, n - MT_CALLERS_MAX / 4);
	claim(c, first + n, "w", MT_CALLER_OF_DOCUMENT, false);
	claim(c, first + n + 1, "w", MT_CALLER_OF_MESH, false);
	for (uint32_t i = 0; i < n; i++)
		claim(c, first + i, "w", MT_CALLER_OF_LIMITED, false);
	CU_ASSERT_EQUAL(c->table->n, 0);
	CU_ASSERT_EQUAL(c->unplaced, 0);
	CU_ASSERT_EQUAL(c->labels.n, 0);
	mt_conf_destroy(conf);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Keys with the same hash are found behind others that were given up. */
static void chains(void)
{
	struct mt_caller_table *t = calloc(1, sizeof(*t));
	const uint64_t key = MT_CALLER_PLACES - 2; /* the chain continues at the first place */

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (uint64_t i = 0; i < MT_CALLER_PROBES; i++) {
		struct mt_caller_place *p = mt_caller_place(t, key + i * MT_CALLER_PLACES, true);

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		mt_caller_set(p, i + 1, 0);
	}
	CU_ASSERT_PTR_NULL(mt_caller_place(t, key + MT_CALLER_PROBES * MT_CALLER_PLACES, true));
	for (uint64_t i = 0; i + 1 < MT_CALLER_PROBES; i++) {
		mt_caller_give_up(t, mt_caller_place(t, key + i * MT_CALLER_PLACES, false));
		CU_ASSERT_EQUAL(mt_caller_find(t, key + i * MT_CALLER_PLACES).id, 0);
		CU_ASSERT_EQUAL(
			mt_caller_find(t, key + (MT_CALLER_PROBES - 1) * MT_CALLER_PLACES).id,
			MT_CALLER_PROBES);
	}
	CU_ASSERT_EQUAL(t->n, 1);
	CU_ASSERT_EQUAL(t->used, MT_CALLER_PROBES);
	/* Nothing is behind the last one. */
	mt_caller_give_up(
		t, mt_caller_place(t, key + (MT_CALLER_PROBES - 1) * MT_CALLER_PLACES, false));
	CU_ASSERT_EQUAL(t->used, 0);
	free(t);
}

static void full(void)
{
	struct mt_caller_table *t = calloc(1, sizeof(*t));
	uint64_t step = 0x9e3779b97f4a7c15, key = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	while (t->n < MT_CALLERS_MAX) {
		key += step;
		(void)mt_caller_place(t, mt_caller_key(key), true);
	}
	CU_ASSERT_PTR_NULL(mt_caller_place(t, 77, true));
	mt_caller_give_up(t, mt_caller_place(t, mt_caller_key(1 + step), false));
	CU_ASSERT_PTR_NOT_NULL(mt_caller_place(t, 77, true));
	free(t);
}

const struct mt_test caller_index_tests[] = {{"documents", documents}, {"accounts", accounts},
	{"unchanged", unchanged}, {"crowded", crowded}, {"endpoints", endpoints},
	{"of_others", of_others}, {"outnumbered", outnumbered}, {"half", half}, {"chains", chains},
	{"full", full}, {0}};
