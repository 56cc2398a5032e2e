/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test answer_tests[], captured_tests[], check_tests[], dhcp_tests[],
	dhcp6_tests[], gateway6_tests[];
