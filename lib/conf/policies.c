/* SPDX-License-Identifier: Apache-2.0 */
/* Which policies select which instances: by namespace, labels and targets. */
#include "mt_conf_unmatched_priv.h"

#include "mt_share.h"

#include <string.h>

/* istio.io/latest/docs/reference/config/istio.mesh.v1alpha1: rootNamespace's default */
const char *mt_b_root_namespace(const struct mt_build *b)
{
	return mt_model_root(b->model);
}

/* ---- instances ------------------------------------------------------------------------------------- */

/* Who has it inline; NULL: it is a WorkloadEntry's. */
static const struct mt_service_entry *holder_of(
	const struct mt_host *h, const struct mt_workload *w)
{
	if (h->se->n_endpoints && w >= h->se->endpoints &&
		w < h->se->endpoints + h->se->n_endpoints)
		return h->se;
	return w->copy_of_inline;
}

static const struct mt_workload_entry *entry_of(const struct mt_workload *w)
{
	return w->copy_of_entry ? w->copy_of_entry
				: mt_container_of(w, const struct mt_workload_entry, w);
}

const struct mt_meta *mt_instance_meta(const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_service_entry *holder = holder_of(h, w);

	return holder ? &holder->meta : &entry_of(w)->meta;
}

/*
 * As istiod takes it: a label says whether a proxy ends TLS there; without one its Pod shows it, and where there is none an
 * account says so.
 */
enum mt_instance_class mt_instance_class(const struct mt_host *h, const struct mt_workload *w)
{
	const char *mode = mt_labels_get(&w->labels, "security.istio.io/tlsMode");
	const struct mt_service_entry *holder = holder_of(h, w);

	if (holder && holder->location.v == MT_LOCATION_MESH_EXTERNAL)
		return MT_INSTANCE_OUTSIDE;
	if (mode)
		return strcmp(mode, "istio") == 0 ? MT_INSTANCE_MESHED : MT_INSTANCE_BARE;
	if (w->proxy != MT_PROXY_NOT_SAID)
		return w->proxy == MT_PROXY_NONE ? MT_INSTANCE_BARE : MT_INSTANCE_MESHED;
	if (w->service_account.s && (!holder || holder->resolution.v == MT_RESOLUTION_STATIC))
		return MT_INSTANCE_MESHED;
	return MT_INSTANCE_BARE;
}

/* ---- what a policy selects ------------------------------------------------------------------------- */

bool mt_policy_has_targets(const struct mt_policy *p)
{
	return p->scope->target || p->scope->n_targets;
}

bool mt_policy_is_dubbo(const struct mt_policy *p)
{
	return p->kind == MT_POLICY_OF_AUTHORIZATION && p->of.authorization->dubbo;
}

bool mt_policy_is_real(const struct mt_policy *p)
{
	const char *dry;

	if (p->kind != MT_POLICY_OF_AUTHORIZATION)
		return true;
	dry = mt_labels_get(&p->meta->annotations, "istio.io/dry-run");
	return p->of.authorization->action.v != MT_POLICY_AUDIT &&
	       !(dry && strcmp(dry, "true") == 0);
}

/* A Service of Kubernetes is of the core group, which is written as none. */
static bool is_group_of(const char *group, const struct mt_service_entry *se)
{
	if (strcmp(se->meta.kind, "Service") == 0)
		return !group || !*group || strcmp(group, "core") == 0;
	return group && strcmp(group, "networking.istio.io") == 0;
}

static bool names_host(
	const struct mt_policy_target *t, const struct mt_policy *p, const struct mt_host *h)
{
	return strcmp(t->kind.s, h->se->meta.kind) == 0 && is_group_of(t->group.s, h->se) &&
	       strcmp(t->name.s, h->se->meta.name) == 0 && strcmp(p->meta->ns, h->se->meta.ns) == 0;
}

static bool targets_host(const struct mt_policy *p, const struct mt_host *h)
{
	if (p->scope->target && names_host(p->scope->target, p, h))
		return true;
	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		if (names_host(&p->scope->targets[i], p, h))
			return true;
	return false;
}

