/* SPDX-License-Identifier: Apache-2.0 */
/* Providers, the connections to those that were queried, and timeouts of queries. */
#include "mt_callout_priv.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX (64 * 1024)
/* Limit for one attempt to connect; the queries that wait for it fail when it ends. */
#define CONNECT_NS  (1 * MT_SEC)
#define BACKOFF_MIN (100 * MT_MSEC)
#define BACKOFF_MAX (5 * MT_SEC)
#define SWEEP	    (1 * MT_SEC)

/* ---- providers ------------------------------------------------------------------------------- */

static void free_provider(struct mt_callout_provider *p)
{
	mt_grpc_target_drop(p->target);
	free(p->name);
	free(p);
}

/* Control thread only. Configuration changes are too rare for the 32 bits to wrap. */
static uint32_t last_id;

struct mt_callout_provider *mt_callout_provider_new(const struct mt_callout_conf *conf)
{
	struct mt_callout_provider *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->refs = 1;
	p->id = ++last_id;
	p->owner = conf->owner;
	p->timeout = conf->timeout;
	p->fail_open = conf->fail_open;
	p->name = strdup(conf->name);
	p->target = mt_grpc_target_new(conf->servers, conf->n_servers, conf->tls);
	if (p->name && p->target)
		return p;
	free_provider(p);
	return NULL;
}

