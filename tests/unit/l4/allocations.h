/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that the program's own code has made so far, by --wrap of the linker (meson.build). */
#pragma once

#include <stdint.h>

uint64_t allocations(void);
