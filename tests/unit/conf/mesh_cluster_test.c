/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters of discovery services: which endpoints are used and how much; what snapshots share. */
#include "mesh_build.h"

#include <stdio.h>

struct scene {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
};

static struct scene scene_new(void)
{
	struct scene sc = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&sc.diags);
	return sc;
}

static const struct mt_snapshot *load_at(
	struct scene *sc, struct mt_conf_change *change, uint64_t now)
{
	struct mt_snapshot *s;
	struct mt_err err;

	mt_diags_fini(&sc->diags);
	mt_diags_init(&sc->diags);
	s = mt_conf_compile(sc->conf, sc->m, &sc->diags, now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(sc->conf, s, now, change, &err), 0);
	mt_conf_reap(sc->conf, now);
	return s;
}

static const struct mt_snapshot *load(struct scene *sc)
{
	return load_at(sc, NULL, NOW);
}

static void scene_end(struct scene *sc)
{
	mt_conf_destroy(sc->conf);
	mt_model_free(sc->m);
	mt_diags_fini(&sc->diags);
}

/* ---- which endpoints, and how much -------------------------------------------------------------- */

/*
 * "p0w3:1h,2u p1:1h": localities with priority and weight (0: none), endpoints with weight and health
 * (h, g: degraded, d: draining, u: unhealthy), which have ascending addresses.
 */
static void endpoints_of(struct mt_model *m, struct mt_res_endpoints *e, const char *spec)
{
	static const char letters[] = "hgdu";
	uint32_t host = 0;
	const char *p = spec;

	while (*p) {
		uint32_t priority, weight = 0;
		int n = 0;

		if (sscanf(p, " p%uw%u%n", &priority, &weight, &n) < 2 || !n) {
			weight = 0;
			CU_ASSERT_EQUAL_FATAL(sscanf(p, " p%u%n", &priority, &n), 1);
		}
		p += n;
		mesh_locality(m, e, priority, weight, "r/z");
		while (*p == ':' || *p == ',') {
			char address[32], health;

			CU_ASSERT_EQUAL_FATAL(sscanf(p + 1, "%u%c%n", &weight, &health, &n), 2);
			p += 1 + n;
			snprintf(address, sizeof(address), "198.51.100.%u", ++host);
			mesh_endpoint(m, e, address, weight,
				(enum mt_res_health)(strchr(letters, health) - letters));
		}
	}
}

/* "1x3 2 | 20%: 3": last byte of the address, weight if not 1; levels with their load. */
static void words(const struct mt_cluster *c, char *buf, size_t size)
{
	size_t n = 0;
	uint32_t level = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < c->n_eps; i++) {
		const char *sep = i ? " " : "";

		if (level < c->n_levels && c->levels[level].first == i)
			n += (size_t)snprintf(buf + n, size - n, "%s%u%%:", i ? " | " : "",
				c->levels[level++].load);
		if (c->n_levels)
			sep = " ";
		n += (size_t)snprintf(buf + n, size - n, "%s%u", sep, c->eps[i].addr.b[15]);
		if (c->eps[i].weight != 1)
			n += (size_t)snprintf(buf + n, size - n, "x%u", c->eps[i].weight);
	}
}

