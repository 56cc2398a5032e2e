/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of lib/buf's unit program. */
#pragma once

#include "mt_test.h"

extern const struct mt_test ledger_tests[];
