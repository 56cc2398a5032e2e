/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chain selection: client connections for which the listener's filter chain, or the chain's
 * protocol, is not known yet. Their first bytes decide, whenever they come. A ClientHello contains
 * the server name and ALPN; one that is malformed or cut off is refused. All other bytes are
 * plaintext, and the codecs' `sniff` finds the protocol. The bytes stay in rx, charged to
 * *receiving*. Silence decides only if the server may speak first, or if the chain has a protocol
 * for any bytes.
 */
#include "client/mt_client_priv.h"
#include "mt_tls_alert.h"

#define SNIFFED 512 /* maximum number of bytes for `sniff` */

/* Decision about a connection. */
struct verdict {
	const struct mt_filter_chain_proto *proto; /* NULL: waits, to_tls or refused */
	enum mt_proxy_outcome why;		   /* of a refusal */
	bool waits;
	bool to_tls;  /* the TLS layer gets the connection */
	bool unheard; /* plaintext by silence; the client could have sent a ClientHello */
};

static const struct verdict wait_on = {.waits = true};
static const struct verdict to_tls = {.to_tls = true};

static struct verdict refuse(enum mt_proxy_outcome why)
{
	return (struct verdict){.why = why};
}

static struct verdict serve(const struct mt_filter_chain_proto *proto)
{
	return (struct verdict){.proto = proto};
}

static struct mt_chain_selection *selection_of(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->selections, s->owner_idx);
}

static struct mt_filter_chain_facts facts_of(const struct mt_chain_selection *u)
{
	const struct mt_tuple *t = mt_stream_ends(u->s);

	return (struct mt_filter_chain_facts){
		.local = t->local, .remote = t->remote, .lport = t->lport, .rport = t->rport};
}

/* ---- deciding ---------------------------------------------------------------------------------- */

/*
 * Finds the protocol of the received bytes. If a codec needs more bytes, waits for them, unless
 * `all` is set.
 */
static struct verdict sniff(const struct mt_chain_selection *u, bool all)
{
	const struct mt_chain *rx = &u->s->rx;
	uint32_t n = MT_MIN(rx->len, (uint32_t)SNIFFED);
	uint8_t bytes[SNIFFED];

	if (n == 0 && u->chain->n_protos > 1)
		return wait_on;
	mt_chain_read(rx, 0, bytes, n);
	for (uint32_t i = 0; i < u->chain->n_protos; i++) {
		const struct mt_filter_chain_proto *proto = &u->chain->protos[i];
		uint32_t need = 0;
		enum mt_sniff rc = u->chain->n_protos == 1 ? MT_SNIFF_YES
							   : proto->codec->frame.sniff(
								     proto->codec, bytes, n, &need);

		if (rc == MT_SNIFF_YES)
			return serve(proto);
		if (rc == MT_SNIFF_MORE && n < MT_MIN(need, (uint32_t)SNIFFED) && !all)
			return wait_on;
	}
	return refuse(MT_PROXY_protocol_unknown);
}

/* Finds the filter chain for the known facts of the connection. */
static struct verdict choose(struct mt_chain_selection *u, const struct mt_filter_chain_facts *f)
{
	u->chain = mt_filter_chain_choose(u->listener, f);
	if (!u->chain)
		return refuse(MT_PROXY_chain_unmatched);
	if (u->chain->refuse)
		return refuse(MT_PROXY_chain_refused);
	if (u->chain->tls)
		return f->tls ? to_tls : refuse(MT_PROXY_chain_unmatched);
	return sniff(u, u->s->rx_eof);
}

/* The protocol for a client that waits for the server to speak first; NULL: none. */
static const struct mt_filter_chain_proto *server_first(const struct mt_chain_selection *u)
{
	struct mt_filter_chain_facts f = facts_of(u);
	const struct mt_filter_chain *c =
		u->chain ? u->chain : mt_filter_chain_choose(u->listener, &f);

	if (!c || c->refuse || (c->tls && !u->chain))
		return NULL;
	for (uint32_t i = 0; i < c->n_protos; i++)
		if (c->protos[i].codec->server_speaks_first || c->protos[i].codec->opaque)
			return &c->protos[i];
	return NULL;
}

/* True if silence never selects a plaintext chain, and bytes may still come (no FIN). */
static bool waits_for_client(const struct mt_chain_selection *u)
{
	return mt_unlikely(u->listener->detect_ms == MT_LISTENER_DETECT_NEVER) && !u->s->rx_eof;
}

/*
 * Returns the protocol for a client that sends nothing, or nothing more; NULL: none. If no chain is
 * selected, received bytes are the start of a ClientHello, whose rest has to come.
 */
