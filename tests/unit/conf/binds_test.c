/* SPDX-License-Identifier: Apache-2.0 */
/* A narrow listener takes no clients from another namespace's wider one that is served there. */
#include "conf_test.h"
#include "mesh_build.h"
#include "mt_idmap.h"

#include <stdio.h>

/* The node's port, and a service in each namespace for the routes of the Gateways: 17 lines. */
#define NODE                                                                                       \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                 \
	"  ports: [{name: p0, device: net_null0, "                                                 \
	"addresses: [192.0.2.50/24, '2001:db8::50/64']}]\n"                                        \
	"  sourceAddresses: [192.0.2.70]\n"
#define ENTRY(name, ns, annotations, address, port)                                                \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns ", annotations: {" annotations "}}\n"          \
	"spec: {resolution: STATIC, hosts: [" name "." ns "], addresses: [" address "], ports: "   \
	"[" port "], endpoints: [{address: 192.0.2.99}]}\n"
#define TCP  "{number: 80, name: tcp}"
#define BASE NODE ENTRY("a", "v", "", "192.0.2.1", TCP) ENTRY("a", "m", "", "192.0.2.2", TCP)

/* Gateways and their routes, in five lines each. */
#define SERVER(port, more) "{port: {number: 8443, " port "}, hosts: ['*'] " more "}"
#define GATE_OF(name, ns, servers)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"                                 \
	"metadata: {name: " name ", namespace: " ns "}\n"                                          \
	"spec: {selector: {}, servers: [" servers "]}\n"
#define GATE(name, ns, bind) GATE_OF(name, ns, SERVER("name: tcp", bind))
#define TLS_GATE(name, ns, bind)                                                                   \
	GATE_OF(name, ns, SERVER("name: tls, protocol: TLS", bind ", tls: {mode: PASSTHROUGH}"))
#define WITHOUT_SECRET                                                                             \
	GATE_OF("g", "v",                                                                          \
		SERVER("name: tls, protocol: TLS", ", tls: {mode: SIMPLE, credentialName: gone}")) \
	LED("g", "v")
#define LED(name, ns)                                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: " name ", namespace: " ns "}\nspec: {hosts: ['*'], gateways: [" name     \
	"], tcp: [{route: [{destination: {host: a." ns "}}]}]}\n"
#define NAMED(name, ns, sni)                                                                       \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: " name ", namespace: " ns "}\nspec: {hosts: ['*'], gateways: [" name     \
	"], tls: [{match: [{sniHosts: [" sni "]}], route: [{destination: {host: a." ns "}}]}]}\n"

/* Whole objects, in ten lines; the victim's listener is for all addresses. */
#define WIDE(name, ns)	     GATE(name, ns, "") LED(name, ns)
#define VICTIM		     WIDE("g", "v")
#define NARROW(name, ns, at) GATE(name, ns, ", bind: " at) LED(name, ns)
#define ANY4		     "0.0.0.0"
#define OWN4		     "192.0.2.50"
#define OWN6		     "'2001:db8::50'"
#define SOURCE		     "192.0.2.70"
#define LINK		     "'fe80::50'"
#define ELSEWHERE	     "192.0.2.60"
#define SAME_PORT	     "{number: 8443, name: tcp}"
#define PART(address)	     address ":8443 is a part of [::]:8443, which is in use by Gateway v/g at t:"

