/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits by key: a bucket for each client address, principal, metadata value or connection, or
 * one bucket for all calls that a rule selects (lib/keyed). This is the configuration side.
 *
 * - A rule applies to calls that one of its selectors matches; the first that does forms the key. A
 *   rule without selectors applies to all calls, by one bucket.
 * - A call takes a token of each rule that applies, of the strictest first, and is refused by the
 *   first that has none. So the strictest limit counts. A report-only rule counts what it would
 *   refuse, and the call goes on.
 * - A selector does not match calls without a metadata value of its key. Callers without a
 *   principal have an empty one together, because they must not pass a limit of each principal.
 * - Opaque streams show no metadata. At a port of opaque TCP selectors with metadata match nothing.
 *   At a port of messages (forwarded TLS) the stream is refused if a rule that refuses has one, and
 *   takes a token of each rule otherwise.
 * - The table lives in the registry of limits, so that buckets outlive configurations.
 */
#pragma once

#include "mt_filter_limit.h"
#include "mt_keyed_top.h"

extern const struct mt_filter mt_filter_keyed_ratelimit;

enum mt_keyed_by {
	MT_KEYED_BY_ADDRESS = 1 << 0, /* of IPv6: by /64 */
	MT_KEYED_BY_PRINCIPAL = 1 << 1,
	MT_KEYED_BY_CONNECTION = 1 << 2,
};

/* All that is written must match. */
struct mt_keyed_select_def {
	const struct mt_matcher_def *match;
	uint32_t n_match;
	const char *const *keys; /* metadata: each value has its own bucket */
	uint32_t n_keys;
	bool has_net;
	uint8_t prefix, by; /* by: MT_KEYED_BY_* */
	struct mt_addr net;
	const char *principal; /* NULL: any, or none */
};

#define MT_KEYED_SELECT_KEYS 16

struct mt_keyed_rule_def {
	const char *name; /* part of the buckets' identity, and shown */
	struct mt_keyed_numbers numbers;
	const struct mt_keyed_select_def *selects;
	uint32_t n_selects;
	bool report_only;
	uint32_t line;
};

struct mt_keyed_limit_def {
	const struct mt_keyed_rule_def *rules;
	uint32_t n_rules;
	bool closed; /* the rules cannot be enforced: refuses all calls */
};

/*
 * Makes the conf of a filter of type "keyed_ratelimit"; mt_limit_keyed() has made the table. NULL
 * with the reason in errbuf.
 */
void *mt_keyed_limit_compile(struct mt_limit_registry *r, const struct mt_codec *codec,
	const struct mt_keyed_limit_def *def, uint64_t now, char *errbuf, size_t errlen);

/* A rule of a compiled limit, for `show limits`. */
struct mt_keyed_limit_info {
	struct mt_keyed_info of;
	const struct mt_keyed_rule *rule; /* several limits may have it */
	/* "address, metadata user": of the first selector's keys; "": all calls have one bucket */
	const char *kind;
	bool report_only;
};

/* The i-th rule of a conf; false: it has fewer. Control thread. */
bool mt_keyed_limit_at(const void *conf, uint32_t i, struct mt_keyed_limit_info *info);

/*
 * The table of the registry. The first call with `keys` > 0 makes it, for so many; NULL: there is
 * none yet, or no memory.
 */
struct mt_keyed *mt_limit_keyed(struct mt_limit_registry *r, uint32_t keys);
/* Call once a second. */
void mt_limit_tick(struct mt_limit_registry *r, uint64_t now);
/* The time of the last call that has set it. */
uint64_t mt_limit_time(const struct mt_limit_registry *r);
