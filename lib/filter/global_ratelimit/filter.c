/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a rate limit service. */
#include "global.h"

#include "mt_mutant.h"

#include <stdio.h>
#include <string.h>

#define OVER	"over limit"
#define UNKNOWN "the rate limit service gave no answer"
#define CROWDED "too many calls of the client wait for the rate limit service"
#define UNREAD	"its metadata cannot be sent to the rate limit service"
#define LATE	"the rate limit service did not answer in time"

/* ---- queries --------------------------------------------------------------------------------- */

/* Copies a value, which is valid until the next one is read. False: it does not fit. */
static bool keep(struct mt_global_worker *g, uint32_t *used, struct mt_slice *value)
{
	char *to = g->texts + *used;

	if (value->len > sizeof(g->texts) - *used)
		return false;
	if (value->len)
		memcpy(to, value->p, value->len);
	value->p = (const uint8_t *)to;
	*used += value->len;
	return true;
}

static struct mt_slice text_of(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* A value of a call: it has one; it has none; it does not fit. */
enum found { HAS, LACKS, TOO_LONG };

static enum found metadata(struct mt_global_worker *g, const struct mt_key *key, struct mt_view *v,
	uint32_t *used, struct mt_slice *value)
{
	if (!mt_view_get(v, key, value))
		return LACKS;
	return keep(g, used, value) ? HAS : TOO_LONG;
}

/* "SERVICE:METHOD", or "METHOD", as Envoy has the name of a Thrift message. */
static enum found method(struct mt_global_worker *g, const struct mt_global_limit_entry *e,
	const struct mt_key *key, struct mt_view *v, uint32_t *used, struct mt_slice *value)
{
	const char *begin = g->texts + *used;
	struct mt_slice part, colon = text_of(":");
	enum found service = metadata(g, &e->compiled, v, used, &part), found;

	if (service == HAS && !keep(g, used, &colon))
		service = TOO_LONG;
	found = metadata(g, key, v, used, &part);
	if (found == HAS && !part.len)
		found = LACKS;
	if (found == HAS && service == TOO_LONG)
		found = TOO_LONG;
	*value = (struct mt_slice){(const uint8_t *)begin, (uint32_t)(g->texts + *used - begin)};
	return found;
}

static enum found address(struct mt_global_worker *g, uint32_t *used, struct mt_slice *value)
{
	char text[MT_ADDR_STRLEN];

	*value = text_of(mt_addr_str(g->peer, text));
	return keep(g, used, value) ? HAS : TOO_LONG;
}

static enum found value_of(struct mt_global_worker *g, const struct mt_global_limit *l,
	const struct mt_global_limit_entry *e, struct mt_view *v, uint32_t *used,
	struct mt_slice *value)
{
	enum found found = HAS;

	if (e->match && mt_matcher_test(e->match, v) == e->unless)
		return LACKS;
	switch (e->source) {
	case MT_GLOBAL_PROPERTY:
		*value = (struct mt_slice){NULL, 0};
		found = metadata(g, &e->compiled, v, used, value);
		return found == LACKS ? HAS : found;
	case MT_GLOBAL_METADATA:
		return metadata(g, &e->compiled, v, used, value);
	case MT_GLOBAL_METHOD:
		return method(g, e, &l->method, v, used, value);
	case MT_GLOBAL_ADDRESS:
		return address(g, used, value);
	case MT_GLOBAL_TEXT:
		*value = text_of(e->from);
	}
	return found;
}

/* LACKS: the call has no such descriptor, even if a value of another entry is too long. */
static enum found describe(struct mt_global_worker *g, const struct mt_global_limit *l,
	const struct mt_global_limit_descriptor *of, struct mt_view *v, uint32_t *used)
{
	struct mt_rls_descriptor *d = &g->descriptors[g->n];
	enum found all = of->n ? HAS : LACKS;
	uint32_t before = *used;

	d->n_entries = of->n;
	for (uint32_t i = 0; i < of->n && all != LACKS; i++) {
		enum found found = value_of(g, l, &of->entry[i], v, used, &d->entry[i].value);

		if (found != HAS)
			all = found;
		d->entry[i].key = text_of(of->entry[i].key);
	}
	if (all == LACKS)
		*used = before;
	return all;
}

/* Finds the descriptors of a call, g->n. False: their values are too long. */
static bool describe_all(struct mt_global_worker *g, const struct mt_global_limit *l,
	const struct mt_global_set *set, struct mt_view *v)
{
	uint32_t used = 0;

	g->n = 0;
	for (uint32_t i = set->first; i < set->first + set->n; i++) {
		enum found found = describe(g, l, &l->of[i], v, &used);

		if (found == TOO_LONG)
			return false;
		if (found == HAS)
			g->number[g->n++] = i;
	}
	return true;
}

/* `hits`: of each descriptor; NULL: 1 each. */
static size_t pack(struct mt_global_worker *g, const struct mt_global_limit *l,
	const uint32_t *hits, struct mt_rls_keys *keys)
{
	const struct mt_rls_query q = {.domain = text_of(l->domain),
		.descriptors = g->descriptors,
		.n_descriptors = g->n,
		.hits = hits};

	return mt_rls_pack(&q, l->provider->id, g->packed, sizeof(g->packed), keys);
}

/* The descriptors that a call may have; NULL: none, it is not limited. */
static const struct mt_global_set *set_of(
	const struct mt_global_limit *l, struct mt_view *v, struct mt_global_set *all)
{
	uint32_t at;

	if (!mt_matcher_test(l->match, v))
		return NULL;
	*all = (struct mt_global_set){0, l->n};
	if (!l->routes)
		return all;
	return mt_route_lookup(l->routes, v, &at) && l->sets[at].n ? &l->sets[at] : NULL;
}

/* ---- slots ----------------------------------------------------------------------------------- */

/*
 * Slots are shared by dynamic thresholds (Choudhury and Hahne, IEEE/ACM Transactions on Networking
 * 6(2), 1998). Calls for the services of one namespace's limits have at most seven times as many as
 * stay free, calls for one service three times as many, and calls of one client at most as many as
 * are left for these. Some stay free for others, however slow a service is, however many services a
 * namespace's limits name, and whatever a client sends.
 */
#define SHARE_OF_SERVICE   3
#define SHARE_OF_NAMESPACE 7

/* Counts of free places, and of those that a call's namespace, service and client use. */
struct use {
	uint32_t free, of_namespace, of_service, of_client;
};

/* How many more calls one client may have until `used` is `share` times as many as are free. */
static uint32_t left_of(uint32_t free, uint32_t used, uint32_t share)
{
	return free * share > used ? (free * share - used + share) / (share + 1) : 0;
}

static uint32_t left_for(const struct use *u)
{
	return MT_MIN(left_of(u->free, u->of_service, SHARE_OF_SERVICE),
		left_of(u->free, u->of_namespace, SHARE_OF_NAMESPACE));
}

static void count_use(struct use *u, const struct mt_global_place *used,
	const struct mt_callout_provider *p, const struct mt_addr *client)
{
	u->of_namespace += used->owner == p->owner;
	u->of_service += used->service == p->id;
	u->of_client += mt_addr_eq(&used->client, client);
}

static void take(struct mt_global_place *place, const struct mt_callout_provider *p,
	const struct mt_addr *client)
{
	*place = (struct mt_global_place){.owner = p->owner, .service = p->id, .client = *client};
}

/* All thresholds have room while fewer are used. */
#define NOT_SCARCE (MT_CALLOUT_SLOTS * SHARE_OF_SERVICE / (2 * SHARE_OF_SERVICE + 2))

enum room { ROOM, NO_ROOM, CLIENT_HAS_ENOUGH };

static enum room room_for(const struct mt_global_worker *g, const struct mt_callout_provider *p,
	const struct mt_addr *client)
{
	struct use u = {.free = mt_callout_room(g->lane)};
	uint32_t left;

	if (mt_likely(MT_CALLOUT_SLOTS - u.free < NOT_SCARCE))
		return ROOM;
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++)
		if (g->place[i].service)
			count_use(&u, &g->place[i], p, client);
	left = left_for(&u);
	/* A few clients can use up all that is left: they have enough as well. */
	if (!left && !u.of_client)
		return NO_ROOM;
	return u.of_client < left ? ROOM : CLIENT_HAS_ENOUGH;
}