/* Each is loaded after `now`, with the other author's object before and after the victim's. */
static const struct {
	const char *now, *own, *other;
	const char *words; /* of the error about the other author's object; NULL: none */
} rows[] = {
	{VICTIM, VICTIM, NARROW("z", "m", ANY4), PART("0.0.0.0")},
	{VICTIM, VICTIM, NARROW("z", "m", OWN4), PART("192.0.2.50")},
	{VICTIM, VICTIM, NARROW("z", "m", OWN6), PART("[2001:db8::50]")},
	{VICTIM, VICTIM, NARROW("z", "m", SOURCE), PART("192.0.2.70")},
	{VICTIM, VICTIM, NARROW("z", "m", LINK), PART("[fe80::50]")},
	{VICTIM, VICTIM, ENTRY("z", "m", "", OWN4, SAME_PORT), PART("192.0.2.50")},
	{VICTIM, VICTIM, ENTRY("z", "m", "meltemi.io/forwarding: nat", OWN4, SAME_PORT),
		PART("192.0.2.50")},
	/* Another object of the victim's namespace, and an edited one. */
	{VICTIM, WIDE("h", "v"), NARROW("z", "m", OWN4), "in use by Gateway v/h at t:"},
	{VICTIM, GATE("g", "v", ", bind: '::'") LED("g", "v"), NARROW("z", "m", OWN4),
		PART("192.0.2.50")},
	/* A listener of 0.0.0.0 is the wider one of IPv4 addresses only. */
	{NARROW("g", "v", ANY4), NARROW("g", "v", ANY4), NARROW("z", "m", OWN4),
		"192.0.2.50:8443 is a part of 0.0.0.0:8443, which is in use by Gateway v/g"},
	{NARROW("g", "v", ANY4), NARROW("g", "v", ANY4), NARROW("z", "m", OWN6), NULL},
	/* Other names of TLS: the wider listener's clients would find none of theirs. */
	{TLS_GATE("g", "v", "") NAMED("g", "v", "b.example"),
		TLS_GATE("g", "v", "") NAMED("g", "v", "b.example"),
		TLS_GATE("z", "m", ", bind: " ANY4) NAMED("z", "m", "c.example"), PART("0.0.0.0")},
	/* Both had the wide listener; one of them asks for a narrow one. */
	{TLS_GATE("g", "v", "") NAMED("g", "v", "b.example") TLS_GATE("z", "m", "")
			NAMED("z", "m", "c.example"),
		TLS_GATE("g", "v", "") NAMED("g", "v", "b.example"),
		TLS_GATE("z", "m", ", bind: " ANY4) NAMED("z", "m", "c.example"), PART("0.0.0.0")},
	/* Without routes, which may come later. */
	{VICTIM, VICTIM, GATE("z", "m", ", bind: " OWN4), PART("192.0.2.50")},
	/* An address of its own, its own namespace, and an object that is served there. */
	{VICTIM, VICTIM, NARROW("z", "m", ELSEWHERE), NULL},
	{VICTIM, VICTIM, NARROW("z", "v", OWN4), NULL},
	{NARROW("z", "m", OWN4), VICTIM, NARROW("z", "m", OWN4), NULL},
	{NARROW("z", "m", OWN4) VICTIM, VICTIM, NARROW("z", "m", OWN4), NULL},
	{NARROW("z", "m", OWN4) VICTIM, VICTIM, NARROW("y", "m", OWN4), NULL},
	{NARROW("z", "m", ANY4) VICTIM, VICTIM, NARROW("z", "m", OWN4), NULL},
	{GATE("z", "m", ", bind: " OWN4) VICTIM, VICTIM, NARROW("z", "m", OWN4), NULL},
	{WIDE("z", "m"), VICTIM, NARROW("z", "m", OWN4), NULL},
	/* A server without routes is at the narrow address, of the victim or of a third author. */
	{VICTIM GATE("h", "v", ", bind: " OWN4), VICTIM GATE("h", "v", ", bind: " OWN4),
		NARROW("z", "m", OWN4), PART("192.0.2.50")},
	{VICTIM NARROW("h", "v", OWN4), VICTIM GATE("h", "v", ", bind: " OWN4),
		NARROW("z", "m", OWN4), "192.0.2.50:8443 is in use by h at t:"},
	{VICTIM, VICTIM GATE("h", "v", ", bind: " OWN4), GATE("z", "m", ", bind: " OWN4),
		PART("192.0.2.50")},
	{GATE("y", "u", ", bind: " OWN4) VICTIM, VICTIM GATE("y", "u", ", bind: " OWN4),
		NARROW("z", "m", OWN4), PART("192.0.2.50")},
	{VICTIM GATE("h", "v", ", bind: " ANY4), VICTIM GATE("h", "v", ", bind: " ANY4),
		NARROW("z", "m", OWN4), PART("192.0.2.50")},
	{GATE("y", "u", ", bind: " ANY4) VICTIM, VICTIM GATE("y", "u", ", bind: " ANY4),
		NARROW("z", "m", OWN4), PART("192.0.2.50")},
	/* The victim has chosen a listener at the address, too. */
	{VICTIM, VICTIM NARROW("h", "v", OWN4), TLS_GATE("z", "m", ", bind: " OWN4), NULL},
	/* A wide server without routes has no clients. */
	{"", GATE("g", "v", ""), NARROW("z", "m", OWN4), NULL},
};

