/* SPDX-License-Identifier: Apache-2.0 */
/* meltemi.io TrafficPolicy: limits of calls by their clients. */
#pragma once

#include "mt_model_security.h"

#include "mt_addr.h"

enum mt_select_type {
	MT_SELECT_EXACT,    /* the value */
	MT_SELECT_REGEX,    /* a value that the expression matches wholly */
	MT_SELECT_DISTINCT, /* each value, with a bucket of its own */
};

struct mt_select_header {
	struct mt_origin origin;
	struct mt_num type; /* enum mt_select_type */
	struct mt_text name, value;
	struct mt_num invert;
};

enum mt_select_source_type { MT_SELECT_SOURCE_EXACT, MT_SELECT_SOURCE_DISTINCT };

struct mt_select_source {
	struct mt_origin origin;
	struct mt_num type; /* enum mt_select_source_type */
	struct mt_text value;
	struct mt_addr net;
	uint8_t prefix;
};

struct mt_select_principal {
	struct mt_origin origin;
	struct mt_num type; /* enum mt_select_source_type */
	struct mt_text value;
};

/* All of it must match. */
struct mt_client_selector {
	struct mt_origin origin;
	struct mt_select_header *headers;
	struct mt_select_source *source;
	struct mt_select_principal *principal;
	struct mt_num connection; /* set: each connection has a bucket of its own */
	uint32_t n_headers;
};

enum mt_quota_unit { MT_QUOTA_SECOND, MT_QUOTA_MINUTE, MT_QUOTA_HOUR, MT_QUOTA_DAY };

struct mt_quota {
	struct mt_origin origin;
	struct mt_num requests, unit; /* enum mt_quota_unit */
};

/* Applies to calls that any of the selectors matches; to all without selectors. */
struct mt_client_limit {
	struct mt_origin origin;
	struct mt_client_selector *selectors;
	struct mt_quota *quota;
	struct mt_num shared, shadow;
	uint32_t n_selectors;
};

struct mt_client_limits {
	struct mt_origin origin;
	struct mt_client_limit *rules;
	uint32_t n_rules;
};

struct mt_client_rates {
	struct mt_origin origin;
	struct mt_client_limits *local;
};

struct mt_client_policy {
	struct mt_meta meta;
	struct mt_policy_target *targets;
	struct mt_client_rates *rates;
	uint32_t n_targets;
};
