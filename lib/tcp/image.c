/* SPDX-License-Identifier: Apache-2.0 */
/* The stack as an image (lib/image), from which another stack continues. */
#include "mt_image.h"
#include "mt_tcp_priv.h"

#include <errno.h>
#include <string.h>

void mt_tcp_image_parts(struct mt_tcp *t, struct mt_image *im)
{
	mt_image_space(im, t, sizeof(*t)); /* the list heads of the timer wheel */
	mt_image_space_slab(im, &t->conns);
	mt_image_user(im, &mt_tcp_user_none, NULL);
}

static void conn(struct mt_image *im, void *obj, void *arg)
{
	struct mt_tcp_conn *c = obj;
	struct mt_tcp *t = arg;

	mt_image_stream_user(im, &c->s);
	mt_image_chain(im, &c->s.rx);
	mt_image_chain(im, &c->tx);
	mt_image_list(im, &c->timer.node);
	if (!im->loading)
		return;
	c->s.ops = &t->ops;
	c->nxt_seg = NULL;
	c->dst.gen = 0; /* the route is looked up again */
}

static void out_of_order(struct mt_image *im, void *obj, void *arg)
{
	struct mt_tcp_ooo *o = obj;

	(void)arg;
	if (o->n > MT_TCP_OOO_RANGES) {
		mt_image_fail(im, -EINVAL, "too many ranges are out of order");
		o->n = 0; /* only a loaded object can have too many */
	}
	for (uint32_t i = 0; i < o->n; i++)
		mt_image_chain(im, &o->r[i].data);
	if (im->loading)
		memset(&o->r[o->n], 0, (MT_TCP_OOO_RANGES - o->n) * sizeof(o->r[0]));
}

static void loss(struct mt_image *im, void *obj, void *arg)
{
	(void)arg;
	if (im->loading)
		((struct mt_tcp_loss *)obj)->todo = NULL;
}

/* Pointers into the send queue, including those of the loss record. */
static void places(struct mt_image *im, void *obj, void *arg)
{
	struct mt_tcp_conn *c = obj;
	struct mt_tcp_loss *l = mt_tcp_loss(arg, c);

	mt_image_place(im, &c->tx, &c->nxt_seg);
	if (l)
		mt_image_place(im, &c->tx, &l->todo);
}

/* ---- state of the whole stack -------------------------------------------------------------- */

static void numbers(struct mt_image *im, struct mt_tcp *t)
{
	MT_IMAGE(im, t->secret);
	MT_IMAGE(im, t->hash_key);
	MT_IMAGE(im, t->rand);
	MT_IMAGE(im, t->now);
	MT_IMAGE(im, t->now_ms);
	MT_IMAGE(im, t->now_us);
	MT_IMAGE(im, t->pressure);
	MT_IMAGE(im, t->coalesce);
	MT_IMAGE(im, t->events);
	MT_IMAGE(im, t->flush);
	MT_IMAGE(im, t->waiting);
	MT_IMAGE(im, t->wait);
	MT_IMAGE(im, t->half);
	MT_IMAGE(im, t->cookie_until);
	MT_IMAGE(im, t->ignores_syns);
	MT_IMAGE(im, t->rst_tokens);
	MT_IMAGE(im, t->rst_ms);
	MT_IMAGE(im, t->rack_walked);
	MT_IMAGE(im, t->sweep_idx);
	MT_IMAGE(im, t->find_idx);
	MT_IMAGE(im, t->counters);
	mt_image_raw(im, t->paths, mt_tcp_paths_size());
}

static void time_wait(struct mt_image *im, struct mt_tcp *t)
{
	mt_image_same(im, t->tw_cap, "there is room for another number of connections that ended");
	MT_IMAGE(im, t->tw_head);
	MT_IMAGE(im, t->tw_n);
	MT_IMAGE(im, t->tw_live);
	mt_image_raw(im, t->tw_due, t->tw_cap * sizeof(*t->tw_due));
	mt_image_raw(im, t->tw_ring, t->tw_cap * sizeof(*t->tw_ring));
}

/* ---- the hot table ------------------------------------------------------------------------- */

static void enter(struct mt_image *im, struct mt_tcp *t, enum mt_tcp_kind kind, uint32_t idx)
{
	uint32_t val = mt_tcp_val(kind, idx);

	if (mt_table_insert(&t->table, t->table.hash_of(t, val), val) != 0)
		mt_image_fail(im, -ENOMEM, "there is no room for the connections of the image");
}

static void find_again(struct mt_image *im, struct mt_tcp *t)
{
	const struct mt_tcp_conn *c;
	uint32_t i;
	void *obj;

	for (i = 0; (c = mt_slab_next(&t->conns, &i));)
		if (c->flags & MT_CF_IN_TABLE)
			enter(im, t, MT_TCP_KIND_CONN, mt_slab_idx(&t->conns, c));
	for (i = 0; (obj = mt_slab_next(&t->halves, &i));)
		enter(im, t, MT_TCP_KIND_HALF, mt_slab_idx(&t->halves, obj));
	for (i = 0; (obj = mt_slab_next(&t->tws, &i));)
		if (t->tw_due[mt_slab_idx(&t->tws, obj)])
			enter(im, t, MT_TCP_KIND_TW, mt_slab_idx(&t->tws, obj));
}

/*
 * Connections that wait for a neighbour request it again, because the events of the previous worker
 * do not reach this one.
 */
static void ask_again(struct mt_tcp *t)
{
	for (uint16_t q = MT_TCP_WAIT_NEIGH; q < MT_TCP_WAITS; q++)
		while (t->wait[q].n)
			mt_tcp_mark(t, mt_tcp_wait_pop(t, q));
}

/*
 * The image was loaded only in part: objects that connections refer to by index may be missing. The
 * stack is about to be destroyed.
 */
static void let_go(struct mt_tcp *t)
{
	struct mt_tcp_conn *c;
	struct mt_tcp_ooo *o;
	uint32_t i;

	for (i = 0; (c = mt_slab_next(&t->conns, &i));)
		c->ooo = c->loss = 0;
	for (i = 0; (o = mt_slab_next(&t->ooos, &i));)
		for (uint32_t k = 0; k < o->n; k++)
			mt_chain_free(&o->r[k].data);
}

void mt_tcp_image(struct mt_tcp *t, struct mt_image *im)
{
	mt_image_section(im, "tcp");
	if (t->n_dead)
		mt_image_fail(im, -EAGAIN, "a turn is under way");
	numbers(im, t);
	time_wait(im, t);
	mt_image_slab(im, &t->conns, conn, t);
	mt_image_slab(im, &t->halves, NULL, NULL);
	mt_image_slab(im, &t->tws, NULL, NULL);
	mt_image_slab(im, &t->ooos, out_of_order, NULL);
	mt_image_slab(im, &t->losses, loss, NULL);
	mt_image_again(im, &t->conns, places, t);
	mt_image_wheel(im, &t->wheel);
	mt_image_ledger(im, &t->ledger);
	if (!im->loading)
		return;
	if (!im->error)
		find_again(im, t);
	if (im->error)
		let_go(t);
	else
		ask_again(t);
}
