/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_authz_priv.h"

#include <string.h>

/* A field's text: `head`, or with `joined` LEAD head "/" tail, LEAD being nothing or a slash. */
struct text {
	struct mt_slice head, tail;
	uint32_t len; /* of all */
	bool joined, lead;
};

static struct text whole(struct mt_slice s)
{
	return (struct text){.head = s, .len = s.len};
}

static struct text joined(struct mt_slice head, struct mt_slice tail, bool lead)
{
	return (struct text){.head = head,
		.tail = tail,
		.len = lead + head.len + 1 + tail.len,
		.joined = true,
		.lead = lead};
}

static uint8_t byte_of(const struct text *t, uint32_t at)
{
	if (at < t->lead)
		return '/';
	at -= t->lead;
	if (at < t->head.len)
		return t->head.p[at];
	at -= t->head.len;
	return at ? t->tail.p[at - 1] : '/';
}

static uint32_t row_of(const struct mt_authz_probe *p, const struct text *t)
{
	uint32_t at = p->from_end ? t->len - 2 - p->at : p->at;
	uint8_t two[2];

	if (t->len < p->at + 2u)
		return MT_AUTHZ_ROW_SHORT;
	if (mt_likely(!t->joined))
		return mt_authz_row(t->head.p + at);
	two[0] = byte_of(t, at);
	two[1] = byte_of(t, at + 1);
	return mt_authz_row(two);
}

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

static mt_inline void keep_one(
	uint64_t *left, uint32_t words, const struct mt_authz_index_field *f, const struct text *t)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(f->probes); i++)
		if (f->probes[i].rows)
			keep(left, words, &f->probes[i], row_of(&f->probes[i], t));
}

/* Rules that may fit one of these texts. */
static void keep_any(uint64_t *left, uint32_t words, const struct mt_authz_index_field *f,
	const struct text *t, uint32_t n)
{
	uint64_t any[MT_AUTHZ_INDEX_WORDS] = {0};

	for (uint32_t k = 0; k < n; k++) {
		uint64_t one[MT_AUTHZ_INDEX_WORDS];

		memcpy(one, left, words * sizeof(*left));
		keep_one(one, words, f, &t[k]);
		for (uint32_t w = 0; w < words; w++)
			any[w] |= one[w];
	}
	memcpy(left, any, words * sizeof(*left));
}

/* ---- of the caller --------------------------------------------------------------------------------- */

enum there { THERE, ABSENT, UNSAID };

static enum there identity(const struct mt_authz_call *c, uint8_t field, struct text *t)
{
	struct mt_authz_member m;

	if (!c->principal.p)
		return c->unnamed ? UNSAID : ABSENT;
	*t = whole(c->principal);
	if (field == MT_AUTHZ_PRINCIPAL)
		return THERE;
	/* What looks like one and is none is the rules' to judge. */
	if (!mt_authz_member(c->principal, &m))
		return UNSAID;
	*t = field == MT_AUTHZ_NAMESPACE ? whole(m.ns) : joined(m.ns, m.account, false);
	return THERE;
}

static enum there of_caller(const struct mt_authz_call *c, uint8_t field, struct text *t)
{
	switch (field) {
	case MT_AUTHZ_PEER:
		*t = whole((struct mt_slice){c->peer.b, sizeof(c->peer.b)});
		return THERE;
	case MT_AUTHZ_SNI:
		*t = whole(c->sni);
		if (c->sni_unkept)
			return UNSAID;
		return c->sni.p ? THERE : ABSENT;
	default:
		return identity(c, field, t);
	}
}

/* ---- of the message -------------------------------------------------------------------------------- */

/* One value, none, or what the rules have to look at themselves. */
static enum there metadata(
	struct mt_authz_call *c, const struct mt_authz_index_field *f, uint32_t rows[2])
{
	struct mt_slice v = {0}, more = {0};
	struct text t;
	uint32_t pos = 0;

	if (c->reader->metadata(c, &f->key, &pos, &v) != MT_AUTHZ_READ)
		return UNSAID;
	if (!v.p)
		return ABSENT;
	/* Before the next is asked for: it is only there until then. */
	t = whole(v);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(f->probes); i++)
		rows[i] = row_of(&f->probes[i], &t);
	return c->reader->metadata(c, &f->key, &pos, &more) == MT_AUTHZ_READ && !more.p ? THERE
											: UNSAID;
}

static mt_inline void keep_metadata(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	uint32_t rows[2];

	switch (metadata(c, f, rows)) {
	case THERE:
		for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++)
			if (f->probes[i].rows)
				keep(left, words, &f->probes[i], rows[i]);
		break;
	case ABSENT:
		keep_absent(left, words, f);
		break;
	case UNSAID:
		break;
	}
}

/* 0: they cannot be read. */
static uint32_t names(struct mt_authz_call *c, uint8_t field,
	struct text t[MT_AUTHZ_INTERFACES * MT_AUTHZ_METHODS])
{
	uint32_t n = 0;

	if (field != MT_AUTHZ_INTERFACE && c->methods_read == MT_AUTHZ_NOT_READ)
		c->methods_read = (uint8_t)c->reader->methods(c);
	if (field != MT_AUTHZ_METHOD && c->interfaces_read == MT_AUTHZ_NOT_READ)
		c->interfaces_read = (uint8_t)c->reader->interfaces(c);
	if ((field != MT_AUTHZ_INTERFACE && c->methods_read != MT_AUTHZ_READ) ||
		(field != MT_AUTHZ_METHOD && c->interfaces_read != MT_AUTHZ_READ))
		return 0;
	if (field == MT_AUTHZ_METHOD)
		for (uint32_t m = 0; m < c->n_methods; m++)
			t[n++] = whole(c->methods[m]);
	if (field == MT_AUTHZ_INTERFACE)
		for (uint32_t i = 0; i < c->n_interfaces; i++)
			t[n++] = whole(c->interfaces[i]);
	if (field == MT_AUTHZ_PATH)
		for (uint32_t i = 0; i < c->n_interfaces * c->n_methods; i++)
			t[n++] = joined(c->interfaces[i / c->n_methods],
				c->methods[i % c->n_methods], true);
	return n;
}

static mt_inline void keep_names(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	struct text t[MT_AUTHZ_INTERFACES * MT_AUTHZ_METHODS];
	uint32_t n = names(c, f->field, t);

	c->steps += n;
	if (n == 1)
		keep_one(left, words, f, &t[0]);
	else if (n)
		keep_any(left, words, f, t, n);
}

/* ---- together -------------------------------------------------------------------------------------- */

static mt_inline bool any_of(const uint64_t *left, const uint64_t *mask, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		if (left[w] & mask[w])
			return true;
	return false;
}

static bool of_message(uint8_t field)
{
	return field == MT_AUTHZ_METADATA || field == MT_AUTHZ_METHOD ||
	       field == MT_AUTHZ_INTERFACE || field == MT_AUTHZ_PATH;
}

static mt_inline void narrow_by(uint64_t *left, uint32_t words, struct mt_authz_call *c,
	const struct mt_authz_index_field *f)
{
	struct text t;

	c->steps++;
	if (f->field == MT_AUTHZ_METADATA) {
		keep_metadata(left, words, c, f);
	} else if (of_message(f->field)) {
		keep_names(left, words, c, f);
	} else {
		enum there is = of_caller(c, f->field, &t);

		if (is == THERE)
			keep_one(left, words, f, &t);
		else if (is == ABSENT)
			keep_absent(left, words, f);
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
