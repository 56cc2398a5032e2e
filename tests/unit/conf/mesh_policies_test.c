/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of documents in front of instances that discovery services name. */
#include "mesh_build.h"

#include <string.h>

#include "mt_authz.h"

#define POLICY(ns, spec)                                                                           \
	"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"                            \
	"metadata: {name: p, namespace: " ns "}\nspec: " spec "\n"
#define TOKENS                                                                                     \
	"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"                          \
	"metadata: {name: p, namespace: x}\nspec: {jwtRules: [{issuer: i, jwks: "                  \
	"'{\"keys\":[]}'}]}\n"
#define C "outbound|20880||a.x.svc.cluster.local"

/* A cluster of two instances of namespace x, of which the second has a proxy of its own, that a listener of messages leads to. */
struct scene {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
	struct mt_res_endpoints *e;
	const struct mt_snapshot *s;
};

static void bytes_too(struct mt_model *m)
{
	struct mt_res_chain *c = mesh_chain(m, mesh_listener(m, "bytes", "192.0.2.2", 20880));

	mesh_dest(m, &c->dests, &c->n_dests, C, 1);
}

static void build(struct scene *sc, const char *policy)
{
	struct mt_res_routes *r;

	*sc = (struct scene){.conf = new_conf(), .m = mt_model_new()};
	mt_diags_init(&sc->diags);
	CU_ASSERT_EQUAL(mt_source_text(sc->m, &sc->diags, "t", policy, strlen(policy)), 0);
	(void)mesh_cluster(sc->m, C);
	sc->e = mesh_endpoints(sc->m, C);
	mesh_endpoint(sc->m, sc->e, "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(sc->m, sc->e, "198.51.100.2", 1, MT_RES_HEALTHY);
	sc->e->localities[0].eps[1].tls = true;
	sc->e->ns = "x";
	r = mesh_routes(sc->m, "r");
	mesh_rule(sc->m, &r->list, "one", C);
	mesh_proxy(sc->m, mesh_listener(sc->m, "calls", "192.0.2.1", 20880), "dubbo", "r");
}

static const struct mt_cluster *load(struct scene *sc, const struct mt_model *m)
{
	struct mt_err err;
	struct mt_snapshot *s = mt_conf_compile(sc->conf, m, &sc->diags, NOW);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(sc->conf, s, NOW, NULL, &err), 0);
	sc->s = s;
	return cluster(s, C);
}

static void end(struct scene *sc)
{
	mt_conf_destroy(sc->conf);
	mt_model_free(sc->m);
	mt_diags_fini(&sc->diags);
}

static const struct {
	const char *policy;
	bool guarded, read, change;
} rows[] = {
	{POLICY("x", "{}"), true, false, false},
	{POLICY("x", "{rules: [{to: [{operation: {methods: [a]}}]}]}"), true, true, false},
	{POLICY("istio-system", "{}"), true, false, false},
	{POLICY("y", "{}"), false, false, false},
	{POLICY("x", "{rules: [{}]}"), false, false, false},
	{POLICY("x", "{targetRefs: [{group: '', kind: Service, name: a}]}"), true, false, false},
	{POLICY("x", "{targetRefs: [{group: '', kind: Service, name: b}]}"), false, false, false},
	{TOKENS, true, true, true},
};

static void guarded(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		const struct mt_cluster *c;
		const struct mt_endpoint *shared;

		build(&sc, rows[i].policy);
		c = load(&sc, sc.m);
		CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
		CU_ASSERT_EQUAL(c->guards != NULL, rows[i].guarded);
		CU_ASSERT_EQUAL(c->eps[0].guarded, rows[i].guarded);
		CU_ASSERT_FALSE(c->eps[1].guarded);
		CU_ASSERT_EQUAL(c->guards_read, rows[i].read);
		CU_ASSERT_EQUAL(c->guards_change, rows[i].change);
		/* Who judges a call by its names has to have it; whether anybody does is known later. */
		CU_ASSERT_FALSE(rows[i].read && sc.s->services[0]->early_ok);
		/* What is shared by snapshots knows nothing of it. */
		shared = mt_conf_cluster(sc.conf, C)->eps;
		CU_ASSERT_FALSE(shared[0].guarded);
		CU_ASSERT_EQUAL(c->eps == shared, !rows[i].guarded);
		end(&sc);
	}
}

/* Calls and bytes are led to one cluster: whose fields a rule means cannot be said, and what protects closes. */
static void several_protocols(void)
{
	struct scene sc;
	const struct mt_cluster *c;

	build(&sc, POLICY("x", "{action: DENY, rules: [{to: [{operation: {methods: [a]}}]}]}"));
	bytes_too(sc.m);
	c = load(&sc, sc.m);
	CU_ASSERT_TRUE(c->eps[0].guarded);
	CU_ASSERT_EQUAL(c->guards[0]->deny[0]->action, MT_AUTHZ_CLOSE);
	end(&sc);
}

/* All of it is closed: nobody is chosen, and who connects is refused. */
static void closed(void)
{
	struct scene sc;
	const struct mt_cluster *c;

	build(&sc, POLICY("x", "{selector: {matchLabels: {app: a}}, action: DENY, rules: [{}]}"));
	sc.e->localities[0].eps[1].tls = false;
	c = load(&sc, sc.m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->closed_by);
	CU_ASSERT_STRING_EQUAL(c->closed_by->by, "AuthorizationPolicy x/p");
	CU_ASSERT_EQUAL(c->n_eps, 0);
	CU_ASSERT_PTR_EQUAL(listener(sc.s, "192.0.2.1", 20880)->closed_by, c->closed_by);
	CU_ASSERT_EQUAL(mt_conf_cluster(sc.conf, C)->n_eps, 2);
	end(&sc);
}

const struct mt_test mesh_policies_tests[] = {
	{"guarded", guarded}, {"several_protocols", several_protocols}, {"closed", closed}, {0}};
