/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks of ejected endpoints, in protocols with heartbeats. When the ejection time is over,
 * the worker that ejected the endpoint opens a connection, sends one heartbeat, and waits 1 s for
 * the answer. A failed check is repeated after 1, 2, 4, 5, 5 s and so on. A connection without an
 * answer proves nothing, because the kernel accepts connections for a stopped program. A worker
 * checks at most 1,024 endpoints, 32 of them at a time. A check holds no pointer into a snapshot,
 * and ends when the configuration no longer contains the endpoint. If an endpoint that is not known
 * to answer heartbeats leaves one unanswered, it returns by a call on trial (lib/upstream) instead.
 * After a change of a codec file the check sends the heartbeat of the version in force, and a
 * single one of these, because the endpoint is not known to answer it.
 */
#include "mt_codec_registry.h"
#include "pool/mt_pool_priv.h"

#define ANSWER	(1 * MT_SEC)
#define LONGEST (5 * MT_SEC) /* longest time between two checks; the time doubles up to this */
#define AT_ONCE 32	     /* maximum number of simultaneous connections of this worker */
#define BUSY	(MT_SEC / 10)

static struct mt_health_check *of(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->health_checks, s->owner_idx);
}

static void end(struct mt_proxy *p, struct mt_health_check *pr)
{
	mt_wheel_cancel(&p->wheel, &pr->timer);
	mt_tls_context_leave(pr->at.tls);
	mt_slab_free(&p->health_checks, pr);
}

/* True if the endpoint's state belongs to another endpoint now. */
static bool is_another(const struct mt_health_check *pr)
{
	return __atomic_load_n(&pr->ep->id, __ATOMIC_RELAXED) != pr->ep_id;
}

/*
 * True if no check is needed: the endpoint's state belongs to another endpoint, or the endpoint no
 * longer waits for a check. An operator may have ended the ejection, or the endpoint is reached in
 * another way now.
 */
static bool is_over(const struct mt_health_check *pr)
{
	return is_another(pr) ||
	       __atomic_load_n(&pr->ep->back, __ATOMIC_RELAXED) != MT_EP_BACK_ASKED;
}

/* Ends the health check. The endpoint may return by a call on trial instead. */
static void give_up(struct mt_proxy *p, struct mt_health_check *pr)
{
	if (!is_another(pr))
		mt_ep_ask_no_more(pr->ep);
	end(p, pr);
}

static void let_go(struct mt_proxy *p, struct mt_health_check *pr)
{
	p->health_checks_out--;
	pr->s = NULL;
}

/* The connection of the check has ended or is useless: schedules the next check. */
static void failed(struct mt_proxy *p, struct mt_health_check *pr)
{
	mt_count(p->counters, MT_PROXY_probe_failed);
	let_go(p, pr);
	mt_wheel_arm(&p->wheel, &pr->timer, p->now + pr->again);
	pr->again = MT_MIN(2 * pr->again, LONGEST);
}

static void answered(struct mt_proxy *p, struct mt_health_check *pr)
{
	struct mt_stream *s = pr->s;

	mt_count(p->counters, MT_PROXY_probe_answered);
	let_go(p, pr);
	mt_stream_detach(s);
	if (!is_another(pr)) {
		__atomic_store_n(&pr->ep->beats, true, __ATOMIC_RELAXED);
		if (!is_over(pr))
			mt_ep_is_back(p, pr->ep, &pr->at);
	}
	end(p, pr);
}

/* ---- events ---- */

static void abort_it(struct mt_proxy *p, struct mt_health_check *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = pr->s;

	failed(p, pr);
	mt_stream_abort(s, why);
}

static void on_connected(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_health_check *pr = of(s);
	const struct mt_codec *codec = pr->at.codec;
	struct mt_chain out = {0};

	if (codec->write.heartbeat(codec, codec->id_min, &out, p->pools)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_chain_free(&out);
		abort_it(p, pr, MT_ABORT_CANCELLED);
		return;
	}
	mt_stream_send(s, &out);
	pr->asked = true;
	mt_wheel_arm(&p->wheel, &pr->timer, p->now + ANSWER);
}

/* Reads up to the answer, and skips other messages that the server sends. */
static void on_readable(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_health_check *pr = of(s);

	pr->dec.steps = MT_READING_SHARE;
	for (uint32_t n = 0; n < MT_READING_SHARE / MT_READING_MESSAGE; n++) {
		enum mt_decode rc = mt_decoder_run(&pr->dec, &pr->msg);

		if (rc == MT_DECODE_MORE)
			break;
		if (rc == MT_DECODE_LEADING)
			continue;
		if (rc == MT_DECODE_BAD) {
			abort_it(p, pr, MT_ABORT_PROTOCOL);
			return;
		}
		if (pr->msg.kind == MT_MSG_HEARTBEAT_REPLY) {
			answered(p, pr);
			return;
		}
		mt_chain_drop(&s->rx, pr->msg.len);
		mt_decoder_next(&pr->dec);
	}
	mt_stream_consumed(s);
}

