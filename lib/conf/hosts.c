/* SPDX-License-Identifier: Apache-2.0 */
/* The instances of each service: its own endpoints, or the WorkloadEntries that its selector chooses. */
#include "mt_by_label.h"
#include "mt_conf_priv.h"
#include "mt_share.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Instances, and labels and names of ports that are compared for them. */
struct use {
	uint64_t instances, compared;
	bool cut;	      /* some services lack instances */
	bool ports_unchecked; /* names of ports were too many to compare all of them */
};

struct gathering {
	struct mt_build *b;
	struct mt_by_label by_label; /* struct mt_workload_entry */
	struct mt_strmap owners;     /* struct use, by namespace */
	struct mt_idmap looked_up; /* WorkloadEntries with names that a service by names selects */
	struct use used;
	const struct mt_service_entry *cut; /* the last one that was told of the limit */
};

/* ---- limits ---------------------------------------------------------------------------------- */

/*
 * Most instances of all services, four times as many as can be endpoints, and comparisons. Services
 * times WorkloadEntries, or names times addresses, would otherwise fill the memory of the build, so
 * that the load of everything fails. The last quarter is for namespaces that have less than one.
 */
uint32_t mt_conf_instances = 4 * MT_UPSTREAM_EPS_MAX;
uint64_t mt_conf_compared = 1u << 27;

static struct use *use_of(struct gathering *x, const char *ns)
{
	struct use *u = mt_strmap_get(&x->owners, ns);

	if (u)
		return u;
	u = mt_region_alloc(&x->b->tmp, sizeof(*u));
	if (!u || mt_strmap_put(&x->owners, ns, u, NULL)) {
		x->b->tmp.failed = true;
		return NULL;
	}
	return u;
}

/* Charges the use to a namespace. False: it would have too much. */
static bool take(struct gathering *x, struct use *own, uint32_t instances, uint64_t compared)
{
	if (mt_share_left(mt_conf_instances, x->used.instances, own->instances) < instances ||
		mt_share_left(mt_conf_compared, x->used.compared, own->compared) < compared)
		return false;
	x->used.instances += instances;
	x->used.compared += compared;
	own->instances += instances;
	own->compared += compared;
	return true;
}

/* Charges the use to the namespace of a service. False: it would have too much. */
static bool may_use(struct gathering *x, const struct mt_service_entry *se, uint32_t instances,
	uint64_t compared)
{
	struct use *own = use_of(x, se->meta.ns);

	if (!own)
		return false;
	if (take(x, own, instances, compared))
		return true;
	own->cut = true;
	if (x->cut != se)
		mt_b_warn(x->b, &se->meta, se->meta.origin.line, NULL,
			"let fewer services select the same workloads, or write fewer endpoints",
			"the endpoints of all services of namespace %.253s are too many: further "
			"ones are left out",
			se->meta.ns);
	x->cut = se;
	return false;
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* Whether it stands in that document, and is no WorkloadEntry's. */
static bool is_inline(const struct mt_service_entry *se, const struct mt_workload *w)
{
	return se->n_endpoints && w >= se->endpoints && w < se->endpoints + se->n_endpoints;
}

/* Every WorkloadEntry under each of its labels, so that a selector looks at few of them. */
static void index_labels(struct mt_build *b, struct mt_by_label *by_label)
{
	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		struct mt_workload_entry *we = b->model->workload_entries.v[i];

		mt_by_label_add(by_label, we->meta.ns, &we->w.labels, we);
	}
}

static void add_workload(struct mt_build *b, struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_workload **slot;

	if (!mt_b_has_address(w))
		return;
	slot = mt_region_push(&b->tmp, (void **)&h->workloads, &h->n_workloads, sizeof(*slot));
	if (slot)
		*slot = w;
}

/* ---- instances that have names --------------------------------------------------------------------- */

static bool by_names(const struct mt_service_entry *se)
{
	return se->resolution.v == MT_RESOLUTION_DNS ||
	       se->resolution.v == MT_RESOLUTION_DNS_ROUND_ROBIN;
}

