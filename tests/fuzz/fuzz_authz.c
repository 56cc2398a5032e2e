/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and a call by the fuzzer's choice: judged as a second evaluator says that is as plain as can be, within the bound. */
#include "fuzz.h"
#include "../unit/authz/authz_test.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chance c = {.data = size ? data : (const uint8_t *)"", .size = size};
	const char *words = chance_differs(&c);

	if (words)
		fprintf(stderr, "%s\n", words);
	MT_ASSERT(!words);
	return 0;
}
