/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of a discovery service, written in C: each call adds one to a model, or to its parent. */
#pragma once

#include "conf_test.h"

struct mt_res_cluster *mesh_cluster(struct mt_model *m, const char *name);
struct mt_res_endpoints *mesh_endpoints(struct mt_model *m, const char *name);
struct mt_res_locality *mesh_locality(struct mt_model *m, struct mt_res_endpoints *e,
	uint32_t priority, uint32_t weight, const char *zone);
/* On port 80, in the last locality. */
void mesh_endpoint(struct mt_model *m, struct mt_res_endpoints *e, const char *a, uint32_t weight,
	enum mt_res_health health);

/* Outbound and not bound, as control planes send them to nodes with redirection. */
struct mt_res_listener *mesh_listener(
	struct mt_model *m, const char *name, const char *a, uint16_t port);
struct mt_res_chain *mesh_chain(struct mt_model *m, struct mt_res_listener *l);
/* A chain of messages; routes NULL: inline ones. */
struct mt_proxy_patch *mesh_proxy(
	struct mt_model *m, struct mt_res_listener *l, const char *protocol, const char *routes);
void mesh_dest(struct mt_model *m, struct mt_rule_dest **dests, uint32_t *n, const char *cluster,
	uint32_t weight);

/* One row of a table of names, in the model's one table; a2 NULL: one address. */
void mesh_name(struct mt_model *m, const char *host, const char *a, const char *a2);

struct mt_res_routes *mesh_routes(struct mt_model *m, const char *name);
/* cluster NULL: none yet. */
struct mt_rule *mesh_rule(
	struct mt_model *m, struct mt_rule_list *list, const char *name, const char *cluster);
struct mt_cond *mesh_cond(struct mt_model *m, struct mt_rule *r, const char *key,
	enum mt_cond_op op, const char *value);

/* A configuration of the test's own: model in, snapshot and diagnostics out. */
struct mesh_scene {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
	const struct mt_snapshot *s;
};

struct mesh_scene mesh_scene_new(void);
/* Compiles and publishes. */
void mesh_load(struct mesh_scene *sc);
void mesh_scene_end(struct mesh_scene *sc);
/* Says of this resource in these words. */
bool mesh_told(const struct mesh_scene *sc, enum mt_diag_severity severity, const char *resource,
	const char *words);
/* Compiles and publishes; the model stays the caller's. */
const struct mt_snapshot *mesh_publish(
	struct mt_conf *c, const struct mt_model *m, struct mt_diags *diags);
/* A cluster with two endpoints. */
struct mt_res_endpoints *mesh_simple_cluster(struct mt_model *m, const char *name);
