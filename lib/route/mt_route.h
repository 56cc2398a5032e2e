/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/route: finds the first route that matches a message, in nearly constant time. lib/conf builds
 * a table on the control thread (mt_route_builder_new(), _add() for each route in order of
 * precedence, _done()). The table is immutable, has copies of all its strings, conditions and
 * actions in one arena, and all workers share it. Filters use single conditions (mt_matcher_...())
 * or a table of their own.
 *
 * Conditions: exact, prefix, suffix, contains, regex, present, range. Each may be inverted; exact,
 * prefix, suffix and contains may ignore case. Names of keys are compared without case; only string
 * metadata matches. A missing key fails the condition, inverted or not, except an inverted
 * `present` and `missing_as_empty`. A range compares the whole value as a 64-bit decimal number,
 * without surrounding spaces. A regex has RE2 syntax, matches the whole value, and may use 1 MiB;
 * its time is linear. RE2 takes its own lock when a value leads to states that it has not computed:
 * where that matters, use exact or prefix conditions. A pattern without special characters becomes
 * an exact condition.
 *
 * Lookup:
 * 1. The builder finds the key with the most distinct exact values and builds a hash table from
 *    value to route positions. It repeats this for the remaining routes, at most four times. The
 *    rest is a linear list.
 * 2. A lookup reads each indexed key once, which gives at most four short ascending lists and the
 *    linear one. It tries routes in order of position until one matches. So the order of the
 *    configuration decides, whichever index holds a route: an index may omit only routes that
 *    cannot match.
 * 3. The indexed condition is not tested again. Values stay available for the rest of the lookup,
 *    except those in the view's scratch, which holds one.
 *
 * A lookup allocates nothing and takes no lock of Meltemi. Where exact values decide, its cost does
 * not depend on the number of routes; beyond 100 routes only cache misses are added.
 * bench/micro/route.c, routes with two keys, minimum of 20 rounds, instructions by callgrind (2.6
 * GHz, debugoptimized):
 *
 *      1 route         56 cycles   387 instructions
 *      100 routes     112 cycles   510 instructions
 *      10,000 routes  160 cycles   527 instructions
 */
#pragma once

#include "mt_retry.h"
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
 * One condition as it is configured; strings are copied by the builder. Names of keys compare
 * without case. If the key is missing, the condition fails, inverted or not, with two exceptions:
 * an inverted MT_MATCH_PRESENT holds, and `missing_as_empty` uses the value "".
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
 * Compiles a list of conditions. NULL with the reason in errbuf: a bad regex, or no memory. An
 * empty list matches everything.
 */
struct mt_matcher *mt_matcher_compile(const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen);
void mt_matcher_free(struct mt_matcher *m);
bool mt_matcher_test(const struct mt_matcher *m, struct mt_view *v);
/* The keys that the matcher reads, as bits of mt_codec.keys; *other: it reads further keys, too. */
uint32_t mt_matcher_keys(const struct mt_matcher *m, bool *other);

/*
 * The conditions in words, "method exact sayHello, user prefix J" ("*" if there are none): for the
 * shell, and as a stable identity of the list. Returns the length as snprintf() does.
 */
size_t mt_matcher_str(const struct mt_matcher_def *defs, uint32_t n, char *buf, size_t size);

/* True if the expression can be compiled; otherwise errbuf has the reason. */
bool mt_route_regex_ok(const char *pattern, char *errbuf, size_t errlen);

/* A destination whose name belongs to no cluster: its share of the messages gets a local reply. */
#define MT_ROUTE_NO_CLUSTER UINT32_MAX

/* One weighted destination. */
struct mt_route_dest {
	uint32_t cluster; /* index in the snapshot's clusters, or MT_ROUTE_NO_CLUSTER */
	uint32_t weight;
};

/* A mirror: the cluster that gets copies of a share of a route's requests. */
struct mt_route_mirror {
	uint32_t cluster; /* index in the snapshot's clusters */
	uint32_t ppm;	  /* parts per million of the requests; not 0 */
};

/* Most mirrors of one route. */
#define MT_ROUTE_MIRRORS_MAX 4u

/* The action of a route; strings and arrays are copied by the builder. */
struct mt_route_action {
	const char *name;
	struct mt_route_dest *dests;
	uint32_t n_dests, total_weight; /* total_weight is set by the builder */
	uint32_t n_idle;
	const char **idle; /* clusters of destinations with weight 0 */
	struct mt_mutation *req_mut, *rsp_mut;
	struct mt_route_mirror *mirrors;
	uint32_t n_req_mut;
	uint16_t n_mirrors;
	bool retries; /* `retry` is not NULL */
	uint32_t n_rsp_mut;
	const struct mt_retry *retry; /* NULL: only calls that were not read are sent again */
	uint32_t timeout_ms;	      /* 0: the default */
	struct mt_hash_by hash; /* empty: as the cluster specifies; names of keys are copied, too */
	uint64_t id;		/* stable identity (hash of listener, name and match) */
	uint32_t index;		/* stable small index across snapshots, for per-worker counters */
	const char *file;	/* origin, for the shell */
	uint32_t line;
	const char *match; /* set by the builder: the conditions in words */
};

struct mt_route_builder;
/* NULL: no memory. */
struct mt_route_builder *mt_route_builder_new(const struct mt_codec *codec);
/*
 * Adds a route. Routes are added in order of precedence: the first that matches wins. 0, or -EINVAL
 * or -ENOMEM with the reason in errbuf and without any change of the builder.
 */
int mt_route_builder_add(struct mt_route_builder *b, const struct mt_matcher_def *defs, uint32_t n,
	const struct mt_route_action *action, char *errbuf, size_t errlen);
/* Builds the table and frees the builder, also if it returns NULL (no memory). */
struct mt_route_table *mt_route_builder_done(struct mt_route_builder *b);
void mt_route_builder_free(struct mt_route_builder *b);
void mt_route_table_free(struct mt_route_table *t);

/*
 * The action of the first route that matches, or NULL. *idx: its place in the table, for counters.
 */
const struct mt_route_action *mt_route_lookup(
	const struct mt_route_table *t, struct mt_view *v, uint32_t *idx);

/*
 * Chooses the cluster by rnd modulo the sum of weights, cumulatively. MT_ROUTE_NO_CLUSTER if the
 * route has no destination, or if the chosen one has no cluster; the first destination if all
 * weights are 0.
 */
uint32_t mt_route_pick(const struct mt_route_action *a, uint64_t rnd);

/* The codec of the messages that it routes. */
const struct mt_codec *mt_route_codec(const struct mt_route_table *t);
uint32_t mt_route_count(const struct mt_route_table *t);
const struct mt_route_action *mt_route_at(const struct mt_route_table *t, uint32_t idx);
/*
 * True if every key that the table reads is leading, so that forwarding may begin before the
 * message is complete.
 */
bool mt_route_leading_only(const struct mt_route_table *t);
/* How many routes a lookup may have to test one by one; the others are found by an exact value. */
uint32_t mt_route_linear(const struct mt_route_table *t);
/*
 * True if route idx does not match the message; buf: the first of its conditions that fails, in
 * words, and the message's value. Tests the same conditions as a lookup, without its indexes. For
 * `explain`.
 */
bool mt_route_why_not(
	const struct mt_route_table *t, uint32_t idx, struct mt_view *v, char *buf, size_t size);
