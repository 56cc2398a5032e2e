/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_filter_limit.h"
#include "mt_test.h"
#include "route/kv_codec.h"

#define MAX_WORKERS 4

extern const struct mt_test bucket_tests[], chain_tests[], inbox_tests[], limit_tests[],
	keyed_tests[], load_tests[], tally_tests[], thread_tests[], turned_tests[], global_tests[],
	global_routes_tests[], global_grants_tests[], global_stream_tests[];

/* A committed limit with the service's bucket only. */
void *one_bucket(struct mt_limit_registry *r, struct mt_bucket_numbers numbers, uint64_t now);

/* Whether a message without metadata passes, asked by `fw` at `now`. Safe in threads. */
bool passes(void *limit, struct mt_filter_worker *fw, uint64_t now);

/* The only bucket of the registry. */
struct mt_limit_info the_bucket(struct mt_limit_registry *r, uint64_t now);
