/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was compiled, as JSON: made from a snapshot alone, so that it stays the same whichever way the snapshot was
 * made. Objects are named, never counted: no index, no hash and no pointer is in it. What is 0, false, empty or
 * not there is left out. Lists whose order means something (routes, destinations, endpoints, chains, filters) keep
 * it; all others are sorted.
 */
#pragma once

#include "mt_snapshot.h"

#include <jansson.h>

struct mt_model;
struct mt_tls_context;

json_t *golden_picture(const struct mt_snapshot *s);

/* Set: with the numbers and identities by which counters and states are found, to compare two loads of one process. */
extern bool golden_numbers;

/*
 * Set: with what kept pictures leave out, the identities of TLS contexts (hashes of their settings, names, roots and revocation lists)
 * and what policies contain.
 */
extern bool golden_details;

/* Its parts: clusters.c, services.c, listeners.c. */
json_t *golden_clusters(const struct mt_snapshot *s);
json_t *golden_services(const struct mt_snapshot *s);
json_t *golden_listeners(const struct mt_snapshot *s);
json_t *golden_forwards(const struct mt_snapshot *s);
json_t *golden_nat(const struct mt_snapshot *s);
json_t *golden_names(const struct mt_snapshot *s);
/* Who may come in; NULL: everybody. */
struct mt_gate_guard;
json_t *golden_gate(const struct mt_gate_guard *g);
/* The policies and rules of tokens of a set, and of those after it. guards.c */
struct mt_authz;
json_t *golden_rules(const struct mt_authz *a);

/* "HOST:PORT", what its counters are found by, and " of LISTENER" of a discovery service's; to be freed. */
char *golden_service_name(const struct mt_service *s);
/* The name of the cluster at this place; what is not there is said so. */
const char *golden_cluster_name(const struct mt_snapshot *s, uint32_t at);

/* Into an object, unless it is empty. Lists and objects are taken over. */
void put_text(json_t *to, const char *key, const char *text);
/* The last part of a path. */
void put_file(json_t *to, const char *path, uint32_t line);
void put_number(json_t *to, const char *key, uint64_t n);
void put_true(json_t *to, const char *key, bool is);
/* With golden_numbers only. */
void put_identity(json_t *to, const char *key, uint64_t n);
/* With golden_numbers or golden_details only. */
void put_tls_identity(json_t *to, const struct mt_tls_context *c);
void put_json(json_t *to, const char *key, json_t *value);
/* To the end of a list. */
void add_text(json_t *list, const char *fmt, ...) mt_printf(2, 3);
/* By their texts, or by this member of theirs; the list is replaced. */
json_t *sorted(json_t *list, const char *member);

/*
 * Resources of a discovery service from a file, mapped as they are received and put into the model: an object with
 * "clusters", "endpoints", "listeners", "routes", "extensions" and "names", each a list of resources in protobuf's
 * JSON, and "demand", names of clusters that are asked for when a call leads there. Those that are refused are
 * added to `refused` in words. False: the file cannot be read.
 */
bool golden_resources(struct mt_model *m, const char *path, json_t *refused);
