/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates a call by the index: finds the rules that the call may match, then evaluates them.
 * judge() is compiled separately for one and for two words of rules, so that the bits of up to 128
 * rules stay in registers. Functions that are not inlined into narrow() get a copy of the bits,
 * because the address of the bits would force them into memory.
 */
#include "mt_authz_priv.h"

#include <string.h>

/* ---- rows of a text -------------------------------------------------------------------------- */

static mt_inline uint32_t row_of(const struct mt_authz_probe *p, struct mt_slice s, bool from_end)
{
	if (mt_unlikely(s.len < p->reach))
		return MT_AUTHZ_ROW_SHORT;
	return mt_authz_row(from_end ? s.p + (s.len - p->reach) : s.p + p->reach - 2);
}

/*
 * The text "HEAD/TAIL", or with `lead` "/HEAD/TAIL": namespace and account, or interface and
 * method.
 */
struct joined {
	struct mt_slice head, tail;
	bool lead;
};

/* Returns byte i of the joined text. Bytes outside of both parts are slashes. */
static mt_inline uint32_t letter_of(const struct joined *t, uint32_t i)
{
	i -= t->lead;
	if (i < t->head.len)
		return t->head.p[i];
	i -= t->head.len + 1;
	return i < t->tail.len ? t->tail.p[i] : '/';
}

static mt_inline uint32_t row_of_joined(
	const struct mt_authz_probe *p, const struct joined *t, bool from_end)
{
	uint32_t len = t->lead + t->head.len + 1 + t->tail.len, at;

	if (mt_unlikely(len < p->reach))
		return MT_AUTHZ_ROW_SHORT;
	at = from_end ? len - p->reach : p->reach - 2u;
	if (at + 1 - t->lead < t->head.len && at >= t->lead)
		return mt_authz_row(t->head.p + (at - t->lead));
	return mt_authz_row_of(letter_of(t, at) | letter_of(t, at + 1) << 8);
}

/* ---- remaining rules ------------------------------------------------------------------------- */

struct pair {
	uint64_t of[2];
};

static mt_inline void keep(
	uint64_t *left, uint32_t words, const struct mt_authz_probe *p, uint32_t row)
{
	const struct pair *two = (const struct pair *)p->rows + row;

	if (words == 2) {
		left[0] &= two->of[0];
		left[1] &= two->of[1];
		return;
	}
	for (uint32_t w = 0; w < words; w++)
		left[w] &= p->rows[(size_t)row * words + w];
}

static mt_inline void copy(uint64_t *to, const uint64_t *from, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		to[w] = from[w];
}

static mt_inline void keep_absent(
	uint64_t *left, uint32_t words, const struct mt_authz_index_field *f)
{
	keep(left, words, &f->begin, MT_AUTHZ_ROW_ABSENT);
	if (f->end.rows)
		keep(left, words, &f->end, MT_AUTHZ_ROW_ABSENT);
}

static mt_inline void keep_text(
	uint64_t *left, uint32_t words, const struct mt_authz_index_field *f, struct mt_slice s)
{
	keep(left, words, &f->begin, row_of(&f->begin, s, false));
	if (f->end.rows)
		keep(left, words, &f->end, row_of(&f->end, s, true));
}

static mt_inline void keep_joined(uint64_t *left, uint32_t words,
	const struct mt_authz_index_field *f, const struct joined *t)
{
	keep(left, words, &f->begin, row_of_joined(&f->begin, t, false));
	if (f->end.rows)
		keep(left, words, &f->end, row_of_joined(&f->end, t, true));
}

/* ---- fields of the caller -------------------------------------------------------------------- */

static mt_inline void keep_peer(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	keep(left, words, &f->begin, mt_authz_row(c->peer.b + f->begin.reach - 2));
	if (f->end.rows)
		keep(left, words, &f->end,
			mt_authz_row(c->peer.b + sizeof(c->peer.b) - f->end.reach));
}

static void keep_sni(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	if (c->sni_unkept)
		return;
	if (c->sni.p)
		keep_text(left, words, f, c->sni);
	else
		keep_absent(left, words, f);
}

