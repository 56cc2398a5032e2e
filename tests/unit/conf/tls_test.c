/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters that discovery services say: what TLS is spoken with, who shares it, and for whom the node's identity is shown. */
#include "mesh_build.h"
#include "mt_lend.h"
#include "mt_tls_priv.h"
#include "tls/pki.h"

#include <stdio.h>
#include <string.h>

#define OTHER "spiffe://cluster.local/ns/demo/sa/server"

static const char *const istio[] = {"istio-peer-exchange", "istio"};

/* As istiod writes it. */
static struct mt_res_tls *mutual(struct mt_model *m, struct mt_res_cluster *c)
{
	struct mt_res_tls *tls = mt_region_alloc(&m->region, sizeof(*tls));

	*tls = (struct mt_res_tls){.certificate = "default",
		.trust = "ROOTCA",
		.sni = "outbound_.80_._.c",
		.alpn = (const char **)istio,
		.n_alpn = 2};
	tls->sans = mt_region_alloc(&m->region, sizeof(*tls->sans));
	tls->sans[0] = (struct mt_res_san){OTHER, false};
	tls->n_sans = 1;
	c->tls = tls;
	return tls;
}

static struct mt_res_cluster *meshed(struct mt_model *m, const char *name, uint64_t serial)
{
	struct mt_res_cluster *c;

	mesh_simple_cluster(m, name)->meta.serial = serial;
	c = m->res_clusters.v[m->res_clusters.n - 1];
	c->meta.serial = serial;
	mutual(m, c);
	return c;
}