struct mt_callout_provider *mt_callout_hold(struct mt_callout_provider *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void mt_callout_drop(struct mt_callout_provider *p)
{
	if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free_provider(p);
}

bool mt_callout_is_metadata(const char *name)
{
	return *name && *name != ':' && strcasecmp(name, "host") != 0;
}

/* ---- queries --------------------------------------------------------------------------------- */

static const struct mt_callout_kind *kind_of(const struct mt_callout_call *c)
{
	return c->slot->lane->x->kind;
}

static void end(struct mt_callout_call *c)
{
	mt_list_del(&c->node);
	if (c->stream)
		mt_grpc_cancel(c->stream);
	c->stream = NULL;
	mt_callout_lane_answered(c->slot);
}

static void end_failed(struct mt_callout_call *c, enum mt_callout_failure why)
{
	kind_of(c)->fail(c->slot, why);
	end(c);
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct mt_callout_call *c = arg;

	/* A unary call has one answer: a second one makes the result invalid. */
	if (c->answered)
		kind_of(c)->fail(c->slot, MT_CALLOUT_BAD_ANSWER);
	else
		kind_of(c)->read(c->slot, data, len);
	c->answered = true;
}

static enum mt_callout_failure why_of(int status)
{
	if (status == MT_GRPC_OK)
		return MT_CALLOUT_BAD_ANSWER;
	return status == MT_GRPC_UNAVAILABLE ? MT_CALLOUT_UNREACHABLE : MT_CALLOUT_REFUSED;
}

static void put(struct mt_callout *x, struct mt_callout_call *c);

/*
 * True for an HTTP/2 connection that came up while no query waited. A server that closes without
 * sending SETTINGS does not count, because it may not be a gRPC service.
 */
static bool was_idle(const struct mt_callout_channel *ch)
{
	return ch->up_unasked && mt_grpc_has_spoken(ch->grpc);
}

/*
 * True if the query is to be sent again, at most once: it has no answer, and a connection that had
 * answered before or was idle has closed or received GOAWAY. Such an end (age, restart of the
 * server) is not a failure of the query.
 */
static bool is_cut_off(const struct mt_callout_call *c)
{
	const struct mt_callout_channel *ch = c->channel;

	return (ch->useful || was_idle(ch)) && !c->answered && !c->again &&
	       (mt_grpc_state(ch->grpc) != MT_GRPC_UP || mt_grpc_is_leaving(ch->grpc));
}

static void on_end(void *arg, int status, const char *words)
{
	struct mt_callout_call *c = arg;

	c->stream = NULL;
	if (status == MT_GRPC_UNAVAILABLE && is_cut_off(c)) {
		c->again = true;
		mt_list_del(&c->node);
		put(c->channel->x, c);
		return;
	}
	if (status == MT_GRPC_OK && c->answered) {
		c->channel->useful = true;
		mt_grpc_useful(c->channel->grpc);
	} else {
		kind_of(c)->fail(c->slot, why_of(status));
	}
	end(c);
}

static void send(struct mt_callout_call *c)
{
	static const struct mt_grpc_stream_events events = {on_message, on_end, NULL};
	size_t len = 0;
	uint8_t *bytes = kind_of(c)->pack(c->slot, &len);

	c->stream = bytes ? mt_grpc_open(c->channel->grpc, kind_of(c)->method, &events, c) : NULL;
	if (!c->stream || mt_grpc_send(c->stream, bytes, len))
		end_failed(c, MT_CALLOUT_NO_MEMORY);
	else
		mt_grpc_finish(c->stream);
	free(bytes);
}

/* ---- channels -------------------------------------------------------------------------------- */

static void set_why(struct mt_callout_channel *ch, const char *why)
{
	pthread_mutex_lock(&ch->x->lock);
	snprintf(ch->why, sizeof(ch->why), "%s", why);
	pthread_mutex_unlock(&ch->x->lock);
}

static void on_up(void *arg)
{
	struct mt_callout_channel *ch = arg;
	struct mt_list waiting;

	ch->up_unasked = mt_list_empty(&ch->calls);
	mt_list_init(&waiting);
	if (!mt_list_empty(&ch->calls))
		mt_list_splice_tail(&waiting, &ch->calls);
	while (!mt_list_empty(&waiting)) {
		struct mt_callout_call *c =
			mt_list_entry(waiting.next, struct mt_callout_call, node);

		mt_list_del(&c->node);
		mt_list_add_tail(&ch->calls, &c->node);
		send(c);
	}
}

/*
 * All streams have ended before this call. After a connection that has answered, connects again at
 * once. After an idle one, does so if queries wait, because servers close idle connections without
 * a failure. In all other cases the waiting queries fail now and not after the next attempt.
 */
static void on_down(void *arg, const char *why)
{
	struct mt_callout_channel *ch = arg;
	bool was_useful = ch->useful, was_idle_only = was_idle(ch);
	char words[200];

	ch->useful = ch->up_unasked = false;
	if (was_useful || (was_idle_only && !mt_list_empty(&ch->calls)))
		mt_grpc_hurry(ch->grpc);
	if (was_useful || was_idle_only)
		return;
	snprintf(words, sizeof(words), "%s: %s", mt_grpc_server(ch->grpc), why);
	set_why(ch, words);
	while (!mt_list_empty(&ch->calls))
		end_failed(mt_list_entry(ch->calls.next, struct mt_callout_call, node),
			MT_CALLOUT_UNREACHABLE);
}

static struct mt_callout_channel *open_channel(struct mt_callout *x, struct mt_callout_provider *p)
{
	static const struct mt_grpc_events events = {on_up, on_down};
	struct mt_grpc_conf conf = {.max_message = ANSWER_MAX,
		.connect_ns = CONNECT_NS,
		.backoff_min_ns = BACKOFF_MIN,
		.backoff_max_ns = BACKOFF_MAX};
	struct mt_callout_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	ch->x = x;
	mt_list_init(&ch->calls);
	mt_grpc_target_fill(p->target, &conf);
	ch->grpc = mt_grpc_new(&x->fds, x->names, &conf, &events, ch);
	if (!ch->grpc) {
		free(ch);
		return NULL;
	}
	ch->provider = mt_callout_hold(p);
	pthread_mutex_lock(&x->lock);
	mt_list_add_tail(&x->channels, &ch->node);
	pthread_mutex_unlock(&x->lock);
	return ch;
}

static void close_channel(struct mt_callout_channel *ch)
{
	pthread_mutex_lock(&ch->x->lock);
	mt_list_del(&ch->node);
	pthread_mutex_unlock(&ch->x->lock);
	mt_grpc_free(ch->grpc);
	mt_callout_drop(ch->provider);
	free(ch);
}

static struct mt_callout_channel *channel_of(struct mt_callout *x, struct mt_callout_provider *p)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->channels) {
		struct mt_callout_channel *ch = mt_list_entry(n, struct mt_callout_channel, node);

		if (ch->provider != p)
			continue;
		ch->leaves |= mt_grpc_is_leaving(ch->grpc);
		if (!ch->leaves)
			return ch;
	}
	return open_channel(x, p);
}

