/* SPDX-License-Identifier: Apache-2.0 */
/* The filters and draws of access logs that workers evaluate. */
#include "mt_alog_sieve.h"
#include "mt_conf_log_priv.h"

static bool takes(const struct mt_access_output *o, bool call)
{
	return !o->collector || mt_alog_service_takes(o->collector->service, call);
}

void mt_b_log_sieve(struct mt_build *b)
{
	struct mt_alog_sift outputs[MT_ALOG_OUTPUTS];
	struct mt_snapshot *s = &b->snap->pub;
	uint32_t n = s->log ? s->log->n_outputs : 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_access_output *o = &s->log->outputs[i];

		outputs[i] = (struct mt_alog_sift){.key = o->key,
			.general = o->general,
			.unserved = o->unserved,
			.calls = takes(o, true),
			.streams = takes(o, false),
			.filter = o->filter,
			.draw = o->draw};
	}
	if (!mt_alog_sieve_new(outputs, n, &s->log_sieve))
		b->tmp.failed = true;
}