static bool is_there(const struct mesh_scene *sc, const char *name)
{
	for (uint32_t i = 0; i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return true;
	return false;
}

static uint64_t id_of(const struct mesh_scene *sc, const char *name)
{
	const struct mt_cluster *c = cluster(sc->s, name);

	return c && c->tls ? mt_tls_context_id(c->tls) : 0;
}

/* ---- made and shared --------------------------------------------------------------------------------- */

static void one_context(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_cluster *c;
	const struct mt_tls_context *t;

	meshed(sc.m, "c", 7);
	mesh_load(&sc);
	CU_ASSERT_FALSE(is_there(&sc, "c"));
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "c", "write spec.identity"));
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.not_served, 0);
	c = cluster(sc.s, "c");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_TRUE(c->eps[0].tls && c->eps[1].tls);
	t = c->tls;
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->role, MT_TLS_CLIENT);
	CU_ASSERT_EQUAL(t->trust, MT_TLS_VERIFIED);
	CU_ASSERT_PTR_EQUAL(t->credential, pki()->alice);
	CU_ASSERT_STRING_EQUAL(mt_tls_context_sni(t), "outbound_.80_._.c");
	CU_ASSERT_EQUAL_FATAL(t->n_sans, 1);
	CU_ASSERT_STRING_EQUAL(t->sans[0].text, OTHER);
	/* The peer exchange is never offered. */
	CU_ASSERT_EQUAL_FATAL(t->alpn_len, 6);
	CU_ASSERT(memcmp(t->alpn, "\5istio", 6) == 0);
	/* For nobody but the node itself. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->lend);
	CU_ASSERT_EQUAL(c->lend->n_prefixes, 0);
	CU_ASSERT_EQUAL_FATAL(c->lend->n_principals, 1);
	CU_ASSERT_EQUAL(c->lend->principals[0].len, strlen(PKI_ALICE) - 9);
	CU_ASSERT(memcmp(c->lend->principals[0].p, PKI_ALICE + 9, strlen(PKI_ALICE) - 9) == 0);
	CU_ASSERT_PTR_NULL(c->unlent);
	CU_ASSERT(
		mesh_told(&sc, MT_DIAG_WARNING, "c", "2 of 2 endpoints need the node's identity"));
	mesh_scene_end(&sc);
}

static struct mt_conf_work work(const struct mesh_scene *sc)
{
	return mt_conf_work(sc->conf);
}

/* Another identity is another context of the same cluster; who has none of it stays as it is. */
static void another_identity(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_tls_context *first;
	struct mt_conf_change change;
	struct mt_snapshot *s;
	struct mt_err err;
	uint64_t made, shared, id;

	meshed(sc.m, "a", 7);
	meshed(sc.m, "b", 8)->tls->sni = "outbound_.80_._.b";
	mesh_simple_cluster(sc.m, "plain");
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	made = work(&sc).clusters_made;
	shared = work(&sc).clusters_shared;
	first = cluster(sc.s, "a")->tls;
	id = id_of(&sc, "a");
	/* What the library keeps is the same one. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(cluster(sc.s, "b")->tls);
	CU_ASSERT_PTR_EQUAL(first->ssl, cluster(sc.s, "b")->tls->ssl);
	CU_ASSERT_NOT_EQUAL(id, id_of(&sc, "b"));
	mesh_load(&sc);
	CU_ASSERT_EQUAL(work(&sc).clusters_made, made);
	CU_ASSERT_EQUAL(work(&sc).clusters_shared, shared + 3);
	CU_ASSERT_PTR_EQUAL(cluster(sc.s, "a")->tls, first);
	mt_conf_set_identity(sc.conf, pki()->bob);
	s = mt_conf_compile(sc.conf, sc.m, &sc.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(sc.conf, s, NOW, &change, &err), 0);
	sc.s = s;
	CU_ASSERT_EQUAL(change.clusters_changed, 2);
	CU_ASSERT_EQUAL(work(&sc).clusters_made, made + 2);
	CU_ASSERT_EQUAL(work(&sc).clusters_shared, shared + 4);
	CU_ASSERT_PTR_EQUAL(cluster(sc.s, "a")->tls->credential, pki()->bob);
	CU_ASSERT_PTR_EQUAL(cluster(sc.s, "a")->tls->ssl, cluster(sc.s, "b")->tls->ssl);
	CU_ASSERT_NOT_EQUAL(id_of(&sc, "a"), id);
	/* And none. */
	mt_conf_set_identity(sc.conf, NULL);
	mesh_load(&sc);
	CU_ASSERT_FALSE(is_there(&sc, "a"));
	CU_ASSERT_EQUAL(sc.diags.not_served, 2);
	mesh_scene_end(&sc);
}

/* An endpoint that refused plaintext, or another identity, may accept connections now. */
static void failures_of_another_way(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *mc = meshed(sc.m, "c", 7);
	struct mt_res_tls *tls = mc->tls;
	struct mt_ep_state *e;

	mt_conf_set_identity(sc.conf, pki()->alice);
	mc->tls = NULL;
	mesh_load(&sc);
	e = cluster(sc.s, "c")->eps[0].state;
	for (uint32_t i = 0; i < 4; i++) {
		for (uint32_t k = 0; k < 3; k++)
			mt_ep_failed(e, NOW);
		CU_ASSERT_TRUE(mt_ep_ejected(e, NOW));
		/*
		 * Compiles the same again; with another limit; then with TLS, another name in the
		 * certificate, and another identity of the node.
		 */
		mc->tls = i ? tls : NULL;
		mc->connect_ms = 7;
		mc->meta.serial = 8 + i;
		if (i == 2)
			tls->sans[0].text = PKI_BOB;
		if (i == 3)
			mt_conf_set_identity(sc.conf, pki()->bob);
		mesh_load(&sc);
		CU_ASSERT_PTR_EQUAL(cluster(sc.s, "c")->eps[0].state, e);
		CU_ASSERT_EQUAL(mt_ep_ejected(e, NOW), i == 0);
		if (i == 0)
			mt_ep_returned(e, NOW);
	}
	mesh_scene_end(&sc);
}

/* ---- half of a cluster ------------------------------------------------------------------------------- */

