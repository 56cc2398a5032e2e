/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream's handshake: the hello, bytes to and from the handshake provider, the result. Creates
 * streams, too: tls_open() for those that we open, mt_tls_door_take() for accepted ones.
 */
#include "layer_priv.h"
#include "mt_siphash.h"

#include <errno.h>

/* Wait after the peer's FIN, because the bytes before it may complete the handshake. */
#define QUIET_NS (100 * MT_MSEC)

/* ---- a lane ---- */

static int lane_accept(void *arg, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out)
{
	return mt_tls_lane_accept(arg, c, h, owner, out);
}

static int lane_connect(void *arg, struct mt_tls_context *c, const char *sni, struct mt_ref owner,
	struct mt_ref *out)
{
	return mt_tls_lane_connect(arg, c, sni, owner, out);
}

static void lane_more(void *arg, struct mt_ref handshake, const struct mt_chain *c)
{
	mt_tls_lane_more(arg, handshake, c);
}

static void lane_cancel(void *arg, struct mt_ref handshake)
{
	mt_tls_lane_cancel(arg, handshake);
}

const struct mt_tls_hands mt_tls_lane_hands = {lane_accept, lane_connect, lane_more, lane_cancel};

/* ---- start ---- */

static void stop_waiting(struct tls_conn *c)
{
	if (c->waits)
		mt_tls_context_leave(c->context);
	c->waits = false;
}

/* ---- shares ---- */

static uint8_t share_of(const struct tls_conn *c)
{
	const struct mt_addr *a = &mt_stream_ends(c->lower)->remote;

	return (uint8_t)mt_siphash(c->layer->secret, a->b, mt_addr_is4(a) ? sizeof(a->b) : 8);
}

static bool share_is_full(const struct tls_conn *c)
{
	return c->layer->n_shaking >= MT_TLS_SHARE_FROM &&
	       c->layer->shaking[c->share] >= MT_TLS_SHARE;
}

static void take_share(struct tls_conn *c)
{
	c->shares = true;
	c->layer->shaking[c->share]++;
	c->layer->n_shaking++;
}

static void give_share(struct tls_conn *c)
{
	if (!c->shares)
		return;
	c->shares = false;
	c->layer->shaking[c->share]--;
	c->layer->n_shaking--;
}

void tls_hands_off(struct tls_conn *c)
{
	stop_waiting(c);
	give_share(c);
	if (c->state == TLS_SHAKING)
		c->layer->hands->cancel(c->layer->hands_arg, c->handshake);
}

/* Keeps incomplete input in rx with an open window, up to the input limit of a handshake. */
static void keep(struct tls_conn *c)
{
	mt_stream_keep(c->lower, MT_MIN(c->lower->rx.len, MT_TLS_INPUT_MAX));
}

static void begun(struct tls_conn *c, int rc, struct mt_ref handshake)
{
	if (rc) {
		if (c->state != TLS_WANTS)
			mt_count(c->layer->counts, MT_TLS_N_later);
		c->state = TLS_WANTS;
		tls_put_off(c);
		return;
	}
	c->handshake = handshake;
	c->state = TLS_SHAKING;
	if (!c->opened) {
		take_share(c);
		c->deadline = MT_MIN(c->deadline, c->layer->now + MT_TLS_SHAKE_MS * MT_MSEC);
		tls_arm(c);
	}
	if (c->lower->rx.len)
		c->layer->hands->more(c->layer->hands_arg, c->handshake, &c->lower->rx);
}

void tls_connect(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	struct mt_ref handshake;
	int rc = l->hands->connect(l->hands_arg, c->context, mt_tls_context_sni(c->context),
		mt_slab_ref(&l->streams, c), &handshake);

	if (rc == -EINVAL) {
		tls_fail(c, -1, MT_ABORT_CANCELLED, MT_CLOSE_LOCAL);
		return;
	}
	begun(c, rc, handshake);
	if (rc == 0)
		stop_waiting(c);
}

/* Sends an alert in plaintext, because no keys exist yet, and ends the stream. */
static void refuse(struct tls_conn *c, enum mt_tls_outcome count, enum mt_tls_alert alert)
{
	const uint8_t record[] = MT_TLS_ALERT_IN_CLEAR(alert);
	struct mt_chain out = {0};

	mt_count(c->layer->counts, count);
	if (mt_chain_write(&out, c->layer->records.pools, record, sizeof(record)) == 0) {
		mt_stream_send(c->lower, &out);
		c->state = TLS_FAILED;
	}
	tls_fail(c, -1, MT_ABORT_PROTOCOL, MT_CLOSE_HANDSHAKE);
}

