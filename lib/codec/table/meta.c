/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of a message that was decoded: those with a place of their own, and whole containers. */
#include "look.h"
#include "write.h"

const uint8_t *table_near(const struct table_source *in, uint32_t *n)
{
	const struct rte_mbuf *m;

	*n = in->msg->len;
	if (!in->chain)
		return in->flat;
	m = in->chain->head;
	*n = m ? MT_MIN(*n, mt_link(m)->len) : 0;
	return m ? mt_link_data(m) : NULL;
}

struct table_run table_look(
	const struct table_source *in, struct table_state *s, struct mt_cursor *cur)
{
	struct table_run r = {.t = table_of(in->self),
		/* Only decode() writes to the message. */
		.msg = (struct mt_msg *)(uintptr_t)in->msg,
		.s = s,
		.may = UINT32_MAX};

	*s = (struct table_state){0};
	if (!in->chain) {
		r.head = in->flat;
		r.head_len = r.arrived = in->msg->len;
		return r;
	}
	mt_cursor_init(cur, in->chain, 0);
	r.cur = cur;
	r.arrived = MT_MIN(in->chain->len, in->msg->len);
	r.head_len = MT_MIN(mt_cursor_run(cur, &r.head), r.arrived);
	return r;
}

bool table_is_signed(const struct mt_ct_place *p)
{
	return mt_ct_is_signed((enum mt_ct_type)p->type, p->flags & MT_CT_SIGNED);
}

/* The number's name, or its digits in scratch. */
static void number(const struct mt_codec_table *t, const struct mt_ct_meta *m, uint64_t v,
	struct mt_slice *value, uint8_t *scratch)
{
	struct mt_ct_place form = {.type = MT_CT_DECIMAL, .mask = UINT64_MAX};

	for (uint32_t i = 0; i < m->n_names; i++) {
		const struct mt_ct_name *n = &t->names[m->name + i];

		if (n->number == v) {
			*value = (struct mt_slice){t->text + n->text, n->len};
			return;
		}
	}
	form.flags = table_is_signed(&t->places[m->place]) ? MT_CT_SIGNED : 0;
	value->p = scratch;
	value->len = write_number_width(&form, NULL, 0, v, true);
	write_number(&form, NULL, 0, v, scratch, value->len);
}

/* The part of a text before or after the first separator; false: there is no such part. */
static bool split(const struct mt_ct_meta *m, struct mt_slice *value)
{
	const uint8_t *at;

	if (!m->split)
		return true;
	at = value->len ? memchr(value->p, m->split, value->len) : NULL;
	if (!at)
		return m->part == MT_CT_BEFORE || m->part == MT_CT_BEHIND;
	if (m->part == MT_CT_BEFORE || m->part == MT_CT_PREFIX) {
		value->len = (uint32_t)(at - value->p);
		return true;
	}
	value->len -= (uint32_t)(at + 1 - value->p);
	value->p = at + 1;
	return true;
}

/* A part in one piece. */
static bool slice(const struct table_run *r, const struct table_source *in, struct table_slot at,
	struct mt_slice *value, uint8_t *scratch)
{
	if (at.off + at.len > r->arrived || at.len > MT_META_SCRATCH)
		return false;
	if (in->chain)
		return mt_codec_slice(in->chain, at.off, at.len, value, scratch);
	*value = (struct mt_slice){in->flat + at.off, at.len};
	return true;
}

static bool value_of(struct table_run *r, const struct mt_ct_meta *m, const struct table_source *in,
	struct mt_slice *value, uint8_t *scratch)
{
	const struct mt_ct_place *p = &r->t->places[m->place];
	struct table_slot at;
	uint64_t v;

	if (p->type != MT_CT_BYTES) {
		if (table_number(r, p, &v) != TABLE_GOT)
			return false;
		number(r->t, m, v, value, scratch);
		return true;
	}
	return table_locate(r, p, &at) == TABLE_GOT && slice(r, in, at, value, scratch) &&
	       split(m, value);
}

/* The same for what needs no run, which has much to set. */
static bool near_value(const struct mt_codec_table *t, const struct mt_ct_meta *m,
	const struct table_source *in, struct mt_slice *value, uint8_t *scratch)
{
	uint32_t n;
	const uint8_t *p;
	uint64_t v;

	if (m->place == MT_CT_PLACES) {
		*value = (struct mt_slice){t->text + m->text, m->len};
		return true;
	}
	p = table_near(in, &n);
	if (!table_number_near(p, n, &t->places[m->place], &v))
		return false;
	number(t, m, v, value, scratch);
	return true;
}

static bool concerns(const struct mt_msg *msg, uint32_t variant, uint32_t kinds)
{
	return msg->variant == variant && kinds >> msg->kind & 1;
}

