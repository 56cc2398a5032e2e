/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of tests/vectors. */
#pragma once

#include <stdint.h>

#define VECTORS_MOST 2048

struct bytes {
	uint32_t n; /* 0: there are none */
	uint8_t b[VECTORS_MOST];
};

struct bytes vectors_read(const char *folder, const char *name);
/* Calls `use` for each request of the protocol, of which there are some. */
void vectors_each(const char *folder, void (*use)(const char *name, const struct bytes *call));
