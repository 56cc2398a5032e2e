/* SPDX-License-Identifier: Apache-2.0 */
/* An address and port stays with the object that is served there. */
#include "conf_test.h"
#include "mt_idmap.h"

#include <stdio.h>

#define ENTRY(name, ns, annotations, spec)                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns ", annotations: {" annotations "}}\n"          \
	"spec: {resolution: STATIC, hosts: [" name "." ns "], " spec "}\n"
#define AT(address, port, endpoint)                                                                \
	"addresses: [" address "], ports: [" port "], endpoints: [{address: " endpoint "}]"
#define DUBBO "{number: 80, name: tcp-metaprotocol-dubbo}"
#define TCP   "{number: 80, name: tcp}"
#define UDP   "{number: 53, name: udp-dns, protocol: UDP}"
#define NAT   "meltemi.io/forwarding: nat"
#define HERE  "192.0.2.1"

/* The victim, and its document with another label, name or namespace. */
#define VICTIM(port)	ENTRY("a", "v", "", AT(HERE, port, "198.51.100.1"))
#define EDITED(port)	ENTRY("a", "v", "x: y", AT(HERE, port, "198.51.100.1"))
#define RENAMED(port)	ENTRY("b", "v", "", AT(HERE, port, "198.51.100.1"))
#define ELSEWHERE(port) ENTRY("a", "w", "", AT(HERE, port, "198.51.100.1"))
#define FORWARDED(port) ENTRY("a", "v", NAT, AT(HERE, port, "198.51.100.1"))
/* Another author's document. */
#define OTHER(annotations, port) ENTRY("z", "m", annotations, AT(HERE, port, "198.51.100.9"))
#define MORE(port)		 ENTRY("y", "m", "", AT("192.0.2.7", port, "198.51.100.9"))

/* All of them list the other author's document before the victim's, as if it were older. */
static const struct {
	const char *now, *other, *own, *words;
} rows[] = {
	{VICTIM(DUBBO), OTHER("", TCP), VICTIM(DUBBO),
		"192.0.2.1:80 is in use by a.v at t:10, which is served there"},
	{VICTIM(DUBBO), OTHER("", TCP), EDITED(DUBBO), "in use by a.v at t:10, which is served"},
	{VICTIM(DUBBO), OTHER("", TCP), RENAMED(DUBBO),
		"in use by b.v at t:10, in a namespace that is served there"},
	{VICTIM(TCP), OTHER("", TCP), VICTIM(TCP), "in use by a.v at t:10, which is served"},
	{VICTIM(TCP), OTHER("", DUBBO), VICTIM(TCP), "in use by a.v at t:10, which is served"},
	/* With the victim's service key. */
	{VICTIM(DUBBO), OTHER("interface: a.v", DUBBO), VICTIM(DUBBO),
		"in use by a.v at t:10 for the same service key, which is served there"},
	/* A place at the address does not hold the keys of others there. */
	{OTHER("", DUBBO) VICTIM(DUBBO), OTHER("interface: a.v", DUBBO), VICTIM(DUBBO),
		"in use by a.v at t:10 for the same service key, which is served there"},
	/* A place at another address or port holds nothing here. */
	{MORE(TCP) VICTIM(TCP), ENTRY("y", "m", "", AT(HERE, TCP, "198.51.100.9")), VICTIM(TCP),
		"in use by a.v at t:10, which is served there"},
	/* Forwarded ports, of one kind and beside listeners. */
	{FORWARDED(UDP), OTHER(NAT, UDP), FORWARDED(UDP),
		"192.0.2.1:53 of UDP is in use by a.v at t:10, which is served there"},
	{FORWARDED(TCP), OTHER(NAT, TCP), FORWARDED(TCP),
		"192.0.2.1:80 of TCP is in use by a.v at t:10, which is served there"},
	{FORWARDED(TCP), OTHER("", TCP), FORWARDED(TCP), "in use by a.v at t:10, which is served"},
	{VICTIM(TCP), OTHER(NAT, TCP), VICTIM(TCP),
		"192.0.2.1:80 of TCP is in use by a listener, which is served there"},
	/* The address of the victim's endpoint, and an endpoint at the victim's address. */
	{VICTIM(TCP), ENTRY("z", "m", "", AT("198.51.100.1", TCP, "198.51.100.9")), VICTIM(TCP),
		"198.51.100.1 is the address of an endpoint of ServiceEntry v/a at t:7"},
	{VICTIM(TCP), ENTRY("z", "m", "", AT("192.0.2.9", TCP, HERE)), VICTIM(TCP),
		"192.0.2.1 is an address that this node itself answers"},
};

