/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of lib/analyse share. */
#pragma once

#include "../objects/objects_test.h"
#include "mt_analyse_priv.h"

extern const struct mt_test calls_tests[], names_tests[], subset_tests[], time_tests[];

/* A scene whose loads tell what instances are judged by. */
struct looked {
	struct scene sc;
	struct mt_audit audit;
	struct mt_analyse_in in;
};

void looked_begin(struct looked *l);
void looked_end(struct looked *l);
/* The documents of the scene, compiled, as lib/analyse gets them. */
void looked_load(struct looked *l);
/* The reason of the first finding of that name; NULL: there is none. Until the next call. */
const char *looked_reason(struct looked *l, const char *finding);