/* One of the addresses that its name led to. Policies see whose copy it is. */
static void add_looked_up(struct mt_build *b, struct mt_host *h, const struct mt_service_entry *se,
	const struct mt_workload *w, const struct mt_addr *a)
{
	struct mt_workload *copy = mt_region_alloc(&b->tmp, sizeof(*copy));

	if (!copy)
		return;
	*copy = *w;
	copy->address = *a;
	copy->looked_up = true;
	if (!w->copy_of_inline && !w->copy_of_entry) {
		bool entry = !is_inline(se, w);

		copy->copy_of_inline = entry ? NULL : se;
		copy->copy_of_entry =
			entry ? mt_container_of(w, const struct mt_workload_entry, w) : NULL;
		copy->by = w->by ? w->by : entry ? &copy->copy_of_entry->meta : &se->meta;
	}
	add_workload(b, h, copy);
}

/* Where an instance's name is written. */
struct named {
	const struct mt_service_entry *se;
	const struct mt_workload *w;
	struct mt_name_state state;
	uint32_t n_used;
	uint32_t n_lost[2]; /* addresses that the node does not reach: IPv6, IPv4 */
};

static const struct mt_meta *meta_of_name(const struct named *x)
{
	return x->w->by ? x->w->by : &x->se->meta;
}