static void publish(struct mt_conf *c, const char *text)
{
	struct built b = build_text(c, text);
	struct mt_err err;

	if (!b.s)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
}

/* True if there is one error, and it has the words; `words` NULL: none. */
static bool refuses(const struct built *b, const char *words)
{
	bool found = !words;

	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity == MT_DIAG_ERROR)
			found = found || strstr(b->diags.items[i].message, words);
	return found && b->diags.errors == (words != NULL) && (b->s == NULL) == (words != NULL);
}

static void in_both_orders(void)
{
	char now[8192], text[8192];

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(rows); i++) {
		const char *own = rows[i / 2].own, *other = rows[i / 2].other;
		struct mt_conf *c = new_conf();
		struct built b;
		bool good;

		snprintf(now, sizeof(now), BASE "%s", rows[i / 2].now);
		publish(c, now);
		snprintf(text, sizeof(text), BASE "%s%s", i % 2 ? other : own, i % 2 ? own : other);
		b = build_text(c, text);
		good = refuses(&b, rows[i / 2].words);
		if (!good) {
			printf("\n  row %zu, order %zu: ", i / 2, i % 2);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		unbuild(&b);
	}
}

/* A wide server is without routes or its certificate in a configuration in force. */
static const struct {
	const char *before, *closed, *own, *other;
	const char *words; /* as in rows[] */
} closed_rows[] = {
	{VICTIM, GATE("g", "v", ""), GATE("g", "v", ""), NARROW("z", "m", OWN4),
		PART("192.0.2.50")},
	{VICTIM, GATE("g", "v", ""), VICTIM, NARROW("z", "m", OWN4), PART("192.0.2.50")},
	{VICTIM, GATE("g", "v", ""), VICTIM, NARROW("z", "m", ANY4), PART("0.0.0.0")},
	{VICTIM, WITHOUT_SECRET, WITHOUT_SECRET, NARROW("z", "m", OWN6), PART("[2001:db8::50]")},
	{VICTIM, WITHOUT_SECRET, VICTIM, NARROW("z", "m", OWN4), PART("192.0.2.50")},
	/* Another author's chain at the wide listener has its clients meanwhile. */
	{VICTIM, GATE("g", "v", "") TLS_GATE("y", "u", "") NAMED("y", "u", "b.example"),
		GATE("g", "v", "") TLS_GATE("y", "u", "") NAMED("y", "u", "b.example"),
		NARROW("z", "m", OWN4), "192.0.2.50:8443 is a part of [::]:8443"},
	/* At 0.0.0.0, with and without a wider listener in force. */
	{NARROW("g", "v", ANY4), GATE("g", "v", ", bind: " ANY4), GATE("g", "v", ", bind: " ANY4),
		NARROW("z", "m", OWN4),
		"192.0.2.50:8443 is a part of 0.0.0.0:8443, which is in use by Gateway v/g"},
	{NARROW("g", "v", ANY4), GATE("g", "v", ", bind: " ANY4) WIDE("y", "u"),
		GATE("g", "v", ", bind: " ANY4) WIDE("y", "u"), NARROW("z", "m", OWN4),
		"192.0.2.50:8443 is a part of 0.0.0.0:8443, which is in use by Gateway v/g"},
	{NARROW("g", "v", ANY4), GATE("g", "v", ", bind: " ANY4), GATE("g", "v", ", bind: " ANY4),
		NARROW("z", "m", OWN6), NULL},
	/* It never had clients, or was removed meanwhile. */
	{"", GATE("g", "v", ""), GATE("g", "v", ""), NARROW("z", "m", OWN4), NULL},
	{"", GATE("g", "v", ", bind: " ANY4), GATE("g", "v", ", bind: " ANY4),
		NARROW("z", "m", OWN4), NULL},
	{VICTIM, "", GATE("g", "v", ""), NARROW("z", "m", OWN4), NULL},
	/* Its own namespace, and one that got there before. */
	{VICTIM, GATE("g", "v", ""), GATE("g", "v", ""), NARROW("z", "v", OWN4), NULL},
	{NARROW("z", "m", OWN4) VICTIM, NARROW("z", "m", OWN4) GATE("g", "v", ""), VICTIM,
		NARROW("z", "m", OWN4), NULL},
};

