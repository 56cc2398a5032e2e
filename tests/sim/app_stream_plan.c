/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of streams: drawing them, starting, retrying and ending them, and the verdict. */
#include "app_stream_priv.h"

#include <string.h>

#define MAX_ATTEMPTS 8
/* How long the other side may take to notice an end whose reset was lost: retransmissions back off, on a bad wire again and again. */
#define NOTICE (120 * MT_SEC)
/* How long a stack goes on for an application that let go. */
#define PATIENCE (60 * MT_SEC)
/* How long until a dead host must have been noticed: retransmissions and keep-alive give up. */
#define NOTICE_DEATH (1200 * MT_SEC)

static void draw_part(struct stream_part *w, struct mt_rand *r, uint32_t max_len)
{
	static const uint32_t chunks[] = {1, 40, 384, 1000, 1448, 4096};

	w->len = STREAM_HELLO + (uint32_t)sim_between(r, 1, sim_one_in(r, 4) ? 200 : max_len);
	w->chunk = chunks[sim_below(r, MT_ARRAY_LEN(chunks))];
	if (w->len / w->chunk > 4000)
		w->chunk = 40;
	if (sim_one_in(r, 5) && w->len / w->chunk < 200)
		w->pace = sim_between(r, 10 * MT_USEC, 30 * MT_MSEC);
	if (sim_one_in(r, 5)) {
		w->read_max = (uint32_t)sim_between(r, 100, 4096);
		w->read_pace = sim_between(r, 100 * MT_USEC, 40 * MT_MSEC);
	}
	if (sim_one_in(r, 6))
		w->read_start = sim_between(r, MT_MSEC, 4 * MT_SEC);
}

void stream_plan_draw(struct stream_plan *p, struct mt_rand *r, uint32_t max_len, bool aborts)
{
	struct stream_part *c = &p->part[STREAM_CLIENT], *v = &p->part[STREAM_SERVER];

	draw_part(c, r, max_len);
	draw_part(v, r, max_len);
	if (sim_one_in(r, 3))
		c->finish = STREAM_SHUT_AFTER;
	else if (sim_one_in(r, 2))
		v->finish = STREAM_SHUT_AFTER;
	if (aborts && sim_one_in(r, 3)) {
		struct stream_part *w = &p->part[sim_below(r, 2)];

		w->finish = sim_one_in(r, 3) ? STREAM_CLOSE : STREAM_ABORT;
		w->abort_at = sim_below(r, c->len + v->len);
	}
	for (uint32_t i = 0; i < STREAM_SIDES; i++) {
		p->part[i].plan = p;
		p->part[i].side = i;
		p->part[i].leaves = sim_one_in(r, 3);
		p->part[i].eager = i == STREAM_CLIENT && sim_one_in(r, 6);
	}
}

/* Where the death of the other host must be noticed; NULL: the plan is none of those that it ends. */
static struct sim_host *mourner(const struct stream_plan *p)
{
	return p->start < p->set->reborn ? p->set->alive : NULL;
}

static void over(struct stream_plan *p)
{
	if (!p->done) {
		p->done = true;
		p->set->left--;
	}
}

/* The other side did not notice: its reset was lost. The application gives up. */
static void not_noticed(void *ctx, uint64_t side)
{
	struct stream_plan *p = ctx;
	struct stream_part *w = &p->part[side];

	if (p->done || w->ended)
		return;
	if (w->sock && mourner(p)) {
		sim_fail(p->set->sim,
			"stream %u: the other host is dead and side %u did not notice", p->no,
			(unsigned int)side);
		return;
	}
	if (w->sock) {
		sim_trace(p->set->sim, "stream %u: side %u gives up", p->no, (unsigned int)side);
		sim_sock_abort(w->sock);
		w->sock = NULL;
	}
	w->ended = true;
	w->how = SIM_END_FAILED;
	w->ended_at = p->set->sim->now;
	over(p);
}

/* How long who reads slowly does so, also when what comes is a chunk at a time. */
static uint64_t reading(const struct stream_part *w, const struct stream_part *from)
{
	uint32_t piece = w->read_max ? MT_MIN(from->chunk, w->read_max) : from->chunk;

	return w->read_start + w->read_pace * (1 + from->len / piece);
}

