/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata changes of a call, in two layers. Changes by filters, gateway and route are for every
 * attempt and for copies; changes by the policies of an endpoint (tokens, external authorization)
 * end with the attempt. The view collects both; they are written once for each attempt, when its
 * endpoint is authorized. A call that requires its changes (mt_exchange.must_change) gets a local
 * reply if they cannot be made.
 *
 * - If no policy of the cluster's endpoints makes a second layer, the message is changed in place,
 *   and later attempts send the changed message.
 * - Otherwise the request is first retained as the client sent it, and the first layer is kept with
 *   the request (overlay.c). Every attempt begins with both.
 * - If the request cannot be retained (retained.c), both layers are written in place. Then later
 *   attempts may go only to endpoints with policies that make the same changes.
 */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

#include <string.h>

static void refuse(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_reply_local(p, ex, MT_REPLY_OVERLOAD,
		"its metadata cannot be changed as its route or a policy requires");
}

static bool has_key(const struct mt_metadata *m, const struct mt_mutation *change)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->entry[i].key_len == change->key_len && m->entry[i].key &&
			memcmp(m->entry[i].key, change->key, change->key_len) == 0)
			return true;
	return false;
}

/* True if the changes set no value, and the message has none of the keys that they remove. */
static bool nothing_to_change(struct mt_view *v)
{
	const struct mt_codec *codec = v->codec;
	enum mt_meta_state state = codec->metadata.index ? mt_view_read(v) : MT_META_TOO_LARGE;

	for (uint32_t i = 0; i < v->n_mutations; i++)
		if (v->mutations[i].value ||
			(state == MT_META_READ && has_key(&v->meta, &v->mutations[i])))
			return false;
	return state == MT_META_READ ||
	       (state == MT_META_ABSENT &&
		       !(codec->metadata.carries && codec->metadata.carries(codec, v->msg)));
}

bool mt_changes_render(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_view *v = &p->view;

	if (ex->in_message)
		return false;
	return (codec->rewrite.mutate && codec->rewrite.mutate(codec, msg, c, &v->meta,
						 v->mutations, v->n_mutations, p->pools) == 0) ||
	       nothing_to_change(v);
}

/* Retains the request, and keeps `change`, which filters, gateway and route have made. */
static void retain(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_mutation *change, uint32_t n)
{
	if (!ex->retained && mt_retained_fits(ex) && mt_overlay_keep(p, ex, change, n) == 0)
		mt_retained_keep(p, ex);
}

mt_noinline bool mt_changes_write(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_view *v = &p->view;
	uint32_t n = v->n_mutations;
	bool ok;

	/* The policies of the endpoint of a later attempt may change the request, too. */
	if (mt_unlikely(ex->attempt.cluster->guards_change) && v->n_mutations && !ex->layered)
		retain(p, ex, v->mutations, v->n_mutations);
	if (mt_unlikely(ex->changes_kept) && !ex->retained)
		mt_overlay_drop(p, ex);
	if (mt_unlikely(ex->traced))
		ok = mt_context_render(p, ex);
	else
		ok = n == 0 || mt_changes_render(p, ex, &ex->msg, &ex->req);
	if (n == 0) {
		v->n_mutations = 0;
		return true;
	}
	if (!ok)
		mt_count(p->counters, MT_PROXY_mutation_failed);
	mt_exchange_trace_mutated(p, ex, v->n_mutations, ok);
	mt_exchange_changed(ex);
	v->n_mutations = 0;
	if (ok || !ex->must_change)
		return true;
	refuse(p, ex);
	return false;
}

mt_noinline bool mt_changes_by_route(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_route_action *r = ex->route;

	for (uint32_t i = 0; i < r->n_req_mut; i++) {
		if (mt_filter_change(&p->filters, &p->view, &r->req_mut[i]))
			continue;
		refuse(p, ex);
		return false;
	}
	if (r->n_req_mut) {
		ex->must_change = true;
		mt_exchange_changed(ex);
	}
	return true;
}

/*
 * True if a retained call has kept changes, but memory for retained requests is short. Kept changes
 * are in buffers, with the same limits as the buffers of retained requests. The caller drops the
 * retained request, so that the call goes on without further attempts.
 */
static bool lacks_room(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return ex->retained && ex->changes_kept && !mt_retained_has_room(p);
}

static void disarm(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->armed)
		mt_count(p->counters, MT_PROXY_retry_disarmed);
	mt_retained_drop(p, ex);
}

mt_noinline bool mt_changes_renew(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_overlay_keep_view(p, ex) == 0) {
		/* Before the first attempt, run.c arms the call again and tests the room again. */
		if (lacks_room(p, ex))
			mt_retained_drop(p, ex);
		return true;
	}
	mt_count(p->counters, MT_PROXY_no_memory);
	mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
	return false;
}

bool mt_changes_retain(struct mt_proxy *p, struct mt_exchange *ex)
{
	return mt_retained_fits(ex) && mt_overlay_keep_view(p, ex) == 0 && mt_retained_keep(p, ex);
}

/* Id of the changes of the endpoint's policies; 0: it makes none. */
static uint64_t id_of(const struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	const struct mt_cluster *c = ex->attempt.cluster;

	return ep->guarded ? mt_authorize_changes_id(c->guards[ep - c->eps]) : 0;
}

mt_noinline bool mt_changes_by_endpoint(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (ex->layered && side->layered_by != id_of(ex, ep)) {
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD,
			"its metadata were changed for an endpoint with other policies");
		return false;
	}
	if (!ep->guarded)
		return true;
	if (!mt_authorize_call(p, ex, ep))
		return false;
	if (ex->layered || !mt_authorize_changed(p))
		return true;
	retain(p, ex, p->layer.change, p->layer.n);
	if (mt_mutant(MT_MUTANT_attempt_change_kept))
		mt_overlay_keep_view(p, ex);
	ex->layered = true;
	if (mt_unlikely(lacks_room(p, ex)))
		disarm(p, ex);
	/* Only a retained request with buffers may be dropped later (evict.c). */
	if (!ex->retained || mt_side_truesize(side))
		side->layered_by = id_of(ex, ep);
	return true;
}
