/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random meshes that change from load to load: whatever was shared, a snapshot must say what its model says.
 * Each object's content follows from its number and its revision, so the test knows it without looking.
 */
#include "mesh_build.h"

#include "mt_rand.h"

#include <stdio.h>

#define N	24
#define ROUNDS	400
#define ABSENT	0
#define REV_MAX 5

/* Revisions: ABSENT, or what the object says; and its serial, which is another one with each change. */
struct state {
	uint32_t cluster[N], endpoints[N], listener[N], routes[N];
	uint64_t serials[4][N], serial;
};

static struct state st;

static uint32_t *revs(uint32_t kind)
{
	uint32_t *const all[] = {st.cluster, st.endpoints, st.listener, st.routes};

	return all[kind];
}

static void change(struct mt_rand *r)
{
	uint32_t kind = mt_rand_u64(r) % 4, i = mt_rand_u64(r) % N;

	revs(kind)[i] = mt_rand_u64(r) % REV_MAX;
	st.serials[kind][i] = ++st.serial;
}

/* The cluster that listener i leads to by these routes. */
static uint32_t target(uint32_t i)
{
	return (i * 7 + st.routes[i] * 3) % N;
}

static void add_cluster(struct mt_model *m, uint32_t i)
{
	char name[16];
	struct mt_res_cluster *c;

	snprintf(name, sizeof(name), "c%u", i);
	c = mesh_cluster(m, name);
	c->connect_ms = st.cluster[i] * 100;
	c->meta.serial = st.serials[0][i] + 1;
}

static void add_endpoints(struct mt_model *m, uint32_t i)
{
	struct mt_res_endpoints *e;
	char name[32];

	snprintf(name, sizeof(name), "c%u", i);
	e = mesh_endpoints(m, name);
	e->meta.serial = st.serials[1][i] + 1;
	for (uint32_t k = 0; k < st.endpoints[i]; k++) {
		snprintf(name, sizeof(name), "198.51.%u.%u", i, k + 1);
		mesh_endpoint(m, e, name, 1, MT_RES_HEALTHY);
	}
}

/* Of two chains one is for some clients only, and the other one speaks for the listener. */
static bool has_two(uint32_t i)
{
	return st.listener[i] >= 3;
}

static uint32_t bytes_target(uint32_t i)
{
	return (i * 5 + st.listener[i]) % N;
}

static void add_bytes(struct mt_model *m, struct mt_res_listener *l, uint32_t i)
{
	struct mt_res_chain *c = mesh_chain(m, l);
	struct mt_res_match *some = &l->chains[st.listener[i] % 2].match;
	char name[16];

	snprintf(name, sizeof(name), "c%u", bytes_target(i));
	mesh_dest(m, &c->dests, &c->n_dests, name, 1);
	some->sources = mt_region_alloc(&m->region, sizeof(*some->sources));
	some->n_sources = 1;
	CU_ASSERT_EQUAL(
		mt_prefix_parse("10.0.0.0/8", &some->sources->addr, &some->sources->bits), 0);
}

static void add_listener(struct mt_model *m, uint32_t i)
{
	struct mt_res_listener *l;
	char name[32], address[32];

	snprintf(name, sizeof(name), "l%u", i);
	snprintf(address, sizeof(address), "192.0.2.%u", i + 1);
	l = mesh_listener(m, name, address, (uint16_t)(1000 + st.listener[i]));
	l->meta.serial = st.serials[2][i] + 1;
	snprintf(name, sizeof(name), "r%u", i);
	mesh_proxy(m, l, "dubbo", name);
	if (has_two(i))
		add_bytes(m, l, i);
}

static void add_routes(struct mt_model *m, uint32_t i)
{
	struct mt_res_routes *r;
	char name[16], cluster_name[16];

	snprintf(name, sizeof(name), "r%u", i);
	snprintf(cluster_name, sizeof(cluster_name), "c%u", target(i));
	r = mesh_routes(m, name);
	r->meta.serial = st.serials[3][i] + 1;
	mesh_rule(m, &r->list, cluster_name, cluster_name);
}

/*
 * From a random place on, so that the order of objects changes, too. Any of them may be there without
 * those that it names or that name it.
 */
static struct mt_model *model(uint32_t first)
{
	struct mt_model *m = mt_model_new();

	for (uint32_t k = 0; k < N; k++) {
		uint32_t i = (first + k) % N;

		if (st.cluster[i])
			add_cluster(m, i);
		if (st.endpoints[i])
			add_endpoints(m, i);
		if (st.listener[i])
			add_listener(m, i);
		if (st.routes[i])
			add_routes(m, i);
	}
	return m;
}

