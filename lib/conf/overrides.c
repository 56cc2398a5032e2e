/* SPDX-License-Identifier: Apache-2.0 */
/* The set of overrides, and what a compile asks of it. Few at a time: they are walked. */
#include "mt_conf_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- the set ------------------------------------------------------------------------------------ */

static struct mt_override *same_of(const struct mt_overrides *s, const struct mt_override *o)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (mt_override_same_target(&s->v[i], o))
			return &s->v[i];
	return NULL;
}

/* True if `in` is about the endpoint of *o in a cluster that *o is about. */
static bool is_within(const struct mt_override *in, const struct mt_override *o)
{
	return in->port == o->port && mt_addr_eq(&in->addr, &o->addr) &&
	       (!o->target[0] || mt_override_names(in->target, o->target));
}

static void remove_at(struct mt_overrides *s, uint32_t i)
{
	memmove(&s->v[i], &s->v[i + 1], (s->n - (i + 1)) * sizeof(*s->v));
	s->n--;
	s->version++;
}

/* Removes exemptions from a drain of an endpoint. */
static void end_exemptions(struct mt_overrides *s, const struct mt_override *drain)
{
	for (uint32_t i = s->n; drain->kind == MT_OVERRIDE_DRAIN && i-- > 0;)
		if (s->v[i].kind == MT_OVERRIDE_RETURN && is_within(&s->v[i], drain))
			remove_at(s, i);
}

int mt_overrides_set(struct mt_overrides *s, const struct mt_override *o, uint32_t *id)
{
	struct mt_override *to, *grown;
	bool keep = o->keep;

	end_exemptions(s, o);
	to = same_of(s, o);
	if (!to) {
		if (s->n == MT_OVERRIDES_MAX)
			return -E2BIG;
		grown = realloc(s->v, (s->n + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->v = grown;
		to = &s->v[s->n++];
		to->id = ++s->next_id;
	} else {
		/* One that was kept stays so with its new value. */
		keep |= to->keep;
	}
	*id = to->id;
	*to = *o;
	to->id = *id;
	to->keep = keep;
	s->version++;
	return 0;
}

bool mt_overrides_drop(struct mt_overrides *s, uint32_t id)
{
	struct mt_override *o = mt_overrides_find(s, id), gone;

	if (!o)
		return false;
	gone = *o;
	remove_at(s, (uint32_t)(o - s->v));
	if (!gone.target[0])
		end_exemptions(s, &gone);
	return true;
}

/* True if the return of *o ends this drain. */
static bool ends(const struct mt_override *o, const struct mt_override *drain)
{
	if (o->kind == MT_OVERRIDE_DRAIN_SERVICE)
		return drain->kind == o->kind && strcasecmp(drain->target, o->target) == 0;
	return drain->kind == o->kind && is_within(drain, o);
}

/* The drain of the endpoint in all clusters; NULL: none. */
static const struct mt_override *drain_of_all(
	const struct mt_overrides *s, const struct mt_override *o)
{
	for (uint32_t i = 0; o->kind == MT_OVERRIDE_DRAIN && i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_DRAIN && !s->v[i].target[0] &&
			s->v[i].port == o->port && mt_addr_eq(&s->v[i].addr, &o->addr))
			return &s->v[i];
	return NULL;
}

bool mt_overrides_exempts(const struct mt_overrides *s, const struct mt_override *o)
{
	struct mt_override r = *o;

	r.kind = MT_OVERRIDE_RETURN;
	return o->target[0] && drain_of_all(s, o) && !same_of(s, &r);
}

bool mt_overrides_returns(const struct mt_overrides *s, const struct mt_override *o)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (ends(o, &s->v[i]))
			return true;
	return mt_overrides_exempts(s, o);
}

int mt_overrides_return(struct mt_overrides *s, const struct mt_override *o)
{
	struct mt_override r = *o;
	uint32_t id;

	for (uint32_t i = s->n; i-- > 0;)
		if (i < s->n && ends(o, &s->v[i]))
			(void)mt_overrides_drop(s, s->v[i].id);
	if (!mt_overrides_exempts(s, o))
		return 0;
	r.kind = MT_OVERRIDE_RETURN;
	r.keep = drain_of_all(s, o)->keep;
	return mt_overrides_set(s, &r, &id);
}

struct mt_override *mt_overrides_find(const struct mt_overrides *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].id == id)
			return &s->v[i];
	return NULL;
}

const struct mt_override *mt_overrides_same(
	const struct mt_overrides *s, const struct mt_override *o)
{
	return same_of(s, o);
}

