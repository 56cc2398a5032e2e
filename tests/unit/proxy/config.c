/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#define N_LISTENERS 5

static struct mt_ep_state states[CONFIG_EPS * 2] mt_cache_aligned;
struct mt_ep_state config_unused mt_cache_aligned = {.id = 99, .index = CONFIG_EPS};
static struct mt_endpoint eps[CONFIG_GENS][CONFIG_EPS];
static struct mt_cluster clusters[CONFIG_GENS][2];
static struct mt_workloads workloads[CONFIG_GENS];
static uint64_t workload_ids[CONFIG_GENS][3];
static uint8_t workloads_of[CONFIG_EPS];
static struct mt_service services[CONFIG_GENS][N_LISTENERS];
static struct mt_service *service_ptrs[CONFIG_GENS][N_LISTENERS];
static struct mt_service *all_services[CONFIG_GENS][N_LISTENERS]; /* by index */
static struct mt_listener listeners[CONFIG_GENS][N_LISTENERS];
static struct mt_filter_chain chains[CONFIG_GENS][N_LISTENERS];
static struct mt_filter_chain_proto protos[CONFIG_GENS][N_LISTENERS];
static struct mt_snapshot snapshots[CONFIG_GENS];
static bool alive[CONFIG_GENS];
static uint32_t holds[CONFIG_GENS][MT_HOLD_STRIDE];

uint64_t config_workload(int gen, uint32_t ep)
{
	return (uint64_t)(16 * (gen + 1) + (int)(ep % 2)) << 32;
}

static const struct mt_workloads *make_workloads(int gen)
{
	workloads[gen] =
		(struct mt_workloads){.n = 3, .ids = workload_ids[gen], .of = workloads_of};
	for (uint32_t i = 0; i < 2; i++)
		workload_ids[gen][i + 1] = config_workload(gen, i);
	for (uint32_t i = 0; i < CONFIG_EPS; i++)
		workloads_of[i] = (uint8_t)(1 + i % 2);
	return &workloads[gen];
}

static void make_cluster(struct mt_cluster *c, int gen, uint32_t index, uint32_t n_eps)
{
	memset(c, 0, sizeof(*c));
	c->name = "toys";
	c->id = 7;
	c->index = index;
	c->lb = MT_LB_ROUND_ROBIN;
	c->eps = eps[gen];
	c->n_eps = n_eps;
	c->workloads = make_workloads(gen);
	for (uint32_t i = 0; i < n_eps; i++) {
		struct mt_endpoint *e = &eps[gen][i];

		*e = (struct mt_endpoint){0};
		states[i].id = 100 + i;
		states[i].index = i;
		mt_addr_parse("198.51.100.1", &e->addr);
		e->addr.b[15] = (uint8_t)(i + 1);
		e->port = 20880;
		e->weight = 1;
		e->state = &states[i];
	}
	MT_ASSERT(mt_cluster_build(c) == 0);
}

static void make_listener(int gen, int i, uint16_t port, const struct mt_codec *codec)
{
	struct mt_listener *l = &listeners[gen][i];
	struct mt_service *s = &services[gen][i];
	struct mt_route_dest dest = {.cluster = 0, .weight = 1};
	struct mt_route_action act = {
		.name = "all", .dests = &dest, .n_dests = 1, .total_weight = 1};
	struct mt_route_builder *b;
	char err[128];

	memset(l, 0, sizeof(*l));
	memset(s, 0, sizeof(*s));
	mt_addr_parse("240.240.0.1", &l->addr);
	l->port = port;
	l->id = port;
	l->chains = &chains[gen][i];
	l->protos = &protos[gen][i];
	l->n_chains = l->n_protos = 1;
	chains[gen][i] = (struct mt_filter_chain){.name = "", .n_protos = 1};
	protos[gen][i] = (struct mt_filter_chain_proto){
		.codec = codec, .services = &service_ptrs[gen][i], .n_services = 1};
	service_ptrs[gen][i] = all_services[gen][i] = s;
	s->name = "toys";
	s->index = (uint32_t)i;
	s->id = s->owner = port;
	s->early_ok = true;
	s->timeout_ms = 1000;
	if (codec->opaque)
		return;
	b = mt_route_builder_new(codec);
	MT_ASSERT(mt_route_builder_add(b, NULL, 0, &act, err, sizeof(err)) == 0);
	s->routes = mt_route_builder_done(b);
}

struct mt_snapshot *config_make(int gen, uint64_t version, uint32_t n_eps, bool with_serial)
{
	struct mt_snapshot *s = &snapshots[gen];