static void closed_wide_server_keeps(void)
{
	char text[8192];

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(closed_rows); i++) {
		const char *own = closed_rows[i / 2].own, *other = closed_rows[i / 2].other;
		struct mt_conf *c = new_conf();
		struct built b;
		bool good;

		snprintf(text, sizeof(text), BASE "%s", closed_rows[i / 2].before);
		publish(c, text);
		/* Each configuration notes it again. */
		snprintf(text, sizeof(text), BASE "%s", closed_rows[i / 2].closed);
		publish(c, text);
		publish(c, text);
		snprintf(text, sizeof(text), BASE "%s%s", i % 2 ? other : own, i % 2 ? own : other);
		b = build_text(c, text);
		good = refuses(&b, closed_rows[i / 2].words);
		if (!good) {
			printf("\n  row %zu, order %zu: ", i / 2, i % 2);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		unbuild(&b);
	}
}

/* Without a configuration in force the older one has the clients. */
static void older_without_one(void)
{
	struct built b = build_text(NULL, BASE VICTIM NARROW("z", "m", OWN4));

	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 32, PART("192.0.2.50")));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
	b = build_text(NULL, BASE NARROW("z", "m", OWN4) VICTIM);
	CU_ASSERT_EQUAL(b.diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
	/* The wider of two narrow listeners is refused, so the other one takes nothing from it. */
	b = build_text(NULL, BASE VICTIM NARROW("z", "m", ANY4) NARROW("y", "v", OWN4));
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 32, PART("0.0.0.0")));
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
}

/* The cluster of the service that connections to the address and port get. */
static const char *cluster_at(const struct mt_snapshot *s, const char *address)
{
	const struct mt_listener *l = listener(s, address, 8443);

	const struct mt_service *sv = l ? l->protos[0].services[0] : NULL;

	if (!sv)
		return "";
	return s->clusters[sv->n_tcp_dests ? sv->tcp_dests[0].cluster : sv->tcp_cluster].name;
}

/* A load that refuses the other author's object leaves each client where it was. */
static void clients_stay(void)
{
	static const char *const at[] = {"192.0.2.50", "192.0.2.51", "2001:db8::50"};
	struct mt_conf *c = new_conf();
	struct built b;

	publish(c, BASE VICTIM);
	/* As lib/objects does, which compiles again without what is refused. */
	b = build_text(c, BASE NARROW("z", "m", OWN4) VICTIM);
	CU_ASSERT_PTR_NULL(b.s);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = build_text(c, BASE VICTIM);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	for (size_t i = 0; i < MT_ARRAY_LEN(at); i++)
		CU_ASSERT_STRING_EQUAL(cluster_at(b.s, at[i]), "outbound|80||a.v");
	unbuild(&b);
}

/* An object that is served at the narrow address keeps it; the wide listener has the others. */
static void both_go_on(void)
{
	struct mt_conf *c = new_conf();
	struct built b;

	publish(c, BASE NARROW("z", "m", OWN4));
	for (int i = 0; i < 3; i++) {
		publish(c, BASE VICTIM NARROW("z", "m", OWN4));
		publish(c, BASE NARROW("z", "m", OWN4) VICTIM);
	}
	b = build_text(c, BASE VICTIM NARROW("z", "m", OWN4));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(cluster_at(b.s, "192.0.2.50"), "outbound|80||a.m");
	CU_ASSERT_STRING_EQUAL(cluster_at(b.s, "192.0.2.51"), "outbound|80||a.v");
	CU_ASSERT_STRING_EQUAL(cluster_at(b.s, "2001:db8::50"), "outbound|80||a.v");
	unbuild(&b);
}

