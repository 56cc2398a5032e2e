/* SPDX-License-Identifier: Apache-2.0 */
/* One service with many addresses and many servers, as an operator would write it. */
#include "scale.h"

#include "mt_source.h"

#include <stdio.h>
#include <unistd.h>

void scale_vip(uint32_t i, struct mt_addr *vip)
{
	char text[MT_ADDR_STRLEN];

	snprintf(text, sizeof(text), "240.240.0.%u", 1 + i % SCALE_ADDRS);
	MT_ASSERT(mt_addr_parse(text, vip) == 0);
}

static void write_documents(const struct bench_options *o, const char *path)
{
	static const char *const ports[] = {
		"tcp-metaprotocol-thrift", "tcp-metaprotocol-dubbo", "tcp"};
	FILE *f = fopen(path, "we");

	MT_ASSERT(f);
	fprintf(f, "apiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\n"
		   "metadata: {name: bench, namespace: bench}\nspec:\n  hosts: [bench.echo]\n"
		   "  location: MESH_INTERNAL\n  resolution: STATIC\n");
	fprintf(f, "  ports: [{number: %d, name: %s, protocol: TCP}]\n  addresses:\n", BENCH_PORT,
		ports[o->codec]);
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		fprintf(f, "  - 240.240.0.%u\n", 1 + i);
	fprintf(f, "  endpoints:\n");
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		fprintf(f, "  - {address: 10.2.0.%u}\n", 2 + i);
	if (o->codec == BENCH_THRIFT)
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\n"
			"kind: ApplicationProtocol\nmetadata: {name: p}\nspec: {protocol: thrift, "
			"multiplexing: true, codec: aeraki.meta_protocol.codec.thrift}\n");
	fclose(f);
}

struct mt_snapshot *scale_config(const struct bench_options *o, struct mt_conf *conf, uint64_t now)
{
	char dir[] = "/tmp/meltemi-bench-XXXXXX", path[64];
	const char *dirs[] = {dir};
	struct mt_diags diags;
	struct mt_model *model = mt_model_new();
	struct mt_snapshot *s = NULL;
	struct mt_err err;

	mt_diags_init(&diags);
	MT_ASSERT(model && mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bench.yaml", dir);
	write_documents(o, path);
	if (mt_source_load(NULL, model, &diags, NULL, dirs, 1) == 0)
		s = mt_conf_compile(conf, model, &diags, now);
	if (!s)
		mt_diags_print(&diags, stderr);
	else if (mt_conf_publish(conf, s, now, NULL, &err))
		s = NULL;
	unlink(path);
	rmdir(dir);
	mt_model_free(model);
	mt_diags_fini(&diags);
	return s;
}