static void check_clusters(const struct mt_snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++) {
		char name[32];
		const struct mt_cluster *c;

		if (!st.cluster[i])
			continue;
		n++;
		snprintf(name, sizeof(name), "c%u", i);
		c = cluster(s, name);
		CU_ASSERT_EQUAL(c->connect_ms, st.cluster[i] * 100);
		CU_ASSERT_EQUAL_FATAL(c->n_eps, st.endpoints[i]);
		for (uint32_t k = 0; k < c->n_eps; k++) {
			snprintf(name, sizeof(name), "198.51.%u.%u:80", i, k + 1);
			CU_ASSERT_STRING_EQUAL(endpoint(c, k), name);
		}
	}
	CU_ASSERT_EQUAL(s->n_clusters, n);
}

static void check_route(const struct mt_snapshot *s, const struct mt_listener *l, uint32_t i)
{
	const struct mt_route_table *t = l->protos->services[0]->routes;
	char name[16];
	uint32_t at;

	CU_ASSERT_EQUAL_FATAL(mt_route_count(t), st.routes[i] != ABSENT);
	if (!st.routes[i])
		return;
	snprintf(name, sizeof(name), "c%u", target(i));
	CU_ASSERT_STRING_EQUAL(mt_route_at(t, 0)->name, name);
	at = mt_route_pick(mt_route_at(t, 0), 0);
	CU_ASSERT_EQUAL_FATAL(at != MT_ROUTE_NO_CLUSTER, st.cluster[target(i)] != ABSENT);
	if (at == MT_ROUTE_NO_CLUSTER)
		return;
	CU_ASSERT_FATAL(at < s->n_clusters);
	CU_ASSERT_STRING_EQUAL(s->clusters[at].name, name);
}

static void check_bytes(const struct mt_snapshot *s, const struct mt_listener *l, uint32_t i)
{
	const struct mt_service *v = l->protos[1].services[0];
	char name[16];

	CU_ASSERT_EQUAL(l->chains[st.listener[i] % 2].match.n_src, 1);
	CU_ASSERT_EQUAL(l->chains[1 - st.listener[i] % 2].match.n_src, 0);
	snprintf(name, sizeof(name), "c%u", bytes_target(i));
	CU_ASSERT_EQUAL_FATAL(
		v->tcp_cluster < s->n_clusters, st.cluster[bytes_target(i)] != ABSENT);
	if (v->tcp_cluster < s->n_clusters)
		CU_ASSERT_STRING_EQUAL(s->clusters[v->tcp_cluster].name, name);
}

static void check_listeners(const struct mt_snapshot *s)
{
	uint32_t n = 0, n_more = 0;

	for (uint32_t i = 0; i < N; i++) {
		const struct mt_listener *l;
		char address[32];

		if (!st.listener[i])
			continue;
		n++;
		snprintf(address, sizeof(address), "192.0.2.%u", i + 1);
		l = listener(s, address, (uint16_t)(1000 + st.listener[i]));
		CU_ASSERT_PTR_NOT_NULL_FATAL(l);
		CU_ASSERT_EQUAL_FATAL(l->n_protos, has_two(i) ? 2 : 1);
		check_route(s, l, i);
		if (!has_two(i))
			continue;
		n_more++;
		check_bytes(s, l, i);
	}
	CU_ASSERT_EQUAL(s->n_listeners, n);
	CU_ASSERT_EQUAL(s->n_services, n + n_more);
}

/* Some snapshots are held for a while, some are compiled and thrown away. */
static void round_of(struct mt_conf *c, struct mt_rand *r, struct mt_snapshot *held[2], uint32_t k)
{
	struct mt_model *m;
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err err;

	for (uint32_t n = mt_rand_u64(r) % 6; n > 0; n--)
		change(r);
	m = model(mt_rand_u64(r) % N);
	mt_diags_init(&diags);
	s = mt_conf_compile(c, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(diags.errors + diags.left_out, 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	check_clusters(s);
	check_listeners(s);
	if (mt_rand_u64(r) % 4 == 0) {
		mt_conf_discard(c, s, NOW);
		return;
	}
	if (held[k % 2])
		mt_snapshot_drop(held[k % 2], 0);
	held[k % 2] = NULL;
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	if (mt_rand_u64(r) % 3 == 0) {
		mt_snapshot_hold(s, 0);
		held[k % 2] = s;
	}
	mt_conf_reap(c, NOW);
}

static void random_meshes(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct mt_conf *c = new_conf();
		struct mt_snapshot *held[2] = {0};
		struct mt_conf_work work;
		struct mt_rand r;

		memset(&st, 0, sizeof(st));
		mt_rand_seed(&r, seed);
		for (uint32_t k = 0; k < ROUNDS; k++)
			round_of(c, &r, held, k);
		/* Most of it was taken over. */
		work = mt_conf_work(c);
		CU_ASSERT(work.clusters_shared > work.clusters_made * 2);
		CU_ASSERT(work.services_shared > work.services_made * 2);
		mt_conf_destroy(c);
	}
}

const struct mt_test mesh_random_tests[] = {
	{"random_meshes", random_meshes},
	{0},
};