void stream_part_ended(struct stream_part *w)
{
	struct stream_plan *p = w->plan;
	struct stream_part *o = &p->part[!w->side];
	struct sim_host *at = w->side == STREAM_CLIENT ? p->server : p->host;

	/* The other side is over, or there is none: never accepted, or on the host that is dead. */
	if (o->ended || (!o->sock && (mourner(p) || (w->side == STREAM_CLIENT && !o->connected &&
							    !w->connected))))
		over(p);
	else if (mourner(p))
		sim_host_at(mourner(p), p->set->sim->now + NOTICE_DEATH, not_noticed, p, !w->side);
	else
		sim_host_at(at,
			p->set->sim->now + NOTICE + reading(o, w) + (w->left ? PATIENCE : 0),
			not_noticed, p, !w->side);
}

static void start(void *ctx, uint64_t n)
{
	struct stream_plan *p = ctx;
	struct stream_part *w = &p->part[STREAM_CLIENT];

	p->attempts++;
	/* Nothing is left of an attempt before: it may have written, and even shut down, early. */
	w->sent = w->got = 0;
	w->shut = w->blocked = w->unread = false;
	w->write_at = 0;
	w->sock = sim_connect(p->host, &p->to, p->port, &stream_app, w);
	if (w->sock && w->eager)
		stream_write_early(w);
	if (!w->sock && !stream_retry(p)) {
		w->ended = true;
		w->how = SIM_END_FAILED;
		stream_part_ended(w);
	}
}

bool stream_retry(struct stream_plan *p)
{
	if (p->attempts >= MAX_ATTEMPTS || mourner(p))
		return false;
	sim_host_at(p->host, p->set->sim->now + 200 * MT_MSEC, start, p, 0);
	return true;
}

void stream_start(struct stream_set *set)
{
	set->left = set->n;
	for (uint32_t i = 0; i < set->n; i++) {
		set->plan[i].set = set;
		set->plan[i].no = i;
		sim_host_at(set->plan[i].host, set->plan[i].start, start, &set->plan[i], 0);
	}
}

bool stream_done(struct sim *s, void *arg)
{
	return ((struct stream_set *)arg)->left == 0;
}

void stream_stop(struct stream_set *set)
{
	for (uint32_t i = 0; i < 2 * set->n; i++) {
		struct stream_part *w = &set->plan[i / 2].part[i % 2];

		if (w->sock)
			sim_sock_abort(w->sock);
		w->sock = NULL;
		w->ended = true;
		over(w->plan);
	}
}

/* One side let go, the other one, or the path, took longer than that is borne. */
static bool outlasted(const struct stream_part *left, const struct stream_part *o)
{
	return left->left && o->how != SIM_END_OK && o->ended_at >= left->ended_at + PATIENCE;
}

static const char *verdict(const struct stream_set *set, const struct stream_plan *p)
{
	const struct stream_part *c = &p->part[STREAM_CLIENT], *v = &p->part[STREAM_SERVER];

	if (!p->done)
		return "not over at the deadline";
	if (outlasted(c, v) || outlasted(v, c))
		return NULL;
	if (c->aborted || v->aborted || set->lies || set->may_fail || mourner(p))
		return NULL;
	if (!c->connected)
		return "never connected";
	/* No server took it, and its client was told by a FIN. */
	if (set->turned_away && !p->accepted && !c->got)
		return NULL;
	if (set->by_proxy && !p->accepted && c->how == SIM_END_RESET && !c->got)
		return NULL;
	if (c->got != v->len)
		return "client misses bytes";
	if (v->got != c->len)
		return "server misses bytes";
	if (!c->eof || !v->eof)
		return "a FIN was not delivered";
	if (set->calm && (c->how != SIM_END_OK || v->how != SIM_END_OK))
		return "a disorderly end without a fault";
	return NULL;
}

void stream_check(struct stream_set *set)
{
	for (uint32_t i = 0; i < set->n && !set->sim->failed; i++) {
		const struct stream_plan *p = &set->plan[i];
		const struct stream_part *c = &p->part[STREAM_CLIENT], *v = &p->part[STREAM_SERVER];
		const char *bad = verdict(set, p);

		if (bad)
			sim_fail(set->sim,
				"stream %u: %s (client got %u/%u eof %d end %d, server got %u/%u "
				"eof %d end %d, attempts %u)",
				i, bad, c->got, v->len, c->eof, c->ended ? (int)c->how : -1, v->got,
				c->len, v->eof, v->ended ? (int)v->how : -1, p->attempts);
		else if (!c->aborted && !v->aborted)
			set->sim->st.exchanges++;
	}
}
