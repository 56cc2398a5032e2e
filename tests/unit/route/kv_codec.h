/* SPDX-License-Identifier: Apache-2.0 */
/* A codec for tests: metadata are the lines "key=value" of a text. */
#pragma once

#include "mt_view.h"

extern const struct mt_codec kv_codec;

/* A view over `text`, which must outlive it. */
void kv_view(struct mt_view *v, const char *text);

/* Calls of metadata() since start. */
extern uint32_t kv_reads;
