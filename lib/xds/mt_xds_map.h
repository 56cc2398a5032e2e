/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources of the discovery services (protobuf) into the model: one resource, one model of its own, which is
 * shared by every configuration that holds it (mt_model_share()). What a resource says is checked here as far
 * as it can be without the others. Control thread only.
 */
#pragma once

#include "mt_ads.h"
#include "mt_model.h"

#include <stdio.h>

/* Another resource that this one names. */
struct mt_xds_ref {
	enum mt_xds_type type;
	const char *name;
	const char
		*server; /* cluster through which another discovery server has it; NULL: this one */
	uint64_t timeout_ns; /* initial_fetch_timeout; 0: not said, 15 s; MT_NEVER: no limit */
	bool delta;	     /* of `server`: it speaks the delta protocol */
};

/* A field that is read and has no effect. */
struct mt_xds_ignored {
	const char *field; /* "circuit_breakers.thresholds[0].retry_budget" */
	const char *why;
};

/* What mt_xds_map() made; everything lives in `part`'s region. */
struct mt_xds_mapped {
	struct mt_model *part; /* holds the one object; one reference, the caller's */
	struct mt_meta *meta;  /* of the object */
	struct mt_xds_ref *refs;
	uint32_t n_refs;
	struct mt_xds_ignored *ignored;
	uint32_t n_ignored;
};

/*
 * `body` as an object of `type`. `source` is what origins are called ("xds:mesh"), `serial` goes into its meta.
 * 0; -EINVAL with *why naming field and reason ("filter_chains[0].filters[1]: ..."; the caller puts the
 * resource's name before it); -ENOMEM. After an error *out holds nothing.
 */
int mt_xds_map(enum mt_xds_type type, const Xds__Any *body, const char *source, uint64_t serial,
	struct mt_xds_mapped *out, struct mt_err *why);

/*
 * A hash of what a body says, whatever the order of its maps: some servers write the same Struct differently each
 * time. Two bodies with the same hash are the same resource.
 */
struct mt_xds_digest {
	uint64_t v[2];
};

struct mt_xds_digest mt_xds_digest(const Xds__Any *body);

/* Writes what of each resource is enforced and what is only accepted (Markdown): docs/reference/xds.md. */
void mt_xds_reference(FILE *out);
