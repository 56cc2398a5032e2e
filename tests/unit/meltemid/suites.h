/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test publish_tests[], settings_tests[], state_tests[], tell_tests[],
	workers_tests[];
