/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of lists. */
#include "source_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISTIO(kind)                                                                                \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: a}\nspec:\n"
#define SE ISTIO("ServiceEntry")
#define VS ISTIO("VirtualService")
#define DR ISTIO("DestinationRule")
#define MR                                                                                         \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: "         \
	"a}\nspec:\n"
#define EF_LIMIT                                                                                   \
	"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: a}\n"       \
	"spec:\n  configPatches: [{applyTo: NETWORK_FILTER, match: {context: SIDECAR_INBOUND, "    \
	"listener: {name: virtualInbound, filterChain: {destinationPort: 80}}}, patch: "           \
	"{operation: "                                                                             \
	"REPLACE, value: {name: m, typed_config: {'@type': type.googleapis.com/"                   \
	"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy, applicationProtocol: dubbo, "       \
	"metaProtocolFilters: [{name: aeraki.meta_protocol.filters.local_ratelimit, config: {"
#define AP                                                                                         \
	"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: "           \
	"a}\nspec:\n"
#define AP_RULE AP "  rules:\n  - "

/* Returns `before` with a list of `n` items and `after`. The caller frees it. */
static char *text_of_list(const char *before, const char *item, uint32_t n, const char *after)
{
	char *text = malloc(strlen(before) + (strlen(item) + 2) * n + strlen(after) + 3);
	char *at;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	at = stpcpy(stpcpy(text, before), "[");
	for (uint32_t i = 0; i < n; i++)
		at = stpcpy(stpcpy(at, i ? ", " : ""), item);
	(void)stpcpy(stpcpy(at, "]"), after);
	return text;
}

/* Lists that a load compares with others have limits; as many entries as those are read. */
static void long_lists(void)
{
	static const struct {
		const char *before, *item, *after;
		uint32_t most;
		const char *path;
	} t[] = {
		{SE "  hosts: ", "a", "\n  ports: []\n", 65536, "5: error: spec.hosts: "},
		{SE "  hosts: [a]\n  ports: ", "{}", "\n", 65536, "6: error: spec.ports: "},
		{SE "  hosts: [a]\n  ports: []\n  exportTo: ", "a", "\n", 4096,
			"7: error: spec.exportTo: "},
		{DR "  host: a\n  subsets: ", "{}", "\n", 65536, "6: error: spec.subsets: "},
		{VS "  hosts: [a]\n  gateways: ", "g", "\n", 4096, "6: error: spec.gateways: "},
		{MR "  localRateLimit:\n    conditions: ", "{}", "\n", 1000,
			"6: error: spec.localRateLimit.conditions: "},
		{EF_LIMIT "conditions: ", "{}", "}}]}}}}]\n", 1000, ".config.conditions: "},
		{AP "  targetRefs: ", "{}", "\n", 4096, "5: error: spec.targetRefs: "},
		{AP_RULE "from: ", "{}", "\n", 65536, "6: error: spec.rules[0].from: "},
		{AP_RULE "to: ", "{}", "\n", 65536, "6: error: spec.rules[0].to: "},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		for (uint32_t over = 0; over < 2; over++) {
			char *text =
				text_of_list(t[i].before, t[i].item, t[i].most + over, t[i].after);
			struct loaded l = load_text(text);
			char expect[200];

			snprintf(expect, sizeof(expect),
				"%shas %u entries (write at most %u, or divide the document)",
				t[i].path, t[i].most + 1, t[i].most);
			CU_ASSERT_EQUAL(strstr(first_diag(&l), expect) != NULL, over);
			unload(&l);
			free(text);
		}
}

#define WE ISTIO("WorkloadEntry") "  address: 192.0.2.1\n"
#define EF                                                                                         \
	"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: "           \
	"a}\nspec:\n"

/* Names that a load looks up have limits; texts of their greatest length are read. */
static void long_texts(void)
{
	static const struct {
		const char *before, *after;
		uint32_t most;
		const char *error;
	} t[] = {
		{SE "  ports: []\n  hosts: [a, ", "]\n", 512, "6: error: spec.hosts[1]: has"},
		{DR "  host: ", "\n", 512, "5: error: spec.host: has"},
		{VS "  hosts: [a]\n  gateways: [", "]\n", 512, "6: error: spec.gateways[0]: has"},
		{VS "  hosts: [a]\n  http: [{match: [{gateways: [",
			"]}], route: [{destination: "
			"{host: a}}]}]\n",
			512, "6: error: spec.http[0].match[0].gateways[0]: has"},
		{MR "  hosts: [a]\n  gateways: [b, c, ", "]\n", 512,
			"6: error: spec.gateways[2]: has"},
		{WE "  labels: {a: ", "}\n", 253, "6: error: spec.labels.a: has"},
		{WE "  labels: {", ": a}\n", 317, ": its name has"},
		{DR "  host: a\n  subsets: [{name: a, labels: {a: ", "}}]\n", 253,
			"6: error: spec.subsets[0].labels.a: has"},
		{AP "  selector: {matchLabels: {a: ", "}}\n", 253,
			"5: error: spec.selector.matchLabels.a: has"},
		{EF "  configPatches: []\n  workloadSelector: {labels: {a: ", "}}\n", 253,
			"6: error: spec.workloadSelector.a: has"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		for (uint32_t over = 0; over < 2; over++) {
			char text[2000], expect[200];
			struct loaded l;

			snprintf(text, sizeof(text), "%s%0*d%s", t[i].before,
				(int)(t[i].most + over), 1, t[i].after);
			l = load_text(text);
			snprintf(expect, sizeof(expect), "%s %u bytes (write at most %u)",
				t[i].error, t[i].most + 1, t[i].most);
			CU_ASSERT_EQUAL(strstr(first_diag(&l), expect) != NULL, over);
			CU_ASSERT(over || !strstr(first_diag(&l), " bytes ("));
			unload(&l);
		}
}

/* Annotations have no such limit: kubectl keeps whole documents in one. */
static void long_annotations(void)
{
	char text[5000];
	struct loaded l;

	snprintf(text, sizeof(text),
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, "
		"annotations: {a: %04000d}}\nspec: {host: a}\n",
		1);
	l = load_text(text);
	CU_ASSERT_EQUAL(l.diags.errors, 0);
	unload(&l);
}

const struct mt_test lists_tests[] = {{"long_lists", long_lists}, {"long_texts", long_texts},
	{"long_annotations", long_annotations}, {0}};
