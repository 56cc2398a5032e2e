/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters of type STRICT_DNS and LOGICAL_DNS. Endpoints of a cluster are the addresses to which
 * its host names resolve, and those that its configuration specifies as addresses. Names are
 * resolved by the same table as those of documents, once for all users (mt_name_table.h).
 */
#include "mt_name_table.h"
#include "mt_xds_priv.h"

#include <stdlib.h>
#include <string.h>

struct xds_dns {
	struct mt_list node; /* of x->dns */
	struct mt_xds *x;
	struct xds_res *r;
	struct mt_model *said; /* model of the cluster, which contains `dns` */
	const struct mt_res_dns *dns;
	bool one;		/* LOGICAL_DNS: one address of a name is used */
	struct mt_name **names; /* parallel to dns->names; NULL: no table of names yet */
	uint64_t answers;	/* mt_name_table_answers() when `part` was made */
	struct mt_model *part;	/* the endpoints; NULL: none */
	struct mt_err why;	/* text of the last xds_dns_why() or xds_dns_note() */
};

/* ---- endpoints ------------------------------------------------------------------------------- */

static bool is_reached(const struct xds_dns *d, const struct mt_addr *a)
{
	const struct mt_xds_env *env = &d->x->env;

	return !env->reaches || env->reaches(env->arg, a);
}

static struct mt_name_state state_of(const struct xds_dns *d, uint32_t at)
{
	struct mt_name_state s = {.why = ""};

	if (d->names)
		mt_name_read(d->names[at], &s);
	return s;
}

/*
 * Decides which address families of a name are used, by dns_lookup_family and what the node
 * reaches: use[0] IPv6, use[1] IPv4.
 */
static void families(const struct xds_dns *d, const struct mt_name_state *s, bool use[2])
{
	bool has[2] = {false, false};

	for (uint32_t i = 0; i < s->n; i++)
		has[mt_addr_is4(&s->addrs[i])] |= is_reached(d, &s->addrs[i]);
	switch (d->dns->family) {
	case MT_RES_AUTO:
		use[0] = true;
		use[1] = !has[0];
		break;
	case MT_RES_V4_FIRST:
		use[1] = true;
		use[0] = !has[1];
		break;
	case MT_RES_V4:
	case MT_RES_V6:
		use[0] = d->dns->family == MT_RES_V6;
		use[1] = !use[0];
		break;
	case MT_RES_BOTH:
		use[0] = use[1] = true;
		break;
	}
}

/* Writes the endpoints of a name to eps (NULL: only counts them). Returns their number. */
static uint32_t endpoints_of(const struct xds_dns *d, uint32_t at, struct mt_res_endpoint *eps)
{
	const struct mt_res_dns_name *name = &d->dns->names[at];
	const struct mt_name_state s = state_of(d, at);
	uint32_t n = 0;
	bool use[2];

	families(d, &s, use);
	for (uint32_t i = 0; i < s.n && !(d->one && n); i++) {
		if (!use[mt_addr_is4(&s.addrs[i])] || !is_reached(d, &s.addrs[i]))
			continue;
		if (eps)
			eps[n] = (struct mt_res_endpoint){.addr = s.addrs[i],
				.weight = name->weight,
				.port = name->port,
				.health = name->health,
				.tls = name->tls,
				.peer = name->peer};
		n++;
	}
	return n;
}

static uint32_t count(const struct xds_dns *d, uint32_t locality)
{
	uint32_t n = d->dns->fixed->localities[locality].n_eps;

	for (uint32_t i = 0; i < d->dns->n_names; i++)
		if (d->dns->names[i].locality == locality)
			n += endpoints_of(d, i, NULL);
	return n;
}

static const char *text_of(struct mt_region *region, const char *s)
{
	return s ? mt_region_strdup(region, s) : NULL;
}

