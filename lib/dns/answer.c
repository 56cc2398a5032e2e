/* SPDX-License-Identifier: Apache-2.0 */
/* Writes answers. Workers call it for each query; it runs to completion and allocates nothing. */
#include "mt_dns_priv.h"

#include <string.h>

#define NAME_ASKED    (0xc000 | DNS_HEADER) /* compression pointer to the question's name */
#define SOA_REFRESH   3600
#define SOA_RETRY     600
#define SOA_EXPIRE    86400
#define LOCALHOST_TTL 3600
#define OPT_LEN	      11
#define RNAME_LABEL   "hostmaster"

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "dns_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_dns_outcomes = {"dns", rows, MT_ARRAY_LEN(rows)};

/* ---- writing -------------------------------------------------------------------------------- */

struct out {
	uint8_t *p;
	uint32_t len, room;
	bool full; /* something did not fit */
	uint16_t answers, authority;
};

static void put(struct out *o, const void *bytes, uint32_t n)
{
	if (o->full || n > o->room - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->len, bytes, n);
	o->len += n;
}

static void put16(struct out *o, uint16_t v)
{
	const uint8_t b[] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(o, b, sizeof(b));
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, (uint16_t)(v >> 16));
	put16(o, (uint16_t)v);
}

/* Writes a record up to its data, which has `len` bytes. */
static void put_record(struct out *o, uint16_t name, uint16_t type, uint32_t ttl, uint16_t len)
{
	put16(o, name);
	put16(o, type);
	put16(o, CLASS_IN);
	put32(o, ttl);
	put16(o, len);
}

static void set16(struct out *o, uint32_t at, uint16_t v)
{
	o->p[at] = (uint8_t)(v >> 8);
	o->p[at + 1] = (uint8_t)v;
}

/* ---- replies --------------------------------------------------------------------------------- */

struct reply {
	const struct mt_dns_table *t;
	const struct mt_dns_ask *ask;
	struct dns_query q;
	struct dns_found found;
	struct out out;
	uint16_t alias; /* compression pointer to the alias's host; 0: not an alias */
	uint64_t *counters;
};

/* Copies header and question from the query, with the case of its letters (RFC 4343 §4.1). */
static void begin(struct reply *r, const uint8_t *msg, uint32_t len)
{
	static const uint8_t none[8];

	r->out.len = 0;
	r->out.full = false;
	r->out.answers = r->out.authority = 0;
	put(&r->out, msg, 4);
	put(&r->out, none, sizeof(none));
	if (len >= DNS_HEADER && r->q.question_end)
		put(&r->out, msg + DNS_HEADER, r->q.question_end - DNS_HEADER);
}

/*
 * Adds OPT to the answer to a query with OPT (RFC 6891 §6.1.2); it has the upper bits of `rcode`.
 */
static void put_opt(struct reply *r, uint16_t rcode)
{
	const uint8_t root = 0;

	put(&r->out, &root, 1);
	put16(&r->out, TYPE_OPT);
	put16(&r->out, MT_DNS_UDP_MAX);
	put32(&r->out, (uint32_t)(rcode >> 4) << 24 | (r->q.dnssec_ok ? OPT_DO : 0u));
	put16(&r->out, 0);
}

static uint16_t flags_of(const struct reply *r, uint16_t rcode, uint16_t more)
{
	uint16_t keep = r->q.flags & (FLAGS_OPCODE | FLAG_RD | FLAG_CD);

	if (r->ask->recursion)
		more |= FLAG_RA;
	return (uint16_t)(FLAG_QR | keep | more | (rcode & 0xf));
}