/* Publishes `now`, if it is not NULL, and compiles what follows it. */
static struct built build_after(const char *now, const char *text)
{
	struct mt_conf *c = new_conf();
	struct mt_err err;
	struct built b;

	if (now) {
		b = build_text(c, now);
		if (!b.s)
			show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	return build_text(c, text);
}

static uint32_t lines_of(const char *text)
{
	uint32_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* True if the errors are about the first document only, and one of them has the words. */
static bool refuses_first(const struct built *b, uint32_t lines, const char *words)
{
	bool found = false, first = b->diags.errors > 0;

	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *d = &b->diags.items[i];

		if (d->severity != MT_DIAG_ERROR)
			continue;
		first = first && d->origin.line <= lines;
		found = found || strstr(d->message, words);
	}
	return first && found;
}

static void holders_stay(void)
{
	char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b;
		bool good;

		snprintf(text, sizeof(text), "%s%s", rows[i].other, rows[i].own);
		b = build_after(rows[i].now, text);
		good = refuses_first(&b, lines_of(rows[i].other), rows[i].words);
		if (!good) {
			printf("\n  row %zu: ", i);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		CU_ASSERT_PTR_NULL(b.s);
		unbuild(&b);
	}
}

/* Without a holder the older one has the place, as in Istio, and the place of a removed object is free. */
static void older_without_holder(void)
{
	struct built b = build_text(NULL, OTHER("", TCP) VICTIM(DUBBO));

	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 10, "192.0.2.1:80 is in use by z.m at t:5 with"));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
	b = build_after(VICTIM(DUBBO), OTHER("", TCP) ELSEWHERE(DUBBO));
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 10, "192.0.2.1:80 is in use by z.m at t:5 with"));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
	b = build_after(VICTIM(DUBBO), OTHER("", TCP));
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
	/* Who is served there may change what it is. */
	b = build_after(VICTIM(DUBBO), EDITED(TCP));
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
}

/* ---- server names of TLS --------------------------------------------------------------------- */

#define GATE(ns)                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"                                 \
	"metadata: {name: g, namespace: " ns "}\n"                                                 \
	"spec: {selector: {}, servers: [{port: {number: 8443, name: tls, protocol: TLS}, "         \
	"hosts: ['*'], bind: 192.0.2.50, tls: {mode: PASSTHROUGH}}]}\n"
#define NAMED(name, ns, names)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: " name ", namespace: " ns "}\n"                                          \
	"spec: {hosts: ['*'], gateways: [g], tls: [{match: [{sniHosts: [" names "]}], "            \
	"route: [{destination: {host: a." ns "}}]}]}\n"
#define HOST(ns, address) ENTRY("a", ns, "", AT(address, TCP, "198.51.100.1"))
/* The gateways and services of the victim and of the other author, in 24 lines. */
#define BOTH HOST("v", "192.0.2.1") HOST("m", "192.0.2.2") GATE("m") GATE("v")
#define ABC  "a.example, b.example, c.example"

