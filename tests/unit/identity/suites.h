/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test bundle_tests[], renew_tests[], secrets_tests[], identity_tests[],
	source_tests[], sds_tests[];