/* Completes the message. If not all records fit, leaves all out and sets TC (RFC 2181 §9). */
static uint32_t end(struct reply *r, uint16_t rcode, uint16_t more)
{
	bool cut = r->out.full;

	if (cut) {
		begin(r, r->q.msg, r->q.len);
		more |= FLAG_TC;
		mt_count(r->counters, MT_DNS_truncated);
	}
	set16(&r->out, 2, flags_of(r, rcode, more));
	set16(&r->out, 4, r->q.question_end ? 1 : 0);
	set16(&r->out, 6, r->out.answers);
	set16(&r->out, 8, r->out.authority);
	set16(&r->out, 10, r->q.edns);
	if (r->q.edns) {
		r->out.room += OPT_LEN;
		put_opt(r, rcode);
	}
	return r->out.len;
}

static uint32_t fail(struct reply *r, uint16_t rcode, enum mt_dns_outcome why)
{
	mt_count(r->counters, why);
	begin(r, r->q.msg, r->q.len);
	return end(r, rcode, 0);
}

/* ---- answers -------------------------------------------------------------------------------- */

static uint32_t negative_ttl(const struct reply *r)
{
	return r->t->ttl;
}

/*
 * Compression pointer to the zone of the name in the query or, for an alias, of its host (RFC 2308
 * §2.2). A host outside of our zones is a zone of its own.
 */
static uint16_t zone_of(const struct reply *r)
{
	int at = r->alias ? r->found.target_zone : (int)r->found.zone;

	return (uint16_t)((r->alias ? r->alias : NAME_ASKED) + MT_MAX(at, 0));
}

/* Writes the SOA, which limits how long clients may cache a negative answer (RFC 2308 §3). */
static void put_soa(struct reply *r)
{
	uint16_t zone = zone_of(r);
	const uint8_t label = sizeof(RNAME_LABEL) - 1;

	put_record(&r->out, zone, TYPE_SOA, negative_ttl(r), (uint16_t)(2 + 1 + label + 2 + 20));
	put16(&r->out, zone);
	put(&r->out, &label, 1);
	put(&r->out, RNAME_LABEL, label);
	put16(&r->out, zone);
	put32(&r->out, (uint32_t)r->t->digest[0]);
	put32(&r->out, SOA_REFRESH);
	put32(&r->out, SOA_RETRY);
	put32(&r->out, SOA_EXPIRE);
	put32(&r->out, negative_ttl(r));
}

static uint32_t nothing(struct reply *r, uint16_t rcode, enum mt_dns_outcome why)
{
	mt_count(r->counters, why);
	if (r->found.apex && rcode == RCODE_OK && (r->q.type == TYPE_SOA || r->q.type == TYPE_ANY))
		r->out.answers++;
	else
		r->out.authority++;
	put_soa(r);
	return end(r, rcode, FLAG_AA);
}

/* Index of the address that comes first, at random; all the others follow. */
static uint32_t first_of(const struct reply *r, uint32_t n)
{
	return (uint32_t)((uint64_t)r->ask->rnd * n >> 32);
}

static void put_addrs4(struct reply *r, uint16_t name, const uint32_t *addrs, uint32_t n)
{
	uint32_t first = first_of(r, n);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = first + i < n ? first + i : first + i - n;

		put_record(&r->out, name, TYPE_A, r->t->ttl, 4);
		put(&r->out, &addrs[k], 4);
		r->out.answers++;
	}
}

static void put_addrs6(struct reply *r, uint16_t name, const uint8_t (*addrs)[16], uint32_t n)
{
	uint32_t first = first_of(r, n);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = first + i < n ? first + i : first + i - n;

		put_record(&r->out, name, TYPE_AAAA, r->t->ttl, 16);
		put(&r->out, addrs[k], 16);
		r->out.answers++;
	}
}

static bool wants(const struct reply *r, uint16_t type)
{
	return r->q.type == type || r->q.type == TYPE_ANY;
}

/* Writes that HOST.SEARCH is an alias of HOST; returns a compression pointer to HOST. */
static uint16_t put_alias(struct reply *r)
{
	uint16_t at;

	put_record(&r->out, NAME_ASKED, TYPE_CNAME, r->t->ttl, r->found.target.len);
	at = (uint16_t)r->out.len;
	put(&r->out, r->found.target.b, r->found.target.len);
	r->out.answers++;
	r->alias = (uint16_t)(0xc000 | at);
	return r->alias;
}