static const struct mt_filter_chain_proto *for_silence(const struct mt_chain_selection *u)
{
	if (u->s->rx.len == 0)
		return waits_for_client(u) ? NULL : server_first(u);
	return u->chain ? sniff(u, true).proto : NULL;
}

/* True if the client is not silent: its first bytes were put back and have to come again. */
static bool is_heard(const struct mt_chain_selection *u)
{
	return u->put_back && u->s->rx.len == 0;
}

/* A client whose first bytes must come again has this many times message_ms for it. */
#define HEARD_TIMES 3

/*
 * Protocol detection time-out, ms. A listener without one (MT_LISTENER_DETECT_NEVER) waits without
 * it for the first bytes only; then the default applies.
 */
static uint32_t detect_ms(const struct mt_chain_selection *u)
{
	uint32_t ms = u->listener->detect_ms;

	return mt_unlikely(ms == MT_LISTENER_DETECT_NEVER) ? MT_LISTENER_DETECT_MS : ms;
}

/* Time until which the client may send its next byte. */
static uint64_t patience(const struct mt_proxy *p, const struct mt_chain_selection *u)
{
	uint64_t since = u->first_at ? u->first_at : u->since;

	if (mt_unlikely(is_heard(u)))
		return u->since + HEARD_TIMES * p->conf.message_ms * MT_MSEC;
	if (u->s->rx.len == 0 && waits_for_client(u) && server_first(u))
		return u->since + p->conf.down_idle_s * MT_SEC;
	return since + (for_silence(u) ? detect_ms(u) : p->conf.message_ms) * MT_MSEC;
}

static struct verdict by_silence(struct mt_proxy *p, const struct mt_chain_selection *u)
{
	const struct mt_filter_chain_proto *proto = is_heard(u) ? NULL : for_silence(u);

	if (!proto)
		return refuse(u->s->rx_eof ? MT_PROXY_chain_client_closed : MT_PROXY_chain_timeout);
	mt_count(p->counters, MT_PROXY_chain_detect_timeout);
	return (struct verdict){.proto = proto, .unheard = !u->chain};
}

static struct verdict by_bytes(struct mt_proxy *p, struct mt_chain_selection *u)
{
	struct mt_filter_chain_facts f = facts_of(u);
	struct mt_hello_says says;

	switch (mt_hello_read(&u->hello)) {
	case MT_HELLO_MORE:
		if (!u->s->rx_eof)
			return wait_on;
		return refuse(MT_PROXY_hello_truncated);
	case MT_HELLO_TOO_LONG:
		return refuse(MT_PROXY_hello_too_long);
	case MT_HELLO_WHOLE:
		if (!mt_hello_parse(&u->hello, p->hello, &says))
			return refuse(MT_PROXY_hello_malformed);
		f.tls = true;
		f.name = says.name;
		f.alpn = says.alpn;
		return choose(u, &f);
	case MT_HELLO_OTHER:
		break;
	}
	return choose(u, &f);
}

/* Decides by addresses and ports if they suffice, otherwise by the first bytes. */
static struct verdict decide(struct mt_proxy *p, struct mt_chain_selection *u)
{
	struct mt_filter_chain_facts f;

	if (!u->chain && !u->asks_bytes) {
		f = facts_of(u);
		return choose(u, &f);
	}
	if (u->s->rx.len == 0)
		return u->s->rx_eof ? by_silence(p, u) : wait_on;
	return u->chain ? sniff(u, u->s->rx_eof) : by_bytes(p, u);
}

/* ---- acting on the decision ------------------------------------------------------------------ */

static void selection_free(struct mt_proxy *p, struct mt_chain_selection *u)
{
	mt_wheel_cancel(&p->wheel, &u->timer);
	mt_snap_drop(p, u->snap);
	mt_slab_free(&p->selections, u);
}

/* The ending of a refusal, for the access log; MT_N_ENDINGS: the connection leaves no entry. */
static enum mt_ending ending_of(enum mt_proxy_outcome why)
{
	switch (why) {
	case MT_PROXY_chain_unmatched:
	case MT_PROXY_chain_refused:
		return MT_ENDING_no_chain;
	case MT_PROXY_hello_malformed:
	case MT_PROXY_hello_too_long:
	case MT_PROXY_hello_truncated:
	case MT_PROXY_protocol_unknown:
		return MT_ENDING_bad_request;
	case MT_PROXY_down_draining:
		return MT_ENDING_drained;
	default:
		return MT_N_ENDINGS;
	}
}

/* Counts the end of the connection and frees the selection. Does not end the stream. */
static void end(struct mt_proxy *p, struct mt_chain_selection *u, enum mt_proxy_outcome why)
{
	enum mt_ending ending = ending_of(why);

	if (ending != MT_N_ENDINGS)
		mt_stream_log_refused(p, u->s, u->since, ending);
	mt_count(p->counters, why);
	mt_count(p->counters, MT_PROXY_down_closed);
	selection_free(p, u);
}

