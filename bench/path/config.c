/* SPDX-License-Identifier: Apache-2.0 */
/* Documents like an operator's. */
#include "path.h"

static void service(FILE *f, const struct path_options *o)
{
	char port[96];

	snprintf(port, sizeof(port), "%s%s",
		o->protocol ? "tcp-metaprotocol-" : bench_ports[o->codec],
		o->protocol ? o->protocol : "");
	fprintf(f,
		"apiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\n"
		"metadata: {name: bench, namespace: bench}\n"
		"spec:\n  hosts: [bench.echo]\n  addresses: [%s]\n  location: MESH_INTERNAL\n"
		"  resolution: STATIC\n"
		"  ports: [{number: %d, name: %s, protocol: TCP}]\n"
		"  endpoints: [{address: " PATH_SERVER "%s}]\n",
		PATH_VIP, BENCH_PORT, port, o->tls & PATH_TLS_UP ? BENCH_MESHED : "");
	if (o->multiplexing)
		fprintf(f, "---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: "
			   "ApplicationProtocol\n"
			   "metadata: {name: p}\nspec: {protocol: thrift, multiplexing: true,\n"
			   "  codec: aeraki.meta_protocol.codec.thrift}\n");
}

/* A port of UDP, so that workers have a table of flows, and lib/net separates its packets. */
static void forwarded(FILE *f, const char *address)
{
	fprintf(f,
		"---\napiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\n"
		"metadata: {name: names, namespace: bench,\n"
		"  annotations: {meltemi.io/forwarding: nat}}\n"
		"spec:\n  hosts: [bench.names]\n  addresses: [%s]\n  location: MESH_INTERNAL\n"
		"  resolution: STATIC\n  ports: [{number: 53, name: udp, protocol: UDP}]\n"
		"  endpoints: [{address: " PATH_SERVER "}]\n",
		address);
}

/* The matching route is last; all others name another method. */
static void router(FILE *f, const struct path_options *o)
{
	bool by_command = o->codec == BENCH_AWESOMERPC;
	const char *key = by_command ? "cmd" : "method";

	fprintf(f, "---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
		   "metadata: {name: bench, namespace: bench}\nspec:\n  hosts: [bench.echo]\n  "
		   "routes:\n");
	for (uint32_t i = 1; i < o->routes; i++)
		fprintf(f,
			"  - name: r%u\n    match: {attributes: {%s: {exact: other%u}}}\n"
			"    route: [{destination: {host: bench.echo}}]\n",
			i, key, i);
	fprintf(f,
		"  - name: all\n    match: {attributes: {%s: {exact: %s}%s}}\n"
		"    route: [{destination: {host: bench.echo}}]\n",
		key, by_command ? "'12'" : "echo",
		o->codec != BENCH_DUBBO ? ""
		: o->protocol		? ", interface: {prefix: bench}"
					: ", interface: {prefix: bench}, user: {exact: jason}");
	fprintf(f, "  localRateLimit:\n    tokenBucket: {fillInterval: 1s, maxTokens: 2000000000, "
		   "tokensPerFill: 2000000000}\n");
}

static void retried(FILE *f, const struct path_options *o)
{
	fprintf(f,
		"---\napiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\n"
		"metadata: {name: bench, namespace: bench}\nspec:\n  hosts: [bench.echo]\n"
		"  http: [{name: all, timeout: 10s, retries: {attempts: %d, retryOn: reset},\n"
		"    route: [{destination: {host: bench.echo}}]}]\n",
		o->retries);
}

/* All clients have one address, whose bucket never is empty. */
static void keyed(FILE *f)
{
	fprintf(f, "---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\n"
		   "metadata: {name: clients, namespace: bench}\nspec:\n"
		   "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: bench}]\n"
		   "  rateLimit: {local: {rules: [{limit: {requests: 4000000, unit: Second},\n"
		   "    clientSelectors: [{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}}]}]}}\n");
}

/* The path is not opened: entries are dropped before they are rendered. */
static void logged(FILE *f, bool names)
{
	fprintf(f, "---\napiVersion: v1\nkind: ConfigMap\n"
		   "metadata: {name: istio, namespace: istio-system}\n"
		   "data:\n  mesh: |\n    accessLogFile: /dev/stdout\n");
	if (!names)
		fprintf(f, "    accessLogFormat: '%%REQ(:METHOD)%%'\n");
}

void path_documents(FILE *f, const void *options)
{
	const struct path_options *o = options;

	if (o->tls)
		bench_node_document(f);
	service(f, o);
	if (o->forwarding)
		forwarded(f, o->forwarding == PATH_FORWARDS_HERE ? PATH_VIP : PATH_OTHER);
	if (o->log)
		logged(f, o->names);
	if (o->keyed)
		keyed(f);
	if (o->retries >= 0)
		retried(f, o);
	else if (o->codec != BENCH_TCP && (o->policies || o->routes > 1))
		router(f, o);
}