/* The service that gets the name; "": none. */
static const char *who_gets(const struct built *b, const char *name)
{
	const struct mt_listener *l = b->s ? listener(b->s, "192.0.2.50", 8443) : NULL;
	const struct mt_filter_chain_facts f = {
		.tls = true, .name = {(const uint8_t *)name, (uint32_t)strlen(name)}};
	const struct mt_filter_chain *c = l ? mt_filter_chain_choose(l, &f) : NULL;

	return c ? b->s->clusters[c->protos[0].services[0]->tcp_cluster].name : "";
}

/* The other author's routes are listed first, as if they were older. */
static const struct {
	const char *now, *text, *name, *gets, *words;
} name_rows[] = {
	{NAMED("x", "v", "b.example"), NAMED("y", "m", ABC) NAMED("x", "v", "b.example"),
		"b.example", "outbound|80||a.v",
		"\"b.example\" is in use by VirtualService v/x at t:30, which is served there"},
	{NAMED("x", "v", "b.example"), NAMED("y", "m", ABC) NAMED("x", "v", "b.example"),
		"a.example", "outbound|80||a.m", NULL},
	{NAMED("x", "v", "b.example"), NAMED("y", "m", ABC) NAMED("z", "v", "b.example"),
		"b.example", "outbound|80||a.v", "v/z at t:30, in a namespace that is served"},
	/* Its last name, and all names: a chain without a name left matches nothing. */
	{NAMED("x", "v", "b.example"), NAMED("y", "m", "b.example") NAMED("x", "v", "b.example"),
		"a.example", "", "is in use by VirtualService v/x at t:30, which is served"},
	{NAMED("x", "v", "'*'"), NAMED("y", "m", "'*'") NAMED("x", "v", "'*'"), "a.example",
		"outbound|80||a.v",
		"\"*\" is in use by VirtualService v/x at t:30, which is served there"},
	/* Without a holder of this name the older one has it. */
	{NAMED("x", "v", "c.example"), NAMED("y", "m", ABC) NAMED("z", "w", "b.example"),
		"b.example", "outbound|80||a.m", NULL},
	{"", NAMED("y", "m", ABC) NAMED("x", "v", "b.example"), "b.example", "outbound|80||a.m",
		"\"b.example\" is in use by VirtualService m/y at t:25"},
};

static bool warns(const struct built *b, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity == MT_DIAG_WARNING &&
			strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

static void server_names_stay(void)
{
	char now[4096], text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(name_rows); i++) {
		struct built b;
		bool good;

		snprintf(now, sizeof(now), "%s%s", BOTH, name_rows[i].now);
		snprintf(text, sizeof(text), "%s%s", BOTH, name_rows[i].text);
		b = build_after(now, text);
		good = strcmp(who_gets(&b, name_rows[i].name), name_rows[i].gets) == 0 &&
		       (!name_rows[i].words || warns(&b, name_rows[i].words));
		if (!good) {
			printf("\n  row %zu: %s ", i, who_gets(&b, name_rows[i].name));
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		unbuild(&b);
	}
}

/* TLS by server names, and another author's port of messages, which looks older, at its address. */
static void tls_ports_stay(void)
{
#define MESSAGES                                                                                   \
	ENTRY("z", "m", "",                                                                        \
		AT("192.0.2.50", "{number: 8443, name: tcp-metaprotocol-dubbo}", "198.51.100.9"))
#define PASSED HOST("v", "192.0.2.1") GATE("v") NAMED("x", "v", "b.example")
	struct built b = build_after(PASSED, MESSAGES PASSED);

	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 5,
		"192.0.2.50:8443 is in use by b.example at t:20, which is served there"));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
	b = build_after(MESSAGES, MESSAGES PASSED);
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 20,
		"192.0.2.50:8443 is in use by z.m at t:5 with another protocol, which is served"));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
}

#define PORT_OF(ns, port)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"                                 \
	"metadata: {name: g, namespace: " ns "}\n"                                                 \
	"spec: {selector: {}, servers: [{port: {number: 8443, name: " port "}, hosts: ['*'], "     \
	"bind: 192.0.2.50}]}\n"
