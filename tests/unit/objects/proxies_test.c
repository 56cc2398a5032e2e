/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry and ProxyConfig: which of them are for this node, and what of them is told. */
#include "objects_test.h"

#include <stdio.h>

#define NODE(extra)                                                                                \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {app: edge, "          \
	"gateway.networking.k8s.io/gateway-name: gate}}\nspec:\n"                                  \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n" extra
#define TELEMETRY(name, ns, spec)                                                                  \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: " spec "\n"
#define CONFIG(name, ns, spec)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ProxyConfig\nmetadata: {name: " name       \
	", namespace: " ns "}\nspec: " spec "\n"
#define GATE                                                                                       \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gate, "    \
	"namespace: g}\nspec: {gatewayClassName: istio, listeners: [{name: a, port: 9, protocol: " \
	"TCP}]}\n"

#define LABELS(tags) TELEMETRY("a", "x", "{metrics: [{overrides: [{tagOverrides: {" tags "}}]}]}")
#define EIGHT	     "'a'+'a'+'a'+'a'+'a'+'a'+'a'+'a'"

struct row {
	const char *kind, *text, *status, *said; /* of "a": part of its reason, or of its note */
};

static const struct row rows[] = {
	{"Telemetry", TELEMETRY("a", "x", "{}"), "in-force", ""},
	{"Telemetry", TELEMETRY("a", "y", "{}"), "no-effect", "no service of its namespace"},
	{"Telemetry", TELEMETRY("a", "istio-system", "{}"), "in-force", ""},
	{"Telemetry", TELEMETRY("a", "g", "{}"), "no-effect", "no service of its namespace"},
	{"Telemetry", GATE TELEMETRY("a", "g", "{}"), "in-force", ""},
	/* Who is selected. */
	{"Telemetry", TELEMETRY("a", "x", "{selector: {matchLabels: {app: edge}}}"), "in-force",
		""},
	{"Telemetry", TELEMETRY("a", "x", "{selector: {matchLabels: {app: shop}}}"), "no-effect",
		"other labels"},
	{"Telemetry", GATE TELEMETRY("a", "g", "{targetRefs: [{kind: Gateway, name: gate}]}"),
		"in-force", ""},
	{"Telemetry", GATE TELEMETRY("a", "x", "{targetRefs: [{kind: Gateway, name: gate}]}"),
		"no-effect", "none of its targets"},
	{"Telemetry", GATE TELEMETRY("a", "x", "{targetRefs: [{kind: Service, name: a}]}"),
		"no-effect", "none of its targets"},
	/* What is asked for. */
	{"Telemetry", TELEMETRY("a", "x", "{accessLogging: [{providers: [{name: envoy}]}]}"),
		"in-force", ""},
	{"Telemetry", TELEMETRY("a", "x", "{accessLogging: [{disabled: true}]}"), "in-force", ""},
	{"Telemetry", TELEMETRY("a", "x", "{tracing: [{randomSamplingPercentage: 10}]}"),
		"in-force-with-notes", "no provider is named"},
	{"Telemetry", TELEMETRY("a", "x", "{tracing: [{disableSpanReporting: true}]}"), "in-force",
		""},
	{"Telemetry", TELEMETRY("a", "x", "{metrics: [{providers: [{name: prometheus}]}]}"),
		"in-force", ""},
	{"Telemetry", TELEMETRY("a", "x", "{metrics: [{providers: [{name: stackdriver}]}]}"),
		"in-force-with-notes", "metrics are scraped"},
	{"Telemetry",
		TELEMETRY("a", "x",
			"{metrics: [{overrides: [{match: {metric: ALL_METRICS}, disabled: "
			"true}]}]}"),
		"in-force", ""},
	{"Telemetry",
		TELEMETRY("a", "x",
			"{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE}}}]}]}"),
		"in-force", ""},
	{"Telemetry", LABELS("a: {value: request.host}"), "in-force-with-notes",
		"label a is not changed to request.host: column 1: `request` is not an attribute "
		"here"},
	{"Telemetry", LABELS("a: {value: \"['a']\"}"), "in-force-with-notes",
		"the value is of type list"},
	{"Telemetry",
		LABELS("a: {value: \"" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT
		       "+" EIGHT "+" EIGHT "\"}"),
		"in-force", ""},
	{"Telemetry",
		LABELS("a: {value: \"" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT "+" EIGHT
		       "+" EIGHT "+" EIGHT "+" EIGHT "\"}"),
		"in-force-with-notes", "and at most 128 are allowed"},
	{"Telemetry", LABELS("a: {value: ''}"), "refused", "has no value"},
	{"Telemetry", LABELS("a: {operation: UPSERT}"), "refused", "has no value"},
	{"Telemetry", LABELS("a: {operation: REMOVE, value: \"'a'\"}"), "refused",
		"removed without a value"},
	{"Telemetry", LABELS("a.b: {operation: REMOVE}"), "refused", "not a name of a label"},
	{"Telemetry", LABELS("1a: {operation: REMOVE}"), "refused", "not a name of a label"},
	{"Telemetry", LABELS("__a: {operation: REMOVE}"), "refused", "not a name of a label"},
	{"Telemetry", LABELS("le: {operation: REMOVE}"), "refused", "not a name of a label"},
	{"Telemetry", LABELS("'': {operation: REMOVE}"), "refused", "not a name of a label"},
	{"Telemetry", TELEMETRY("a", "x", "{metrics: [{overrides: [{match: {customMetric: a}}]}]}"),
		"in-force-with-notes", "standard metrics only"},
	{"Telemetry", TELEMETRY("a", "x", "{accessLoging: []}"), "refused", "accessLogging"},
	{"ProxyConfig", CONFIG("a", "x", "{image: {imageType: debug}}"), "in-force",
		"without effect: for containers that Istio starts"},
	{"ProxyConfig", CONFIG("a", "x", "{concurrency: 2}"), "in-force-with-notes",
		"the Node sets the number of threads"},
	/* The older one counts, of its kind, and by namespace; those with selectors stand beside it. */
	{"Telemetry", TELEMETRY("a", "x", "{}") TELEMETRY("b", "x", "{}"), "in-force-with-notes",
		"in place of Telemetry x/b"},
	{"Telemetry", TELEMETRY("a", "x", "{}") TELEMETRY("0", "x", "{}"), "shadowed",
		"Telemetry x/0 is older"},
	{"Telemetry", TELEMETRY("a", "x", "{}") TELEMETRY("0", "istio-system", "{}"), "in-force",
		""},
	{"Telemetry", TELEMETRY("a", "x", "{}") CONFIG("0", "x", "{}"), "in-force", ""},
	{"Telemetry",
		TELEMETRY("a", "x", "{}")
			TELEMETRY("0", "x", "{selector: {matchLabels: {app: edge}}}"),
		"in-force", ""},
};