void mt_chain_selection_reset(
	struct mt_proxy *p, struct mt_chain_selection *u, enum mt_proxy_outcome why)
{
	struct mt_stream *s = u->s;

	end(p, u, why);
	mt_stream_abort(s, mt_abort_of(why));
}

static bool is_bad_hello(struct verdict v)
{
	return v.why == MT_PROXY_hello_malformed || v.why == MT_PROXY_hello_too_long;
}

/* Sends a TLS alert, then FIN, because the ClientHello cannot be read (RFC 8446 §6.2). */
static void refuse_hello(
	struct mt_proxy *p, struct mt_chain_selection *u, enum mt_proxy_outcome why)
{
	static const uint8_t alert[] = MT_TLS_ALERT_IN_CLEAR(MT_TLS_DECODE_ERROR);
	struct mt_stream *s = u->s;
	struct mt_chain out = {0};

	if (mt_chain_write(&out, p->pools, alert, sizeof(alert))) {
		mt_chain_selection_reset(p, u, why);
		return;
	}
	end(p, u, why);
	mt_stream_drop(s, s->rx.len);
	mt_stream_send(s, &out);
	mt_stream_detach(s);
}

/* The client has sent nothing but a FIN: answers it by a FIN. */
static void finish(struct mt_proxy *p, struct mt_chain_selection *u)
{
	struct mt_stream *s = u->s;

	end(p, u, MT_PROXY_chain_client_closed);
	mt_stream_detach(s);
}

/* Gives the connection to the TLS layer. False: refused, so the caller resets the connection. */
static bool begin_tls(struct mt_proxy *p, struct mt_chain_selection *u)
{
	struct mt_stream *s = u->s;

	selection_free(p, u);
	s->keeps = false;
	return mt_secure_take(p, s);
}

static void outdated(struct mt_proxy *p, struct mt_down *d)
{
	mt_count(p->counters, MT_PROXY_down_tls_outdated);
	mt_down_drain(p, d);
}

/* Gives the connection to its protocol. False: refused, so the caller resets the connection. */
static bool hand_over(struct mt_proxy *p, struct mt_chain_selection *u, struct verdict v)
{
	const struct mt_filter_chain_proto *proto = v.proto;
	const struct mt_listener *l = u->listener;
	struct mt_stream *s = u->s;

	/* The protocol starts under the current snapshot, so `v` must be from this snapshot. */
	MT_ASSERT(u->snap == p->snap);
	selection_free(p, u);
	if (s->user == &mt_chain_selection_user)
		mt_stream_touch(s);
	s->keeps = false;
	s->rx_kept = 0;
	if (proto->codec->opaque)
		return mt_opaque_begin(p, s, proto, v.unheard);
	if (!mt_down_begin(p, s, l, proto))
		return false;
	/* The chain's rules for clients have changed since the handshake. */
	if (proto->chain->tls && mt_secure_standing(p, s, proto->chain) == MT_TLS_OUTDATED)
		outdated(p, mt_down_of(s));
	return true;
}

static void arm(struct mt_proxy *p, struct mt_chain_selection *u)
{
	mt_wheel_arm(&p->wheel, &u->timer, patience(p, u));
}

/* Forgets the received bytes, which were put back and will come again. */
static void forget(struct mt_chain_selection *u)
{
	u->put_back = true;
	u->first_at = 0;
	u->chain = NULL;
	mt_hello_init(&u->hello, &u->s->rx);
}

/* Carries out a decision. Not inside accept(). */
static void act(struct mt_proxy *p, struct mt_chain_selection *u, struct verdict v)
{
	struct mt_stream *s = u->s;

	/* The pass that drains clients may have visited the slab slot of the new client already. */
	if (mt_unlikely(p->draining || u->listener->drain == MT_LISTENER_REFUSES) &&
		(v.proto || v.to_tls))
		v = refuse(MT_PROXY_down_draining);
	if (v.waits) {
		if (s->rx.len && mt_unlikely(mt_stream_put_back(s)))
			forget(u);
		else
			mt_stream_keep(s, s->rx.len);
		arm(p, u);
	} else if (v.to_tls) {
		if (!begin_tls(p, u))
			mt_stream_abort(s, MT_ABORT_CANCELLED);
	} else if (!v.proto && v.why == MT_PROXY_chain_client_closed) {
		finish(p, u);
	} else if (is_bad_hello(v)) {
		refuse_hello(p, u, v.why);
	} else if (!v.proto) {
		mt_chain_selection_reset(p, u, v.why);
	} else if (!hand_over(p, u, v)) {
		mt_stream_abort(s, MT_ABORT_CANCELLED);
	} else if (!v.proto->codec->opaque) {
		mt_down_of(s)->eof = s->rx_eof;
		mt_down_pump(p, mt_down_of(s));
	}
}

