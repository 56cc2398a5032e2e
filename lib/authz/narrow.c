/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_authz_priv.h"

#include <string.h>

/* ---- rows of a text --------------------------------------------------------------------------------- */

static mt_inline uint32_t row_of(const struct mt_authz_probe *p, struct mt_slice s)
{
	if (mt_unlikely(s.len < p->at + 2u))
		return MT_AUTHZ_ROW_SHORT;
	return mt_authz_row(s.p + (p->from_end ? s.len - 2u - p->at : p->at));
}

/* "HEAD/TAIL", behind a slash with `lead`: of namespaces and accounts, of interfaces and methods. */
struct joined {
	struct mt_slice head, tail;
	bool lead;
};

/* One of its two bytes is a slash. */
static mt_inline uint32_t row_of_edge(const struct joined *t, uint32_t at)
{
	uint32_t middle = t->lead + t->head.len;
	uint8_t two[2] = {'/', '/'};

	if (at + 1 == middle && t->head.len)
		two[0] = t->head.p[t->head.len - 1];
	else if (at == middle)
		two[1] = t->tail.p[0];
	else if (t->head.len)
		two[1] = t->head.p[0];
	return mt_authz_row(two);
}

static mt_inline uint32_t row_of_joined(const struct mt_authz_probe *p, const struct joined *t)
{
	uint32_t middle = t->lead + t->head.len, len = middle + 1 + t->tail.len, at;

	if (mt_unlikely(len < p->at + 2u))
		return MT_AUTHZ_ROW_SHORT;
	at = p->from_end ? len - 2 - p->at : p->at;
	if (at > middle)
		return mt_authz_row(t->tail.p + (at - middle - 1));
	if (at >= t->lead && at + 2 <= middle)
		return mt_authz_row(t->head.p + (at - t->lead));
	return row_of_edge(t, at);
}

/* ---- rules that are left ---------------------------------------------------------------------------- */

static mt_inline void keep(
	uint64_t *left, uint32_t words, const struct mt_authz_probe *p, uint32_t row)
{
	const uint64_t *v = p->rows + row * words;

	for (uint32_t w = 0; w < words; w++)
		left[w] &= v[w];
}

static mt_inline void keep_absent(
	uint64_t *left, uint32_t words, const struct mt_authz_index_field *f)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(f->probes); i++)
		if (f->probes[i].rows)
			keep(left, words, &f->probes[i], MT_AUTHZ_ROW_ABSENT);
}

static mt_inline void keep_text(
	uint64_t *left, uint32_t words, const struct mt_authz_index_field *f, struct mt_slice s)
{
	if (mt_likely(f->probes[0].rows))
		keep(left, words, &f->probes[0], row_of(&f->probes[0], s));
	if (f->probes[1].rows)
		keep(left, words, &f->probes[1], row_of(&f->probes[1], s));
}

static mt_inline void keep_joined(uint64_t *left, uint32_t words,
	const struct mt_authz_index_field *f, const struct joined *t)
{
	if (mt_likely(f->probes[0].rows))
		keep(left, words, &f->probes[0], row_of_joined(&f->probes[0], t));
	if (f->probes[1].rows)
		keep(left, words, &f->probes[1], row_of_joined(&f->probes[1], t));
}

/* ---- of the caller ---------------------------------------------------------------------------------- */