static bool leading(const struct table_source *in, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	const struct mt_codec_table *t = table_of(in->self);
	struct table_state s;
	struct mt_cursor cur;
	struct table_run r;

	r.t = NULL;
	if (key->id < 0 || (uint32_t)key->id >= t->n_keys)
		return false;
	for (uint32_t i = 0; i < t->n_metas; i++) {
		const struct mt_ct_meta *m = &t->metas[i];

		if (m->key != key->id || !concerns(in->msg, m->variant, m->kinds))
			continue;
		if (near_value(t, m, in, value, scratch))
			return true;
		if (!r.t)
			r = table_look(in, &s, &cur);
		if (value_of(&r, m, in, value, scratch))
			return true;
	}
	return false;
}

bool table_leading(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch)
{
	const struct table_source in = {self, msg, c, NULL};

	return leading(&in, key, value, scratch);
}

static void index_of(const struct table_source *in, struct mt_metadata *meta)
{
	const struct mt_codec_table *t = table_of(in->self);
	bool found = false, wrong = false;

	for (uint32_t i = 0; i < t->n_searches; i++) {
		const struct mt_ct_search *f = &t->searches[i];
		struct table_state s;
		struct mt_cursor cur;
		struct table_run r = table_look(in, &s, &cur);
		struct table_slot at;

		if (!concerns(in->msg, f->variant, f->kinds) || !table_there(&r, f->slot))
			continue;
		at = table_slot(&r, f->slot);
		if ((uint64_t)at.off + at.len > MT_CT_LEAD) {
			meta->state = MT_META_TOO_LARGE;
			return;
		}
		r.meta = meta;
		r.group = (uint8_t)i;
		if (at.off + at.len > r.arrived)
			continue;
		found = true;
		wrong |= table_walk(&r, &t->walks[f->walk], at.off, at.off + at.len) != TABLE_GOT;
		meta->took += r.used;
		if (meta->state == MT_META_TOO_LARGE)
			return;
	}
	if (found)
		meta->state = wrong ? MT_META_BROKEN : MT_META_READ;
}

void table_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *meta)
{
	const struct table_source in = {self, msg, c, NULL};

	index_of(&in, meta);
}

void mt_codec_table_index(const struct mt_codec_table *t, const struct mt_msg *msg,
	const uint8_t *p, struct mt_metadata *meta)
{
	const struct table_source in = {&t->codec, msg, NULL, p};

	meta->n = meta->end = meta->text_used = 0;
	meta->state = MT_META_ABSENT;
	index_of(&in, meta);
}

bool mt_codec_table_value(const struct mt_codec_table *t, const struct mt_msg *msg,
	const uint8_t *p, const char *name, struct mt_metadata *meta, struct mt_slice *value,
	uint8_t *scratch)
{
	const struct table_source in = {&t->codec, msg, NULL, p};
	struct mt_key key = mt_key_make(&t->codec, name);

	if (leading(&in, &key, value, scratch))
		return true;
	mt_codec_table_index(t, msg, p, meta);
	return meta->state == MT_META_READ && mt_meta_find(meta, &t->codec, &key, value, scratch);
}

bool table_carries(const struct mt_codec *self, const struct mt_msg *msg)
{
	const struct mt_codec_table *t = table_of(self);

	for (uint32_t i = 0; i < t->n_searches; i++)
		if (concerns(msg, t->searches[i].variant, t->searches[i].kinds) &&
			msg->aux32 >> t->searches[i].slot & 1)
			return true;
	return false;
}

#define KINDS_CALLS (1u << MT_MSG_REQUEST | 1u << MT_MSG_ONEWAY)

/* The kinds that a sender can choose among in place of the message's. */
static uint32_t kinds_like(const struct mt_msg *msg)
{
	uint32_t kind = 1u << msg->kind;

	return kind & KINDS_CALLS ? KINDS_CALLS : kind;
}

bool table_lacks(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_key *key)
{
	const struct mt_codec_table *t = table_of(self);
	uint32_t kinds = kinds_like(msg);
	bool found = false;

	for (uint32_t i = 0; i < t->n_metas; i++) {
		const struct mt_ct_meta *m = &t->metas[i];

		if (m->key != key->id || !(m->kinds & kinds))
			continue;
		if (concerns(msg, m->variant, m->kinds))
			return false;
		found = true;
	}
	for (uint32_t i = 0; i < t->n_searches; i++) {
		const struct mt_ct_search *f = &t->searches[i];

		if (!(f->kinds & kinds))
			continue;
		if (concerns(msg, f->variant, f->kinds))
			return false;
		found = true;
	}
	return found;
}

static bool is_of_some(uint32_t variant, uint32_t kinds)
{
	return variant || (kinds & KINDS_CALLS && ~kinds & KINDS_CALLS);
}

bool table_varies(const struct mt_codec_table *t)
{
	bool varies = false;

	for (uint32_t i = 0; i < t->n_metas; i++)
		varies |= is_of_some(t->metas[i].variant, t->metas[i].kinds);
	for (uint32_t i = 0; i < t->n_searches; i++)
		varies |= is_of_some(t->searches[i].variant, t->searches[i].kinds);
	return varies;
}
