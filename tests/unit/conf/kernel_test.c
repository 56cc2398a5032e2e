/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that others have: the host's kernel, workloads and servers of the Node. The object that is to be served at one is refused,
 * and no other.
 */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>
#include <string.h>

#define NODE                                                                                       \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                 \
	"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n"                  \
	"  nat: {}\n"
#define ENTRY(name, addresses, more)                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: x" more "}\nspec:\n"                                \
	"  hosts: [" name ".x]\n  resolution: STATIC\n  ports: [{number: 80, name: tcp}]\n"        \
	"  addresses: [" addresses "]\n  endpoints: [{address: 198.51.100.1}]\n"
#define FORWARDED ", annotations: {meltemi.io/forwarding: nat}"
#define BOUND(address)                                                                             \
	ISTIO("Gateway", "g")                                                                      \
	"  selector: {}\n  servers: [{port: {number: 80, name: tcp, protocol: TCP}, "              \
	"bind: '" address "', hosts: ['*']}]\n"
#define OTHER ENTRY("other", "10.9.9.8", "")
#define WORDS " is an address of the host's kernel (mgmt), which would reset each connection"

static struct mt_conf *conf_with(const char *addr)
{
	struct mt_conf_kernel v[2] = {{.interface = "mgmt"}, {.interface = "lo"}};
	struct mt_conf *c = new_conf();

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(addr, &v[0].addr), 0);
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse("127.0.0.1", &v[1].addr), 0);
	CU_ASSERT_EQUAL(mt_conf_set_kernel(c, v, 2), 1);
	return c;
}

static const struct {
	const char *addr, *text;
	uint32_t line; /* of the error; 0: there is none */
} rows[] = {
	{"10.9.9.9", NODE ENTRY("a", "10.9.9.9", "") OTHER, 16},
	{"10.9.9.9", NODE ENTRY("a", "10.9.9.9", FORWARDED) OTHER, 16},
	{"2001:db8::9", NODE ENTRY("a", "'2001:db8::9'", "") OTHER, 16},
	{"10.9.9.9", NODE BOUND("10.9.9.9") OTHER, 14},
	/* Where a Gateway may be: at a port's own address, if the kernel does not have it. */
	{"203.0.113.1", NODE BOUND("203.0.113.1") OTHER, 14},
	{"10.9.9.9", NODE BOUND("203.0.113.1") OTHER, 0},
	{"10.9.9.7", NODE ENTRY("a", "10.9.9.9", "") OTHER, 0},
};

/* Errors at this line, all of which have the words; others are not allowed. */
static bool only_at(const struct built *b, uint32_t line)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *d = &b->diags.items[i];

		if (d->severity != MT_DIAG_ERROR)
			continue;
		if (d->origin.line != line || !strstr(d->message, WORDS))
			return false;
		n++;
	}
	return line ? n > 0 : n == 0;
}

static void one_is_refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_conf *c = conf_with(rows[i].addr);
		struct built b = build_text(c, rows[i].text);
		bool good = only_at(&b, rows[i].line) && (b.s == NULL) == (rows[i].line != 0);

		CU_ASSERT_TRUE(good);
		if (!good) {
			printf("\n  row %zu: ", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* What the kernel has left may be served, and the list is compared, whatever its order. */
static void list_is_followed(void)
{
	struct mt_conf_kernel v[2] = {{.interface = "lo"}, {.interface = "mgmt"}};
	struct mt_conf *c = conf_with("10.9.9.9");
	struct mt_addr a;
	struct built b;

	CU_ASSERT_EQUAL(mt_addr_parse("127.0.0.1", &v[0].addr), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("10.9.9.9", &v[1].addr), 0);
	a = v[1].addr;
	CU_ASSERT_EQUAL(mt_conf_set_kernel(c, v, 2), 0);
	CU_ASSERT_TRUE(mt_conf_is_kernel(c, &a));
	CU_ASSERT_EQUAL(mt_conf_set_kernel(c, v, 1), 1);
	CU_ASSERT_FALSE(mt_conf_is_kernel(c, &a));
	b = build_text(c, NODE ENTRY("a", "10.9.9.9", "") OTHER);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
}

/* Of a network the others are answered. */
static void networks_leave_it_out(void)
{
	struct mt_conf *c = conf_with("10.9.9.9");
	struct built b = build_text(c, NODE ENTRY("a", "10.9.9.8/30", ""));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "10.9.9.8", 80));
	CU_ASSERT_PTR_NULL(listener(b.s, "10.9.9.9", 80));
	unbuild(&b);
}

/* A service without an address of its own is given another one. */
static void assigned_ones_move(void)
{
	static const char text[] = NODE ENTRY("a", "", "");
	struct mt_conf *c = conf_with("10.9.9.9");
	struct mt_conf_kernel v = {.interface = "mgmt"};
	struct mt_err e;
	struct built b = build_text(c, text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(b.s->n_listeners, 1);
	v.addr = b.s->listeners[0].addr;
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
	mt_model_free(b.m);
	mt_diags_fini(&b.diags);
	CU_ASSERT_EQUAL(mt_conf_set_kernel(c, &v, 1), 1);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(b.s->n_listeners, 1);
	CU_ASSERT_FALSE(mt_addr_eq(&b.s->listeners[0].addr, &v.addr));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "it is assigned another address"));
	unbuild(&b);
}

#define NODE_WITH(of_port, more)                                                                   \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                 \
	"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]" of_port "}]\n" more
#define VMS	 NODE_WITH(", side: workloads, workloads: [{address: 203.0.113.9}]", "  nat: {}\n")
#define UPSTREAM NODE_WITH("", "  dns: {upstream: ['10.9.9.9:53']}\n")

/* What the Node names is nobody else's. */
static void addresses_of_the_node(void)
{
	static const struct {
		const char *text, *words; /* NULL: it is served */
		uint32_t line;
	} of_node[] = {
		{VMS ENTRY("a", "203.0.113.9", "") OTHER,
			"203.0.113.9 is a workload's, which the Node lists at a port", 16},
		{VMS ENTRY("a", "203.0.113.9", FORWARDED) OTHER, "203.0.113.9 is a workload's", 16},
		{VMS BOUND("203.0.113.9") OTHER, "203.0.113.9 is a workload's", 14},
		{VMS ENTRY("a", "10.9.9.9", "") OTHER, NULL, 0},
		{UPSTREAM ENTRY("a", "10.9.9.9", "") OTHER,
			"10.9.9.9 is a server of the Node's spec.dns.upstream", 16},
		{UPSTREAM ENTRY("a", "10.9.9.7", "") OTHER, NULL, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(of_node); i++) {
		struct built b = build_text(NULL, of_node[i].text);
		const char *words = of_node[i].words;
		bool good = words ? b.diags.errors == 1 &&
					    has_diag(&b, MT_DIAG_ERROR, of_node[i].line, words)
				  : b.s != NULL;

		CU_ASSERT_TRUE(good);
		if (!good) {
			printf("\n  row %zu: ", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

const struct mt_test kernel_tests[] = {{"addresses of the node", addresses_of_the_node},
	{"one is refused", one_is_refused}, {"list is followed", list_is_followed},
	{"networks leave it out", networks_leave_it_out},
	{"assigned ones move", assigned_ones_move}, {NULL, NULL}};
