/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

struct mt_worker;

extern const struct mt_test drain_tests[], node_diff_tests[], publish_tests[], settings_tests[],
	state_tests[], tell_tests[], workers_tests[];

/* workers_test.c: one that serves something. */
struct mt_worker *busy_worker(void);
