/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that are called by gRPC: MeshConfig's extensionProviders of policies of CUSTOM and of
 * access logs, and rate limit services of documents and of discovery services. Equal settings lead
 * to the same provider or target, also in the next snapshot, so that its connection stays.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_log_priv.h"
#include "mt_conf_mesh_priv.h"
#include "mt_conf_policy_priv.h"

#include "mt_extauthz.h"
#include "mt_jwks_store.h"
#include "mt_meant.h"
#include "mt_secret_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS  600000 /* Istio's */
#define SERVERS_MAX 16	   /* addresses of a service that are tried */
/* Services that calls wait for and the objects of a namespace name: each has a connection. */
#define MOST_OF_NAMESPACE 16u

#define OTHERS_REMEDY                                                                              \
	"name the namespace in exportTo of the service, with \".\", or write a service of this "   \
	"namespace"
#define UNLENT_REMEDY                                                                              \
	"list the service's namespace in the Node's spec.mesh.nodeIdentityUse.to, or use a port "  \
	"without mutual TLS"
#define MEANT_REMEDY                                                                               \
	"write a ServiceEntry of the host in the root namespace, or NAMESPACE/ before the host "   \
	"if that service is meant"
#define ROOT_REMEDY "write the service in the root namespace, with this one in its exportTo"

struct entry {
	char *key;
	struct mt_callout_provider *provider; /* calls wait for it; else `target`, of access logs */
	struct mt_grpc_target *target;
	uint64_t made; /* the build that made it */
	uint64_t turn; /* the build that used it last */
};

/* ---- kept from build to build ----------------------------------------------------------------------- */

static void free_entry(struct entry *e)
{
	mt_callout_drop(e->provider);
	mt_grpc_target_drop(e->target);
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

void mt_conf_providers_end(struct mt_conf_providers *t, bool failed)
{
	struct entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&t->all, &pos, NULL)))
		if (failed ? e->made == t->turn : e->turn != t->turn) {
			mt_strmap_del(&t->all, e->key);
			free_entry(e);
		}
}

/* Takes the reference of a provider or of a target; the other one is NULL. NULL: no memory. */
static struct entry *remember(struct mt_conf_providers *t, const char *key,
	struct mt_callout_provider *provider, struct mt_grpc_target *target)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e) {
		mt_callout_drop(provider);
		mt_grpc_target_drop(target);
		return NULL;
	}
	e->key = strdup(key);
	e->provider = provider;
	e->target = target;
	e->made = e->turn = t->turn;
	if (e->key && (provider || target) && !mt_strmap_put(&t->all, e->key, e, NULL))
		return e;
	free_entry(e);
	return NULL;
}

/* ---- where it is ------------------------------------------------------------------------------------- */

/* Why an endpoint is not used, and what to do. */
struct left_out {
	const char *why, *remedy;
};

/* How a provider is reached, and what of its service's instances speak the mesh's mutual TLS, as its other clients have it. */
struct reach {
	struct mt_build *b;
	const struct mt_callout_place *at;
	const char *servers[SERVERS_MAX];
	uint32_t n_servers;
	const struct left_out *left_out; /* why an endpoint is not used; NULL: none is left out */
	const char *remedy; /* of what the author may not have queried; NULL: nothing yet */
	struct mt_grpc_tls tls;
	uint64_t tls_hash; /* of that; 0: plain text */
};

static void add_server(struct reach *to, const char *host, uint32_t port)
{
	const char *text = to->n_servers < SERVERS_MAX
				   ? mt_region_printf(&to->b->tmp,
					     strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port)
				   : NULL;

	if (text)
		to->servers[to->n_servers++] = text;
}

/* Ports of gRPC are served to nobody here. */
static const struct mt_se_port *port_of(const struct mt_service_entry *se, uint32_t number)
{
	for (uint32_t i = 0; i < se->n_ports; i++)
		if (se->ports[i].number.v == number)
			return &se->ports[i];
	return NULL;
}