const struct mt_labels *mt_policy_selector(const struct mt_policy *p)
{
	return p->scope->selector && p->scope->selector->labels.n_kv ? &p->scope->selector->labels
								     : NULL;
}

bool mt_policy_is_ours(const struct mt_policy *p, enum mt_instance_class class)
{
	static const uint8_t of[] = {[MT_INSTANCE_OUTSIDE] = MT_CLOSING_OUTSIDE,
		[MT_INSTANCE_MESHED] = MT_CLOSING_MESHED,
		[MT_INSTANCE_BARE] = MT_CLOSING_BARE};

	if (p->kind == MT_POLICY_OF_CLOSING)
		return p->of.closing->of & of[class];
	return class == MT_INSTANCE_BARE ||
	       (class == MT_INSTANCE_OUTSIDE && mt_policy_has_targets(p));
}

/* Its namespace is right already. */
bool mt_policy_selects(
	const struct mt_policy *p, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_labels *want;

	if (mt_policy_has_targets(p))
		return targets_host(p, h);
	want = mt_policy_selector(p);
	return !want || mt_labels_match(want, &w->labels);
}

bool mt_policy_protects(const struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;

	if (p->kind == MT_POLICY_OF_PEERS) {
		bool strict = p->of.peers->mtls.mode.v == MT_MTLS_STRICT;

		for (uint32_t i = 0; i < p->of.peers->n_ports; i++)
			strict |= p->of.peers->ports[i].mtls.mode.v == MT_MTLS_STRICT;
		return strict;
	}
	if (p->kind != MT_POLICY_OF_AUTHORIZATION || !mt_policy_is_real(p))
		return p->kind == MT_POLICY_OF_CLOSING && !p->of.closing->harmless;
	if (a->action.v != MT_POLICY_ALLOW)
		return a->n_rules > 0;
	for (uint32_t i = 0; i < a->n_rules; i++)
		if (!a->rules[i].n_from && !a->rules[i].n_to && !a->rules[i].n_when)
			return false;
	return true;
}

/* A ServiceEntry that is not among the documents: a discovery service tells its hosts and not its name. */
static bool may_be_target(const struct mt_policy *p, const struct mt_host *h)
{
	bool any = p->scope->target && strcmp(p->scope->target->kind.s, "ServiceEntry") == 0;

	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		any |= strcmp(p->scope->targets[i].kind.s, "ServiceEntry") == 0;
	return any && !p->of_documents && !*h->se->meta.name &&
	       (h->se->meta.ns_unwritten || strcmp(p->meta->ns, h->se->meta.ns) == 0);
}

bool mt_policy_may_select(const struct mt_build *b, const struct mt_policy *p,
	const struct mt_host *h, const struct mt_workload *w)
{
	if (!w->labels_unknown)
		return false;
	if (mt_policy_has_targets(p))
		return may_be_target(p, h) && mt_policy_protects(p);
	if (!mt_policy_selector(p))
		return false;
	if (p->kind == MT_POLICY_OF_PEERS && !mt_policy_is_level(b, p, true))
		return false;
	return p->kind == MT_POLICY_OF_TOKENS || mt_policy_protects(p);
}