static void on_eof(struct mt_stream *s)
{
	abort_it(s->user_ctx, of(s), MT_ABORT_CANCELLED);
}

static void on_writable(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_health_check *pr = of(s);

	/* The server program has ended, and the next one may not answer heartbeats. */
	if (reason == MT_CLOSE_REFUSED && !is_another(pr))
		__atomic_store_n(&pr->ep->beats, false, __ATOMIC_RELAXED);
	failed(s->user_ctx, pr);
}

const struct mt_stream_user mt_health_check_user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
};

/* ---- when ---- */

/*
 * Changes the check to the version of its codec file that is in force. False: the configuration no
 * longer has the codec, or it has no heartbeats now.
 */
static bool take_version(const struct mt_proxy *p, struct mt_health_check *pr)
{
	const struct mt_codec *now = mt_snapshot_codec(p->snap, pr->at.codec);

	if (!now || !now->write.heartbeat)
		return false;
	if (!mt_codec_same(now, pr->at.codec)) {
		pr->at.codec = now;
		pr->other_version = true;
		pr->asked = false;
	}
	return true;
}

/*
 * A lane group of the endpoint in this protocol, which exists while the configuration contains
 * both. The group may be for an earlier version of the codec file, until former.c drains it. NULL:
 * there is none. Prefers a group with the node's own identity, because the endpoint may refuse a
 * caller's identity.
 */
static const struct mt_lanes *lanes_of(const struct mt_proxy *p, const struct mt_health_check *pr)
{
	const struct mt_lanes *of_caller = NULL;

	for (const struct mt_lanes *ln = p->lanes_by_ep[pr->ep_index]; ln; ln = ln->next_class) {
		if (ln->ep_id != pr->ep_id || !mt_codec_same_file(ln->codec, pr->at.codec))
			continue;
		if (!ln->of_caller)
			return ln;
		of_caller = of_caller ? of_caller : ln;
	}
	return of_caller;
}

/* Takes the TLS context of the group, which may have changed since the last check. */
static void secure(struct mt_health_check *pr, const struct mt_lanes *ln)
{
	if (ln->tls == pr->at.tls)
		return;
	mt_tls_context_leave(pr->at.tls);
	pr->at.tls = ln->tls ? mt_tls_context_hold(ln->tls) : NULL;
}

static void begin(struct mt_proxy *p, struct mt_health_check *pr)
{
	struct mt_stream_to to = {.remote = &pr->at.addr,
		.port = pr->at.port,
		.connect_ms = pr->at.connect_ms,
		.silent_ms = MT_UP_SILENT_MS,
		.tls = pr->at.tls,
		.user = &mt_health_check_user,
		.user_ctx = p,
		.owner_idx = mt_slab_idx(&p->health_checks, pr)};
	enum mt_close_reason why;

	mt_count(p->counters, MT_PROXY_probe_sent);
	pr->asked = false;
	p->health_checks_out++;
	pr->s = mt_open(p, &to, &why);
	if (!pr->s) {
		failed(p, pr);
		return;
	}
	mt_decoder_init(&pr->dec, pr->at.codec, MT_DIR_UP, pr->at.codec_opts, &pr->s->rx);
}

/*
 * The heartbeat was not answered in time. Repeats the check later if the endpoint is known to
 * answer heartbeats; otherwise ends the checks.
 */
static void unanswered(struct mt_proxy *p, struct mt_health_check *pr)
{
	bool known = __atomic_load_n(&pr->ep->beats, __ATOMIC_RELAXED) && !pr->other_version;

	abort_it(p, pr, MT_ABORT_SLOW);
	if (!known)
		give_up(p, pr);
}

/* True if another version's heartbeat was sent and the connection ended without an answer. */
static bool has_failed(const struct mt_health_check *pr)
{
	return pr->other_version && pr->asked;
}

void mt_health_check_timer(struct mt_proxy *p, struct mt_health_check *pr)
{
	const struct mt_lanes *ln = lanes_of(p, pr);

	if (pr->s && pr->asked) {
		unanswered(p, pr);
	} else if (p->draining || is_over(pr) || !ln || !take_version(p, pr) || has_failed(pr)) {
		give_up(p, pr);
	} else if (p->health_checks_out >= AT_ONCE) {
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + BUSY);
	} else {
		secure(pr, ln);
		begin(p, pr);
	}
}
