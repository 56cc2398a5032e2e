/* SPDX-License-Identifier: Apache-2.0 */
/* One service with many addresses and many servers, as an operator would write it. */
#include "scale.h"

void scale_vip(uint32_t i, struct mt_addr *vip)
{
	char text[MT_ADDR_STRLEN];

	snprintf(text, sizeof(text), "240.240.0.%u", 1 + i % SCALE_ADDRS);
	MT_ASSERT(mt_addr_parse(text, vip) == 0);
}

void scale_documents(FILE *f, const void *options)
{
	const struct scale_options *o = options;

	if (o->tls)
		bench_node_document(f);
	fprintf(f, "apiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\n"
		   "metadata: {name: bench, namespace: bench}\nspec:\n  hosts: [bench.echo]\n"
		   "  location: MESH_INTERNAL\n  resolution: STATIC\n");
	fprintf(f, "  ports: [{number: %d, name: %s, protocol: TCP}]\n  addresses:\n", BENCH_PORT,
		bench_ports[o->codec]);
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		fprintf(f, "  - 240.240.0.%u\n", 1 + i);
	fprintf(f, "  endpoints:\n");
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		fprintf(f, "  - {address: 10.2.0.%u%s}\n", 2 + i, o->tls ? BENCH_MESHED : "");
	if (o->codec == BENCH_THRIFT)
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\n"
			"kind: ApplicationProtocol\nmetadata: {name: p}\nspec: {protocol: thrift, "
			"multiplexing: true, codec: aeraki.meta_protocol.codec.thrift}\n");
}