/*
 * True for types that lead to an address. Only these are answered for a host outside of our zones.
 * HTTPS and SVCB are among them, because the real host's records would bypass the mesh (RFC 9460
 * §7.3). Other types, such as its mail records, are forwarded.
 */
static bool leads_to_address(uint16_t type)
{
	return type == TYPE_A || type == TYPE_AAAA || type == TYPE_ANY || type == TYPE_SVCB ||
	       type == TYPE_HTTPS || type == TYPE_CNAME;
}

/*
 * True if the alias is the whole answer, because its host is outside of our zones and the type is
 * not ours to answer.
 */
static bool ends_with_alias(const struct reply *r)
{
	return r->alias && r->found.target_zone < 0 && !leads_to_address(r->q.type);
}

static uint32_t addresses(struct reply *r)
{
	const struct mt_dns_table *t = r->t;
	const struct dns_entry *e = r->found.entry;
	bool alias = r->found.kind == DNS_ALIAS;
	uint16_t name = alias ? put_alias(r) : NAME_ASKED, before = r->out.answers;

	if (wants(r, TYPE_A))
		put_addrs4(r, name, t->addrs4 + e->addr4, e->n4);
	if (wants(r, TYPE_AAAA))
		put_addrs6(r, name, (const uint8_t(*)[16])(t->addrs6 + e->addr6), e->n6);
	if (r->out.answers > before || (alias && r->q.type == TYPE_CNAME) || ends_with_alias(r)) {
		mt_count(r->counters, MT_DNS_answered);
		return end(r, RCODE_OK, FLAG_AA);
	}
	return nothing(r, RCODE_OK, MT_DNS_no_data);
}

static uint32_t localhost(struct reply *r)
{
	const uint8_t v4[] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

	if (!wants(r, TYPE_A) && !wants(r, TYPE_AAAA))
		return nothing(r, RCODE_OK, MT_DNS_no_data);
	if (wants(r, TYPE_A)) {
		put_record(&r->out, NAME_ASKED, TYPE_A, LOCALHOST_TTL, sizeof(v4));
		put(&r->out, v4, sizeof(v4));
		r->out.answers++;
	}
	if (wants(r, TYPE_AAAA)) {
		put_record(&r->out, NAME_ASKED, TYPE_AAAA, LOCALHOST_TTL, sizeof(v6));
		put(&r->out, v6, sizeof(v6));
		r->out.answers++;
	}
	mt_count(r->counters, MT_DNS_answered);
	return end(r, RCODE_OK, FLAG_AA);
}

static enum mt_dns_verdict elsewhere(struct reply *r, uint32_t *n)
{
	/* REFUSED tells a client that wants no recursion that it would be needed. */
	if (r->ask->recursion && r->q.flags & FLAG_RD)
		return MT_DNS_FORWARD;
	*n = fail(r, RCODE_REFUSED, MT_DNS_refused);
	return MT_DNS_REPLY;
}

/* Answers for the name that was found, whatever the type. */
static uint32_t by_found(struct reply *r)
{
	switch (r->found.kind) {
	case DNS_ADDRESSES:
	case DNS_ALIAS:
		return addresses(r);
	case DNS_LOCALHOST:
		return localhost(r);
	case DNS_NOBODY:
		return nothing(r, RCODE_NXDOMAIN, MT_DNS_no_such_name);
	case DNS_NONE:
	case DNS_EMPTY:
		break;
	}
	return nothing(r, RCODE_OK, MT_DNS_no_data);
}

static enum mt_dns_verdict by_table(struct reply *r, uint32_t *n)
{
	struct dns_found *f = &r->found;

	/* A wildcard or a zone may cover probes. They are forwarded, so that loops are found. */
	if (dns_is_probe_name(&r->q.name))
		return elsewhere(r, n);
	dns_table_lookup(r->t, &r->q.name, f);
	if (f->kind == DNS_NONE)
		return elsewhere(r, n);
	if ((f->kind == DNS_ADDRESSES || f->kind == DNS_ALIAS) && !f->ours &&
		!leads_to_address(r->q.type))
		return elsewhere(r, n);
	*n = by_found(r);
	return MT_DNS_REPLY;
}

