/* SPDX-License-Identifier: Apache-2.0 */
/* What a collector answers to an export of metrics or logs. */
#include "fuzz.h"

#include "mt_alog_wire.h"
#include "mt_telemetry.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char words[256];
	uint64_t rejected;

	(void)mt_otlp_answer(data, size, &rejected, words, sizeof(words));
	if (!memchr(words, '\0', sizeof(words)) || rejected > INT64_MAX)
		abort();
	(void)mt_alog_otel_answer(data, size, &rejected, words, sizeof(words));
	if (!memchr(words, '\0', sizeof(words)) || rejected > INT64_MAX)
		abort();
	return 0;
}
