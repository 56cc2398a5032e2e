/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test byte_ring_tests[], capture_tests[], ending_tests[], exemplar_tests[],
	expr_tests[], record_tests[], span_tests[], trace_tests[];
