/* SPDX-License-Identifier: Apache-2.0 */
/* TLS streams: creation and end, the lower stream's events, timers. */
#include "layer_priv.h"

#define TIMERS 256 /* run in one loop iteration, at most */

/* ---- life ---- */

struct tls_conn *tls_conn_new(struct mt_tls_layer *l)
{
	struct tls_conn *c = mt_slab_alloc(&l->streams, NULL);

	if (!c)
		return NULL;
	c->layer = l;
	c->s.ops = &l->ops;
	c->s.user = &tls_nobody;
	c->deadline = c->retry_at = MT_NEVER;
	mt_timer_init(&c->timer);
	return c;
}

void tls_take_lower(struct tls_conn *c, struct mt_stream *lower)
{
	c->lower = lower;
	c->given = mt_stream_positions(lower).accepted;
	c->s.tx_high = lower->tx_high;
	c->s.rx_class = lower->rx_class;
	c->s.tx_class = lower->tx_class;
	c->s.silent = lower->silent;
}

static void let_go_of_bytes(struct tls_conn *c)
{
	mt_chain_free(&c->s.rx);
	mt_chain_free(&c->plain);
	c->s.keeps = false;
}

void tls_conn_free(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;

	if (l->ahead == c)
		l->ahead = NULL;
	tls_hands_off(c);
	l->coming -= c->coming;
	let_go_of_bytes(c);
	mt_wheel_cancel(&l->wheel, &c->timer);
	tls_peer_drop(c);
	if (c->k) {
		mt_tls_record_fini(&l->records, &c->k->r);
		mt_slab_free(&l->keyed, c->k);
	}
	mt_slab_free(&l->streams, c);
}

void tls_arm(struct tls_conn *c)
{
	mt_wheel_arm(&c->layer->wheel, &c->timer, MT_MIN(c->deadline, c->retry_at));
}

void tls_put_off(struct tls_conn *c)
{
	c->retry_at = c->layer->now + TLS_RETRY_NS;
	tls_arm(c);
}

/*
 * True if the peer has acknowledged all of the user's bytes, so that ending by an alert loses none.
 */
static bool all_arrived(struct tls_conn *c)
{
	tls_look_acked(c);
	return c->k->notes.n == 0 && c->sealed == c->accepted;
}

void tls_end_lower(struct tls_conn *c, int alert, enum mt_abort_reason why)
{
	struct mt_chain out = {0};
	bool told = alert >= 0 && c->k && all_arrived(c) &&
		    mt_tls_record_end(
			    &c->layer->records, &c->k->r, (enum mt_tls_alert)alert, &out) == 0;

	let_go_of_bytes(c);
	tls_sync(c);
	if (told) {
		mt_count(c->layer->counts, MT_TLS_N_alert_out);
		mt_stream_send(c->lower, &out);
	}
	/* A failed handshake has already sent its alert. */
	if (told || c->state == TLS_FAILED)
		mt_stream_detach(c->lower);
	else
		mt_stream_abort(c->lower, why);
	mt_chain_free(&out);
}

void tls_fail(struct tls_conn *c, int alert, enum mt_abort_reason why, enum mt_close_reason reason)
{
	if (alert >= 0) {
		c->alert = (uint8_t)alert;
		c->alert_sent = true;
	}
	if (c->known)
		c->s.user->closed(&c->s, reason);
	c->s.user = &tls_nobody;
	tls_end_lower(c, alert, why);
	tls_conn_free(c);
}

/* ---- the lower stream's events ---- */

static void on_connected(struct mt_stream *lower)
{
	tls_connect(tls_above(lower));
}

static void on_readable(struct mt_stream *lower)
{
	struct tls_conn *c = tls_above(lower);

	/* The same as tls_pump() for an open stream, which is the usual case. */
	if (mt_likely(c->state == TLS_OPEN && !c->broken))
		tls_receive(c);
	else
		tls_pump(c);
}

/* Reports newly acknowledged bytes to the user. */
static void tell_acked(struct tls_conn *c)
{
	uint64_t acked = c->k->notes.floor;
	uint32_t bytes = (uint32_t)(acked - c->told);

	if (!bytes)
		return;
	c->told = acked;
	if (c->s.user->acked)
		c->s.user->acked(&c->s, bytes);
}

/*
 * For acknowledgements that matter: text is kept until then, more may be sent, or the user waits
 * for its queue to shrink.
 */
static void acked_for_who_waits(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	struct mt_ref ref = mt_slab_ref(&l->streams, c);

	tls_look_acked(c);
	tls_drop_plain(c);
	tls_flush(c); /* sends what waited for the reserve */
	if (c->s.want_writable && c->s.tx_queued <= c->s.tx_high / 2) {
		c->s.want_writable = false;
		c->s.user->writable(&c->s);
	}
	if (mt_slab_live(&l->streams, ref))
		tell_acked(c);
}

