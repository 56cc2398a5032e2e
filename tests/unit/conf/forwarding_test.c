/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that are forwarded at layer 4: which, by which mode, and to which endpoints. */
#include "conf_test.h"

#include "forward_text.h"
#include "mt_l4.h"

#include <netinet/in.h>
#include <rte_rcu_qsbr.h>
#include <stdio.h>

static char *rows_of(const struct mt_snapshot *s, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (uint32_t i = 0; s && i < s->n_forwards && len < size; i++) {
		const struct mt_forward *f = &s->forwards[i];

		if (mt_addr_is4(&f->addr))
			len += (size_t)snprintf(buf + len, size - len, "%s%u %s", len ? ", " : "",
				f->port, mt_forwarding_str(f->mode));
	}
	return s ? buf : strcpy(buf, "refused");
}

static bool is_told(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity == severity &&
			strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

static bool is_any_told(const struct built *b)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity != MT_DIAG_NOTE)
			return true;
	return false;
}

struct row {
	const char *text, *rows;
	enum mt_diag_severity severity; /* MT_DIAG_SEVERITIES: nothing but notes is told */
	const char *words;
};

#define QUIET MT_DIAG_SEVERITIES, ""

static void look(const struct row *r)
{
	struct built b = build_text(NULL, r->text);
	char got[256];
	bool told = r->severity == MT_DIAG_SEVERITIES ? !is_any_told(&b)
						      : is_told(&b, r->severity, r->words);

	rows_of(b.s, got, sizeof(got));
	if (!told || strcmp(got, r->rows) != 0) {
		printf("%s\n%s, wanted %s and \"%s\"\n", r->text, got, r->rows, r->words);
		show_diags(&b);
	}
	CU_ASSERT_STRING_EQUAL(got, r->rows);
	CU_ASSERT_TRUE(told);
	unbuild(&b);
}

