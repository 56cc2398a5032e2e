/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets and removes entries of containers with all entries as metadata. The end of a container is
 * written again, from the first entry that is removed: without the removed ones, and with the new
 * ones last. So each key that is set has one entry, for readers of the first and of the last value.
 * Metadata with a place of their own keep their values, because calls are routed and authorized by
 * them before they are changed.
 */
#include "write.h"

#include "mt_varint.h"

#include <errno.h>

/* A container that metadata are read from ends before. */
#define TAIL MT_CT_LEAD

/* ---- metadata with a place ------------------------------------------------------------------- */

/* The values of all of them. */
struct write_values {
	struct write_out all;
	uint8_t bytes[MT_META_SCRATCH];
};

static void read_values(const struct mt_codec_table *t, const struct mt_msg *msg,
	const struct mt_chain *chain, struct write_values *to)
{
	uint8_t scratch[MT_META_SCRATCH];

	to->all = (struct write_out){.to = to->bytes, .most = sizeof(to->bytes)};
	for (uint32_t i = 0; i < t->n_keys; i++) {
		const struct mt_key key = {.id = (int16_t)i};
		struct mt_slice v;
		bool there = table_leading(&t->codec, msg, chain, &key, &v, scratch);
		uint32_t len = there ? v.len : UINT32_MAX;

		write_put(&to->all, &len, sizeof(len));
		if (there)
			write_put(&to->all, v.p, v.len);
	}
}

static bool same_values(
	const struct write_change *c, const struct mt_msg *msg, const struct mt_chain *chain)
{
	struct write_values now;

	read_values(c->r->t, msg, chain, &now);
	return !now.all.full && !c->values->all.full && now.all.n == c->values->all.n &&
	       memcmp(now.bytes, c->values->bytes, now.all.n) == 0;
}

/* ---- new entries ---------------------------------------------------------------------------- */

/* How the lines of a container end. */
struct ends {
	bool cr;
	bool all; /* also the last line; that stays so */
};

static void line_end(struct write_out *t, const struct mt_ct_walk *w, const struct ends *e)
{
	write_put(t, "\r", e->cr);
	write_put(t, &w->end, 1);
}

static void line(struct write_out *t, const struct mt_ct_walk *w, const struct mt_mutation *m,
	bool first, const struct ends *e)
{
	if (!e->all && !first)
		line_end(t, w, e);
	write_put(t, m->key, m->key_len);
	write_put(t, &w->between, 1);
	write_put(t, " ", w->flags & MT_CT_WALK_TRIM ? 1 : 0);
	write_put(t, m->value, m->value_len);
	if (e->all)
		line_end(t, w, e);
}

/* An entry of the map that walk w leads to; embedded messages are merged. */
static void map_entry(struct write_out *t, const struct write_change *c, const struct mt_ct_walk *w,
	const struct mt_mutation *m)
{
	uint64_t len[MT_CT_WALK_DEPTH + 1];
	uint32_t path[MT_CT_WALK_DEPTH + 1], n = 0;
	const struct mt_ct_target *g = &c->r->t->targets[w->first + w->n - 1u];

	len[0] = 2u + mt_varint_len(m->key_len) + m->key_len + mt_varint_len(m->value_len) +
		 m->value_len;
	for (path[n++] = g->number; g->parent && n <= MT_CT_WALK_DEPTH; n++) {
		len[n] = len[n - 1] + mt_varint_len(len[n - 1]) +
			 mt_varint_len((uint64_t)path[n - 1] << 3);
		g = &c->r->t->targets[w->first + g->parent - 1u];
		path[n] = g->number;
	}
	while (n-- > 0) {
		write_put_varint(t, (uint64_t)path[n] << 3 | 2);
		write_put_varint(t, len[n]);
	}
	write_put(t, "\x0a", 1);
	write_put_varint(t, m->key_len);
	write_put(t, m->key, m->key_len);
	write_put(t, "\x12", 1);
	write_put_varint(t, m->value_len);
	write_put(t, m->value, m->value_len);
}

/* ---- the end of a container ------------------------------------------------------------------ */

struct place {
	const struct mt_ct_walk *w;
	struct table_slot all;
	uint8_t slot;
};

static bool is_key(
	const struct mt_ct_walk *w, const void *key, uint32_t len, const struct mt_mutation *m)
{
	if (len != m->key_len)
		return false;
	return memcmp(key, m->key, len) == 0 ||
	       (w->flags & MT_CT_WALK_ICASE && strncasecmp(key, m->key, len) == 0);
}