/*
 * Keeps a place for a call that passes because there is no room for its query. As if it waited in
 * vain, the call has the place for the provider's timeout, and places are shared like slots, so
 * that as few calls pass as if they waited. False: there is none left for the client.
 */
static bool may_pass(struct mt_global_worker *g, const struct mt_callout_provider *p,
	const struct mt_addr *client, uint64_t now)
{
	struct use u = {0};
	uint32_t at = 0;

	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++) {
		if (g->passed[i].until > now) {
			count_use(&u, &g->passed[i].place, p, client);
			continue;
		}
		u.free++;
		at = i;
	}
	if (u.of_client >= left_for(&u))
		return false;
	g->passed[at].until = now + p->timeout;
	take(&g->passed[at].place, p, client);
	return true;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static enum mt_filter_verdict refuse(struct mt_filter_ctx *ctx, enum mt_filter_outcome why,
	enum mt_ending ending, const char *text)
{
	mt_count(ctx->fw->counters, why);
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->ending = ending;
	ctx->reply_text = text;
	return MT_FILTER_REPLY;
}

/* Counts a call over the limit. `which`: the descriptor; another number: it is unknown. */
static void count_over(const struct mt_global_limit *l, uint32_t which, uint16_t worker)
{
	mt_tally_refused(which < l->n ? l->of[which].tally : l->tally, worker);
}