static const struct row modes[] = {
	{META("") SPEC(DNS), "", MT_DIAG_WARNING, "UDP is not served"},
	{NODE("nat: {}") META("") SPEC(DNS), "53 nat", QUIET},
	{NODE("forwarding: [{host: a.x, port: 54}]") META("")
			SPEC(DNS ", {number: 54, name: udp-b}"),
		"53 nat, 54 nat", QUIET},
	{NODE("forwarding: [{host: A.x, port: 53, mode: nat-full}]") META("") SPEC(DNS),
		"53 nat-full", QUIET},
	{NODE("forwarding: [{host: a.x, port: 53, mode: nat-full}]") FORWARDED, "53 nat-full",
		QUIET},
	{FORWARDED, "53 nat", QUIET},
	{NODE("nat: {}") META("meltemi.io/forwarding: nat-full") SPEC(DNS), "53 nat-full", QUIET},
	/* A name or a protocol makes a port one of UDP. */
	{META(NAT) SPEC("{number: 53, name: dns, protocol: UDP}"), "53 nat", QUIET},
	{META(NAT) SPEC("{number: 53, name: UDP}"), "53 nat", QUIET},
	{NODE("nat: {}") META("meltemi.io/forwarding: 'udp-dns=nat, udp-b=nat-full'")
			SPEC(DNS ", {number: 54, name: udp-b}, {number: 55, name: udp-c}"),
		"53 nat, 54 nat-full, 55 nat", QUIET},
	{META("meltemi.io/forwarding: 'udp-b=nat'") SPEC(DNS ", {number: 54, name: udp-b}"),
		"54 nat", MT_DIAG_WARNING, "UDP is not served"},
	/* Ports of TCP are forwarded where that is requested. */
	{META(NAT) SPEC(DNS ", " TCP), "53 nat, 5432 nat", QUIET},
	{NODE("nat: {}") META("") SPEC(DNS ", " TCP), "53 nat", QUIET},
	{META("meltemi.io/forwarding: tcp-sql=nat") SPEC(TCP), "5432 nat", QUIET},
	{NODE("nat: {}") META("meltemi.io/forwarding: tcp-sql=nat-full") SPEC(TCP), "5432 nat-full",
		QUIET},
	{NODE("forwarding: [{host: a.x, port: 5432}]") META("") SPEC(TCP), "5432 nat", QUIET},
	{META(NAT) SPEC("{number: 53, name: udp-dns, protocol: UDP}, "
			"{number: 53, name: tcp-dns, protocol: TCP}"),
		"53 nat, 53 nat", QUIET},
	/* nat-full of TCP has ports of its own. */
	{NODE("cores: [1]") META("meltemi.io/forwarding: nat-full") SPEC(TCP), "refused",
		MT_DIAG_ERROR, "nat-full of TCP has no source ports of its own"},
	{NODE("nat: {ports: 1024-65535}") META("meltemi.io/forwarding: nat-full") SPEC(TCP),
		"refused", MT_DIAG_ERROR, "nat-full of TCP has no source ports of its own"},
	{NODE("nat: {}") META("meltemi.io/forwarding: nat-full") SPEC(TCP) AT_NODE("41000"),
		"refused", MT_DIAG_ERROR,
		"nat-full of TCP needs the port of the listener 10.0.0.1:41000"},
	{NODE("nat: {}") META("meltemi.io/forwarding: nat-full") SPEC(TCP) AT_NODE("40499"),
		"5432 nat-full", QUIET},
	{NODE("nat: {}") META("meltemi.io/forwarding: nat-full") SPEC(DNS) AT_NODE("41000"),
		"53 nat-full", QUIET},
	{META(NAT) SPEC(TCP) OTHER_TCP, "refused", MT_DIAG_ERROR,
		"192.0.2.1:5432 of TCP is in use by a listener"},
	/* A tunnel leads to endpoints in any network; it keeps the port, too. */
	{META("meltemi.io/forwarding: tunnel-ipip") SPEC(DNS), "53 tunnel-ipip", QUIET},
	{NODE("cores: [1]") META("meltemi.io/forwarding: tunnel-ipip") SPEC(DNS), "53 tunnel-ipip",
		MT_DIAG_NOTE, "port p0 has an MTU of 1500"},
	{META("meltemi.io/forwarding: tunnel-ipip") MAPPED(DNS), "refused", MT_DIAG_ERROR,
		"its endpoint 198.51.100.2:5353 has another port, and tunnel-ipip keeps the port"},
	{META("meltemi.io/forwarding: udp-dns=tunnel-gue") SPEC(DNS), "53 tunnel-gue", QUIET},
	{NODE("forwarding: [{host: a.x, port: 53, mode: tunnel-gue}]") META("") SPEC(DNS),
		"53 tunnel-gue", MT_DIAG_NOTE,
		"tunnel-gue adds 32 bytes to a packet of IPv4, 52 to one of IPv6"},
	{META("meltemi.io/forwarding: tunnel-gue") MAPPED(DNS), "refused", MT_DIAG_ERROR,
		"its endpoint 198.51.100.2:5353 has another port, and tunnel-gue keeps the port"},
	/* dsr keeps the port, and endpoints are neighbours. */
	{META("meltemi.io/forwarding: dsr") SPEC(DNS), "53 dsr", QUIET},
	{META("meltemi.io/forwarding: tcp-sql=dsr") SPEC(TCP), "5432 dsr", QUIET},
	{NODE("forwarding: [{host: a.x, port: 53, mode: dsr}]") META("") NEIGHBOURS(DNS), "53 dsr",
		QUIET},
	{META("meltemi.io/forwarding: dsr") MAPPED(DNS), "refused", MT_DIAG_ERROR,
		"its endpoint 198.51.100.2:5353 has another port, and dsr keeps the port"},
	{NODE("cores: [1]") META("meltemi.io/forwarding: dsr") SPEC(DNS), "53 dsr", MT_DIAG_WARNING,
		"2 of its endpoints get no packets: 198.51.100.1 and others are not on the link of "
		"a port, so dsr cannot reach them"},
	{NODE("cores: [1]") META("meltemi.io/forwarding: dsr") MIXED(DNS), "53 dsr",
		MT_DIAG_WARNING,
		"1 of its endpoints gets no packets: 198.51.100.2 is not on the link"},
	{NODE("routes: [{to: 198.51.100.0/24, port: p0}]") META("meltemi.io/forwarding: dsr")
			SPEC(DNS),
		"53 dsr", QUIET},
	/* The longest prefix decides, among equals that of a port. */
	{NODE("routes: [{to: 10.0.0.22/32, via: 10.0.0.9}]") META("meltemi.io/forwarding: dsr")
			NEIGHBOURS(DNS),
		"53 dsr", MT_DIAG_WARNING,
		"1 of its endpoints gets no packets: 10.0.0.22 is not on the link of a port"},
	{NODE("routes: [{to: 10.0.0.16/28, via: 10.0.0.9}, {to: 10.0.0.20/30, port: p0}]")
			META("meltemi.io/forwarding: dsr") NEIGHBOURS(DNS),
		"53 dsr", QUIET},
	{NODE("routes: [{to: 10.0.0.0/24, via: 10.0.0.9}]") META("meltemi.io/forwarding: dsr")
			NEIGHBOURS(DNS),
		"53 dsr", QUIET},
	/* Ports with a codec are terminated. */
	{META(NAT) SPEC(DNS ", " RPC), "53 nat", QUIET},
	{META("meltemi.io/forwarding: tcp-metaprotocol-dubbo=nat") SPEC(RPC), "refused",
		MT_DIAG_ERROR, "has a codec, which layer 4 does not run"},
	{NODE("forwarding: [{host: a.x, port: 20880}]") META("") SPEC(RPC), "", MT_DIAG_WARNING,
		"port 20880 of a.x has a codec"},
	/* A terminated port would be open to all clients. */
	{NODE("forwarding: [{host: a.x, port: 20880, deny: [192.0.2.0/24]}]") META("") SPEC(RPC),
		"refused", MT_DIAG_ERROR,
		"the Node's spec.forwarding has allow, deny or limits for the port, which has a "
		"codec"},
	{NODE("forwarding: [{host: a.x, port: 20880, limits: {service: {packets: 9/s}}}]") META("")
			SPEC(RPC),
		"refused", MT_DIAG_ERROR,
		"the Node's spec.forwarding has allow, deny or limits for the port, which has a "
		"codec"},
	{NODE("forwarding: [{host: a.x, port: 53, deny: [192.0.2.0/24]}]") META("") SPEC(DNS),
		"53 nat", QUIET},
	/* Layer 4 adds no bytes to connections. */
	{META(NAT) SPEC(TCP) POLICY_OF_HOST("proxyProtocol: {version: V2}"), "refused",
		MT_DIAG_ERROR, "proxyProtocol of the DestinationRule at t:"},
	{META(NAT) SPEC(TCP) POLICY_OF_HOST("proxyProtocol: {}, portLevelSettings: "
					    "[{port: {number: 5432}, tls: {mode: DISABLE}}]"),
		"refused", MT_DIAG_ERROR, "needs a PROXY header, which layer 4 does not add"},
	{META(NAT) SPEC(DNS) POLICY_OF_HOST("proxyProtocol: {version: V2}"), "53 nat",
		MT_DIAG_WARNING, "no PROXY header is sent"},
	{META("") SPEC(TCP) POLICY_OF_HOST("proxyProtocol: {version: V2}"), "", MT_DIAG_WARNING,
		"no PROXY header is sent"},
	/* Mistakes. */
	{META("meltemi.io/forwarding: snat") SPEC(DNS), "refused", MT_DIAG_ERROR,
		"\"snat\" is not a mode"},
	{META("meltemi.io/forwarding: ''") SPEC(DNS), "refused", MT_DIAG_ERROR,
		"\"\" is not a mode"},
	{META("meltemi.io/forwarding: 'nat,nat'") SPEC(DNS), "refused", MT_DIAG_ERROR,
		"\"nat\" is not like PORTNAME=MODE"},
	{META("meltemi.io/forwarding: udp-dsn=nat") SPEC(DNS), "refused", MT_DIAG_ERROR,
		"it has no port \"udp-dsn\""},
	{META("meltemi.io/forwarding: 'udp-dns=nat,udp-dns=nat-full'") SPEC(DNS), "refused",
		MT_DIAG_ERROR, "port udp-dns is named twice"},
	{META("meltemi.io/forwarding: nat-full") SPEC(DNS), "refused", MT_DIAG_ERROR,
		"nat-full has no IPv4 address of the node for it"},
	{NODE("forwarding: [{host: b.x, port: 53}]") FORWARDED, "53 nat", MT_DIAG_WARNING,
		"no document's service b.x has a port 53: nothing is forwarded"},
	{NODE("forwarding: [{host: a.x, port: 54}]") FORWARDED, "53 nat", MT_DIAG_WARNING,
		"no document's service a.x has a port 54: nothing is forwarded"},
	/* Health checks. */
	{META(NAT ", meltemi.io/health-check: none") SPEC(DNS), "53 nat", QUIET},
	{META(NAT ", meltemi.io/health-check: 'icmp , interval=500ms,  failures=2 '") SPEC(DNS),
		"53 nat", QUIET},
	{META("meltemi.io/health-check: tcp") SPEC(TCP), "", MT_DIAG_WARNING,
		"meltemi.io/health-check: no port of it is forwarded"},
	{CHECK(""), "refused", MT_DIAG_ERROR, "meltemi.io/health-check: \"\" is not valid here"},
	{CHECK("http"), "refused", MT_DIAG_ERROR, "\"http\" is not valid here"},
	{CHECK("tcps"), "refused", MT_DIAG_ERROR, "\"tcps\" is not valid here"},
	{CHECK("interval=2s"), "refused", MT_DIAG_ERROR, "\"interval=2s\" is not valid here"},
	{CHECK("tcp, icmp"), "refused", MT_DIAG_ERROR, "\"icmp\" is not valid here"},
	{CHECK("tcp, interval=2"), "refused", MT_DIAG_ERROR, "\"interval=2\" is not valid here"},
	{CHECK("tcp, interval=99ms"), "refused", MT_DIAG_ERROR, "\"interval=99ms\" is not"},
	{CHECK("tcp, interval=61m"), "refused", MT_DIAG_ERROR, "\"interval=61m\" is not"},
	{CHECK("tcp, interval=1s, interval=1s"), "refused", MT_DIAG_ERROR,
		"\"interval=1s\" is not valid here"},
	{CHECK("tcp, failures=0"), "refused", MT_DIAG_ERROR, "\"failures=0\" is not valid here"},
	{CHECK("tcp, failures=101"), "refused", MT_DIAG_ERROR, "\"failures=101\" is not"},
	{CHECK("tcp, failures=4294967299"), "refused", MT_DIAG_ERROR,
		"\"failures=4294967299\" is not"},
	{CHECK("tcp, failures="), "refused", MT_DIAG_ERROR, "\"failures=\" is not valid here"},
	{CHECK("tcp, failures=-1"), "refused", MT_DIAG_ERROR, "\"failures=-1\" is not valid"},
	{CHECK("tcp, rise=2"), "refused", MT_DIAG_ERROR, "\"rise=2\" is not valid here"},
	{CHECK("none, interval=2s"), "refused", MT_DIAG_ERROR, "\"interval=2s\" is not valid"},
	{CHECK("tcp, , failures=2"), "refused", MT_DIAG_ERROR, "\"\" is not valid here"},
	/* Addresses of the node. */
	{NODE("nat: {addresses: [192.0.2.1]}") FORWARDED, "refused", MT_DIAG_ERROR,
		"192.0.2.1 is an address of the Node's spec.nat"},
	{NODE("nat: {addresses: [198.51.100.1]}") FORWARDED, "refused", MT_DIAG_ERROR,
		"198.51.100.1 is an address of the Node's spec.nat"},
	{NODE("nat: {addresses: [10.0.0.1]}") FORWARDED, "refused", MT_DIAG_ERROR,
		"10.0.0.1 is a port's own address"},
	{NODE("dns: {addresses: [192.0.2.1]}") FORWARDED, "refused", MT_DIAG_ERROR,
		"192.0.2.1:53 of UDP is in use by the Node's spec.dns"},
	{FORWARDED OTHER, "refused", MT_DIAG_ERROR, "192.0.2.1:53 of UDP is in use by a.x at t:"},
};

