/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_steps_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_steps_codec(&mt_codec_dubbo, data, size);
}
