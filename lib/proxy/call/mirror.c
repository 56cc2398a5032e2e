/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors: copies of a share of a route's calls go to other clusters, and their replies are
 * dropped, as with Envoy's request_mirror_policies. A copy is an exchange of its own. Its bytes are
 * its own, or in buffers that it shares with the call and that are not written (retained.c). It has
 * no client (mt_exchange_down() is NULL), and so no listener, chain, service, route or filters. The
 * table mt_call_rules has the rules for it.
 * - Selection: calls with mirrors leave the hot path before their endpoint is chosen. Mirrors and
 *   endpoints are chosen and authorized while the view shows the call and its caller. Then the
 *   bytes are copied, with the view's changes, and the call is sent. If the call was sent or waits
 *   in the pool, the copies are sent to the endpoints already chosen.
 * - Limits: those of retained requests (retained.c), and mirror_max and mirror_bytes in total. The
 *   slab of exchanges has extra places for copies. All copies wait in one bucket of an endpoint's
 *   queue (queue.c), as if they were calls of one client.
 * - End: by their deadline or with their connection, like any call. mt_proxy_idle() does not wait
 *   for them. They are part of a worker's image.
 */
#include "call/mt_call_priv.h"

/* Maximum time-out of a copy if neither the route nor the service has a time-out. */
#define PATIENCE_MS 15000u

/* ---- accounts -------------------------------------------------------------------------------- */

static void begin(struct mt_proxy *p, struct mt_exchange *copy)
{
	mt_exchange_side(p, copy)->copied = copy->req.truesize;
	copy->side = true;
	p->mirror.n++;
	p->mirror.bytes += copy->req.truesize;
}

void mt_mirror_ended(struct mt_proxy *p, const struct mt_exchange *copy)
{
	p->mirror.n--;
	p->mirror.bytes -= mt_exchange_side(p, copy)->copied;
}

void mt_proxy_attach_ledger(struct mt_proxy *p, struct mt_ledger *l)
{
	p->ledger = l;
}

uint64_t mt_proxy_copies_waiting(const struct mt_proxy *p)
{
	return p->mirror.waits;
}

uint32_t mt_proxy_copies(const struct mt_proxy *p)
{
	return p->mirror.n;
}

/* ---- selection ------------------------------------------------------------------------------- */

/* Requests an on-demand cluster, as a call would, but at most once a second. */
static void ask_for(struct mt_proxy *p, const struct mt_cluster *c)
{
	if (!c->demand || p->now < p->mirror.ask_at)
		return;
	p->mirror.ask_at = p->now + MT_SEC;
	mt_on_demand_request(p, c);
}

/*
 * The endpoint that gets a copy; NULL: none, for the reason *why. The endpoint is chosen as for the
 * call, but only one endpoint is tested.
 */
static const struct mt_endpoint *pick(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_cluster **c, uint8_t *shows, enum mt_proxy_outcome *why)
{
	const struct mt_endpoint *ep;
	int at;

	*why = MT_PROXY_mirror_denied;
	*c = mt_secure_reach(p, mt_exchange_down(p, ex)->s, ex->service->gateway, *c, shows);
	if (!*c || (*c)->closed_by)
		return NULL;
	*why = MT_PROXY_mirror_no_endpoint;
	if ((*c)->n_eps == 0)
		ask_for(p, *c);
	at = mt_cluster_pick_by(
		*c, &p->lb, &p->view, &ex->route->hash, mt_rand_u64(&p->rnd), p->now, 0);
	if (at < 0)
		return NULL;
	ep = &(*c)->eps[at];
	if (mt_admit_refuses(p, ex, ep->state->index, ep->state->id))
		return NULL;
	*why = MT_PROXY_mirror_denied;
	return mt_authorize_copy(p, ex, *c, ep) ? ep : NULL;
}

/* True if one more copy may be made. */
static bool may_copy(
	const struct mt_proxy *p, const struct mt_exchange *ex, enum mt_proxy_outcome *why)
{
	*why = MT_PROXY_mirror_too_long;
	if (!mt_retained_fits(ex))
		return false;
	*why = MT_PROXY_mirror_full;
	return p->mirror.n < p->conf.mirror_max &&
	       p->mirror.bytes + ex->req.len <= p->conf.mirror_bytes && mt_retained_has_room(p);
}

static const char *words_of(enum mt_proxy_outcome why)
{
	switch (why) {
	case MT_PROXY_mirror_too_long:
		return "the call is too long, or not complete yet";
	case MT_PROXY_mirror_full:
		return "as many copies as may be are under way, or memory is short";
	case MT_PROXY_mirror_denied:
		return "its caller may not call that";
	default:
		return "it has no endpoint that could take one";
	}
}