static void modes_of_ports(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(modes); i++)
		look(&modes[i]);
}

/* ---- what is published ------------------------------------------------------------------------- */

static void published(void)
{
	struct built b = build_text(NULL, NODE("nat: {}") META("") MAPPED(DNS));
	const struct mt_l4_row *row;
	const struct mt_cluster *c;
	struct mt_addr vip;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_listeners, 0);
	CU_ASSERT_EQUAL(b.s->n_forwards, 2);
	c = &b.s->clusters[b.s->forwards[0].cluster];
	CU_ASSERT_STRING_EQUAL(c->name, "udp|53||a.x");
	CU_ASSERT_STRING_EQUAL(mt_cluster_host(c), "a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_STRING_EQUAL(endpoint(c, 0), "198.51.100.1:53");
	CU_ASSERT_STRING_EQUAL(endpoint(c, 1), "198.51.100.2:5353");
	CU_ASSERT_EQUAL(c->eps[1].weight, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->l4);
	mt_addr_parse("192.0.2.1", &vip);
	row = mt_l4_row(b.s->l4, &vip, 53, IPPROTO_UDP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row->group);
	CU_ASSERT_EQUAL(row->group->n_endpoints, 2);
	CU_ASSERT_FALSE(row->group->by_source);
	CU_ASSERT_PTR_NULL(mt_l4_row(b.s->l4, &vip, 53, IPPROTO_TCP));
	/* No endpoint has the family of its second address. */
	mt_addr_parse("2001:db8:1::1", &vip);
	row = mt_l4_row(b.s->l4, &vip, 53, IPPROTO_UDP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	CU_ASSERT_PTR_NULL(row->group);
	unbuild(&b);
}

/* How endpoints of a row are checked, of TCP or UDP. */
static struct mt_l4_check_conf check_of(const char *text, uint16_t port, uint8_t proto)
{
	struct built b = build_text(NULL, text);
	struct mt_l4_check_conf c = {0};
	const struct mt_l4_row *row;
	struct mt_addr vip;

	mt_addr_parse("192.0.2.1", &vip);
	CU_ASSERT_FATAL(b.s && b.s->l4);
	row = mt_l4_row(b.s->l4, &vip, port, proto);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	c = row->check;
	CU_ASSERT_EQUAL(b.s->l4->n_checks, c.kind ? 2 : 0);
	unbuild(&b);
	return c;
}

static void is_check(const char *text, uint8_t proto, const struct mt_l4_check_conf *want)
{
	struct mt_l4_check_conf c = check_of(text, proto == IPPROTO_TCP ? 5432 : 53, proto);

	if (c.kind != want->kind || c.lenient != want->lenient || c.failures != want->failures ||
		c.interval_ms != want->interval_ms)
		printf("%s\n%u %u %u %u\n", text, c.kind, c.lenient, c.failures, c.interval_ms);
	CU_ASSERT(c.kind == want->kind && c.lenient == want->lenient);
	CU_ASSERT(c.failures == want->failures && c.interval_ms == want->interval_ms);
}

/* The Node's healthCheck precedes the annotation; without both the protocol decides. */
static void health_checks(void)
{
	static const struct {
		const char *text;
		uint8_t proto;
		struct mt_l4_check_conf want;
	} rows[] = {
		{META(NAT) SPEC(TCP), IPPROTO_TCP, {MT_L4_CHECK_TCP, false, 3, 2000}},
		{META(NAT) SPEC(DNS), IPPROTO_UDP, {MT_L4_CHECK_ICMP, true, 3, 2000}},
		{CHECK("icmp"), IPPROTO_UDP, {MT_L4_CHECK_ICMP, false, 3, 2000}},
		{CHECK("tcp,failures=7"), IPPROTO_UDP, {MT_L4_CHECK_TCP, false, 7, 2000}},
		{CHECK("icmp, interval=1.5s, failures=1"), IPPROTO_UDP,
			{MT_L4_CHECK_ICMP, false, 1, 1500}},
		{CHECK("none"), IPPROTO_UDP, {MT_L4_CHECK_NONE, false, 3, 2000}},
		{NODE("forwarding: [{host: a.x, port: 53, healthCheck: {kind: tcp, interval: 5s, "
		      "failures: 2}}]") CHECK("none"),
			IPPROTO_UDP, {MT_L4_CHECK_TCP, false, 2, 5000}},
		{NODE("forwarding: [{host: a.x, port: 53, healthCheck: {interval: 1m}}]")
				CHECK("none"),
			IPPROTO_UDP, {MT_L4_CHECK_ICMP, true, 3, 60000}},
		{NODE("forwarding: [{host: a.x, port: 53, healthCheck: {kind: none}}]")
				CHECK("tcp"),
			IPPROTO_UDP, {MT_L4_CHECK_NONE, false, 3, 2000}},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		is_check(rows[i].text, rows[i].proto, &rows[i].want);
}

/* Limits of the Node, each in its place; another port has none. */
static void limits(void)
{
	struct built b = build_text(NULL,
		NODE("forwarding: [{host: a.x, port: 53, limits: {perSource: {newConnections: 1/s, "
		     "packets: 2/s, bytes: 10003/s}, service: {newConnections: 4/s, packets: 5/s, "
		     "bytes: 10006/s, connections: 7}}}]") META(NAT)
			SPEC(DNS ", {number: 54, name: udp-other}"));
	static const uint32_t want[] = {1, 2, 10003, 4, 5, 10006, 7};
	const struct mt_l4_row *row, *other;
	struct mt_addr vip;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	mt_addr_parse("192.0.2.1", &vip);
	row = mt_l4_row(b.s->l4, &vip, 53, IPPROTO_UDP);
	other = mt_l4_row(b.s->l4, &vip, 54, IPPROTO_UDP);
	CU_ASSERT_FATAL(row && other);
	for (uint32_t i = 0; i < MT_L4_LIMITS; i++) {
		CU_ASSERT_EQUAL(row->limits.max[i], want[i]);
		CU_ASSERT_EQUAL(other->limits.max[i], 0);
	}
	CU_ASSERT_PTR_NOT_NULL(b.s->l4->limits[row->service]);
	CU_ASSERT_PTR_NULL(b.s->l4->limits[other->service]);
	unbuild(&b);
}

/* A port of TCP, and one of UDP with the same number. */
static void published_tcp(void)
{
	struct built b =
		build_text(NULL, META(NAT) SPEC("{number: 5432, name: tcp-sql, protocol: TCP}, "
						"{number: 5432, name: udp-sql, protocol: UDP}"));
	const struct mt_l4_row *tcp, *udp;
	struct mt_addr vip;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_listeners, 0);
	CU_ASSERT_EQUAL_FATAL(b.s->n_forwards, 4);
	CU_ASSERT_EQUAL(b.s->forwards[0].protocol, IPPROTO_TCP);
	CU_ASSERT_EQUAL(b.s->forwards[1].protocol, IPPROTO_UDP);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[b.s->forwards[0].cluster].name, "tcp|5432||a.x");
	CU_ASSERT_NOT_EQUAL(b.s->forwards[0].id, b.s->forwards[1].id);
	mt_addr_parse("192.0.2.1", &vip);
	tcp = mt_l4_row(b.s->l4, &vip, 5432, IPPROTO_TCP);
	udp = mt_l4_row(b.s->l4, &vip, 5432, IPPROTO_UDP);
	CU_ASSERT_FATAL(tcp && udp && tcp->group && udp->group);
	CU_ASSERT_NOT_EQUAL(tcp->service, udp->service);
	unbuild(&b);
}