/* A server without its certificate serves no client; its object does not lose the address. */
static void closed_server_keeps(void)
{
#define SECRET ", bind: " OWN4 ", tls: {mode: SIMPLE, credentialName: gone}"
	struct mt_conf *c = new_conf();
	struct built b;

	publish(c, BASE NARROW("z", "m", OWN4) VICTIM);
	publish(c, BASE GATE_OF("z", "m", SERVER("name: tls, protocol: TLS", SECRET)) LED("z", "m")
			   VICTIM);
	b = build_text(c, BASE VICTIM NARROW("z", "m", OWN4));
	CU_ASSERT_EQUAL(b.diags.errors, 0);
	unbuild(&b);
}

#define NAMELESS(name, ns) TLS_GATE(name, ns, "") NAMED(name, ns, "b.example")
#define NO_SECRET(hosts)                                                                           \
	GATE_OF("g", "v",                                                                          \
		"{port: {number: 8443, name: tls, protocol: TLS}, hosts: [" hosts                  \
		"], tls: {mode: SIMPLE, credentialName: gone}}")

/* The namespace that has the clients of the listener of all addresses; '-': none. */
static char name_owner(struct mt_conf *c, const char *text)
{
	struct built b = build_text(c, text);
	const char *cluster;
	char owner = '-';

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	cluster = cluster_at(b.s, "192.0.2.51");
	if (strchr(cluster, '.'))
		owner = strchr(cluster, '.')[1];
	mt_conf_discard(c, b.s, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	return owner;
}

/* A server without its certificate keeps its server names, too. */
static void closed_server_keeps_names(void)
{
	struct mt_conf *c = new_conf();

	publish(c, BASE NAMELESS("g", "v"));
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(name_owner(c, BASE NAMELESS("z", "m") NO_SECRET("b.example")), '-');
		CU_ASSERT_EQUAL(name_owner(c, BASE NO_SECRET("b.example") NAMELESS("z", "m")), '-');
		publish(c, BASE NO_SECRET("b.example") NAMELESS("z", "m"));
	}
	CU_ASSERT_EQUAL(name_owner(c, BASE NAMELESS("z", "m") NAMELESS("g", "v")), 'v');
	/* Names that it had not. */
	publish(c, BASE NO_SECRET("c.example"));
	CU_ASSERT_EQUAL(name_owner(c, BASE NAMELESS("z", "m") NO_SECRET("b.example")), 'm');
	mt_conf_destroy(c);
}

/* So it does with the address and port, from messages in plaintext. */
static void closed_server_keeps_port(void)
{
#define MESSAGES                                                                                   \
	GATE_OF("z", "m", SERVER("name: tcp-metaprotocol-dubbo", ""))                              \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: z, namespace: m}\nspec: {hosts: ['*'], gateways: [z], http: [{route: "   \
	"[{destination: {host: a.m}}]}]}\n"
	for (int i = 0; i < 2; i++) {
		struct mt_conf *c = new_conf();
		struct built b;

		publish(c, BASE NAMELESS("g", "v"));
		publish(c, BASE NO_SECRET("b.example"));
		b = build_text(c, i ? BASE MESSAGES NO_SECRET("b.example")
				    : BASE NO_SECRET("b.example") MESSAGES);
		CU_ASSERT_TRUE(refuses(&b, "[::]:8443 is in use by g at t:"));
		unbuild(&b);
	}
}