static mt_noinline void keep_identity(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	struct mt_authz_member m;

	if (!c->principal.p) {
		if (!c->unnamed)
			keep_absent(left, words, f);
	} else if (f->field == MT_AUTHZ_PRINCIPAL) {
		keep_text(left, words, f, c->principal);
	} else if (!mt_authz_member(c->principal, &m)) {
		/* What looks like one and is none is the rules' to judge. */
	} else if (f->field == MT_AUTHZ_NAMESPACE) {
		keep_text(left, words, f, m.ns);
	} else {
		keep_joined(left, words, f, &(struct joined){m.ns, m.account, false});
	}
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

/* ---- of the message --------------------------------------------------------------------------------- */

/* One value, or none; of several, or what cannot be read, the rules have to look themselves. */
static mt_inline void keep_metadata(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	struct mt_slice v = {0}, more = {0};
	uint32_t pos = 0;

	c->kept_of = NULL;
	if (c->reader->metadata(c, &f->key, &pos, &v) != MT_AUTHZ_READ)
		return;
	if (!v.p) {
		keep_absent(left, words, f);
		return;
	}
	if (c->reader->metadata(c, &f->key, &pos, &more) != MT_AUTHZ_READ || more.p)
		return;
	c->kept_of = &f->key;
	c->kept = v;
	keep_text(left, words, f, v);
}

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

/* Rules that may fit one of the names that the server may know it by. */
static mt_noinline void keep_any(uint64_t *left, uint32_t words, const struct mt_authz_call *c,
	const struct mt_authz_index_field *f, uint32_t n_i, uint32_t n_m)
{
	uint64_t any[MT_AUTHZ_INDEX_WORDS] = {0};

	for (uint32_t k = 0; k < n_i * n_m; k++) {
		uint64_t one[MT_AUTHZ_INDEX_WORDS];

		memcpy(one, left, words * sizeof(*left));
		keep_name(one, words, c, f, k / n_m, k % n_m);
		for (uint32_t w = 0; w < words; w++)
			any[w] |= one[w];
	}
	memcpy(left, any, words * sizeof(*left));
}

static mt_inline void keep_names(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint32_t n_i = 1, n_m = 1;

	if (f->field != MT_AUTHZ_INTERFACE) {
		if (c->methods_read == MT_AUTHZ_NOT_READ)
			c->methods_read = (uint8_t)c->reader->methods(c);
		if (c->methods_read != MT_AUTHZ_READ)
			return;
		n_m = c->n_methods;
	}
	if (f->field != MT_AUTHZ_METHOD) {
		if (c->interfaces_read == MT_AUTHZ_NOT_READ)
			c->interfaces_read = (uint8_t)c->reader->interfaces(c);
		if (c->interfaces_read != MT_AUTHZ_READ)
			return;
		n_i = c->n_interfaces;
	}
	c->steps += n_i * n_m;
	if (mt_likely(n_i == 1 && n_m == 1))
		keep_name(left, words, c, f, 0, 0);
	else
		keep_any(left, words, c, f, n_i, n_m);
}

/* ---- together -------------------------------------------------------------------------------------- */

static mt_inline bool any_of(const uint64_t *left, const uint64_t *mask, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		if (left[w] & mask[w])
			return true;
	return false;
}

static mt_inline void narrow_by(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	c->steps++;
	switch (f->field) {
	case MT_AUTHZ_PEER:
		keep_text(left, words, f, (struct mt_slice){c->peer.b, sizeof(c->peer.b)});
		break;
	case MT_AUTHZ_METADATA:
		keep_metadata(left, words, c, f);
		break;
	case MT_AUTHZ_METHOD:
	case MT_AUTHZ_INTERFACE:
	case MT_AUTHZ_PATH:
		keep_names(left, words, c, f);
		break;
	case MT_AUTHZ_SNI:
		keep_sni(left, words, c, f);
		break;
	default:
		keep_identity(left, words, c, f);
	}
}

/* With a number of words that the compiler knows, there are no loops over them. */
static mt_inline void narrow(const struct mt_authz_index *x, struct mt_authz_call *c,
	uint64_t left[MT_AUTHZ_INDEX_WORDS], const uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		left[w] = UINT64_MAX;
	if (x->n_rules % 64)
		left[words - 1] = (UINT64_C(1) << x->n_rules % 64) - 1;
	for (uint32_t i = 0; i < x->n_fields; i++)
		/* Nothing is read of the message that no rule asks for that is left. */
		if (any_of(left, x->fields[i].asked_by, words))
			narrow_by(left, words, c, &x->fields[i]);
}

void mt_authz_narrow(const struct mt_authz_index *x, struct mt_authz_call *c,
	uint64_t left[MT_AUTHZ_INDEX_WORDS])
{
	if (x->words == 1)
		narrow(x, c, left, 1);
	else if (x->words == 2)
		narrow(x, c, left, 2);
	else
		narrow(x, c, left, x->words);
}

uint32_t mt_authz_narrow_work(const struct mt_authz_index *x)
{
	return x->n_fields * (1 + MT_AUTHZ_INTERFACES * MT_AUTHZ_METHODS);
}
