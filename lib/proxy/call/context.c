/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts of calls (lib/tracing): decides about a call when its service is known, and writes
 * the context for each attempt. A call that is not traced is not changed. Tracing never holds back,
 * refuses or fails a call: what cannot be read or written is counted.
 */
#include "call/mt_call_priv.h"

#include <string.h>
#include <strings.h>

#define BIT(n) (1ull << ((n)&63))

/* ---- keys ------------------------------------------------------------------------------------ */

void mt_call_tracing_keys(struct mt_call_tracing *t, const struct mt_codec *codec)
{
	t->placed = 0;
	t->lengths = 0;
	for (uint32_t i = 0; i < MT_SPAN_ALL_KEYS; i++) {
		t->keys[i] = mt_key_make_icase(codec, mt_span_keys[i]);
		t->lengths |= BIT(t->keys[i].len);
		if (codec->metadata.leading && (t->keys[i].id >= 0 || !codec->metadata.index))
			t->placed |= (uint8_t)BIT(i);
	}
}

static bool is_named(const void *key, uint32_t len, const char *name, uint32_t name_len)
{
	return key && len == name_len && strncasecmp(key, name, len) == 0;
}

/* ---- the start of a call --------------------------------------------------------------------- */

/* Longer values are malformed, and so are those without a text. */
#define VALUE 128

struct values {
	struct mt_span_values v;
	uint8_t copy[MT_SPAN_ALL_KEYS][VALUE]; /* of values that are not in the index as texts */
};

/* Notes a value, which `scratch` may contain. */
static void see(struct values *to, enum mt_span_key key, struct mt_slice value)
{
	uint32_t n = value.len <= VALUE ? value.len : 0;

	if (n)
		memcpy(to->copy[key], value.p, n);
	mt_span_see(&to->v, key, (struct mt_slice){to->copy[key], n});
}

static mt_noinline void see_placed(
	struct mt_view *v, const struct mt_call_tracing *t, struct values *to)
{
	for (uint32_t i = 0; i < MT_SPAN_ALL_KEYS; i++) {
		struct mt_slice value;

		if (t->placed >> i & 1 && v->codec->metadata.leading(v->codec, v->msg, v->chain,
						  &t->keys[i], &value, v->scratch))
			see(to, i, value);
	}
}

/* An entry with a key as long as one of the keys. */
static mt_noinline void see_entry(
	struct mt_view *v, uint32_t at, const struct mt_call_tracing *t, struct values *to)
{
	const struct mt_meta_entry *e = &v->meta.entry[at];

	for (uint32_t i = 0; i < MT_SPAN_ALL_KEYS; i++) {
		const struct mt_key *key = &t->keys[i];
		struct mt_slice value;

		if (v->meta.hash[at] != key->hash ||
			!is_named(e->key, e->key_len, key->name, key->len))
			continue;
		if (!mt_meta_value(&v->meta, at, &value, v->scratch))
			value.len = 0;
		see(to, i, value);
	}
}

/* All values of the keys: one that is there twice counts as absent. */
static mt_inline void read_values(
	struct mt_view *v, const struct mt_call_tracing *t, struct values *to)
{
	to->v.seen = to->v.twice = 0;
	if (mt_unlikely(t->placed))
		see_placed(v, t, to);
	if (v->meta.state != MT_META_READ)
		return;
	/* The highest byte of a hash has the length (MT_KEY_HASH_OF). */
	for (uint32_t i = 0; i < v->meta.n; i++)
		if (mt_unlikely(t->lengths & BIT(v->meta.hash[i] >> 24)))
			see_entry(v, i, t, to);
}

/* Notes that the call is traced. Its request gets a context only if that replaces all others. */
static mt_noinline void keep(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_call_tracing *t, const struct mt_span_values *v)
{
	struct mt_tracing_context *c = &mt_exchange_side(p, ex)->context;

	ex->traced = t->attempts ? MT_CALL_TRACED_ATTEMPTS : MT_CALL_TRACED;
	mt_exchange_side(p, ex)->attempt_at = 0;
	/* The values of its spans, if an access log has not noted them. */
	if (t->key && !ex->note && p->log.ring)
		mt_call_log_note(p, mt_exchange_down(p, ex), ex);
	if (!c->write || (ex->codec->rewrite.mutate && !(v->seen & t->placed)))
		return;
	c->write = 0;
	mt_count(p->counters, MT_PROXY_trace_not_forwarded);
}

/* Decides by the values of the request. */
static mt_noinline void decide(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_call_tracing *t)
{
	struct values values;

	read_values(&p->view, t, &values);
	if (mt_tracing_decide(&t->rule, &values.v, &p->trace_rnd,
		    &mt_exchange_side(p, ex)->context) >= MT_TRACING_JOINED)
		keep(p, ex, t, &values.v);
}

static mt_noinline void start_trace(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_call_tracing *t)
{
	const struct mt_span_values none = {.seen = 0};

	(void)mt_tracing_start(&t->rule, &none, &p->trace_rnd, &mt_exchange_side(p, ex)->context);
	keep(p, ex, t, &none);
}