/* lib/tcp leaves the ports of NAT, where both use one address. */
static void source_ports(void)
{
	static const struct {
		const char *text;
		bool tcp;
		uint16_t first, last;
	} rows[] = {
		{NODE("cores: [1]"), false, 20000, 60999},
		{NODE("nat: {}"), true, 20000, 40499},
		{NODE("forwarding: [{host: a.x, port: 53}]"), true, 20000, 40499},
		{NODE("nat: {addresses: [10.0.0.7]}"), true, 20000, 60999},
		{NODE("nat: {ports: 2000-9999}"), true, 20000, 60999},
		{NODE("nat: {ports: 61000-65535}"), true, 20000, 60999},
		{NODE("nat: {ports: 2000-29999}"), true, 30000, 60999},
		{NODE("nat: {ports: 50000-65535}"), true, 20000, 49999},
		{NODE("nat: {ports: 20500-60000}"), false, 20000, 60999},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		uint16_t first, last;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.m->node);
		CU_ASSERT_EQUAL(mt_conf_source_ports(b.m->node, &first, &last), rows[i].tcp);
		CU_ASSERT_EQUAL(first, rows[i].first);
		CU_ASSERT_EQUAL(last, rows[i].last);
		unbuild(&b);
	}
}

static void nat_addresses(void)
{
	static const struct {
		const char *text;
		uint32_t n4, n6;
		uint16_t first, last;
	} rows[] = {
		{NODE("nat: {}") FORWARDED, 1, 1, 40500, 60999},
		{NODE("nat: {ports: 2000-9999}") FORWARDED, 1, 1, 2000, 9999},
		{NODE("nat: {addresses: [10.0.0.7, 10.0.0.8]}") FORWARDED, 2, 0, 1024, 65535},
		/* A service at the port's own address has it. */
		{NODE("nat: {}") META(NAT) "  hosts: [a.x]\n  addresses: [10.0.0.1]\n"
					   "  resolution: STATIC\n  ports: [" DNS "]\n"
					   "  endpoints: [{address: 198.51.100.1}]\n",
			0, 1, 40500, 60999},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->l4->n_nat4, rows[i].n4);
		CU_ASSERT_EQUAL(b.s->l4->n_nat6, rows[i].n6);
		CU_ASSERT_EQUAL(b.s->l4->nat_lo, rows[i].first);
		CU_ASSERT_EQUAL(b.s->l4->nat_hi, rows[i].last);
		unbuild(&b);
	}
}

