/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test guest_tests[], owned_tests[], peer_tests[];