static void keep_identity(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	struct mt_authz_member m;

	if (!c->principal.p) {
		if (!c->unnamed)
			keep_absent(left, words, f);
	} else if (f->field == MT_AUTHZ_PRINCIPAL) {
		keep_text(left, words, f, c->principal);
	} else if (!mt_authz_member(c->principal, &m)) {
		/* A principal that is not of the mesh's form drops no rule, so the rules decide. */
	} else if (f->field == MT_AUTHZ_NAMESPACE) {
		keep_text(left, words, f, m.ns);
	} else {
		keep_joined(left, words, f, &(struct joined){m.ns, m.account, false});
	}
}

static mt_noinline void keep_caller_far(uint64_t *left, uint32_t words,
	const struct mt_authz_call *c, const struct mt_authz_index_field *f)
{
	if (f->field == MT_AUTHZ_SNI)
		keep_sni(left, words, c, f);
	else
		keep_identity(left, words, c, f);
}

static mt_inline void keep_caller(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint64_t far[MT_AUTHZ_INDEX_WORDS];

	copy(far, left, words);
	keep_caller_far(far, words, c, f);
	copy(left, far, words);
}

/* ---- names of the call ----------------------------------------------------------------------- */

static mt_inline void keep_name(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f, uint32_t i, uint32_t m)
{
	if (f->field == MT_AUTHZ_METHOD)
		keep_text(left, words, f, c->methods[m]);
	else if (f->field == MT_AUTHZ_INTERFACE)
		keep_text(left, words, f, c->interfaces[i]);
	else
		keep_joined(
			left, words, f, &(struct joined){c->interfaces[i], c->methods[m], true});
}

/* Keeps the rules that may match one of the names that the server may read from the call. */
static mt_noinline void keep_any_far(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint32_t n_i = f->field == MT_AUTHZ_METHOD ? 1 : c->n_interfaces;
	uint32_t n_m = f->field == MT_AUTHZ_INTERFACE ? 1 : c->n_methods;
	uint64_t any[MT_AUTHZ_INDEX_WORDS] = {0};

	c->steps += n_i * n_m;
	for (uint32_t k = 0; k < n_i * n_m; k++) {
		uint64_t one[MT_AUTHZ_INDEX_WORDS];

		copy(one, left, words);
		keep_name(one, words, c, f, k / n_m, k % n_m);
		for (uint32_t w = 0; w < words; w++)
			any[w] |= one[w];
	}
	copy(left, any, words);
}

static mt_inline void keep_any(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint64_t far[MT_AUTHZ_INDEX_WORDS];

	copy(far, left, words);
	keep_any_far(far, words, c, f);
	copy(left, far, words);
}

static mt_inline bool has_methods(struct mt_authz_call *c)
{
	if (mt_likely(c->methods_read == MT_AUTHZ_NOT_READ))
		c->methods_read = (uint8_t)c->reader->methods(c);
	return mt_likely(c->methods_read == MT_AUTHZ_READ);
}

static mt_inline bool has_interfaces(struct mt_authz_call *c)
{
	if (mt_likely(c->interfaces_read == MT_AUTHZ_NOT_READ))
		c->interfaces_read = (uint8_t)c->reader->interfaces(c);
	return mt_likely(c->interfaces_read == MT_AUTHZ_READ);
}

static mt_noinline bool has_both(struct mt_authz_call *c)
{
	return has_methods(c) && has_interfaces(c);
}

/* True if the call has one interface and one method, and both were read. */
static mt_inline bool is_read_as_one(const struct mt_authz_call *c)
{
	return c->n_interfaces == 1 && c->n_methods == 1 && c->interfaces_read == MT_AUTHZ_READ &&
	       c->methods_read == MT_AUTHZ_READ;
}

static mt_inline void keep_method(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	if (!has_methods(c))
		return;
	if (mt_likely(c->n_methods == 1))
		keep_text(left, words, f, c->methods[0]);
	else
		keep_any(left, words, c, f);
}

static mt_inline void keep_interface(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	if (!has_interfaces(c))
		return;
	if (mt_likely(c->n_interfaces == 1))
		keep_text(left, words, f, c->interfaces[0]);
	else
		keep_any(left, words, c, f);
}