bool mt_policy_may_fit(const struct mt_build *b, const struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w)
{
	return mt_policy_selects(p, h, w) || mt_policy_may_select(b, p, h, w);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

/* True if a policy of this name was added before. */
static bool has_twin(struct mt_build *b, const struct mt_policy *p)
{
	uint64_t id = mt_id_of_name(p->meta) ^ (uint64_t)mt_policy_is_dubbo(p);

	id = id ? id : 1;
	if (mt_idmap_get(&b->policies->names, id))
		return true;
	if (mt_idmap_put(&b->policies->names, id, b))
		b->tmp.failed = true;
	return false;
}

static void add_policy(struct mt_build *b, const struct mt_policy *p)
{
	struct mt_policies *all = b->policies;
	struct mt_policy *to = &all->v[all->n++];

	*to = *p;
	mt_policy_measure(to, all->callers.n_domains);
	to->size.twins = p->kind == MT_POLICY_OF_AUTHORIZATION && has_twin(b, p);
}

static void add_all(struct mt_build *b)
{
	const struct mt_model *m = b->model;

	for (uint32_t i = 0; i < m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *a = m->authorization_policies.v[i];

		add_policy(b, &(struct mt_policy){.kind = MT_POLICY_OF_AUTHORIZATION,
				      .meta = &a->meta,
				      .scope = &a->scope,
				      .of.authorization = a});
	}
	for (uint32_t i = 0; i < m->peer_authentications.n; i++) {
		const struct mt_peer_authentication *a = m->peer_authentications.v[i];

		add_policy(b, &(struct mt_policy){.kind = MT_POLICY_OF_PEERS,
				      .meta = &a->meta,
				      .scope = &a->scope,
				      .of.peers = a});
	}
	for (uint32_t i = 0; i < m->request_authentications.n; i++) {
		const struct mt_request_authentication *a = m->request_authentications.v[i];

		add_policy(b, &(struct mt_policy){.kind = MT_POLICY_OF_TOKENS,
				      .meta = &a->meta,
				      .scope = &a->scope,
				      .of.tokens = a});
	}
	for (uint32_t i = 0; i < m->n_closings; i++)
		add_policy(b, &(struct mt_policy){.kind = MT_POLICY_OF_CLOSING,
				      .meta = &m->closings[i].about,
				      .scope = &m->closings[i].scope,
				      .of.closing = &m->closings[i]});
}

static void add_to(struct mt_build *b, struct mt_policy_list *list, struct mt_policy *p)
{
	struct mt_policy **slot =
		mt_region_push(&b->tmp, (void **)&list->v, &list->n, sizeof(*slot));

	if (slot)
		*slot = p;
}

static void index_by_ns(struct mt_build *b)
{
	struct mt_policies *all = b->policies;
	struct mt_policy_bag *bag;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < all->n; i++) {
		bag = mt_share_account(&all->by_ns, &b->tmp, all->v[i].meta->ns, sizeof(*bag));
		if (!bag)
			return;
		add_to(b, &bag->all, &all->v[i]);
		if (all->v[i].kind == MT_POLICY_OF_PEERS)
			add_to(b, &bag->peers, &all->v[i]);
	}
	while ((bag = mt_strmap_next(&all->by_ns, &pos, NULL)) != NULL) {
		mt_b_policy_index(b, &bag->all);
		mt_b_policy_index(b, &bag->peers);
	}
}

struct mt_policy_bag *mt_b_policies_of(const struct mt_build *b, const char *ns)
{
	return mt_strmap_get(&b->policies->by_ns, ns);
}

static void touch(struct mt_build *b, struct mt_policy *p, const struct mt_host *h)
{
	if (p->last_host == h)
		return;
	p->last_host = h;
	p->n_hosts++;
	mt_diag_host(b->diags, p->meta, h->se->hosts[0].s);
}

static void closes(struct mt_policy *p, const struct mt_host *h)
{
	if (p->kind != MT_POLICY_OF_CLOSING || p->of.closing->harmless || p->last_closed == h)
		return;
	p->last_closed = h;
	p->n_closed_hosts++;
}

static void selected(struct mt_build *b, struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w)
{
	enum mt_instance_class class = mt_instance_class(h, w);
	const struct mt_service_entry *holder = holder_of(h, w);

	p->selected[class] += b->policies->n_alike;
	if (class == MT_INSTANCE_OUTSIDE && !p->unplaced && !holder->location.set)
		p->unplaced = holder;
	mt_policy_note_ports(b, p, h, w);
	/* That it is about nobody it can do anything for is said of it as a whole. */
	if (class != MT_INSTANCE_OUTSIDE || mt_policy_is_ours(p, class))
		touch(b, p, h);
	if (mt_policy_is_ours(p, class))
		closes(p, h);
}

static void look_at_one(struct mt_build *b, struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w)
{
	bool unsure = mt_policy_may_select(b, p, h, w);

	if (!mt_policy_stands_before_any(p, h, w))
		return;
	p->n_unsure += unsure ? b->policies->n_alike : 0;
	p->n_unsure_told += unsure && b->policies->told ? b->policies->n_alike : 0;
	if (unsure || (p->kind != MT_POLICY_OF_PEERS && mt_policy_selects(p, h, w)))
		selected(b, p, h, w);
}

