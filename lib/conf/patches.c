/* SPDX-License-Identifier: Apache-2.0 */
/* EnvoyFilter: a MetaProtocolProxy in place of the TCP proxy of one listener. */
#include "mt_conf_service_priv.h"
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- hosts with terminated ports ------------------------------------------------------------- */

/* A host at an address, and the next one there in the order of hosts. */
struct host_at {
	const struct mt_host *h;
	struct host_at *next, *last; /* last: of the list, in its first element */
};

struct served {
	struct mt_idmap by_addr;     /* struct host_at, by mt_id_of_addr() */
	struct mt_strmap namespaces; /* in which some are */
};

static void add_at(struct mt_build *b, struct mt_idmap *hosts, uint64_t id, const struct mt_host *h)
{
	struct host_at *first = mt_idmap_get(hosts, id);
	struct host_at *at = mt_region_alloc(&b->tmp, sizeof(*at));

	if (!at)
		return;
	*at = (struct host_at){.h = h};
	if (!first && mt_idmap_put(hosts, id, at))
		b->tmp.failed = true;
	first = first ? first : at;
	if (first->last)
		first->last->next = at;
	first->last = at;
}

static void index_hosts(struct mt_build *b, struct served *served)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		if (!h->units)
			continue;
		if (mt_strmap_put(&served->namespaces, h->se->meta.ns, b, NULL))
			b->tmp.failed = true;
		for (uint32_t k = 0; k < h->n_addrs; k++)
			add_at(b, &served->by_addr, mt_id_of_addr(&h->addrs[k]), h);
	}
}

static bool has_address(const struct mt_host *h, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < h->n_addrs; i++)
		if (mt_addr_eq(&h->addrs[i], a))
			return true;
	return false;
}

/* ---- patches --------------------------------------------------------------------------------- */

bool mt_b_proxy_reads(struct mt_build *b, const struct mt_proxy_patch *p, struct mt_proto *out)
{
	const struct mt_proto *proto = p->protocol.s ? mt_b_protocol(b, p->protocol.s) : NULL;

	*out = proto ? *proto : (struct mt_proto){.name = p->protocol.s};
	if (p->codec.s)
		out->codec = mt_codec_registry_find(b->codecs, p->codec.s);
	if (p->multiplexing.set)
		out->opts = p->multiplexing.v ? MT_CODEC_OPT_MULTIPLEXING : 0;
	if (out->codec && !out->name)
		out->name = out->codec->name;
	return out->codec && !out->codec->opaque;
}

bool mt_b_proxy_codec(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_proxy_patch *p, const char *path, struct mt_proto *out)
{
	if (mt_b_proxy_reads(b, p, out))
		return true;
	if (p->codec.s)
		mt_b_error(b, meta, p->codec.line, path, mt_b_codec_remedy(b, p->codec.s),
			"unknown codec \"%.96s\"", p->codec.s);
	else if (p->protocol.s)
		mt_b_error(b, meta, p->protocol.line, path, mt_b_protocol_remedy(b, p->protocol.s),
			"unknown protocol \"%.96s\"", p->protocol.s);
	else
		mt_b_error(b, meta, p->origin.line, path, "add applicationProtocol and codec",
			"the patch names no codec");
	return false;
}

/*
 * True if the EnvoyFilter is for the host's clients: one of the root namespace is for all, any
 * other for clients of its namespace.
 */
static bool is_for_clients_of(
	const struct mt_build *b, const struct mt_meta *meta, const struct mt_host *h)
{
	return strcmp(meta->ns, mt_model_root(b->model)) == 0 ||
	       strcmp(meta->ns, mt_b_client_ns(b, h->se->meta.ns)) == 0;
}

/* What a patch found at its address and port. */
struct found {
	bool applied, hidden;	      /* hidden: a service whose clients are of other namespaces */
	const struct mt_meta *winner; /* has replaced the TCP proxy there; NULL: none */
};

static void apply_unit(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_proxy_patch *p, const struct mt_proto *proto, struct mt_unit *u)
{
	u->patch = p;
	u->patch_meta = meta;
	u->codec = proto->codec;
	u->opts = proto->opts;
	u->protocol = proto->name;
	u->web = MT_WEB_NOT;
	mt_diag_host(b->diags, meta, u->host);
}

static void apply_host(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_proxy_patch *p, const struct mt_proto *proto, const struct mt_host *h,
	struct found *found)
{
	for (struct mt_unit *u = h->units; u; u = u->next) {
		if (u->port->number.v != p->port.v)
			continue;
		if (!is_for_clients_of(b, meta, h)) {
			found->hidden = true;
		} else if (u->patch) {
			found->winner = u->patch_meta;
		} else {
			found->applied = true;
			apply_unit(b, meta, p, proto, u);
		}
	}
}

/*
 * Applies a patch before clusters are made, because hash keys are compiled for the codec that it
 * brings.
 */
static struct found apply(struct mt_build *b, const struct served *served,
	const struct mt_meta *meta, const struct mt_proxy_patch *p, const char *path)
{
	struct found found = {0};
	struct mt_proto proto;

	if (!mt_b_proxy_codec(b, meta, p, path, &proto)) {
		found.applied = true;
		return found;
	}
	if (mt_addr_is4(&p->addr) && mt_addr_v4(&p->addr) == 0) {
		mt_b_note(b, meta, p->listener.line, path, NULL,
			"accepted, not enforced: a gateway's port follows its Gateway "
			"and MetaRouter");
		found.applied = true;
		return found;
	}
	for (const struct host_at *at = mt_idmap_get(&served->by_addr, mt_id_of_addr(&p->addr)); at;
		at = at->next)
		if (has_address(at->h, &p->addr))
			apply_host(b, meta, p, &proto, at->h, &found);
	return found;
}