/* Addresses for NAT are the started Node's until a restart. */
static void nat_of_the_start(void)
{
	struct built started = build_text(NULL, NODE("nat: {addresses: [10.0.0.7]}") FORWARDED);
	struct built b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(started.s);
	mt_conf_set_ports(started.conf, started.m->node);
	b = build_text(started.conf, NODE("nat: {addresses: [10.0.0.8, 10.0.0.9]}") FORWARDED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->l4->n_nat4, 1);
	mt_conf_set_ports(started.conf, NULL);
	mt_conf_discard(started.conf, b.s, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	unbuild(&started);
}

/* The endpoint's index for each of some hashes. */
static void choices(const struct built *b, uint8_t out[1000])
{
	const struct mt_l4_group *g = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s);
	for (uint32_t i = 0; !g && i < b->s->l4->n_rows; i++)
		g = b->s->l4->rows[i].group;
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	for (uint64_t h = 0; h < 1000; h++)
		out[h] = (uint8_t)mt_l4_choose(g, h * 7919);
}

/* Nodes of one group choose alike, those of others do not. */
static void groups(void)
{
	static const char *const texts[] = {FORWARDED, NODE("group: ''") FORWARDED,
		NODE("group: east") FORWARDED, NODE("group: east") FORWARDED,
		NODE("group: west") FORWARDED};
	uint8_t of[5][1000];
	uint32_t same[5] = {0};

	for (uint32_t i = 0; i < 5; i++) {
		struct built b = build_text(NULL, texts[i]);

		choices(&b, of[i]);
		for (uint32_t h = 0; i && h < 1000; h++)
			same[i] += of[i][h] == of[i - 1][h];
		unbuild(&b);
	}
	CU_ASSERT_EQUAL(same[1], 1000);
	CU_ASSERT(same[2] > 300 && same[2] < 700);
	CU_ASSERT_EQUAL(same[3], 1000);
	CU_ASSERT(same[4] > 300 && same[4] < 700);
}

