/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kv_codec.h"
#include "mt_route.h"
#include "mt_test.h"

extern const struct mt_test match_tests[], table_tests[];
