/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log. A note keeps the texts and addresses of a call from its start on; the
 * rest is read from the exchange at its end. An entry points to names of the call's snapshot, and
 * is published before the call releases that snapshot.
 */
#include "call/mt_call_priv.h"
#include "mt_mutant.h"

#include <stddef.h>
#include <string.h>

void mt_proxy_attach_log(struct mt_proxy *p, struct mt_byte_ring *ring)
{
	p->log.ring = ring;
}

/* ---- start ---------------------------------------------------------------------------------- */

/* Copies the value of a leading key. Other keys need a search, which a log must not cause. */
static mt_inline uint16_t copy(struct mt_view *v, uint8_t field, const struct mt_key *key, char *to)
{
	struct mt_slice value;
	uint32_t n;

	if (!mt_codec_leading(v->codec, v->msg, v->chain, field, key, &value, v->scratch))
		return MT_ALOG_NO_TEXT;
	n = MT_MIN(value.len, (uint32_t)MT_ALOG_ENTRY_TEXT);
	memcpy(to, value.p, n);
	return (uint16_t)n;
}

/*
 * Fills the texts from the message that the view shows. `proto` NULL: the listener of the client is
 * not in the configuration any more.
 */
static mt_inline void copy_texts(
	struct mt_view *v, const struct mt_filter_chain_proto *proto, struct mt_call_note *n)
{
	static const struct mt_key none;
	const struct mt_codec *c = v->codec;
	char *method = n->texts;

	n->interface_len =
		copy(v, c->service_field, proto ? &proto->interface_key : &none, n->texts);
	if (n->interface_len != MT_ALOG_NO_TEXT)
		method += n->interface_len;
	n->method_len = copy(v, c->method_field, &c->method_key, method);
}

/* Sets the addresses, the ports and `attempts`. */
static mt_inline void start(const struct mt_down *d, struct mt_call_note *n)
{
	const struct mt_tuple *ends = mt_stream_ends(d->s);

	n->client = ends->remote;
	n->local = ends->local;
	n->up_local = (struct mt_addr){0};
	n->client_port = ends->rport;
	n->local_port = ends->lport;
	n->up_local_port = 0;
	n->reason_len = 0;
	n->kept_len = 0;
	n->attempts = 0;
}

mt_noinline bool mt_call_log_skips(struct mt_proxy *p, struct mt_exchange *ex)
{
	ex->unlogged = mt_log_skips(p, ex->snap);
	return ex->unlogged;
}

mt_noinline void mt_call_log_note(
	struct mt_proxy *p, const struct mt_down *d, struct mt_exchange *ex)
{
	struct mt_ref ref;
	struct mt_call_note *n = mt_slab_take(&p->log.notes, &ref);

	if (mt_unlikely(!n)) {
		mt_count(p->counters, MT_PROXY_log_without_note);
		ex->note = MT_CALL_NO_NOTE;
		return;
	}
	ex->note = ref.idx + 1;
	start(d, n);
	n->len = ex->msg.len;
	copy_texts(&p->view, d->proto, n);
	if (mt_unlikely(ex->snap->n_log_keys))
		mt_call_log_request(p, ex, n);
}

/* ---- end ------------------------------------------------------------------------------------ */

static mt_inline uint32_t texts_len(const struct mt_call_note *n)
{
	return mt_alog_texts_len(n->interface_len, n->method_len, n->reason_len);
}

mt_noinline void mt_call_log_reason(
	struct mt_proxy *p, const struct mt_exchange *ex, const char *reason)
{
	struct mt_call_note *n = mt_call_note_of(p, ex);
	uint16_t len = (uint16_t)strnlen(reason, MT_ALOG_REASON_TEXT);

	if (!n || n->reason_len)
		return;
	memcpy(n->texts + texts_len(n), reason, len);
	n->reason_len = len;
}

/*
 * Bytes of the reply that went to the client. A reply that a filter refused, or whose client had
 * gone, was not sent.
 */
static mt_inline uint32_t sent_to_client(
	const struct mt_exchange *ex, const struct mt_call_end *end)
{
	const struct mt_attempt *a = &ex->attempt;

	if (mt_unlikely(end->started))
		return a->reply_len - MT_MIN(a->reply_len, a->reply_left + ex->rsp.len);
	return end->kind == MT_CALL_END_REPLY ? a->reply_len : 0;
}

static mt_inline void fill_end(
	const struct mt_exchange *ex, const struct mt_call_note *n, struct mt_alog_entry *e)
{
	struct mt_call_end end = mt_exchange_end_of(ex);

	if (ex->left != MT_CALL_STAYED)
		end.kind = ex->left == MT_CALL_CUT ? MT_CALL_END_RESET : MT_CALL_END_CLIENT;
	end.started = ex->state == MT_EX_REPLYING;
	e->ending = (uint8_t)mt_ending_of(&end);
	e->type = MT_ALOG_DOWNSTREAM_END;
	e->oneway = ex->oneway;
	e->spans = 0;
	e->bytes_out = sent_to_client(ex, &end);
	e->bytes_in = n ? n->len : ex->msg.len;
	e->code = 0;
	e->flags = (ex->exhausted ? MT_FLAG_URX : 0u) | (ex->delayed ? MT_FLAG_DI : 0u);
}

