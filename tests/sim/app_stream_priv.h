/* SPDX-License-Identifier: Apache-2.0 */
/* Between app_stream.c (bytes) and app_stream_plan.c (plans, retries, verdicts). */
#pragma once

#include "app_stream.h"

extern const struct sim_app stream_app;

/* Connects again later; false: this was the last attempt. */
bool stream_retry(struct stream_plan *p);
/* Before the connection is up. */
void stream_write_early(struct stream_part *w);
/* One side is over. */
void stream_part_ended(struct stream_part *w);