static mt_inline void keep_path(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	if (mt_likely(c->interfaces_read == MT_AUTHZ_NOT_READ &&
		      c->methods_read == MT_AUTHZ_NOT_READ)) {
		c->methods_read = (uint8_t)c->reader->methods(c);
		c->interfaces_read = (uint8_t)c->reader->interfaces(c);
	}
	if (mt_likely(is_read_as_one(c)))
		keep_joined(
			left, words, f, &(struct joined){c->interfaces[0], c->methods[0], true});
	else if (has_both(c))
		keep_any(left, words, c, f);
}

/* ---- metadata of the call -------------------------------------------------------------------- */

/* True if the key has, or may have, another entry from `pos` on. */
static mt_noinline bool has_more(
	struct mt_authz_call *c, const struct mt_authz_index_field *f, uint32_t pos)
{
	struct mt_slice more = {0};

	return c->reader->metadata(c, &f->key, &pos, &more) != MT_AUTHZ_READ || more.p;
}

/*
 * Narrows `left` by the key's value, or by its absence. If the key has several values or cannot be
 * read, no rule is dropped, and the rules read the key themselves.
 */
static mt_inline void keep_metadata(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint32_t pos = 0;

	c->kept_of = NULL;
	c->kept.p = NULL;
	if (mt_unlikely(c->reader->metadata(c, &f->key, &pos, &c->kept) != MT_AUTHZ_READ))
		return;
	if (!c->kept.p) {
		keep_absent(left, words, f);
		return;
	}
	if (mt_likely(pos == MT_AUTHZ_LAST))
		c->kept_of = &f->key;
	else if (has_more(c, f, pos))
		return;
	keep_text(left, words, f, c->kept);
}

/* ---- all fields ------------------------------------------------------------------------------ */

/*
 * True if a remaining rule has a condition on the field. Fields without such a rule are not read
 * from the message.
 */
static mt_inline bool is_asked_for(
	const uint64_t *left, uint32_t words, const struct mt_authz_index_field *f)
{
	uint64_t any = 0;

	for (uint32_t w = 0; w < words; w++)
		any |= left[w] & f->asked_by[w];
	return any != 0;
}

/* Narrows `left` by a field that comes after PEER and before PATH. */
static mt_inline void keep_other(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	if (f->field == MT_AUTHZ_METHOD)
		keep_method(left, words, c, f);
	else if (f->field == MT_AUTHZ_INTERFACE)
		keep_interface(left, words, c, f);
	else
		keep_caller(left, words, c, f);
}

static mt_inline void narrow(const struct mt_authz_index *x, struct mt_authz_call *c,
	uint64_t *left, const uint32_t words)
{
	const struct mt_authz_index_field *f = x->fields;

	copy(left, x->all, words);
	if (f->field == MT_AUTHZ_PEER)
		keep_peer(left, words, c, f++);
	for (; f->field < MT_AUTHZ_PATH; f++)
		if (is_asked_for(left, words, f))
			keep_other(left, words, c, f);
	if (f->field == MT_AUTHZ_PATH) {
		if (is_asked_for(left, words, f))
			keep_path(left, words, c, f);
		f++;
	}
	for (; f->field == MT_AUTHZ_METADATA; f++)
		if (is_asked_for(left, words, f))
			keep_metadata(left, words, c, f);
}

uint32_t mt_authz_narrow_work(const struct mt_authz_index *x)
{
	return x->n_fields * (1 + MT_AUTHZ_INTERFACES * MT_AUTHZ_METHODS);
}

/* ---- evaluation of the remaining rules ------------------------------------------------------- */

/* Removes and returns the first remaining rule; UINT32_MAX if there is none. */
static mt_inline uint32_t next_of(uint64_t *left, const uint32_t words)
{
	for (uint32_t w = 0; w < words; w++) {
		uint32_t i = 64 * w;

		if (!left[w])
			continue;
		i += (uint32_t)__builtin_ctzll(left[w]);
		left[w] &= left[w] - 1;
		return i;
	}
	return UINT32_MAX;
}

static mt_noinline enum fits unkept_fits(struct mt_authz_call *c, const struct mt_authz_indexed *i)
{
	/* Forget the kept value, because it becomes invalid if the rule reads another one. */
	c->kept_of = NULL;
	return mt_authz_rule_fits(c, i->rule, i->denies);
}