int mt_overrides_copy(struct mt_overrides *to, const struct mt_overrides *from)
{
	*to = *from;
	to->v = NULL;
	if (from->n == 0)
		return 0;
	to->v = malloc(from->n * sizeof(*to->v));
	if (!to->v)
		return -ENOMEM;
	memcpy(to->v, from->v, from->n * sizeof(*to->v));
	return 0;
}

void mt_overrides_fini(struct mt_overrides *s)
{
	free(s->v);
	*s = (struct mt_overrides){0};
}

/* ---- what a compile asks ------------------------------------------------------------------------ */

static bool is_endpoint(
	const struct mt_override *o, const char *cluster, const struct mt_addr *addr, uint16_t port)
{
	return o->port == port && mt_addr_eq(&o->addr, addr) &&
	       (!o->target[0] || mt_override_names(o->target, cluster));
}

/* One that names the cluster comes before one that is for all of them. */
static const struct mt_override *endpoint_of(const struct mt_overrides *s,
	enum mt_override_kind kind, const char *cluster, const struct mt_addr *addr, uint16_t port)
{
	const struct mt_override *any = NULL;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct mt_override *o = &s->v[i];

		if (o->kind != kind || !is_endpoint(o, cluster, addr, port))
			continue;
		if (o->target[0])
			return o;
		any = o;
	}
	return any;
}

uint32_t mt_overrides_weight(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint32_t weight)
{
	const struct mt_override *o = endpoint_of(s, MT_OVERRIDE_WEIGHT, cluster, addr, port);

	return o ? o->value : weight;
}

bool mt_overrides_drains(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port)
{
	const struct mt_override *o = endpoint_of(s, MT_OVERRIDE_DRAIN, cluster, addr, port);

	return o && (o->target[0] || !endpoint_of(s, MT_OVERRIDE_RETURN, cluster, addr, port));
}

enum mt_listener_drain mt_overrides_drains_service(
	const struct mt_overrides *s, const char *service)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_DRAIN_SERVICE &&
			strcasecmp(s->v[i].target, service) == 0)
			return (enum mt_listener_drain)s->v[i].value;
	return MT_LISTENER_SERVES;
}

enum mt_listener_drain mt_overrides_drains_listener(
	const struct mt_overrides *s, const struct mt_addr *addr, uint16_t port)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_DRAIN_LISTENER && s->v[i].port == port &&
			mt_addr_eq(&s->v[i].addr, addr))
			return (enum mt_listener_drain)s->v[i].value;
	return MT_LISTENER_SERVES;
}

const struct mt_override *mt_overrides_split(
	const struct mt_overrides *s, const char *service, const char *route)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_SPLIT && strcasecmp(s->v[i].target, service) == 0 &&
			strcmp(s->v[i].part, route) == 0)
			return &s->v[i];
	return NULL;
}

const struct mt_override *mt_overrides_fault(const struct mt_overrides *s, const char *service)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_FAULT && strcasecmp(s->v[i].target, service) == 0)
			return &s->v[i];
	return NULL;
}

uint32_t mt_overrides_log_sample(const struct mt_overrides *s, uint32_t sample)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_WORKER && s->v[i].knob == MT_KNOB_LOG_SAMPLE)
			return s->v[i].value;
	return sample;
}

/* ---- stamps -------------------------------------------------------------------------------------- */

static uint64_t hash_one(const struct mt_override *o, uint64_t h)
{
	char text[MT_OVERRIDE_TEXT];

	mt_override_str(o, text);
	return mt_hash_bytes(text, strlen(text) + 1, h);
}

uint64_t mt_overrides_cluster_stamp(const struct mt_overrides *s, const char *cluster)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct mt_override *o = &s->v[i];

		if (o->kind == MT_OVERRIDE_WEIGHT &&
			(!o->target[0] || mt_override_names(o->target, cluster)))
			h = hash_one(o, h);
	}
	return h;
}

/* A limit's target is the service with its port, or a bucket that any services may share. */
static bool is_about(const struct mt_override *o, const char *service)
{
	size_t len = strlen(service);

	if (o->kind == MT_OVERRIDE_LIMIT &&
		strncasecmp(o->target, MT_LIMIT_SHARED, strlen(MT_LIMIT_SHARED)) == 0)
		return true;
	if (o->kind == MT_OVERRIDE_LIMIT)
		return strncasecmp(o->target, service, len) == 0 && o->target[len] == ':';
	return (o->kind == MT_OVERRIDE_SPLIT || o->kind == MT_OVERRIDE_FAULT) &&
	       strcasecmp(o->target, service) == 0;
}

uint64_t mt_overrides_service_stamp(const struct mt_overrides *s, const char *service)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (is_about(&s->v[i], service))
			h = hash_one(&s->v[i], h);
	return h;
}
