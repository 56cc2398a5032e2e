/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of lib/objects share: a directory, a state directory, and loads as the daemon does them. */
#pragma once

#include "mt_conf.h"
#include "mt_objects.h"
#include "mt_test.h"

#include <stdio.h>

extern const struct mt_test delegates_tests[], gateway_api_tests[], filters_tests[], status_tests[],
	held_tests[], material_tests[], order_tests[], document_tests[], mesh_tests[],
	kubernetes_tests[], notes_tests[], proxies_tests[], refused_tests[], confined_tests[],
	shares_tests[], lists_tests[], standing_tests[], work_tests[], work_gateways_tests[],
	memory_tests[], work_conds_tests[], work_limits_tests[], work_policies_tests[],
	work_texts_tests[], work_tables_tests[], short_names_tests[], one_dot_tests[],
	held_workloads_tests[], owns_tests[], owns_dns_tests[], owns_endpoints_tests[],
	owns_routes_tests[], owns_history_tests[];

struct scene {
	char dir[32], state[40];
	struct mt_source_cache *cache;
	struct mt_kept *kept;
	struct mt_conf *conf;
	/* of the last load */
	struct mt_object_table *t;
	struct mt_diags diags;
	struct mt_snapshot *s;
	uint32_t rounds; /* how often it was compiled */
	uint32_t fill;	 /* entries of namespace greedy that precede each compilation */
};

void scene_begin(struct scene *sc);
void scene_end(struct scene *sc);
/* As after a restart: nothing but the state directory is left. */
void scene_restart(struct scene *sc);
/* NULL: the file is removed. */
void scene_write(struct scene *sc, const char *name, const char *text);
/* Read, compiled and, when the Node is good, kept. */
void scene_load(struct scene *sc);
/* Begins a scene, and loads what was written to `f` and *text (open_memstream()), which it frees. */
void scene_load_text(struct scene *sc, FILE *f, char **text);
/* True if the last load reported an entry with both texts. */
bool scene_has(const struct scene *sc, const char *place, const char *words);
/* Compiles the table once more as it is, as after a response of a discovery server. */
void scene_compile(struct scene *sc);
/* The same from the Node's file alone, and what it names. */
void scene_load_node(struct scene *sc);
/* As scene_load_node(), and puts it into force. */
void scene_serve(struct scene *sc);

/* "last-good", ...; "" when no such object was read. More than one: the first, of the newest. */
const char *scene_status(const struct scene *sc, const char *kind, const char *name);
const struct mt_object_row *scene_row(const struct scene *sc, const char *kind, const char *name);
/* How many endpoints the host's cluster has; -1: no such cluster, -2: it is closed. */
int scene_endpoints(const struct scene *sc, const char *host);
/* `show objects --json` without files and lines; to be freed. */
char *scene_json(const struct scene *sc);

#define IS_STATUS(sc, kind, name, word) CU_ASSERT_STRING_EQUAL(scene_status(sc, kind, name), word)

#define ISTIO(kind, name, ns)                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name               \
	", namespace: " ns "}\nspec:\n"
#define SERVICE(name, ns, address)                                                                 \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" name "." ns "]\n  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"      \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [{address: " address "}]\n"
#define SECURITY(kind, name, ns, spec)                                                             \
	"apiVersion: security.istio.io/v1\nkind: " kind "\nmetadata: {name: " name                 \
	", namespace: " ns "}\nspec: " spec "\n"
#define ROUTE(name, ns, host, subset)                                                              \
	ISTIO("VirtualService", name, ns)                                                          \
	"  hosts: [" host "]\n  dubbo: [{route: [{destination: {host: " host subset "}}]}]\n"