/* True if a later change is about the same key. */
static bool overridden(const struct write_change *c, const struct mt_ct_walk *w, uint32_t i)
{
	const struct mt_mutation *m = &c->mutations[i];

	for (uint32_t k = i + 1; k < c->n_mutations; k++)
		if (is_key(w, m->key, m->key_len, &c->mutations[k]))
			return true;
	return false;
}

static bool is_changed(
	const struct write_change *c, const struct mt_ct_walk *w, const struct mt_meta_entry *e)
{
	for (uint32_t i = 0; i < c->n_mutations; i++)
		if (is_key(w, e->key, e->key_len, &c->mutations[i]))
			return true;
	return false;
}

static bool copy(struct write_change *c, struct write_out *t, uint32_t from, uint32_t to)
{
	const uint8_t *p;

	for (uint32_t n; from < to; from += n) {
		n = table_piece(c->r, from, to, &p);
		if (n == 0)
			return false;
		write_put(t, p, n);
	}
	return true;
}

/*
 * Copies what stays from the first removed entry on. *from: that entry, or the end. *last: the last
 * entry is removed.
 */
static bool keep(struct write_change *c, const struct place *at, struct write_out *t,
	uint32_t *from, bool *last)
{
	uint32_t end = at->all.off + at->all.len, pos = end;

	*from = end;
	for (uint32_t i = 0; i < c->meta->n; i++) {
		const struct mt_meta_entry *e = &c->meta->entry[i];

		if (!is_changed(c, at->w, e))
			continue;
		c->n_entries--;
		if (*from == end)
			*from = pos = e->off;
		if (!copy(c, t, pos, e->off))
			return false;
		pos = e->end;
	}
	*last = *from != end && pos == end;
	return *from == end || copy(c, t, pos, end);
}

/* True if the last line has the character that ends lines, too. */
static bool is_ended(const struct write_change *c, const struct place *at)
{
	uint32_t end = at->all.off + at->all.len;
	const struct mt_meta_entry *e = c->meta->n ? &c->meta->entry[c->meta->n - 1] : NULL;

	if (at->w->between != at->w->end)
		return write_last_is(c, at->all.off, end, at->w->end);
	/* It may also be the one between a key and an empty value. */
	return e && e->end == end && e->off + e->key_len + e->value_len + 2u == end;
}

/* Removes the end of the line that is last now, because the container did not end with one. */
static void unend(const struct write_change *c, const struct place *at, struct write_out *t,
	uint32_t *from, bool cr)
{
	if (t->n) {
		t->n -= t->to[t->n - 1] == at->w->end;
		t->n -= cr && t->n && t->to[t->n - 1] == '\r';
	} else if (write_last_is(c, at->all.off, *from, at->w->end)) {
		--*from;
		*from -= cr && write_last_is(c, at->all.off, *from, '\r');
	}
}

static void add(struct write_change *c, const struct place *at, struct write_out *t, uint32_t from,
	const struct ends *ends)
{
	for (uint32_t i = 0; i < c->n_mutations; i++) {
		const struct mt_mutation *m = &c->mutations[i];
		bool first = from == at->all.off && !t->n;

		if (!m->value || overridden(c, at->w, i))
			continue;
		c->n_entries++;
		if (at->w->format == MT_CT_PAIRS) {
			write_put_counted(t, at->w, m->key, m->key_len);
			write_put_counted(t, at->w, m->value, m->value_len);
		} else if (at->w->format == MT_CT_LINES) {
			line(t, at->w, m, first, ends);
		} else {
			map_entry(t, c, at->w, m);
		}
	}
}

/* Entries of a nested map are in messages with a length of their own. */
static bool is_nested(const struct write_change *c, const struct mt_ct_walk *w)
{
	return w->n && c->r->t->targets[w->first + w->n - 1u].parent;
}

/*
 * The container without a last key with an empty value, if keys and values come in turns: that key
 * is not an entry, and would become one if others followed.
 */
static struct place entries(const struct write_change *c, const struct place *at)
{
	const struct mt_meta_entry *e = c->meta->n ? &c->meta->entry[c->meta->n - 1] : NULL;
	struct place part = *at;

	if (at->w->format == MT_CT_LINES && at->w->between == at->w->end)
		part.all.len = e ? e->end - at->all.off : 0;
	return part;
}

