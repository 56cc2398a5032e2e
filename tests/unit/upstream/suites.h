/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"
#include "mt_upstream.h"

extern const struct mt_test careful_tests[], outlier_tests[], pick_tests[], registry_tests[],
	retry_budget_tests[];
