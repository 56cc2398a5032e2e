/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/conf: the workloads of callers, for metrics (mt_callers.h). Those of a snapshot claim
 * their addresses at its publish, and those of the one before give up theirs.
 *
 * Invariants:
 * - An address has the workload that all claims of the first rank name, or none: no source that is
 *   limited to namespaces takes an address from another source.
 * - A service account has the labels that all its workloads share; a namespace has only itself.
 * - Labels exist as long as a claim holds them, or the rows of a snapshot until its publish.
 */
#pragma once

#include "mt_callers.h"
#include "mt_list.h"
#include "mt_peer.h"

struct mt_build;
struct mt_conf;
struct mt_snap;

/* An entry of a map: the first member of what is in it. */
struct mt_caller_node {
	struct mt_caller_node *next;
	uint64_t key;
};

struct mt_caller_map {
	struct mt_caller_node **v; /* [cap], a power of two */
	uint32_t cap, n;
};

/* Labels of a workload, or those that several share; the key is mt_peer_id() of them. */
struct mt_caller_labels {
	struct mt_caller_node node;
	uint32_t refs;
	uint32_t claims; /* that name this workload */
	struct mt_peer *peer;
};

struct mt_caller_rows;

struct mt_callers {
	struct mt_caller_table *table; /* NULL: --check, which has no workers */
	struct mt_caller_map labels, namespaces, accounts, members, disputes;
	struct mt_caller_rows *rows; /* those that are claimed; held */
	uint32_t unplaced;	     /* claims to addresses for which there was no room */
};

/* The author of a claim; the lowest one precedes. */
enum mt_caller_rank {
	MT_CALLER_OF_DOCUMENT,
	MT_CALLER_OF_MESH,    /* a discovery server */
	MT_CALLER_OF_LIMITED, /* a document of a source that is limited to namespaces */
	MT_CALLER_RANKS
};

/* A workload's claim to an address. */
struct mt_caller_claim {
	uint64_t address; /* mt_caller_address() */
	uint64_t account; /* mt_caller_account(); 0: unknown */
	struct mt_caller_labels *of;
	enum mt_caller_rank rank;
};

/* ---- callers.c ------------------------------------------------------------------------------- */

int mt_callers_init(struct mt_callers *c);
/* After all snapshots. */
void mt_callers_fini(struct mt_callers *c);
/* The labels with this id, not 0; a reference is the caller's. NULL: no memory. */
struct mt_caller_labels *mt_caller_labels_get(
	struct mt_callers *c, uint64_t id, const struct mt_peer *p);
void mt_caller_labels_put(struct mt_callers *c, struct mt_caller_labels *l);
struct mt_caller_labels *mt_caller_labels_find(const struct mt_callers *c, uint64_t id);
/* Each claim is given up once. */
void mt_caller_add(struct mt_callers *c, const struct mt_caller_claim *x);
void mt_caller_remove(struct mt_callers *c, const struct mt_caller_claim *x);

/* caller_map.c */
void *mt_caller_map_get(const struct mt_caller_map *m, uint64_t key);
/* The key is new. False: no memory. */
bool mt_caller_map_add(struct mt_caller_map *m, struct mt_caller_node *n);
void mt_caller_map_del(struct mt_caller_map *m, struct mt_caller_node *n);

/* ---- caller_rows.c: workloads with addresses ------------------------------------------------ */

/* Sets the rows of the build's snapshot. */
void mt_b_callers(struct mt_build *b);
void mt_caller_rows_put(struct mt_conf *c, struct mt_caller_rows *r);
/* Claims addresses for `new_` in place of those for `old` (NULL: none), and takes its rows. */
void mt_callers_publish(struct mt_conf *c, const struct mt_snap *old, struct mt_snap *new_);
