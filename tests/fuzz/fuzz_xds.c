/* SPDX-License-Identifier: Apache-2.0 */
/* What a control plane sends: the first byte says as which message the others are read. */
#include "fuzz.h"
#include "mt_grpc_priv.h"
#include "mt_pb.h"

#include "cluster.pb-c.h"
#include "discovery.pb-c.h"
#include "istio_ca.pb-c.h"
#include "listener.pb-c.h"
#include "metaprotocol.pb-c.h"
#include "route.pb-c.h"
#include "tls.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
	&xds__discovery_response__descriptor,
	&xds__delta_discovery_response__descriptor,
	&xds__listener__descriptor,
	&xds__cluster__descriptor,
	&xds__cluster_load_assignment__descriptor,
	&xds__route_configuration__descriptor,
	&xds__secret__descriptor,
	&xds__meta_protocol_proxy__descriptor,
	&xds__typed_struct__descriptor,
	&xds__istio_certificate_response__descriptor,
};

#define MEMORY (4u << 20)

/* When a server wants to be asked again, in both ways of saying it. */
static void fuzz_retry(const uint8_t *data, size_t size)
{
	char text[64];
	uint64_t delay = 0;
	size_t n = MT_MIN(size, sizeof(text) - 1);

	memcpy(text, data, n);
	text[n] = '\0';
	(void)mt_grpc_retry_details((const char *)data, size, &delay);
	(void)mt_grpc_retry_after(text, 946684740, &delay);
	MT_ASSERT(delay <= MT_GRPC_RETRY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *type;
	struct mt_pb_arena a;
	const char *why = NULL;
	ProtobufCMessage *m;

	if (!size)
		return 0;
	fuzz_retry(data, size);
	type = types[data[0] % MT_ARRAY_LEN(types)];
	mt_pb_arena_init(&a, MEMORY);
	m = mt_pb_unpack(&a, type, data + 1, size - 1, &why);
	/* Refused with a reason, or a message that can be written again within the bounds it was read in. */
	MT_ASSERT((m == NULL) == (why != NULL));
	MT_ASSERT(a.region.used <= MEMORY);
	if (m)
		MT_ASSERT(protobuf_c_message_get_packed_size(m) <= 16 * MEMORY);
	mt_pb_arena_fini(&a);
	return 0;
}