/* Why a patch changes nothing; *remedy: what to do. */
static const char *nothing_there(const struct found *f, const char **remedy)
{
	*remedy = f->hidden ? "put it into the root namespace, or that of the service's clients"
			    : "add its ServiceEntry";
	return f->hidden ? "it is for clients of its own namespace, and not for those of the "
			   "service at %.64s"
			 : "no service is at %.64s";
}

/*
 * Reports a patch whose TCP proxy an earlier one has replaced, so that it finds none, as in Istio.
 */
static void tell_taken(
	struct mt_build *b, const struct mt_envoy_filter *ef, const struct found *f, uint32_t j)
{
	const struct mt_proxy_patch *p = &ef->patches[j];
	const struct mt_meta *by = f->winner;
	char path[64];

	snprintf(path, sizeof(path), "spec.configPatches[%u]", j);
	if (ef->n_written == 1)
		mt_b_shadowed(b, &ef->meta, p->listener.line, NULL, NULL,
			"the proxy at %.64s is that of %s %s/%s", p->listener.s, by->kind, by->ns,
			by->name);
	else
		mt_b_warn(b, &ef->meta, p->listener.line, path, NULL,
			"not used: the proxy at %.64s is that of %s %s/%s", p->listener.s, by->kind,
			by->ns, by->name);
	if (by != &ef->meta)
		mt_b_warn(b, by, by->origin.line, NULL, NULL,
			"in place of %s %s/%s, which replaces the proxy at %.64s as well",
			ef->meta.kind, ef->meta.ns, ef->meta.name, p->listener.s);
}

/*
 * True if routes and limits of a filter that finds no service are probably missed: services are
 * here in its namespace, in any for one of the root namespace. Where the Node names the namespace
 * of its clients, a filter for those of another one is for other nodes.
 */
static bool is_lost(
	struct mt_build *b, const struct served *served, const struct mt_meta *meta, bool hidden)
{
	bool root = strcmp(meta->ns, mt_model_root(b->model)) == 0;

	if (hidden && b->model->mesh.ns)
		return false;
	return (root && served->namespaces.n) || mt_strmap_get(&served->namespaces, meta->ns) ||
	       mt_b_near_namespace(b, meta->ns) != NULL;
}

static void apply_all(
	struct mt_build *b, const struct served *served, const struct mt_envoy_filter *ef)
{
	uint32_t n = 0;
	struct found all = {0};
	const char *remedy, *why;

	for (uint32_t j = 0; j < ef->n_patches; j++) {
		const struct mt_proxy_patch *p = &ef->patches[j];
		char path[64];
		struct found f;

		snprintf(path, sizeof(path), "spec.configPatches[%u]", j);
		f = apply(b, served, &ef->meta, p, path);
		all.hidden |= f.hidden;
		n += f.applied || f.winner;
		why = nothing_there(&f, &remedy);
		if (!f.applied && f.winner)
			tell_taken(b, ef, &f, j);
		else if (!f.applied && ef->n_written > 1)
			(is_lost(b, served, &ef->meta, f.hidden) ? mt_b_warn : mt_b_note)(
				b, &ef->meta, p->listener.line, path, remedy, why, p->listener.s);
	}
	why = nothing_there(&all, &remedy);
	if (ef->n_patches && !n && ef->n_patches == ef->n_written)
		(is_lost(b, served, &ef->meta, all.hidden) ? mt_b_unused : mt_b_inert)(b, &ef->meta,
			ef->patches[0].listener.line, NULL, remedy, why, ef->patches[0].listener.s);
}

static void apply_filter(
	struct mt_build *b, const struct served *served, const struct mt_envoy_filter *ef)
{
	if (ef->n_patches && ef->n_targets)
		mt_b_inert(b, &ef->meta, ef->targets[0].origin.line, "spec.targetRefs",
			"select workloads by labels",
			"its listeners are looked for at gateways and waypoints");
	else if (mt_b_selects_node(b, &ef->selector))
		apply_all(b, served, ef);
	else if (ef->n_patches)
		mt_b_not_node(b, &ef->meta, ef->meta.origin.line, "spec.workloadSelector",
			&ef->selector, "it is for workloads with other labels");
}

/*
 * Applies EnvoyFilters in Istio's order: the root namespace's first, then the others; the older one
 * first.
 */
void mt_b_patches(struct mt_build *b)
{
	struct served served = {0};

	if (b->model->envoy_filters.n)
		index_hosts(b, &served);
	for (int root = 1; root >= 0; root--)
		for (uint32_t i = 0; i < b->model->envoy_filters.n; i++) {
			const struct mt_envoy_filter *ef = b->model->envoy_filters.v[i];

			if ((strcmp(ef->meta.ns, mt_model_root(b->model)) == 0) == root)
				apply_filter(b, &served, ef);
		}
	mt_idmap_fini(&served.by_addr);
	mt_strmap_fini(&served.namespaces);
}