/* Endpoints without TLS of which no one is reached get calls all the same, as in any cluster. */
static void half_meshed_unreached(void)
{
	static const char node[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.9/24]}]\n"
		"  routes: [{to: 198.51.100.1/32, via: 203.0.113.1}]\n";
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_endpoints *e = mesh_simple_cluster(sc.m, "outbound|80||c.demo.svc.x");
	struct mt_res_cluster *mc = sc.m->res_clusters.v[0];
	const struct mt_cluster *c;

	mt_source_text(sc.m, &sc.diags, "n", node, strlen(node));
	e->localities[0].eps[0].tls = true;
	e->ns = "demo";
	mutual(sc.m, mc);
	mc->tls_by_endpoint = true;
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	c = cluster(sc.s, mc->meta.name);
	CU_ASSERT_TRUE(c->skips_unreached);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->unlent);
	CU_ASSERT_EQUAL_FATAL(c->unlent->n_eps, 1);
	CU_ASSERT_FALSE(c->unlent->skips_unreached);
	mesh_scene_end(&sc);
}

static void half_meshed(void)
{
	static const char policy[] =
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p, namespace: demo}\nspec: {action: DENY, rules: [{to: "
		"[{operation: {ports: ['80']}}]}]}\n";
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_endpoints *e = mesh_simple_cluster(sc.m, "outbound|80||c.demo.svc.x");
	struct mt_res_cluster *mc = sc.m->res_clusters.v[0];
	const struct mt_cluster *c;
	uint32_t levels;

	mesh_endpoint(sc.m, e, "198.51.100.3", 1, MT_RES_HEALTHY);
	mesh_locality(sc.m, e, 1, 1, NULL);
	mesh_endpoint(sc.m, e, "198.51.100.4", 1, MT_RES_HEALTHY);
	e->localities[0].eps[0].tls = e->localities[0].eps[2].tls = true;
	e->localities[1].eps[0].tls = true;
	e->ns = "demo";
	mutual(sc.m, mc);
	mc->tls_by_endpoint = true;
	mc->warmup_ms = 1000;
	mesh_load(&sc);
	c = cluster(sc.s, mc->meta.name);
	CU_ASSERT_EQUAL(c->n_eps, 1);
	CU_ASSERT_PTR_NULL(c->tls);
	CU_ASSERT(
		mesh_told(&sc, MT_DIAG_WARNING, mc->meta.name, "3 of its endpoints are not used"));
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	c = cluster(sc.s, mc->meta.name);
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 4);
	CU_ASSERT_TRUE(c->eps[0].tls && !c->eps[1].tls && c->eps[2].tls && c->eps[3].tls);
	levels = c->n_levels;
	CU_ASSERT_EQUAL(levels, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->unlent);
	CU_ASSERT_EQUAL_FATAL(c->unlent->n_eps, 1);
	CU_ASSERT_STRING_EQUAL(endpoint(c->unlent, 0), "198.51.100.2:80");
	CU_ASSERT_EQUAL(c->unlent->n_levels, 0);
	CU_ASSERT_PTR_NOT_NULL(c->unlent->warmup);
	CU_ASSERT_PTR_NULL(c->unlent->tls);
	CU_ASSERT_PTR_NULL(c->unlent->lend);
	CU_ASSERT_EQUAL(c->unlent->index, c->index);
	CU_ASSERT_STRING_EQUAL(c->unlent->name, c->name);
	CU_ASSERT(mesh_told(
		&sc, MT_DIAG_WARNING, mc->meta.name, "3 of 4 endpoints need the node's identity"));
	/* Bare ones are guarded by the node, in both. */
	mt_source_text(sc.m, &sc.diags, "t", policy, strlen(policy));
	mesh_proxy(sc.m, mesh_listener(sc.m, "l", "192.0.2.1", 80), "dubbo", "r");
	mesh_rule(sc.m, &mesh_routes(sc.m, "r")->list, "one", mc->meta.name);
	mesh_load(&sc);
	c = cluster(sc.s, mc->meta.name);
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->guards);
	CU_ASSERT_FALSE(c->eps[0].guarded);
	CU_ASSERT_TRUE(c->eps[1].guarded);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->unlent);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->unlent->guards);
	CU_ASSERT_TRUE(c->unlent->eps[0].guarded);
	CU_ASSERT_PTR_EQUAL(c->unlent->guards[0], c->guards[1]);
	CU_ASSERT_PTR_EQUAL(c->unlent->warmup->eps, c->unlent->eps);
	mesh_scene_end(&sc);
}