	memset(s, 0, sizeof(*s));
	make_cluster(&clusters[gen][0], gen, 0, n_eps);
	make_listener(gen, 0, CONFIG_SAFE, &toy_codec);
	make_listener(gen, 1, CONFIG_OPAQUE, &toy_opaque_codec);
	make_listener(gen, 2, CONFIG_SERIAL, &toy_serial_codec);
	make_listener(gen, 3, CONFIG_NAMED, &toy_named_codec);
	make_listener(gen, 4, CONFIG_DUBBO, mt_codec_find("dubbo"));
	s->version = version;
	s->listeners = listeners[gen];
	s->n_listeners = with_serial ? N_LISTENERS : 2;
	s->services = all_services[gen];
	s->n_services = s->n_listeners;
	s->clusters = clusters[gen];
	s->n_clusters = 1;
	s->holds = holds[gen];
	s->logged = s->log_general = s->log_unserved = true;
	MT_ASSERT(mt_snapshot_index(s) == 0);
	alive[gen] = true;
	return s;
}

struct mt_snapshot *config_only_named(struct mt_snapshot *s, struct mt_demand *demand, uint32_t ms)
{
	s->clusters[0].demand = demand;
	s->clusters[0].demand_ms = ms;
	return s;
}

struct mt_snapshot *config_two_routes(struct mt_snapshot *s, uint32_t listener, const char *key,
	const char *value, struct mt_mutation change, bool first)
{
	const struct mt_matcher_def match = {.key = key, .op = MT_MATCH_EXACT, .value = value};
	const struct mt_filter_chain_proto *proto = s->listeners[listener].protos;
	struct mt_route_dest dest = {.cluster = 0, .weight = 1};
	struct mt_route_action act[] = {{.name = "first", .id = 1}, {.name = "other", .id = 2}};
	struct mt_route_builder *b = mt_route_builder_new(proto->codec);
	char err[128];

	act[!first].dests = &dest;
	act[!first].n_dests = act[!first].total_weight = act[!first].n_req_mut = 1;
	act[!first].req_mut = &change;
	MT_ASSERT(mt_route_builder_add(b, &match, 1, &act[0], err, sizeof(err)) == 0);
	MT_ASSERT(mt_route_builder_add(b, NULL, 0, &act[1], err, sizeof(err)) == 0);
	mt_route_table_free(proto->services[0]->routes);
	proto->services[0]->routes = mt_route_builder_done(b);
	return s;
}

void config_speak(
	struct mt_snapshot *s, uint32_t listener, const struct mt_codec *codec, uint8_t opts)
{
	struct mt_filter_chain_proto *proto = &protos[s - snapshots][listener];
	struct mt_route_dest dest = {.cluster = 0, .weight = 1};
	struct mt_route_action act = {
		.name = "all", .dests = &dest, .n_dests = 1, .total_weight = 1};
	struct mt_route_builder *b = mt_route_builder_new(codec);
	char err[128];

	MT_ASSERT(mt_route_builder_add(b, NULL, 0, &act, err, sizeof(err)) == 0);
	proto->codec = codec;
	proto->codec_opts = opts;
	mt_route_table_free(proto->services[0]->routes);
	proto->services[0]->routes = mt_route_builder_done(b);
	mt_snapshot_index_free(s);
	MT_ASSERT(mt_snapshot_index(s) == 0);
}

void config_reset_health(void)
{
	memset(states, 0, sizeof(states));
	/* Known, so that none is asked by a heartbeat just to find out. */
	for (size_t i = 0; i < MT_ARRAY_LEN(states); i++)
		states[i].beats = true;
}

uint32_t config_holds(int gen)
{
	return holds[gen][0];
}

void config_free(int gen)
{
	if (!alive[gen])
		return;
	alive[gen] = false;
	for (int i = 0; i < N_LISTENERS; i++)
		if (services[gen][i].routes)
			mt_route_table_free(services[gen][i].routes);
	mt_cluster_release(&clusters[gen][0]);
	mt_snapshot_index_free(&snapshots[gen]);
	/* Whoever still looks at it finds nonsense. */
	memset(services[gen], 0xdd, sizeof(services[gen]));
	memset(service_ptrs[gen], 0xdd, sizeof(service_ptrs[gen]));
	memset(clusters[gen], 0xdd, sizeof(clusters[gen]));
	memset(eps[gen], 0xdd, sizeof(eps[gen]));
	memset(listeners[gen], 0xdd, sizeof(listeners[gen]));
	memset(chains[gen], 0xdd, sizeof(chains[gen]));
	memset(protos[gen], 0xdd, sizeof(protos[gen]));
	memset(&snapshots[gen], 0xdd, sizeof(snapshots[gen]));
	memset(holds[gen], 0, sizeof(holds[gen]));
}
