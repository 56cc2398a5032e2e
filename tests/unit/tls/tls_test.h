/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_buf.h"
#include "mt_test.h"

extern struct mt_pools tls_pools, tls_worker_pools[2];

extern const struct mt_test handshake_tests[];
extern const struct mt_test hello_tests[];
extern const struct mt_test pool_tests[];
extern const struct mt_test refuse_tests[];