static mt_inline void fill_names(const struct mt_exchange *ex, struct mt_alog_entry *e)
{
	e->protocol = ex->codec->name;
	e->host = ex->service ? ex->service->name : NULL;
	e->scope = ex->service ? ex->service->log_scope : NULL;
	e->route = ex->route && ex->route->name[0] ? ex->route->name : NULL;
	e->cluster = ex->attempt.cluster ? ex->attempt.cluster->name : NULL;
}

static mt_inline void fill_times(
	const struct mt_proxy *p, const struct mt_exchange *ex, struct mt_alog_entry *e)
{
	e->started = ex->started;
	e->wall = p->wall - (p->now - ex->started);
	e->connecting = ex->attempt.connecting;
	e->sent = ex->attempt.sent;
	e->replied = ex->attempt.replied;
	/* The time of a one-way call ends when the call is sent, as in `show slow`. */
	e->ended = ex->oneway && ex->attempt.sent ? ex->attempt.sent : p->now;
}

static mt_inline void fill_endpoint(
	const struct mt_proxy *p, const struct mt_exchange *ex, struct mt_alog_entry *e)
{
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, ex->attempt.lanes);

	e->endpoint = ln ? ln->addr : (struct mt_addr){0};
	e->endpoint_port = ln ? ln->port : 0;
}

/* Both structures have the same fields in the same order from `client` on. */
#define SAME(field)                                                                                \
	_Static_assert(                                                                            \
		offsetof(struct mt_alog_entry, field) - offsetof(struct mt_alog_entry, client) ==  \
			offsetof(struct mt_call_note, field) -                                     \
				offsetof(struct mt_call_note, client),                             \
		"a note is copied as it is")
SAME(up_local);
SAME(up_local_port);
SAME(reason_len);
SAME(kept_len);
SAME(attempts);
SAME(texts);

/* Copies the addresses and lengths of the note into an entry. */
static mt_inline void copy_note(const struct mt_call_note *n, struct mt_alog_entry *e)
{
	const uint32_t to = offsetof(struct mt_alog_entry, client);

	/* The length is constant, so the copy takes few instructions. */
	memcpy((char *)e + to, (const char *)n + offsetof(struct mt_call_note, client),
		sizeof(*e) - to);
}

/*
 * Reserves an entry with `more` bytes after it, and copies the note with its texts into it. NULL:
 * the ring is full.
 */
static mt_inline struct mt_alog_entry *reserve(
	struct mt_proxy *p, const struct mt_call_note *n, uint32_t more)
{
	uint32_t len = texts_len(n);
	struct mt_alog_entry *e = mt_byte_ring_reserve(
		p->log.ring, (uint32_t)sizeof(struct mt_alog_entry) + len + n->kept_len + more);

	if (mt_unlikely(!e))
		return NULL;
	copy_note(n, e);
	memcpy(e->texts, n->texts, len);
	if (mt_unlikely(n->kept_len))
		memcpy(e->texts + len, mt_call_kept_of(p, n), n->kept_len);
	return e;
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* The output of the call's spans; 0: none is sent. */
static mt_inline uint64_t spans_key(const struct mt_exchange *ex)
{
	if (mt_likely(!ex->traced) || !ex->service || !ex->service->tracing)
		return 0;
	return ex->service->tracing->key;
}

/* Adds these spans to the entry, which has its texts. Without a line no other output gets it. */
static mt_noinline void add_spans(struct mt_proxy *p, const struct mt_exchange *ex, uint8_t which,
	bool line, struct mt_alog_entry *e)
{
	static const struct mt_alog_scope none;
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);
	const struct mt_tracing_context *c = &side->context;
	struct mt_alog_spans s = {.key = spans_key(ex),
		.attempt_at = side->attempt_at,
		.tags = ex->service->tracing->tags,
		.trace_len = c->trace_len,
		.has_parent = c->has_parent,
		.is_debug = c->is_debug,
		.istio = ex->service->tracing->istio};

	memcpy(s.trace, c->trace, sizeof(s.trace));
	if (c->has_parent)
		memcpy(s.parent, c->parent, sizeof(s.parent));
	memcpy(s.call, c->span, sizeof(s.call));
	if (which & MT_ALOG_SPAN_ATTEMPT)
		memcpy(s.attempt, side->attempt_span, sizeof(s.attempt));
	e->spans = which;
	if (!line)
		e->scope = &none;
	memcpy((char *)e + mt_alog_entry_size(
				   e->interface_len, e->method_len, e->reason_len, e->kept_len),
		&s, sizeof(s));
}

/* ---- entries -------------------------------------------------------------------------------- */

static const struct mt_call_note no_note = {
	.interface_len = MT_ALOG_NO_TEXT, .method_len = MT_ALOG_NO_TEXT};

