/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of lib/source share: a model and a list of diagnostics made from one text. */
#pragma once

#include "mt_source.h"
#include "mt_test.h"

extern const struct mt_test yaml_tests[], documents_tests[], reference_tests[], watch_tests[],
	watch_tree_tests[], cache_tests[], bad_input_tests[], beneath_tests[], empty_tests[],
	confined_tests[], lists_tests[], patches_tests[], node_guests_tests[], node_owns_tests[],
	codecs_tests[], traffic_policy_tests[];

/* Called with the path of each openat2(), before it; NULL: nothing is (beneath_test.c). */
extern void (*before_open)(const char *path);

struct loaded {
	struct mt_model *m;
	struct mt_diags diags;
};

struct loaded load_text(const char *text);
void unload(struct loaded *l);

/* "LINE: error: PATH: MESSAGE" of the first error, else of the last entry; "" when there is none. Valid until the next call. */
const char *first_diag(const struct loaded *l);