/* ---- for whom ---------------------------------------------------------------------------------------- */

static struct mt_text text(const char *s)
{
	return (struct mt_text){.s = s};
}

static void lent(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_text clients[] = {text("10.0.0.0/8"), text("spiffe://cluster.local/ns/shop/*")},
		       to[] = {text("demo")};
	struct mt_node_lend lend = {.clients = clients, .n_clients = 2, .to = to, .n_to = 1};
	struct mt_node_mesh mesh = {.lend = &lend};
	struct mt_node node = {.meta = {.name = "n"}, .mesh = &mesh};
	const struct mt_slice nobody = {0};
	struct mt_addr peer;

	meshed(sc.m, "in", 7);
	meshed(sc.m, "beside", 8);
	((struct mt_res_endpoints *)sc.m->res_endpoints.v[0])->ns = "demo";
	((struct mt_res_endpoints *)sc.m->res_endpoints.v[1])->ns = "other";
	sc.m->node = &node;
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse("10.1.2.3", &peer), 0);
	CU_ASSERT_TRUE(mt_lend_is_for(cluster(sc.s, "in")->lend, &peer, nobody));
	CU_ASSERT_FALSE(mt_lend_is_for(cluster(sc.s, "beside")->lend, &peer, nobody));
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse("192.0.2.3", &peer), 0);
	CU_ASSERT_FALSE(mt_lend_is_for(cluster(sc.s, "in")->lend, &peer, nobody));
	CU_ASSERT_TRUE(mt_lend_is_for(cluster(sc.s, "in")->lend, &peer,
		(struct mt_slice){(const void *)"cluster.local/ns/shop/sa/x", 26}));
	CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_WARNING, "in", "need the node's identity"));
	CU_ASSERT(mesh_told(
		&sc, MT_DIAG_WARNING, "beside", "2 of 2 endpoints need the node's identity"));
	/* Another word of the operator's holds for clusters that are the same otherwise. */
	lend.n_to = 0;
	mesh_load(&sc);
	CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_WARNING, "beside", "need the node's identity"));
	sc.m->node = NULL;
	mesh_scene_end(&sc);
}

/* It may be all of a mesh: some are told by name, the others by their number. */
static void many_need_lend(void)
{
	struct mesh_scene sc = mesh_scene_new();
	char names[70][8];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		snprintf(names[i], sizeof(names[i]), "c%u", i);
		meshed(sc.m, names[i], i + 1);
	}
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.warnings, 65);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "c63", "need the node's identity"));
	CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_WARNING, "c64", "need the node's identity"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(sc.diags.items[sc.diags.n - 1].message, "6 more clusters have endpoints"));
	mesh_scene_end(&sc);
}

/* A cluster may offer TLS and have nobody who wants it: then everybody calls them, and lending says nothing. */
static void nobody_wants_it(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *c = meshed(sc.m, "c", 7);

	c->tls_by_endpoint = true;
	mt_conf_set_identity(sc.conf, pki()->alice);
	mesh_load(&sc);
	CU_ASSERT_TRUE(cluster(sc.s, "c")->n_eps > 0);
	CU_ASSERT_PTR_NULL(cluster(sc.s, "c")->lend);
	CU_ASSERT_PTR_NULL(cluster(sc.s, "c")->unlent);
	mesh_scene_end(&sc);
}

