/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps xDS resources (protobuf) to the model. Each resource becomes a model of its own, which every
 * configuration that contains it shares by reference (mt_model_share()). A resource is validated
 * here as far as that is possible without other resources. Control thread only.
 */
#pragma once

#include "mt_ads.h"
#include "mt_model.h"

#include <stdio.h>

/* A reference to another resource. */
struct mt_xds_ref {
	enum mt_xds_type type;
	const char *name;
	const char
		*server; /* cluster of the discovery server that has it; NULL: the default server */
	uint64_t timeout_ns; /* initial_fetch_timeout; 0: not set, 15 s; MT_NEVER: no limit */
	bool delta;	     /* `server` uses the delta protocol */
	bool queried;	     /* the node itself queries the cluster: it does not wait for calls */
};

/* A field that is accepted without effect. */
struct mt_xds_ignored {
	const char *field; /* "circuit_breakers.thresholds[0].retry_budget" */
	const char *why;
};

/* Result of mt_xds_map(); everything is allocated in the region of `part`. */
struct mt_xds_mapped {
	struct mt_model *part; /* contains the one object; the caller owns the reference */
	struct mt_meta *meta;  /* of the object */
	struct mt_xds_ref *refs;
	uint32_t n_refs;
	struct mt_xds_ignored *ignored;
	uint32_t n_ignored;
};

/* The source of a resource. */
struct mt_xds_from {
	const char *source;  /* "xds:mesh" */
	const char *cluster; /* of the node, as its bootstrap has it; NULL: none */
};

/*
 * Maps `body` to an object of `type`. The source becomes the origin and `serial` the serial of its
 * meta. Returns 0, -EINVAL or -ENOMEM; after an error *out owns nothing. With -EINVAL
 * *why is field and reason ("filter_chains[0].filters[1]: ..."); the caller puts the resource's
 * name before it.
 */
int mt_xds_map(enum mt_xds_type type, const Xds__Any *body, const struct mt_xds_from *from,
	uint64_t serial, struct mt_xds_mapped *out, struct mt_err *why);

/*
 * Hash of a resource's content that does not depend on the order of map entries, because some
 * servers serialize the same Struct differently each time. Two bodies with the same hash are the
 * same resource. Keys of the process make the hash, so no author can find two contents with one.
 * Control thread only.
 */
struct mt_xds_digest {
	uint64_t v[2];
};

struct mt_xds_digest mt_xds_digest(const Xds__Any *body);
/* Hash of bytes by a key of the process. Control thread only. */
uint64_t mt_xds_bytes_hash(const void *p, size_t len);

/*
 * Writes docs/reference/xds.md (Markdown): which fields of each resource are enforced and which are
 * ignored.
 */
void mt_xds_reference(FILE *out);