/* Fills a locality. All texts are copied, because the endpoints may outlive the cluster's model. */
static void fill(
	const struct xds_dns *d, struct mt_region *r, struct mt_res_locality *l, uint32_t at)
{
	const struct mt_res_locality *from = &d->dns->fixed->localities[at];

	*l = *from;
	l->region = text_of(r, from->region);
	l->zone = text_of(r, from->zone);
	l->subzone = text_of(r, from->subzone);
	l->eps = mt_region_alloc(r, sizeof(*l->eps) * (count(d, at) + 1));
	if (!l->eps)
		return;
	if (from->n_eps)
		memcpy(l->eps, from->eps, sizeof(*l->eps) * from->n_eps);
	for (uint32_t i = 0; i < d->dns->n_names; i++)
		if (d->dns->names[i].locality == at)
			l->n_eps += endpoints_of(d, i, l->eps + l->n_eps);
}

static struct mt_peer copy_peer(struct mt_region *r, const struct mt_peer *from)
{
	struct mt_peer p;

	for (int i = 0; i < MT_PEER_LABELS; i++)
		p.label[i] = text_of(r, from->label[i]);
	return p;
}

static void copy_peers(
	struct mt_region *r, struct mt_res_endpoints *e, const struct mt_res_endpoints *from)
{
	e->peer = from->peer ? mt_region_alloc(r, sizeof(*e->peer)) : NULL;
	if (e->peer)
		*e->peer = copy_peer(r, from->peer);
	e->peers = mt_region_alloc(r, sizeof(*e->peers) * (from->n_peers + 1));
	if (!e->peers)
		return;
	e->n_peers = from->n_peers;
	e->many_peers = from->many_peers;
	for (uint8_t i = 0; i < e->n_peers; i++)
		e->peers[i] =
			(struct mt_res_peer){from->peers[i].id, copy_peer(r, &from->peers[i].p)};
}

static struct mt_res_endpoints *make_endpoints(const struct xds_dns *d, struct mt_region *r)
{
	const struct mt_res_endpoints *fixed = d->dns->fixed;
	struct mt_res_endpoints *e = mt_region_alloc(r, sizeof(*e));

	if (!e)
		return NULL;
	*e = (struct mt_res_endpoints){.meta = {.kind = "ClusterLoadAssignment",
					       .ns = "default",
					       .name = mt_region_strdup(r, d->r->name),
					       .serial = ++d->x->serial},
		.overprovisioning = fixed->overprovisioning,
		.not_bare = fixed->not_bare,
		.n_localities = fixed->n_localities};
	copy_peers(r, e, fixed);
	e->meta.origin.file = mt_region_strdup(r, d->x->origin);
	e->localities = mt_region_alloc(r, sizeof(*e->localities) * (e->n_localities + 1));
	for (uint32_t i = 0; e->localities && i < e->n_localities; i++) {
		fill(d, r, &e->localities[i], i);
		e->n_eps += e->localities[i].n_eps;
	}
	return e;
}

/* Builds the endpoints again. Without any address the previous ones stay. */
static void renew(struct xds_dns *d)
{
	struct mt_model *m = mt_model_new_resource();
	struct mt_res_endpoints *e = m ? make_endpoints(d, &m->region) : NULL;

	if (!e || m->region.failed || !e->n_eps || mt_model_add(m, &m->res_endpoints, e)) {
		mt_model_free(m);
		return;
	}
	mt_model_free(d->part);
	d->part = m;
	d->x->changed = true;
	xds_touch(d->x);
}

/* ---- lookups --------------------------------------------------------------------------------- */

/* Releases the names. The table keeps those that others hold as well. */
static void release(struct xds_dns *d)
{
	for (uint32_t i = 0; d->names && i < d->dns->n_names; i++)
		mt_name_release(d->names[i]);
	free(d->names);
	d->names = NULL;
}

static void hold(struct xds_dns *d)
{
	struct mt_name_table *t = d->x->env.looked_up;
	uint32_t n = d->dns->n_names;
	struct mt_name **names = t ? calloc(n + 1, sizeof(struct mt_name *)) : NULL;

	for (uint32_t i = 0; names && i < n; i++) {
		names[i] = mt_name_hold(t, d->dns->names[i].host);
		if (names[i])
			continue;
		while (i > 0)
			mt_name_release(names[--i]);
		free(names);
		return;
	}
	d->names = names;
}

/* True if a name got another answer after the endpoints were made. */
static bool is_answered_anew(const struct xds_dns *d)
{
	for (uint32_t i = 0; d->names && i < d->dns->n_names; i++)
		if (mt_name_answers(d->names[i]) > d->answers)
			return true;
	return false;
}

