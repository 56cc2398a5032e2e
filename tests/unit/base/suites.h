/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test accept_tests[], addr_tests[], addr_hash_tests[], collect_tests[],
	escape_tests[], file_tests[], heap_tests[], hist_tests[], log_tests[], std_tests[],
	maps_tests[], region_tests[], siphash_tests[], slab_tests[], sockaddr_tests[],
	table_tests[], utf8_tests[], varint_tests[], wheel_tests[];
