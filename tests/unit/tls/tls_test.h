/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_buf.h"
#include "mt_test.h"

extern struct mt_pools tls_pools;

extern const struct mt_test handshake_tests[];
extern const struct mt_test hello_tests[];
extern const struct mt_test refuse_tests[];
