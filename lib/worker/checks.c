/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks of forwarded services' endpoints, for lib/l4: a connection of lib/tcp, which is
 * reset as soon as it is established, so that neither side keeps a TIME-WAIT. Results become
 * ejections of lib/upstream. A check holds no pointer into a snapshot while it is under way.
 */
#include "mt_worker_priv.h"

static struct worker_check *of(const struct mt_stream *s)
{
	struct mt_worker *w = s->user_ctx;

	return &w->checks.at[s->owner_idx];
}

static void end(
	struct mt_worker *w, struct worker_check *at, enum mt_l4_verdict verdict, const char *why)
{
	at->s = NULL;
	mt_l4_checked(w->l4, at->index, at->token, verdict, why);
}

static void on_connected(struct mt_stream *s)
{
	end(s->user_ctx, of(s), MT_L4_PASSED, NULL);
	mt_stream_abort(s, MT_ABORT_CANCELLED);
}

static void on_nothing(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	end(s->user_ctx, of(s), mt_close_is_ours(reason) ? MT_L4_VOID : MT_L4_FAILED,
		mt_close_reason_str(reason));
}

static const struct mt_stream_user check_user = {
	.connected = on_connected,
	.readable = on_nothing,
	.eof = on_nothing,
	.writable = on_nothing,
	.closed = on_closed,
};

/* A free place; NULL: all are in use. */
static struct worker_check *place(struct mt_checks *c)
{
	for (uint32_t i = 0; i < MT_L4_CHECKS_AT_ONCE; i++) {
		struct worker_check *at = &c->at[c->next++ % MT_L4_CHECKS_AT_ONCE];

		if (!at->s)
			return at;
	}
	return NULL;
}

static bool open_check(void *arg, const struct mt_l4_check *c, uint32_t token, uint32_t timeout_ms)
{
	struct mt_worker *w = arg;
	struct worker_check *at = place(&w->checks);
	struct mt_stream_to to = {.remote = &c->addr,
		.port = c->port,
		.connect_ms = timeout_ms,
		.user = &check_user,
		.user_ctx = w};
	enum mt_close_reason why;

	if (!at)
		return false;
	to.owner_idx = (uint32_t)(at - w->checks.at);
	at->index = c->health.index;
	at->token = token;
	at->s = mt_stream_open(mt_tcp_transport(w->tcp), &to, &why);
	if (!at->s)
		end(w, at, mt_close_is_ours(why) ? MT_L4_VOID : MT_L4_FAILED,
			mt_close_reason_str(why));
	return true;
}

static void changed(void *arg, const struct mt_l4_check *c, const char *why)
{
	struct mt_worker *w = arg;

	mt_proxy_ep_checked(w->proxy, &(struct mt_ep_checked){.state = c->health.state,
					      .addr = c->addr,
					      .port = c->port,
					      .cluster = c->cluster,
					      .why = why,
					      .failures = c->conf.failures});
}

const struct mt_l4_check_ops mt_checks_ops = {.connect = open_check, .changed = changed};
