/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of lib/conf share: documents in, a snapshot and diagnostics out. */
#pragma once

#include "mt_conf.h"
#include "mt_source.h"
#include "mt_test.h"

extern const struct mt_test forwarding_tests[], forward_past_tests[], forward_policy_tests[],
	forward_routes_tests[], forward_change_tests[], drain_tests[];

extern const struct mt_test named_tests[], policy_shared_tests[], kernel_tests[];

extern const struct mt_test compile_tests[], documents_tests[], inbound_tests[], listeners_tests[],
	mesh_chain_tests[], mesh_cluster_tests[], mesh_istio_tests[], mesh_policies_tests[],
	mesh_random_tests[], mesh_tests[], publish_tests[], references_tests[], refusals_tests[],
	share_tests[], shares_tests[], vips_tests[];

extern const struct mt_test tls_names_tests[], dns_tests[], override_tests[], owners_tests[],
	owned_names_tests[], served_tests[], istio_tests[], locality_tests[], policies_tests[],
	providers_tests[], global_limits_tests[], careful_tests[], ranges_tests[], ends_tests[],
	ends_gateway_tests[], caller_index_tests[], callers_tests[], tls_tests[],
	tls_document_tests[], mesh_ends_tests[], bound_tests[], held_tests[], claims_tests[],
	fields_tests[], fields_route_tests[], gateway_routes_tests[], labels_tests[],
	access_log_tests[], collectors_tests[], holders_tests[], guests_tests[],
	node_guests_tests[], growth_tests[], binds_tests[], patches_tests[], peers_tests[],
	watched_tests[], tls_files_tests[], codecs_tests[], telemetry_tests[],
	telemetry_istio_tests[], host_claims_tests[], tracing_tests[], tracing_tags_tests[],
	tracing_proxy_tests[], client_limits_tests[], mesh_limits_tests[];

/* One way through lib/source and lib/conf. */
struct built {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
	struct mt_snapshot *s; /* NULL: refused */
};

#define NOW (100 * MT_SEC)

/* A lib/conf of one worker, without a state directory. */
struct mt_conf *new_conf(void);

/* Compiles texts; conf NULL: one of its own, freed by unbuild(). */
struct built build_text(struct mt_conf *conf, const char *text);
struct built build_files(const char *const *paths, size_t n);
void unbuild(struct built *b);

/* Whether an entry of `severity` at this line has the words. */
bool has_diag(
	const struct built *b, enum mt_diag_severity severity, uint32_t line, const char *words);
void show_diags(struct built *b);

const struct mt_cluster *cluster(const struct mt_snapshot *s, const char *name);
/* "192.0.2.1:80", until the next call. */
const char *endpoint(const struct mt_cluster *c, uint32_t i);
const struct mt_service *service(const struct mt_snapshot *s, const char *name);
const struct mt_listener *listener(const struct mt_snapshot *s, const char *addr, uint16_t port);