/* Starts the selection at a listener of the current snapshot. `chain` NULL: none is known. */
static void look_at(struct mt_proxy *p, struct mt_chain_selection *u, const struct mt_listener *l,
	const struct mt_filter_chain *chain)
{
	struct mt_filter_chain_facts f = facts_of(u);

	mt_snap_hold(p, p->snap);
	u->snap = p->snap;
	u->listener = l;
	u->chain = chain;
	u->asks_bytes = mt_filter_chain_asks_bytes(l, &f);
	mt_hello_init(&u->hello, &u->s->rx);
}

bool mt_chain_selection_accept(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain *chain)
{
	struct mt_chain_selection *u = mt_slab_alloc(&p->selections, NULL);
	struct verdict v;

	if (!u)
		return mt_down_no_room(p, s);
	u->s = s;
	u->since = p->now;
	mt_timer_init(&u->timer);
	look_at(p, u, l, chain);
	v = chain ? sniff(u, s->rx_eof) : decide(p, u);
	if (v.proto)
		return hand_over(p, u, v);
	if (v.to_tls)
		return begin_tls(p, u);
	/* A TLS alert cannot be sent inside accept(), so `readable` is requested for it. */
	if (!v.waits && !is_bad_hello(v)) {
		end(p, u, v.why);
		return false;
	}
	mt_count(p->counters, MT_PROXY_chain_waited);
	s->user = &mt_chain_selection_user;
	s->user_ctx = p;
	s->owner_idx = mt_slab_idx(&p->selections, u);
	s->tx_high = p->conf.reply_soft;
	/* The ledger settles this stream: its class may change when the protocol is known. */
	mt_stream_touch(s);
	arm(p, u);
	if (!v.waits) {
		mt_hello_init(&u->hello, &s->rx);
		mt_stream_again(s);
	}
	return true;
}

void mt_chain_selection_snap_move(struct mt_proxy *p, struct mt_chain_selection *u)
{
	const struct mt_tuple *t = mt_stream_ends(u->s);
	const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);
	bool tls = p->tls && mt_tls_stream_is(p->tls, u->s);
	const struct mt_filter_chain *chain;

	if (u->snap == p->snap)
		return;
	chain = l && tls ? mt_secure_chain(u->s, l) : NULL;
	if (!l || (tls && !chain)) {
		mt_chain_selection_reset(p, u, MT_PROXY_down_listener_gone);
		return;
	}
	if (l->drain == MT_LISTENER_REFUSES) {
		mt_chain_selection_reset(p, u, MT_PROXY_down_draining);
		return;
	}
	if (chain && mt_secure_standing(p, u->s, chain) == MT_TLS_CONDEMNED) {
		mt_chain_selection_reset(p, u, MT_PROXY_down_revoked);
		return;
	}
	mt_snap_drop(p, u->snap);
	look_at(p, u, l, chain);
	act(p, u, chain ? sniff(u, u->s->rx_eof) : decide(p, u));
}

void mt_chain_selection_timer(struct mt_proxy *p, struct mt_chain_selection *u)
{
	/* A loop iteration takes a snapshot before its timers, and moves connections after them. */
	if (mt_unlikely(u->snap != p->snap))
		mt_chain_selection_snap_move(p, u);
	else if (p->now < patience(p, u))
		arm(p, u);
	else
		act(p, u, by_silence(p, u));
}

/* ---- events ------------------------------------------------------------------------------------ */

/* Handles new bytes, or a FIN. */
static void on_more(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_chain_selection *u = selection_of(s);

	if (!u->first_at && s->rx.len)
		u->first_at = p->now;
	if (mt_unlikely(u->snap != p->snap))
		mt_chain_selection_snap_move(p, u);
	else
		act(p, u, decide(p, u));
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	end(s->user_ctx, selection_of(s), MT_PROXY_chain_client_closed);
}

static void on_evict(struct mt_stream *s, enum mt_class c)
{
	mt_chain_selection_reset(s->user_ctx, selection_of(s), MT_PROXY_evicted_receiving);
}

static void never(struct mt_stream *s)
{
	/* Nothing is sent before the decision, and clients are connected when they are accepted. */
}

const struct mt_stream_user mt_chain_selection_user = {
	.connected = never,
	.readable = on_more,
	.eof = on_more,
	.writable = never,
	.closed = on_closed,
	.evict = on_evict,
};