static const struct {
	const char *endpoints;
	int panic; /* -1: not said */
	bool by_locality;
	const char *want;
	uint32_t n_out;
} plan_rows[] = {
	{"p0:1h,1h", -1, false, "1 2", 0},
	{"p0:2h,4h", -1, false, "1x2 2x4", 0},
	/* Degraded ones take what the healthy ones of all priorities leave. */
	{"p0:1h,1g", -1, false, "70%: 1 | 30%: 2", 0},
	{"p0:1h,1h,1h,1g", -1, false, "100%: 1 2 3 | 0%: 4", 0},
	{"p0:1h,1g,1g,1g p1:1h", -1, false, "35%: 1 | 65%: 5 | 0%: 2 3 4", 0},
	{"p0:1g,1g p1:1h", -1, false, "100%: 3 | 0%: 1 2", 0},
	{"p0:1g,1g,1u", 0, false, "1 2", 1},
	/* Draining ones are as if they were not there, but for panic. */
	{"p0:1h,1h,1u,1d p1:1h", -1, false, "93%: 1 2 | 7%: 5", 2},
	{"p0:1h,1d,1d", -1, false, "1", 2},
	{"p0:1d,1d", -1, false, "1 2", 0},
	{"p0:1d,1d", 0, false, "", 2},
	/* Out of rotation. */
	{"p0:1h,1d,1u,1h", -1, false, "1 4", 2},
	/* Panic: fewer than half are healthy, all are used; or none where the mesh says never. */
	{"p0:1h,1u,1u", -1, false, "1 2 3", 0},
	{"p0:1h,1u,1u", 0, false, "1", 2},
	{"p0:1u,1u", -1, false, "1 2", 0},
	{"p0:1u,1u", 0, false, "", 2},
	/* The second priority waits as long as the first has 100 / 140 of its endpoints. */
	{"p0:1h,1h p1:1h", -1, false, "100%: 1 2 | 0%: 3", 0},
	{"p0:1h,1h,1h,1h,1u p1:1h", -1, false, "100%: 1 2 3 4 | 0%: 6", 1},
	{"p0:1h,1u p1:1h", -1, false, "70%: 1 | 30%: 3", 1},
	{"p0:1u,1u p1:1h", -1, false, "3", 2},
	/* Order is that of priorities, whatever the order of localities. */
	{"p3:1h p1:1h,1u,1u", -1, false, "46%: 2 | 54%: 1", 2},
	/* Together they do not reach 100 %: shares of the sum, and panic where half is not healthy. */
	{"p0:1h,1u,1u,1u p1:1h,1u,1u,1u", 0, false, "50%: 1 | 50%: 5", 6},
	{"p0:1h,1u,1u,1u p1:1h,1u,1u,1u", -1, false, "50%: 1 2 3 4 | 50%: 5 6 7 8", 0},
	{"p0:1h,1u,1u,1u,1u p1:1h,1h,1u,1u", -1, false, "29%: 1 2 3 4 5 | 71%: 6 7", 2},
	/* All of them in panic: by numbers. */
	{"p0:1u,1u p1:1h,1u,1u,1u,1u,1u", -1, false, "25%: 1 2 | 75%: 3 4 5 6 7 8", 0},
	{"p0:1u p1:1u,1u", -1, false, "34%: 1 | 66%: 2 3", 0},
	/* Localities: by their weight, whatever they hold; less what is not healthy of them. */
	{"p0w1:1h,1h p0w3:1h", -1, true, "1 2 3x6", 0},
	{"p0w1:1h,1h p0w3:1h", -1, false, "1 2 3", 0},
	{"p0w1:1h,1u p0w1:1h,1h", -1, true, "1x7 3x5 4x5", 1},
	{"p0w1:1h,1d p0w1:1h", -1, true, "1 3", 1},
	{"p0w1:1u p0w3:1u,1u", -1, true, "1 2 3", 0},
	{"p0w0:1h p0w3:1h", -1, true, "2", 1},
	{"p0:1h p0:1h", -1, true, "1 2", 0},
	{"", -1, false, "", 0},
};

static void plans(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(plan_rows); i++) {
		struct scene sc = scene_new();
		struct mt_res_cluster *mc = mesh_cluster(sc.m, "c");
		const struct mt_cluster *c;
		char got[256];

		endpoints_of(sc.m, mesh_endpoints(sc.m, "c"), plan_rows[i].endpoints);
		mc->locality_weighted = plan_rows[i].by_locality;
		if (plan_rows[i].panic >= 0)
			mc->panic_percent =
				(struct mt_num){.v = (uint32_t)plan_rows[i].panic, .set = true};
		c = cluster(load(&sc), "c");
		words(c, got, sizeof(got));
		CU_ASSERT_STRING_EQUAL(got, plan_rows[i].want);
		CU_ASSERT_EQUAL(c->n_out, plan_rows[i].n_out);
		if (strcmp(got, plan_rows[i].want) != 0)
			printf("\n%s: %s, not %s\n", plan_rows[i].endpoints, got,
				plan_rows[i].want);
		scene_end(&sc);
	}
}

