/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks an override against the current snapshot: whether what it names is there, and whether it
 * changes anything. For commands that set one and for those that read the set again; a compilation
 * needs none of it.
 */
#include "mt_conf_priv.h"

#include "mt_l4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* False with the reason in e. */
static bool found(bool there, struct mt_err *e, const char *what, const char *command)
{
	if (!there)
		(void)mt_err(e, -ENOENT, "there is no such %s; look at `show %s`", what, command);
	return there;
}

/* ---- endpoints ---------------------------------------------------------------------------------- */

static bool is_its(const struct mt_override *o, const struct mt_endpoint *ep)
{
	return ep->port == o->port && mt_addr_eq(&ep->addr, &o->addr);
}

static const struct mt_endpoint *endpoint_in(
	const struct mt_cluster *c, const struct mt_override *o)
{
	if (o->target[0] && !mt_override_names(o->target, c->name))
		return NULL;
	for (uint32_t k = 0; k < c->n_eps; k++)
		if (is_its(o, &c->eps[k]))
			return &c->eps[k];
	return NULL;
}

static bool has_endpoint(const struct mt_snapshot *s, const struct mt_override *o)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (endpoint_in(&s->clusters[i], o))
			return true;
	return false;
}

/* True if the cluster has another endpoint that does not drain. */
static bool has_other(
	const struct mt_overrides *s, const struct mt_cluster *c, const struct mt_override *o)
{
	for (uint32_t k = 0; k < c->n_eps; k++)
		if (!is_its(o, &c->eps[k]) && !c->eps[k].drain &&
			!mt_overrides_drains(s, c->name, &c->eps[k].addr, c->eps[k].port))
			return true;
	return false;
}

/* The forwarded port of the cluster, of the family of `a` if there is one; NULL: none. */
static const struct mt_forward *forward_of(
	const struct mt_snapshot *s, const struct mt_cluster *c, const struct mt_addr *a)
{
	const struct mt_forward *found = NULL;

	for (uint32_t i = 0; i < s->n_forwards; i++) {
		const struct mt_forward *f = &s->forwards[i];

		if (&s->clusters[f->cluster] == c &&
			(!found || mt_addr_is4(&f->addr) == mt_addr_is4(a)))
			found = f;
	}
	return found;
}

static bool is_at(const struct mt_override *o, const struct mt_l4_endpoint *e)
{
	return e->port == o->port && mt_addr_eq(&e->addr, &o->addr);
}

/*
 * The same for a forwarded port, where each destination of the route keeps its share. True, too, if
 * the endpoint gets no new flows.
 */
static bool has_other_in_part(const struct mt_overrides *s, const struct mt_cluster *c,
	const struct mt_l4_group *g, const struct mt_override *o)
{
	const struct mt_l4_endpoint *its = NULL;

	for (uint32_t i = 0; g && i < g->n_endpoints && !its; i++)
		its = is_at(o, &g->endpoints[i]) ? &g->endpoints[i] : NULL;
	if (!its || !its->chosen)
		return true;
	for (uint32_t i = 0; i < g->n_endpoints; i++) {
		const struct mt_l4_endpoint *e = &g->endpoints[i];

		if (e != its && e->chosen && e->port && e->part == its->part &&
			!mt_overrides_drains(s, c->name, &e->addr, e->port))
			return true;
	}
	return false;
}

static bool leaves_other(
	const struct mt_conf *conf, const struct mt_cluster *c, const struct mt_override *o)
{
	const struct mt_snapshot *s = conf->current;
	const struct mt_forward *f = s->l4 ? forward_of(s, c, &o->addr) : NULL;
	const struct mt_l4_row *r = f ? mt_l4_row(s->l4, &f->addr, f->port, f->protocol) : NULL;

	if (!f)
		return has_other(&conf->overrides, c, o);
	return has_other_in_part(&conf->overrides, c, r ? r->group : NULL, o);
}

/*
 * Returns the first cluster in which the endpoint would get calls although it is drained. *some:
 * another cluster has an endpoint left.
 */
static const struct mt_cluster *only_one(
	const struct mt_conf *c, const struct mt_override *o, bool *some)
{
	const struct mt_snapshot *s = c->current;
	const struct mt_cluster *only = NULL;

	*some = false;
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		if (!endpoint_in(&s->clusters[i], o))
			continue;
		if (leaves_other(c, &s->clusters[i], o))
			*some = true;
		else if (!only)
			only = &s->clusters[i];
	}
	return only;
}

