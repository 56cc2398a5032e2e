/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that filter chains of discovery services' listeners end, or refuse for want of what it is ended with. */
#include "../tls/pki.h"
#include "mesh_build.h"
#include "mt_tls.h"

#include <stdlib.h>

static const char *alpn_of_istio[] = {"istio-peer-exchange", "h2", "http/1.1"};
static struct mt_res_san of_mesh = {"spiffe://cluster.local/", true};

static struct mt_res_tls *tls_of(
	struct mesh_scene *sc, struct mt_res_chain *c, const char *certificate, const char *trust)
{
	c->tls = mt_region_alloc(&sc->m->region, sizeof(*c->tls));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
	c->tls->certificate = certificate;
	c->tls->trust = trust;
	return c->tls;
}

static struct mt_res_chain *bytes_to(
	struct mesh_scene *sc, struct mt_res_listener *l, const char *cluster)
{
	struct mt_res_chain *c = mesh_chain(sc->m, l);

	mesh_simple_cluster(sc->m, cluster);
	mesh_dest(sc->m, &c->dests, &c->n_dests, cluster, 1);
	return c;
}

/* A secret of this leaf, with the mesh's roots beside it under another name. */
static void add_secrets(struct mesh_scene *sc, const struct pki_node *leaf)
{
	struct mt_res_secret *pair = mt_region_alloc(&sc->m->region, sizeof(*pair)),
			     *roots = mt_region_alloc(&sc->m->region, sizeof(*roots));
	const X509 *certs[] = {leaf->cert};
	char *chain = pki_pem(certs, 1), *key = pki_key(leaf->key);

	pair->meta.name = "pair";
	pair->chain = mt_region_strdup(&sc->m->region, chain);
	pair->key = mt_region_strdup(&sc->m->region, key);
	roots->meta.name = "roots";
	roots->roots = mt_region_strdup(&sc->m->region, pki()->roots);
	mt_model_add(sc->m, &sc->m->res_secrets, pair);
	mt_model_add(sc->m, &sc->m->res_secrets, roots);
	free(chain);
	free(key);
}

static const struct mt_filter_chain *chain_for(const struct mesh_scene *sc, bool tls)
{
	static const struct mt_filter_chain_facts clear = {.lport = 1},
						  secret = {.lport = 1, .tls = true};
	const struct mt_listener *l = listener(sc->s, "192.0.2.1", 1);

	return l ? mt_filter_chain_choose(l, tls ? &secret : &clear) : NULL;
}

/* As Istio says it; without an identity nobody is served, by whatever chain. */
static void by_identity(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	struct mt_res_tls *tls = tls_of(&sc, bytes_to(&sc, l, "a"), "default", "ROOTCA");
	const struct mt_filter_chain_facts none = {.lport = 1};
	uint64_t id;

	tls->client_certificate = true;
	tls->sans = &of_mesh;
	tls->n_sans = 1;
	tls->alpn = alpn_of_istio;
	tls->n_alpn = 3;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(listener(sc.s, "192.0.2.1", 1));
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "l", "the node has no identity"));
	mt_conf_set_identity(sc.conf, pki()->bob);
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain_for(&sc, true));
	CU_ASSERT_PTR_NOT_NULL(chain_for(&sc, true)->tls);
	CU_ASSERT_FALSE(listener(sc.s, "192.0.2.1", 1)->decided);
	CU_ASSERT_TRUE(mt_filter_chain_asks_bytes(listener(sc.s, "192.0.2.1", 1), &none));
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	/* Whoever comes by it is a member of the mesh, of the domain that is its own. */
	id = mt_tls_context_id(chain_for(&sc, true)->tls);
	sc.m->mesh.trust_domain = "other.example";
	mesh_load(&sc);
	CU_ASSERT_NOT_EQUAL(mt_tls_context_id(chain_for(&sc, true)->tls), id);
	mesh_scene_end(&sc);
}

/* A chain's precedence is that of what it matches: clear text that it gets goes nowhere else. */
static void beside_others(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	struct mt_res_listener *other = mesh_listener(sc.m, "m", "192.0.2.2", 1);
	static const char *h2[] = {"h2"};
	struct mt_res_chain *c;

	mt_conf_set_identity(sc.conf, pki()->bob);
	tls_of(&sc, bytes_to(&sc, l, "a"), "default", NULL);
	c = bytes_to(&sc, l, "b");
	c->match.alpn = h2;
	c->match.n_alpn = 1;
	l->fallback = bytes_to(&sc, other, "rest");
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain_for(&sc, true));
	CU_ASSERT_PTR_NOT_NULL(chain_for(&sc, true)->tls);
	CU_ASSERT_PTR_EQUAL(chain_for(&sc, true), chain_for(&sc, false));
	mesh_scene_end(&sc);
}