/* What nobody can reach, what is said twice, and what wants TLS. */
static void endpoints_refused(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e = mesh_endpoints(sc.m, "c");
	struct mt_res_cluster *mc = mesh_cluster(sc.m, "c");
	const struct mt_cluster *c;

	mesh_endpoint(sc.m, e, "224.0.0.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(sc.m, e, "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(sc.m, e, "198.51.100.1", 7, MT_RES_HEALTHY);
	mesh_endpoint(sc.m, e, "198.51.100.2", 1, MT_RES_HEALTHY);
	e->localities->eps[3].tls = true;
	/* In a cluster of clear text an endpoint's metadata ask for nothing. */
	c = cluster(load(&sc), "c");
	CU_ASSERT_EQUAL(c->n_eps, 2);
	CU_ASSERT_EQUAL(sc.diags.warnings, 1);
	mc->tls = mt_region_alloc(&sc.m->region, sizeof(*mc->tls));
	mc->tls_by_endpoint = true;
	mc->meta.serial++;
	c = cluster(load(&sc), "c");
	CU_ASSERT_EQUAL(c->n_eps, 1);
	CU_ASSERT_STRING_EQUAL(endpoint(c, 0), "198.51.100.1:80");
	CU_ASSERT_EQUAL(sc.diags.warnings, 2);
	/* Told with each load, also when it is taken over. */
	load(&sc);
	CU_ASSERT_EQUAL(sc.diags.warnings, 2);
	scene_end(&sc);
}

static void settings(void)
{
	static const enum mt_lb want[] = {MT_LB_ROUND_ROBIN, MT_LB_LEAST_REQUEST, MT_LB_RANDOM,
		MT_LB_RING_HASH, MT_LB_MAGLEV};

	for (enum mt_res_lb lb = MT_RES_ROUND_ROBIN; lb <= MT_RES_MAGLEV; lb++) {
		struct scene sc = scene_new();
		struct mt_res_cluster *mc = mesh_cluster(sc.m, "c");
		struct mt_res_outlier outlier = {
			.failures = {.v = 7, .set = true}, .errors = {.v = 9, .set = true}};
		const struct mt_cluster *c;

		mesh_endpoint(sc.m, mesh_endpoints(sc.m, "c"), "198.51.100.1", 1, MT_RES_HEALTHY);
		mc->lb = lb;
		mc->connect_ms = 250;
		mc->ring_min = 64;
		mc->outlier = &outlier;
		c = cluster(load(&sc), "c");
		CU_ASSERT_EQUAL(c->lb, want[lb]);
		CU_ASSERT_EQUAL(c->connect_ms, 250);
		CU_ASSERT(c->outlier.failures == 7 && c->outlier.errors == 9);
		CU_ASSERT_EQUAL(c->outlier.base_ms, 30000);
		CU_ASSERT_EQUAL(c->outlier.max_ms, 300000);
		CU_ASSERT_EQUAL(c->ring.n, lb == MT_RES_RING_HASH ? 64 : 0);
		scene_end(&sc);
	}
}

/* Endpoints of its own, and a DNS cluster before and after its names are resolved. */
static void where_endpoints_are(void)
{
	struct scene sc = scene_new();
	struct mt_res_cluster *mc = mesh_cluster(sc.m, "static"), *dns = mesh_cluster(sc.m, "dns");
	struct mt_res_endpoints own = {0}, fixed = {0}, *resolved;

	mc->discovery = MT_RES_STATIC;
	mesh_endpoint(sc.m, &own, "198.51.100.1", 1, MT_RES_HEALTHY);
	mc->endpoints = &own;
	dns->discovery = MT_RES_STRICT_DNS;
	dns->dns = mt_region_alloc(&sc.m->region, sizeof(*dns->dns));
	dns->dns->fixed = &fixed;
	mesh_endpoint(sc.m, &fixed, "198.51.100.2", 1, MT_RES_HEALTHY);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(load(&sc), "static"), 0), "198.51.100.1:80");
	CU_ASSERT_STRING_EQUAL(
		endpoint(cluster(mt_conf_current(sc.conf), "dns"), 0), "198.51.100.2:80");
	resolved = mesh_endpoints(sc.m, "dns");
	mesh_endpoint(sc.m, resolved, "198.51.100.3", 1, MT_RES_HEALTHY);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(load(&sc), "dns"), 0), "198.51.100.3:80");
	scene_end(&sc);
}