/* Reports names that do not resolve; they are looked up again all the time. */
static void tell_failure(struct mt_build *b, const struct named *x)
{
	static const char remedy[] = "is its name right, and does a server of the machine's "
				     "resolv.conf know it?";
	const char *name = x->w->address_text.s, *why = x->state.why;
	time_t at = (time_t)x->state.failed_at;
	char since[32];
	struct tm tm;

	if (!x->state.answered || !*why)
		return;
	if (!x->state.n) {
		mt_b_warn(b, meta_of_name(x), x->w->address_text.line, NULL, remedy,
			"\"%.128s\" cannot be looked up: %s", name, why);
		return;
	}
	if (!at || !gmtime_r(&at, &tm) ||
		!strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S UTC", &tm))
		return;
	mt_b_warn(b, meta_of_name(x), x->w->address_text.line, NULL, remedy,
		"\"%.128s\" has not resolved since %s (%s): its last addresses are used", name,
		since, why);
}

static void tell_unused(struct mt_build *b, const struct named *x)
{
	uint32_t lost = x->n_lost[0] + x->n_lost[1];
	const char *name = x->w->address_text.s;

	if (x->state.more)
		mt_b_note(b, meta_of_name(x), x->w->address_text.line, NULL, NULL,
			"\"%.128s\" has %u addresses, more than are used: %u of a family, in order",
			name, x->state.n + x->state.more, MT_NAME_FAMILY);
	if (!lost)
		return;
	(x->n_used ? mt_b_note : mt_b_warn)(b, meta_of_name(x), x->w->address_text.line, NULL,
		"write a route to them in the Node's spec.routes, if they are to be used and are "
		"of no service here",
		"\"%.128s\": %u of its %u addresses are not used, because no port and no route "
		"leads to them (%u IPv4, %u IPv6)",
		name, lost, x->state.n, x->n_lost[1], x->n_lost[0]);
}

/* Adds the instances that a name leads to, without addresses that the node does not reach. */
static void add_named(struct gathering *g, struct mt_host *h, const struct mt_service_entry *se,
	const struct mt_workload *w)
{
	struct mt_build *b = g->b;
	const struct mt_model_names *names = &b->model->names;
	struct named x = {.se = se, .w = w};

	if (!names->find || !by_names(se))
		return;
	names->find(names->arg, w->address_text.s, &x.state);
	if (!may_use(g, se, 0, 1 + x.state.n))
		return;
	for (uint32_t i = 0; i < x.state.n; i++) {
		const struct mt_addr *a = &x.state.addrs[i];

		if (!mt_b_reaches(b, a)) {
			x.n_lost[mt_addr_is4(a)]++;
			continue;
		}
		/* By DNS_ROUND_ROBIN a name is one instance, at the first address of these. */
		if (x.n_used++ && se->resolution.v == MT_RESOLUTION_DNS_ROUND_ROBIN)
			continue;
		if (!may_use(g, se, 1, 0))
			break;
		add_looked_up(b, h, se, w, a);
	}
	if (x.n_used && mt_idmap_put(&b->resolved, (uintptr_t)w, h))
		b->tmp.failed = true;
	tell_failure(b, &x);
	tell_unused(b, &x);
}

static void add_instance(struct gathering *g, struct mt_host *h, const struct mt_service_entry *se,
	const struct mt_workload *w)
{
	if (!mt_b_has_address(w))
		add_named(g, h, se, w);
	else if (may_use(g, se, 1, 0))
		add_workload(g->b, h, w);
}

/* Without a word about instances the host's own names lead to them, as everywhere in the field. */
static void add_hosts_themselves(
	struct gathering *g, struct mt_host *h, const struct mt_service_entry *se)
{
	for (uint32_t i = 0; i < se->n_hosts; i++) {
		struct mt_workload *w = mt_region_alloc(&g->b->tmp, sizeof(*w));

		if (!w)
			return;
		if (se->hosts[i].s[0] == '*')
			continue;
		w->origin = se->meta.origin;
		w->address_text = se->hosts[i];
		w->weight = (struct mt_num){.v = 1};
		w->copy_of_inline = se;
		w->by = &se->meta;
		add_instance(g, h, se, w);
	}
}

static void note_looked_up(
	struct gathering *g, const struct mt_service_entry *se, const struct mt_workload_entry *we)
{
	if (by_names(se) && !mt_b_has_address(&we->w) &&
		mt_idmap_put(&g->looked_up, (uintptr_t)we, g->b))
		g->b->tmp.failed = true;
}

/* Pairs of labels that are compared for one unit of work. */
#define USUAL_LABELS 64

static void select_workloads(struct gathering *g, struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;
	const struct mt_labels *want = &se->selector->labels;
	const struct mt_labels first = {want->kv, MT_MIN(want->n_kv, 1u)};
	const struct mt_bag *bag = mt_by_label_find(&g->by_label, se->meta.ns, &first);

	for (uint32_t i = 0; i < bag->n; i++) {
		const struct mt_workload_entry *we = bag->v[i];
		const struct mt_labels *have = &we->w.labels;

		if (!may_use(g, se, 0, 1 + (uint64_t)want->n_kv * have->n_kv / USUAL_LABELS))
			return;
		if (!mt_labels_match(want, have))
			continue;
		note_looked_up(g, se, we);
		add_instance(g, h, se, &we->w);
	}
}

char *mt_b_endpoint_path(uint32_t i, const char *field, char path[MT_CONF_PATH])
{
	if (i == MT_NO_ENDPOINT)
		snprintf(path, MT_CONF_PATH, "spec.%.200s", field);
	else
		snprintf(path, MT_CONF_PATH, "spec.endpoints[%u].%.200s", i, field);
	return path;
}

bool mt_b_has_address(const struct mt_workload *w)
{
	struct mt_addr a;

	return !mt_addr_is_zero(&w->address) || mt_addr_parse(w->address_text.s, &a) == 0;
}

/* `named`: some service that has it looks its name up. */
static void check_address(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_workload *w, uint32_t i, bool named)
{
	char path[MT_CONF_PATH];

	if (!mt_b_has_address(w) && !named)
		mt_b_warn(b, meta, w->address_text.line, mt_b_endpoint_path(i, "address", path),
			"write its IP address, or resolution: DNS in the ServiceEntry",
			"not used: \"%.128s\" is not an address", w->address_text.s);
}

/* Names of a service's ports, as many endpoints may have many. Zero-filled is valid. */
struct port_names {
	const struct mt_service_entry *of; /* NULL: none yet */
	struct mt_strmap map;
};

static void index_ports(struct mt_build *b, struct port_names *x, const struct mt_service_entry *se)
{
	mt_strmap_fini(&x->map);
	x->of = se;
	for (uint32_t k = 0; k < se->n_ports; k++)
		if (mt_strmap_put(&x->map, se->ports[k].name.s, b, NULL))
			b->tmp.failed = true;
}

/* Call it for one service after the other, because it keeps the names of one. */
static bool has_port(struct mt_build *b, struct port_names *x, const struct mt_service_entry *se,
	const char *name)
{
	if (x->of != se)
		index_ports(b, x, se);
	return mt_strmap_get(&x->map, name) != NULL;
}

/* Most names of ports that are compared with mistyped ones. */
#define SUGGESTED_MOST (1u << 18)

/* Which name was meant: the most similar one, or the only one. */
static const char *port_remedy(
	struct mt_build *b, const struct mt_service_entry *se, const char *name)
{
	struct mt_suggest near = {.word = name};

	for (uint32_t k = 0; k < se->n_ports && b->n_ports_looked < SUGGESTED_MOST; k++) {
		b->n_ports_looked++;
		mt_suggest_offer(&near, se->ports[k].name.s);
	}
	if (!near.best && se->n_ports == 1 && b->n_ports_looked < SUGGESTED_MOST)
		near.best = se->ports[0].name.s;
	return near.best ? mt_region_printf(&b->tmp, "did you mean %.64s?", near.best)
			 : "write a name of the ServiceEntry's ports";
}

/* A port's name that the service does not have would be left out in silence. */
static void check_ports(
	struct mt_build *b, struct port_names *names, const struct mt_service_entry *se, uint32_t j)
{
	const struct mt_workload *w = &se->endpoints[j];

	for (uint32_t i = 0; i < w->ports.n_kv && !w->own_ports; i++) {
		const struct mt_kv *kv = &w->ports.kv[i];
		char path[MT_CONF_PATH], field[128];

		if (has_port(b, names, se, kv->key))
			continue;
		snprintf(field, sizeof(field), "ports.%.96s", kv->key);
		mt_b_error(b, &se->meta, kv->origin.line, mt_b_endpoint_path(j, field, path),
			port_remedy(b, se, kv->key), "the service has no port \"%.64s\"", kv->key);
	}
}

/* A port of a WorkloadEntry. */
struct seen_port {
	const struct mt_service_entry *by; /* the last service that selects it */
	const struct mt_workload *of;
	const struct mt_kv *port;
	bool known; /* some service that selects it has a port of this name */
};

/*
 * Ports of WorkloadEntries, each once however many services select it: services times workloads
 * times ports would fill the memory of the build.
 */
struct seen_ports {
	struct mt_idmap by_place; /* struct seen_port, by address of the struct mt_kv */
	struct seen_port **list;
	uint32_t n;
	struct port_names names;
};

/* Its own document's, or that of the service which has it inline. */
static const struct mt_meta *meta_of(const struct seen_port *p)
{
	if (p->of->by)
		return p->of->by;
	return is_inline(p->by, p->of)
		       ? &p->by->meta
		       : &mt_container_of(p->of, const struct mt_workload_entry, w)->meta;
}

/* Adds the port if it is new; NULL: no memory. */
static struct seen_port *seen_port(
	struct mt_build *b, struct seen_ports *seen, const struct mt_kv *kv)
{
	struct seen_port *p = mt_idmap_get(&seen->by_place, (uintptr_t)kv), **slot;

	if (p)
		return p;
	p = mt_region_alloc(&b->tmp, sizeof(*p));
	slot = p ? mt_region_push(&b->tmp, (void **)&seen->list, &seen->n, sizeof(*slot)) : NULL;
	if (!slot)
		return NULL;
	*slot = p;
	if (mt_idmap_put(&seen->by_place, (uintptr_t)kv, p))
		b->tmp.failed = true;
	return p;
}

static void see_ports(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_workload *w, struct seen_ports *seen)
{
	for (uint32_t i = 0; i < w->ports.n_kv; i++) {
		const struct mt_kv *kv = &w->ports.kv[i];
		struct seen_port *p = seen_port(b, seen, kv);

		if (!p)
			return;
		if (!p->known)
			*p = (struct seen_port){se, w, kv, has_port(b, &seen->names, se, kv->key)};
	}
}

/* Compares the ports of all instances that the service selects with its own, within a share. */
static void see_all_ports(struct gathering *g, const struct mt_host *h, struct seen_ports *seen)
{
	struct use *own = use_of(g, h->se->meta.ns);

	for (uint32_t j = 0; own && !own->ports_unchecked && j < h->n_workloads; j++) {
		const struct mt_workload *w = h->workloads[j];

		if (w->own_ports)
			continue;
		if (take(g, own, 0, w->ports.n_kv)) {
			see_ports(g->b, h->se, w, seen);
			continue;
		}
		own->ports_unchecked = true;
		mt_b_note(g->b, &h->se->meta, h->se->meta.origin.line, NULL,
			"let fewer services select the same workloads, or write fewer ports",
			"the ports of WorkloadEntries of namespace %.253s are too many for all of "
			"their names to be checked",
			h->se->meta.ns);
	}
}

static void warn_port(struct gathering *g, const struct seen_port *p)
{
	const struct mt_meta *meta = meta_of(p);
	const struct use *own = use_of(g, meta->ns);
	char path[128];

	if (p->known || !own || own->ports_unchecked)
		return;
	snprintf(path, sizeof(path), "spec.ports.%.96s", p->port->key);
	mt_b_warn(g->b, meta, p->port->origin.line, path, port_remedy(g->b, p->by, p->port->key),
		"no service that selects it has a port \"%.64s\"", p->port->key);
}

/* One machine may be an instance of several services, so a name must be known to one of them only. */
static void warn_ports(struct gathering *g)
{
	const struct mt_build *b = g->b;
	struct seen_ports seen = {0};

	for (uint32_t i = 0; i < b->n_hosts; i++)
		if (b->host_list[i].se->selector)
			see_all_ports(g, &b->host_list[i], &seen);
	for (uint32_t i = 0; i < seen.n; i++)
		warn_port(g, seen.list[i]);
	mt_idmap_fini(&seen.by_place);
	mt_strmap_fini(&seen.names.map);
}

static void check_endpoints(struct mt_build *b)
{
	struct port_names names = {0};

	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_service_entry *se = b->host_list[i].se;

		for (uint32_t j = 0; j < se->n_endpoints; j++) {
			check_address(b, &se->meta, &se->endpoints[j], j, by_names(se));
			check_ports(b, &names, se, j);
		}
	}
	mt_strmap_fini(&names.map);
}

