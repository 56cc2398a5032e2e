/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates Kubernetes objects for the compiler. A Service with its EndpointSlices (or Endpoints)
 * becomes a service entry with the endpoints that are ready. A Pod that a ServiceEntry selects
 * becomes a workload entry. The translation runs for each model of the table and allocates in that
 * model; it never changes the objects.
 */
#include "mt_translate_priv.h"

#include <stdio.h>
#include <string.h>

/* Longest "NAMESPACE/NAME" of an object, and longest text of an address. */
#define NAME_SIZE   512
#define ADDRESS_MAX 64

/* ---- limit ----------------------------------------------------------------------------------- */

/*
 * Most memory of all translated Services, and work to find their endpoints. Each endpoint of a
 * Service has a copy of its own with the Service's ports, so that 10,000 Services that select
 * 10,000 workloads would fill any memory, and the load of everything would fail.
 */
static struct mt_cost most(void)
{
	return (struct mt_cost){.memory = mt_objects_memory / 2, .work = mt_objects_work};
}

static char *key_of(struct translation *x, const char *ns, const char *name)
{
	return mt_region_printf(&x->m->region, "%s/%s", ns, name);
}

static void put(
	struct translation *x, struct mt_strmap *map, const char *ns, const char *name, void *obj)
{
	char *key = key_of(x, ns, name);
	struct mt_bag *bag = key ? mt_strmap_get(map, key) : NULL;
	void **slot;

	if (!bag) {
		bag = mt_region_alloc(&x->m->region, sizeof(*bag));
		if (!bag || !key || mt_strmap_put(map, key, bag, NULL))
			return;
	}
	slot = mt_region_push(&x->m->region, (void **)&bag->v, &bag->n, sizeof(*slot));
	if (slot)
		*slot = obj;
}

void *mt_tr_get(const struct mt_strmap *map, const char *ns, const char *name)
{
	char key[NAME_SIZE];

	/* Names of objects have at most 253 characters, so a truncated name finds nothing. */
	snprintf(key, sizeof(key), "%.254s/%.254s", ns, name);
	return mt_strmap_get(map, key);
}

void mt_tr_tell(struct translation *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	const char *path, const char *words)
{
	mt_diag_object(
		&x->t->translated, severity, meta, meta->origin.line, path, NULL, "%s", words);
}

void mt_tr_use(struct translation *x, const struct mt_meta *meta)
{
	if (mt_idmap_get(&x->used, meta->serial))
		return;
	if (mt_idmap_put(&x->used, meta->serial, x))
		x->m->region.failed = true;
	if (meta->as_of)
		mt_diag_object(&x->t->translated, MT_DIAG_NOTE, meta, meta->origin.line, NULL,
			"a discovery server (xDS) sends the current state",
			"as of %s, when it was read from the cluster: "
			"its addresses may be others' by now",
			meta->as_of);
}

bool mt_tr_is_used(struct translation *x, const struct mt_meta *meta)
{
	return mt_idmap_get(&x->used, meta->serial) != NULL;
}

/* ---- by name --------------------------------------------------------------------------------- */

/*
 * Adds a Pod by its address. Skips long texts, because they are not addresses and aliases may
 * repeat them many times.
 */
static void index_address(struct translation *x, struct mt_kube_pod *p, const char *ip)
{
	char *key = ip && strnlen(ip, ADDRESS_MAX) < ADDRESS_MAX ? key_of(x, p->meta.ns, ip) : NULL;

	if (key)
		mt_strmap_put(&x->addresses, key, p, NULL);
}

static void index_pod(struct translation *x, struct mt_kube_pod *p)
{
	char *name = key_of(x, p->meta.ns, p->meta.name);

	if (name)
		mt_strmap_put(&x->pods, name, p, NULL);
	if (mt_kube_pod_has_ended(p))
		return;
	index_address(x, p, p->status.ip.s);
	for (uint32_t i = 0; i < p->status.n_ips; i++)
		index_address(x, p, p->status.ips[i].ip.s);
}

const char *mt_tr_service_of(const struct mt_kube_slice *s)
{
	return s->whole ? s->meta.name
			: mt_labels_get(&s->meta.labels, "kubernetes.io/service-name");
}