/* Fills all that does not come from the note, but for spans. */
static mt_inline void fill(const struct mt_proxy *p, const struct mt_exchange *ex,
	const struct mt_call_note *n, struct mt_alog_entry *e)
{
	e->exchange = ex->self;
	e->worker = p->worker;
	fill_end(mt_mutant(MT_MUTANT_ending_of_another)
			 ? mt_slab_next(&p->exchanges, &(uint32_t){0})
			 : ex,
		n, e);
	fill_names(ex, e);
	fill_times(p, ex, e);
	fill_endpoint(p, ex, e);
}

/* True if an output wants the entry of the call, before it is copied; *v is for the entry. */
static mt_noinline bool is_wanted(struct mt_proxy *p, const struct mt_exchange *ex,
	const struct mt_call_note *n, struct mt_alog_verdict *v)
{
	const struct mt_call_note *note = n ? n : &no_note;
	struct mt_alog_entry head;
	const struct mt_alog_parts parts = {
		&head, note->texts, note->kept_len ? mt_call_kept_of(p, n) : NULL};

	copy_note(note, &head);
	fill(p, ex, n, &head);
	return mt_log_wants(p, ex->snap, &parts, v);
}

mt_noinline void mt_call_log_write(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_call_note *n = mt_call_note_of(p, ex);
	bool line = !ex->unlogged && mt_call_log_has_reader(ex->snap, ex->service);
	bool spans = spans_key(ex) != 0;
	struct mt_alog_verdict verdict = {.by = NULL};
	struct mt_alog_entry *e = NULL;

	if (mt_unlikely(ex->snap->log_sieve) && line)
		line = is_wanted(p, ex, n, &verdict);
	if (mt_likely(p->log.ring && (line || spans)) &&
		!(mt_mutant(MT_MUTANT_entry_lost) && ex->oneway))
		e = reserve(p, n ? n : &no_note,
			mt_unlikely(spans) ? (uint32_t)sizeof(struct mt_alog_spans) : 0);
	if (mt_likely(e)) {
		fill(p, ex, n, e);
		e->verdict = verdict;
		if (mt_unlikely(spans))
			add_spans(p, ex,
				ex->traced == MT_CALL_TRACED_ATTEMPTS &&
						mt_exchange_side(p, ex)->attempt_at
					? MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT
					: MT_ALOG_SPAN_CALL,
				line, e);
		mt_byte_ring_publish(p->log.ring);
	}
	if (n)
		mt_slab_free(&p->log.notes, n);
	ex->note = 0;
}

mt_noinline void mt_call_log_attempt(
	struct mt_proxy *p, const struct mt_exchange *ex, enum mt_ending ending)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	const struct mt_call_note *n = ex->note ? mt_call_note_of(p, ex) : NULL;
	struct mt_alog_entry *e;

	if (!side->attempt_at || !p->log.ring || !spans_key(ex))
		return;
	e = reserve(p, n ? n : &no_note, (uint32_t)sizeof(struct mt_alog_spans));
	if (e) {
		memset(e, 0, offsetof(struct mt_alog_entry, client));
		e->exchange = ex->self;
		e->worker = p->worker;
		e->ending = (uint8_t)ending;
		fill_names(ex, e);
		fill_times(p, ex, e);
		fill_endpoint(p, ex, e);
		add_spans(p, ex, MT_ALOG_SPAN_ATTEMPT, false, e);
		mt_byte_ring_publish(p->log.ring);
	}
	side->attempt_at = 0;
}

/* ---- without an exchange -------------------------------------------------------------------- */

mt_noinline void mt_call_log_message(
	struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what, bool readable)
{
	const struct mt_call_end end = {.kind = MT_CALL_END_LOCAL, .reply = what};
	struct mt_call_note n;
	struct mt_alog_entry head, *e;
	const struct mt_alog_parts parts = {&head, n.texts, NULL};

	if (!mt_call_log_has_reader(d->snap, NULL))
		return;
	start(d, &n);
	n.interface_len = n.method_len = MT_ALOG_NO_TEXT;
	if (readable) {
		mt_view_bind(&p->view, d->codec, &d->msg, &d->s->rx);
		copy_texts(&p->view, d->proto, &n);
	}
	memset(&head, 0, offsetof(struct mt_alog_entry, client));
	copy_note(&n, &head);
	head.exchange = MT_REF_NONE;
	head.worker = p->worker;
	head.protocol = d->codec->name;
	head.started = d->msg_started ? d->msg_started : p->now;
	head.ended = p->now;
	head.wall = p->wall - (p->now - head.started);
	head.oneway = readable && d->msg.kind == MT_MSG_ONEWAY;
	head.bytes_in = readable ? d->msg.len : d->s->rx.len;
	head.ending = (uint8_t)mt_ending_of(&end);
	if (!mt_log_wants(p, d->snap, &parts, &head.verdict))
		return;
	e = reserve(p, &n, 0);
	if (!e)
		return;
	memcpy(e, &head, offsetof(struct mt_alog_entry, client));
	mt_byte_ring_publish(p->log.ring);
}
