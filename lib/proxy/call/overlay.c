/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata changes of an exchange that is suspended, or waits for its cluster. The view's changes
 * point into memory of filters, routes and policies; here they are bytes, in buffers of the worker.
 * They are kept when the exchange begins to wait, and restored when it continues, or freed when it
 * is answered or ends.
 */
#include "call/mt_call_priv.h"

struct record {
	uint16_t key_len, value_len;
	bool removes;
};

int mt_overlay_keep(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain *overlay = &mt_exchange_side(p, ex)->overlay;
	const struct mt_view *v = &p->view;

	MT_ASSERT(!ex->changes_kept);
	if (v->n_mutations == 0)
		return 0;
	for (uint32_t i = 0; i < v->n_mutations; i++) {
		const struct mt_mutation *m = &v->mutations[i];
		struct record r = {
			.key_len = m->key_len,
			.value_len = m->value ? m->value_len : 0,
			.removes = !m->value,
		};

		if (mt_chain_write(overlay, p->pools, &r, sizeof(r)) ||
			mt_chain_write(overlay, p->pools, m->key, r.key_len) ||
			mt_chain_write(overlay, p->pools, m->value, r.value_len)) {
			mt_chain_free(overlay);
			return -ENOMEM;
		}
	}
	ex->changes_kept = ex->side = true;
	return 0;
}

void mt_overlay_drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_chain_free(&mt_exchange_side(p, ex)->overlay);
	ex->changes_kept = false;
}

void mt_overlay_restore(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_chain *overlay = &mt_exchange_side(p, ex)->overlay;
	struct mt_view *v = &p->view;
	uint32_t at = 0, used = 0;

	v->n_mutations = 0;
	if (!ex->changes_kept)
		return;
	while (at < overlay->len) {
		uint8_t *to = p->overlay + used;
		struct record r;

		mt_chain_read(overlay, at, &r, sizeof(r));
		at += (uint32_t)sizeof(r);
		used += (uint32_t)r.key_len + r.value_len;
		/* They came from one view (mt_filter_change()). */
		MT_ASSERT(v->n_mutations < MT_VIEW_MUTATIONS && used <= sizeof(p->overlay));
		mt_chain_read(overlay, at, to, (uint32_t)r.key_len + r.value_len);
		at += (uint32_t)r.key_len + r.value_len;
		v->mutations[v->n_mutations++] = (struct mt_mutation){
			.key = (const char *)to,
			.key_len = r.key_len,
			.value = r.removes ? NULL : (const char *)to + r.key_len,
			.value_len = r.value_len,
		};
	}
	mt_overlay_drop(p, ex);
}
