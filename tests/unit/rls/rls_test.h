/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_rls.h"
#include "mt_test.h"

extern const struct mt_test query_tests[], answer_tests[], over_tests[], grants_tests[],
	client_tests[];

static inline struct mt_slice slice(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* Bytes of a text of hexadecimal digits. */
static inline size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int byte;

		CU_ASSERT_EQUAL_FATAL(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}