/* True if a service by names selects it, or may do so, because not all of them were compared. */
static bool is_looked_up(const struct gathering *g, const struct mt_workload_entry *we)
{
	const struct use *own = mt_strmap_get(&g->owners, we->meta.ns);

	return mt_idmap_get(&g->looked_up, (uintptr_t)we) || (own && own->cut);
}

/* Call after all services have selected their WorkloadEntries. */
static void check_entries(const struct gathering *g)
{
	struct mt_build *b = g->b;

	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		const struct mt_workload_entry *we = b->model->workload_entries.v[i];

		check_address(b, &we->meta, &we->w, MT_NO_ENDPOINT, is_looked_up(g, we));
	}
}

/* Its port's number, as its own service says it. */
static const char *number_of(
	struct mt_build *b, const struct mt_workload *w, const struct mt_se_port *p)
{
	const char *own = mt_labels_get(&w->ports, p->name.s);

	return own ? own
		   : mt_region_printf(
			     &b->tmp, "%u", p->target_port.set ? p->target_port.v : p->number.v);
}

/* An instance of another one that has the host: it has the ports that it has there, by their names. */
static const struct mt_workload *as_there(
	struct mt_build *b, const struct mt_service_entry *se, const struct mt_workload *w)
{
	struct mt_workload *copy = mt_region_alloc(&b->tmp, sizeof(*copy));
	struct mt_kv *kv = mt_region_alloc(&b->tmp, sizeof(*kv) * se->n_ports);

