/* SPDX-License-Identifier: Apache-2.0 */
/* The hot table: connections, half-open and TIME-WAIT records under one key. */
#include "mt_tcp_priv.h"

static uint32_t hash_of(void *arg, uint32_t val)
{
	const struct mt_tcp *t = arg;
	uint32_t idx = mt_tcp_val_idx(val);
	struct mt_tuple tuple;

	switch (mt_tcp_val_kind(val)) {
	case MT_TCP_KIND_CONN:
		tuple = ((struct mt_tcp_conn *)mt_slab_at(&t->conns, idx))->tuple;
		break;
	case MT_TCP_KIND_HALF:
		tuple = mt_tcp_tuple_of(&((struct mt_tcp_half *)mt_slab_at(&t->halves, idx))->key);
		break;
	default:
		tuple = mt_tcp_tuple_of(&((struct mt_tcp_tw *)mt_slab_at(&t->tws, idx))->key);
	}
	return mt_tcp_hash(t, &tuple);
}

static bool is(const struct mt_tcp *t, uint32_t val, const struct mt_tuple *tuple)
{
	uint32_t idx = mt_tcp_val_idx(val);

	switch (mt_tcp_val_kind(val)) {
	case MT_TCP_KIND_CONN:
		return mt_tuple_eq(
			&((struct mt_tcp_conn *)mt_slab_at(&t->conns, idx))->tuple, tuple);
	case MT_TCP_KIND_HALF:
		return mt_tcp_key_is(
			&((struct mt_tcp_half *)mt_slab_at(&t->halves, idx))->key, tuple);
	default:
		return mt_tcp_key_is(&((struct mt_tcp_tw *)mt_slab_at(&t->tws, idx))->key, tuple);
	}
}

bool mt_tcp_table_init(struct mt_tcp *t)
{
	uint32_t cap = t->conf.max_conns + t->conf.max_half_open + t->conf.max_time_wait;

	return mt_table_init(&t->table, cap, hash_of, t) == 0;
}

uint32_t mt_tcp_find(const struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t hash)
{
	struct mt_table_iter it;
	uint32_t val = mt_table_first(&t->table, hash, &it);

	while (val != MT_TABLE_NONE && !is(t, val, tuple))
		val = mt_table_next(&t->table, &it);
	return val;
}

uint32_t mt_tcp_prefetch(const struct mt_tcp *t, uint32_t hash)
{
	struct mt_table_iter it;
	uint32_t val = mt_table_first(&t->table, hash, &it);
	const char *c;

	if (val == MT_TABLE_NONE || mt_tcp_val_kind(val) != MT_TCP_KIND_CONN)
		return val;
	/* Processing a segment and its answer touches the whole connection. */
	c = mt_slab_at(&t->conns, mt_tcp_val_idx(val));
	for (size_t at = 0; at < sizeof(struct mt_tcp_conn); at += MT_CACHE_LINE)
		__builtin_prefetch(c + at, 1);
	return val;
}

void mt_tcp_prefetch_queue(const struct mt_tcp *t, uint32_t val)
{
	const struct mt_tcp_conn *c;
	const struct rte_mbuf *m;

	if (val == MT_TABLE_NONE || mt_tcp_val_kind(val) != MT_TCP_KIND_CONN)
		return;
	c = mt_slab_at(&t->conns, mt_tcp_val_idx(val));
	m = c->tx.head;
	if (!m)
		return;
	/* The segment may acknowledge this buffer; freeing it writes both cache lines. */
	__builtin_prefetch(m, 1);
	__builtin_prefetch(mt_link(m), 1);
}

struct mt_tcp_conn *mt_tcp_find_conn(struct mt_tcp *t, const struct mt_tuple *tuple)
{
	uint32_t val = mt_tcp_find(t, tuple, mt_tcp_hash(t, tuple));

	if (val == MT_TABLE_NONE || mt_tcp_val_kind(val) != MT_TCP_KIND_CONN)
		return NULL;
	return mt_slab_at(&t->conns, mt_tcp_val_idx(val));
}