static void index_all(struct translation *x)
{
	x->entries.region = x->by_pod_label.region = &x->m->region;
	for (uint32_t i = 0; i < x->m->workload_entries.n; i++) {
		struct mt_workload_entry *we = x->m->workload_entries.v[i];

		mt_by_label_add(&x->entries, we->meta.ns, &we->w.labels, we);
	}
	for (uint32_t i = 0; i < x->m->pods.n; i++)
		index_pod(x, x->m->pods.v[i]);
	for (uint32_t i = 0; i < x->m->slices.n; i++) {
		struct mt_kube_slice *s = x->m->slices.v[i];

		if (mt_tr_service_of(s))
			put(x, s->whole ? &x->endpoints : &x->slices, s->meta.ns,
				mt_tr_service_of(s), s);
	}
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static enum mt_workload_proxy proxy_of(const struct mt_kube_pod *p)
{
	const char *ambient = mt_labels_get(&p->meta.annotations, "ambient.istio.io/redirection");

	if (ambient && strcmp(ambient, "enabled") == 0)
		return MT_PROXY_AMBIENT;
	if (mt_labels_get(&p->meta.annotations, "sidecar.istio.io/status"))
		return MT_PROXY_SIDECAR;
	for (uint32_t i = 0; i < p->spec.n_containers; i++)
		if (p->spec.containers[i].name.s &&
			strcmp(p->spec.containers[i].name.s, "istio-proxy") == 0)
			return MT_PROXY_SIDECAR;
	for (uint32_t i = 0; i < p->spec.n_init_containers; i++)
		if (p->spec.init_containers[i].name.s &&
			strcmp(p->spec.init_containers[i].name.s, "istio-proxy") == 0)
			return MT_PROXY_SIDECAR;
	return MT_PROXY_NONE;
}

static void take_pod(struct translation *x, struct mt_workload *w, const struct mt_kube_pod *p)
{
	const char *where;

	w->pod = &p->meta;
	w->labels = p->meta.labels;
	w->service_account = p->spec.service_account;
	w->proxy = proxy_of(p);
	where = mt_labels_locality(&x->m->region, &p->meta.labels);
	w->locality.s = where ? where : w->locality.s;
	mt_tr_use(x, &p->meta);
}

static struct mt_kv *add_port(struct translation *x, struct mt_labels *to, const char *name)
{
	struct mt_kv *kv = mt_region_push(&x->m->region, (void **)&to->kv, &to->n_kv, sizeof(*kv));

	if (kv)
		kv->key = name;
	return kv;
}

static const char *name_of(const struct mt_text *t)
{
	return t->s ? t->s : "";
}

/*
 * Joins the ports of a Service and of a slice by name, for all endpoints of the slice. A single
 * port may be without a name on both sides.
 */
static struct mt_labels join_ports(struct translation *x, const struct mt_kube_service *svc,
	const struct mt_service_entry *se, const struct mt_kube_subset *sub)
{
	struct mt_labels ports = {0};
	struct mt_strmap numbers = {0};

	if (!mt_budget_has(&x->budget, (uint64_t)svc->n_ports + sub->n_ports))
		return ports;
	/* The first one of a name counts. */
	for (uint32_t k = sub->n_ports; k-- > 0;)
		if (sub->ports[k].number.set &&
			mt_strmap_put(&numbers, name_of(&sub->ports[k].name),
				(void *)&sub->ports[k], NULL))
			x->m->region.failed = true;
	for (uint32_t i = 0; i < svc->n_ports; i++) {
		const struct mt_kube_port *p =
			mt_strmap_get(&numbers, name_of(&svc->ports[i].name));
		struct mt_kv *kv = p ? add_port(x, &ports, se->ports[i].name.s) : NULL;

		if (kv)
			kv->value = mt_region_printf(&x->m->region, "%u", p->number.v);
	}
	mt_strmap_fini(&numbers);
	return ports;
}

static struct mt_workload *push(struct translation *x, struct mt_service_entry *se, uint64_t work)
{
	if (!mt_budget_has(&x->budget, 1 + work))
		return NULL;
	return mt_region_push(
		&x->m->region, (void **)&se->endpoints, &se->n_endpoints, sizeof(*se->endpoints));
}

static const struct mt_kube_pod *pod_of(struct translation *x, const struct mt_kube_slice *s,
	const struct mt_kube_endpoint *e, const char *ip)
{
	const struct mt_kube_target *target = &e->target;

	if (!target->kind.s || !target->name.s)
		return mt_tr_get(&x->addresses, s->meta.ns, ip);
	if (strcmp(target->kind.s, "Pod") != 0)
		return NULL;
	return mt_tr_get(&x->pods, target->ns.s ? target->ns.s : s->meta.ns, target->name.s);
}

/*
 * Returns the fitness of an endpoint, by the conditions in an EndpointSlice, or by the list of
 * Endpoints (ready or not) that contains it.
 */
static enum mt_fitness fitness_of(
	const struct mt_kube_service *svc, const struct mt_kube_endpoint *e, bool listed_ready)
{
	const struct mt_kube_conditions *c = &e->conditions;

	if (svc->publish_not_ready.v)
		return MT_FIT;
	if (c->terminating.v)
		return !c->serving.set || c->serving.v ? MT_TERMINATING : MT_UNFIT;
	return listed_ready && (!c->ready.set || c->ready.v) ? MT_FIT : MT_UNFIT;
}

/* Work to find what is written of a Pod: as much as its lists are longer than usual ones. */
static uint64_t work_of_pod(const struct mt_kube_pod *p)
{
	return ((uint64_t)p->spec.n_containers + p->spec.n_init_containers +
		       p->meta.annotations.n_kv + p->meta.labels.n_kv) /
	       64;
}

/* Endpoints of one subset of a slice, and the ports that all of them have. */
struct subset {
	struct mt_service_entry *se;
	const struct mt_kube_service *svc;
	const struct mt_kube_slice *s;
	struct mt_labels ports;
};

static void add_endpoint(struct translation *x, const struct subset *of,
	const struct mt_kube_endpoint *e, enum mt_fitness fitness)
{
	const struct mt_text *ip = e->ip.s ? &e->ip : e->n_addresses ? &e->addresses[0] : NULL;
	const struct mt_kube_pod *p;
	struct mt_addr addr;
	struct mt_workload *w;

	/* Skip host names: the API server accepts them only in slices of type FQDN. */
	if (fitness == MT_UNFIT || !ip || !ip->s || mt_addr_parse(ip->s, &addr))
		return;
	p = pod_of(x, of->s, e, ip->s);
	w = push(x, of->se, p ? work_of_pod(p) : 0);
	if (!w)
		return;
	*w = (struct mt_workload){.origin = e->origin,
		.address_text = *ip,
		.address = addr,
		.weight = {.v = 1},
		.fitness = fitness,
		.ports = of->ports,
		.own_ports = true,
		.by = &of->s->meta};
	if (e->zone.s && strnlen(e->zone.s, NAME_SIZE) < NAME_SIZE)
		w->locality.s = mt_region_printf(&x->m->region, "/%s", e->zone.s);
	if (p)
		take_pod(x, w, p);
	w->labels_unknown = !p;
}

static void add_slice(struct translation *x, struct mt_service_entry *se,
	const struct mt_kube_service *svc, const struct mt_kube_slice *s)
{
	for (uint32_t i = 0; i < s->n_subsets; i++) {
		const struct mt_kube_subset *sub = &s->subsets[i];
		const struct subset of = {se, svc, s, join_ports(x, svc, se, sub)};

		for (uint32_t k = 0; k < sub->n_ready; k++)
			add_endpoint(x, &of, &sub->ready[k], fitness_of(svc, &sub->ready[k], true));
		for (uint32_t k = 0; k < sub->n_not_ready; k++)
			add_endpoint(x, &of, &sub->not_ready[k],
				fitness_of(svc, &sub->not_ready[k], false));
	}
	mt_tr_use(x, &s->meta);
}

static void add_slices(
	struct translation *x, struct mt_service_entry *se, const struct mt_kube_service *svc)
{
	const struct mt_bag *slices = mt_tr_get(&x->slices, svc->meta.ns, svc->meta.name);
	const struct mt_bag *whole = mt_tr_get(&x->endpoints, svc->meta.ns, svc->meta.name);

	for (uint32_t i = 0; slices && i < slices->n; i++)
		add_slice(x, se, svc, slices->v[i]);
	for (uint32_t i = 0; !slices && whole && i < whole->n; i++)
		add_slice(x, se, svc, whole->v[i]);
	if (!slices || !whole)
		return;
	for (uint32_t i = 0; i < whole->n; i++)
		mt_tr_tell(
			x, MT_DIAG_SHADOWED, whole->v[i], NULL, "its Service has EndpointSlices");
	mt_tr_tell(x, MT_DIAG_NOTE, slices->v[0], NULL,
		"in place of the Endpoints of the same Service");
}

/*
 * Returns the workload's port number for a port of a Service. A named target port is looked up in
 * the workload; NULL: the workload has no port of this name. Otherwise the result is the workload's
 * port with the name of the Service's port, else the number of the target port, else `own`.
 */
static const char *target_of(
	const struct mt_kube_port *p, const struct mt_workload *w, const char *own)
{
	bool named = p->target.s && p->target.s[strspn(p->target.s, "0123456789")] != '\0';
	const char *name = named ? p->target.s : p->name.s;
	const char *by_name = name ? mt_labels_get(&w->ports, name) : NULL;

	if (by_name || named)
		return by_name;
	return p->target.s ? p->target.s : own;
}

static void add_workload(struct translation *x, struct mt_service_entry *se,
	const struct mt_kube_service *svc, const struct mt_workload_entry *we)
{
	struct mt_workload *w = push(x, se, (uint64_t)svc->n_ports * we->w.ports.n_kv / 64);

	if (!w)
		return;
	*w = we->w;
	w->by = &we->meta;
	w->ports = (struct mt_labels){0};
	w->own_ports = true;
	for (uint32_t k = 0; k < svc->n_ports; k++) {
		const char *number = target_of(&svc->ports[k], &we->w,
			mt_region_printf(&x->m->region, "%u", svc->ports[k].number.v));
		struct mt_kv *kv = number ? add_port(x, &w->ports, se->ports[k].name.s) : NULL;

		if (kv)
			kv->value = number;
	}
	mt_tr_use(x, &we->meta);
}

/* Adds WorkloadEntries that a Service selects, as istiod does. */
static void add_workloads(
	struct translation *x, struct mt_service_entry *se, const struct mt_kube_service *svc)
{
	const struct mt_bag *bag = mt_by_label_find(&x->entries, svc->meta.ns, &svc->selector);

	for (uint32_t i = 0; i < bag->n; i++) {
		const struct mt_workload_entry *we = bag->v[i];

		if (!mt_budget_has(&x->budget, mt_work_of_match(&svc->selector, &we->w.labels)))
			return;
		if (mt_labels_match(&svc->selector, &we->w.labels))
			add_workload(x, se, svc, we);
	}
}

/* ---- Service --------------------------------------------------------------------------------- */

static void add_address(struct translation *x, struct mt_service_entry *se, struct mt_strmap *seen,
	const struct mt_text *t)
{
	struct mt_text *slot;

	if (!t->s || strcmp(t->s, "None") == 0 || mt_strmap_get(seen, t->s))
		return;
	slot = mt_region_push(
		&x->m->region, (void **)&se->addresses, &se->n_addresses, sizeof(*slot));
	if (slot)
		*slot = *t;
	if (mt_strmap_put(seen, t->s, x, NULL))
		x->m->region.failed = true;
}

static void add_addresses(
	struct translation *x, struct mt_service_entry *se, const struct mt_kube_service *svc)
{
	struct mt_strmap seen = {0};

	add_address(x, se, &seen, &svc->cluster_ip);
	for (uint32_t i = 0; i < svc->n_cluster_ips; i++)
		add_address(x, se, &seen, &svc->cluster_ips[i]);
	mt_strmap_fini(&seen);
}

static bool translate_ports(
	struct translation *x, struct mt_service_entry *se, const struct mt_kube_service *svc)
{
	se->ports = mt_region_alloc(&x->m->region, sizeof(*se->ports) * svc->n_ports);
	if (!se->ports)
		return false;
	se->n_ports = svc->n_ports;
	for (uint32_t i = 0; i < svc->n_ports; i++) {
		const struct mt_kube_port *p = &svc->ports[i];

		se->ports[i] = (struct mt_se_port){.origin = p->origin,
			.number = p->number,
			.name = p->name,
			.protocol = p->protocol,
			.app_protocol = p->app_protocol};
		if (!p->name.s)
			se->ports[i].name = (struct mt_text){
				mt_region_printf(&x->m->region, "port-%u", p->number.v),
				p->origin.line};
	}
	return true;
}

/*
 * Warns of a Service with slices but no ready endpoint. A Service without slices gets no warning,
 * because the documents may lack what only the cluster has.
 */
static void tell_not_ready(struct translation *x, const struct mt_kube_service *svc)
{
	const struct mt_bag *slices = mt_tr_get(&x->slices, svc->meta.ns, svc->meta.name);
	const struct mt_bag *whole = mt_tr_get(&x->endpoints, svc->meta.ns, svc->meta.name);
	const struct mt_kube_slice *s = slices ? slices->v[0] : whole ? whole->v[0] : NULL;

	if (s)
		mt_diag_object(&x->t->translated, MT_DIAG_WARNING, &s->meta, s->meta.origin.line,
			s->whole ? "subsets" : "endpoints",
			"wait for its Pods, or correct their addresses and conditions",
			"no endpoint of %s/%s is ready: every call fails", svc->meta.ns,
			svc->meta.name);
}

/* Removes the names of ports that endpoints have, until none is left. */
static void find_ports(const struct mt_service_entry *se, struct mt_strmap *missing)
{
	const struct mt_kv *last = NULL;

	for (uint32_t i = 0; i < se->n_endpoints && missing->n; i++) {
		const struct mt_labels *ports = &se->endpoints[i].ports;

		/* Endpoints of one slice share their list. */
		for (uint32_t k = 0; ports->kv != last && k < ports->n_kv; k++)
			(void)mt_strmap_del(missing, ports->kv[k].key);
		last = ports->kv;
	}
}

/* Warns of ports that no endpoint has. */
static void tell_endpoints(
	struct translation *x, const struct mt_service_entry *se, const struct mt_kube_service *svc)
{
	struct mt_strmap missing = {0};
	char path[48];

	for (uint32_t i = 0; i < svc->n_ports; i++)
		if (mt_strmap_put(&missing, se->ports[i].name.s, x, NULL))
			x->m->region.failed = true;
	find_ports(se, &missing);
	for (uint32_t i = 0; i < svc->n_ports && missing.n; i++) {
		if (!mt_strmap_get(&missing, se->ports[i].name.s))
			continue;
		snprintf(path, sizeof(path), "spec.ports[%u].name", i);
		mt_diag_object(&x->t->translated, MT_DIAG_WARNING, &svc->meta,
			svc->ports[i].origin.line, path,
			"write the name that the port has in its EndpointSlices",
			"no endpoint has a port of this name: every call fails");
	}
	mt_strmap_fini(&missing);
}

static void add_service(struct translation *x, const struct mt_kube_service *svc)
{
	struct mt_service_entry *se = mt_region_alloc(&x->m->region, sizeof(*se));
	struct mt_text *host = mt_region_alloc(&x->m->region, sizeof(*host));

	if (!se || !host)
		return;
	host->s =
		mt_service_host(&x->m->region, svc->meta.name, svc->meta.ns, mt_model_domain(x->m));
	host->line = svc->meta.origin.line;
	*se = (struct mt_service_entry){.meta = svc->meta,
		.hosts = host,
		.n_hosts = 1,
		.location = {.v = MT_LOCATION_MESH_INTERNAL, .set = true},
		.resolution = {.v = MT_RESOLUTION_STATIC, .set = true},
		.export_to = svc->export_to,
		.kubernetes = true};
	add_addresses(x, se, svc);
	if (svc->cluster_ip.s && strcmp(svc->cluster_ip.s, "None") == 0)
		mt_tr_tell(x, MT_DIAG_NOTE, &svc->meta, "spec.clusterIP",
			"a headless Service is served at an address that is allocated; "
			"clients that resolve its name elsewhere go to the endpoints themselves");
	if (!translate_ports(x, se, svc))
		return;
	add_slices(x, se, svc);
	add_workloads(x, se, svc);
	if (se->n_endpoints)
		tell_endpoints(x, se, svc);
	else
		tell_not_ready(x, svc);
	mt_model_add(x->m, &x->m->service_entries, se);
}

/* Translates a Service within the share of its owner. */
static void translate(struct translation *x, const struct mt_kube_service *svc)
{
	if (!mt_budget_begin(&x->budget, &svc->meta))
		return;
	add_service(x, svc);
	if (!mt_budget_end(&x->budget))
		mt_diag_object(&x->t->translated, MT_DIAG_WARNING, &svc->meta,
			svc->meta.origin.line, NULL,
			"let fewer Services select the same endpoints, or give them fewer ports",
			"the endpoints of all Services of its namespace or source take too much "
			"memory or time: further ones are left out");
}

/* ---- Pods that ServiceEntries select --------------------------------------------------------- */

/* True if the Pod is ready, has an address and has not ended. */
static bool can_serve(const struct mt_kube_pod *p)
{
	struct mt_addr addr;

	return !mt_kube_pod_has_ended(p) && p->status.ip.s && p->status.ready &&
	       mt_addr_parse(p->status.ip.s, &addr) == 0;
}

static void add_pod(struct translation *x, const struct mt_kube_pod *p)
{
	struct mt_workload_entry *we;

	we = mt_region_alloc(&x->m->region, sizeof(*we));
	if (!we)
		return;
	we->meta = p->meta;
	we->w = (struct mt_workload){.origin = p->meta.origin,
		.address_text = p->status.ip,
		.weight = {.v = 1},
		.fitness = p->meta.ends ? MT_TERMINATING : MT_FIT,
		.by = &p->meta};
	(void)mt_addr_parse(p->status.ip.s, &we->w.address);
	take_pod(x, &we->w, p);
	mt_model_add(x->m, &x->m->workload_entries, we);
}

/* Warns of a ServiceEntry if its selector was not compared with all workloads. */
void mt_tr_end_selection(struct translation *x, const struct mt_service_entry *se)
{
	if (mt_budget_end(&x->budget))
		return;
	x->cut = true;
	mt_diag_object(&x->t->translated, MT_DIAG_WARNING, &se->meta, se->meta.origin.line, NULL,
		"select by a first label that fewer workloads have",
		"the selectors of its namespace or source take too much time: not all workloads "
		"are compared with it");
}

/* Adds the Pods of a ServiceEntry that are not there yet. */
static void add_pods_of(
	struct translation *x, const struct mt_service_entry *se, struct mt_idmap *done)
{
	const struct mt_labels *want = &se->selector->labels;
	const struct mt_bag *bag = mt_by_label_find(&x->by_pod_label, se->meta.ns, want);

	for (uint32_t k = 0; k < bag->n; k++) {
		const struct mt_kube_pod *p = bag->v[k];

		if (!mt_budget_has(&x->budget, mt_work_of_match(want, &p->meta.labels)))
			return;
		if (mt_idmap_get(done, p->meta.serial) || !mt_labels_match(want, &p->meta.labels))
			continue;
		if (mt_idmap_put(done, p->meta.serial, x))
			x->m->region.failed = true;
		add_pod(x, p);
	}
}

/* Adds each selected Pod once, even if several ServiceEntries select it. */
static void add_pods(struct translation *x)
{
	struct mt_idmap done = {0};

	for (uint32_t i = 0; i < x->m->pods.n; i++) {
		struct mt_kube_pod *p = x->m->pods.v[i];

		if (can_serve(p))
			mt_by_label_add(&x->by_pod_label, p->meta.ns, &p->meta.labels, p);
	}
	for (uint32_t i = 0; i < x->m->service_entries.n; i++) {
		const struct mt_service_entry *se = x->m->service_entries.v[i];

		if (!se->selector || !mt_budget_begin(&x->budget, &se->meta))
			continue;
		add_pods_of(x, se, &done);
		mt_tr_end_selection(x, se);
	}
	mt_idmap_fini(&done);
}

/* ---- all objects ----------------------------------------------------------------------------- */

void mt_table_translate(struct mt_object_table *t, struct mt_model *m)
{
	struct translation x = {
		.t = t, .m = m, .budget = {.t = t, .region = &m->region, .most = most()}};

	mt_diags_fini(&t->translated);
	mt_diags_init(&t->translated);
	index_all(&x);
	for (uint32_t i = 0; i < m->services.n; i++) {
		const struct mt_kube_service *svc = m->services.v[i];

		if (svc->type.v == MT_KUBE_EXTERNAL_NAME && !svc->external_name.s)
			mt_tr_tell(&x, MT_DIAG_WARNING, &svc->meta, "spec.externalName",
				"ExternalName without this name: it is an alias of nothing, and "
				"not served");
		else if (svc->type.v == MT_KUBE_EXTERNAL_NAME)
			mt_tr_tell(&x, MT_DIAG_NOTE, &svc->meta, "spec.type",
				"an alias: clients that resolve it elsewhere find its name; "
				"nothing is served for it");
		else
			translate(&x, svc);
	}
	add_pods(&x);
	mt_tr_use_selected(&x);
	mt_tr_tell_unused(&x);
	mt_strmap_fini(&x.slices);
	mt_strmap_fini(&x.endpoints);
	mt_strmap_fini(&x.pods);
	mt_strmap_fini(&x.addresses);
	mt_budget_fini(&x.budget);
	mt_idmap_fini(&x.used);
	mt_by_label_fini(&x.entries);
	mt_by_label_fini(&x.by_pod_label);
}
