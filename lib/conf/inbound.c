/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits of EnvoyFilters for the inbound listener of a server's proxy, as Aeraki writes them.
 * For an endpoint without a proxy this node enforces them: its calls take tokens of the endpoint's
 * own bucket, whatever service they are for.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_service_priv.h"

#include "mt_filter_limit.h"
#include "mt_share.h"

#include <stdio.h>
#include <string.h>

/* A patch. `told`: a warning reports that it limits nothing; `bad`: it has an error. */
struct mt_inbound {
	const struct mt_envoy_filter *ef;
	const struct mt_proxy_patch *p;
	bool told, bad;
};

/* The patches of one namespace, in their order. */
struct inbounds {
	struct mt_inbound **v;
	uint32_t n;
};

static void add_all(struct mt_build *b, bool root)
{
	for (uint32_t i = 0; i < b->model->envoy_filters.n; i++) {
		const struct mt_envoy_filter *ef = b->model->envoy_filters.v[i];

		if ((strcmp(ef->meta.ns, mt_b_root_namespace(b)) == 0) != root || ef->n_targets)
			continue;
		for (uint32_t k = 0; k < ef->n_inbound; k++) {
			struct mt_inbound *to = mt_region_push(
				&b->tmp, (void **)&b->inbound, &b->n_inbound, sizeof(*to));

			if (to)
				*to = (struct mt_inbound){.ef = ef, .p = &ef->inbound[k]};
		}
	}
}

/*
 * Lists the patches in Istio's order, the root namespace's first. The first one replaces the TCP
 * proxy, so later ones find none and have no effect.
 */
void mt_b_inbound(struct mt_build *b)
{
	add_all(b, true);
	add_all(b, false);
	for (uint32_t i = 0; i < b->n_inbound; i++) {
		struct inbounds *own = mt_share_account(
			&b->inbound_by_ns, &b->tmp, b->inbound[i].ef->meta.ns, sizeof(*own));
		struct mt_inbound **slot =
			own ? mt_region_push(&b->tmp, (void **)&own->v, &own->n, sizeof(*slot))
			    : NULL;

		if (slot)
			*slot = &b->inbound[i];
	}
}

uint32_t mt_b_inbound_of(const struct mt_build *b, const char *ns)
{
	const struct inbounds *own = mt_strmap_get(&b->inbound_by_ns, ns);

	return own ? own->n : 0;
}

static bool is_about(const struct mt_inbound *in, const struct mt_policed *to)
{
	if (in->p->port.set && in->p->port.v != to->port && in->p->port.v != to->u->port->number.v)
		return false;
	return mt_labels_match(&in->ef->selector, &to->w->labels);
}

/* True if the patch and the port have the same codec; with another one it would limit no calls. */
static bool reads_the_same(struct mt_build *b, struct mt_inbound *in, const struct mt_policed *to)
{
	struct mt_proto proto;

	in->bad =
		in->bad || !mt_b_proxy_codec(b, &in->ef->meta, in->p, "spec.configPatches", &proto);
	if (in->bad)
		return false;
	if (mt_codec_same(proto.codec, to->u->codec))
		return true;
	if (!in->told)
		mt_b_warn(b, &in->ef->meta, in->p->origin.line, "spec.configPatches",
			"name the port for its protocol",
			"%s is served as %s: nothing is limited there", to->u->host,
			to->u->codec->name);
	in->told = true;
	return false;
}

static struct mt_filter_inst *compile(struct mt_build *b, const struct mt_inbound *in,
	const struct mt_policed *to, uint64_t *hash)
{
	struct mt_snap *s = b->snap;
	struct mt_filter_inst *f = mt_region_alloc(&s->region, sizeof(*f)), **slot;
	char text[MT_ADDR_STRLEN];
	char *name = mt_region_printf(
		&b->tmp, "inbound %s", mt_addr_port_str(&to->w->address, to->port, text));

	slot = mt_region_push(&s->region, (void **)&s->limits, &s->n_limits, sizeof(*slot));
	if (!f || !name || !slot)
		return NULL;
	*slot = f;
	f->type = mt_filter_find("local_ratelimit");
	f->file = mt_b_file(b, in->ef->meta.origin.file);
	f->line = in->p->limit->origin.line;
	f->conf = mt_b_limit_conf(b, &in->ef->meta, in->p->limit, to->u->codec, name, hash);
	if (f->conf)
		return f;
	s->n_limits--;
	return NULL;
}

/* The first patch of a namespace that selects the endpoint and its port; NULL: none. */
static struct mt_inbound *find_in(
	const struct mt_build *b, const char *ns, const struct mt_policed *to)
{
	const struct inbounds *own = mt_strmap_get(&b->inbound_by_ns, ns);

	for (uint32_t i = 0; own && i < own->n; i++)
		if (is_about(own->v[i], to))
			return own->v[i];
	return NULL;
}

/* The patch that would be in the endpoint's proxy, which this node is instead; NULL: none. */
static struct mt_inbound *find(const struct mt_build *b, const struct mt_policed *to)
{
	struct mt_inbound *in;

	if (!b->n_inbound || mt_instance_class(to->h, to->w) != MT_INSTANCE_BARE)
		return NULL;
	in = find_in(b, mt_b_root_namespace(b), to);
	return in ? in : find_in(b, mt_instance_meta(to->h, to->w)->ns, to);
}

const struct mt_limit_conf *mt_b_inbound_limit(
	struct mt_build *b, const struct mt_policed *to, const struct mt_meta **meta)
{
	const struct mt_inbound *in = find(b, to);
	struct mt_proto proto;

	if (!in || !in->p->limit || !mt_b_proxy_reads(b, in->p, &proto) ||
		!mt_codec_same(proto.codec, to->u->codec))
		return NULL;
	*meta = &in->ef->meta;
	return in->p->limit;
}

const struct mt_authz *mt_b_limited(struct mt_build *b, const struct mt_policed *to,
	const struct mt_authz *rules, uint64_t *hash)
{
	struct mt_inbound *in = find(b, to);
	struct mt_authz *a;

	if (!in || !in->p->limit || !reads_the_same(b, in, to))
		return rules;
	a = mt_region_alloc(&b->snap->region, sizeof(*a));
	if (!a)
		return rules;
	a->limit = compile(b, in, to, hash);
	/* The limit has an error, or no memory: the compilation fails. */
	if (!a->limit)
		return rules;
	a->also = rules;
	a->tokens = rules ? rules->tokens : NULL;
	/* Conditions of the limit read metadata. */
	a->reads = in->p->limit->n_conds || (rules && rules->reads);
	a->searches = in->p->limit->n_conds || (rules && rules->searches);
	return a;
}
