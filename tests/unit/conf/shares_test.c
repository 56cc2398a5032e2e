/* SPDX-License-Identifier: Apache-2.0 */
/* What all namespaces use together: assigned addresses, addresses of networks, forwarded ports. */
#include "conf_test.h"
#include "mt_conf_numbers_priv.h"

#include <stdarg.h>
#include <stdio.h>

/* A text that grows. */
struct text {
	char *s;
	size_t len, size;
};

static void add(struct text *t, const char *fmt, ...) mt_printf(2, 3);

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->size - t->len < 512) {
		t->size = 2 * t->size + 4096;
		t->s = realloc(t->s, t->size);
	}
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->s + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
}

/* The start of a ServiceEntry NAME in a namespace, whose host is NAME.x; no endpoints. */
static void entry(struct text *t, const char *ns, const char *name)
{
	add(t,
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: %s, namespace: %s, annotations: {meltemi.io/forwarding: nat}}\n"
		"spec:\n  hosts: [%s.x]\n  resolution: STATIC\n",
		name, ns, name);
}

/* A service with one port of this number. */
static void service_at(
	struct text *t, const char *ns, const char *name, const char *addresses, int port)
{
	entry(t, ns, name);
	add(t, "  ports: [{number: %d, name: tcp-metaprotocol-dubbo}]\n  addresses: [%s]\n", port,
		addresses);
}

static bool is_told(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity == severity &&
			strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

/* Addresses of documents that are not answered. */
static uint32_t refused(const struct built *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++)
		n += b->diags.items[i].severity == MT_DIAG_WARNING &&
		     strstr(b->diags.items[i].message, "is not answered") != NULL;
	return n;
}

/* Publishes, so that the next load finds the addresses assigned; frees the text. */
static struct built load(struct mt_conf *c, struct text *t)
{
	struct built b = build_text(c, t->s);
	struct mt_err err;

	if (!b.s)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
	mt_conf_reap(c, NOW);
	b.conf = NULL;
	free(t->s);
	*t = (struct text){0};
	return b;
}

/* The snapshot is the library's. */
static void done(struct built *b)
{
	b->s = NULL;
	unbuild(b);
}

/* Name of the service at a port of an address; "": none. */
static const char *at(const struct built *b, const char *addr, uint16_t port)
{
	const struct mt_listener *l = listener(b->s, addr, port);

	return l ? l->protos->services[0]->name : "";
}

/* ---- assigned addresses ---------------------------------------------------------------------- */

/* However another document writes it: alone, beside another one, as a network, or in its status. */
static void assigned_address_is_kept(void)
{
	static const struct {
		const char *addresses, *status, *other; /* where the other host is instead */
		bool warned;
	} rows[] = {{"240.240.0.1", "", "240.240.0.2", true},
		{"192.0.2.7, 240.240.0.1", "", "192.0.2.7", true},
		{"\"::ffff:240.240.0.1\"", "", "240.240.0.2", true},
		{"240.240.0.0/30", "", "240.240.0.3", false},
		{"", "status: {addresses: [{value: 240.240.0.1}]}\n", "240.240.0.2", true}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_conf *c = new_conf();
		struct text t = {0};
		struct built b;

		service_at(&t, "victims", "v", "", 80);
		b = load(c, &t);
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), "v.x");
		done(&b);
		service_at(&t, "others", "a", rows[i].addresses, 80);
		add(&t, "%s", rows[i].status);
		service_at(&t, "victims", "v", "", 80);
		b = load(c, &t);
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), "v.x");
		CU_ASSERT_STRING_EQUAL(at(&b, rows[i].other, 80), "a.x");
		CU_ASSERT_EQUAL(
			is_told(&b, MT_DIAG_WARNING, "it is assigned to \"v.x\""), rows[i].warned);
		done(&b);
		mt_conf_destroy(c);
	}
}

