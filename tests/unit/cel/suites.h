/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "attributes.h"
#include "mt_test.h"

extern const struct mt_test cel_tests[], limit_tests[], vector_tests[];
