/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machines of a node in a snapshot, and what is told of their annotations. */
#include "conf_test.h"

#include "mt_conf_guests.h"

#include <stdio.h>
#include <string.h>

#define PLAIN                                                                                      \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: host-1}\nspec:\n"                 \
	"  ports: [{name: p, device: net_null0, addresses: [198.51.100.1/24]}]\n"
#define NODE PLAIN "  guests: {networks: [{address: 10.9.0.1/24}, {address: 'fd00::1/64'}]}\n"
#define GUEST(ns, name, notes, address)                                                            \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n"                \
	"  name: " name "\n  namespace: " ns "\n  annotations: {" notes "}\n"                      \
	"spec: {address: '" address "', serviceAccount: buyer}\n"
#define SOCKET(n)		 "meltemi.io/vhost-user: /run/meltemi-guests/" n ".sock"
#define MAC(n)			 "meltemi.io/mac: '52:54:00:09:00:" n "'"
#define VM(ns, name, n, address) GUEST(ns, name, SOCKET(n) ", " MAC(n), address)

/* "shop/vm1 /run/meltemi-guests/0b.sock 0b 10.9.0.11 fd00::b; shop/vm2 refused". */
static const char *guests_of(const struct mt_snapshot *s, char *buf, size_t size)
{
	const struct mt_conf_guests *all = mt_conf_guests(s);
	uint32_t refused = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_conf_guest *g = &all->v[i];
		char text[MT_ADDR_STRLEN];

		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "; " : "", g->name);
		CU_ASSERT(g->line && strcmp(g->file, "t") == 0 && g->socket);
		refused += g->refused != NULL;
		if (g->refused) {
			len += (size_t)snprintf(buf + len, size - len, " refused");
			continue;
		}
		len += (size_t)snprintf(buf + len, size - len, " %s %02x", g->socket, g->mac[5]);
		for (uint32_t k = 0; k < g->n_addresses; k++)
			len += (size_t)snprintf(
				buf + len, size - len, " %s", mt_addr_str(&g->addresses[k], text));
	}
	CU_ASSERT_EQUAL(all->n_refused, refused);
	return buf;
}

#define LIST(n) "/run/meltemi-guests/" n ".sock " n

static const struct {
	const char *text, *guests, *told; /* told: a warning with these words; NULL: none */
} rows[] = {
	{NODE, "", NULL},
	{NODE GUEST("shop", "e", "", "10.9.0.11"), "", NULL},
	{NODE GUEST("shop", "e", "other: text", "10.9.0.11"), "", NULL},
	{NODE VM("shop", "vm1", "0b", "10.9.0.11"), "shop/vm1 " LIST("0b") " 10.9.0.11", NULL},
	{NODE GUEST("shop", "vm1",
		 SOCKET("0b") ", " MAC("0b") ", meltemi.io/addresses: 'fd00::b,10.9.0.12'",
		 "10.9.0.11"),
		"shop/vm1 " LIST("0b") " 10.9.0.11 fd00::b 10.9.0.12", NULL},
	{NODE GUEST("shop", "vm1", SOCKET("0b") ", " MAC("0b") ", meltemi.io/node: host-1",
		 "10.9.0.11"),
		"shop/vm1 " LIST("0b") " 10.9.0.11", NULL},
	{NODE GUEST("shop", "vm1", SOCKET("0b") ", " MAC("0b") ", meltemi.io/limits: calls=1/s",
		 "10.9.0.11"),
		"shop/vm1 " LIST("0b") " 10.9.0.11",
		"metadata.annotations: meltemi.io/limits has no effect yet (remove it)"},
	/* Of another node, and of a node without guests. */
	{NODE GUEST("shop", "vm1", SOCKET("0b") ", meltemi.io/node: host-2", "10.9.0.11"), "",
		NULL},
	{PLAIN GUEST("shop", "vm1", SOCKET("0b") ", meltemi.io/node: host-2", "10.9.0.11"), "",
		NULL},
	{PLAIN VM("shop", "vm1", "0b", "10.9.0.11"), "",
		"meltemi.io/vhost-user has no effect: the Node has no spec.guests (write the "
		"guests' networks in the Node's spec.guests)"},
	/* No guest. */
	{NODE GUEST("shop", "vm1", MAC("0b"), "10.9.0.11"), "",
		"metadata.annotations: meltemi.io/mac has no effect without meltemi.io/vhost-user "
		"(write the path of the guest's socket, or remove it)"},
	{NODE GUEST("shop", "vm1", "meltemi.io/node: host-1", "10.9.0.11"), "",
		"meltemi.io/node has no effect without meltemi.io/vhost-user"},
	{PLAIN GUEST("shop", "vm1", "meltemi.io/limits: calls=1/s", "10.9.0.11"), "",
		"meltemi.io/limits has no effect without meltemi.io/vhost-user"},
	/* Refused. */
	{NODE GUEST("shop", "vm1", SOCKET("0b"), "10.9.0.11"), "shop/vm1 refused",
		"metadata.annotations: the guest is refused: it has no meltemi.io/mac (write the "
		"Ethernet address of the guest's card)"},
	{NODE GUEST(
		 "shop", "vm1", "meltemi.io/vhost-user: /run/docker.sock, " MAC("0b"), "10.9.0.11"),
		"shop/vm1 refused",
		"the guest is refused: meltemi.io/vhost-user: the socket is not in "
		"/run/meltemi-guests (move the hypervisor's socket there)"},
	{NODE VM("shop", "vm1", "0b", "10.8.0.11"), "shop/vm1 refused",
		"spec.address: the guest is refused: 10.8.0.11 is in none of the Node's "
		"spec.guests.networks"},
};