/*
 * True if the MeshConfig means an object as its provider: one of the namespace that is written
 * before the host or in it, otherwise of the root namespace, or one of a source without
 * `namespaces`. Authors of other namespaces would decide calls of all, and get their data. A host
 * with one dot has no namespace in it, because "judge.com" may be a name of DNS.
 */
static bool is_meant(
	const struct mt_build *b, const struct mt_callout_place *at, const struct mt_meta *of)
{
	const char *domain = mt_model_domain(b->model);
	const char *dot = strchr(at->host, '.');
	char full[MT_MEANT_HOST];
	bool is_short = dot && strchr(dot + 1, '.') &&
			mt_long_name(at->host, at->ns, domain, full, sizeof(full));

	return at->known_only || strcmp(of->ns, at->ns) == 0 ||
	       mt_host_is_of(is_short ? full : at->host, of->ns, domain) ||
	       !mt_model_is_limited(b->model, of);
}

enum which { ALL, MESHED, OTHERS };

static bool is_of(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_workload *w, enum which which)
{
	uint16_t port = mt_b_endpoint_port(u, w);

	if (mt_addr_is_zero(&w->address) || which == ALL)
		return which == ALL && !mt_addr_is_zero(&w->address);
	if (!mt_b_asks_for_mtls(b, h, w, port))
		return which == OTHERS;
	return which == MESHED && !mt_b_asks_for_hbone(b, h, w, port);
}

static const struct left_out not_meant = {
	"its endpoints are of sources with `namespaces`, and not of the provider's namespace",
	"write them in the root namespace, or in that of the provider"};
/* Also if the Node has a route to them: queries use the host's network, not the node's ports. */
static const struct left_out of_the_link = {
	"its endpoints have loopback addresses, addresses of the link, or of a cloud's services "
	"for the host, and are not of the root namespace",
	ROOT_REMEDY};
static const struct left_out of_the_host = {
	"its endpoints have addresses of the host, and are not of the root namespace", ROOT_REMEDY};
static const struct left_out out_of_reach = {
	"its endpoints have addresses that no port and no route of the Node leads to, and are not "
	"of the root namespace",
	ROOT_REMEDY ", or write a route to its endpoints in the Node's spec.routes"};

/*
 * Why the host must not connect to an endpoint for an author outside of the root namespace, because
 * only the host may reach it; otherwise NULL. A provider of the MeshConfig, which the operator
 * names, may be at all addresses but those of the loopback, of the link and of a cloud's services.
 * A service that an author names, too, must be where the node's own ports lead, and not at the host
 * itself.
 */
static const struct left_out *why_left_out(
	const struct reach *to, const struct mt_host *h, const struct mt_workload *w)
{
	struct mt_build *b = to->b;

	if (!is_meant(b, to->at, mt_instance_meta(h, w)))
		return &not_meant;
	if (strcmp(mt_instance_meta(h, w)->ns, mt_b_root_namespace(b)) == 0)
		return NULL;
	if (mt_jwks_is_listed(&w->address))
		return &of_the_link;
	if (to->at->known_only && mt_conf_is_kernel(b->conf, &w->address))
		return &of_the_host;
	return to->at->known_only && !mt_b_reaches(b, &w->address) ? &out_of_reach : NULL;
}

/* The instances' addresses; names have none. */
static void add_instances(
	struct reach *to, const struct mt_host *h, const struct mt_unit *u, enum which which)
{
	char addr[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < h->n_workloads && to->n_servers < SERVERS_MAX; i++) {
		const struct mt_workload *w = h->workloads[i];
		const struct left_out *why;

		if (!is_of(to->b, h, u, w, which))
			continue;
		why = why_left_out(to, h, w);
		if (why)
			to->left_out = why;
		else
			add_server(to, mt_addr_str(&w->address, addr), mt_b_endpoint_port(u, w));
	}
}

/* True if the author would use the node's identity, which the Node does not permit. */
static bool is_unlent(
	const struct reach *to, const struct mt_host *h, const struct mt_conf_credential *with)
{
	return to->at->known_only && with->own && !mt_b_is_lent(to->b, h->se->meta.ns);
}