/* One that is for everybody else ends TLS as well: bytes are looked at. */
static void as_default(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	const struct mt_filter_chain_facts none = {.lport = 1};

	mt_conf_set_identity(sc.conf, pki()->bob);
	l->fallback = bytes_to(&sc, mesh_listener(sc.m, "other", "192.0.2.2", 1), "rest");
	tls_of(&sc, l->fallback, "default", "ROOTCA");
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(listener(sc.s, "192.0.2.1", 1));
	CU_ASSERT_TRUE(mt_filter_chain_asks_bytes(listener(sc.s, "192.0.2.1", 1), &none));
	CU_ASSERT_FALSE(listener(sc.s, "192.0.2.1", 1)->decided);
	CU_ASSERT_PTR_NOT_NULL(chain_for(&sc, true)->tls);
	mesh_scene_end(&sc);
}

/* Secrets by name, when they are there; one that is renewed is another context. */
static void by_secrets(void)
{
	static const struct pki_how how = {.san = "DNS:a.x"};
	struct pki_node first = pki_make(&pki()->root, &how), second = pki_make(&pki()->root, &how);
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
	struct mt_tls_context *before;

	tls_of(&sc, bytes_to(&sc, l, "a"), "pair", "roots")->client_certificate = true;
	mesh_load(&sc);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "l", "\"pair\" is not here"));
	add_secrets(&sc, &first);
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain_for(&sc, true));
	before = chain_for(&sc, true)->tls;
	CU_ASSERT_PTR_NOT_NULL_FATAL(before);
	mesh_load(&sc);
	CU_ASSERT_PTR_EQUAL(chain_for(&sc, true)->tls, before);
	sc.m->res_secrets.n = 0;
	add_secrets(&sc, &second);
	before = mt_tls_context_hold(before);
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_EQUAL(chain_for(&sc, true)->tls, before);
	mt_tls_context_drop(before);
	sc.m->res_secrets.n = 0;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(listener(sc.s, "192.0.2.1", 1));
	mesh_scene_end(&sc);
	pki_free(&first);
	pki_free(&second);
}

/* What it says of clients has to be meant. */
static void not_as_said(void)
{
	for (int i = 0; i < 5; i++) {
		static const char *const words[] = {"no certificate", "which are trusted",
			"patterns", "that is not verified", "no certificate"};
		struct mesh_scene sc = mesh_scene_new();
		struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);
		struct mt_res_tls *tls =
			tls_of(&sc, bytes_to(&sc, l, "a"), i && i < 4 ? "default" : NULL, NULL);

		mt_conf_set_identity(sc.conf, pki()->bob);
		tls->client_certificate = i == 1;
		tls->unmade = i == 2 ? "it names peers by patterns" : NULL;
		tls->sans = &of_mesh;
		tls->n_sans = i == 3;
		tls->trust = i == 4 ? "ROOTCA" : NULL;
		mesh_load(&sc);
		CU_ASSERT_PTR_NULL(listener(sc.s, "192.0.2.1", 1));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "l", words[i]));
		mesh_scene_end(&sc);
	}
}

/* Messages in TLS, by the name that it asks for. */
static void of_messages(void)
{
	static const char *name[] = {"a.x"};
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 1);

	mt_conf_set_identity(sc.conf, pki()->bob);
	mesh_proxy(sc.m, l, "dubbo", NULL);
	l->chains[0].match.server_names = name;
	l->chains[0].match.n_server_names = 1;
	tls_of(&sc, &l->chains[0], "default", "ROOTCA");
	mesh_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(listener(sc.s, "192.0.2.1", 1));
	CU_ASSERT_STRING_EQUAL(listener(sc.s, "192.0.2.1", 1)->protos[0].codec->name, "dubbo");
	CU_ASSERT_PTR_NULL(chain_for(&sc, false));
	mesh_scene_end(&sc);
}

const struct mt_test mesh_ends_tests[] = {
	{"by_identity", by_identity},
	{"beside_others", beside_others},
	{"as_default", as_default},
	{"by_secrets", by_secrets},
	{"not_as_said", not_as_said},
	{"of_messages", of_messages},
	{0},
};
