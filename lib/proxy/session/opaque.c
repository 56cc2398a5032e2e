/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opaque TCP: one server connection per client connection, connected as soon as the client is
 * accepted, because the server may speak first. A FIN is forwarded as a FIN. A reset is forwarded
 * when the other side has acknowledged the bytes that came before the reset (opaque_cut.c). Bytes
 * that cannot be sent on one side stay in the receive window of the other, so TCP's flow control
 * limits the memory of a stream.
 */
#include "mt_hello.h"
#include "mt_mutant.h"
#include "session/mt_session_priv.h"

const struct mt_lanes *mt_opaque_lanes(const struct mt_stream *s)
{
	if (s->user == &mt_pair_up_user)
		return mt_pair_of(s)->lanes;
	return s->user == &mt_pair_cut_user && mt_pair_of(s)->up == s ? mt_pair_of(s)->lanes : NULL;
}

/* ---- life ---- */

void mt_opaque_free(struct mt_proxy *p, struct mt_pair *pr)
{
	mt_count(p->counters, MT_PROXY_down_closed);
	mt_wheel_cancel(&p->wheel, &pr->timer);
	mt_opaque_leave_connecting(p, pr);
#ifdef MT_STATES
	MT_ASSERT(!pr->logged);
#endif
	mt_slab_free(&p->pairs, pr);
}

void mt_opaque_forget_up(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_lanes *ln = pr->lanes;

	mt_waiting_ended(p, pr, false);
	if (mt_unlikely(pr->logged))
		mt_stream_log_up(p, pr);
	pr->up = NULL;
	pr->lanes = NULL;
	mt_lanes_conn_left(p, ln, MT_UP_PINNED);
	p->ep_stats[ln->ep_index].conns_active--;
	p->ep_stats[ln->ep_index].streams--;
	mt_count(p->counters, MT_PROXY_up_closed);
	mt_lanes_maybe_free(p, ln);
}

static void abort_up(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = pr->up;

	if (!s)
		return;
	mt_opaque_forget_up(p, pr);
	mt_stream_abort(s, why);
}

void mt_opaque_abort_down(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = pr->down;

	pr->down = NULL;
	if (s)
		mt_stream_abort(s, why);
	mt_opaque_free(p, pr);
}

/* ---- numbers ---- */

void mt_opaque_count_for(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc)
{
	pr->service = svc ? (uint16_t)(svc->index + 1) : 0;
	pr->version = (uint32_t)p->snap->version;
	if (svc)
		(void)mt_stats_service(p, svc);
}

struct mt_service_stats *mt_opaque_stats(struct mt_proxy *p, struct mt_pair *pr)
{
	if (mt_unlikely(pr->version != (uint32_t)p->snap->version))
		mt_opaque_count_for(p, pr, mt_opaque_service(mt_opaque_proto(p, pr)));
	return mt_likely(pr->service) ? &p->service_stats[pr->service - 1] : NULL;
}

void mt_opaque_count_closed(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st =
		pr->down && mt_opaque_was_joined(pr) ? mt_opaque_stats(p, pr) : NULL;

	if (st)
		st->closed++;
}

static void log_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_ending ending)
{
	if (mt_unlikely(pr->logged))
		mt_stream_log_end(p, pr, ending);
}

/* ---- bytes ---- */

/* Forwards bytes from one side to the other, and returns their number. */
static uint32_t pass(struct mt_stream *from, struct mt_stream *to)
{
	struct mt_chain c;
	uint32_t n;

	if (from->rx.len == 0 || mt_stream_sendable(to) == 0)
		return 0;
	c = mt_chain_take(&from->rx);
	n = c.len;
	mt_stream_consumed(from);
	mt_stream_send(to, &c);
	return n;
}

/* True if the FIN has come and all bytes before it are forwarded. */
static bool has_ended(const struct mt_stream *from)
{
	return mt_unlikely(from->rx_eof) && from->rx.len == 0;
}

static void pass_fin(struct mt_stream *to)
{
	if (!mt_mutant(MT_MUTANT_fin_not_passed))
		mt_stream_shutdown(to);
}

/*
 * Length of a TLS record header and the message type. If so many bytes may still be the start of a
 * ClientHello, the client uses TLS.
 */
#define HELLO_SHOWN 6

/*
 * Classifies the first bytes of a client that was silent in protocol detection, because its TLS
 * must not reach a server as plaintext. MORE: too few bytes; OTHER: plaintext; else TLS.
 */
static enum mt_hello_rc hear(const struct mt_pair *pr)
{
	const struct mt_stream *s = pr->down;
	struct mt_hello h;
	enum mt_hello_rc rc;