/*
 * An endpoint at an address for NAT, which an address of a port is until the restart: its service
 * is refused by name, and the others are forwarded.
 */
static void nat_endpoint(void)
{
	struct built started = build_text(NULL, NODE("nat: {}") FORWARDED);
	struct built b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(started.s);
	mt_conf_set_ports(started.conf, started.m->node);
	b = build_text(started.conf,
		"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [10.0.9.1/24]}]\n"
		"  nat: {}\n" META(NAT) "  hosts: [a.x]\n  addresses: [192.0.2.1]\n"
					"  resolution: STATIC\n  ports: [" DNS "]\n"
					"  endpoints: [{address: 10.0.0.1}]\n");
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	CU_ASSERT_TRUE(is_told(&b, MT_DIAG_ERROR,
		"its endpoint 10.0.0.1 is an address from which the node forwards"));
	for (uint32_t i = 0; i < b.diags.n; i++)
		if (b.diags.items[i].severity == MT_DIAG_ERROR)
			CU_ASSERT_PTR_NOT_NULL(b.diags.items[i].origin.file);
	mt_conf_set_ports(started.conf, NULL);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	unbuild(&started);
}

const struct mt_test forwarding_tests[] = {
	{"forwarding_modes_of_ports", modes_of_ports},
	{"forwarding_published", published},
	{"forwarding_health_checks", health_checks},
	{"forwarding_limits", limits},
	{"forwarding_published_tcp", published_tcp},
	{"forwarding_source_ports", source_ports},
	{"forwarding_groups", groups},
	{"forwarding_nat_endpoint", nat_endpoint},
	{"forwarding_nat_addresses", nat_addresses},
	{"forwarding_nat_of_the_start", nat_of_the_start},
	{0},
};
