/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test pb_tests[], grpc_tests[], names_tests[], resolve_tests[];