/* For metrics: what the workloads share, and whether one of them reports calls itself. */
static void workloads(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e = mesh_simple_cluster(sc.m, "c");
	const struct mt_cluster *c = cluster(load(&sc), "c");

	CU_ASSERT_PTR_NULL(c->peer);
	CU_ASSERT_FALSE(c->not_bare);
	e->peer = mt_region_alloc(&sc.m->region, sizeof(*e->peer));
	e->peer->label[MT_PEER_WORKLOAD] = "w";
	e->localities[0].eps[1].tls = true;
	e->meta.serial += 1000000;
	c = cluster(load(&sc), "c");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->peer);
	CU_ASSERT_STRING_EQUAL(c->peer->label[MT_PEER_WORKLOAD], "w");
	CU_ASSERT_PTR_NULL(c->peer->label[MT_PEER_NAMESPACE]);
	CU_ASSERT_TRUE(c->not_bare);
	scene_end(&sc);
}

/* ---- what snapshots share ------------------------------------------------------------------------ */

#define N 50

/* N services, each with a cluster, two endpoints, a listener and a route. */
static void many(struct mt_model *m, struct mt_res_endpoints *e[N], struct mt_res_routes *r[N])
{
	for (uint32_t i = 0; i < N; i++) {
		char name[32], address[32];

		snprintf(name, sizeof(name), "c%u", i);
		mesh_cluster(m, name);
		e[i] = mesh_endpoints(m, name);
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		mesh_endpoint(m, e[i], address, 1, MT_RES_HEALTHY);
		mesh_endpoint(m, e[i], "198.51.100.200", 1, MT_RES_HEALTHY);
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		mesh_proxy(m, mesh_listener(m, address, address, 20880), "dubbo", name);
		r[i] = mesh_routes(m, name);
		mesh_rule(m, &r[i]->list, name, name);
	}
}

/* How many objects were made since the last call. */
static struct mt_conf_work made(struct scene *sc, struct mt_conf_work *last)
{
	struct mt_conf_work now = mt_conf_work(sc->conf), d;

	d = (struct mt_conf_work){now.clusters_made - last->clusters_made,
		now.clusters_shared - last->clusters_shared,
		now.services_made - last->services_made,
		now.services_shared - last->services_shared};
	*last = now;
	return d;
}

static void only_what_changed(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e[N];
	struct mt_res_routes *r[N];
	struct mt_conf_work last = {0}, d;
	struct mt_conf_change ch;
	const struct mt_ep_state *state;
	const struct mt_endpoint *eps;

	many(sc.m, e, r);
	load_at(&sc, &ch, NOW);
	CU_ASSERT(ch.clusters_added == N && ch.endpoints_added == 2 * N && ch.services_added == N &&
		  ch.listeners_added == N);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == N && d.services_made == N);
	eps = cluster(mt_conf_current(sc.conf), "c7")->eps;
	state = cluster(mt_conf_current(sc.conf), "c8")->eps[0].state;

	/* Nothing. */
	load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 0 && d.clusters_shared == N);
	CU_ASSERT(d.services_made == 0 && d.services_shared == N);
	CU_ASSERT(mt_conf_change_none(&ch));
	CU_ASSERT_PTR_EQUAL(cluster(mt_conf_current(sc.conf), "c7")->eps, eps);

	/* One endpoint more: one cluster, no service; the others' endpoints keep their states. */
	e[8]->meta.serial += 1000000;
	mesh_endpoint(sc.m, e[8], "198.51.100.201", 1, MT_RES_HEALTHY);
	load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 1 && d.services_made == 0);
	CU_ASSERT(ch.clusters_changed == 1 && ch.endpoints_added == 1 && !ch.endpoints_removed);
	CU_ASSERT_PTR_EQUAL(cluster(mt_conf_current(sc.conf), "c8")->eps[0].state, state);

	/* One route. */
	r[9]->meta.serial += 1000000;
	r[9]->list.rules[0].name.s = "other";
	load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 0 && d.services_made == 1);
	CU_ASSERT(ch.services_changed == 1 && !ch.clusters_changed && !ch.listeners_changed);

	/* Said again, in the same words: made again, but no change. */
	e[8]->meta.serial += 1000000;
	load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 1 && mt_conf_change_none(&ch));
	scene_end(&sc);
}