/* Starts the handshake of a client whose hello is complete. */
static void serve(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	struct mt_tls_context *context;
	struct mt_hello_says says;
	struct mt_ref handshake = MT_REF_NONE;
	int rc;

	/*
	 * Do not parse in vain: the address has used its share, or this loop iteration has found no
	 * room.
	 */
	if (share_is_full(c) || (c->state == TLS_WANTS && l->full_at == l->now)) {
		begun(c, -EAGAIN, handshake);
		return;
	}
	if (!mt_hello_parse(&c->hello, l->hello, &says)) {
		refuse(c, MT_TLS_N_bad_hello, MT_TLS_DECODE_ERROR);
		return;
	}
	context = c->door->context(c->door->arg, c->lower, c->listener, &says, &c->tag);
	if (!context) {
		refuse(c, MT_TLS_N_unrecognized_name,
			says.name.len ? MT_TLS_UNRECOGNIZED_NAME : MT_TLS_HANDSHAKE_FAILURE);
		return;
	}
	c->context_id = mt_tls_context_id(context);
	rc = l->hands->accept(
		l->hands_arg, context, &c->hello, mt_slab_ref(&l->streams, c), &handshake);
	if (rc)
		l->full_at = l->now;
	begun(c, rc, handshake);
}

static void read_hello(struct tls_conn *c)
{
	switch (mt_hello_read(&c->hello)) {
	case MT_HELLO_MORE:
		if (c->lower->rx_eof)
			tls_fail(c, -1, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
		else
			keep(c);
		return;
	case MT_HELLO_WHOLE:
		keep(c);
		serve(c);
		return;
	case MT_HELLO_TOO_LONG:
		refuse(c, MT_TLS_N_bad_hello, MT_TLS_DECODE_ERROR);
		return;
	default:
		mt_count(c->layer->counts, MT_TLS_N_no_tls);
		tls_fail(c, -1, MT_ABORT_PROTOCOL, MT_CLOSE_HANDSHAKE);
	}
}

/* Continues a handshake after bytes, the peer's FIN or a timer. */
static void go_on(struct tls_conn *c, bool retry)
{
	keep(c);
	c->layer->hands->more(c->layer->hands_arg, c->handshake, &c->lower->rx);
	if (!c->lower->rx_eof || c->lower->rx.len)
		return;
	if (c->gone_quiet && retry) {
		mt_count(c->layer->counts, MT_TLS_N_no_close_notify);
		c->layer->failed[MT_TLS_WHY_peer_closed]++;
		c->reason = MT_TLS_WHY_peer_closed;
		tls_fail(c, -1, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
	} else if (!c->gone_quiet) {
		c->gone_quiet = true;
		c->retry_at = c->layer->now + QUIET_NS;
		tls_arm(c);
	}
}

void tls_shake(struct tls_conn *c)
{
	bool retry = c->retry;

	c->retry = false;
	switch (c->state) {
	case TLS_HELLO:
		read_hello(c);
		break;
	case TLS_WANTS:
		if (!retry && !c->opened)
			mt_stream_keep(c->lower, MT_MIN(c->lower->rx.len, c->hello.cur.pos));
		else if (!retry)
			keep(c);
		else if (c->opened)
			tls_connect(c);
		else
			serve(c);
		break;
	case TLS_SHAKING:
		go_on(c, retry);
		break;
	case TLS_FAILED:
		tls_fail(c, -1, MT_ABORT_PROTOCOL, (enum mt_close_reason)c->close);
		break;
	default: /* not connected: only the deadline matters */
		break;
	}
}

/* ---- result ---- */

static void failed(struct tls_conn *c, enum mt_tls_reason reason, enum mt_close_reason close)
{
	give_share(c);
	c->state = TLS_FAILED;
	c->reason = (uint8_t)reason;
	c->close = (uint8_t)close;
	c->layer->failed[reason]++;
	mt_stream_again(c->lower);
}

static void done(struct tls_conn *c, const struct mt_tls_result *r)
{
	struct mt_tls_layer *l = c->layer;

	give_share(c);
	c->k = mt_slab_alloc(&l->keyed, NULL);
	if (!c->k || !tls_peer_set(c, &r->peer)) {
		if (c->k)
			mt_slab_free(&l->keyed, c->k);
		c->k = NULL;
		failed(c, MT_TLS_WHY_internal, MT_CLOSE_NO_MEMORY);
		return;
	}
	mt_tls_record_init(&c->k->r, &r->keys, !c->opened);
	c->state = TLS_DONE;
	c->gone_quiet = false;
	c->retry_at = MT_NEVER;
	mt_stream_again(c->lower);
}

void mt_tls_layer_event(void *layer, const struct mt_tls_event *e)
{
	struct mt_tls_layer *l = layer;
	struct tls_conn *c = mt_slab_get(&l->streams, e->owner);
	struct mt_chain out = {0};
	bool lost;

	if (!c || c->state != TLS_SHAKING || !mt_ref_eq(c->handshake, e->handshake))
		return;
	if (e->used) {
		mt_chain_drop(&c->lower->rx, e->used);
		keep(c);
	}
	lost = e->out.len && mt_chain_write(&out, l->records.pools, e->out.p, e->out.len);
	tls_give(c, &out);
	tls_sync(c);
	if (e->kind == MT_TLS_EVENT_FAILED) {
		c->alert = e->result->alert;
		c->alert_sent = e->result->reason != MT_TLS_WHY_peer_alert;
		failed(c, e->result->reason,
			e->result->reason == MT_TLS_WHY_internal ? MT_CLOSE_NO_MEMORY
								 : MT_CLOSE_HANDSHAKE);
	} else if (lost) {
		l->hands->cancel(l->hands_arg, c->handshake);
		failed(c, MT_TLS_WHY_internal, MT_CLOSE_NO_MEMORY);
	} else if (e->kind == MT_TLS_EVENT_DONE) {
		done(c, e->result);
	} else if (e->kind == MT_TLS_EVENT_ROOM) {
		l->hands->more(l->hands_arg, c->handshake, &c->lower->rx);
	} else if (c->lower->rx_eof && c->lower->rx.len == 0) {
		mt_stream_again(c->lower);
	}
}

/* ---- the transport ---- */

struct mt_stream *tls_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct mt_tls_layer *l = (struct mt_tls_layer *)t;
	uint32_t ms = to->connect_ms ? to->connect_ms : MT_TLS_HELLO_MS;
	struct mt_stream_to down = *to;
	struct mt_stream *lower;
	struct tls_conn *c;

	if (!to->tls)
		return mt_stream_open(l->lower, to, why);
	*why = MT_CLOSE_NO_MEMORY;
	c = tls_conn_new(l);
	if (!c)
		return NULL;
	down.tls = NULL;
	down.user = to->user->holder ? &tls_lower_user_of_held : &tls_lower_user;
	down.user_ctx = l;
	down.owner_idx = mt_slab_idx(&l->streams, c);
	lower = mt_stream_open(l->lower, &down, why);
	if (!lower) {
		tls_conn_free(c);
		return NULL;
	}
	tls_take_lower(c, lower);
	c->opened = c->known = c->waits = true;
	c->context = mt_tls_context_hold(to->tls);
	c->context_id = mt_tls_context_id(to->tls);
	c->deadline = l->now + ms * MT_MSEC; /* for connecting and handshake together */
	tls_arm(c);
	c->s.user = to->user;
	c->s.user_ctx = to->user_ctx;
	c->s.owner_idx = to->owner_idx;
	return &c->s;
}

/* ---- the door ---- */

bool mt_tls_door_take(struct mt_tls_door *d, struct mt_stream *lower, int listener)
{
	struct mt_tls_layer *l = d->layer;
	struct tls_conn *c = l->coming < l->streams.cap / MT_TLS_COMING ? tls_conn_new(l) : NULL;

	if (!c)
		return false;
	tls_take_lower(c, lower);
	c->coming = true;
	l->coming++;
	c->share = share_of(c);
	c->door = d;
	c->listener = listener;
	c->state = TLS_HELLO;
	mt_hello_init(&c->hello, &lower->rx);
	c->deadline = l->now + MT_TLS_HELLO_MS * MT_MSEC;
	tls_arm(c);
	lower->user = &tls_lower_user;
	lower->user_ctx = l;
	lower->owner_idx = mt_slab_idx(&l->streams, c);
	if (lower->rx.len || lower->rx_eof)
		mt_stream_again(lower);
	return true;
}

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	const struct mt_tls_door *d = arg;

	return d->listen->lookup(d->arg, local, lport);
}

static bool on_accept(void *arg, struct mt_stream *lower, int listener)
{
	return mt_tls_door_take(arg, lower, listener);
}

const struct mt_listen_ops mt_tls_door_ops = {on_lookup, on_accept};
