/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test turn_tests[], control_tests[], names_tests[], guests_tests[];
