/* SPDX-License-Identifier: Apache-2.0 */
/* Documents like an operator's, written to a directory and compiled by lib/conf. */
#include "path.h"

#include "mt_source.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void service(FILE *f, const struct bench_options *o)
{
	static const char *const ports[] = {
		"tcp-metaprotocol-thrift", "tcp-metaprotocol-dubbo", "tcp"};

	fprintf(f,
		"apiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\n"
		"metadata: {name: bench, namespace: bench}\n"
		"spec:\n  hosts: [bench.echo]\n  addresses: [%s]\n  location: MESH_INTERNAL\n"
		"  resolution: STATIC\n"
		"  ports: [{number: %d, name: %s, protocol: TCP}]\n"
		"  endpoints: [{address: 10.2.0.2}]\n",
		BENCH_VIP, BENCH_PORT, ports[o->codec]);
	if (o->multiplexing)
		fprintf(f, "---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: "
			   "ApplicationProtocol\n"
			   "metadata: {name: p}\nspec: {protocol: thrift, multiplexing: true,\n"
			   "  codec: aeraki.meta_protocol.codec.thrift}\n");
}

/* The route that matches stands last; all others name another method. */
static void router(FILE *f, const struct bench_options *o)
{
	fprintf(f, "---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
		   "metadata: {name: bench, namespace: bench}\nspec:\n  hosts: [bench.echo]\n  "
		   "routes:\n");
	for (uint32_t i = 1; i < o->routes; i++)
		fprintf(f,
			"  - name: r%u\n    match: {attributes: {method: {exact: other%u}}}\n"
			"    route: [{destination: {host: bench.echo}}]\n",
			i, i);
	fprintf(f,
		"  - name: all\n    match: {attributes: {method: {exact: echo}%s}}\n"
		"    route: [{destination: {host: bench.echo}}]\n",
		o->codec == BENCH_DUBBO ? ", interface: {prefix: bench}, user: {exact: jason}"
					: "");
	fprintf(f, "  localRateLimit:\n    tokenBucket: {fillInterval: 1s, maxTokens: 2000000000, "
		   "tokensPerFill: 2000000000}\n");
}

static void write_documents(const struct bench_options *o, const char *dir)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/bench.yaml", dir);
	f = fopen(path, "w");
	MT_ASSERT(f);
	service(f, o);
	if (o->codec != BENCH_TCP && (o->policies || o->routes > 1))
		router(f, o);
	fclose(f);
}

static void remove_documents(const char *dir)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/bench.yaml", dir);
	unlink(path);
	rmdir(dir);
}

struct mt_snapshot *bench_config(const struct bench_options *o, struct mt_conf *conf, uint64_t now)
{
	char dir[] = "/tmp/meltemi-bench-XXXXXX";
	const char *dirs[] = {dir};
	struct mt_diags diags;
	struct mt_model *model = mt_model_new();
	struct mt_snapshot *s = NULL;
	struct mt_err err;

	mt_diags_init(&diags);
	MT_ASSERT(model && mkdtemp(dir));
	write_documents(o, dir);
	if (mt_source_load(NULL, model, &diags, NULL, dirs, 1) == 0)
		s = mt_conf_compile(conf, model, &diags, now);
	if (!s)
		mt_diags_print(&diags, stderr);
	else if (mt_conf_publish(conf, s, now, NULL, &err))
		s = NULL;
	remove_documents(dir);
	mt_model_free(model);
	mt_diags_fini(&diags);
	return s;
}