/* Clusters that come and go move as few others as can be, and routes always lead where they say. */
static void places(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e[N];
	struct mt_res_routes *r[N];
	struct mt_conf_work last = {0}, d;
	struct mt_conf_change ch;
	const struct mt_snapshot *s;
	struct mt_model *all;

	many(sc.m, e, r);
	load(&sc);
	made(&sc, &last);
	/* A new one in front of all. */
	all = sc.m;
	sc.m = mt_model_new();
	mesh_cluster(sc.m, "new");
	CU_ASSERT_EQUAL(mt_model_share(sc.m, all), 0);
	load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 1 && d.services_made == 0 && ch.clusters_added == 1);
	/* It goes again, and one from the middle: the last one moves into the gap, with its service. */
	mt_model_free(sc.m);
	sc.m = all;
	memmove(&all->res_clusters.v[10], &all->res_clusters.v[11], (N - 11) * sizeof(void *));
	all->res_clusters.n--;
	s = load_at(&sc, &ch, NOW);
	d = made(&sc, &last);
	CU_ASSERT(d.clusters_made == 0 && ch.clusters_removed == 2 && ch.endpoints_removed == 2);
	/* The service of the one that went, and that of the one that moved. */
	CU_ASSERT_EQUAL(d.services_made, 2);
	for (uint32_t i = 0; i < N; i++) {
		char address[32], name[32];
		const struct mt_route_action *a;
		uint32_t at;

		snprintf(address, sizeof(address), "192.0.2.%u", i);
		snprintf(name, sizeof(name), "c%u", i);
		a = mt_route_at(listener(s, address, 20880)->protos->services[0]->routes, 0);
		at = mt_route_pick(a, 0);
		CU_ASSERT_EQUAL(at == MT_ROUTE_NO_CLUSTER, i == 10);
		if (i != 10)
			CU_ASSERT_STRING_EQUAL(s->clusters[at].name, name);
	}
	scene_end(&sc);
}

/* What an older snapshot names stays whole while it is held; what nobody names is given back. */
static void older_snapshots(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e[N];
	struct mt_res_routes *r[N];
	struct mt_snapshot *old, *dropped;

	many(sc.m, e, r);
	load(&sc);
	old = mt_conf_current(sc.conf);
	mt_snapshot_hold(old, 0);
	/* Compiled and thrown away: as if it had never been. */
	e[3]->meta.serial += 1000000;
	dropped = mt_conf_compile(sc.conf, sc.m, &sc.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dropped);
	mt_conf_discard(sc.conf, dropped, NOW);
	/* All of it goes. */
	mt_model_free(sc.m);
	sc.m = mt_model_new();
	mesh_cluster(sc.m, "other");
	load(&sc);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(old, "c3"), 0), "198.51.100.3:80");
	CU_ASSERT_STRING_EQUAL(
		mt_route_at(listener(old, "192.0.2.3", 20880)->protos->services[0]->routes, 0)
			->name,
		"c3");
	mt_snapshot_drop(old, 0);
	CU_ASSERT_EQUAL(mt_conf_reap(sc.conf, NOW), 0);
	CU_ASSERT_EQUAL(mt_conf_current(sc.conf)->n_clusters, 1);
	scene_end(&sc);
}

/* Endpoints that come and go for hours do not take more and more places. */
static void churn(void)
{
	struct scene sc = scene_new();
	struct mt_res_endpoints *e = mesh_endpoints(sc.m, "c");
	uint64_t now = NOW;

	mesh_cluster(sc.m, "c");
	mesh_endpoint(sc.m, e, "198.51.100.1", 1, MT_RES_HEALTHY);
	for (uint32_t i = 0; i < 20000; i++) {
		e->meta.serial += 1000000;
		e->localities->eps[0].addr.b[14] = (uint8_t)(i >> 8);
		e->localities->eps[0].addr.b[15] = (uint8_t)i;
		e->localities->eps[0].port = (uint16_t)(1 + (i >> 14));
		load_at(&sc, NULL, now);
		now += MT_MSEC;
	}
	CU_ASSERT(mt_conf_current(sc.conf)->max_ep_index <= MT_UPSTREAM_LINGER_MIN + 8);
	scene_end(&sc);
}

const struct mt_test mesh_cluster_tests[] = {
	{"plans", plans},
	{"endpoints_refused", endpoints_refused},
	{"settings", settings},
	{"where_endpoints_are", where_endpoints_are},
	{"workloads", workloads},
	{"only_what_changed", only_what_changed},
	{"places", places},
	{"older_snapshots", older_snapshots},
	{"churn", churn},
	{0},
};
