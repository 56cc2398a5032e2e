/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost for the control thread of a mesh with 10,000 clusters, 100,000 endpoints, 10,000 listeners
 * and their routes, in CPU time of the thread. Measures the first load, then a change of one
 * endpoint, one route, one cluster. Also the memory, as the difference between meshes with and
 * without endpoints.
 *
 * 	bench_mesh [CHANGES]
 */
#include "mt_conf.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CLUSTERS 10000u
#define CHANGES	 10u

enum kind { CLUSTER, ENDPOINTS, LISTENER, ROUTES, N_KINDS };

/* Each resource is a part of its own, as an xDS client keeps them. */
struct mesh {
	struct mt_model *parts[CLUSTERS + 1][N_KINDS];
	uint32_t n, endpoints; /* number of clusters; endpoints of each */
	uint64_t serials;
};

static struct mesh mesh;

static void *object(
	struct mt_model **part, size_t offset, size_t size, const char *kind, const char *name)
{
	struct mt_meta *meta;

	*part = mt_model_new();
	MT_ASSERT(*part);
	(*part)->region.first = 256;
	meta = mt_region_alloc(&(*part)->region, size);
	MT_ASSERT(meta);
	mt_model_add(*part, (struct mt_objs *)((uint8_t *)*part + offset), meta);
	*meta = (struct mt_meta){.origin = {"xds:bench", 0},
		.serial = ++mesh.serials,
		.kind = kind,
		.name = mt_region_strdup(&(*part)->region, name),
		.ns = ""};
	return meta;
}

#define OBJECT(part, list, type, kind, name)                                                       \
	object(part, offsetof(struct mt_model, list), sizeof(struct type), kind, name)

static char *cluster_name(uint32_t i, char name[64])
{
	snprintf(name, 64, "outbound|20880||service-%u.mesh.example", i);
	return name;
}

static void make_cluster(struct mt_model **part, uint32_t i)
{
	char name[64];
	struct mt_res_cluster *c =
		OBJECT(part, res_clusters, mt_res_cluster, "Cluster", cluster_name(i, name));

	c->discovery = MT_RES_EDS;
	c->endpoints_name = c->meta.name;
	c->lb = MT_RES_LEAST_REQUEST;
}

static void make_endpoints(struct mt_model **part, uint32_t i, uint32_t port)
{
	char name[64];
	struct mt_res_endpoints *e = OBJECT(part, res_endpoints, mt_res_endpoints,
		"ClusterLoadAssignment", cluster_name(i, name));
	struct mt_res_locality *l = mt_region_alloc(&(*part)->region, sizeof(*l));

	MT_ASSERT(l);
	*l = (struct mt_res_locality){.region = "r", .zone = "r/z1", .n_eps = mesh.endpoints};
	l->eps = mt_region_alloc(&(*part)->region, sizeof(*l->eps) * l->n_eps);
	e->localities = l;
	e->n_localities = 1;
	e->n_eps = l->n_eps;
	for (uint32_t k = 0; k < l->n_eps; k++)
		l->eps[k] = (struct mt_res_endpoint){
			.addr = mt_addr4(htonl(0x0a000000u + i * mesh.endpoints + k)),
			.weight = 1,
			.port = (uint16_t)(k ? 20880 : port)};
}

static void make_listener(struct mt_model **part, uint32_t i)
{
	char name[64];
	struct mt_res_listener *l;
	struct mt_region *r;

	snprintf(name, sizeof(name), "listener-%u", i);
	l = OBJECT(part, res_listeners, mt_res_listener, "Listener", name);
	r = &(*part)->region;
	l->addresses = mt_region_alloc(r, sizeof(*l->addresses));
	l->chains = mt_region_alloc(r, sizeof(*l->chains));
	MT_ASSERT(l->addresses && l->chains);
	l->addresses[0] = (struct mt_res_address){mt_addr4(htonl(0xf0f00001u + i)), 20880};
	l->n_addresses = l->n_chains = 1;
	l->chains->proxy = mt_region_alloc(r, sizeof(*l->chains->proxy));
	MT_ASSERT(l->chains->proxy);
	l->chains->proxy->protocol.s = "dubbo";
	l->chains->proxy->routes_name.s = mt_region_printf(r, "service-%u.mesh.example_20880", i);
}

static void make_routes(struct mt_model **part, uint32_t i, const char *route)
{
	char name[64];
	struct mt_res_routes *r;
	struct mt_rule *rule;

	snprintf(name, sizeof(name), "service-%u.mesh.example_20880", i);
	r = OBJECT(part, res_routes, mt_res_routes, "RouteConfiguration", name);
	rule = mt_region_push(
		&(*part)->region, (void **)&r->list.rules, &r->list.n_rules, sizeof(*rule));
	MT_ASSERT(rule);
	r->list.name = "routes";
	rule->name.s = route;
	rule->dests = mt_region_alloc(&(*part)->region, sizeof(*rule->dests));
	MT_ASSERT(rule->dests);
	rule->dests->cluster.s = mt_region_strdup(&(*part)->region, cluster_name(i, name));
	rule->dests->weight = (struct mt_num){1, 0, true};
	rule->n_dests = 1;
}