/* One edit for a container. */
static int edit(struct write_change *c, const struct place *in, struct write_out *t)
{
	const struct place part = entries(c, in), *at = &part;
	uint32_t end = at->all.off + at->all.len, from;
	bool lines = at->w->format == MT_CT_LINES, last;
	struct ends ends = {0};
	struct write_edit *e;

	if (!keep(c, at, t, &from, &last) || (from != end && is_nested(c, at->w)))
		return -ENOTSUP;
	if (lines)
		ends = (struct ends){write_has_cr(c, at->w, at->all), is_ended(c, at)};
	if (lines && !ends.all && last)
		unend(c, at, t, &from, ends.cr);
	add(c, at, t, from, &ends);
	if (t->full)
		return -ENOTSUP;
	if (from == end && !t->n)
		return 0;
	e = write_edit_add(c, from, in->all.off + in->all.len - from);
	if (!e)
		return -ENOTSUP;
	e->len = t->n;
	e->p = t->to;
	return write_edit_in(c, e, at->slot) ? 0 : -ENOTSUP;
}

/* ---- the codec's function -------------------------------------------------------------------- */

bool write_has_metadata(
	const struct write_change *c, struct mt_msg *msg, const struct mt_chain *chain)
{
	struct mt_metadata *meta = c->meta;

	if (!same_values(c, msg, chain))
		return false;
	mt_meta_read(meta, &c->r->t->codec, msg, chain);
	if (meta->state != MT_META_READ || meta->n != c->n_entries)
		return false;
	for (uint32_t i = 0; i < c->n_mutations; i++) {
		const struct mt_mutation *m = &c->mutations[i];
		uint32_t found = 0;

		if (overridden(c, c->walk, i))
			continue;
		for (uint32_t k = 0; k < meta->n; k++) {
			const struct mt_meta_entry *e = &meta->entry[k];

			if (!is_key(c->walk, e->key, e->key_len, m))
				continue;
			found++;
			if (!m->value || e->value_len != m->value_len ||
				memcmp(e->value.text, m->value, m->value_len) != 0)
				return false;
		}
		if (found != (m->value != NULL))
			return false;
	}
	return true;
}

/* Finds the containers of the message; returns how many there are. */
static uint32_t containers(const struct write_change *c, struct place *at)
{
	const struct mt_codec_table *t = c->r->t;
	const struct mt_msg *msg = c->r->msg;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_searches; i++) {
		const struct mt_ct_search *f = &t->searches[i];

		if (f->variant != msg->variant || !(f->kinds >> msg->kind & 1) ||
			!table_there(c->r, f->slot))
			continue;
		*at = (struct place){&t->walks[f->walk], table_slot(c->r, f->slot), f->slot};
		n++;
	}
	return n;
}

static bool sets_any(const struct mt_mutation *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (m[i].value)
			return true;
	return false;
}

/* Changes the only container that the message has. */
static int change(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain,
	struct write_out *t, struct mt_pools *p)
{
	struct write_values values;
	struct place at = {0};
	uint32_t n = containers(c, &at);
	int rc;

	if (n == 0)
		return sets_any(c->mutations, c->n_mutations) ? -ENOTSUP : 0;
	/* With several a key could stay in one of them. */
	if (n > 1 || at.w->format == MT_CT_JCE_STRUCT || c->meta->state != MT_META_READ)
		return -ENOTSUP;
	c->walk = at.w;
	rc = edit(c, &at, t);
	if (rc || !c->n_edits)
		return rc;
	read_values(c->r->t, msg, chain, &values);
	c->values = &values;
	return write_apply(c, msg, chain, msg->id, p);
}

int table_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *meta, const struct mt_mutation *m, uint32_t n, struct mt_pools *p)
{
	struct table_trace trace;
	struct table_state s;
	struct table_run r = {.trace = &trace, .s = &s};
	struct write_change w;
	struct mt_cursor cur;
	struct mt_msg again;
	uint8_t bytes[TAIL];
	struct write_out t = {.to = bytes, .most = TAIL};
	bool ok;
	int rc;

	if (n == 0)
		return 0;
	mt_meta_read(meta, self, msg, c);
	ok = table_again(&r, table_of(self), (enum mt_dir)msg->flags, c, &cur, &again);
	meta->took += r.used;
	if (!ok || !write_begin(&w, &r))
		return -ENOTSUP;
	w.mutations = m;
	w.n_mutations = n;
	w.n_entries = meta->n;
	w.meta = meta;
	rc = change(&w, msg, c, &t, p);
	mt_meta_clear(meta);
	return rc;
}
