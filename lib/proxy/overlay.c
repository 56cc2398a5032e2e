/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of metadata that wait with their exchange while a filter does. The view's are pointers to whatever
 * the filters hold; here they are bytes, in buffers of the worker's.
 */
#include "mt_proxy_priv.h"

struct record {
	uint16_t key_len, value_len;
	bool removes;
};

int mt_overlay_keep(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain *overlay = &mt_exchange_side(p, ex)->overlay;
	const struct mt_view *v = &p->view;

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
	return 0;
}

void mt_overlay_restore(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain *overlay = &mt_exchange_side(p, ex)->overlay;
	struct mt_view *v = &p->view;
	uint32_t at = 0, used = 0;

	v->n_mutations = 0;
	while (at < overlay->len) {
		struct mt_mutation *m = &v->mutations[v->n_mutations++];
		uint8_t *to = p->overlay + used;
		struct record r;

		mt_chain_read(overlay, at, &r, sizeof(r));
		at += (uint32_t)sizeof(r);
		mt_chain_read(overlay, at, to, (uint32_t)r.key_len + r.value_len);
		at += (uint32_t)r.key_len + r.value_len;
		used += (uint32_t)r.key_len + r.value_len;
		*m = (struct mt_mutation){
			.key = (const char *)to,
			.key_len = r.key_len,
			.value = r.removes ? NULL : (const char *)to + r.key_len,
			.value_len = r.value_len,
		};
	}
	mt_chain_free(overlay);
}