	if (s->rx.len == 0)
		return MT_HELLO_MORE;
	mt_hello_init(&h, &s->rx);
	rc = mt_hello_read(&h);
	return rc == MT_HELLO_MORE && (s->rx.len >= HELLO_SHOWN || s->rx_eof) ? MT_HELLO_WHOLE : rc;
}

/* False: the client's first bytes are TLS, and the session has ended. */
static mt_noinline bool is_heard(struct mt_proxy *p, struct mt_pair *pr)
{
	enum mt_hello_rc heard = hear(pr);

	pr->unheard = heard == MT_HELLO_MORE;
	if (heard == MT_HELLO_MORE || heard == MT_HELLO_OTHER)
		return true;
	mt_opaque_end(p, pr, MT_PROXY_hello_late, MT_ABORT_PROTOCOL);
	return false;
}

static void pump(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st;
	uint32_t in, out;

	if (mt_likely(!pr->fin_waits))
		pr->last_ms = mt_opaque_ms(p);
	if (pr->connecting || !pr->down || !pr->up)
		return;
	if (pr->up->rx.len)
		mt_waiting_answered(p, pr);
	if (mt_unlikely(pr->unheard) && !is_heard(p, pr))
		return;
	in = mt_unlikely(pr->unheard) ? 0 : pass(pr->down, pr->up);
	if (in && !pr->waits)
		mt_waiting_asked(p, pr);
	if (has_ended(pr->down) && !pr->fin_to_up) {
		pr->fin_to_up = true;
		pass_fin(pr->up);
	}
	out = pass(pr->up, pr->down);
	if (mt_likely(out))
		pr->up->no_reclaim = true; /* the client has bytes of this server: no reconnect */
	if (has_ended(pr->up) && !pr->fin_to_down && !mt_opaque_fin_waits(p, pr)) {
		pr->fin_to_down = true;
		pass_fin(pr->down);
		mt_waiting_ended(p, pr, true);
	}
	st = mt_opaque_stats(p, pr);
	if (mt_likely(st)) {
		st->bytes_in += in;
		st->bytes_out += out;
	}
	if (mt_unlikely(pr->fin_to_up != pr->fin_to_down) && !pr->fin_waits)
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + p->conf.half_closed_s * MT_SEC);
}

void mt_opaque_timer(struct mt_proxy *p, struct mt_pair *pr)
{
	uint64_t quiet = mt_opaque_ms(p) - pr->last_ms, limit = p->conf.half_closed_s * 1000ull;

	if (mt_unlikely(pr->cut)) {
		mt_opaque_cut_timer(p, pr);
		return;
	}
	if (pr->connecting && mt_connecting_of(p, pr)->filter_at) {
		mt_opaque_filters_timer(p, pr, mt_connecting_of(p, pr));
		return;
	}
	if (pr->connecting) {
		mt_count(p->counters, MT_PROXY_demand_late);
		mt_connecting_of(p, pr)->refused = MT_ENDING_on_demand_late;
		mt_opaque_give_up(p, pr);
		return;
	}
	if (pr->fin_waits) {
		pump(p, pr);
		return;
	}
	if (quiet < limit) {
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + (limit - quiet) * MT_MSEC);
		return;
	}
	mt_opaque_end(p, pr, MT_PROXY_opaque_half_closed_timeout, MT_ABORT_SLOW);
}

/* ---- events ---- */

/* Either side has received bytes or a FIN, or can send more. */
static void on_any(struct mt_stream *s)
{
	pump(s->user_ctx, mt_pair_of(s));
}

static void on_connected(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = mt_pair_of(s);

	/* Rules may have been published while the connection opened. */
	if (mt_unlikely(mt_connecting_of(p, pr)->snap != p->snap) &&
		mt_authorize_opaque_ends(p, pr, &(uint32_t){0})) {
		mt_opaque_end_denied(p, pr);
		return;
	}
	mt_opaque_joined(p, pr);
	pump(p, pr);
}

/*
 * Sends the bytes received from a side that was cut off to the other side, even if that has no room
 * in its send queue. They are a receive window at most.
 */
static void pass_rest(struct mt_proxy *p, struct mt_pair *pr, struct mt_stream *from)
{
	bool is_up = from == pr->up;
	struct mt_stream *to = is_up ? pr->down : pr->up;
	struct mt_service_stats *st = pr->down ? mt_opaque_stats(p, pr) : NULL;
	bool passed = is_up ? pr->fin_to_down : pr->fin_to_up;
	uint32_t n = from->rx.len;

	/*
	 * With fin_waits the server's FIN is not forwarded: the other side gets only the reset. The
	 * few bytes of a client that is `unheard` are not forwarded, because they may be TLS.
	 */
	if (!to || passed || pr->fin_waits || (!is_up && pr->unheard))
		return;
	mt_opaque_pass_rest(from, to);
	if (st)
		*(is_up ? &st->bytes_out : &st->bytes_in) += n;
	if (is_up)
		pr->fin_to_down = from->rx_eof;
	else
		pr->fin_to_up = from->rx_eof;
}

