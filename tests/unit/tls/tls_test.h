/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_buf.h"
#include "mt_test.h"

extern struct mt_pools tls_pools, tls_worker_pools[2];

/* Hexadecimal digits, blanks between them allowed, to bytes; how many. */
uint32_t tls_unhex(const char *hex, uint8_t *out);

extern const struct mt_test aead_tests[];
extern const struct mt_test allocate_tests[];
extern const struct mt_test finished_tests[];
extern const struct mt_test handshake_tests[];
extern const struct mt_test hello_tests[];
extern const struct mt_test kdf_tests[];
extern const struct mt_test layer_begin_tests[];
extern const struct mt_test layer_reclaim_tests[];
extern const struct mt_test layer_starved_tests[];
extern const struct mt_test layer_tests[];
extern const struct mt_test pool_tests[];
extern const struct mt_test record_bad_tests[];
extern const struct mt_test record_openssl_tests[];
extern const struct mt_test record_read_tests[];
extern const struct mt_test record_write_tests[];
extern const struct mt_test refuse_tests[];
extern const struct mt_test seam_tests[];
extern const struct mt_test session_tests[];