/* There will be no answer. */
static enum mt_filter_verdict unanswered(const struct mt_global_limit *l, struct mt_filter_ctx *ctx)
{
	if (!l->fail_open)
		return refuse(ctx, MT_FILTER_global_failed, MT_ENDING_limit_error, UNKNOWN);
	mt_count(ctx->fw->counters, MT_FILTER_global_failed);
	return MT_FILTER_NEXT;
}

/* Not a failure of the service: with fail_open a client could pass the limit by many calls. */
static enum mt_filter_verdict crowded(struct mt_filter_ctx *ctx)
{
	mt_count(ctx->fw->counters, MT_FILTER_global_crowded);
	ctx->reply = MT_REPLY_OVERLOAD;
	ctx->ending = MT_ENDING_overload;
	ctx->reply_text = CROWDED;
	return MT_FILTER_REPLY;
}

/*
 * Lets the query that begins take a lease, if one is due. A lease that does not fit into the query
 * is not taken. Returns the query's length.
 */
static size_t lease(struct mt_global_worker *g, const struct mt_global_limit *l, uint64_t now,
	struct mt_rls_keys *keys, size_t len, struct mt_rls_asked *asked)
{
	size_t longer;

	if (!g->grants || !mt_rls_grants_ask(g->grants, keys, now, asked))
		return len;
	longer = pack(g, l, asked->hits, keys);
	if (longer)
		return longer;
	for (uint32_t i = 0; i < g->n; i++)
		asked->hits[i] = 1;
	return pack(g, l, NULL, keys);
}

static enum mt_filter_verdict wait_for_answer(const struct mt_global_limit *l,
	const struct mt_addr *peer, struct mt_filter_ctx *ctx, struct mt_rls_keys *keys, size_t len)
{
	struct mt_global_worker *g = ctx->fw->global;
	const struct mt_addr client = mt_addr_client(peer);
	enum room room = room_for(g, l->provider, &client);
	struct mt_rls_slot *s = room == ROOM ? mt_rls_slot(g->lane) : NULL;
	uint32_t i;

	if (room == CLIENT_HAS_ENOUGH)
		return crowded(ctx);
	if (!s && l->fail_open && !may_pass(g, l->provider, &client, ctx->now))
		return crowded(ctx);
	if (!s)
		return unanswered(l, ctx);
	i = s->callout.index;
	len = lease(g, l, ctx->now, keys, len, &g->wait[i].asked);
	mt_rls_put(s, g->packed, len, keys);
	g->wait[i].ticket = mt_filter_ticket_of(ctx);
	g->wait[i].fails_open = l->fail_open;
	memcpy(g->wait[i].number, g->number, sizeof(g->number));
	take(&g->place[i], l->provider, &client);
	mt_count(ctx->fw->counters, MT_FILTER_global_waited);
	mt_rls_ask(s, l->provider, ctx->left(ctx));
	return MT_FILTER_SUSPEND;
}