static void look(struct xds_dns *d)
{
	if (!d->names)
		hold(d);
	if (!is_answered_anew(d))
		return;
	d->answers = mt_name_table_answers(d->x->env.looked_up);
	renew(d);
	xds_touch(d->x);
}

void xds_dns_turn(struct mt_xds *x)
{
	uint64_t answers = x->env.looked_up ? mt_name_table_answers(x->env.looked_up) : 0;
	struct mt_list *n;

	if (x->dns_answers == answers + 1)
		return;
	x->dns_answers = answers + 1;
	mt_list_foreach (n, &x->dns)
		look(mt_list_entry(n, struct xds_dns, node));
}

/* ---- interface ------------------------------------------------------------------------------- */

static void free_dns(struct xds_dns *d)
{
	release(d);
	mt_list_del(&d->node);
	mt_model_free(d->part);
	mt_model_free(d->said);
	free(d);
}

void xds_dns_free(struct xds_res *r)
{
	if (r->dns)
		free_dns(r->dns);
	r->dns = NULL;
}

void xds_dns_set(struct mt_xds *x, struct xds_res *r, const struct xds_body *b)
{
	const struct mt_res_cluster *c = (const struct mt_res_cluster *)b->mapped.meta;
	struct xds_dns *d, *old = r->dns;

	if (!c->dns) {
		xds_dns_free(r);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return;
	d->x = x;
	d->r = r;
	d->said = mt_model_hold(b->mapped.part);
	d->dns = c->dns;
	d->one = c->discovery == MT_RES_LOGICAL_DNS;
	mt_list_init(&d->node);
	mt_list_add_tail(&x->dns, &d->node);
	/*
	 * Before the old names are released, so that the table keeps the addresses of common names.
	 */
	hold(d);
	if (d->names)
		d->answers = mt_name_table_answers(x->env.looked_up);
	r->dns = d;
	renew(d);
	/* Keep the old endpoints until the new names have addresses. */
	if (old && !d->part) {
		d->part = old->part;
		old->part = NULL;
	}
	if (old)
		free_dns(old);
	x->dns_answers = 0;
}

struct mt_model *xds_dns_part(const struct xds_res *r, bool *answered)
{
	const struct xds_dns *d = r->dns;

	*answered = !d || d->names || !d->dns->n_names;
	for (uint32_t i = 0; d && d->names && i < d->dns->n_names; i++)
		*answered &= mt_name_answers(d->names[i]) != 0;
	return d ? d->part : NULL;
}

/* True if lookups of the name fail, with words about it. */
static bool fails(struct xds_dns *d, uint32_t at)
{
	const struct mt_name_state s = state_of(d, at);

	if (*s.why)
		mt_err(&d->why, 0, "%.200s cannot be looked up: %s", d->dns->names[at].host, s.why);
	return *s.why;
}

/* True if not all addresses of the name are used, with words about it. */
static bool is_cut(struct xds_dns *d, uint32_t at)
{
	const struct mt_name_state s = state_of(d, at);
	const char *host = d->dns->names[at].host;
	uint32_t lost = 0;

	for (uint32_t i = 0; i < s.n; i++)
		lost += !is_reached(d, &s.addrs[i]);
	if (lost)
		mt_err(&d->why, 0,
			"%.200s: %u of its %u addresses are not used, because no port and no route "
			"leads to them",
			host, lost, s.n);
	else if (s.more)
		mt_err(&d->why, 0,
			"%.200s has %u addresses, more than are used: %u of a family, in order",
			host, s.n + s.more, MT_NAME_FAMILY);
	return lost || s.more;
}

const char *xds_dns_why(const struct xds_res *r)
{
	struct xds_dns *d = r->dns;

	for (uint32_t i = 0; d && d->names && i < d->dns->n_names; i++)
		if (fails(d, i))
			return d->why.text;
	return "";
}

const char *xds_dns_note(const struct xds_res *r)
{
	struct xds_dns *d = r->dns;

	for (uint32_t i = 0; d && d->names && i < d->dns->n_names; i++)
		if (is_cut(d, i))
			return d->why.text;
	return "";
}