/* In its own namespace a policy of the root namespace is one of that. */
static void look_at(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	const char *ns = mt_instance_meta(h, w)->ns, *root = mt_b_root_namespace(b);
	struct mt_policy_bag *bags[] = {
		mt_b_policies_of(b, ns), strcmp(ns, root) == 0 ? NULL : mt_b_policies_of(b, root)};
	struct mt_policy *peers = mt_b_peer_policy(b, h, w), *whose = NULL;

	(void)mt_b_peer_mode(b, h, w, 0, &whose);
	if (peers)
		selected(b, peers, h, w);
	/* The innermost one leaves it to this one. */
	if (whose && whose != peers)
		selected(b, whose, h, w);
	for (size_t k = 0; k < MT_ARRAY_LEN(bags); k++) {
		const struct mt_policies_found may =
			mt_policy_find(bags[k] ? &bags[k]->all : NULL, h, w);

		for (uint32_t i = 0; i < may.n; i++)
			look_at_one(b, may.v[i], h, w);
	}
}

static bool has_nothing(const struct mt_policy *p)
{
	return !p->selected[MT_INSTANCE_OUTSIDE] && !p->selected[MT_INSTANCE_MESHED] &&
	       !p->selected[MT_INSTANCE_BARE];
}

static void look_at_port(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	struct mt_policy_walk walk = mt_b_policies_behind(b, h, u);

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;) {
		touch(b, p, h);
		closes(p, h);
	}
}

/* A service, with and without instances: the node stands where its clients' proxies do. */
void mt_b_policies_look_at_clients(struct mt_build *b, const struct mt_host *h)
{
	for (const struct mt_unit *u = h->units; u; u = u->next)
		look_at_port(b, h, u);
	for (const struct mt_unit *u = h->forwards; u; u = u->next)
		look_at_port(b, h, u);
}

/* A service without endpoints whose name is to be resolved: it is its own instance, without labels. */
static const struct mt_workload *by_name(struct mt_build *b, const struct mt_host *h)
{
	struct mt_workload *w;

	if (h->n_workloads || h->se->n_endpoints || h->se->selector ||
		h->se->resolution.v < MT_RESOLUTION_DNS)
		return NULL;
	w = mt_region_alloc(&b->tmp, sizeof(*w));
	if (w)
		w->copy_of_inline = h->se;
	return w;
}

/* Nobody asks for its guards as long as it has no address: what they would be is told of the policies. */
static void look_at_name(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	uint64_t ignored = 0;

	look_at(b, h, w);
	for (const struct mt_unit *u = h->units; u; u = u->next) {
		const struct mt_policed to = {h, w, u, mt_b_endpoint_port(u, w), false};

		(void)mt_b_guard(b, &to, &ignored);
	}
}

/* True if its name has no address that is used: none at all, or none that the node reaches. */
static bool is_unresolved(const struct mt_build *b, const struct mt_workload *w)
{
	return !mt_b_has_address(w) && !mt_idmap_get(&b->resolved, (uintptr_t)w);
}

static void look_at_names(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_workload *w = by_name(b, h);
	const struct mt_service_entry *se = h->se;

	if (w)
		look_at_name(b, h, w);
	for (uint32_t i = 0; se->resolution.v >= MT_RESOLUTION_DNS && i < se->n_endpoints; i++) {
		const struct mt_workload *of = &se->endpoints[i];

		if (is_unresolved(b, of))
			look_at_name(b, h, of);
	}
}

static void look_at_host(struct mt_build *b, const struct mt_host *h)
{
	if (h->over)
		return;
	look_at_names(b, h);
	for (uint32_t k = 0; k < h->n_workloads; k++)
		look_at(b, h, h->workloads[k]);
}

static void look_at_all(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		(void)mt_b_pay(b, &h->se->meta);
		if (b->work.full)
			break;
		if (mt_host_is_served(h))
			look_at_host(b, h);
		mt_b_policies_look_at_clients(b, h);
	}
	(void)mt_b_pay(b, NULL);
}

