/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* From here on OpenSSL's allocations are counted; before it has made any. */
bool allocate_count(void);
