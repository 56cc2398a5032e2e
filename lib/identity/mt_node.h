/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine tells a control plane of itself, and the bootstrap file that says it. */
#pragma once

#include "mt_bundle.h"
#include "mt_pb.h"

#include "core.pb-c.h"

#include <jansson.h>

/* What the bundle does not know. */
struct mt_node_facts {
	const char *host;    /* this machine's name */
	const char *ip;	     /* the address that others reach it by */
	const char *version; /* of this program */
};

/*
 * The `node` of a bootstrap in Envoy's shape: the id in four parts that istiod wants
 * ("sidecar~IP~NAME.NAMESPACE~NAMESPACE.svc.cluster.local"), locality, and the metadata of the bundle, with
 * which a WorkloadGroup registers the machine. NULL: no memory.
 */
json_t *mt_node_json(const struct mt_bundle *b, const struct mt_node_facts *facts);

/* The same as a message; all of it lives in the region. NULL: no memory, or deeper than MT_PB_DEPTH. */
Xds__Node *mt_node_message(struct mt_region *region, const json_t *node);

/* Where a bootstrap's control plane is, and the files of the identity; absolute paths. */
struct mt_bootstrap_facts {
	const char *host; /* a name or an IP address */
	uint16_t port;
	const char *server_name; /* SNI, and what its certificate must be for */
	const char *identity, *roots;
	bool delta;
};

/* A bootstrap in Envoy's shape; takes over the reference to `node`. NULL: no memory. */
json_t *mt_bootstrap_json(json_t *node, const struct mt_bootstrap_facts *facts);