/* NULL, or why it cannot be spoken. */
static const char *use_tls(struct reach *to, const struct mt_res_tls *said,
	const struct mt_conf_credential *with, bool istio)
{
	const char **sans, *why = mt_b_no_tls(to->b, said);

	/* It is the node itself who asks: nobody's whose identity it holds beside its own. */
	if (!why && !with->credential)
		why = with->why.text;
	if (why)
		return why;
	sans = mt_region_alloc(&to->b->tmp, sizeof(*sans) * (said->n_sans + 1u));
	if (!sans)
		return "no memory";
	for (uint32_t i = 0; i < said->n_sans; i++)
		sans[i] = said->sans[i].text;
	to->tls = (struct mt_grpc_tls){.credential = with->credential,
		.anybody = said->anybody,
		.istio = istio,
		.server_name = said->sni,
		.sans = sans,
		.n_sans = said->n_sans};
	to->tls_hash = mt_hash_tls(said, with->stamp) | 1;
	return NULL;
}

/* NULL, or why it cannot be spoken. */
static const char *set_tls(struct reach *to, const struct mt_host *h, const struct mt_unit *u)
{
	const struct mt_res_tls *said = mt_b_document_tls(to->b, h, u, NULL);
	const struct mt_conf_credential *with = said ? mt_b_credential(to->b, said) : NULL;

	if (!with)
		return "no memory";
	if (!mt_b_unmade_tls(said) && is_unlent(to, h, with)) {
		to->remedy = UNLENT_REMEDY;
		return "its mutual TLS needs the node's identity, which the Node does not permit "
		       "for this namespace";
	}
	return use_tls(to, said, with, said->n_alpn > 0);
}

/*
 * As the service's other clients would: what a DestinationRule says, else mutual TLS to those instances that ask for it. Where that
 * cannot be spoken, instances that do not ask for it are asked.
 */
static const char *reach_instances(
	struct reach *to, const struct mt_host *h, const struct mt_unit *u)
{
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(h, u, NULL, &by);
	bool automatic = !s && !u->port->tls_by, clear = s && s->mode.v == MT_TLS_DISABLE;
	const char *why = NULL;

	if (!automatic && !clear)
		why = set_tls(to, h, u);
	add_instances(to, h, u, automatic ? MESHED : ALL);
	if (!automatic || (to->n_servers && !(why = set_tls(to, h, u))))
		return why;
	to->n_servers = 0;
	add_instances(to, h, u, OTHERS);
	return to->n_servers ? NULL : why;
}

/*
 * True if the author of the place may have the service queried, past its policies: it is of the
 * author's namespace, or its own author names that one. Export to all namespaces is the default,
 * and so permits none.
 */
static bool is_permitted(const struct mt_callout_place *at, const struct mt_service_entry *se)
{
	if (!at->known_only || strcmp(se->meta.ns, at->ns) == 0)
		return true;
	for (uint32_t i = 0; i < se->export_to.n; i++)
		if (strcmp(se->export_to.v[i].s, at->ns) == 0)
			return true;
	return false;
}

static const char *not_permitted(struct reach *to, const struct mt_service_entry *se)
{
	const char *why = mt_region_printf(&to->b->tmp,
		"the service is of namespace %.128s, and its exportTo does not name this one",
		se->meta.ns);

	to->remedy = OTHERS_REMEDY;
	return why ? why : "no memory";
}

static bool is_address(const char *host)
{
	struct mt_addr a;

	return mt_addr_parse(host, &a) == 0;
}

/*
 * The service of a place; NULL: none, so that DNS may be queried. *why: an object that the
 * MeshConfig does not mean has the host.
 */