/* Hosts may write their own address, and an address of which the host is absent. */
static void own_and_absent_addresses(void)
{
	struct mt_conf *c = new_conf();
	struct text t = {0};
	struct built b;

	service_at(&t, "x", "v", "", 80);
	service_at(&t, "x", "w", "", 80);
	b = load(c, &t);
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), "w.x");
	done(&b);
	service_at(&t, "y", "a", "240.240.0.2", 80);
	service_at(&t, "x", "v", "240.240.0.1", 80);
	b = load(c, &t);
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), "v.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), "a.x");
	CU_ASSERT_EQUAL(refused(&b), 0);
	done(&b);
	/* Its host is back, and the document stays where it is. */
	service_at(&t, "y", "a", "240.240.0.2", 80);
	service_at(&t, "x", "w", "", 80);
	b = load(c, &t);
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), "a.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.3", 80), "w.x");
	CU_ASSERT_EQUAL(refused(&b), 0);
	done(&b);
	mt_conf_destroy(c);
}

/* Documents assign addresses after this node did, each another one's: all at once, or in turn. */
static void addresses_change_hands(void)
{
	for (int all = 0; all < 2; all++) {
		struct mt_conf *c = new_conf();
		struct text t = {0};
		struct built b;

		service_at(&t, "x", "v", "", 80);
		service_at(&t, "x", "w", "", 80);
		b = load(c, &t);
		done(&b);
		service_at(&t, "x", "v", "240.240.0.2", 80);
		service_at(&t, "x", "w", all ? "240.240.0.1" : "", 80);
		b = load(c, &t);
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), all ? "w.x" : "v.x");
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), all ? "v.x" : "w.x");
		CU_ASSERT_EQUAL(refused(&b), !all);
		done(&b);
		service_at(&t, "x", "v", "240.240.0.2", 80);
		service_at(&t, "x", "w", "240.240.0.1", 80);
		b = load(c, &t);
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), "w.x");
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), "v.x");
		CU_ASSERT_EQUAL(refused(&b), 0);
		done(&b);
		mt_conf_destroy(c);
	}
}

/* A host whose own address is refused keeps the one that it got for it. */
static void kept_in_place_of_its_own(void)
{
	struct mt_conf *c = new_conf();
	struct text t = {0};
	struct built b;

	for (int i = 0; i < 3; i++) {
		if (i == 2)
			service_at(&t, "others", "a", "240.240.0.2", 80);
		service_at(&t, "x", "first", "", 80);
		if (i)
			service_at(&t, "x", "v", "240.240.0.1", 80);
		b = load(c, &t);
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.1", 80), "first.x");
		CU_ASSERT_STRING_EQUAL(at(&b, "240.240.0.2", 80), i ? "v.x" : "");
		done(&b);
	}
	mt_conf_destroy(c);
}

/* One namespace writes all addresses of the network; hosts of others get theirs nevertheless. */
static void one_namespace_writes_all(void)
{
	struct mt_conf *c = new_conf();
	struct text t = {0};
	struct built b;

	entry(&t, "greedy", "g");
	add(&t, "  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n  addresses:\n");
	for (int n = 1; n < 255 * 255; n++)
		if (n % 255)
			add(&t, "  - 240.240.%d.%d\n", n / 255, n % 255);
	service_at(&t, "small", "s0", "", 80);
	service_at(&t, "small", "s1", "240.240.9.9", 80);
	b = load(c, &t);
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.9.9", 80), "s1.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.254.254", 80), "s0.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "240.240.254.253", 1), "g.x");
	CU_ASSERT_EQUAL(refused(&b), 1);
	CU_ASSERT(is_told(&b, MT_DIAG_WARNING, "namespace greedy has its share"));
	done(&b);
	mt_conf_destroy(c);
}

/* ---- networks -------------------------------------------------------------------------------- */

static void one_namespace_has_all_networks(void)
{
	struct mt_conf *c = new_conf();
	struct text t = {0};
	char name[16], net[32];
	struct built b;

	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "g%02d", i);
		snprintf(net, sizeof(net), "10.9.%d.0/24", i);
		service_at(&t, "greedy", name, net, 80);
	}
	service_at(&t, "small", "s", "10.8.0.0/28", 80);
	b = load(c, &t);
	CU_ASSERT_STRING_EQUAL(at(&b, "10.8.0.9", 80), "s.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "10.9.14.9", 80), "g14.x");
	CU_ASSERT_STRING_EQUAL(at(&b, "10.9.15.9", 80), "");
	CU_ASSERT_EQUAL(refused(&b), 2);
	done(&b);
	mt_conf_destroy(c);
}

