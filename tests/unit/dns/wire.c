/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- building ------------------------------------------------------------------------------- */

static void u16(struct wire *w, uint32_t v)
{
	w->b[w->len++] = (uint8_t)(v >> 8);
	w->b[w->len++] = (uint8_t)v;
}

static void name(struct wire *w, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, ".");

		w->b[w->len++] = (uint8_t)n;
		memcpy(w->b + w->len, s, n);
		w->len += (uint32_t)n;
		s += n + (s[n] == '.');
	}
	w->b[w->len++] = 0;
}

void wire_query(struct wire *w, const struct wire_query *q)
{
	w->len = 0;
	u16(w, q->id);
	u16(w, q->flags ? q->flags : 0x0100);
	u16(w, 1);
	u16(w, 0);
	u16(w, 0);
	u16(w, q->edns ? 1 : 0);
	name(w, q->name);
	u16(w, q->type);
	u16(w, q->class ? q->class : 1);
	if (!q->edns)
		return;
	w->b[w->len++] = 0;
	u16(w, 41);
	u16(w, q->edns);
	u16(w, q->ext >> 16);
	u16(w, q->ext);
	u16(w, 0);
}

/* ---- reading -------------------------------------------------------------------------------- */

struct in {
	const uint8_t *b;
	uint32_t len, at;
	const char *bad;
	char *text;
	size_t used;
};

static void say(struct in *r, const char *fmt, ...) mt_printf(2, 3);

static void say(struct in *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r->used += (size_t)vsnprintf(r->text + r->used, 4096 - r->used, fmt, ap);
	va_end(ap);
	if (r->used > 4000)
		r->used = 4000;
}

static uint32_t get(struct in *r, uint32_t n)
{
	uint32_t v = 0;

	if (r->at + n > r->len) {
		r->bad = "cut off";
		return 0;
	}
	while (n-- > 0)
		v = v << 8 | r->b[r->at++];
	return v;
}

static void get_name(struct in *r, char out[512])
{
	uint32_t at = r->at, end = 0, hops = 0, n = 0;

	while (!r->bad) {
		uint32_t c = at < r->len ? r->b[at] : 0;

		if (at >= r->len || hops++ > 200) {
			r->bad = "a name without end";
		} else if (c >= 0xc0) {
			if (!end)
				end = at + 2;
			at = (c & 0x3f) << 8 | (at + 1 < r->len ? r->b[at + 1] : 0);
		} else if (c == 0) {
			break;
		} else if (c > 63 || at + 1 + c > r->len || n + c > 255) {
			r->bad = "a label too long";
		} else {
			if (n)
				out[n++] = '.';
			memcpy(out + n, r->b + at + 1, c);
			n += c;
			at += 1 + c;
		}
	}
	out[n] = '\0';
	r->at = end ? end : at + 1;
}

static void get_data(struct in *r, uint32_t type, uint32_t len)
{
	uint32_t end = r->at + len;
	char text[512] = "?";

	if (end > r->len) {
		r->bad = "data cut off";
		return;
	}
	if ((type == A && len == 4) || (type == AAAA && len == 16))
		inet_ntop(type == A ? AF_INET : AF_INET6, r->b + r->at, text, sizeof(text));
	else if (type == CNAME)
		get_name(r, text);
	if (type == CNAME && r->at != end)
		r->bad = "a CNAME of another length";
	if (type == SOA) {
		get_name(r, text);
		get_name(r, text);
		if (r->at + 20 != end)
			r->bad = "a SOA of another length";
	}
	r->at = end;
	say(r, " %s", text);
}

static void get_records(struct in *r, uint32_t n)
{
	static const char *const names[256] = {
		[A] = "A", [CNAME] = "CNAME", [SOA] = "SOA", [AAAA] = "AAAA", [41] = "OPT"};

	while (n-- > 0 && !r->bad) {
		char owner[512];
		uint32_t type, class, ttl, len;

		get_name(r, owner);
		type = get(r, 2);
		class = get(r, 2);
		ttl = get(r, 4);
		len = get(r, 2);
		if (type == 41) {
			say(r, " | opt %u %x", class, ttl);
			r->at += len;
			continue;
		}
		if (class != 1)
			r->bad = "another class";
		say(r, " | %s %s %u", owner, type < 256 && names[type] ? names[type] : "?", ttl);
		get_data(r, type, len);
	}
}

const char *wire_text(const uint8_t *b, uint32_t len, char text[4096])
{
	static const char *const codes[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	struct in r = {.b = b, .len = len, .text = text};
	uint32_t flags, count[4];
	char asked[512];

	text[0] = '\0';
	get(&r, 2);
	flags = get(&r, 2);
	for (int i = 0; i < 4; i++)
		count[i] = get(&r, 2);
	if (!(flags & 0x8000))
		r.bad = "no answer";
	if (r.bad || (flags & 0xf) > 5) {
		snprintf(text, 4096, "MALFORMED: %s", r.bad ? r.bad : "code");
		return text;
	}
	say(&r, "%s%s%s%s", codes[flags & 0xf], flags & 0x400 ? " aa" : "",
		flags & 0x200 ? " tc" : "", flags & 0x80 ? " ra" : "");
	if (count[0]) {
		get_name(&r, asked);
		say(&r, " %s", asked);
		r.at += 4;
	}
	get_records(&r, count[1] + count[2] + count[3]);
	if (r.at != r.len && !r.bad)
		r.bad = "bytes behind it";
	if (r.bad)
		snprintf(text, 4096, "MALFORMED: %s", r.bad);
	return text;
}

/* ---- a table of everything ------------------------------------------------------------------- */

static void add(struct mt_dns_builder *b, const char *host, const char *a1, const char *a2)
{
	struct mt_addr addrs[2];
	uint32_t n = 0;

	if (a1)
		CU_ASSERT(mt_addr_parse(a1, &addrs[n++]) == 0);
	if (a2)
		CU_ASSERT(mt_addr_parse(a2, &addrs[n++]) == 0);
	CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, host, addrs, n), 0);
}

struct mt_dns_table *wire_table(void)
{
	static const char *const zones[] = {"svc.cluster.local", "mesh.test", "empty.test"};
	static const char *const search[] = {"default.svc.cluster.local", "corp.example"};
	const struct mt_dns_rules rules = {.domain = "cluster.local",
		.ns = "default",
		.zones = zones,
		.n_zones = 3,
		.search = search,
		.n_search = 2,
		.ttl = 30};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_dns_table *t;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	add(b, "reviews.default.svc.cluster.local", "240.240.0.1", NULL);
	add(b, "ratings.books.svc.cluster.local", "240.240.0.2", "2001:db8::2");
	add(b, "db.example.com", "240.240.0.3", NULL);
	add(b, "Six.Example.com", "2001:db8::6", NULL);
	add(b, "*.wild.example.com", "240.240.0.4", NULL);
	add(b, "*.deep.wild.example.com", "240.240.0.5", NULL);
	add(b, "known.wild.example.com", "240.240.0.6", NULL);
	add(b, "*.w.mesh.test", "240.240.0.7", NULL);
	add(b, "two.mesh.test", "240.240.0.8", NULL);
	add(b, "two.mesh.test", "240.240.0.9", "240.240.0.8");
	add(b, "orders", "240.240.0.10", NULL);
	add(b, "db.example.net.cluster.local", "240.240.0.11", NULL);
	t = mt_dns_builder_finish(b, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}