#define LEADING(ns, gateway, list)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: x, namespace: " ns "}\nspec: {hosts: ['*'], gateways: [" gateway         \
	"], " list ": [{route: [{destination: {host: a.v}}]}]}\n"

/* Two Gateways are in conflict: the one without the port is refused, and not routes of others there. */
static void guests_are_not_in_conflict(void)
{
#define VICTIMS HOST("v", "192.0.2.1") PORT_OF("v", "tcp") LEADING("v", "g", "tcp")
	struct built b = build_after(VICTIMS,
		PORT_OF("m", "tcp-metaprotocol-dubbo") LEADING("w", "m/g", "dubbo") VICTIMS);

	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 5, "192.0.2.50:8443 is in use by"));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	for (uint32_t i = 0; i < b.diags.n; i++)
		if (b.diags.items[i].severity == MT_DIAG_ERROR)
			CU_ASSERT_EQUAL(b.diags.items[i].object,
				((const struct mt_meta *)b.m->gateways.v[0])->serial);
	unbuild(&b);
}

/* The error of an object that is refused for another reason as well. */
#define NONSENSE "{number: 79, name: tcp-metaprotocol}"
#define WRONG_GATE                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"                                 \
	"metadata: {name: g, namespace: v}\n"                                                      \
	"spec: {selector: {}, servers: [{port: " NONSENSE ", hosts: ['*']}, "                      \
	"{port: {number: 8443, name: tcp}, hosts: ['*'], bind: 192.0.2.50}]}\n"
#define GOOD_GATE                                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"                                 \
	"metadata: {name: g, namespace: v}\n"                                                      \
	"spec: {selector: {}, servers: [{port: {number: 8443, name: tcp}, hosts: ['*'], "          \
	"bind: 192.0.2.50}]}\n"
#define LED                                                                                        \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: x, namespace: v}\nspec: {hosts: ['*'], gateways: [g], "                  \
	"tcp: [{route: [{destination: {host: a.v}}]}]}\n"

/* An object that is refused takes nothing from others, whatever its claim is. */
static void refused_take_nothing(void)
{
	static const struct {
		const char *now, *text;
	} takers[] = {
		/* The whole port. */
		{HOST("v", "192.0.2.1") GOOD_GATE LED,
			MESSAGES HOST("v", "192.0.2.1") WRONG_GATE LED},
		/* A service key. */
		{VICTIM(DUBBO), OTHER("interface: a.v", DUBBO) ENTRY("a", "v", "",
					AT(HERE, NONSENSE ", " DUBBO, "198.51.100.1"))},
		/* A forwarded port, of its kind and beside a listener. */
		{FORWARDED(UDP), OTHER(NAT, UDP) ENTRY("a", "v", NAT,
					 AT(HERE, NONSENSE ", " UDP, "198.51.100.1"))},
		{FORWARDED(TCP), OTHER("", TCP) ENTRY("a", "v", NAT,
					 AT(HERE, NONSENSE ", " TCP, "198.51.100.1"))},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(takers); i++) {
		struct built b = build_after(takers[i].now, takers[i].text);
		bool good = b.diags.errors > 0;

		for (uint32_t k = 0; k < b.diags.n; k++)
			good = good && (b.diags.items[k].severity != MT_DIAG_ERROR ||
					       b.diags.items[k].origin.line > 5);
		if (!good) {
			printf("\n  row %zu: ", i);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		unbuild(&b);
	}
}

const struct mt_test holders_tests[] = {{"holders_stay", holders_stay},
	{"older_without_holder", older_without_holder}, {"server_names_stay", server_names_stay},
	{"tls_ports_stay", tls_ports_stay},
	{"guests_are_not_in_conflict", guests_are_not_in_conflict},
	{"refused_take_nothing", refused_take_nothing}, {0}};
