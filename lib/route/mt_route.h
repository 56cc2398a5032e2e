/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/route: the match compiler and the const lookup that workers call. A table is built by lib/conf on
 * the control thread (mt_route_builder), immutable afterwards and shared by all workers. Cost of a
 * lookup does not grow with the number of routes where an exact match on one key decides (10,000
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

/*
 * One condition as configuration states it; strings are copied by the builder. Names of keys compare
 * without case. A key that is not there fails every condition, inverted or not, with two exceptions:
 * MT_MATCH_PRESENT inverted holds then, and `missing_as_empty` takes the value for "".
 */
struct mt_matcher_def {
	const char *key;
	enum mt_match_op op;
	const char *value;
	int64_t lo, hi;
	bool invert;
	bool ignore_case; /* of the value, ASCII; exact, prefix, suffix, contains */
	bool missing_as_empty;
};

struct mt_matcher;     /* compiled condition list (AND) */
struct mt_route_table; /* compiled */

/*
 * Compiles a list; NULL with the reason in errbuf (a bad regex, no memory). Empty list: matches all.
 */
struct mt_matcher *mt_matcher_compile(const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen);
void mt_matcher_free(struct mt_matcher *m);
bool mt_matcher_test(const struct mt_matcher *m, struct mt_view *v);
/* Bits of mt_codec.keys that it reads; *other: it reads further keys. */
uint32_t mt_matcher_keys(const struct mt_matcher *m, bool *other);

/*
 * A condition list in words, "method exact sayHello, user prefix J" ("*" when empty): for the shell, and
 * as its stable identity. Returns the length as snprintf() does.
 */
size_t mt_matcher_str(const struct mt_matcher_def *defs, uint32_t n, char *buf, size_t size);

/* Whether lib/route can compile an expression; errbuf: why not. */
bool mt_route_regex_ok(const char *pattern, char *errbuf, size_t errlen);

/* A destination whose name no cluster has: its share of the messages is answered natively. */
#define MT_ROUTE_NO_CLUSTER UINT32_MAX

/* One weighted destination. */
struct mt_route_dest {
	uint32_t cluster; /* index in the snapshot's clusters, or MT_ROUTE_NO_CLUSTER */
	uint32_t weight;
};

/* Where copies of a share of a route's requests go. */
struct mt_route_mirror {
	uint32_t cluster; /* index in the snapshot's clusters */
	uint32_t ppm;	  /* millionths of the requests; not 0 */
};

/* Of one route. */
#define MT_ROUTE_MIRRORS_MAX 4u

/* What a route says; strings and arrays are copied by the builder. */
struct mt_route_action {
	const char *name;
	struct mt_route_dest *dests;
	uint32_t n_dests, total_weight; /* total_weight: filled by the builder */
	uint32_t n_idle;
	const char **idle; /* clusters of destinations without a share */
	struct mt_mutation *req_mut, *rsp_mut;
	struct mt_route_mirror *mirrors;
	/* What few routes do to a request, so that one look finds that a route does nothing of it. */
	union {
		struct {
			uint32_t n_req_mut, n_mirrors;
		};
		uint64_t rare;
	};
	uint32_t n_rsp_mut;
	uint32_t timeout_ms;	/* 0: the default */
	struct mt_hash_by hash; /* nothing: what the cluster says; names of keys are copied, too */
	uint64_t id;		/* stable identity (hash of listener, name and match) */
	uint32_t index;		/* stable small index over snapshots, for per-worker counters */
	const char *file;	/* origin, for the shell */
	uint32_t line;
	const char *match; /* filled by the builder: the conditions in words */
};

struct mt_route_builder;
/* NULL: no memory. */
struct mt_route_builder *mt_route_builder_new(const struct mt_codec *codec);
/*
 * Routes in order of precedence: the first that matches wins. 0, -EINVAL or -ENOMEM with the reason in
 * errbuf; then the builder is unchanged.
 */
int mt_route_builder_add(struct mt_route_builder *b, const struct mt_matcher_def *defs, uint32_t n,
	const struct mt_route_action *action, char *errbuf, size_t errlen);
/* Consumes the builder, also when it answers NULL (no memory). */
struct mt_route_table *mt_route_builder_done(struct mt_route_builder *b);
void mt_route_builder_free(struct mt_route_builder *b);
void mt_route_table_free(struct mt_route_table *t);

/* The action of the first route that matches, or NULL. *idx: its place in the table (for counters). */
const struct mt_route_action *mt_route_lookup(
	const struct mt_route_table *t, struct mt_view *v, uint32_t *idx);

/*
 * The cluster by rnd modulo the sum of weights, cumulative. MT_ROUTE_NO_CLUSTER when the route has no
 * destination, or one that is not known; the first one when all weights are 0.
 */
uint32_t mt_route_pick(const struct mt_route_action *a, uint64_t rnd);

uint32_t mt_route_count(const struct mt_route_table *t);
const struct mt_route_action *mt_route_at(const struct mt_route_table *t, uint32_t idx);
/* Whether every key that the table reads is leading: forwarding may begin before the message is whole. */
bool mt_route_leading_only(const struct mt_route_table *t);
/* How many routes a lookup may have to try one by one (the rest is found by exact value). */
uint32_t mt_route_linear(const struct mt_route_table *t);
/*
 * Whether route idx does not match the message; buf: the first of its conditions that fails, in words, and the value that
 * the message has there. For who explains; the same conditions as in a lookup, without its indexes.
 */
bool mt_route_why_not(
	const struct mt_route_table *t, uint32_t idx, struct mt_view *v, char *buf, size_t size);