static const struct mt_host *host_of(struct reach *to, const char **why)
{
	const struct mt_callout_place *at = to->at;
	const struct mt_host *h = at->ns ? mt_b_host(to->b, at->host, at->ns) : NULL;

	if (at->known_only || !at->ns)
		return h;
	/* A short name of another namespace's service. */
	h = h ? h : mt_strmap_get(&to->b->hosts, at->host);
	if (!h || is_meant(to->b, at, &h->se->meta))
		return h;
	if (is_address(at->host))
		return NULL;
	*why = mt_region_printf(&to->b->tmp,
		"%s %.64s/%.64s has the host, which is not of the provider's namespace, and of a "
		"source with `namespaces`",
		h->se->meta.kind, h->se->meta.ns, h->se->meta.name);
	*why = *why ? *why : "no memory";
	to->remedy = MEANT_REMEDY;
	return NULL;
}

/* NULL, or why not. */
static const char *find(struct reach *to)
{
	const struct mt_callout_place *at = to->at;
	const char *why = NULL;
	const struct mt_host *h = host_of(to, &why);
	const struct mt_unit u = {.se = h ? h->se : NULL,
		.port = h ? port_of(h->se, at->port) : NULL,
		.host = at->host};

	if (why)
		return why;
	if (u.port && !is_permitted(at, h->se))
		return not_permitted(to, h->se);
	if (u.port)
		why = reach_instances(to, h, &u);
	if (!why && !to->n_servers && to->left_out) {
		to->remedy = to->left_out->remedy;
		why = to->left_out->why;
	}
	if (why || to->n_servers)
		return why;
	if (!u.port && at->known_only)
		return "there is no such service and port here";
	/* The author of a namespace could have any name in DNS lead to the host itself. */
	if (at->known_only)
		return "its endpoints have no addresses";
	add_server(to, at->host, at->port);
	return NULL;
}

/* ---- a discovery service's cluster ----------------------------------------------------------- */

/* Endpoints may be an author's, so addresses that only the host may reach are not queried. */
static bool is_asked(
	const struct mt_res_cluster *mc, const struct mt_res_endpoint *e, enum which which)
{
	bool secret = mc->tls && (e->tls || !mc->tls_by_endpoint);

	return e->health < MT_RES_DRAINING && !mt_jwks_is_listed(&e->addr) &&
	       (which == MESHED) == secret;
}

static void add_locality(struct reach *to, const struct mt_res_cluster *mc,
	const struct mt_res_locality *l, enum which which)
{
	char addr[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < l->n_eps && to->n_servers < SERVERS_MAX; i++)
		if (is_asked(mc, &l->eps[i], which))
			add_server(to, mt_addr_str(&l->eps[i].addr, addr), l->eps[i].port);
}

/* The first of them is tried first, so those of priority 0 are. */
static void add_endpoints(struct reach *to, const struct mt_res_cluster *mc,
	const struct mt_res_endpoints *e, enum which which)
{
	uint32_t priority = 0, next;

	do {
		next = UINT32_MAX;
		for (uint32_t i = 0; e && i < e->n_localities; i++) {
			const struct mt_res_locality *l = &e->localities[i];

			if (l->priority == priority)
				add_locality(to, mc, l, which);
			else if (l->priority > priority)
				next = MT_MIN(next, l->priority);
		}
		priority = next;
	} while (next != UINT32_MAX && to->n_servers < SERVERS_MAX);
}

/* NULL, or why it cannot be spoken. */
static const char *set_cluster_tls(struct reach *to, const struct mt_res_tls *said)
{
	const struct mt_conf_credential *with = mt_b_credential(to->b, said);
	bool istio = false;

	if (!with)
		return "no memory";
	if (said->min_version || said->max_version)
		return "queries have no TLS of one version only";
	for (uint32_t i = 0; i < said->n_sans; i++)
		if (said->sans[i].prefix)
			return "queries compare names of certificates as a whole, not by prefix";
	for (uint32_t i = 0; i < said->n_alpn; i++)
		istio |= strcmp(said->alpn[i], "istio") == 0;
	return use_tls(to, said, with, istio);
}

