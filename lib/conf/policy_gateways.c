/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select this node as a gateway: they are enforced at its ports, or close them. */
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

/* A host that is noted for a policy, and shown of it, takes about 1.8 us and 100 bytes. */
#define STEPS_OF_HOST 18
/* A policy that is looked for at a server, and put into its set: about 400 ns and 100 bytes. */
#define STEPS_AT_SERVER 4

const char *mt_gateway_ns(const struct mt_build *b, const struct mt_gateway *g)
{
	return b->model->mesh.ns ? b->model->mesh.ns : g->meta.ns;
}

/* True if the host was noted for the policy before. */
static bool is_touched(struct mt_build *b, const struct mt_policy *p, const char *host)
{
	uint64_t id = mt_secret_hash_text(host, mt_secret_hash(&p, sizeof(p), 0));

	id = id ? id : 1;
	if (mt_idmap_get(&b->policies->touched, id))
		return true;
	if (mt_idmap_put(&b->policies->touched, id, b))
		b->tmp.failed = true;
	return false;
}

/* Its hosts, each once: "NAMESPACE/HOST" says whose routes may be bound. */
static void touch_server(
	struct mt_build *b, const struct mt_policy *p, const struct mt_gateway_server *server)
{
	for (uint32_t i = 0; i < server->n_hosts; i++) {
		const char *host = server->hosts[i].s, *slash = strchr(host, '/');

		host = slash ? slash + 1 : host;
		if (!is_touched(b, p, host))
			mt_diag_host(b->diags, p->meta, host);
	}
}

static void found_at(struct mt_build *b, struct mt_policy *p, const struct mt_gateway *g)
{
	p->gateway = g;
	/* It is about all of it, also about what is not served; filters and tokens are only about some ports. */
	for (uint32_t i = 0; p->kind == MT_POLICY_OF_AUTHORIZATION && i < g->n_servers; i++)
		touch_server(b, p, &g->servers[i]);
}

static void find_all(struct mt_build *b, const struct mt_gateway *g)
{
	struct mt_policy_walk walk = mt_b_policies_at(b, g);

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;)
		found_at(b, p, g);
}

void mt_b_policies_at_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		if (mt_b_selects_node(b, &g->selector))
			find_all(b, g);
	}
}

/* The codec of a server; NULL: none, or opaque TCP. */
static const struct mt_codec *codec_of(struct mt_build *b, const struct mt_gateway_server *s)
{
	const struct mt_port_words words = {.name = s->port.name.s, .protocol = s->port.protocol.s};
	struct mt_port_is is;

	mt_b_port(b, &words, &is);
	return is.kind == MT_PORT_MESSAGES ? is.proto->codec : NULL;
}

#define CODECS_MOST 64

static uint32_t count_codecs(struct mt_build *b, const struct mt_gateway *g)
{
	const struct mt_codec *seen[CODECS_MOST];
	uint32_t n = 0, k;

	for (uint32_t i = 0; i < g->n_servers && n < CODECS_MOST; i++) {
		const struct mt_codec *codec = codec_of(b, &g->servers[i]);

		for (k = 0; k < n && seen[k] != codec; k++)
			;
		seen[k] = codec;
		n += k == n;
	}
	return n;
}

/* Hosts are noted for each policy, and policies are compared with each server. */
uint64_t mt_b_steps_at_gateway(struct mt_build *b, const struct mt_gateway *g)
{
	const struct mt_policy_walk walk = mt_b_policies_at(b, g);
	const struct mt_policy_group all = mt_policy_walk_sum(&walk);
	uint64_t hosts = 0, codecs;

	if (!all.n)
		return 0;
	codecs = count_codecs(b, g);
	for (uint32_t i = 0; i < g->n_servers; i++)
		hosts += g->servers[i].n_hosts;
	return all.n * (1 + STEPS_AT_SERVER * g->n_servers + STEPS_OF_HOST * hosts) +
	       codecs * all.sum.compiled +
	       (all.sum.varies ? g->n_servers : codecs) * mt_b_steps_of_set(&all.sum);
}

void mt_policy_touch_gate(struct mt_build *b, struct mt_policy *p, const struct mt_gate *at)
{
	p->at_gateways = true;
	touch_server(b, p, at->server);
}

static const struct mt_gate_guard *gate_of(
	struct mt_build *b, const struct mt_authz *a, uint16_t port)
{
	struct mt_gate_guard *d = a ? mt_region_alloc(&b->snap->region, sizeof(*d)) : NULL;

	if (d)
		*d = (struct mt_gate_guard){a, port};
	return d;
}

const struct mt_gate_guard *mt_b_gate_of_clients(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint64_t *hash)
{
	return gate_of(b, b->policies ? mt_b_guard_clients(b, h, u, hash) : NULL,
		(uint16_t)u->port->number.v);
}

bool mt_b_gate(struct mt_build *b, const struct mt_gate *at, const struct mt_gate_guard **gate,
	uint64_t *hash)
{
	const struct mt_authz *a = b->policies ? mt_b_guard_gate(b, at, hash) : NULL;

	mt_b_audit_gate(b, at, a);
	*gate = NULL;
	if (!a)
		return true;
	*gate = gate_of(b, a, (uint16_t)at->server->port.number.v);
	return *gate != NULL;
}