static void put(struct mt_callout *x, struct mt_callout_call *c)
{
	c->channel = channel_of(x, c->slot->provider);
	if (!c->channel) {
		end_failed(c, MT_CALLOUT_NO_MEMORY);
		return;
	}
	mt_list_add_tail(&c->channel->calls, &c->node);
	if (mt_grpc_state(c->channel->grpc) == MT_GRPC_UP)
		send(c);
	else if (mt_grpc_state(c->channel->grpc) != MT_GRPC_WAITING)
		return;
	/* The last attempt to connect failed and the next is not due: fail the query at once. */
	else if (c->channel->why[0])
		end_failed(c, MT_CALLOUT_UNREACHABLE);
	/*
	 * If fail() of lib/grpc led here, it sets a later time after this; on_down() then hurries
	 * again.
	 */
	else
		mt_grpc_hurry(c->channel->grpc);
}

void mt_callout_begin(struct mt_callout *x, struct mt_callout_slot *s)
{
	struct mt_callout_call *c = &s->lane->calls[s->index];

	*c = (struct mt_callout_call){.slot = s};
	mt_list_init(&c->node);
	c->own_time = s->timeout <= s->provider->timeout;
	c->give_up = x->now + MT_MIN(s->provider->timeout, s->timeout);
	put(x, c);
}

/* ---- timeouts -------------------------------------------------------------------------------- */

static void look_at_times(struct mt_callout_channel *ch)
{
	struct mt_list *n = ch->calls.next;

	while (n != &ch->calls) {
		struct mt_callout_call *c = mt_list_entry(n, struct mt_callout_call, node);

		n = n->next;
		if (ch->x->now >= c->give_up)
			end_failed(c, c->own_time ? MT_CALLOUT_EXPIRED : MT_CALLOUT_LATE);
	}
}

static bool is_unused(const struct mt_callout_channel *ch)
{
	return mt_list_empty(&ch->calls) &&
	       (ch->leaves || __atomic_load_n(&ch->provider->refs, __ATOMIC_ACQUIRE) == 1);
}

int mt_callout_channels_turn(struct mt_callout *x)
{
	bool sweeps = x->now - x->swept >= SWEEP, busy = false;
	struct mt_list *n = x->channels.next;

	if (sweeps)
		x->swept = x->now;
	while (n != &x->channels) {
		struct mt_callout_channel *ch = mt_list_entry(n, struct mt_callout_channel, node);

		n = n->next;
		if ((sweeps || ch->leaves) && is_unused(ch)) {
			close_channel(ch);
			continue;
		}
		mt_grpc_turn(ch->grpc, x->now, &x->rng);
		if (ch->why[0] && mt_grpc_state(ch->grpc) == MT_GRPC_UP &&
			mt_grpc_has_spoken(ch->grpc))
			set_why(ch, "");
		look_at_times(ch);
		busy |= !mt_list_empty(&ch->calls);
	}
	return busy ? 5 : mt_list_empty(&x->channels) ? -1 : 50;
}

void mt_callout_channels_fini(struct mt_callout *x)
{
	while (!mt_list_empty(&x->channels)) {
		struct mt_callout_channel *ch =
			mt_list_entry(x->channels.next, struct mt_callout_channel, node);

		while (!mt_list_empty(&ch->calls))
			end_failed(mt_list_entry(ch->calls.next, struct mt_callout_call, node),
				MT_CALLOUT_UNREACHABLE);
		close_channel(ch);
	}
}

bool mt_callout_trouble(struct mt_callout *x, uint32_t i, struct mt_callout_trouble *t)
{
	bool found = false;
	struct mt_list *n;

	pthread_mutex_lock(&x->lock);
	mt_list_foreach (n, &x->channels) {
		struct mt_callout_channel *ch = mt_list_entry(n, struct mt_callout_channel, node);

		if (found || !ch->why[0] || i-- > 0)
			continue;
		snprintf(t->name, sizeof(t->name), "%s", ch->provider->name);
		snprintf(t->why, sizeof(t->why), "%s", ch->why);
		t->fails_open = ch->provider->fail_open;
		found = true;
	}
	pthread_mutex_unlock(&x->lock);
	return found;
}
