/* SPDX-License-Identifier: Apache-2.0 */
/* Values of operators, from a record. */
#include "mt_alog_format_priv.h"

#include <stdio.h>
#include <strings.h>

static void set_text(struct mt_alog_value *v, const void *p, uint32_t n)
{
	v->type = MT_ALOG_IS_TEXT;
	v->parts[0] = (struct mt_slice){p, n};
	v->n_parts = 1;
}

/* n bytes of `scratch`, which need no escapes. */
static void set_scratch(struct mt_alog_value *v, uint32_t n)
{
	set_text(v, v->scratch, n);
	v->plain = v->own = true;
}

/* A text of this program, which needs no escapes. */
static void set_word(struct mt_alog_value *v, const char *word)
{
	set_text(v, word, (uint32_t)strlen(word));
	v->plain = true;
}

static void set_slice(struct mt_alog_value *v, struct mt_slice s)
{
	if (s.p)
		set_text(v, s.p, s.len);
}

static void set_number(struct mt_alog_value *v, uint64_t n)
{
	v->type = MT_ALOG_IS_NUMBER;
	v->number = n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static void add(struct mt_alog_value *v, const void *p, size_t n)
{
	v->type = MT_ALOG_IS_TEXT;
	v->parts[v->n_parts++] = (struct mt_slice){p, (uint32_t)n};
}

/* ---- the request ---------------------------------------------------------------------------- */

static bool same(struct mt_slice a, struct mt_slice b, bool any_case)
{
	if (a.len != b.len)
		return false;
	if (!a.len)
		return true;
	return any_case ? strncasecmp((const char *)a.p, (const char *)b.p, a.len) == 0
			: memcmp(a.p, b.p, a.len) == 0;
}

static mt_inline bool is_key(
	const struct mt_alog_named *n, const struct mt_alog_key *k, bool any_case)
{
	return n->from == k->from && same(n->name, k->name, any_case) &&
	       same(n->space, k->space, false);
}

static void named(
	const struct mt_alog_key *k, const struct mt_alog_record *r, struct mt_alog_value *v)
{
	bool any_case = k->from == MT_ALOG_REQUEST || k->from == MT_ALOG_RESPONSE;
	const struct mt_alog_named *n;
	uint32_t i = 0;

	/* By index: the list of a record without names is NULL. */
	while (i < r->n_named && !is_key(&r->named[i], k, any_case))
		i++;
	if (i == r->n_named)
		return;
	n = &r->named[i];
	switch (n->value.type) {
	case MT_VALUE_TEXT:
		set_slice(v, n->value.text);
		break;
	case MT_VALUE_INT:
		v->type = MT_ALOG_IS_NUMBER;
		v->number = n->value.n;
		break;
	case MT_VALUE_BOOL:
		v->type = MT_ALOG_IS_BOOL;
		v->number = n->value.yes;
		break;
	default:
		break;
	}
}

/* /interface/method, or /method if the protocol has no interfaces. */
static void path(const struct mt_alog_record *r, struct mt_alog_value *v)
{
	const struct mt_slice *interface = &r->texts[MT_ALOG_INTERFACE];
	const struct mt_slice *method = &r->texts[MT_ALOG_METHOD];
	char *to = v->scratch;

	if (!method->p)
		return;
	/* One part costs less than four. */
	if ((uint64_t)interface->len + method->len + 2 <= sizeof(v->scratch)) {
		if (interface->p) {
			*to++ = '/';
			to = mempcpy(to, interface->p, interface->len);
		}
		*to++ = '/';
		to = mempcpy(to, method->p, method->len);
		set_text(v, v->scratch, (uint32_t)(to - v->scratch));
		return;
	}
	if (interface->p) {
		add(v, "/", 1);
		add(v, interface->p, interface->len);
	}
	add(v, "/", 1);
	add(v, method->p, method->len);
}

/* ---- how it ended --------------------------------------------------------------------------- */

/* Envoy's details contain no spaces. */
static void reason(const struct mt_alog_record *r, struct mt_alog_value *v)
{
	const struct mt_slice *from = &r->texts[MT_ALOG_REASON];
	uint32_t n = MT_MIN(from->len, (uint32_t)sizeof(v->scratch));

	for (uint32_t i = 0; i < n; i++)
		v->scratch[i] = from->p[i] == ' ' ? '_' : (char)from->p[i];
	add(v, v->scratch, n);
}

static void details(const struct mt_alog_record *r, struct mt_alog_value *v)
{
	const struct mt_ending_row *e = &mt_endings[r->ending];
	bool known = r->texts[MT_ALOG_REASON].p;

	if (!e->details)
		return;
	set_word(v, e->details);
	if (!e->bracket[0] || (!known && e->bracket[0] != '['))
		return;
	v->plain = false;
	add(v, e->bracket, 1);
	if (known)
		reason(r, v);
	else
		add(v, "none", 4);
	add(v, e->bracket + 1, 1);
}

/* Connections and opaque streams have no code. */
static uint32_t code(const struct mt_alog_record *r)
{
	if (r->type != MT_ALOG_DOWNSTREAM_END)
		return 0;
	return r->code ? r->code : mt_endings[r->ending].code;
}

static bool ends_connection(const struct mt_alog_record *r)
{
	return r->ending == MT_ENDING_no_chain || r->ending == MT_ENDING_connection_denied ||
	       r->ending == MT_ENDING_connection_limited ||
	       r->ending == MT_ENDING_connection_over_global ||
	       r->ending == MT_ENDING_connection_limit_error;
}

static void flags(const struct mt_alog_record *r, bool words, struct mt_alog_value *v)
{
	uint32_t bits = mt_endings[r->ending].flags | r->flags;

	_Static_assert(MT_FLAGS_TEXT <= MT_ALOG_SCRATCH, "flags have room");
	if (bits)
		set_scratch(v, mt_flags_text(bits, words, v->scratch));
	else
		set_word(v, "-");
}

static void type(const struct mt_alog_record *r, struct mt_alog_value *v)
{
	static const char *const names[MT_ALOG_TYPES] = {
		[MT_ALOG_DOWNSTREAM_END] = "DownstreamEnd",
		[MT_ALOG_TCP_END] = "TcpConnectionEnd",
		[MT_ALOG_TCP_PERIODIC] = "TcpPeriodic",
		[MT_ALOG_TCP_START] = "TcpConnectionStart",
		[MT_ALOG_TCP_CONNECTED] = "TcpUpstreamConnected",
	};

	set_word(v, names[r->type]);
}

/* ---- times and addresses -------------------------------------------------------------------- */

static bool between(const struct mt_alog_record *r, uint16_t span, uint64_t *ns)
{
	uint32_t from = span >> 8, to = span & 0xff;

	if (!(r->points_known >> from & 1) || !(r->points_known >> to & 1))
		return false;
	*ns = r->points[to] > r->points[from] ? r->points[to] - r->points[from] : 0;
	return true;
}

static void span(
	const struct mt_alog_piece *p, const struct mt_alog_record *r, struct mt_alog_value *v)
{
	uint64_t ns;

	if (between(r, p->index, &ns))
		set_number(v, ns / p->unit);
}

/* The server's time as text, because it has the name of a header. */
static void server_ms(const struct mt_alog_record *r, struct mt_alog_value *v)
{
	uint64_t ns;

	if (between(r, MT_ALOG_SPAN_OF(MT_ALOG_US_TX_END, MT_ALOG_US_RX_BEG), &ns))
		set_scratch(v, mt_alog_digits(v->scratch, ns / MT_MSEC));
}

static void when(const struct mt_alog_piece *p, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_value *v)
{
	uint64_t wall = p->index & MT_ALOG_TIME_EMIT ? now : r->wall;

	_Static_assert(MT_ALOG_WHEN_MAX <= MT_ALOG_SCRATCH, "times have room");
	set_text(v, v->scratch, mt_alog_when_write(p->when, wall, v->scratch));
}

/* Dotted decimal, for most lines. */
static uint32_t ip4(char *to, const uint8_t *b)
{
	char *p = to;

	for (uint32_t i = 0; i < 4; i++) {
		if (b[i] >= 100)
			*p++ = (char)('0' + b[i] / 100);
		if (b[i] >= 10)
			*p++ = (char)('0' + b[i] / 10 % 10);
		*p++ = (char)('0' + b[i] % 10);
		*p++ = '.';
	}
	return (uint32_t)(p - to) - 1;
}

static uint32_t host(char *to, const struct mt_addr *a)
{
	if (mt_addr_is4(a))
		return ip4(to, a->b + 12);
	return (uint32_t)strlen(mt_addr_str(a, to));
}

static struct mt_addr masked(const struct mt_addr *a, uint32_t bits)
{
	struct mt_addr m = *a;

	for (uint32_t i = 0; i < sizeof(m.b); i++) {
		uint32_t keep = bits > 8 * i ? MT_MIN(bits - 8 * i, 8u) : 0;

		m.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return m;
}

static void prefix(const struct mt_addr *a, uint32_t bits, struct mt_alog_value *v)
{
	bool is4 = mt_addr_is4(a);
	struct mt_addr m;
	uint32_t n;

	bits = MT_MIN(bits, is4 ? 32u : 128u);
	m = masked(a, is4 ? bits + 96 : bits);
	/* A mask of few bits clears the mark of IPv4, too. */
	n = is4 ? ip4(v->scratch, m.b + 12) : host(v->scratch, &m);
	v->scratch[n++] = '/';
	n += mt_alog_digits(v->scratch + n, bits);
	set_scratch(v, n);
}

static void address(
	const struct mt_alog_piece *p, const struct mt_alog_record *r, struct mt_alog_value *v)
{
	const struct mt_alog_end_value *e = &r->ends[p->index];
	bool is4 = mt_addr_is4(&e->addr);
	uint32_t n = 0;

	if (mt_addr_is_zero(&e->addr))
		return;
	if (p->source == MT_ALOG_PORT) {
		set_number(v, e->port);
		return;
	}
	if (p->mask) {
		prefix(&e->addr, p->mask - 1u, v);
		return;
	}
	if (p->source == MT_ALOG_ADDRESS && !is4)
		v->scratch[n++] = '[';
	n += host(v->scratch + n, &e->addr);
	if (p->source == MT_ALOG_ADDRESS) {
		if (!is4)
			v->scratch[n++] = ']';
		v->scratch[n++] = ':';
		n += mt_alog_digits(v->scratch + n, e->port);
	}
	set_scratch(v, n);
}

/* ---- all ------------------------------------------------------------------------------------ */

static mt_inline void find(const struct mt_alog_piece *p, uint8_t source,
	const struct mt_alog_key *key, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_value *v)
{
	switch ((enum mt_alog_source)source) {
	case MT_ALOG_NOTHING:
	case MT_ALOG_FIRST_OF: /* render.c chooses */
		break;
	case MT_ALOG_TIME:
		when(p, r, now, v);
		break;
	case MT_ALOG_NAMED:
		named(key, r, v);
		break;
	case MT_ALOG_KIND:
		if (r->type == MT_ALOG_DOWNSTREAM_END)
			set_word(v, r->oneway ? "oneway" : "call");
		break;
	case MT_ALOG_TEXT_OF:
		set_slice(v, r->texts[p->index]);
		break;
	case MT_ALOG_NUMBER_OF:
		if (r->numbers_known >> p->index & 1)
			set_number(v, r->numbers[p->index]);
		break;
	case MT_ALOG_SPAN:
		span(p, r, v);
		break;
	case MT_ALOG_ADDRESS:
	case MT_ALOG_HOST:
	case MT_ALOG_PORT:
		address(p, r, v);
		break;
	case MT_ALOG_CODE:
		set_number(v, code(r));
		break;
	case MT_ALOG_DETAILS:
		details(r, v);
		break;
	case MT_ALOG_TERMINATION:
		if (ends_connection(r))
			details(r, v);
		break;
	case MT_ALOG_FLAGS:
		flags(r, p->index, v);
		break;
	case MT_ALOG_TYPE:
		type(r, v);
		break;
	case MT_ALOG_CONSTANT:
		set_slice(v, p->text);
		break;
	case MT_ALOG_METHOD_OF:
		set_slice(v, r->texts[MT_ALOG_METHOD]);
		break;
	case MT_ALOG_PATH_OF:
		path(r, v);
		break;
	case MT_ALOG_AUTHORITY_OF:
		set_slice(v, r->texts[MT_ALOG_AUTHORITY]);
		break;
	case MT_ALOG_SERVER_MS:
		server_ms(r, v);
		break;
	}
}

static mt_noinline void find_other(const struct mt_alog_piece *p, const struct mt_alog_record *r,
	uint64_t now, struct mt_alog_value *v)
{
	find(p, p->other_source, &p->other, r, now, v);
}

void mt_alog_value_of(const struct mt_alog_piece *p, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_value *v)
{
	v->type = MT_ALOG_UNSET;
	v->plain = v->own = false;
	v->n_parts = 0;
	if (p->protocol && !mt_slice_eq_str(r->texts[MT_ALOG_PROTOCOL], p->protocol))
		return;
	find(p, p->source, &p->key, r, now, v);
	if (p->has_other && v->type == MT_ALOG_UNSET)
		find_other(p, r, now, v);
}