/* Outcome of a query that cannot be answered at all, with its *rcode; MT_DNS_queries: it can. */
static enum mt_dns_outcome objection(const struct reply *r, int parsed, uint16_t *rcode)
{
	static const enum mt_dns_outcome why[] = {
		[RCODE_FORMERR] = MT_DNS_bad_query, [RCODE_NOTIMP] = MT_DNS_not_implemented};

	*rcode = (uint16_t)parsed;
	if (parsed != RCODE_OK)
		return why[parsed];
	*rcode = RCODE_BADVERS;
	if (r->q.edns && r->q.version > 0)
		return MT_DNS_bad_version;
	*rcode = RCODE_REFUSED;
	if (r->ask->stranger)
		return MT_DNS_not_allowed;
	if (r->q.class != CLASS_IN && r->q.class != CLASS_ANY)
		return MT_DNS_refused;
	/* Zone transfers, and obsolete types for mail. */
	if (r->q.type >= TYPE_IXFR && r->q.type <= TYPE_MAILA)
		return MT_DNS_refused;
	*rcode = RCODE_SERVFAIL;
	return r->t ? MT_DNS_queries : MT_DNS_no_table;
}

static uint32_t room_for(const struct reply *r, uint32_t room)
{
	uint32_t most = r->ask->datagram ? dns_query_limit(&r->q) : MT_DNS_TCP_MAX;

	most = MT_MIN(most, room);
	return r->q.edns ? most - OPT_LEN : most;
}

enum mt_dns_verdict mt_dns_respond(const struct mt_dns_table *t, const struct mt_dns_ask *ask,
	const uint8_t *msg, uint32_t len, uint8_t *out, uint32_t room, uint32_t *n,
	uint64_t *counters)
{
	struct reply r = {.t = t, .ask = ask, .counters = counters};
	enum mt_dns_outcome why;
	uint16_t rcode;
	int parsed = dns_query_parse(&r.q, msg, len);

	mt_count(counters, MT_DNS_queries);
	if (parsed < 0) {
		mt_count(counters, MT_DNS_not_a_query);
		return MT_DNS_SILENCE;
	}
	r.out.p = out;
	r.out.room = room_for(&r, room);
	why = objection(&r, parsed, &rcode);
	if (why != MT_DNS_queries) {
		*n = fail(&r, rcode, why);
		return MT_DNS_REPLY;
	}
	begin(&r, msg, len);
	return by_table(&r, n);
}

uint32_t mt_dns_instead_of_nxdomain(const struct mt_dns_table *t, bool datagram, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint64_t *counters)
{
	const struct mt_dns_ask ask = {.datagram = datagram, .recursion = true};
	struct reply r = {.t = t, .ask = &ask, .counters = counters};

	if (!t || dns_query_parse(&r.q, msg, len) != RCODE_OK)
		return 0;
	dns_table_lookup(t, &r.q.name, &r.found);
	if (r.found.kind == DNS_NONE && !dns_table_has_below(t, &r.q.name))
		return 0;
	r.out.p = out;
	r.out.room = room_for(&r, datagram ? MT_DNS_UDP_MAX : MT_DNS_TCP_MAX);
	begin(&r, msg, len);
	return by_found(&r);
}

uint32_t mt_dns_error(const uint8_t *msg, uint32_t len, uint8_t rcode, bool truncated, uint8_t *out)
{
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};
	struct reply r = {.ask = &ask};

	if (dns_query_parse(&r.q, msg, len) < 0)
		return 0;
	r.out.p = out;
	r.out.room = room_for(&r, MT_DNS_UDP_MAX);
	begin(&r, msg, len);
	return end(&r, rcode, truncated ? FLAG_TC : 0);
}