/* A server without routes for a while keeps its port from others, and its server names. */
static void idle_server_keeps(void)
{
#define TAKER GATE("z", "m", "") LED("z", "m")
#define PASSING_B                                                                                  \
	GATE_OF("g", "v",                                                                          \
		"{port: {number: 8443, name: tls, protocol: TLS}, hosts: [b.example], tls: "       \
		"{mode: PASSTHROUGH}}")
	for (int i = 0; i < 2; i++) {
		struct mt_conf *c = new_conf();
		struct built b;

		publish(c, BASE GATE("g", "v", "") LED("g", "v"));
		publish(c, BASE GATE("g", "v", ""));
		b = build_text(
			c, i ? BASE TAKER GATE("g", "v", "") : BASE GATE("g", "v", "") TAKER);
		CU_ASSERT_TRUE(refuses(&b, "[::]:8443 is in use by g at t:"));
		unbuild(&b);
		c = new_conf();
		publish(c, BASE PASSING_B NAMED("g", "v", "b.example"));
		publish(c, BASE PASSING_B);
		CU_ASSERT_EQUAL(name_owner(c, i ? BASE NAMELESS("z", "m") PASSING_B
						: BASE PASSING_B NAMELESS("z", "m")),
			'-');
		CU_ASSERT_EQUAL(name_owner(c, BASE NAMELESS("z", "m")
						      PASSING_B NAMED("g", "v", "b.example")),
			'v');
		mt_conf_destroy(c);
	}
}

/* Another Gateway of its namespace may follow it there; a removed one keeps nothing. */
static void idle_server_yields(void)
{
	struct mt_conf *c = new_conf();
	struct built b;

	publish(c, BASE GATE("g", "v", "") LED("g", "v"));
	b = build_text(c, BASE GATE("g", "v", "") GATE("h", "v", "") LED("h", "v"));
	CU_ASSERT_EQUAL(b.diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(cluster_at(b.s, "192.0.2.51"), "outbound|80||a.v");
	mt_conf_discard(c, b.s, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = build_text(c, BASE TAKER);
	CU_ASSERT_EQUAL(b.diags.errors, 0);
	unbuild(&b);
}

/* Compiles the text as the first load of a process, with the Gateways' standings in their order. */
static uint32_t errors_after_restart(const char *text, unsigned int first, unsigned int second)
{
	const unsigned int of[] = {first, second};
	struct mt_conf *c = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_idmap standings = {0};
	struct mt_diags diags;
	struct mt_snapshot *s;
	uint32_t errors;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL_FATAL(m->gateways.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct mt_gateway *g = m->gateways.v[i];

		CU_ASSERT_EQUAL(
			mt_idmap_put(&standings, g->meta.serial, (void *)(uintptr_t)(of[i] + 1)),
			0);
	}
	m->standings = &standings;
	s = mt_conf_compile(c, m, &diags, NOW);
	errors = diags.errors;
	if (s)
		mt_conf_discard(c, s, NOW);
	mt_diags_fini(&diags);
	mt_idmap_fini(&standings);
	mt_model_free(m);
	mt_conf_destroy(c);
	return errors;
}

static void over_a_restart(void)
{
	const char *text = BASE VICTIM NARROW("z", "m", OWN4);
	const char *reverse = BASE NARROW("z", "m", OWN4) VICTIM;
	const unsigned int new = MT_STANDING_NEW, limited = MT_STANDING_LIMITED;

	CU_ASSERT_EQUAL(errors_after_restart(text, 0, 0), 0);
	CU_ASSERT_EQUAL(errors_after_restart(text, 0, limited), 0);
	CU_ASSERT_EQUAL(errors_after_restart(text, 0, new), 1);
	CU_ASSERT_EQUAL(errors_after_restart(text, new, new), 1);
	CU_ASSERT_EQUAL(errors_after_restart(text, new, 0), 0);
	/* The narrow one is the older one here. */
	CU_ASSERT_EQUAL(errors_after_restart(reverse, new, new), 0);
	CU_ASSERT_EQUAL(errors_after_restart(reverse, new, 0), 1);
	CU_ASSERT_EQUAL(errors_after_restart(reverse, new | limited, new), 1);
}

/* The wide server has no routes. Whether it had clients before the restart is not known. */
static void closed_over_a_restart(void)
{
	const char *text = BASE GATE("g", "v", "") NARROW("z", "m", OWN4);
	const unsigned int new = MT_STANDING_NEW, limited = MT_STANDING_LIMITED;

	CU_ASSERT_EQUAL(errors_after_restart(text, 0, 0), 0);
	CU_ASSERT_EQUAL(errors_after_restart(text, limited, 0), 0);
	CU_ASSERT_EQUAL(errors_after_restart(text, limited, new), 1);
	CU_ASSERT_EQUAL(errors_after_restart(text, new, 0), 0);
	CU_ASSERT_EQUAL(errors_after_restart(text, new, new), 0);
}

/* ---- listeners of discovery services --------------------------------------------------------- */

#define CLUSTER "outbound|1||x"

static void add_listener(struct mesh_scene *sc, const char *name, const char *a)
{
	struct mt_res_chain *c = mesh_chain(sc->m, mesh_listener(sc->m, name, a, 8443));

	mesh_dest(sc->m, &c->dests, &c->n_dests, CLUSTER, 1);
}

static void add_documents(struct mesh_scene *sc, const char *text)
{
	CU_ASSERT_EQUAL(mt_source_text(sc->m, &sc->diags, "t", text, strlen(text)), 0);
}

static void documents_keep_theirs(void)
{
	struct mesh_scene sc = mesh_scene_new();

	add_documents(&sc, BASE VICTIM);
	mesh_simple_cluster(sc.m, CLUSTER);
	add_listener(&sc, "own", "192.0.2.50");
	add_listener(&sc, "own6", "2001:db8::50");
	add_listener(&sc, "vip", "192.0.2.3");
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_EQUAL(sc.diags.left_out, 2);
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "own",
			"192.0.2.50:8443 is a part of [::]:8443, which is in use by * of t"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "own6", "[2001:db8::50]:8443 is a"));
		CU_ASSERT_STRING_EQUAL(cluster_at(sc.s, "192.0.2.50"), "outbound|80||a.v");
		CU_ASSERT_STRING_EQUAL(cluster_at(sc.s, "192.0.2.3"), CLUSTER);
	}
	mesh_scene_end(&sc);
}

