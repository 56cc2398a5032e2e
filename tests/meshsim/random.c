/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a control plane and on the way to it, by chance. */
#include "world.h"

#include <string.h>

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)(mt_rand_u64(&w->rng) % n);
}

static bool chance(struct world *w, uint32_t percent)
{
	return below(w, 100) < percent;
}

static void lead(struct world *w, struct body *b, uint32_t n, enum mt_xds_type type)
{
	b->n_targets = n;
	for (uint32_t k = 0; k < n; k++)
		b->targets[k] = below(w, names_of(type));
	if (n == 2 && b->targets[0] == b->targets[1])
		b->n_targets = 1;
}

static void change(struct world *w)
{
	enum mt_xds_type type = (enum mt_xds_type)below(w, PLANE_TYPES);
	struct body *b = plane_body(&w->plane, type, below(w, names_of(type)));

	b->n_eps = chance(w, 80) ? 1 + below(w, 3) : 0;
	b->fixed = type == MT_XDS_CDS && chance(w, 15);
	b->meta = type == MT_XDS_LDS && chance(w, 60);
	b->fetch_s = chance(w, 20) ? 3 : FETCH_S;
	if (b->meta)
		lead(w, b, 1, MT_XDS_RDS);
	else if (type == MT_XDS_LDS || type == MT_XDS_RDS)
		lead(w, b, 1 + below(w, 2), MT_XDS_CDS);
	b->empty = type == MT_XDS_RDS && chance(w, 8);
	if (!b->empty && chance(w, 12))
		b->bad = chance(w, 50) ? BAD_FIELD : BAD_WIRE;
	/* An address that is none needs an endpoint to have it. */
	if (b->bad == BAD_FIELD && (type == MT_XDS_EDS || type == MT_XDS_CDS))
		b->n_eps = MT_MAX(b->n_eps, 1u);
	if (w->delta && chance(w, 6))
		b->ttl_s = 2 + below(w, 20);
	plane_set(&w->plane, b);
}

static void take_away(struct world *w)
{
	enum mt_xds_type type = (enum mt_xds_type)below(w, PLANE_TYPES);

	plane_remove(&w->plane, type, below(w, names_of(type)));
}

/* A content that was there before. */
static void go_back(struct world *w)
{
	struct plane *p = &w->plane;

	if (p->n_bodies)
		plane_set(p, p->bodies[below(w, p->n_bodies)]);
}

/* What waits is forgotten: only what is in force is kept. */
static void unsure(struct world *w)
{
	for (uint32_t i = 0; i < w->plane.n_bodies; i++) {
		struct body *b = w->plane.bodies[i];

		b->sure &= w->force.serial[b->type][b->name] == b->serial;
	}
}

static void restart(struct world *w)
{
	unsure(w);
	world_stop(w);
	wire_hang_up(&w->plane.wire);
	w->restarts++;
	/* The last life's snapshot is not what the first one of this life follows; what it holds is checked all the same. */
	w->publishes = 0;
	world_start(w);
}

static void happen(struct world *w)
{
	struct plane *p = &w->plane;
	uint32_t what = below(w, 100);

	if (what < 62) {
		for (uint32_t n = 1 + below(w, 4); n > 0; n--)
			change(w);
	} else if (what < 72) {
		take_away(w);
	} else if (what < 76) {
		go_back(w);
	} else if (what < 81) {
		plane_again(p);
	} else if (what < 85) {
		wire_hang_up(&p->wire);
	} else if (what < 88) {
		p->wire.cut = below(w, 3000);
	} else if (what < 90) {
		wire_down(&p->wire);
	} else if (what < 94) {
		wire_up(&p->wire);
	} else if (what < 95) {
		restart(w);
	} else if (what < 97) {
		p->wire.silent = !p->wire.silent;
	} else if (what < 98) {
		p->wire.refuse = p->wire.refuse ? 0 : 14;
	} else {
		p->resend = chance(w, 30);
		p->partial = chance(w, 50);
		p->latest_ms = chance(w, 50) ? 0 : 1 + below(w, 4000);
	}
}

static void heal(struct world *w)
{
	struct plane *p = &w->plane;

	wire_up(&p->wire);
	p->wire.silent = false;
	p->wire.refuse = 0;
	p->wire.cut = -1;
	p->resend = false;
	p->latest_ms = 0;
}

/* The mesh is no more: nothing of it stays. */
static void leave(struct world *w)
{
	struct mt_xds_info info;

	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t i = 0; i < names_of((enum mt_xds_type)t); i++)
			plane_remove(&w->plane, (enum mt_xds_type)t, i);
	world_pass(w, 20 * MT_SEC, 200 * MT_MSEC);
	mt_xds_info(w->x, &info);
	if (info.n_known || info.bytes)
		world_wrong(w, "the mesh is gone, and %u resources of %zu bytes are still known",
			info.n_known, info.bytes);
}

void random_run(struct world *w, uint32_t rounds)
{
	wire_up(&w->plane.wire);
	world_start(w);
	for (uint32_t i = 0; i < rounds && !w->wrong[0]; i++) {
		happen(w);
		if (chance(w, 10))
			world_pass(w, below(w, 20000) * MT_MSEC, 100 * MT_MSEC);
		else
			world_pass(w, below(w, 1500) * MT_MSEC, (5 + below(w, 45)) * MT_MSEC);
	}
	heal(w);
	/* A dead connection is noticed within 70 s, back-off takes 30 s, warming 15 s, and a refusal 5 s. */
	world_pass(w, 200 * MT_SEC, 200 * MT_MSEC);
	check_end(w);
	leave(w);
}
