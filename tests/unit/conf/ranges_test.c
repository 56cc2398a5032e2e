/* SPDX-License-Identifier: Apache-2.0 */
/* Networks among a service's addresses: which of their addresses are answered, and by whom. */
#include "conf_test.h"
#include "conf_texts.h"
#include "mt_dns.h"

#include <stdio.h>

#define NODE                                                                                       \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                 \
	"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n  dns: {}\n"
#define ENTRY(name, addresses, endpoint)                                                           \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" name ".x]\n  resolution: STATIC\n  ports: [{number: 80, name: tcp}]\n"        \
	"  addresses: [" addresses "]\n  endpoints: [{address: " endpoint "}]\n"
#define A(addresses) NODE ENTRY("a", addresses, "198.51.100.1")
#define FREE	     "198.51.100.2"

/* Of whom the listener there is: its service's name; "": there is none. */
static const char *at(const struct mt_snapshot *s, const char *addr)
{
	const struct mt_listener *l = listener(s, addr, 80);

	return l ? l->protos->services[0]->name : "";
}

static const struct {
	const char *text;
	uint32_t answered; /* listeners of a.x, besides the address that it is given */
	const char *first, *last, *others; /* the last two of them; one that is not its */
	const char *told;
} rows[] = {
	{A("240.240.44.0/28"), 16, "240.240.44.0", "240.240.44.15", "240.240.44.16", NULL},
	{A("240.240.44.9/30"), 4, "240.240.44.8", "240.240.44.11", "240.240.44.7", NULL},
	{A("10.9.8.0/24"), 256, "10.9.8.0", "10.9.8.255", "10.9.7.255", NULL},
	{A("\"2001:db8::10/124\""), 16, "2001:db8::10", "2001:db8::1f", "2001:db8::20", NULL},
	{A("10.9.8.0/23"), 0, NULL, NULL, "10.9.8.0", "only networks of 256 addresses"},
	{A("\"2001:db8::/119\""), 0, NULL, NULL, "2001:db8::1", "only networks of 256 addresses"},
	{A("203.0.113.64/30"), 0, NULL, NULL, "203.0.113.65", "connected to it"},
	/* Who is called himself, and who has an address of his own there. */
	{A("198.51.100.0/30"), 3, "198.51.100.0", "198.51.100.3", "198.51.100.1",
		"1 of its 4 addresses are not answered"},
	{A("10.9.8.0/30") ENTRY("b", "10.9.8.2", FREE), 3, "10.9.8.0", "10.9.8.3", "10.9.8.2",
		"1 of its 4 addresses are not answered"},
	{A("10.9.8.0/30") ENTRY("b", "10.9.8.2/31", FREE), 4, "10.9.8.0", "10.9.8.3", "10.9.8.4",
		"2 of its 2 addresses are not answered"},
	/* Nobody is given an address of it. */
	{A("240.240.0.0/28"), 16, "240.240.0.0", "240.240.0.15", "240.240.0.17", NULL},
};

static uint32_t listeners_of(const struct mt_snapshot *s, const char *name)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		n += strcmp(s->listeners[i].protos->services[0]->name, name) == 0;
	return n;
}

static void who_answers(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		const char *all = rows[i].told;
		bool told = false;

		if (!b.s)
			show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(listeners_of(b.s, "a.x"), rows[i].answered + 1);
		if (rows[i].first) {
			CU_ASSERT_STRING_EQUAL(at(b.s, rows[i].first), "a.x");
			CU_ASSERT_STRING_EQUAL(at(b.s, rows[i].last), "a.x");
		}
		CU_ASSERT_STRING_NOT_EQUAL(at(b.s, rows[i].others), "a.x");
		for (uint32_t k = 0; all && k < b.diags.n; k++)
			told |= strstr(b.diags.items[k].message, all) != NULL;
		CU_ASSERT_EQUAL(told, all != NULL);
		CU_ASSERT_EQUAL(b.diags.warnings + b.diags.notes, all != NULL);
		unbuild(&b);
	}
}

/* A name leads to single addresses: the one that is given, or those that are written. */
static void names(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {{A("10.9.8.0/30"), "240.240.0.1"}, {A("10.9.8.0/30, 192.0.2.7"), "192.0.2.7"},
		{A("240.240.0.0/28"), "240.240.0.16"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct built b = build_text(NULL, cases[i].text);
		struct mt_dns_name_info info;
		char text[MT_ADDR_STRLEN];
		uint32_t idx = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_TRUE_FATAL(mt_dns_table_next(b.s->dns, &idx, &info));
		CU_ASSERT_EQUAL(info.n_addrs, 1);
		CU_ASSERT_STRING_EQUAL(mt_addr_str(&info.addrs[0], text), cases[i].want);
		unbuild(&b);
	}
}

/* All networks together are bounded: each of their addresses is a listener for each port. */
static void bounded(void)
{
	char text[8192];
	int len = snprintf(text, sizeof(text), "%s", NODE);
	struct built b;

	for (int i = 0; i < 17; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: "
			"{name: s%02d}\nspec:\n  hosts: [s%02d.x]\n  resolution: STATIC\n  ports: "
			"[{number: 80, name: tcp}]\n  endpoints: [{address: 198.51.100.1}]\n  "
			"addresses: [10.9.%d.0/24]\n",
			i, i, i);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_listeners, 16 * 256 + 17);
	CU_ASSERT_EQUAL(b.diags.warnings, 1);
	CU_ASSERT_STRING_EQUAL(at(b.s, "10.9.15.9"), "s15.x");
	CU_ASSERT_STRING_EQUAL(at(b.s, "10.9.16.9"), "");
	unbuild(&b);
}

const struct mt_test ranges_tests[] = {
	{"who_answers", who_answers},
	{"names", names},
	{"bounded", bounded},
	{0},
};