static void add(uint32_t i)
{
	make_cluster(&mesh.parts[i][CLUSTER], i);
	make_endpoints(&mesh.parts[i][ENDPOINTS], i, 20880);
	make_listener(&mesh.parts[i][LISTENER], i);
	make_routes(&mesh.parts[i][ROUTES], i, "default");
	mesh.n++;
}

static void drop(uint32_t i)
{
	for (int k = 0; k < N_KINDS; k++)
		mt_model_free(mesh.parts[i][k]);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

enum step { SHARE, COMPILE, PUBLISH, RETIRE, N_STEPS };
static const char *const step_names[] = {"share", "compile", "publish", "retire"};

static void load(struct mt_conf *c, uint64_t took[N_STEPS])
{
	struct mt_conf_change change;
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err err;
	uint64_t at[N_STEPS + 1];

	mt_diags_init(&diags);
	at[SHARE] = cpu_ns();
	for (uint32_t i = 0; i < mesh.n; i++)
		for (int k = 0; k < N_KINDS; k++)
			MT_ASSERT(mt_model_share(m, mesh.parts[i][k]) == 0);
	at[COMPILE] = cpu_ns();
	s = mt_conf_compile(c, m, &diags, MT_SEC);
	if (!s || diags.n)
		mt_diags_print(&diags, stderr);
	MT_ASSERT(s && !diags.n);
	at[PUBLISH] = cpu_ns();
	MT_ASSERT(mt_conf_publish(c, s, MT_SEC, &change, &err) == 0);
	at[RETIRE] = cpu_ns();
	mt_model_free(m);
	mt_diags_fini(&diags);
	mt_conf_reap(c, MT_SEC);
	at[N_STEPS] = cpu_ns();
	for (int i = 0; i < N_STEPS; i++)
		took[i] += at[i + 1] - at[i];
}

static void change(const char *what, uint32_t i, uint32_t round)
{
	struct mt_model **parts = mesh.parts[i];

	if (strcmp(what, "endpoint") == 0) {
		mt_model_free(parts[ENDPOINTS]);
		make_endpoints(&parts[ENDPOINTS], i, 30000 + round);
	} else if (strcmp(what, "route") == 0) {
		mt_model_free(parts[ROUTES]);
		make_routes(&parts[ROUTES], i, round % 2 ? "odd" : "even");
	} else {
		/* The last cluster is removed and added again. */
		if (mesh.n > CLUSTERS)
			drop(--mesh.n);
		else
			add(CLUSTERS);
	}
}

static void measure(struct mt_conf *c, const char *what, uint32_t changes)
{
	uint64_t took[N_STEPS] = {0}, sum = 0;

	for (uint32_t i = 0; i < changes; i++) {
		change(what, CLUSTERS / 2 + i, i);
		load(c, took);
	}
	for (int i = 0; i < N_STEPS; i++)
		sum += took[i];
	printf(", \"%s_ms\": %.2f", what, (double)sum / changes / MT_MSEC);
	for (int i = 0; i < N_STEPS; i++)
		printf(", \"%s_%s_ms\": %.2f", what, step_names[i],
			(double)took[i] / changes / MT_MSEC);
}

struct memory {
	size_t parts, compiled;
};

static struct mt_conf *first(uint32_t endpoints, uint64_t *ns, struct memory *mem)
{
	const struct mt_conf_options o = {.workers = 1};
	uint64_t took[N_STEPS] = {0};
	struct mt_err err;
	struct mt_conf *c = mt_conf_create(&o, &err);
	size_t at = in_use();

	MT_ASSERT(c);
	mesh.n = 0;
	mesh.endpoints = endpoints;
	for (uint32_t i = 0; i < CLUSTERS; i++)
		add(i);
	mem->parts = in_use() - at;
	at = in_use();
	load(c, took);
	mem->compiled = in_use() - at;
	*ns = 0;
	for (int i = 0; i < N_STEPS; i++)
		*ns += took[i];
	return c;
}

static void last(struct mt_conf *c)
{
	mt_conf_destroy(c);
	while (mesh.n)
		drop(--mesh.n);
}

static double each(size_t bytes, uint32_t n)
{
	return (double)bytes / n;
}

int main(int argc, char **argv)
{
	uint32_t changes = argc > 1 ? (uint32_t)atoi(argv[1]) : CHANGES;
	struct memory empty, full;
	struct mt_conf *c;
	uint64_t ns;

	changes = MT_MAX(changes, 1u);
	last(first(0, &ns, &empty));
	c = first(10, &ns, &full);
	printf("{\"bench\": \"mesh\", \"clusters\": %u, \"endpoints\": %u, \"first_ms\": %.1f",
		CLUSTERS, CLUSTERS * 10, (double)ns / MT_MSEC);
	measure(c, "endpoint", changes);
	measure(c, "route", changes);
	measure(c, "cluster", changes);
	printf(", \"model_bytes_each_cluster\": %.0f, \"compiled_bytes_each_cluster\": %.0f"
	       ", \"model_bytes_each_endpoint\": %.1f, \"compiled_bytes_each_endpoint\": %.1f}\n",
		each(empty.parts, CLUSTERS), each(empty.compiled, CLUSTERS),
		each(full.parts - empty.parts, CLUSTERS * 10),
		each(full.compiled - empty.compiled, CLUSTERS * 10));
	last(c);
	return 0;
}
