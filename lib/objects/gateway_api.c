/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates Gateway API objects for the compiler. If this node is a Gateway's workload, each
 * listener of that Gateway becomes an Istio gateway. Each served route becomes one or more virtual
 * services (gateway_routes.c). Runs for each model of the table and allocates in that model.
 */
#include "mt_gateway_api_priv.h"

#include <stdio.h>
#include <string.h>

#define LABEL MT_GWAPI_GROUP "/gateway-name"

void mt_gwapi_tell(struct mt_gwapi *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *words)
{
	mt_diag_object(&x->t->translated, severity, meta, line ? line : meta->origin.line, path,
		NULL, "%s", words ? words : "no memory for the reason");
}

bool mt_gwapi_is(const struct mt_text *t, const char *word)
{
	return t->s && strcmp(t->s, word) == 0;
}

bool mt_gwapi_is_service(const struct mt_gwapi_ref *r, bool unsaid)
{
	bool core = !r->group.s || !*r->group.s || mt_gwapi_is(&r->group, "core");

	return core && (r->kind.s ? mt_gwapi_is(&r->kind, "Service") : unsaid);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Comparisons that differ in the first bytes, as a rule, for the work of one. */
#define CHEAP 8

bool mt_gwapi_may_ask(struct mt_gwapi *x)
{
	return mt_budget_has(&x->budget, 1 + x->m->gwapi_grants.n / CHEAP);
}

bool mt_gwapi_may_read(struct mt_gwapi *x, const struct mt_gwapi_grant *g, const char *name)
{
	return mt_budget_has(&x->budget, g->n_from + g->n_to * mt_gwapi_work(name));
}

uint64_t mt_gwapi_work(const char *name)
{
	return 1 + (name ? strlen(name) / 64 : 0);
}

/* Warns of an object that was cut. */
static void end(struct mt_gwapi *x, const struct mt_meta *meta, const char *words)
{
	if (!mt_budget_end(&x->budget))
		mt_diag_object(&x->t->translated, MT_DIAG_WARNING, meta, meta->origin.line, NULL,
			"write fewer listeners, parents, host names and backends", "%s", words);
}

/* ---- gateways -------------------------------------------------------------------------------- */

/*
 * True if the node is the Gateway's workload: the Node has Istio's label with the Gateway's name,
 * and its namespace, if specified, is the Gateway's.
 */
static bool is_here(const struct mt_gwapi *x, const struct mt_gwapi_gateway *g)
{
	const struct mt_node *node = mt_table_node(x->t);
	const char *own = node ? mt_labels_get(&node->meta.labels, LABEL) : NULL;

	return own && strcmp(own, g->meta.name) == 0 &&
	       (!x->m->mesh.ns || strcmp(x->m->mesh.ns, g->meta.ns) == 0);
}

/* ---- TLS of listeners ------------------------------------------------------------------------ */

static bool is_tls(const struct mt_gwapi_listener *l)
{
	return mt_gwapi_is(&l->protocol, "TLS");
}

static bool passes_tls(const struct mt_gwapi_listener *l)
{
	return is_tls(l) && l->tls && l->tls->mode.set && l->tls->mode.v == MT_GWAPI_PASSTHROUGH;
}

static bool grants(const struct mt_gwapi_grant *grant, const struct mt_meta *g,
	const struct mt_gwapi_ref *secret)
{
	bool from = false, to = false;

	for (uint32_t k = 0; k < grant->n_from; k++)
		from |= mt_gwapi_is(&grant->from[k].group, MT_GWAPI_GROUP) &&
			mt_gwapi_is(&grant->from[k].kind, "Gateway") &&
			mt_gwapi_is(&grant->from[k].ns, g->ns);
	for (uint32_t k = 0; k < grant->n_to; k++)
		to |= (!grant->to[k].group.s || !*grant->to[k].group.s) &&
		      mt_gwapi_is(&grant->to[k].kind, "Secret") &&
		      (!grant->to[k].name.s || mt_gwapi_is(&grant->to[k].name, secret->name.s));
	return from && to;
}

/*
 * True if the Gateway may use the Secret: it is in the Gateway's namespace, or a ReferenceGrant in
 * the Secret's namespace permits it.
 */
static bool may_use(struct mt_gwapi *x, const struct mt_meta *g, const struct mt_gwapi_ref *secret)
{
	bool granted = !secret->ns.s || strcmp(secret->ns.s, g->ns) == 0;

	if (!granted && !mt_gwapi_may_ask(x))
		return false;
	for (uint32_t i = 0; !granted && i < x->m->gwapi_grants.n; i++) {
		const struct mt_gwapi_grant *grant = x->m->gwapi_grants.v[i];

		if (strcmp(grant->meta.ns, secret->ns.s) != 0)
			continue;
		if (!mt_gwapi_may_read(x, grant, secret->name.s))
			return false;
		granted = grants(grant, g, secret);
		x->asked[i] |= granted;
	}
	return granted;
}

#define TERMINATE_MODE "gateway.istio.io/tls-terminate-mode"

/*
 * Reads the TLS mode from Istio's option. Returns false if there is another option or the value is
 * unknown.
 */
static bool ending_mode(const struct mt_gwapi_tls *tls, enum mt_gateway_tls_mode *mode)
{
	static const struct {
		const char *word;
		enum mt_gateway_tls_mode mode;
	} of[] = {{"SIMPLE", MT_GATEWAY_SIMPLE}, {"MUTUAL", MT_GATEWAY_MUTUAL},
		{"ISTIO_MUTUAL", MT_GATEWAY_ISTIO_MUTUAL}};
	const char *word = mt_labels_get(&tls->options, TERMINATE_MODE);

	*mode = MT_GATEWAY_SIMPLE;
	for (size_t i = 0; word && i < MT_ARRAY_LEN(of); i++)
		if (strcmp(word, of[i].word) == 0) {
			*mode = of[i].mode;
			return tls->options.n_kv == 1;
		}
	return !word && !tls->options.n_kv;
}

/* Returns the reason why the listener's TLS cannot be terminated; NULL: it can be. */
static const char *unended(
	struct mt_gwapi *x, const struct mt_gwapi_gateway *g, const struct mt_gwapi_listener *l)
{
	const struct mt_gwapi_ref *secret =
		l->tls && l->tls->n_certificates ? l->tls->certificates : NULL;
	enum mt_gateway_tls_mode mode;

	if (!l->tls || !ending_mode(l->tls, &mode))
		return l->tls ? "not served: no TLS is ended by its options"
			      : "not served: no certificate is named";
	if (l->tls->asks_clients || g->asks_clients)
		return "not served: clients' certificates are asked for by the "
		       "option " TERMINATE_MODE;
	if (mode == MT_GATEWAY_ISTIO_MUTUAL)
		return NULL;
	if (!secret)
		return "not served: no certificate is named";
	if ((secret->group.s && *secret->group.s) ||
		(secret->kind.s && !mt_gwapi_is(&secret->kind, "Secret")))
		return "not served: its certificate is not a Secret";
	return may_use(x, &g->meta, secret) ? NULL
					    : "not served: no ReferenceGrant lets it use the "
					      "Secret of another namespace";
}

/* Returns the reason why the listener is not served; NULL: it is served. */
static const char *unserved(
	struct mt_gwapi *x, const struct mt_gwapi_gateway *g, const struct mt_gwapi_listener *l)
{
	if (mt_gwapi_is(&l->protocol, "TCP") || passes_tls(l))
		return NULL;
	return is_tls(l) ? unended(x, g, l) : "not served: no codec reads its protocol";
}

static struct mt_gateway_tls *make_tls(
	struct mt_gwapi *x, const struct mt_gwapi_gateway *g, const struct mt_gwapi_listener *l)
{
	struct mt_gateway_tls *tls = mt_region_alloc(&x->m->region, sizeof(*tls));
	enum mt_gateway_tls_mode mode = MT_GATEWAY_PASSTHROUGH;

	if (!tls)
		return NULL;
	if (is_tls(l) && !passes_tls(l))
		ending_mode(l->tls, &mode);
	*tls = (struct mt_gateway_tls){.origin = l->origin, .mode = {mode, l->origin.line, true}};
	if (mode != MT_GATEWAY_PASSTHROUGH && l->tls->n_certificates) {
		const struct mt_gwapi_ref *secret = l->tls->certificates;

		tls->credential = secret->name;
		tls->credential_ns = secret->ns.s ? secret->ns.s : g->meta.ns;
	}
	return tls;
}

/* ---- listeners of this node ------------------------------------------------------------------ */

static void make_gateway(struct mt_gwapi *x, const struct mt_gwapi_gateway *g, uint32_t i)
{
	const struct mt_gwapi_listener *l = &g->listeners[i];
	struct mt_gateway *made = mt_region_alloc(&x->m->region, sizeof(*made));
	struct mt_gateway_server *server = mt_region_alloc(&x->m->region, sizeof(*server));
	struct mt_text *host = mt_region_alloc(&x->m->region, sizeof(*host));
	struct mt_gwapi_bound *b;

	struct mt_gateway_tls *tls = make_tls(x, g, l);

	b = mt_region_push(&x->m->region, (void **)&x->bound, &x->n_bound, sizeof(*b));
	if (!made || !server || !host || !tls || !b)
		return;
	*host = l->hostname.s ? l->hostname : (struct mt_text){"*", l->origin.line};
	*server = (struct mt_gateway_server){.origin = l->origin,
		.port = {.origin = l->origin,
			.number = l->port,
			.name = {is_tls(l) ? "tls" : "tcp", l->name.line},
			.protocol = l->protocol},
		.hosts = host,
		.n_hosts = 1,
		.tls = is_tls(l) ? tls : NULL};
	*made = (struct mt_gateway){.meta = g->meta,
		.servers = server,
		.n_servers = 1,
		.gateway_api = g->meta.name,
		.gateway_class = g->class_name.s,
		.listener = i};
	made->meta.name = mt_region_printf(&x->m->region, "%s~%s", g->meta.name, l->name.s);
	*b = (struct mt_gwapi_bound){g, l, NULL, NULL};
	b->name = mt_region_printf(&x->m->region, "%s/%s~%s", g->meta.ns, g->meta.name, l->name.s);
	if (made->meta.name && b->name)
		mt_model_add(x->m, &x->m->gateways, made);
}

/*
 * True if the Node's label is nearly this Gateway's name, and the node is the workload of no
 * Gateway.
 */
static bool is_nearly_here(const struct mt_gwapi *x, const struct mt_gwapi_gateway *g)
{
	const struct mt_node *node = mt_table_node(x->t);
	const char *own = node ? mt_labels_get(&node->meta.labels, LABEL) : NULL;

	return own && !x->has_own && mt_edit_distance(own, g->meta.name, 3) <= 2;
}

static void translate_gateway(struct mt_gwapi *x, const struct mt_gwapi_gateway *g)
{
	if (!is_here(x, g)) {
		mt_gwapi_tell(x, is_nearly_here(x, g) ? MT_DIAG_UNUSED : MT_DIAG_INERT, &g->meta, 0,
			NULL,
			"this node is not its workload: that has the label " LABEL
			", of the Gateway's name");
		return;
	}
	for (uint32_t i = 0; i < g->n_listeners && mt_budget_has(&x->budget, 1); i++) {
		const struct mt_gwapi_listener *l = &g->listeners[i];
		const char *why = unserved(x, g, l);
		char path[48];

		/* Its Secret may not have been looked for everywhere. */
		if (x->budget.full)
			return;
		snprintf(path, sizeof(path), "spec.listeners[%u].protocol", i);
		if (why)
			mt_gwapi_tell(x, MT_DIAG_WARNING, &g->meta, l->protocol.line, path, why);
		else
			make_gateway(x, g, i);
	}
}

/* ---- which routes a listener admits ---------------------------------------------------------- */

static bool has_labels(struct mt_gwapi *x, const char *ns, const struct mt_gwapi_selector *want)
{
	if (want && !mt_budget_has(&x->budget,
			    (uint64_t)want->labels.n_kv * (1 + x->m->namespaces.n / CHEAP)))
		return false;
	for (uint32_t i = 0; want && !want->more && i < want->labels.n_kv; i++) {
		const struct mt_kv *kv = &want->labels.kv[i];
		const char *value = NULL;

		if (strcmp(kv->key, "kubernetes.io/metadata.name") == 0)
			value = ns;
		for (uint32_t k = 0; !value && k < x->m->namespaces.n; k++) {
			const struct mt_kube_namespace *n = x->m->namespaces.v[k];

			if (strcmp(n->meta.name, ns) != 0)
				continue;
			if (!mt_budget_has(&x->budget, n->meta.labels.n_kv / CHEAP))
				return false;
			value = mt_labels_get(&n->meta.labels, kv->key);
		}
		if (!value || strcmp(value, kv->value) != 0)
			return false;
	}
	return want && !want->more;
}

static bool admits_namespace(struct mt_gwapi *x, const struct mt_gwapi_bound *b, const char *ns)
{
	const struct mt_gwapi_allowed *allowed = b->listener->allowed;
	const struct mt_gwapi_namespaces *from = allowed ? allowed->namespaces : NULL;

	switch (from ? (enum mt_gwapi_from)from->from.v : MT_GWAPI_SAME) {
	case MT_GWAPI_ALL:
		return true;
	case MT_GWAPI_SELECTOR:
		return has_labels(x, ns, from->selector);
	case MT_GWAPI_NONE:
		return false;
	default:
		return strcmp(ns, b->gateway->meta.ns) == 0;
	}
}

static bool lists_kind(const struct mt_gwapi_bound *b, const char *kind)
{
	const struct mt_gwapi_allowed *allowed = b->listener->allowed;

	for (uint32_t i = 0; allowed && i < allowed->n_kinds; i++)
		if (strcmp(allowed->kinds[i].kind.s, kind) == 0 &&
			(!allowed->kinds[i].group.s ||
				mt_gwapi_is(&allowed->kinds[i].group, MT_GWAPI_GROUP)))
			return true;
	return !allowed || !allowed->n_kinds;
}

static bool admits_kind(const struct mt_gwapi_bound *b, const char *kind)
{
	/* Terminated TLS carries opaque TCP, so only passthrough listeners admit TLSRoutes. */
	if (passes_tls(b->listener) != (strcmp(kind, "TLSRoute") == 0))
		return false;
	return lists_kind(b, kind);
}

bool mt_gwapi_admits(struct mt_gwapi *x, const struct mt_gwapi_bound *b)
{
	const struct mt_gwapi_allowed *allowed = b->listener->allowed;

	if (allowed && !mt_budget_has(&x->budget, allowed->n_kinds))
		return false;
	return admits_namespace(x, b, x->route->meta.ns) && admits_kind(b, x->route->meta.kind);
}

bool mt_gwapi_is_parent(
	const struct mt_gwapi *x, const struct mt_gwapi_ref *p, const struct mt_gwapi_bound *b)
{
	const struct mt_meta *g = &b->gateway->meta;

	return (!p->group.s || mt_gwapi_is(&p->group, MT_GWAPI_GROUP)) &&
	       (!p->kind.s || mt_gwapi_is(&p->kind, "Gateway")) &&
	       strcmp(p->name.s, g->name) == 0 &&
	       strcmp(p->ns.s ? p->ns.s : x->route->meta.ns, g->ns) == 0 &&
	       (!p->section.s || mt_gwapi_is(&p->section, b->listener->name.s)) &&
	       (!p->port.set || p->port.v == b->listener->port.v);
}

/* ---- Services -------------------------------------------------------------------------------- */

/* Longest "NAMESPACE/NAME" that an object can have. */
#define NAME_SIZE 512

static void *find(const struct mt_strmap *map, const char *ns, const char *name)
{
	char key[NAME_SIZE];

	/* Objects have names of 253 characters at most, so a name that is cut has none. */
	snprintf(key, sizeof(key), "%.254s/%.254s", ns, name);
	return mt_strmap_get(map, key);
}

bool mt_gwapi_has_service(const struct mt_gwapi *x, const char *ns, const char *name)
{
	return find(&x->services_here, ns, name) != NULL;
}

/* The first one of a name counts. */
static void put(struct mt_gwapi *x, struct mt_strmap *map, const struct mt_meta *meta, void *obj)
{
	char *key;

	if (find(map, meta->ns, meta->name))
		return;
	key = mt_region_printf(&x->m->region, "%s/%s", meta->ns, meta->name);
	if (key && mt_strmap_put(map, key, obj, NULL))
		x->m->region.failed = true;
}

/* A Service to which BackendTLSPolicies may apply. */
struct backend {
	struct mt_service_entry
		*se; /* may be changed: mt_table_translate() made it for this model */
	bool whole;  /* each port has TLS, so policies for the Service have no effect */
	struct mt_strmap by_name; /* last port + 1 of a name, once some policy names a port */
	uint32_t *same;		  /* by port: the one before it of the same name + 1; 0: none */
};

static void index_services(struct mt_gwapi *x)
{
	for (uint32_t i = 0; i < x->m->services.n; i++) {
		struct mt_kube_service *svc = x->m->services.v[i];

		put(x, &x->services_here, &svc->meta, svc);
	}
	for (uint32_t i = 0; i < x->m->service_entries.n; i++) {
		struct mt_service_entry *se = x->m->service_entries.v[i];
		struct backend *to = se->kubernetes && x->m->gwapi_backend_tls.n
					     ? mt_region_alloc(&x->m->region, sizeof(*to))
					     : NULL;

		if (!to)
			continue;
		to->se = se;
		put(x, &x->backends, &se->meta, to);
	}
}

/* ---- TLS to endpoints ------------------------------------------------------------------------ */

/* Sets the trusted roots: the system's, or those of one Secret. */
static void set_roots(struct mt_tls_settings *tls, const struct mt_gwapi_validation *v)
{
	if (v->n_refs == 1 && !v->refs[0].group.s && mt_gwapi_is(&v->refs[0].kind, "Secret") &&
		!v->well_known.s) {
		tls->credential = v->refs[0].name;
		tls->roots_of_secret = true;
	} else if (!v->n_refs && v->well_known.s && mt_gwapi_is(&v->well_known, "System")) {
		tls->roots.s = "system";
	} else {
		tls->unmade = "spec.validation names neither wellKnownCACertificates: System nor "
			      "one Secret "
			      "in caCertificateRefs";
	}
}

static const struct mt_text *name_of(const struct mt_gwapi_san *san)
{
	if (mt_gwapi_is(&san->type, "URI"))
		return &san->uri;
	if (mt_gwapi_is(&san->type, "Hostname"))
		return &san->hostname;
	return san->uri.s ? &san->uri : &san->hostname;
}

static void set_names(
	struct mt_gwapi *x, struct mt_tls_settings *tls, const struct mt_gwapi_validation *v)
{
	uint32_t n = v->n_sans ? v->n_sans : 1;

	tls->sni = v->hostname;
	tls->sans = mt_region_alloc(&x->m->region, sizeof(*tls->sans) * n);
	for (uint32_t i = 0; tls->sans && i < v->n_sans; i++) {
		const struct mt_text *name = name_of(&v->sans[i]);

		if (name->s)
			tls->sans[tls->n_sans++] = *name;
		else
			tls->unmade = "a name of spec.validation.subjectAltNames is empty";
	}
	if (tls->sans && !v->n_sans && v->hostname.s)
		tls->sans[tls->n_sans++] = v->hostname;
	if (!v->hostname.s || !tls->sans)
		tls->unmade = "spec.validation.hostname is missing";
}

/* Returns the BackendTLSPolicy as TLS settings of a DestinationRule; NULL: no memory. */
static const struct mt_tls_settings *settings_of(
	struct mt_gwapi *x, const struct mt_gwapi_backend_tls *p)
{
	struct mt_tls_settings *tls = mt_region_alloc(&x->m->region, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->origin = p->meta.origin;
	tls->mode = (struct mt_num){.v = MT_TLS_SIMPLE, .set = true};
	set_roots(tls, &p->validation);
	set_names(x, tls, &p->validation);
	return tls;
}

/* True if the policy applies to the port: one for a port precedes one for the whole Service. */
static bool is_nearer(const struct mt_se_port *port, bool of_port)
{
	return !port->tls_by || (of_port && !port->tls_of_port);
}

static void set_port(struct mt_se_port *port, const struct mt_gwapi_backend_tls *p,
	const struct mt_tls_settings *tls, bool of_port)
{
	if (!is_nearer(port, of_port))
		return;
	port->tls_by = &p->meta;
	port->tls = tls;
	port->tls_of_port = of_port;
}

/* Indexes the ports by name. False: no memory. */
static bool index_ports(struct mt_gwapi *x, struct backend *to)
{
	if (to->same)
		return true;
	to->same = mt_region_alloc(&x->m->region, sizeof(*to->same) * (to->se->n_ports + 1));
	for (uint32_t i = 0; to->same && i < to->se->n_ports; i++) {
		void *before = NULL;

		if (mt_strmap_put(&to->by_name, to->se->ports[i].name.s, (void *)(uintptr_t)(i + 1),
			    &before))
			x->m->region.failed = true;
		to->same[i] = (uint32_t)(uintptr_t)before;
	}
	return to->same != NULL;
}

/* Sets the TLS settings of the ports with the name. True: there is one. */
static bool set_named(struct mt_gwapi *x, struct backend *to, const struct mt_gwapi_backend_tls *p,
	const struct mt_tls_settings *tls, const char *name)
{
	uint32_t first =
		index_ports(x, to) ? (uint32_t)(uintptr_t)mt_strmap_get(&to->by_name, name) : 0;

	/* The last one is set with the others. */
	if (first && to->se->ports[first - 1].tls_of_port)
		return true;
	for (uint32_t at = first; at; at = to->same[at - 1])
		set_port(&to->se->ports[at - 1], p, tls, true);
	return first != 0;
}

/*
 * Sets the TLS settings of the Service's ports to which the policy applies; among policies of one
 * rank the oldest applies. Each port is visited once for the whole Service and once for its name,
 * because a policy that is left out would let calls go on in plaintext. True if the Service has
 * the port.
 */
static bool set_tls(struct mt_gwapi *x, struct backend *to, const struct mt_gwapi_backend_tls *p,
	const struct mt_tls_settings *tls, const struct mt_text *section)
{
	if (section->s)
		return set_named(x, to, p, tls, section->s);
	for (uint32_t i = 0; !to->whole && i < to->se->n_ports; i++)
		set_port(&to->se->ports[i], p, tls, false);
	to->whole = true;
	return to->se->n_ports > 0;
}

static bool wants_tls(struct mt_gwapi *x, const struct mt_gwapi_backend_tls *p,
	const struct mt_tls_settings *tls, const struct mt_gwapi_ref *target)
{
	struct backend *to = find(&x->backends, p->meta.ns, target->name.s);

	if (!to || !set_tls(x, to, p, tls, &target->section))
		return false;
	(void)mt_diag_host(&x->t->translated, &p->meta, to->se->hosts[0].s);
	return true;
}

/* Warns about a target whose Service or port does not exist here. */
static void warn_target(struct mt_gwapi *x, const struct mt_gwapi_backend_tls *p, uint32_t at)
{
	const struct mt_gwapi_ref *target = &p->targets[at];
	char path[64];

	snprintf(path, sizeof(path), "spec.targetRefs[%u].%s", at,
		target->section.s ? "sectionName" : "name");
	mt_gwapi_tell(x, MT_DIAG_WARNING, &p->meta,
		target->section.s ? target->section.line : target->name.line, path,
		target->section.s ? "no Service of this name with a port of this name is here"
				  : "no Service of this name is here");
}

static void translate_backend_tls(struct mt_gwapi *x, const struct mt_gwapi_backend_tls *p)
{
	const struct mt_tls_settings *tls = settings_of(x, p);
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_targets; i++) {
		if (mt_gwapi_is_service(&p->targets[i], false) &&
			wants_tls(x, p, tls, &p->targets[i]))
			n++;
		else if (p->n_targets > 1)
			warn_target(x, p, i);
	}
	if (!n)
		mt_gwapi_tell(x, MT_DIAG_INERT, &p->meta, 0, "spec.targetRefs",
			"none of its Services, or of their ports, is here");
}

/* ---- all objects ----------------------------------------------------------------------------- */

static void translate_gateways(struct mt_gwapi *x)
{
	const struct mt_objs *all = &x->m->gwapi_gateways;

	for (uint32_t i = 0; i < all->n; i++)
		x->has_own |= is_here(x, all->v[i]);
	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_gwapi_gateway *g = all->v[i];

		if (!mt_budget_begin(&x->budget, &g->meta))
			return;
		translate_gateway(x, g);
		end(x, &g->meta,
			"the Gateways and routes of its namespace or source take too much memory "
			"or time: not all of its listeners are served");
	}
}

