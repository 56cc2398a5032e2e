/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/route: the match compiler and the const lookup that workers call. A table is built by lib/conf on
 * the control thread (mt_route_builder), immutable afterwards and shared by all workers. Cost of a
 * lookup must not grow with the number of routes where an exact match on one key decides (10,000
 * routes: within 10 % of one).
 */
#pragma once

#include "mt_view.h"

enum mt_match_op {
	MT_MATCH_EXACT,
	MT_MATCH_PREFIX,
	MT_MATCH_SUFFIX,
	MT_MATCH_CONTAINS,
	MT_MATCH_REGEX, /* RE2 syntax, full match */
	MT_MATCH_PRESENT,
	MT_MATCH_RANGE, /* decimal in [lo, hi) */
};

/* One condition as configuration states it; strings are copied by the builder. */
struct mt_matcher_def {
	const char *key;
	enum mt_match_op op;
	const char *value;
	int64_t lo, hi;
	bool invert;
	bool ignore_case;
};

struct mt_matcher;     /* compiled condition list (AND) */
struct mt_route_table; /* compiled */

/* Compiles a list; NULL with *err (static or in errbuf) when a regex is bad. Empty list: matches all. */
struct mt_matcher *mt_matcher_compile(const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen);
void mt_matcher_free(struct mt_matcher *m);
bool mt_matcher_test(const struct mt_matcher *m, struct mt_view *v);
/* Bits of mt_codec.keys that it reads; *other: it reads further keys. */
uint32_t mt_matcher_keys(const struct mt_matcher *m, bool *other);

#define MT_ROUTE_HASH_KEYS 4

/* One weighted destination. */
struct mt_route_dest {
	uint32_t cluster; /* index in the snapshot's clusters */
	uint32_t weight;
};

/* What a route says; strings and arrays are copied by the builder. */
struct mt_route_action {
	const char *name;
	struct mt_route_dest *dests;
	uint32_t n_dests, total_weight;
	struct mt_mutation *req_mut, *rsp_mut;
	uint32_t n_req_mut, n_rsp_mut;
	uint32_t timeout_ms;		     /* 0: the default */
	uint32_t mirror_cluster, mirror_ppm; /* mirror_ppm 0: none */
	uint64_t id; /* stable identity (hash of listener, name and match): per-route counters */
	const char *file; /* origin, for the shell */
	uint32_t line;
};

struct mt_route_builder;
struct mt_route_builder *mt_route_builder_new(const struct mt_codec *codec);
/* Routes in order of precedence: the first that matches wins. 0, or -EINVAL with errbuf. */
int mt_route_builder_add(struct mt_route_builder *b, const struct mt_matcher_def *defs, uint32_t n,
	const struct mt_route_action *action, char *errbuf, size_t errlen);
/* Consumes the builder. */
struct mt_route_table *mt_route_builder_done(struct mt_route_builder *b);
void mt_route_builder_free(struct mt_route_builder *b);
void mt_route_table_free(struct mt_route_table *t);

/* The action of the first route that matches, or NULL. *idx: its place in the table (for counters). */
const struct mt_route_action *mt_route_lookup(
	const struct mt_route_table *t, struct mt_view *v, uint32_t *idx);

/* The cluster by v->rnd modulo the sum of weights, cumulative. */
uint32_t mt_route_pick(const struct mt_route_action *a, uint64_t rnd);

uint32_t mt_route_count(const struct mt_route_table *t);
const struct mt_route_action *mt_route_at(const struct mt_route_table *t, uint32_t idx);
/* Whether every key that the table reads is leading: forwarding may begin before the message is whole. */
bool mt_route_leading_only(const struct mt_route_table *t);