/* True if the request may have one of the keys. */
static mt_inline bool may_have(const struct mt_metadata *m, const struct mt_call_tracing *t)
{
	if (mt_unlikely(t->placed))
		return true;
	/* The highest byte of a hash has the length (MT_KEY_HASH_OF). */
	for (uint32_t i = 0; m->state == MT_META_READ && i < m->n; i++)
		if (t->lengths & BIT(m->hash[i] >> 24))
			return true;
	return false;
}

mt_noinline void mt_context_begin(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_call_tracing *t = ex->service->tracing;
	const struct mt_metadata *m = &p->view.meta;

	/* A request that is forwarded while it arrives could not get a context. */
	if (mt_unlikely(ex->in_message) ||
		(m->state != MT_META_READ && !mt_metadata_known(&p->view, true))) {
		mt_count(p->counters, MT_PROXY_trace_unread);
		return;
	}
	/* Most requests have no context: they are drawn without their values. */
	if (mt_unlikely(may_have(m, t)))
		decide(p, ex, t);
	else if (mt_unlikely(mt_tracing_draws(&t->rule, &p->trace_rnd)) ||
		 mt_mutant(MT_MUTANT_undrawn_traced))
		start_trace(p, ex, t);
}

/* ---- an attempt ------------------------------------------------------------------------------ */

/* Names of entries in other spellings than the written one. */
#define SPELLINGS    8
#define LONGEST_NAME 24

struct spellings {
	uint32_t n;
	char name[SPELLINGS][LONGEST_NAME];
};

static bool add(struct mt_view *v, struct mt_mutation m)
{
	if (v->n_mutations == MT_VIEW_MUTATIONS)
		return false;
	v->mutations[v->n_mutations++] = m;
	return true;
}

/* Removes an entry. Its name is copied, because the message's bytes move when it changes. */
static bool strip_entry(struct mt_view *v, const struct mt_meta_entry *e, struct spellings *s)
{
	if (s->n == SPELLINGS)
		return false;
	memcpy(s->name[s->n], e->key, e->key_len);
	return add(v, (struct mt_mutation){.key = s->name[s->n++], .key_len = e->key_len});
}

/* Removes the key, in any spelling, from changes and entries. */
static bool strip(struct mt_view *v, const char *name, uint32_t len, struct spellings *s)
{
	for (uint32_t i = 0; i < v->n_mutations; i++)
		if (is_named(v->mutations[i].key, v->mutations[i].key_len, name, len))
			v->mutations[i].value = NULL;
	for (uint32_t i = 0; v->meta.state == MT_META_READ && i < v->meta.n; i++) {
		const struct mt_meta_entry *e = &v->meta.entry[i];

		/* Changes apply to all entries with exactly their key. */
		if (is_named(e->key, e->key_len, name, len) && memcmp(e->key, name, len) != 0 &&
			!strip_entry(v, e, s))
			return false;
	}
	return true;
}

/* Adds the context to the view's changes. False: there is no room for it. */
static bool add_context(
	struct mt_view *v, const struct mt_tracing_text *t, uint32_t n_keys, struct spellings *s)
{
	s->n = 0;
	mt_view_read(v);
	for (uint32_t i = 0; i < n_keys; i++) {
		const char *name = t->keys[i].name;
		uint32_t len = (uint32_t)strlen(name);

		MT_ASSERT(len <= LONGEST_NAME);
		if (!strip(v, name, len, s))
			return false;
	}
	for (uint32_t i = 0; i < n_keys; i++) {
		const struct mt_slice value = t->keys[i].value;

		if (!add(v, (struct mt_mutation){.key = t->keys[i].name,
				    .key_len = (uint16_t)strlen(t->keys[i].name),
				    .value = (const char *)value.p,
				    .value_len = (uint16_t)value.len}))
			return false;
	}
	return true;
}

/* Begins the span of the attempt, and writes the context of the call with it. */
static uint32_t write_context(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_tracing_text *text)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	const uint8_t *attempt = NULL;

	if (ex->traced == MT_CALL_TRACED_ATTEMPTS) {
		mt_tracing_new_id(&p->trace_rnd, side->attempt_span);
		side->attempt_at = p->now;
		attempt = side->attempt_span;
	}
	return mt_tracing_write(&side->context, attempt, text);
}

mt_noinline bool mt_context_render(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_view *v = &p->view;
	struct mt_mutation others[MT_VIEW_MUTATIONS];
	uint32_t n = v->n_mutations, n_keys;
	struct mt_tracing_text text;
	struct spellings spellings;

	n_keys = write_context(p, ex, &text);
	if (n_keys) {
		memcpy(others, v->mutations, n * sizeof(others[0]));
		if (add_context(v, &text, n_keys, &spellings) &&
			mt_changes_render(p, ex, &ex->msg, &ex->req))
			return true;
		mt_count(p->counters, MT_PROXY_trace_not_forwarded);
		memcpy(v->mutations, others, n * sizeof(others[0]));
		v->n_mutations = n;
	}
	return n == 0 || mt_changes_render(p, ex, &ex->msg, &ex->req);
}
