/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: traces. */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_trace.h"

/* Commands. */
json_t *mt_trace_start(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_trace_show(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_trace_stop(struct mt_ctl *c, const struct mt_request *r);

/* trace_render.c: a row for each step of the journey, which is the `number`th; with_fields: values by name, too. */
void mt_trace_render(
	json_t *rows, const struct mt_trace_journey *j, uint32_t number, bool with_fields);