static bool drains(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	bool some;
	const struct mt_cluster *only;

	if (!found(has_endpoint(c->current, o), e, "endpoint", "clusters"))
		return false;
	only = only_one(c, o, &some);
	if (!only || some)
		return true;
	if (forward_of(c->current, only, &o->addr))
		(void)mt_err(e, -EBUSY,
			"its destination in %s has no other endpoint that is not drained, so this "
			"one would go on to get its flows; give the destination weight 0, or add "
			"an endpoint",
			only->name);
	else
		(void)mt_err(e, -EBUSY,
			"%s has no other endpoint that is not drained, so this one would go on to "
			"get its calls; take them away with `tune split`, or add an endpoint",
			only->name);
	return false;
}

static void note_drain(const struct mt_conf *c, const struct mt_override *o, char *buf, size_t size)
{
	bool some;
	const struct mt_cluster *only = only_one(c, o, &some);

	if (only && some)
		snprintf(buf, size,
			"calls of %s go on to it: it is the only endpoint there that is not "
			"drained",
			only->name);
}

/* False: all endpoints that it names are drained already. */
static bool drain_changes(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_snapshot *s = c->current;

	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (endpoint_in(&s->clusters[i], o) &&
			!mt_overrides_drains(&c->overrides, s->clusters[i].name, &o->addr, o->port))
			return true;
	(void)mt_err(e, -EALREADY, "it is drained already");
	return false;
}

static bool weight_changes(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_snapshot *s = c->current;
	bool alone = true, same = true;

	for (uint32_t i = 0; i < s->n_clusters; i++) {
		const struct mt_endpoint *ep = endpoint_in(&s->clusters[i], o);

		alone &= !ep || s->clusters[i].n_eps == 1;
		same &= !ep || ep->weight == o->value;
	}
	if (same || alone)
		(void)mt_err(e, -EALREADY, "%s",
			same ? "it has that weight already"
			     : "it is the only endpoint of its cluster, and gets all calls");
	return !same && !alone;
}

/* ---- listeners ------------------------------------------------------------------------------ */

static bool drains_listener(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_snapshot *s = c->current;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].port == o->port && mt_addr_eq(&s->listeners[i].addr, &o->addr))
			return true;
	return found(false, e, "listener", "services");
}

static bool serves(const struct mt_listener *l, const char *service)
{
	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++)
			if (strcasecmp(l->protos[i].services[k]->name, service) == 0)
				return true;
	return false;
}

/*
 * The first listener that has other services, too, and so goes on; NULL: none. *n: number of
 * listeners of the service; *some: of these, those that drain.
 */
static const struct mt_listener *shared_listener(
	const struct mt_conf *c, const struct mt_override *o, uint32_t *n, uint32_t *some)
{
	const struct mt_snapshot *s = c->current;
	const struct mt_listener *shared = NULL;

	*n = *some = 0;
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct mt_listener *l = &s->listeners[i];

		if (!serves(l, o->target))
			continue;
		++*n;
		if (mt_conf_listener_has_only(&c->overrides, l, o->target))
			++*some;
		else if (!shared)
			shared = l;
	}
	return shared;
}

static bool drains_service(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	uint32_t n, some;
	const struct mt_listener *l = shared_listener(c, o, &n, &some);
	char at[MT_ADDR_STRLEN];

	if (!found(n > 0, e, "service", "services"))
		return false;
	if (some)
		return true;
	(void)mt_err(e, -EBUSY,
		"its listener %s has other services, too; `drain listener %s` drains all of them",
		mt_addr_port_str(&l->addr, l->port, at), at);
	return false;
}

static void note_service(
	const struct mt_conf *c, const struct mt_override *o, char *buf, size_t size)
{
	uint32_t n, some;
	const struct mt_listener *l = shared_listener(c, o, &n, &some);
	char at[MT_ADDR_STRLEN];

	if (l && some)
		snprintf(buf, size, "listener %s goes on, because it has other services, too",
			mt_addr_port_str(&l->addr, l->port, at));
}

/* How to see who is left. */
static void note_listener(const struct mt_override *o, char *buf, size_t size)
{
	char at[MT_ADDR_STRLEN];

	snprintf(buf, size,
		"`show connections where side=client dst=%s dport=%u` lists clients that are left",
		mt_addr_str(&o->addr, at), o->port);
}

/* ---- splits ------------------------------------------------------------------------------------- */

/* Destinations of a route of messages, or of bytes. */
struct dests {
	const struct mt_route_dest *v;
	const char *const *idle;
	uint32_t n, n_idle;
	struct mt_route_dest one;
};

static const struct mt_service *service_of(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_services; i++)
		if (strcasecmp(s->services[i]->name, name) == 0)
			return s->services[i];
	return NULL;
}

