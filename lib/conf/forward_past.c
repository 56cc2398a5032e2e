/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that forwarded services had before changes of the last minutes. TCP connections of
 * one-way modes that have no flow at a node, for example because a router moved them there, began
 * before the changes and stay with the endpoint that they had. So a set names for each such service
 * the endpoints in force before the first change of the PERIOD that ended with the last one. With
 * more than CHANGES, one that came within NEAR after its predecessor is forgotten, so its endpoints
 * count as ended up to NEAR earlier.
 */
#include "mt_conf_forward_priv.h"

#include "mt_l4.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define PERIOD	(5 * 60 * MT_SEC)
#define CHANGES 8
/* Of CHANGES changes within PERIOD, two have this time or less between them. */
#define NEAR (PERIOD / (CHANGES - 1))

/* Endpoints of a service, in force until `until`. */
struct version {
	struct mt_l4_endpoint_conf *v;
	uint32_t n;
	uint64_t until; /* UINT64_MAX: they still are */
};

struct service {
	uint32_t id;
	uint32_t n;			 /* > 0; the last version is the current one */
	struct version all[CHANGES + 1]; /* oldest first */
};

struct mt_forward_past {
	uint32_t n;
	struct service services[];
};

void mt_forward_past_free(struct mt_forward_past *p)
{
	for (uint32_t i = 0; p && i < p->n; i++)
		for (uint32_t k = 0; k < p->services[i].n; k++)
			free(p->services[i].all[k].v);
	free(p);
}

static bool is_remembered(const struct mt_l4_service_conf *c)
{
	return c->proto == IPPROTO_TCP && mt_l4_is_one_way(c->mode);
}

static const struct service *find(const struct mt_forward_past *p, uint32_t id)
{
	for (uint32_t i = 0; p && i < p->n; i++)
		if (p->services[i].id == id)
			return &p->services[i];
	return NULL;
}

static bool is_same(const struct version *a, const struct mt_l4_service_conf *c)
{
	if (a->n != c->n_endpoints)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!mt_addr_eq(&a->v[i].addr, &c->endpoints[i].addr) ||
			a->v[i].port != c->endpoints[i].port ||
			a->v[i].weight != c->endpoints[i].weight)
			return false;
	return true;
}

/* Appends a copy without health, which the endpoints' states may not outlive. */
static int append(
	struct service *s, const struct mt_l4_endpoint_conf *v, uint32_t n, uint64_t until)
{
	struct version *to = &s->all[s->n];

	*to = (struct version){calloc(n + 1u, sizeof(*v)), n, until};
	if (!to->v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		to->v[i] = (struct mt_l4_endpoint_conf){
			.addr = v[i].addr, .port = v[i].port, .weight = v[i].weight};
	s->n++;
	return 0;
}

/* Index of the oldest version that ended within PERIOD before the last change, or the current. */
static uint32_t oldest(const struct service *was, uint64_t changed, uint64_t now)
{
	uint32_t i = 0;

	if (now - changed >= PERIOD)
		return was->n - 1;
	while (i + 1 < was->n && changed - was->all[i].until >= PERIOD)
		i++;
	return i;
}

/*
 * Index of the version that is forgotten: the oldest that ended within NEAR after the one before
 * it, so that this holds for those forgotten earlier, too.
 */
static uint32_t forgotten(const struct service *was, uint32_t first)
{
	uint32_t i = first + 1;

	while (i + 2 < was->n && was->all[i].until - was->all[i - 1].until > NEAR)
		i++;
	return i;
}

/* Versions that ended within PERIOD before the last change, and the current one. */
static int go_on(struct service *s, const struct service *was, const struct mt_l4_service_conf *c,
	uint64_t now)
{
	const struct version *last = &was->all[was->n - 1];
	bool same = is_same(last, c);
	uint64_t changed = !same ? now : was->n > 1 ? was->all[was->n - 2].until : 0;
	uint32_t first = oldest(was, changed, now), skip = was->n;
	int rc = 0;

	if (!same && was->n - first > CHANGES)
		skip = forgotten(was, first);
	for (uint32_t i = first; !rc && i + 1 < was->n; i++)
		if (i != skip)
			rc = append(s, was->all[i].v, was->all[i].n, was->all[i].until);
	if (!rc && !same)
		rc = append(s, last->v, last->n, now);
	return rc ? rc : append(s, c->endpoints, c->n_endpoints, UINT64_MAX);
}

int mt_forward_past_next(const struct mt_forward_past *was, struct mt_l4_service_conf *v,
	uint32_t n, uint64_t now, struct mt_forward_past **out)
{
	struct mt_forward_past *p = calloc(1, sizeof(*p) + n * sizeof(p->services[0]));
	int rc = p ? 0 : -ENOMEM;

	for (uint32_t i = 0; !rc && i < n; i++) {
		const struct service *old;
		struct service *s;

		if (!is_remembered(&v[i]))
			continue;
		s = &p->services[p->n++];
		s->id = v[i].id;
		old = find(was, s->id);
		rc = old ? go_on(s, old, &v[i], now)
			 : append(s, v[i].endpoints, v[i].n_endpoints, UINT64_MAX);
		if (rc || s->n == 1)
			continue;
		v[i].before = s->all[0].v;
		v[i].n_before = s->all[0].n;
		v[i].before_until = s->all[s->n - 2].until + PERIOD;
	}
	if (rc) {
		mt_forward_past_free(p);
		return rc;
	}
	*out = p;
	return 0;
}