/* Refuses a call with this descriptor over its limit; g->n: the whole set is. */
static enum mt_filter_verdict refuse_over(const struct mt_global_limit *l,
	const struct mt_global_worker *g, struct mt_filter_ctx *ctx, uint32_t which)
{
	count_over(l, which < g->n ? g->number[which] : UINT32_MAX, ctx->fw->worker);
	return refuse(ctx, MT_FILTER_global_limited, MT_ENDING_over_global_limit, OVER);
}

/* A call, or a stream without a view, with some of these descriptors. */
static enum mt_filter_verdict limit(const struct mt_global_limit *l,
	const struct mt_global_set *set, struct mt_view *v, const struct mt_addr *peer,
	struct mt_filter_ctx *ctx)
{
	struct mt_global_worker *g = ctx->fw->global;
	struct mt_rls_keys keys;
	uint32_t which;
	size_t len;

	if (!g)
		return unanswered(l, ctx);
	g->peer = peer;
	len = describe_all(g, l, set, v);
	if (len && !g->n)
		return MT_FILTER_NEXT;
	if (!l->provider)
		return unanswered(l, ctx);
	len = len ? pack(g, l, NULL, &keys) : 0;
	if (!len)
		return refuse(ctx, MT_FILTER_global_unread, MT_ENDING_limit_error, UNREAD);
	if (mt_rls_over_any(&g->over, &keys, ctx->now, &which))
		return refuse_over(l, g, ctx, which);
	switch (g->grants ? mt_rls_grants_take(g->grants, &keys, ctx->now, &which) : MT_RLS_ASK) {
	case MT_RLS_ASK:
		break;
	case MT_RLS_GRANTED:
		mt_count(ctx->fw->counters, MT_FILTER_global_granted);
		return MT_FILTER_NEXT;
	case MT_RLS_USED_UP:
		return refuse_over(l, g, ctx, which);
	}
	return wait_for_answer(l, peer, ctx, &keys, len);
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_global_limit *l = f->conf;
	struct mt_global_set all;
	const struct mt_global_set *set = set_of(l, v, &all);

	return set ? limit(l, set, v, &v->peer, ctx) : MT_FILTER_NEXT;
}

/*
 * A stream shows no properties, and may not be a way past the limit, unless that needs none.
 */
static enum mt_filter_verdict on_stream(const struct mt_filter_inst *f, struct mt_filter_ctx *ctx)
{
	const struct mt_global_limit *l = f->conf;
	const struct mt_global_set all = {0, l->n};
	struct mt_filter_caller who;

	if (!l->of_streams)
		return refuse(ctx, MT_FILTER_global_unread, MT_ENDING_ok, UNREAD);
	ctx->caller(ctx, &who);
	return limit(l, &all, NULL, &who.addr, ctx);
}

static void on_refused(const struct mt_filter_inst *f, const struct mt_filter_resume *r,
	struct mt_filter_worker *fw)
{
	if (r->ending == MT_ENDING_over_global_limit)
		count_over(f->conf, r->rule, fw->worker);
}

static void explain(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	const struct mt_global_limit *l = f->conf;
	struct mt_global_set all;

	if (!set_of(l, v, &all)) {
		snprintf(told->words, sizeof(told->words), "%s: not limited",
			l->routes ? "its route has no limit" : "its match does not apply");
		return;
	}
	if (!l->provider) {
		told->verdict = l->fail_open ? MT_FILTER_NEXT : MT_FILTER_REPLY;
		told->reply = MT_REPLY_OVER_LIMIT;
		snprintf(told->words, sizeof(told->words),
			"there is no rate limit service (domain \"%s\")", l->domain);
		return;
	}
	told->verdict = MT_FILTER_SUSPEND;
	snprintf(told->words, sizeof(told->words),
		"waits for the rate limit service \"%s\" (domain \"%s\")", l->provider->name,
		l->domain);
}

const struct mt_filter mt_filter_global_ratelimit = {
	.name = "global_ratelimit",
	.aeraki_name = "aeraki.meta_protocol.filters.ratelimit",
	.on_request = on_request,
	.on_stream = on_stream,
	.on_refused = on_refused,
	.reads = true,
	.explain = explain,
	.free_conf = mt_global_free,
};

/* ---- answers --------------------------------------------------------------------------------- */

