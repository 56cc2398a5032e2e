/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata changes that an exchange keeps. The view's changes point into memory of filters, routes
 * and policies; here they are bytes, in buffers of the worker. There are two kinds:
 * - `overlay`: changes by filters, gateway and route, which every attempt and every copy have. They
 *   are kept while the exchange waits, and as long as its request is retained.
 * - `decision`: changes by an external authorization service (mt_exchange.asked). They are added to
 *   the view when the call is authorized at an endpoint with a policy that queries this service.
 * Changes by token rules of endpoints are not kept, because they are made again for each attempt.
 */
#include "access/mt_access_priv.h"

struct record {
	uint16_t key_len, value_len;
	bool removes;
};

int mt_overlay_put(struct mt_proxy *p, struct mt_chain *to, const struct mt_mutation *m)
{
	const struct record r = {
		.key_len = m->key_len,
		.value_len = m->value ? m->value_len : 0,
		.removes = !m->value,
	};

	if (mt_chain_write(to, p->pools, &r, sizeof(r)) ||
		mt_chain_write(to, p->pools, m->key, r.key_len) ||
		mt_chain_write(to, p->pools, m->value, r.value_len))
		return -ENOMEM;
	return 0;
}

bool mt_overlay_next(
	struct mt_proxy *p, const struct mt_chain *from, uint32_t *at, struct mt_mutation *m)
{
	char *to = (char *)p->overlay + p->overlay_used;
	struct record r;

	if (*at == from->len)
		return false;
	mt_chain_read(from, *at, &r, sizeof(r));
	*at += (uint32_t)sizeof(r);
	p->overlay_used += (uint32_t)r.key_len + 1 + r.value_len;
	/* mt_filter_change() limits `overlay`, and MT_EXTAUTHZ_BYTES limits `decision`. */
	MT_ASSERT(p->overlay_used <= sizeof(p->overlay));
	mt_chain_read(from, *at, to, r.key_len);
	to[r.key_len] = '\0';
	mt_chain_read(from, *at + r.key_len, to + r.key_len + 1, r.value_len);
	*at += (uint32_t)r.key_len + r.value_len;
	*m = (struct mt_mutation){
		.key = to,
		.key_len = r.key_len,
		.value = r.removes ? NULL : to + r.key_len + 1,
		.value_len = r.value_len,
	};
	return true;
}

void mt_retained_charge(struct mt_proxy *p, struct mt_exchange *ex, int64_t more)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	if (!d || more == 0)
		return;
	d->retained = (uint32_t)(d->retained + more);
	if (mt_likely(d->s))
		mt_stream_touch(d->s);
}

void mt_overlay_replace(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *old, struct mt_chain *by)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (ex->retained)
		mt_retained_charge(p, ex, (int64_t)by->truesize - old->truesize);
	mt_chain_free(old);
	mt_chain_concat(old, by);
	ex->changes_kept = side->overlay.len || side->decision.len;
	ex->side |= ex->changes_kept;
}

int mt_overlay_keep(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_mutation *m, uint32_t n)
{
	struct mt_chain kept = {0};

	if (mt_likely(n == 0 && !ex->changes_kept))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (mt_overlay_put(p, &kept, &m[i]) == 0)
			continue;
		mt_chain_free(&kept);
		return -ENOMEM;
	}
	mt_overlay_replace(p, ex, &mt_exchange_side(p, ex)->overlay, &kept);
	return 0;
}

void mt_overlay_restore(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_chain *overlay = &mt_exchange_side(p, ex)->overlay;
	struct mt_view *v = &p->view;
	uint32_t at = 0;

	v->n_mutations = 0;
	if (!ex->changes_kept)
		return;
	p->overlay_used = 0;
	/* The changes came from one view, so this view has room for them. */
	while (mt_overlay_next(p, overlay, &at, &v->mutations[v->n_mutations]))
		v->n_mutations++;
}

void mt_call_show(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_call_view(p, ex, mt_exchange_down(p, ex));
	mt_overlay_restore(p, ex);
}

void mt_overlay_drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	/* The decision is valid only with its changes: kept here, or written into the message. */
	if (side->decision.len && !ex->layered)
		ex->asked = 0;
	mt_chain_free(&side->overlay);
	mt_chain_free(&side->decision);
	ex->changes_kept = false;
}
