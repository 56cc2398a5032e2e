/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node description that this machine sends to a control plane, and the bootstrap file that contains
 * it.
 */
#pragma once

#include "mt_bundle.h"
#include "mt_pb.h"

#include "core.pb-c.h"

#include <jansson.h>

/* Values that the bundle does not contain. */
struct mt_node_facts {
	const char *host;    /* host name of this machine */
	const char *ip;	     /* its address for others */
	const char *version; /* of this program */
};

/*
 * Builds the `node` of a bootstrap in Envoy's format. Its id has the four parts that istiod
 * requires ("sidecar~IP~NAME.NAMESPACE~NAMESPACE.svc.cluster.local"). It contains the locality, and
 * the bundle's metadata, by which a WorkloadGroup registers the machine. NULL: no memory.
 */
json_t *mt_node_json(const struct mt_bundle *b, const struct mt_node_facts *facts);

/*
 * Converts it to a message in the region's memory. NULL: no memory, or nested deeper than
 * MT_PB_DEPTH.
 */
Xds__Node *mt_node_message(struct mt_region *region, const json_t *node);

/* Control plane and identity files of a bootstrap; paths are absolute. */
struct mt_bootstrap_facts {
	const char *host; /* a name or an IP address */
	uint16_t port;
	const char *server_name; /* SNI, and the name that its certificate must have */
	const char *identity, *roots;
	bool delta;
};

/* Builds a bootstrap in Envoy's format; takes over the reference to `node`. NULL: no memory. */
json_t *mt_bootstrap_json(json_t *node, const struct mt_bootstrap_facts *facts);
