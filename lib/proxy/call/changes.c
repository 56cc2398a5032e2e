/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata changes of a call. Filters, policies and the route collect them in the view; they are
 * written into the message once, before it is sent to an endpoint. A call that requires its changes
 * (mt_exchange.must_change) gets a local reply if they cannot be made.
 */
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

mt_noinline bool mt_changes_write(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_view *v = &p->view;
	bool ok;

	ok = codec->rewrite.mutate && !ex->in_message &&
	     codec->rewrite.mutate(codec, &ex->msg, &ex->req, &v->meta, v->mutations,
		     v->n_mutations, p->pools) == 0;
	ok = ok || (!ex->in_message && nothing_to_change(v));
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