/* ---- forwarded ports ------------------------------------------------------------------------- */

#define FORWARDS 4096

static void forwards(struct text *t, const char *ns, const char *name, const char *addr, int n)
{
	entry(t, ns, name);
	add(t, "  addresses: [%s]\n  endpoints: [{address: 198.51.100.1}]\n  ports:\n", addr);
	for (int i = 1; i <= n; i++)
		add(t, "  - {number: %d, name: udp-p%d}\n", i, i);
}

/* The port that is one too many is the namespace's with most of them. */
static void one_namespace_forwards_all(void)
{
	struct text t = {0};
	struct built b;

	forwards(&t, "greedy", "g", "192.0.2.1", FORWARDS);
	forwards(&t, "small", "s", "192.0.2.2", 1);
	b = build_text(NULL, t.s);
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	CU_ASSERT(is_told(&b, MT_DIAG_ERROR, "namespace greedy has its share"));
	unbuild(&b);
	free(t.s);
}

/* Ports of the current set keep their numbers, and the next set has room for all others. */
static void all_forwards_are_replaced(void)
{
	struct mt_conf *c = new_conf();
	struct text t = {0};
	struct built b;

	forwards(&t, "x", "a", "192.0.2.1", FORWARDS);
	b = load(c, &t);
	CU_ASSERT_EQUAL(b.s->n_forwards, FORWARDS);
	done(&b);
	forwards(&t, "x", "b", "192.0.2.1", FORWARDS);
	b = load(c, &t);
	CU_ASSERT_EQUAL(b.s->n_forwards, FORWARDS);
	done(&b);
	mt_conf_destroy(c);
}

/* A forwarded port whose endpoint has the policies of its namespace. */
static void policed(struct text *t, const char *ns, const char *name, const char *addr)
{
	entry(t, ns, name);
	add(t,
		"  location: MESH_INTERNAL\n  addresses: [%s]\n  ports: [{number: 53, name: "
		"udp-a}]\n"
		"  endpoints: [{address: 198.51.100.1}]\n",
		addr);
}

/* A policy of the namespace with so many addresses. */
static void policy(struct text *t, const char *ns, int n)
{
	add(t,
		"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p, namespace: %s}\nspec:\n  rules:\n  - from:\n    - source:\n"
		"        ipBlocks:\n",
		ns);
	for (int i = 1; i <= n; i++)
		add(t, "        - 10.0.0.%d\n", 2 * i);
}

/* A namespace with many addresses in its policies leaves room for those of another one. */
static void one_namespace_has_all_policies(void)
{
	const uint64_t most = mt_conf_forward_room[MT_FORWARD_RANGES];
	struct text t = {0};
	struct built b;

	mt_conf_forward_room[MT_FORWARD_RANGES] = 100;
	policed(&t, "greedy", "g1", "192.0.2.1");
	policed(&t, "greedy", "g2", "192.0.2.2");
	policed(&t, "greedy", "g3", "192.0.2.3");
	policed(&t, "small", "s", "192.0.2.4");
	policy(&t, "greedy", 26);
	policy(&t, "small", 15);
	b = build_text(NULL, t.s);
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	CU_ASSERT(is_told(&b, MT_DIAG_ERROR, "in the share of namespace greedy"));
	unbuild(&b);
	free(t.s);
	mt_conf_forward_room[MT_FORWARD_RANGES] = most;
}

/* A forwarded port of TCP with these endpoints. */
static void of_tcp(
	struct text *t, const char *ns, const char *name, int addr, const char *endpoints)
{
	entry(t, ns, name);
	add(t,
		"  addresses: [192.0.2.%d]\n  ports: [{number: 5432, name: tcp-a}]\n"
		"  endpoints: [%s]\n",
		addr, endpoints);
}

