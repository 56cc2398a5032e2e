/* SPDX-License-Identifier: Apache-2.0 */
/* Routes and filters of every service: which document says them. */
#include "mt_conf_service_priv.h"

#include <errno.h>

/* A patch's own routes, then the MetaRouter's, then the VirtualService's, then the host itself. */
static void choose_rules(struct mt_host *h, const struct mt_unit *u, struct mt_route_for *f)
{
	const char *protocol = u->codec->opaque ? NULL : u->protocol;

	f->meta = &h->se->meta;
	h->router_used |= protocol != NULL;
	if (u->patch && u->patch->routes.n_rules) {
		f->meta = u->patch_meta;
		f->list = &u->patch->routes;
	} else if (protocol && h->router) {
		/* Without routes its calls go to the host, as Aeraki leads them. */
		if (h->router->routes.n_rules) {
			f->meta = &h->router->meta;
			f->list = &h->router->routes;
		}
	} else if (h->vs) {
		f->list = mt_b_rule_list(h->vs, protocol);
		if (f->list && !f->list->n_rules)
			f->list = NULL;
		if (f->list)
			f->meta = &h->vs->meta;
		h->vs_used |= f->list != NULL;
	}
}

/*
 * Names in conditions do not regard case and this does: a key in other letters is taken for a late one,
 * which only costs the early start.
 */
static bool key_is_leading(const struct mt_codec *codec, const char *key)
{
	struct mt_key k = mt_key_make(codec, key);

	return k.id >= 0 && k.id < 32 && (codec->leading_keys >> k.id & 1);
}

static bool limit_is_leading(const struct mt_codec *codec, const struct mt_limit_conf *l)
{
	for (uint32_t i = 0; l && i < l->n_conds; i++)
		for (uint32_t j = 0; j < l->conds[i].match->n_conds; j++)
			if (!key_is_leading(codec, l->conds[i].match->conds[j].key.s))
				return false;
	return true;
}

/* A balancer that hashes a late key must wait for it. */
static bool dests_are_leading(
	const struct mt_build *b, const struct mt_codec *codec, const struct mt_route_action *a)
{
	for (uint32_t i = 0; i < a->n_dests; i++) {
		const struct mt_cluster *c;

		if (a->dests[i].cluster == MT_NO_CLUSTER)
			continue;
		c = &b->clusters_v[a->dests[i].cluster];
		if (c->guards_search)
			return false;
		for (uint32_t j = 0; j < c->n_hash_keys; j++)
			if (!key_is_leading(codec, c->hash_keys[j].name))
				return false;
	}
	for (uint32_t i = 0; i < a->hash.n_keys; i++)
		if (!key_is_leading(codec, a->hash.keys[i].name))
			return false;
	return true;
}

/* Whoever judges a call has to have it before any of it goes on. */
static bool is_judged(const struct mt_build *b, const struct mt_service *s)
{
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		for (uint32_t k = 0; k < a->n_dests; k++)
			if (a->dests[k].cluster != MT_NO_CLUSTER &&
				b->clusters_v[a->dests[k].cluster].guards_read)
				return true;
	}
	return false;
}

/* Whether not only leading metadata decide, or requests are changed. */
static bool searches(const struct mt_build *b, const struct mt_codec *codec,
	const struct mt_limit_conf *limit, const struct mt_service *s)
{
	if (!mt_route_leading_only(s->routes) || !limit_is_leading(codec, limit))
		return true;
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		if (a->n_req_mut || !dests_are_leading(b, codec, a))
			return true;
	}
	return false;
}

int mt_b_finish_service(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_limit_conf *limit, const struct mt_codec *codec, uint16_t port,
	struct mt_service *s, uint64_t *hash)
{
	int rc;

	if (codec->opaque)
		return 0;
	rc = mt_b_fault(b, s, hash);
	if (rc == 0 && limit)
		rc = mt_b_limit(b, meta, limit, codec, port, s, hash);
	if (rc == 0)
		rc = mt_b_chain(b, meta, s);
	if (rc)
		return rc;
	s->searches = searches(b, codec, limit, s) || (s->filters && s->filters->reads);
	/* A request that may be held back is not begun to be forwarded. */
	s->early_ok = !s->searches && !is_judged(b, s) &&
		      !mt_overrides_fault(&b->conf->overrides, s->name);
	return 0;
}

static int route_unit(struct mt_build *b, struct mt_host *h, struct mt_unit *u)
{
	struct mt_document_service d = {.slot = u->service,
		.route = {.codec = u->codec, .port = (uint16_t)u->port->number.v},
		.limit = h->router ? h->router->limit : NULL,
		.limit_meta = h->router ? &h->router->meta : NULL,
		.opts = u->opts,
		.gate_meta = &h->se->meta};

	d.gate = mt_b_gate_of_clients(b, h, u, &d.gate_hash);
	/* Without one it was told why. */
	d.route.fallback = mt_b_unit_cluster(b, u, NULL);
	if (d.route.fallback == MT_NO_CLUSTER)
		return -EINVAL;
	choose_rules(h, u, &d.route);
	if (u->patch && u->patch->limit) {
		d.limit = u->patch->limit;
		d.limit_meta = u->patch_meta;
	}
	return mt_b_document_service(b, &d);
}

/* Routes that no port follows are told of: most often the port's name says bytes by mistake. */
static void warn_unused(struct mt_build *b, const struct mt_host *h)
{
	static const char remedy[] = "name a port of the host tcp-metaprotocol-PROTOCOL";
	const struct mt_meta *m;

	if (h->router && !h->router_used) {
		m = &h->router->meta;
		mt_b_warn(b, m, h->router->hosts[0].line, "spec.hosts[0]", remedy,
			"not used: no port of %.128s carries messages", h->se->hosts[0].s);
	}
	if (h->vs && !h->vs_used) {
		m = &h->vs->meta;
		if (h->vs->n_hosts == 1 && h->vs->n_gateways < 2 && h->vs->hosts[0].s[0] != '*')
			mt_b_inert(b, m, m->origin.line, NULL, remedy,
				"none of its lists is for a port of %.128s", h->se->hosts[0].s);
		else
			mt_b_warn(b, m, m->origin.line, NULL, remedy,
				"not used: none of its lists is for a port of %.128s",
				h->se->hosts[0].s);
	}
}

/* Goes on after a refused service, so that one run tells of all of them. */
int mt_b_routes(struct mt_build *b)
{
	int rc = 0;

	for (uint32_t i = 0; i < b->n_hosts && rc != -ENOMEM; i++) {
		struct mt_host *h = &b->host_list[i];

		for (struct mt_unit *u = h->units; u && rc != -ENOMEM; u = u->next)
			rc = route_unit(b, h, u);
		if (h->units)
			warn_unused(b, h);
	}
	if (rc != -ENOMEM)
		rc = mt_b_gateway_routes(b);
	mt_b_empty_subsets_tell(b);
	return rc;
}