/*
 * ms: the time-out of a copy, which is the rest of the call's time-out. If neither the route nor
 * the service has a time-out, the copy's is at most PATIENCE_MS.
 */
static uint32_t patience(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t left = mt_call_left(p, ex);

	if (mt_snapshot_timeout(ex->route, ex->service))
		return left;
	return MT_MIN(left, PATIENCE_MS);
}

bool mt_mirror_choose(struct mt_proxy *p, struct mt_exchange *ex, struct mt_mirroring *m)
{
	m->n = 0;
	m->ms = patience(p, ex);
	for (uint32_t i = 0; i < ex->route->n_mirrors; i++) {
		const struct mt_route_mirror *to = &ex->route->mirrors[i];
		const struct mt_cluster *c = &ex->snap->clusters[to->cluster];
		const struct mt_endpoint *ep = NULL;
		enum mt_proxy_outcome why;
		uint8_t shows = 0;

		if (mt_rand_u64(&p->rnd) % 1000000 >= to->ppm)
			continue;
		if (may_copy(p, ex, &why))
			ep = pick(p, ex, &c, &shows, &why);
		mt_exchange_trace_mirror(
			p, ex, c ? c : &ex->snap->clusters[to->cluster], ep, words_of(why));
		if (!ep) {
			mt_count(p->counters, why);
			continue;
		}
		m->to[m->n].cluster = c;
		m->to[m->n].shows = shows;
		m->to[m->n++].ep = ep;
	}
	return m->n > 0;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/*
 * Makes the bytes of a copy: the request with the view's changes. False: memory is short, or the
 * changes cannot be made and the call requires them.
 */
static bool render(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *req)
{
	/*
	 * Builds the index from the call's bytes. A codec would otherwise build it from the copy's
	 * bytes, and it outlives the copy.
	 */
	if (p->view.n_mutations)
		mt_view_read(&p->view);
	*msg = ex->msg;
	if (mt_retained_copy(p, &ex->req, req))
		return false;
	return !p->view.n_mutations || mt_changes_render(p, ex, msg, req) || !ex->must_change;
}

static struct mt_exchange *copy_of(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_cluster *c)
{
	struct mt_exchange *copy = NULL;
	struct mt_chain req = {0};
	struct mt_msg msg;

	if (render(p, ex, &msg, &req))
		copy = mt_exchange_new_copy(p, ex);
	if (!copy) {
		mt_chain_free(&req);
		return NULL;
	}
	copy->req = req;
	begin(p, copy);
	copy->msg = msg;
	copy->seed = ex->seed;
	copy->oneway = ex->oneway;
	copy->attempt.lane = (uint8_t)MT_MIN(ex->attempt.lane, (uint8_t)MT_UP_WIDE);
	copy->attempt.cluster = c;
	copy->attempt.cluster_index = c->index;
	return copy;
}

void mt_mirror_copy(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_mirroring *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		m->to[i].copy = copy_of(p, ex, m->to[i].cluster);
		if (m->to[i].copy)
			m->to[i].copy->attempt.shows = m->to[i].shows;
		else
			mt_count(p->counters, MT_PROXY_mirror_full);
	}
}

/*
 * Runs a copy from MT_CALL_ENDPOINT on. choose.c takes the endpoint that was chosen for it from
 * mt_mirror_endpoint().
 */
static void send_one(
	struct mt_proxy *p, struct mt_exchange *copy, const struct mt_endpoint *ep, uint32_t ms)
{
	mt_count(p->counters, MT_PROXY_mirror_started);
	mt_deadline_arm(&p->deadlines, &copy->deadline, p->now, ms);
	p->mirror.ep = *ep;
	p->mirror.ep.guarded = false; /* the call's client was authorized */
	copy->step = MT_CALL_ENDPOINT;
	mt_call_run(p, copy);
}

const struct mt_endpoint *mt_mirror_endpoint(const struct mt_proxy *p)
{
	return &p->mirror.ep;
}

void mt_mirror_send(struct mt_proxy *p, struct mt_mirroring *m, bool out)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct mt_exchange *copy = m->to[i].copy;

		if (copy && out)
			send_one(p, copy, m->to[i].ep, m->ms);
		else if (copy)
			mt_exchange_end(p, copy);
	}
}

void mt_mirror_failed(struct mt_proxy *p, struct mt_exchange *copy)
{
	/*
	 * A copy with a status was answered, by a long reply that ended too early; it does not
	 * count as failed.
	 */
	if (!copy->status)
		mt_count(p->counters, MT_PROXY_mirror_failed);
	mt_exchange_end(p, copy);
}
