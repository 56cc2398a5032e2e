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

int mt_overrides_set(struct mt_overrides *s, const struct mt_override *o, uint32_t *id)
{
	struct mt_override *to = same_of(s, o), *grown;
	bool keep = o->keep;

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
	struct mt_override *o = mt_overrides_find(s, id);

	if (!o)
		return false;
	memmove(o, o + 1, (size_t)(s->v + s->n - (o + 1)) * sizeof(*o));
	s->n--;
	s->version++;
	return true;
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
	       (!o->target[0] || strcmp(o->target, cluster) == 0);
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
	return endpoint_of(s, MT_OVERRIDE_DRAIN, cluster, addr, port) != NULL;
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
			(!o->target[0] || strcmp(o->target, cluster) == 0))
			h = hash_one(o, h);
	}
	return h;
}

/* A limit's target is the service with its port. */
static bool is_about(const struct mt_override *o, const char *service)
{
	size_t len = strlen(service);

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