/* Finds the destinations of a route; false if the service has no route of that name. */
static bool dests_of(const struct mt_service *svc, const char *route, struct dests *d)
{
	for (uint32_t i = 0; svc->routes && i < mt_route_count(svc->routes); i++) {
		const struct mt_route_action *a = mt_route_at(svc->routes, i);

		if (strcmp(a->name, route) == 0) {
			*d = (struct dests){a->dests, a->idle, a->n_dests, a->n_idle, {0}};
			return true;
		}
	}
	if (svc->routes || strcmp(route, "tcp") != 0)
		return false;
	*d = (struct dests){svc->tcp_dests, svc->tcp_idle, svc->n_tcp_dests, svc->n_tcp_idle, {0}};
	if (!d->n && svc->tcp_cluster != MT_NO_CLUSTER) {
		d->one = (struct mt_route_dest){svc->tcp_cluster, 1};
		d->v = &d->one;
		d->n = 1;
	}
	return true;
}

static const char *dest_name(const struct mt_snapshot *s, const struct dests *d, uint32_t i)
{
	if (i >= d->n)
		return d->idle[i - d->n];
	return d->v[i].cluster < s->n_clusters ? s->clusters[d->v[i].cluster].name : "";
}

static bool has_dest(const struct mt_snapshot *s, const struct dests *d, const char *share)
{
	for (uint32_t i = 0; i < d->n + d->n_idle; i++)
		if (mt_conf_share_names(share, dest_name(s, d, i)))
			return true;
	return false;
}

static bool splits(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_snapshot *s = c->current;
	const struct mt_service *svc = service_of(s, o->target);
	struct dests d;
	size_t len;

	if (!found(svc && dests_of(svc, o->part, &d), e, "service or route", "routes"))
		return false;
	for (uint32_t i = 0; i < o->n_shares; i++) {
		if (has_dest(s, &d, o->shares[i].cluster))
			continue;
		(void)mt_err(e, -ENOENT, "%s is not a destination of route %s of %s; these are:",
			o->shares[i].cluster, o->part, o->target);
		for (uint32_t k = 0; k < d.n + d.n_idle; k++) {
			len = strlen(e->text);
			snprintf(e->text + len, sizeof(e->text) - len, " %s", dest_name(s, &d, k));
		}
		return false;
	}
	return true;
}

/* True if calls to the cluster get no endpoint. */
static bool is_empty(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return s->clusters[i].n_eps == 0 && !s->clusters[i].demand;
	return false;
}

/* The first destination that gets a share and has no endpoint; NULL: none. */
static const char *empty_dest(
	const struct mt_snapshot *s, const struct dests *d, const struct mt_override *o)
{
	for (uint32_t i = 0; i < d->n + d->n_idle; i++)
		if (mt_conf_share_of(o, dest_name(s, d, i)) && is_empty(s, dest_name(s, d, i)))
			return dest_name(s, d, i);
	return NULL;
}

static bool split_changes(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_snapshot *s = c->current;
	const struct mt_service *svc = service_of(s, o->target);
	uint64_t before = 0, after = 0;
	const char *empty;
	struct dests d;

	if (!svc || !dests_of(svc, o->part, &d))
		return true;
	empty = empty_dest(s, &d, o);
	if (empty) {
		(void)mt_err(
			e, -ENOENT, "%s has no endpoints, so its calls would be refused", empty);
		return false;
	}
	for (uint32_t i = 0; i < d.n + d.n_idle; i++) {
		before += i < d.n ? d.v[i].weight : 0;
		after += mt_conf_share_of(o, dest_name(s, &d, i));
	}
	for (uint32_t i = 0; i < d.n + d.n_idle; i++)
		if (mt_conf_share_of(o, dest_name(s, &d, i)) * before !=
			(i < d.n ? d.v[i].weight : 0) * after)
			return true;
	(void)mt_err(e, -EALREADY, "the route's calls are split so already");
	return false;
}

/* ---- all kinds ---------------------------------------------------------------------------------- */

static bool has_bucket(const struct mt_limit_registry *r, const struct mt_override *o)
{
	struct mt_limit_info info;
	uint32_t idx = 0;

	while (mt_limit_next(r, &idx, 0, &info))
		if (strcasecmp(info.service, o->target) == 0 && strcmp(info.match, o->part) == 0)
			return true;
	return false;
}

/* 0: as configured. */
static bool is_now(uint64_t wanted, uint64_t now)
{
	return !wanted || wanted == now;
}

