/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on OpenSSL's allocations are counted; before it has made any. */
bool allocate_count(void);
/* From here on, or no more, the blocks that OpenSSL allocates in this thread are watched. */
void allocate_watch(bool on);
/* True if a watched block that is not freed holds these bytes. */
bool allocate_holds(const uint8_t *bytes, size_t n);
