/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled rate limit by key. */
#pragma once

#include "../mt_filter_priv.h"

#include "mt_filter_keyed.h"

struct mt_keyed_select {
	struct mt_matcher *match; /* NULL: every call */
	uint32_t n_keys, principal_len;
	uint8_t by, prefix;
	bool has_net;
	bool reads; /* metadata */
	/* Selectors that form keys of other kinds have other salts, if a rule has several kinds. */
	bool salted;
	uint64_t salt;
	bool net4;
	struct mt_addr net, mask;
	char *principal; /* NULL: any */
	char *kind;	 /* of the keys: "address, metadata user"; "": one bucket */
	struct mt_key keys[MT_KEYED_SELECT_KEYS];
	char *names[MT_KEYED_SELECT_KEYS];
	char *words; /* of the match */
};

struct mt_keyed_limit_rule {
	struct mt_keyed_rule *rule; /* reference */
	struct mt_keyed_select *selects;
	uint32_t n_selects;
	bool report_only;
	uint32_t line;
	uint64_t all; /* hash of the key of calls without a key */
	struct mt_keyed_numbers numbers;
	char *name;
};

struct mt_keyed_limit {
	struct mt_limit_registry *registry;
	struct mt_keyed_limit_rule *rules; /* the strictest first */
	uint32_t n;
	bool closed;
	bool opaque; /* of a port of opaque TCP */
	bool reads;  /* a rule that refuses selects by metadata */
};

void mt_keyed_limit_free(void *conf);
