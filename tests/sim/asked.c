/* SPDX-License-Identifier: Apache-2.0 */
#include "asked.h"

#include "mesh.h"
#include "mt_callout_priv.h"

#include <string.h>

#define SOON (20 * MT_MSEC)

struct asked *asked_new(struct sim *s, struct mesh *m, uint64_t late, bool fail_open)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {.name = "sim",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};
	struct asked *a = aligned_alloc(MT_CACHE_LINE, sizeof(*a));

	MT_ASSERT(a);
	memset(a, 0, sizeof(*a));
	a->sim = s;
	a->mesh = m;
	a->late = late;
	a->provider = mt_extauthz_provider_new(&conf);
	MT_ASSERT(a->provider);
	for (uint32_t i = 0; i < s->workers; i++) {
		a->lane[i] = aligned_alloc(MT_CACHE_LINE, sizeof(*a->lane[i]));
		MT_ASSERT(a->lane[i] && mt_extauthz_lane_init(&a->x, a->lane[i]));
	}
	return a;
}

/* Questions of a seed that has failed are not answered any more. */
static void free_lane(struct mt_extauthz_lane *l)
{
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++) {
		struct mt_callout_slot *s = mt_callout_slot_at(&l->callout, i);

		mt_callout_drop(s->provider);
		s->provider = NULL;
	}
	mt_extauthz_lane_fini(l);
	free(l);
}

void asked_free(struct asked *a)
{
	for (uint32_t i = 0; i < a->sim->workers; i++)
		free_lane(a->lane[i]);
	if (!a->sim->failed && a->provider->callout.refs != 1)
		sim_fail(a->sim, "%u questions are left", a->provider->callout.refs - 1);
	mt_extauthz_drop(a->provider);
	free(a);
}

static void answer(struct sim *s, void *arg, uint64_t n)
{
	struct asked *a = arg;
	struct mt_extauthz_lane *l = a->lane[n / MT_EXTAUTHZ_SLOTS];

	mt_callout_lane_answered(mt_callout_slot_at(&l->callout, n % MT_EXTAUTHZ_SLOTS));
	mesh_kick(a->mesh, s->now);
}

/* That no client sends: the message stays as it is. */
static void remove_absent(struct mt_extauthz_slot *q)
{
	struct mt_extauthz_change *c = &q->change[q->n_changes++];

	c->remove = true;
	MT_ASSERT(mt_extauthz_put(q, &c->key, "absent", 6));
}

static void add(struct mt_extauthz_slot *q)
{
	struct mt_extauthz_change *c = &q->change[q->n_changes++];

	c->remove = false;
	MT_ASSERT(mt_extauthz_put(q, &c->key, ASKED_ADDS, sizeof(ASKED_ADDS) - 1));
	MT_ASSERT(mt_extauthz_put(q, &c->value, ASKED_ADDS, sizeof(ASKED_ADDS) - 1));
}

static bool denies(struct asked *a, const struct mt_extauthz_slot *q)
{
	return !a->adds &&
	       (mt_extauthz_text(q, q->method)[0] == 'b' || sim_one_in(&a->sim->host_rand, 8));
}

static void decide(struct asked *a, struct mt_extauthz_slot *q)
{
	bool deny = denies(a, q);

	q->used = q->n_changes = 0;
	if (deny) {
		q->verdict = MT_EXTAUTHZ_DENY;
		q->why = MT_EXTAUTHZ_denied;
		return;
	}
	q->verdict = MT_EXTAUTHZ_ALLOW;
	q->why = MT_EXTAUTHZ_allowed;
	a->n_allowed++;
	if (a->adds)
		add(q);
	else if (sim_one_in(&a->sim->host_rand, 2))
		remove_absent(q);
}

/*
 * The service is silent until the call's own timeout, which is shorter than the provider's. The
 * thread reports that, or it is late and then reports that there is no decision. Returns after how
 * many ns it does.
 */
static uint64_t expire(struct asked *a, struct mt_extauthz_slot *q)
{
	struct mt_rand *r = &a->sim->host_rand;
	bool late = sim_one_in(r, 2);

	mt_extauthz_unjudged(q, MT_EXTAUTHZ_late);
	if (!late)
		q->verdict = MT_EXTAUTHZ_EXPIRED;
	a->n_expired++;
	return q->timeout + (late ? sim_between(r, 0, SOON) : 0);
}

void asked_turn(struct asked *a, uint32_t worker)
{
	struct mt_extauthz_lane *l = a->lane[worker];
	struct mt_rand *r = &a->sim->host_rand;
	struct mt_extauthz_slot *q;

	while ((q = mt_extauthz_lane_asked(l))) {
		bool late = sim_one_in(r, 6);
		uint64_t after = late ? a->late : sim_between(r, 0, SOON);

		if (late && mt_extauthz_fails_open(a->provider))
			after = expire(a, q);
		else
			decide(a, q);
		a->n_asked++;
		sim_at(a->sim, a->sim->now + after, answer, a,
			worker * MT_EXTAUTHZ_SLOTS + mt_extauthz_index(l, q));
	}
}