/* Headers of the service as changes of metadata. */
static void changes_of(const struct mt_rls_answer *a, const struct mt_rls_header *h, uint32_t n,
	struct mt_mutation *m)
{
	for (uint32_t i = 0; i < n; i++)
		m[i] = (struct mt_mutation){.key = mt_rls_text(a, h[i].key),
			.key_len = h[i].key.len,
			.value = mt_rls_text(a, h[i].value),
			.value_len = h[i].value.len};
}

/* Gives a call that is within its limit the service's headers, `m` and `reply`. */
static void add_headers(struct mt_filter_resume *r, const struct mt_rls_answer *a,
	struct mt_mutation *m, struct mt_mutation *reply)
{
	changes_of(a, a->header, a->n_headers, m);
	r->changes = m;
	r->n_changes = a->n_headers;
	changes_of(a, a->reply_header, a->n_reply_headers, reply);
	r->reply_changes = reply;
	r->n_reply_changes = a->n_reply_headers;
}

static void answer_by(struct mt_filter_resume *r, enum mt_ending ending, const char *text)
{
	r->verdict = MT_FILTER_REPLY;
	r->reply = MT_REPLY_OVER_LIMIT;
	r->ending = ending;
	r->text = text;
}

/* The first descriptor that is over its limit; UINT32_MAX: the service does not name it. */
static uint32_t first_over(const struct mt_rls_answer *a)
{
	for (uint32_t i = 0; i < a->n_statuses; i++)
		if (a->status[i].code == MT_RLS_OVER_LIMIT)
			return i;
	return UINT32_MAX;
}

/* How the call of an answered slot continues. */
static void decide(
	struct mt_filter_worker *fw, const struct mt_rls_slot *s, struct mt_filter_resume *r)
{
	const uint32_t *number = fw->global->wait[s->callout.index].number;
	uint32_t which;

	switch (s->verdict) {
	case MT_RLS_WITHIN:
		return;
	case MT_RLS_OVER:
		mt_count(fw->counters, MT_FILTER_global_limited);
		answer_by(r, MT_ENDING_over_global_limit, OVER);
		which = first_over(&s->answer);
		r->rule = which < s->keys.n ? number[which] : UINT32_MAX;
		return;
	case MT_RLS_UNJUDGED:
		mt_count(fw->counters, MT_FILTER_global_failed);
		if (!fw->global->wait[s->callout.index].fails_open &&
			!mt_mutant(MT_MUTANT_deny_on_fail_ignored))
			answer_by(r, MT_ENDING_limit_error, UNKNOWN);
		return;
	case MT_RLS_EXPIRED:
		mt_count(fw->counters, MT_FILTER_global_failed);
		answer_by(r, MT_ENDING_timeout, LATE);
		r->reply = MT_REPLY_TIMEOUT;
	}
}

/* Keeps what an answer grants, and which descriptors are over their limit. */
static void remember(struct mt_global_worker *g, const struct mt_rls_slot *s, uint64_t now)
{
	if (s->verdict == MT_RLS_OVER)
		mt_rls_over_keep(&g->over, &s->keys, &s->answer, now);
	if (g->grants && (s->verdict == MT_RLS_OVER || s->verdict == MT_RLS_WITHIN))
		mt_rls_grants_keep(
			g->grants, &s->keys, &g->wait[s->callout.index].asked, &s->answer, now);
}

uint32_t mt_global_take(struct mt_filter_worker *fw, uint64_t now,
	bool (*resume)(void *arg, const struct mt_filter_resume *r), void *arg)
{
	struct mt_global_worker *g = fw->global;
	struct mt_mutation changes[MT_RLS_HEADERS], of_reply[MT_RLS_HEADERS];
	struct mt_rls_slot *s;
	bool more = true;
	uint32_t n = 0;

	for (; more && n < MT_CALLOUT_SLOTS && (s = mt_rls_take(g->lane)); n++) {
		uint32_t i = s->callout.index;
		struct mt_filter_resume r = {
			.ticket = g->wait[i].ticket, .verdict = MT_FILTER_NEXT};

		g->place[i].service = 0;
		remember(g, s, now);
		if (s->verdict == MT_RLS_WITHIN)
			add_headers(&r, &s->answer, changes, of_reply);
		decide(fw, s, &r);
		more = resume(arg, &r);
		mt_callout_give_back(&s->callout);
	}
	if (!more || n == MT_CALLOUT_SLOTS)
		mt_filter_inbox_ring(mt_filter_inbox_who(fw->inbox));
	return n;
}