static void translate_routes(struct mt_gwapi *x)
{
	for (uint32_t i = 0; i < x->m->gwapi_routes.n; i++) {
		const struct mt_gwapi_route *r = x->m->gwapi_routes.v[i];

		if (!mt_budget_begin(&x->budget, &r->meta))
			return;
		mt_gwapi_route(x, r);
		end(x, &r->meta,
			"the Gateways and routes of its namespace or source take too much memory "
			"or time: not all of its parents are served by it");
	}
}

static void fini_backends(struct mt_gwapi *x)
{
	struct backend *to;

	for (uint32_t i = 0; (to = mt_strmap_next(&x->backends, &i, NULL)) != NULL;)
		mt_strmap_fini(&to->by_name);
	mt_strmap_fini(&x->backends);
}

void mt_table_gateway_api(struct mt_object_table *t, struct mt_model *m)
{
	struct mt_gwapi x = {.t = t,
		.m = m,
		.budget = {.t = t,
			.region = &m->region,
			.most = {.memory = mt_objects_memory / 4, .work = mt_objects_work}}};

	x.asked = mt_region_alloc(&m->region, sizeof(*x.asked) * (m->gwapi_grants.n + 1));
	if (!x.asked)
		return;
	index_services(&x);
	translate_gateways(&x);
	translate_routes(&x);
	for (uint32_t i = 0; i < m->gwapi_backend_tls.n; i++)
		translate_backend_tls(&x, m->gwapi_backend_tls.v[i]);
	for (uint32_t i = 0; i < m->gwapi_grants.n; i++)
		if (!x.asked[i])
			mt_gwapi_tell(&x, MT_DIAG_INERT, m->gwapi_grants.v[i], 0, NULL,
				"no object here uses what it grants");
	mt_strmap_fini(&x.services_here);
	fini_backends(&x);
	mt_budget_fini(&x.budget);
}