/* ---- secrets ----------------------------------------------------------------------------------------- */

static void secrets(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *c = meshed(sc.m, "c", 7);
	struct mt_res_secret s = {.meta = {.name = "roots"}, .roots = pki()->roots};
	uint64_t id, made;
	char half[8192];

	snprintf(half, sizeof(half), "%s%.*s", pki()->roots, (int)strlen(pki()->other_roots) / 2,
		pki()->other_roots);
	*c->tls = (struct mt_res_tls){.trust = "roots", .sni = "c.example"};
	mesh_load(&sc);
	CU_ASSERT_FALSE(is_there(&sc, "c"));
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "c", "the secret \"roots\" is not here"));
	CU_ASSERT_EQUAL(mt_model_add(sc.m, &sc.m->res_secrets, &s), 0);
	mesh_load(&sc);
	id = id_of(&sc, "c");
	CU_ASSERT_NOT_EQUAL(id, 0);
	CU_ASSERT_PTR_NULL(cluster(sc.s, "c")->lend);
	CU_ASSERT_EQUAL(cluster(sc.s, "c")->tls->alpn_len, 0);
	made = work(&sc).clusters_made;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(work(&sc).clusters_made, made);
	s.roots = pki()->other_roots;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(work(&sc).clusters_made, made + 1);
	CU_ASSERT_NOT_EQUAL(id_of(&sc, "c"), id);
	/* What cannot be read, or not to its end, does not replace what is good; a secret that leaves takes it along. */
	id = id_of(&sc, "c");
	s.roots = "words";
	mesh_load(&sc);
	CU_ASSERT_EQUAL(id_of(&sc, "c"), id);
	s.roots = half;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(id_of(&sc, "c"), id);
	sc.m->res_secrets.n = 0;
	mesh_load(&sc);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "c", "the secret \"roots\" is not here"));
	mesh_scene_end(&sc);
}

/* What would be less than was asked for is not spoken. */
static void not_made(void)
{
	static const struct mt_res_tls rows[] = {
		{.sni = "x"},
		{.certificate = "default"},
		{.certificate = "default", .trust = "other"},
		{.certificate = "other", .trust = "ROOTCA"},
		{.certificate = "file-cert:/a~/b", .trust = "ROOTCA"},
		{.trust = "file-root:system"},
		{.trust = "file-root:/etc/passwd"},
		{.trust = "kubernetes://a/b"},
		{.certificate = "default",
			.trust = "ROOTCA",
			.unmade = "it names peers by patterns"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mesh_scene sc = mesh_scene_new();

		*meshed(sc.m, "c", 7)->tls = rows[i];
		mt_conf_set_identity(sc.conf, pki()->alice);
		mesh_load(&sc);
		CU_ASSERT_FALSE(is_there(&sc, "c"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "c", "cannot be encrypted"));
		mesh_scene_end(&sc);
	}
}

/* A name that no ClientHello can hold: nobody is called, and each load says so. */
static void names_too_long(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *c = meshed(sc.m, "c", 7);
	char name[400];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	c->tls->sni = name;
	mt_conf_set_identity(sc.conf, pki()->alice);
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(cluster(sc.s, "c"));
		CU_ASSERT_EQUAL(cluster(sc.s, "c")->n_eps, 0);
		CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "c", "server name aaaa"));
	}
	mesh_scene_end(&sc);
}

const struct mt_test tls_tests[] = {
	{"one_context", one_context},
	{"another_identity", another_identity},
	{"failures_of_another_way", failures_of_another_way},
	{"half_meshed", half_meshed},
	{"half_meshed_unreached", half_meshed_unreached},
	{"lent", lent},
	{"many_need_lend", many_need_lend},
	{"nobody wants it", nobody_wants_it},
	{"secrets", secrets},
	{"not_made", not_made},
	{"names_too_long", names_too_long},
	{0},
};
