/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test accept_tests[], addr_tests[], capture_tests[], escape_tests[],
	expr_tests[], heap_tests[], hist_tests[], log_tests[], region_tests[], siphash_tests[],
	slab_tests[], span_tests[], table_tests[], trace_tests[], wheel_tests[];
