/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shell shows of exchanges: those that are under way, and the slowest of the last minutes with where their time
 * went. Everything is in the worker's memory from its start.
 */
#include "mt_proxy_priv.h"

#include <string.h>

#define STATUS_OF_LOCAL 16 /* above those of replies */
#define STATUS_CUT_OFF	UINT8_MAX

static const char *const state_names[MT_EX_N_STATES] = {
	[MT_EX_ROUTING] = "routing",
	[MT_EX_SUSPENDED] = "suspended",
	[MT_EX_TRYING] = "sent",
	[MT_EX_REPLYING] = "replying",
	[MT_EX_READY] = "ready",
	[MT_EX_PARKED] = "parked",
};

static const char *const attempt_names[MT_ATTEMPT_N_STATES] = {
	[MT_ATTEMPT_QUEUED] = "queued",
	[MT_ATTEMPT_CONNECTING] = "connecting",
	[MT_ATTEMPT_SENDING] = "sending",
	[MT_ATTEMPT_SENT] = "sent",
};

static const char *state_of(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(p, ex);

	return a && ex->state == MT_EX_TRYING ? attempt_names[a->state] : state_names[ex->state];
}

void mt_exchange_find_method(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_slice v;

	if (!ex->codec->method_key.name || !mt_view_get(&p->view, &ex->codec->method_key, &v))
		return;
	ex->method_len = (uint8_t)MT_MIN(v.len, (uint32_t)sizeof(ex->method) + 1);
	memcpy(ex->method, v.p, MT_MIN(v.len, (uint32_t)sizeof(ex->method)));
}

void mt_exchange_replied(struct mt_exchange *ex, enum mt_msg_status status, uint64_t now)
{
	ex->status = (uint8_t)(1 + status);
	ex->replied = now;
}

void mt_exchange_answered_here(struct mt_exchange *ex, enum mt_local_reply what)
{
	ex->status = (uint8_t)(STATUS_OF_LOCAL + what);
}

void mt_exchange_cut_off(struct mt_exchange *ex)
{
	if (!ex->status)
		ex->status = STATUS_CUT_OFF;
}

const char *mt_exchange_status(const struct mt_exchange *ex)
{
	if (ex->status == STATUS_CUT_OFF)
		return "cut_off";
	if (ex->status >= STATUS_OF_LOCAL)
		return mt_local_reply_name((enum mt_local_reply)(ex->status - STATUS_OF_LOCAL));
	if (ex->status)
		return mt_exchange_status_name((enum mt_msg_status)(ex->status - 1));
	return ex->oneway ? "oneway" : "client_left";
}

static uint32_t us(uint64_t from, uint64_t to)
{
	uint64_t n = from && to > from ? (to - from) / MT_USEC : 0;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* Where its time went: each part ends where the next one begins. */
static void parts_of(const struct mt_exchange *ex, uint64_t now, struct mt_exchange_info *i)
{
	uint64_t sent = ex->sent ? ex->sent : now;
	uint64_t replied = ex->replied ? ex->replied : now;
	uint64_t connect = ex->connecting ? MT_MIN(ex->connecting, sent) : sent;

	i->age_ns = now - ex->started;
	i->queue_us = us(ex->started, connect);
	i->connect_us = us(connect, sent);
	i->server_us = us(sent, replied);
	i->reply_us = us(replied, now);
}

void mt_exchange_text(char *to, size_t room, const char *from, size_t len)
{
	size_t n = MT_MIN(len, room);

	memcpy(to, from, n);
	strcpy(to + n, len > room ? MT_CUT : "");
}

static void fill(struct mt_proxy *p, struct mt_exchange *ex, struct mt_exchange_info *i)
{
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, ex->lanes);
	const struct mt_down *d = mt_exchange_down(p, ex);

	memset(i, 0, sizeof(*i));
	i->ref = ex->self;
	if (d && d->s) {
		i->client = mt_stream_ends(d->s)->remote;
		i->client_port = mt_stream_ends(d->s)->rport;
		i->local = mt_stream_ends(d->s)->local;
		i->local_port = mt_stream_ends(d->s)->lport;
	}
	if (ln) {
		i->server = ln->addr;
		i->server_port = ln->port;
	}
	i->proto = ex->codec->name;
	i->state = state_of(p, ex);
	i->tries = ex->tries;
	i->bytes = (uint64_t)ex->msg.len + ex->reply_len;
	if (ex->service)
		mt_exchange_text(i->service, MT_EXCHANGE_SERVICE, ex->service->name,
			strlen(ex->service->name));
	if (ex->route)
		mt_exchange_text(
			i->route, MT_EXCHANGE_ROUTE, ex->route->name, strlen(ex->route->name));
	mt_exchange_text(i->method, MT_EXCHANGE_METHOD, ex->method, ex->method_len);
	parts_of(ex, p->now, i);
}

/* ---- under way ---------------------------------------------------------------------------------- */

bool mt_exchange_info_next(struct mt_proxy *p, uint32_t *idx, struct mt_exchange_info *i)
{
	struct mt_exchange *ex = mt_slab_next(&p->exchanges, idx);

	if (!ex)
		return false;
	fill(p, ex, i);
	return true;
}

/* ---- the slowest --------------------------------------------------------------------------------- */

void mt_slow_turn(struct mt_proxy *p)
{
	struct mt_slow *s = &p->slow;

	s->now_at = (uint8_t)!s->now_at;
	s->n[s->now_at] = 0;
	s->floor = 0;
	s->until = p->now + MT_SLOW_WINDOW;
}

static uint32_t quickest(const struct mt_exchange_info *calls, uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < n; i++)
		if (calls[i].age_ns < calls[at].age_ns)
			at = i;
	return at;
}

void mt_slow_keep(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_slow *s = &p->slow;
	struct mt_exchange_info *calls = s->calls[s->now_at];
	uint32_t *n = &s->n[s->now_at];
	uint32_t at = *n < MT_SLOW_CALLS ? (*n)++ : quickest(calls, MT_SLOW_CALLS);

	fill(p, ex, &calls[at]);
	calls[at].wall = p->wall;
	calls[at].state = mt_exchange_status(ex);
	/* While there is room all are slow enough. */
	if (*n == MT_SLOW_CALLS)
		s->floor = calls[quickest(calls, MT_SLOW_CALLS)].age_ns + 1;
}

uint32_t mt_proxy_slow(struct mt_proxy *p, struct mt_exchange_info *out, uint32_t max)
{
	const struct mt_slow *s = &p->slow;
	uint32_t n = 0;

	for (uint32_t w = 0; w < 2; w++)
		for (uint32_t i = 0; i < s->n[w] && n < max; i++)
			out[n++] = s->calls[w][i];
	return n;
}

/* ---- connections --------------------------------------------------------------------------------- */

struct mt_conn_use mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s)
{
	struct mt_conn_use use = {.cluster = UINT32_MAX};
	const struct mt_lanes *ln = mt_opaque_lanes(s);
	const struct mt_up *u;

	if (s->user == &mt_down_user) {
		const struct mt_down *d = mt_slab_at(&p->downs, s->owner_idx);

		use.calls = d->outstanding;
	} else if (s->user == &mt_up_user) {
		u = mt_slab_at(&p->ups, s->owner_idx);
		ln = u->lanes;
		use.calls = u->ring ? u->outstanding - u->tombstones : u->busy + u->n_behind;
	} else if (s->user == &mt_probe_user) {
		use.cluster =
			((const struct mt_probe *)mt_slab_at(&p->probes, s->owner_idx))->at.cluster;
	}
	if (ln)
		use.cluster = ln->cluster_index;
	return use;
}
