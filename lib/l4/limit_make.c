/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: their compiled form, and memory. */
#include "mt_l4_priv.h"

#include <errno.h>
#include <sys/mman.h>

#define LEASES 64 /* the part of a second that all workers lease together */

const char *const mt_l4_limit_names[MT_L4_LIMITS] = {
	[MT_L4_SOURCE_NEW_CONNECTIONS] = "perSource.newConnections",
	[MT_L4_SOURCE_PACKETS] = "perSource.packets",
	[MT_L4_SOURCE_BYTES] = "perSource.bytes",
	[MT_L4_SERVICE_NEW_CONNECTIONS] = "service.newConnections",
	[MT_L4_SERVICE_PACKETS] = "service.packets",
	[MT_L4_SERVICE_BYTES] = "service.bytes",
	[MT_L4_SERVICE_CONNECTIONS] = "service.connections",
};

/* ---- compiled ------------------------------------------------------------------------------ */

static uint64_t token_time(uint32_t rate)
{
	return (L4_UNITS(MT_SEC) + rate - 1) / rate;
}

/* Time for `tokens`, but at least for the most that one packet is charged. */
static uint64_t depth_of(uint64_t token, uint32_t kind, uint64_t tokens)
{
	return token * MT_MAX(tokens, kind == MT_L4_SOURCE_BYTES ? UINT64_C(65535) : 1);
}

static void set_source(struct l4_limits *l, uint32_t kind, uint32_t rate, uint16_t workers)
{
	l->source_depth[kind] = UINT64_MAX;
	if (!rate)
		return;
	l->source[kind] = token_time(rate) * workers;
	l->source_depth[kind] =
		depth_of(l->source[kind], kind, ((uint64_t)rate + workers - 1) / workers);
	l->by_source[0] |= kind != MT_L4_SOURCE_NEW_CONNECTIONS;
	l->by_source[1] = true;
}

static void set_service(struct l4_limits *l, uint32_t kind, uint32_t rate, uint16_t workers)
{
	uint64_t lease = L4_UNITS(MT_SEC) / LEASES / workers;

	if (!rate)
		return;
	l->service[kind] = token_time(rate);
	l->lease[kind] = l->service[kind] <= lease ? lease : 0;
	l->service_depth[kind] =
		depth_of(l->service[kind], kind, l->lease[kind] ? rate - rate / LEASES : rate);
}

static bool has_any(const struct mt_l4_service_conf *c)
{
	for (uint32_t i = 0; i < MT_L4_LIMITS; i++)
		if (c->limits.max[i])
			return true;
	return false;
}

static struct l4_limits *make(const struct mt_l4_limits_conf *c, uint16_t workers)
{
	struct l4_limits *l = calloc(1, sizeof(*l));

	for (uint32_t k = 0; l && k < L4_KINDS; k++) {
		set_source(l, k, c->max[k], workers);
		set_service(l, k, c->max[MT_L4_SERVICE_NEW_CONNECTIONS + k], workers);
	}
	if (l)
		l->connections = c->max[MT_L4_SERVICE_CONNECTIONS];
	return l;
}

int l4_limits_make(const struct mt_l4_conf *c, struct l4_limits ***out)
{
	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];

		if (!has_any(v))
			continue;
		if (!*out)
			*out = calloc(MT_L4_SERVICES_MAX, sizeof(**out));
		if (!*out)
			return -ENOMEM;
		free((*out)[v->id]);
		(*out)[v->id] = make(&v->limits, MT_MAX(c->workers, 1));
		if (!(*out)[v->id])
			return -ENOMEM;
	}
	return 0;
}

void l4_limits_free(struct l4_limits **limits)
{
	for (uint32_t i = 0; limits && i < MT_L4_SERVICES_MAX; i++)
		free(limits[i]);
	free(limits);
}

/* ---- memory -------------------------------------------------------------------------------- */

#define SHARED_SIZE  (sizeof(struct l4_shared) * MT_L4_SERVICES_MAX)
#define LEASES_SIZE  (sizeof(struct l4_lease) * MT_L4_SERVICES_MAX)
#define SOURCES_SIZE (sizeof(struct l4_source_set) * L4_SOURCE_SETS)

struct mt_l4_limiter *mt_l4_limiter_new(uint16_t workers)
{
	struct mt_l4_limiter *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->workers = workers;
	s->services = l4_reserve(SHARED_SIZE);
	if (s->services)
		return s;
	free(s);
	return NULL;
}

void mt_l4_limiter_free(struct mt_l4_limiter *s)
{
	if (s)
		munmap(s->services, SHARED_SIZE);
	free(s);
}

struct mt_l4_limiter *mt_l4_limiter_of(const struct mt_l4 *l)
{
	return l->limiting.shared;
}

uint32_t mt_l4_limiter_connections(const struct mt_l4_limiter *s, uint32_t service)
{
	return __atomic_load_n(&s->services[service].connections, __ATOMIC_RELAXED);
}

int l4_limits_init(struct mt_l4 *l, struct mt_l4_limiter *shared)
{
	struct l4_limits_own *own = &l->limiting;

	own->shared = shared;
	own->leases = l4_reserve(LEASES_SIZE);
	own->sources = l4_reserve(SOURCES_SIZE);
	own->limited = calloc(MT_L4_SERVICES_MAX, sizeof(*own->limited));
	return own->leases && own->sources && own->limited ? 0 : -ENOMEM;
}

void l4_limits_fini(struct mt_l4 *l)
{
	struct l4_limits_own *own = &l->limiting;

	if (own->leases)
		munmap(own->leases, LEASES_SIZE);
	if (own->sources)
		munmap(own->sources, SOURCES_SIZE);
	free(own->limited);
}

void l4_limits_forget(struct mt_l4 *l, uint32_t service)
{
	for (uint32_t i = 0; i < MT_L4_LIMITS; i++)
		__atomic_store_n(&l->limiting.limited[service][i], 0, __ATOMIC_RELAXED);
}

uint64_t mt_l4_limited(const struct mt_l4 *l, uint32_t service, enum mt_l4_limit limit)
{
	return __atomic_load_n(&l->limiting.limited[service][limit], __ATOMIC_RELAXED);
}
