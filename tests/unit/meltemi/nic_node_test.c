/* SPDX-License-Identifier: Apache-2.0 */
/* A port is added to Node documents as people write them, and no other byte changes. */
#include "suites.h"

#include "nic_node.h"

#define HEAD	  "apiVersion: meltemi.io/v1\nkind: Node # ours\nmetadata: {name: n}\n"
#define ADDED(in) in "- name: \"uplink\"\n" in "  device: \"0000:3b:00.0\"\n" in "  profile: ice\n"

static const struct nic_port uplink = {"uplink", "0000:3b:00.0", "ice", {NULL}, 0};

struct row {
	const char *before, *after;
};

static void check_rows(const struct row *rows, size_t n, const struct nic_port *port)
{
	for (size_t i = 0; i < n; i++) {
		struct mt_err e = {""};
		char *out = nic_node_add(rows[i].before, strlen(rows[i].before), port, &e);

		CU_ASSERT_STRING_EQUAL(out ? out : e.text, rows[i].after);
		if (strcmp(out ? out : e.text, rows[i].after) != 0)
			fprintf(stderr, "%zu: %s\n", i, out ? out : e.text);
		free(out);
	}
}

static void test_added(void)
{
	static const struct row rows[] = {
		/* lists at the key's indentation and deeper, with comments and blank lines */
		{HEAD "spec:\n  ports:\n  - {name: a, device: net_null0}  # x\n  # routes\n  "
		      "routes: []\n",
			HEAD "spec:\n  ports:\n  - {name: a, device: net_null0}  # x\n" ADDED(
				"  ") "  # routes\n  routes: []\n"},
		{HEAD "spec:\n    workers: 1\n    ports: # all\n\n      - name: a\n        # c\n"
		      "        device: net_null0\n\n      - name: b\n        device: net_null1\n\n"
		      "    cores: [1]\n",
			HEAD
			"spec:\n    workers: 1\n    ports: # all\n\n      - name: a\n        # c\n"
			"        device: net_null0\n\n      - name: b\n"
			"        device: net_null1\n" ADDED("      ") "\n    cores: [1]\n"},
		/* at the end, without a line break, with a document end, and after a mark */
		{HEAD "spec:\n  ports:\n  - {name: a, device: d}",
			HEAD "spec:\n  ports:\n  - {name: a, device: d}\n" ADDED("  ")},
		{"---\n" HEAD "spec:\n  ports:\n  - {name: a, device: d}\n...\n",
			"---\n" HEAD
			"spec:\n  ports:\n  - {name: a, device: d}\n" ADDED("  ") "...\n"},
		/* an empty list, no value, no key */
		{HEAD "spec:\n  ports: [] # none\n  workers: 1\n",
			HEAD "spec:\n  ports:  # none\n" ADDED("    ") "  workers: 1\n"},
		{HEAD "spec:\n  ports:\n  workers: 1\n",
			HEAD "spec:\n  ports:\n" ADDED("    ") "  workers: 1\n"},
		{HEAD "spec:\n  # few\n  workers: 1\n",
			HEAD "spec:\n  # few\n  ports:\n" ADDED("    ") "  workers: 1\n"},
		/* the line ends of the text */
		{"kind: Node\r\nspec:\r\n  ports:\r\n  - {name: a, device: d}\r\n",
			"kind: Node\r\nspec:\r\n  ports:\r\n  - {name: a, device: d}\r\n"
			"  - name: \"uplink\"\r\n    device: \"0000:3b:00.0\"\r\n"
			"    profile: ice\r\n"},
	};

	check_rows(rows, MT_ARRAY_LEN(rows), &uplink);
}

static void test_refused(void)
{
	static const char by_hand[] = "write spec.ports as a list with one port in each line, or "
				      "add the port by hand";
	static const struct row rows[] = {
		{"kind: Node\nspec: [\n", "it is not valid YAML: meltemid --check has the reason"},
		{"", "it has 0 documents, not one"},
		{"a: 1\n---\nb: 1\n", "it has 2 documents, not one"},
		{"kind: Service\nspec: {a: b}\n", "it is not a Node document with a spec"},
		{"- kind: Node\n", "it is not a Node document with a spec"},
		{"kind: Node\n", "it is not a Node document with a spec"},
		{"kind: Node\nspec: x\n", "it is not a Node document with a spec"},
		{"kind: Node\nspec: {ports: {a: b}}\n", "spec.ports is not a list"},
		{"kind: Node\nspec: {ports: [{name: a}]}\n", by_hand},
		{"kind: Node\nspec: {workers: 1}\n", by_hand},
		{"kind: Node\nspec:\n  ports: [{name: a}]\n", by_hand},
		{"kind: Node\nspec:\n  ports: ~\n  a: b\n", by_hand},
		{"kind: Node\nspec:\n  ports:\n  - {name: a,\n    x: y\n }\n  a: b\n", by_hand},
		{"kind: Node\nspec:\n  ports: &p\n  - {name: a}\n", by_hand},
		{"kind: Node\nspec:\n  ports:\n  - {device: \"0000:3B:00.0\"}\n",
			"line 4 has the device 0000:3b:00.0 already"},
		{"kind: Node\nspec:\n  ports:\n  - {name: uplink}\n",
			"line 4 has a port uplink already: choose another --name"},
	};

	check_rows(rows, MT_ARRAY_LEN(rows), &uplink);
}

static void test_name(void)
{
	struct nic_port port = {NULL, "0000:3b:00.0", "ice", {"192.0.2.1/24", "2001:db8::1/64"}, 2};
	static const struct row rows[] = {
		{"kind: Node\nspec:\n  ports:\n  - {name: p1}\n  - {name: p0}\n",
			"kind: Node\nspec:\n  ports:\n  - {name: p1}\n  - {name: p0}\n"
			"  - name: \"p2\"\n    device: \"0000:3b:00.0\"\n    profile: ice\n"
			"    addresses: [\"192.0.2.1/24\", \"2001:db8::1/64\"]\n"},
	};
	static const struct row hostile[] = {{"kind: Node\nspec: {a: b}\n",
		"write spec.ports as a list with one port in each line, or add the port by hand"}};

	check_rows(rows, MT_ARRAY_LEN(rows), &port);
	port.name = "a\"\n  b: {";
	check_rows(hostile, MT_ARRAY_LEN(hostile), &port);
}

/* Whatever a text is, the result has all its bytes, or there is none. */
static void test_random(void)
{
	static const char *const parts[] = {"kind: Node\n", "spec:\n", "  ports:\n", "ports:\n",
		"  - ", "- ", "{name: a}\n", "name: b\n", "\n", "# c\n", "[]\n", "  ", "\r\n",
		"x: |\n", "[", "}", "---\n", "\t", "\xc2\x85", "\"\n"};
	uint32_t seed = 1, added = 0;
	char text[512];

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)snprintf(
			text, sizeof(text), "%s", i % 2 ? "kind: Node\nspec:\n  ports:\n" : "");
		struct mt_err e;
		char *out;

		for (int k = 0; k < 8; k++) {
			seed = seed * 1664525 + 1013904223;
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
				parts[(seed >> 16) % MT_ARRAY_LEN(parts)]);
		}
		out = nic_node_add(text, len, &uplink, &e);
		added += out != NULL;
		if (out)
			CU_ASSERT(strlen(out) > len && strstr(out, "\"0000:3b:00.0\"") != NULL);
		free(out);
	}
	CU_ASSERT(added > 100);
}

const struct mt_test nic_node_tests[] = {{"added", test_added}, {"refused", test_refused},
	{"name", test_name}, {"random", test_random}, {0}};