/* Of a node that has a namespace, x. */
static const struct row placed[] = {
	{"Telemetry", TELEMETRY("a", "x", "{}"), "in-force", ""},
	{"Telemetry", TELEMETRY("a", "istio-system", "{}"), "in-force", ""},
	{"Telemetry", SERVICE("b", "y", "198.51.100.2") TELEMETRY("a", "y", "{}"), "no-effect",
		"another namespace than"},
};

static void judge(const struct row *r, const char *node)
{
	const struct mt_object_row *found;
	const char *said;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", node);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "b.yaml", r->text);
	scene_load(&sc);
	found = scene_row(&sc, r->kind, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	said = found->why ? found->why : found->n_notes ? found->notes[0].text : "";
	IS_STATUS(&sc, r->kind, "a", r->status);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, r->said));
	CU_ASSERT_EQUAL(*r->said == '\0', *said == '\0');
	if (strcmp(mt_object_status_str(found->status), r->status) != 0)
		fprintf(stderr, "%s: %s\n", r->text, said);
	scene_end(&sc);
}

static void for_this_node(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		judge(&rows[i], NODE(""));
	for (size_t i = 0; i < MT_ARRAY_LEN(placed); i++)
		judge(&placed[i], NODE("  mesh: {namespace: x}\n"));
}

const struct mt_test proxies_tests[] = {
	{"for_this_node", for_this_node},
	{0},
};