static bool kept_fits(const struct mt_authz_call *c, const struct mt_authz_indexed *i)
{
	return mt_authz_text_fits(i->value, c->kept);
}

static bool peer_fits(const struct mt_authz_call *c, const struct mt_authz_indexed *i)
{
	return mt_prefix_contains(&i->value->net, i->value->bits, &c->peer);
}

static mt_inline uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * True if the texts are equal. Most names have 16 to 32 bytes, for which a call of memcmp() takes
 * twice as long.
 */
static mt_inline bool same_text(struct mt_slice a, struct mt_slice b)
{
	const uint8_t *x = a.p + a.len, *y = b.p + a.len;

	if (a.len != b.len)
		return false;
	if (mt_unlikely(a.len < 16 || a.len > 32))
		return memcmp(a.p, b.p, a.len) == 0;
	return !((load(a.p) ^ load(b.p)) | (load(a.p + 8) ^ load(b.p + 8)) |
		 (load(x - 16) ^ load(y - 16)) | (load(x - 8) ^ load(y - 8)));
}

/*
 * Evaluates a rule, with the value that the index has read if the rule has only a condition on this
 * value.
 */
static mt_inline enum fits indexed_fits(struct mt_authz_call *c, const struct mt_authz_indexed *i)
{
	c->steps++;
	if (i->only == MT_AUTHZ_ONLY_EXACT && i->key == c->kept_of)
		return same_text(i->text, c->kept) ? YES : NO;
	if (i->only == MT_AUTHZ_ONLY_KEPT && i->key == c->kept_of)
		return kept_fits(c, i) ? YES : NO;
	if (i->only == MT_AUTHZ_ONLY_PEER)
		return peer_fits(c, i) ? YES : NO;
	return unkept_fits(c, i);
}

static mt_noinline enum mt_authz_effect denied_by(
	struct mt_authz_call *c, const struct mt_authz_policy *p, const struct mt_authz_policy **by)
{
	*by = p;
	return mt_authz_denied(p, mt_authz_policy_fits(c, p));
}

/* The ALLOW policy that came nearest to a match. */
struct nearest {
	const struct mt_authz_policy *policy;
	enum fits fits;
};

/*
 * True if a rule with result `f` denies the call; `f` is not NO and does not allow the call. For an
 * ALLOW rule, records the policy if it is the nearest so far.
 */
static mt_noinline bool denies(const struct mt_authz_call *c, const struct mt_authz_indexed *i,
	enum fits f, struct nearest *n)
{
	if (i->denies)
		return !mt_authz_is_asked(c, i->policy);
	if (f > n->fits)
		*n = (struct nearest){i->policy, f};
	return false;
}

static mt_noinline enum mt_authz_effect not_allowed(
	const struct mt_authz *a, const struct nearest *n, const struct mt_authz_policy **by)
{
	if (!a->n_allow)
		return MT_AUTHZ_ALLOWED;
	*by = n->policy ? n->policy : a->allow[0];
	return n->fits == NO ? MT_AUTHZ_DENIED : mt_authz_denied(*by, n->fits);
}

/* Evaluates the remaining rules in the order of their policies. */
static mt_inline enum mt_authz_effect judge(const struct mt_authz *a, struct mt_authz_call *c,
	const struct mt_authz_policy **by, const uint32_t words)
{
	uint64_t narrowed[MT_AUTHZ_INDEX_WORDS], left[MT_AUTHZ_INDEX_WORDS];
	struct nearest n = {NULL, NO};
	uint32_t k;

	narrow(a->index, c, narrowed, words);
	copy(left, narrowed, words);
	while ((k = next_of(left, words)) != UINT32_MAX) {
		const struct mt_authz_indexed *i = &a->index->rules[k];
		enum fits f = indexed_fits(c, i);

		if (f == NO)
			continue;
		if (f == YES && !i->denies)
			return MT_AUTHZ_ALLOWED;
		if (denies(c, i, f, &n))
			return denied_by(c, i->policy, by);
	}
	return not_allowed(a, &n, by);
}

enum mt_authz_effect mt_authz_judge_by_index(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	if (mt_likely(a->index->words == 2))
		return judge(a, c, by, 2);
	if (a->index->words == 1)
		return judge(a, c, by, 1);
	return judge(a, c, by, a->index->words);
}
