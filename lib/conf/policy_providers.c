/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is asked by policies of CUSTOM: MeshConfig's extensionProviders. One that says the same is the same object, also in the next
 * snapshot, with its connection.
 */
#include "mt_conf_policy_priv.h"

#include "mt_extauthz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS  600000 /* Istio's */
#define SERVERS_MAX 16	   /* addresses of a service that are tried */

struct entry {
	char *key;
	struct mt_extauthz_provider *provider;
	uint64_t turn; /* the build that used it last */
};

/* ---- kept from build to build ----------------------------------------------------------------------- */

static void free_entry(struct entry *e)
{
	mt_extauthz_drop(e->provider);
	free(e->key);
	free(e);
}

void mt_conf_providers_fini(struct mt_conf_providers *t)
{
	struct entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&t->all, &pos, NULL)))
		free_entry(e);
	mt_strmap_fini(&t->all);
}

void mt_conf_providers_begin(struct mt_conf_providers *t)
{
	t->turn++;
}

static struct entry *unused(const struct mt_conf_providers *t)
{
	struct entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&t->all, &pos, NULL)))
		if (e->turn != t->turn)
			return e;
	return NULL;
}

void mt_conf_providers_end(struct mt_conf_providers *t)
{
	struct entry *e;

	while ((e = unused(t))) {
		mt_strmap_del(&t->all, e->key);
		free_entry(e);
	}
}

static struct mt_extauthz_provider *remember(
	struct mt_conf_providers *t, const char *key, const struct mt_extauthz_conf *conf)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->key = strdup(key);
	e->provider = mt_extauthz_provider_new(conf);
	e->turn = t->turn;
	if (e->key && e->provider && !mt_strmap_put(&t->all, e->key, e, NULL))
		return e->provider;
	free_entry(e);
	return NULL;
}

/* ---- where it is ------------------------------------------------------------------------------------- */

struct servers {
	struct mt_build *b;
	const char *v[SERVERS_MAX];
	uint32_t n;
};

static void add_server(struct servers *s, const char *host, uint32_t port)
{
	const char *text = s->n < SERVERS_MAX
				   ? mt_region_printf(&s->b->tmp,
					     strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port)
				   : NULL;

	if (text)
		s->v[s->n++] = text;
}

/* Ports of gRPC are served to nobody here. */
static const struct mt_se_port *port_of(const struct mt_service_entry *se, uint32_t number)
{
	for (uint32_t i = 0; i < se->n_ports; i++)
		if (se->ports[i].number.v == number)
			return &se->ports[i];
	return NULL;
}

/* The instances' addresses; false: there are none, or names. */
static bool add_instances(struct servers *s, const struct mt_host *h, uint32_t port)
{
	const struct mt_unit u = {.se = h->se, .port = port_of(h->se, port)};
	char addr[MT_ADDR_STRLEN];

	for (uint32_t i = 0; u.port && i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];

		if (!mt_addr_is_zero(&w->address))
			add_server(s, mt_addr_str(&w->address, addr), mt_b_endpoint_port(&u, w));
	}
	return s->n > 0;
}

static void find_servers(struct servers *s, const struct mt_ext_authz *g)
{
	const char *slash = strchr(g->service.s, '/'), *name = slash ? slash + 1 : g->service.s;
	const char *ns =
		slash ? mt_region_strndup(&s->b->tmp, g->service.s, (size_t)(slash - g->service.s))
		      : mt_b_root_namespace(s->b);
	const struct mt_host *h = ns ? mt_b_host(s->b, name, ns) : NULL;

	if (!h || !add_instances(s, h, g->port.v))
		add_server(s, name, g->port.v);
}

/* ---- one of a name ----------------------------------------------------------------------------------- */

static const struct mt_ext_provider *written(struct mt_build *b, const char *name)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	for (uint32_t i = 0; c && i < c->n_providers; i++)
		if (c->providers[i].name.s && strcmp(c->providers[i].name.s, name) == 0)
			return &c->providers[i];
	return NULL;
}

static const char *key_of(struct mt_build *b, const struct mt_extauthz_conf *conf)
{
	const char *key = mt_region_printf(
		&b->tmp, "%s %" PRIu64 " %d", conf->name, conf->timeout, conf->fail_open);

	for (uint32_t i = 0; key && i < conf->n_servers; i++)
		key = mt_region_printf(&b->tmp, "%s %s", key, conf->servers[i]);
	return key;
}

static struct mt_extauthz_provider *get(struct mt_build *b, const struct mt_ext_provider *p)
{
	struct mt_conf_providers *t = &b->conf->providers;
	struct servers servers = {.b = b};
	struct mt_extauthz_conf conf = {.name = p->name.s,
		.timeout = (p->grpc->timeout.set ? p->grpc->timeout.v : TIMEOUT_MS) * MT_MSEC,
		.fail_open = p->grpc->fail_open.v != 0};
	const char *key;
	struct entry *e;

	find_servers(&servers, p->grpc);
	conf.servers = servers.v;
	conf.n_servers = servers.n;
	key = key_of(b, &conf);
	e = key ? mt_strmap_get(&t->all, key) : NULL;
	if (!e)
		return key && servers.n ? remember(t, key, &conf) : NULL;
	e->turn = t->turn;
	return e->provider;
}

struct mt_extauthz_provider *mt_b_provider(
	struct mt_build *b, const struct mt_text *name, const char **why)
{
	const struct mt_ext_provider *p = name->s ? written(b, name->s) : NULL;
	struct mt_extauthz_provider *got, **slot;

	*why = !name->s		     ? "it names none"
	       : !p		     ? "MeshConfig's extensionProviders do not have it"
	       : !p->grpc	     ? "it is none of envoyExtAuthzGrpc"
	       : p->grpc->wants_body ? "it wants bodies, which are not shown"
				     : NULL;
	if (*why)
		return NULL;
	got = get(b, p);
	slot = got ? mt_region_push(&b->snap->region, (void **)&b->snap->providers,
			     &b->snap->n_providers, sizeof(*slot))
		   : NULL;
	if (!slot) {
		b->tmp.failed = true;
		return NULL;
	}
	return *slot = mt_extauthz_hold(got);
}