static void mesh_keeps_its_own(void)
{
	struct mesh_scene sc = mesh_scene_new();

	add_documents(&sc, NODE);
	mesh_simple_cluster(sc.m, CLUSTER);
	/* Of one source, as control planes send them. */
	add_listener(&sc, "own", "192.0.2.50");
	add_listener(&sc, "all", "0.0.0.0");
	add_listener(&sc, "own6", "2001:db8::50");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.left_out, 0);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 3);
	/* Documents have the wide address now; at the narrow ones the source is served already. */
	add_documents(&sc, ENTRY("a", "v", "", "192.0.2.1", TCP) VICTIM);
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_EQUAL(sc.diags.left_out, 1);
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "all", "[::]:8443 is in use by"));
		CU_ASSERT_STRING_EQUAL(cluster_at(sc.s, "192.0.2.50"), CLUSTER);
		CU_ASSERT_STRING_EQUAL(cluster_at(sc.s, "2001:db8::50"), CLUSTER);
		CU_ASSERT_STRING_EQUAL(cluster_at(sc.s, "192.0.2.51"), "outbound|80||a.v");
	}
	mesh_scene_end(&sc);
}

static void sources_keep_theirs(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l;

	add_documents(&sc, NODE);
	mesh_simple_cluster(sc.m, CLUSTER);
	add_listener(&sc, "all", "0.0.0.0");
	l = sc.m->res_listeners.v[0];
	l->meta.origin.file = "xds:first";
	add_listener(&sc, "own", "192.0.2.50");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 1);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "own",
		"192.0.2.50:8443 is a part of [::]:8443, which is in use by"));
	mesh_scene_end(&sc);
}

const struct mt_test binds_tests[] = {{"in_both_orders", in_both_orders},
	{"older_without_one", older_without_one}, {"clients_stay", clients_stay},
	{"both_go_on", both_go_on}, {"closed_server_keeps", closed_server_keeps},
	{"closed_wide_server_keeps", closed_wide_server_keeps},
	{"closed_server_keeps_names", closed_server_keeps_names},
	{"idle_server_keeps", idle_server_keeps}, {"idle_server_yields", idle_server_yields},
	{"closed_server_keeps_port", closed_server_keeps_port},
	{"closed_over_a_restart", closed_over_a_restart}, {"over_a_restart", over_a_restart},
	{"documents_keep_theirs", documents_keep_theirs},
	{"mesh_keeps_its_own", mesh_keeps_its_own}, {"sources_keep_theirs", sources_keep_theirs},
	{0}};