	if (!copy || !kv)
		return w;
	*copy = *w;
	copy->ports = (struct mt_labels){kv, se->n_ports};
	copy->own_ports = true;
	copy->by = w->by ? w->by : &se->meta;
	if (is_inline(se, w))
		copy->copy_of_inline = se;
	else if (!w->copy_of_inline && !w->copy_of_entry)
		copy->copy_of_entry = mt_container_of(w, const struct mt_workload_entry, w);
	for (uint32_t i = 0; i < se->n_ports; i++)
		kv[i] = (struct mt_kv){.key = se->ports[i].name.s,
			.value = number_of(b, w, &se->ports[i]),
			.origin = se->ports[i].origin};
	return copy;
}

static void own_instances(struct gathering *g, struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;

	for (uint32_t j = 0; j < se->n_endpoints; j++)
		add_instance(g, h, se, &se->endpoints[j]);
	if (se->selector)
		select_workloads(g, h);
	if (by_names(se) && !se->n_endpoints && !se->selector)
		add_hosts_themselves(g, h, se);
}

/* Copies of ports that take the memory of an instance. */
#define PORTS_OF_ONE 8

static void join(struct gathering *g, struct mt_host *h)
{
	for (uint32_t i = 0; i < h->n_joined; i++) {
		const struct mt_service_entry *se = h->joined[i];
		struct mt_host other = {.se = se};

		own_instances(g, &other);
		for (uint32_t j = 0; j < other.n_workloads; j++) {
			if (!may_use(g, se, se->n_ports / PORTS_OF_ONE, 0))
				break;
			add_workload(g->b, h, as_there(g->b, se, other.workloads[j]));
		}
	}
}

void mt_b_hosts(struct mt_build *b)
{
	struct gathering g = {.b = b, .by_label = {.region = &b->tmp}};

	check_endpoints(b);
	index_labels(b, &g.by_label);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		own_instances(&g, h);
		join(&g, h);
	}
	check_entries(&g);
	warn_ports(&g);
	mt_idmap_fini(&g.looked_up);
	mt_by_label_fini(&g.by_label);
	mt_strmap_fini(&g.owners);
}
