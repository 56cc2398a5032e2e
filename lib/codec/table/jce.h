/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of JCE elements that are read; mt_ct_jce_head() writes one. */
#pragma once

#include "mt_base.h"

/* Bytes of the head of a JCE element at p; 1 if n is 0. */
static inline uint32_t table_jce_head(const uint8_t *p, uint32_t n)
{
	return n > 0 && p[0] >> 4 == 15 ? 2 : 1;
}

/* Bytes of the JCE integer at p with its head, which may be more than n; 0: there is none. */
static inline uint32_t table_jce_integer(const uint8_t *p, uint32_t n)
{
	uint32_t head = table_jce_head(p, n), type = n > 0 ? p[0] & 15 : UINT32_MAX;

	return type == 12 ? head : type <= 3 ? head + (1u << type) : 0;
}