static void on_up_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = mt_pair_of(s);

	if (pr->connecting) {
		mt_opaque_not_connected(p, pr, reason);
		return;
	}
	mt_account_connection(p, pr->lanes, false, reason);
	if (reason != MT_CLOSE_OK && mt_opaque_retry(p, pr))
		return;
	if (reason != MT_CLOSE_OK)
		pass_rest(p, pr, s);
	mt_opaque_forget_up(p, pr);
	mt_opaque_count_closed(p, pr);
	log_end(p, pr, MT_ENDING_stream);
	if (reason != MT_CLOSE_OK) {
		mt_opaque_cut(p, pr);
		return;
	}
	/*
	 * The server connection has ended in order in both directions. TCP still delivers the bytes
	 * that are queued for the client, and then a FIN.
	 */
	if (pr->down)
		mt_stream_detach(pr->down);
	mt_opaque_free(p, pr);
}

static void on_down_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = mt_pair_of(s);
	struct mt_service_stats *st = mt_opaque_was_joined(pr) ? NULL : mt_opaque_stats(p, pr);
	struct mt_stream *up = pr->up;

	if (st)
		st->client_left++;
	mt_opaque_count_closed(p, pr);
	if (up && reason != MT_CLOSE_OK && !pr->connecting) {
		pass_rest(p, pr, s);
		log_end(p, pr, MT_ENDING_stream);
		pr->down = NULL;
		mt_opaque_cut(p, pr);
		return;
	}
	log_end(p, pr, mt_opaque_was_joined(pr) ? MT_ENDING_stream : MT_ENDING_client_closed);
	if (up && reason == MT_CLOSE_OK) {
		mt_opaque_forget_up(p, pr);
		mt_stream_detach(up);
	} else if (up) {
		mt_count(p->counters, MT_PROXY_opaque_reset);
		abort_up(p, pr, MT_ABORT_RELAYED);
	}
	mt_opaque_free(p, pr);
}

struct mt_addr mt_opaque_client_of(const struct mt_stream *s)
{
	const struct mt_pair *pr = mt_pair_of(s);

	return mt_stream_ends(pr->down ? pr->down : s)->remote;
}

void mt_opaque_end_denied(struct mt_proxy *p, struct mt_pair *pr)
{
	if (pr->connecting) {
		mt_connecting_of(p, pr)->refused = MT_ENDING_connection_denied;
		mt_opaque_joins_nobody(p, pr);
	} else {
		mt_opaque_count_closed(p, pr);
	}
	log_end(p, pr, MT_ENDING_connection_denied);
	abort_up(p, pr, MT_ABORT_CANCELLED);
	mt_opaque_abort_down(p, pr, MT_ABORT_CANCELLED);
}

void mt_opaque_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_proxy_outcome why,
	enum mt_abort_reason reset)
{
	mt_count(p->counters, why);
	if (pr->connecting) {
		mt_connecting_of(p, pr)->refused =
			why == MT_PROXY_evicted_streaming ? MT_ENDING_overload : MT_ENDING_reset;
		mt_opaque_joins_nobody(p, pr);
	} else {
		mt_opaque_count_closed(p, pr);
	}
	log_end(p, pr, MT_ENDING_reset);
	abort_up(p, pr, reset);
	mt_opaque_abort_down(p, pr, reset);
}

/* The ledger may call this for either side, because both are charged together. */
static void on_evict(struct mt_stream *s, enum mt_class c)
{
	mt_opaque_end(s->user_ctx, mt_pair_of(s), MT_PROXY_evicted_streaming, MT_ABORT_SLOW);
}

static void on_prefetch(const struct mt_stream *s)
{
	__builtin_prefetch(mt_pair_of(s), 1);
}

/* Clients are connected when they are accepted. */
static void never(struct mt_stream *s)
{
}

const struct mt_stream_user mt_pair_down_user = {
	.prefetch = on_prefetch,
	.connected = never,
	.readable = on_any,
	.eof = on_any,
	.writable = on_any,
	.closed = on_down_closed,
	.holds = mt_opaque_holds,
	.evict = on_evict,
};

const struct mt_stream_user mt_pair_up_user = {
	.prefetch = on_prefetch,
	.connected = on_connected,
	.readable = on_any,
	.eof = on_any,
	.writable = on_any,
	.closed = on_up_closed,
	.evict = on_evict,
	.holder = mt_opaque_client_of,
};
