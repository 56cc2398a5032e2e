/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tracing_span.h"

#include <string.h>

static inline struct mt_slice slice_of(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* The span of a call that failed, with all its fields. */
void span_of_call(struct mt_tracing_span *s);
/* Gives it a name, a state, a message and tags beyond all limits. */
void too_much(struct mt_tracing_span *s);
#define MANY_TAGS 100
extern const struct mt_tracing_tag small_tags[MANY_TAGS];