/* Under another override the configured numbers, which it may restore, are not known here. */
static bool limit_changes(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_limit_override *l = &o->limit;
	struct mt_limit_info i;
	uint32_t idx = 0;

	while (mt_limit_next(c->limits, &idx, 0, &i))
		if (strcasecmp(i.service, o->target) == 0 && strcmp(i.match, o->part) == 0 &&
			(i.turned || i.report_only != l->report_only ||
				!is_now(l->max_tokens, i.numbers.max_tokens) ||
				!is_now(l->tokens_per_fill, i.numbers.tokens_per_fill) ||
				!is_now(l->fill_ns, i.numbers.fill_ns)))
			return true;
	(void)mt_err(e, -EALREADY, "the limit has these settings already");
	return false;
}

static bool log_changes(const struct mt_override *o, struct mt_err *e)
{
	int only = o->target[0] ? mt_log_module_find(o->target) : -1;

	for (int i = 0; i < MT_LOG_MODULES; i++)
		if ((only < 0 || i == only) &&
			mt_log_level_of((enum mt_log_module)i) != (enum mt_log_level)o->value)
			return true;
	(void)mt_err(e, -EALREADY, "that is its level already");
	return false;
}

/* ---- workers ------------------------------------------------------------------------------- */

static bool worker_applies(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	if (o->knob == MT_KNOB_LOG_SAMPLE && !c->current->logged) {
		(void)mt_err(e, -ENOENT, "there is no access log; look at `show telemetry`");
		return false;
	}
	return true;
}

/* Of other settings only the workers know the present value. */
static bool worker_changes(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	if (o->knob != MT_KNOB_LOG_SAMPLE || c->current->log_skips != mt_conf_log_skips(o->value))
		return true;
	(void)mt_err(e, -EALREADY, "that is the share already");
	return false;
}

/* ---- faults -------------------------------------------------------------------------------- */

static bool fails(const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_service *svc = service_of(c->current, o->target);

	if (svc && !svc->routes) {
		(void)mt_err(e, -ENOENT, "faults are for messages, and it carries bytes");
		return false;
	}
	return found(svc != NULL, e, "service", "services");
}

bool mt_conf_override_applies(
	const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	if (!c->current)
		return found(false, e, "configuration", "config");
	switch (o->kind) {
	case MT_OVERRIDE_DRAIN:
		return drains(c, o, e);
	case MT_OVERRIDE_DRAIN_SERVICE:
		return drains_service(c, o, e);
	case MT_OVERRIDE_DRAIN_LISTENER:
		return drains_listener(c, o, e);
	case MT_OVERRIDE_RETURN:
	case MT_OVERRIDE_WEIGHT:
		return found(has_endpoint(c->current, o), e, "endpoint", "clusters");
	case MT_OVERRIDE_SPLIT:
		return splits(c, o, e);
	case MT_OVERRIDE_LIMIT:
		return found(has_bucket(c->limits, o), e, "limit", "limits");
	case MT_OVERRIDE_FAULT:
		return fails(c, o, e);
	case MT_OVERRIDE_WORKER:
		return worker_applies(c, o, e);
	case MT_OVERRIDE_LOG:
		break;
	}
	return true;
}

bool mt_conf_override_changes(
	const struct mt_conf *c, const struct mt_override *o, struct mt_err *e)
{
	const struct mt_override *was = mt_overrides_same(&c->overrides, o);
	char text[MT_OVERRIDE_TEXT], before[MT_OVERRIDE_TEXT];

	if (was && strcmp(mt_override_str(was, before), mt_override_str(o, text)) == 0) {
		(void)mt_err(e, -EALREADY, "override %u is the same", was->id);
		return false;
	}
	switch (o->kind) {
	case MT_OVERRIDE_DRAIN:
		return drain_changes(c, o, e);
	case MT_OVERRIDE_WEIGHT:
		return weight_changes(c, o, e);
	case MT_OVERRIDE_SPLIT:
		return split_changes(c, o, e);
	case MT_OVERRIDE_LIMIT:
		return limit_changes(c, o, e);
	case MT_OVERRIDE_WORKER:
		return worker_changes(c, o, e);
	case MT_OVERRIDE_LOG:
		return log_changes(o, e);
	default:
		return true;
	}
}

bool mt_conf_override_note(
	const struct mt_conf *c, const struct mt_override *o, char *buf, size_t size)
{
	buf[0] = '\0';
	if (!c->current)
		return false;
	if (o->kind == MT_OVERRIDE_DRAIN)
		note_drain(c, o, buf, size);
	else if (o->kind == MT_OVERRIDE_DRAIN_SERVICE)
		note_service(c, o, buf, size);
	else if (o->kind == MT_OVERRIDE_DRAIN_LISTENER)
		note_listener(o, buf, size);
	return buf[0] != '\0';
}