/* The number of warnings about guests. *told: one of them has the words. */
static uint32_t warnings(const struct built *b, const char *words, bool *told)
{
	uint32_t n = 0;

	*told = false;
	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *d = &b->diags.items[i];
		char text[1024];

		mt_diag_format(d, text, sizeof(text));
		if (d->severity == MT_DIAG_WARNING && (strstr(text, "metadata.annotations: ") ||
							      strstr(text, "the guest is refused")))
			n++;
		*told = *told || (words && strstr(text, words));
	}
	return n;
}

static void one_text(void)
{
	char is[512];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		bool told;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		if (strcmp(guests_of(b.s, is, sizeof(is)), rows[i].guests) != 0) {
			fprintf(stderr, "row %zu: %s\n", i, is);
			CU_FAIL("other guests");
		}
		if (warnings(&b, rows[i].told, &told) != (rows[i].told != NULL) ||
			told != (rows[i].told != NULL)) {
			fprintf(stderr, "row %zu:\n", i);
			show_diags(&b);
			CU_FAIL("other words");
		}
		unbuild(&b);
	}
}

/* Each address of a guest is bound to the port of guests and its card, with one principal. */
static void bound(void)
{
	struct built b = build_text(NULL,
		NODE GUEST("shop", "vm1",
			SOCKET("0b") ", " MAC("0b") ", meltemi.io/addresses: 'fd00::b'",
			"10.9.0.11") GUEST("shop", "vm2", SOCKET("0c"), "10.9.0.12")
			GUEST("other", "e", "other: text", "10.9.0.11"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(b.s->n_bound, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct mt_bound *w = &b.s->bound[i];

		CU_ASSERT(w->port == 1 && w->has_mac && w->mac[5] == 0x0b);
		CU_ASSERT_STRING_EQUAL(w->principal, "cluster.local/ns/shop/sa/buyer");
		CU_ASSERT_STRING_EQUAL(w->by, "WorkloadEntry shop/vm1");
		CU_ASSERT(!w->why && !w->disputed && !w->also);
	}
	unbuild(&b);
}

/* A refused guest remains an endpoint of services. */
static void endpoints(void)
{
	struct built b = build_text(NULL,
		NODE "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		     "metadata: {name: a, namespace: shop}\nspec:\n  hosts: [a.test]\n"
		     "  addresses: [203.0.113.9]\n  resolution: STATIC\n"
		     "  ports: [{number: 80, name: tcp}]\n"
		     "  workloadSelector: {labels: {app: a}}\n"
		     "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n"
		     "  name: vm1\n  namespace: shop\n  annotations: {" SOCKET(
			     "0b") "}\n"
				   "spec: {address: 10.9.0.11, labels: {app: a}}\n");
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_guests(b.s)->n_refused, 1);
	for (uint32_t i = 0; i < b.s->n_clusters; i++)
		n += b.s->clusters[i].n_eps;
	CU_ASSERT_EQUAL(n, 1);
	unbuild(&b);
}

/* Of two with one claim the first in order of age is the guest, and the other says why it is not. */
static void two_guests(void)
{
	struct built b = build_text(NULL,
		NODE VM("shop", "vm1", "0b", "10.9.0.11") VM("shop", "vm2", "0c", "10.9.0.11"));
	char is[512];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(guests_of(b.s, is, sizeof(is)),
		"shop/vm1 " LIST("0b") " 10.9.0.11; shop/vm2 refused");
	CU_ASSERT(has_diag(&b, MT_DIAG_DISPUTED, 22,
		"spec.address: the guest is refused: WorkloadEntry shop/vm1 already has address "
		"10.9.0.11 (give each guest its own)"));
	CU_ASSERT_STRING_EQUAL(mt_conf_guests(b.s)->v[1].refused,
		"WorkloadEntry shop/vm1 already has address 10.9.0.11 (give each guest its own)");
	unbuild(&b);
}

/* A guest keeps what it has in the configuration in force, whatever looks older. */
static void stays(void)
{
	static const struct {
		const char *other, *guests;
	} later[] = {
		{VM("m", "z", "0b", "10.9.0.99"), "m/z refused; shop/vm1 " LIST("0b") " 10.9.0.11"},
		{GUEST("m", "z", SOCKET("ff") ", " MAC("0b"), "10.9.0.99"),
			"m/z refused; shop/vm1 " LIST("0b") " 10.9.0.11"},
		{VM("m", "z", "ff", "10.9.0.11"), "m/z refused; shop/vm1 " LIST("0b") " 10.9.0.11"},
		{VM("m", "z", "ff", "10.9.0.99"),
			"m/z " LIST("ff") " 10.9.0.99; shop/vm1 " LIST("0b") " 10.9.0.11"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(later); i++) {
		struct mt_conf *c = new_conf();
		struct built b = build_text(c, NODE VM("shop", "vm1", "0b", "10.9.0.11"));
		char text[2048], is[512];
		struct mt_err err;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
		snprintf(text, sizeof(text), "%s%s%s", NODE, later[i].other,
			VM("shop", "vm1", "0b", "10.9.0.11"));
		b = build_text(c, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		if (strcmp(guests_of(b.s, is, sizeof(is)), later[i].guests) != 0) {
			fprintf(stderr, "row %zu: %s\n", i, is);
			CU_FAIL("other guests");
		}
		unbuild(&b);
	}
}

const struct mt_test node_guests_tests[] = {
	{"node_guests_one_text", one_text},
	{"node_guests_bound", bound},
	{"node_guests_endpoints", endpoints},
	{"node_guests_two", two_guests},
	{"node_guests_stay", stays},
	{0},
};
