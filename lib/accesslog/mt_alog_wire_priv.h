/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/accesslog: texts and fields of messages to collectors. */
#pragma once

#include "mt_alog_wire.h"
#include "mt_pb_text.h"

#include <string.h>

static inline struct mt_slice mt_alog_slice(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}