static void on_acked(struct mt_stream *lower, uint32_t bytes)
{
	struct tls_conn *c = tls_above(lower);

	if (mt_unlikely(c->state != TLS_OPEN)) {
		tls_sync(c);
		return;
	}
	if (mt_unlikely(c->plain.len || c->s.want_writable || tls_owes(c))) {
		acked_for_who_waits(c);
		return;
	}
	tls_follow(c);
	if (!c->s.user->acked)
		return;
	tls_look_acked(c);
	tell_acked(c);
}

/* Does nothing: on_acked() calls the user's writable(). */
static void on_writable(struct mt_stream *lower)
{
}

static void on_closed(struct mt_stream *lower, enum mt_close_reason reason)
{
	struct tls_conn *c = tls_above(lower);

	if (c->state == TLS_SHAKING) {
		c->layer->failed[MT_TLS_WHY_peer_closed]++;
		c->reason = MT_TLS_WHY_peer_closed;
	}
	tls_receive_rest(c);
	if (c->state == TLS_FAILED)
		reason = (enum mt_close_reason)c->close;
	else if (reason == MT_CLOSE_OK && !c->closed_in)
		reason = MT_CLOSE_RESET;
	if (c->known)
		c->s.user->closed(&c->s, reason);
	tls_conn_free(c);
}

static void on_holds(struct mt_stream *lower, struct mt_sums *sums)
{
	struct tls_conn *c = tls_above(lower);
	struct mt_stream *s = &c->s;

	sums->of[s->rx_class] += s->rx.truesize;
	sums->of[s->tx_class] += c->plain.truesize;
	if (s->keeps && s->user->holds)
		s->user->holds(s, sums);
	lower->keeps = s->rx.truesize || c->plain.truesize || s->keeps;
}

static void on_evict(struct mt_stream *lower, enum mt_class class)
{
	struct tls_conn *c = tls_above(lower);

	if (c->s.user->evict)
		c->s.user->evict(&c->s, class);
	else if (c->detached || !c->known)
		tls_fail(c, -1, MT_ABORT_SLOW, MT_CLOSE_LOCAL);
}

static struct mt_addr holder_of(const struct mt_stream *lower)
{
	const struct tls_conn *c = tls_above(lower);

	return c->s.user->holder ? c->s.user->holder(&c->s) : mt_stream_ends(lower)->remote;
}

static void prefetch(const struct mt_stream *lower)
{
	struct mt_tls_layer *l = lower->user_ctx;

	l->ahead = tls_above(lower);
	for (size_t at = 0; at < TLS_CONN_HOT; at += MT_CACHE_LINE)
		__builtin_prefetch((const char *)l->ahead + at, 1);
}

void tls_look_ahead(struct mt_tls_layer *l)
{
	const struct tls_conn *c = l->ahead;

	l->ahead = NULL;
	if (!c || !c->k)
		return;
	mt_tls_record_prefetch(&c->k->r);
	__builtin_prefetch(&c->k->seq, 1);
	if (c->s.user->prefetch)
		c->s.user->prefetch(&c->s);
}

#define LOWER_USER                                                                                 \
	.prefetch = prefetch, .connected = on_connected, .readable = on_readable,                  \
	.eof = on_readable, .writable = on_writable, .acked = on_acked, .closed = on_closed,       \
	.holds = on_holds, .evict = on_evict

const struct mt_stream_user tls_lower_user = {LOWER_USER};
const struct mt_stream_user tls_lower_user_of_held = {LOWER_USER, .holder = holder_of};

static void never(struct mt_stream *s)
{
	mt_chain_free(&s->rx);
}

static void never_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

const struct mt_stream_user tls_nobody = {.connected = never,
	.readable = never,
	.eof = never,
	.writable = never,
	.closed = never_closed};

/* ---- per-worker state ---- */

static void fire(void *arg, struct mt_timer *t)
{
	struct tls_conn *c = mt_container_of(t, struct tls_conn, timer);
	uint64_t now = c->layer->now;

	if (now >= c->retry_at) {
		c->retry_at = MT_NEVER;
		c->retry = true;
	}
	if (now < c->deadline)
		tls_arm(c);
	mt_stream_again(c->lower);
}

void mt_tls_layer_resumed(struct mt_tls_layer *l, uint64_t now)
{
	l->grace_until = now + MT_TLS_RESUME_MS * MT_MSEC;
}

void mt_tls_layer_turn(struct mt_tls_layer *l, uint64_t now)
{
	l->now = now;
	(void)mt_wheel_run(&l->wheel, now, TIMERS, fire, l);
}