/* The same; its connections go to its endpoint and to those of another host. */
static void routed(struct text *t, const char *ns, const char *name, int addr, const char *other)
{
	of_tcp(t, ns, name, addr, "{address: 198.51.100.1}");
	add(t,
		"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: %s, namespace: %s}\nspec:\n  hosts: [%s.x]\n  tcp: [{route: ["
		"{destination: {host: %s.x}, weight: 1}, {destination: {host: %s}, weight: 1}]}]\n",
		name, ns, name, name, other);
}

/* The same for endpoints of destinations. */
static void one_namespace_has_all_destinations(void)
{
	const uint64_t most = mt_conf_forward_room[MT_FORWARD_MEMBERS];
	struct text t = {0};
	struct built b;

	mt_conf_forward_room[MT_FORWARD_MEMBERS] = 10;
	of_tcp(&t, "o", "three", 8,
		"{address: 10.9.0.1}, {address: 10.9.0.2}, {address: 10.9.0.3}");
	of_tcp(&t, "o", "two", 9, "{address: 10.9.1.1}, {address: 10.9.1.2}");
	routed(&t, "greedy", "g1", 1, "three.x");
	routed(&t, "greedy", "g2", 2, "three.x");
	routed(&t, "greedy", "g3", 3, "three.x");
	routed(&t, "small", "s", 4, "two.x");
	b = build_text(NULL, t.s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(is_told(&b, MT_DIAG_WARNING, "endpoints of forwarded ports of its namespace"));
	CU_ASSERT_EQUAL(cluster(b.s, "tcp|5432||g2.x")->n_eps, 4);
	CU_ASSERT_EQUAL(cluster(b.s, "tcp|5432||g3.x")->n_eps, 1);
	CU_ASSERT_EQUAL(cluster(b.s, "tcp|5432||s.x")->n_eps, 3);
	unbuild(&b);
	free(t.s);
	mt_conf_forward_room[MT_FORWARD_MEMBERS] = most;
}

/* ---- shares ---------------------------------------------------------------------------------- */

static void shares(void)
{
	static const struct {
		uint32_t wants[3], max, has[3];
	} rows[] = {{{1, 2, 3}, 6, {1, 2, 3}}, {{10, 0, 0}, 6, {6, 0, 0}},
		{{10, 10, 10}, 9, {3, 3, 3}}, {{10, 1, 10}, 9, {4, 1, 4}},
		{{7, 2, 1}, 9, {6, 2, 1}}, {{5, 5, 5}, 2, {0, 0, 0}},
		{{UINT32_MAX, UINT32_MAX, 1}, 9, {4, 4, 1}}};
	static const char *const names[] = {"a", "b", "c"};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_fair f = {0};
		struct mt_region r;

		mt_region_init(&r, 0);
		for (int k = 0; k < 3; k++)
			mt_fair_want(&f, &r, names[k], rows[i].wants[k]);
		mt_fair_settle(&f, &r, rows[i].max);
		for (int k = 0; k < 3; k++) {
			CU_ASSERT(mt_fair_take(&f, names[k], rows[i].has[k]));
			CU_ASSERT(!mt_fair_take(&f, names[k], 1) ||
				  rows[i].has[k] == rows[i].wants[k]);
		}
		CU_ASSERT_FALSE(mt_fair_take(&f, "none", 1));
		mt_fair_fini(&f);
		mt_region_fini(&r);
	}
}

const struct mt_test shares_tests[] = {
	{"assigned_address_is_kept", assigned_address_is_kept},
	{"own_and_absent_addresses", own_and_absent_addresses},
	{"addresses_change_hands", addresses_change_hands},
	{"kept_in_place_of_its_own", kept_in_place_of_its_own},
	{"one_namespace_writes_all", one_namespace_writes_all},
	{"one_namespace_has_all_networks", one_namespace_has_all_networks},
	{"one_namespace_forwards_all", one_namespace_forwards_all},
	{"all_forwards_are_replaced", all_forwards_are_replaced},
	{"one_namespace_has_all_policies", one_namespace_has_all_policies},
	{"one_namespace_has_all_destinations", one_namespace_has_all_destinations},
	{"shares", shares},
	{0},
};
