/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test blast_hist_tests[], blast_dist_tests[], blast_message_tests[];