/* Endpoints with TLS, or the others if there are none or it cannot be spoken. NULL, or why not. */
static const char *find_cluster(struct reach *to, const char *name)
{
	const struct mt_res_endpoints *eps = NULL;
	const struct mt_res_cluster *mc = mt_mesh_said(to->b, name, &eps);
	const char *why = NULL;

	if (!mc)
		return mt_strmap_get(&to->b->clusters, name)
			       ? "a document has a cluster of this name, which is not queried"
			       : "there is no such cluster";
	if (mc->demand_ms)
		return "the control plane has not sent the cluster";
	add_endpoints(to, mc, eps, MESHED);
	if (to->n_servers) {
		why = set_cluster_tls(to, mc->tls);
		if (!why)
			return NULL;
		to->n_servers = 0;
	}
	add_endpoints(to, mc, eps, OTHERS);
	if (to->n_servers)
		return NULL;
	return why ? why : "the cluster has no endpoints that can be queried";
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

/* The key of a service at these servers, which `key` names without them. */
static const char *key_at(const struct reach *to, const char *key)
{
	for (uint32_t i = 0; key && i < to->n_servers; i++)
		key = mt_region_printf(&to->b->tmp, "%s %s", key, to->servers[i]);
	return key;
}

/* Counts one more in this build. False: the namespace has too many, or no memory (*why NULL). */
static bool count_one(struct mt_build *b, const char *ns, const char **why)
{
	uintptr_t n = (uintptr_t)mt_strmap_get(&b->callouts, ns);

	if (n == MOST_OF_NAMESPACE) {
		*why = mt_region_printf(&b->tmp,
			"limits of its namespace name %u combinations of service, requestTimeout "
			"and denyOnFail already",
			MOST_OF_NAMESPACE);
		return false;
	}
	return !mt_strmap_put(&b->callouts, ns, (void *)(n + 1), NULL);
}

/* The provider at these servers, of the last build if that had one there. NULL: *no. */
static struct mt_callout_provider *provider_at(
	const struct reach *to, const struct mt_callout_conf *said, struct mt_callout_no *no)
{
	struct mt_build *b = to->b;
	struct mt_conf_providers *t = &b->conf->providers;
	const struct mt_callout_place *at = to->at;
	struct mt_callout_conf conf = *said;
	const char *key;
	struct entry *e;

	conf.servers = to->servers;
	conf.n_servers = to->n_servers;
	conf.tls = to->tls_hash ? &to->tls : NULL;
	conf.owner = at->known_only ? mt_secret_hash_text(at->ns, 0) : 0;
	/* Namespaces share none, so that none can use up what another one has. */
	key = key_at(to, mt_region_printf(&b->tmp, "%s %s %s %" PRIu64 " %d %" PRIx64, at->kind,
				 at->known_only ? at->ns : "", conf.name, conf.timeout,
				 conf.fail_open, to->tls_hash));
	e = key ? mt_strmap_get(&t->all, key) : NULL;
	if (key && at->known_only && (!e || e->turn != t->turn) && !count_one(b, at->ns, &no->why))
		return NULL;
	if (!e && key && to->n_servers)
		e = remember(t, key, mt_callout_provider_new(&conf), NULL);
	if (!e)
		return NULL;
	e->turn = t->turn;
	return e->provider;
}

struct mt_callout_provider *mt_b_callout(struct mt_build *b, const struct mt_callout_place *at,
	const struct mt_callout_conf *conf, struct mt_callout_no *no)
{
	struct reach to = {.b = b, .at = at};

	*no = (struct mt_callout_no){.why = find(&to)};
	no->remedy = no->why ? to.remedy : NULL;
	return no->why ? NULL : provider_at(&to, conf, no);
}

struct mt_callout_provider *mt_b_callout_of_cluster(struct mt_build *b, const char *cluster,
	const struct mt_callout_conf *conf, struct mt_callout_no *no)
{
	const struct mt_callout_place at = {.kind = "limits"};
	struct reach to = {.b = b, .at = &at};

	*no = (struct mt_callout_no){.why = find_cluster(&to, cluster)};
	return no->why ? NULL : provider_at(&to, conf, no);
}

/* Where [NAMESPACE/]HOST of a provider is. */
static struct mt_callout_place place_of(
	struct mt_build *b, const char *kind, const char *service, uint32_t port)
{
	const char *slash = strchr(service, '/');

	return (struct mt_callout_place){.kind = kind,
		.host = slash ? slash + 1 : service,
		.ns = slash ? mt_region_strndup(&b->tmp, service, (size_t)(slash - service))
			    : mt_b_root_namespace(b),
		.port = port};
}

static struct mt_extauthz_provider *get(
	struct mt_build *b, const struct mt_ext_provider *p, const char **why)
{
	const struct mt_callout_place at =
		place_of(b, "policies", p->grpc->service.s, p->grpc->port.v);
	const struct mt_callout_conf conf = {.name = p->name.s,
		.timeout = (p->grpc->timeout.set ? p->grpc->timeout.v : TIMEOUT_MS) * MT_MSEC,
		.fail_open = p->grpc->fail_open.v != 0};
	struct mt_callout_no no;
	struct mt_callout_provider *got = mt_b_callout(b, &at, &conf, &no);

	*why = no.why;
	return got ? mt_extauthz_of(got) : NULL;
}

struct mt_extauthz_provider *mt_b_provider(
	struct mt_build *b, const struct mt_text *name, const char **why)
{
	const struct mt_ext_provider *p = name->s ? written(b, name->s) : NULL;
	struct mt_extauthz_provider *got, **slot;

	*why = !name->s		     ? "it names none"
	       : !p		     ? "MeshConfig's extensionProviders do not have it"
	       : !p->grpc	     ? "it is none of envoyExtAuthzGrpc"
	       : p->grpc->wants_body ? "it needs bodies, which are not sent"
				     : NULL;
	if (*why)
		return NULL;
	got = get(b, p, why);
	if (*why)
		return NULL;
	slot = got ? mt_region_push(&b->snap->region, (void **)&b->snap->providers,
			     &b->snap->n_providers, sizeof(*slot))
		   : NULL;
	if (!slot) {
		b->tmp.failed = true;
		return NULL;
	}
	return *slot = mt_extauthz_hold(got);
}

void mt_b_providers_tell(struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	for (uint32_t i = 0; c && i < c->n_providers; i++) {
		const struct mt_ext_authz *p = c->providers[i].grpc;
		const struct mt_callout_place at =
			p ? place_of(b, "policies", p->service.s, p->port.v)
			  : (struct mt_callout_place){0};
		struct reach to = {.b = b, .at = &at};
		const char *why = NULL;

		if (p)
			(void)host_of(&to, &why);
		if (why)
			mt_b_warn(b, &c->meta, p->origin.line,
				"extensionProviders[].envoyExtAuthzGrpc", to.remedy,
				"%.128s is not queried, so that policies of CUSTOM fail closed: %s",
				p->service.s, why);
	}
}

/* ---- access logs ----------------------------------------------------------------------------- */

struct mt_grpc_target *mt_b_log_target(
	struct mt_build *b, const struct mt_net_log *log, const char **why)
{
	struct mt_conf_providers *t = &b->conf->providers;
	const struct mt_callout_place at = place_of(b, "logs", log->service.s, log->port.v);
	struct reach to = {.b = b, .at = &at};
	struct mt_grpc_target **slot;
	const char *key;
	struct entry *e;

	*why = find(&to);
	if (*why)
		return NULL;
	key = key_at(&to, mt_region_printf(&b->tmp, "%s %" PRIx64, at.kind, to.tls_hash));
	e = key ? mt_strmap_get(&t->all, key) : NULL;
	if (!e && key && to.n_servers)
		e = remember(t, key, NULL,
			mt_grpc_target_new(to.servers, to.n_servers, to.tls_hash ? &to.tls : NULL));
	slot = e ? mt_region_push(&b->snap->region, (void **)&b->snap->targets, &b->snap->n_targets,
			   sizeof(*slot))
		 : NULL;
	if (!slot) {
		b->tmp.failed = true;
		return NULL;
	}
	e->turn = t->turn;
	return *slot = mt_grpc_target_hold(e->target);
}
