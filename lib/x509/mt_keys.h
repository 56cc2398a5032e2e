/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Private keys that are read from now on lie in memory that is never swapped, is in no core file, stands between pages that
 * nobody may touch, and is cleared when it is given back (OPENSSL_secure_malloc(3): the numbers of RSA and elliptic curves).
 * MT_KEYS_BYTES of it for the whole process; beyond it a key cannot be read. Before the first key, once; threads later.
 * false: it can be swapped all the same, because the system locks no memory for us.
 */
bool mt_keys_lock(void);

#define MT_KEYS_BYTES (4 * 1024 * 1024) /* 1,000 keys of RSA with 4,096 bits */