/* Those of a namespace that some instance may be of, as nobody has written which one that is of. */
static void find_drifting(struct mt_build *b)
{
	struct mt_policies *all = b->policies;

	for (uint32_t i = 0; i < all->n; i++) {
		struct mt_policy *p = &all->v[i];
		struct mt_policy **slot;

		if (!has_nothing(p) || p->n_hosts || p->gateway || p->winner || p->of_mesh ||
			!mt_policy_protects(p) || mt_policy_has_targets(p))
			continue;
		slot = mt_region_push(
			&b->tmp, (void **)&all->drifting, &all->n_drifting, sizeof(*slot));
		if (slot)
			*slot = p;
	}
}

static void look_at_drifting(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	if (!mt_instance_meta(h, w)->ns_unwritten || mt_instance_class(h, w) != MT_INSTANCE_BARE)
		return;
	for (uint32_t i = 0; i < b->policies->n_drifting; i++) {
		struct mt_policy *p = b->policies->drifting[i];

		if (mt_policy_may_fit(b, p, h, w) && mt_policy_stands_before_any(p, h, w)) {
			p->drifts = true;
			touch(b, p, h);
		}
	}
}

void mt_b_policies_look(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint32_t n)
{
	b->policies->n_alike = n;
	b->policies->told = true;
	look_at(b, h, w);
	look_at_drifting(b, h, w);
	b->policies->n_alike = 1;
	b->policies->told = false;
}

static void look_at_all_drifting(struct mt_build *b)
{
	for (uint32_t i = 0; b->policies->n_drifting && i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		for (uint32_t k = 0; mt_host_is_served(h) && k < h->n_workloads; k++)
			look_at_drifting(b, h, h->workloads[k]);
	}
}

void mt_b_policies_index(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	uint32_t n = m->authorization_policies.n + m->peer_authentications.n +
		     m->request_authentications.n + m->n_closings;
	struct mt_policies *all = n ? mt_region_alloc(&b->tmp, sizeof(*all)) : NULL;

	if (!all)
		return;
	all->v = mt_region_alloc(&b->tmp, sizeof(*all->v) * n);
	if (!all->v)
		return;
	b->policies = all;
	all->n_alike = 1;
	mt_b_policy_callers(b);
	add_all(b);
	index_by_ns(b);
	mt_b_policy_groups(b);
}

void mt_b_policies(struct mt_build *b)
{
	struct mt_policies *all = b->policies;

	if (!all)
		return;
	mt_b_policy_ports(b);
	look_at_all(b);
	for (uint32_t i = 0; i < all->n; i++)
		all->v[i].of_documents = !has_nothing(&all->v[i]);
	mt_b_policies_at_gateways(b);
	mt_b_policies_of_mesh(b);
	find_drifting(b);
	look_at_all_drifting(b);
}

void mt_b_policies_fini(struct mt_build *b)
{
	struct mt_policy_bag *bag;
	uint32_t pos = 0;

	if (!b->policies)
		return;
	while ((bag = mt_strmap_next(&b->policies->by_ns, &pos, NULL)) != NULL) {
		mt_policy_index_fini(&bag->all);
		mt_policy_index_fini(&bag->peers);
	}
	mt_idmap_fini(&b->policies->groups);
	mt_idmap_fini(&b->policies->names);
	for (uint32_t i = 0; i < b->policies->n; i++) {
		mt_idmap_fini(&b->policies->v[i].server_ports);
		mt_idmap_fini(&b->policies->v[i].service_ports);
	}
	mt_strmap_fini(&b->policies->by_ns);
	mt_strmap_fini(&b->policies->guards);
	mt_idmap_fini(&b->policies->listed);
	mt_idmap_fini(&b->policies->looked);
	mt_idmap_fini(&b->policies->warned);
	mt_idmap_fini(&b->policies->pairs);
	mt_strmap_fini(&b->policies->compiled);
	mt_strmap_fini(&b->policies->rules);
	mt_idmap_fini(&b->policies->touched);
}
