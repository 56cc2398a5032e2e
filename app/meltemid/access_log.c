/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: the rings of the workers, and the outputs that the configuration wants. */
#include "daemon.h"

#include "mt_alog.h"
#include "mt_export.h"

#include <errno.h>

_Static_assert(MT_ALOG_WORKERS >= MT_WORKERS_MAX, "a ring for each worker");

int access_log_start(struct daemon *d, struct mt_err *e)
{
	d->log = mt_alog_new(d->n_workers, e);
	d->export = d->log ? mt_export_new(e) : NULL;
	if (!d->export) {
		mt_alog_free(d->log);
		d->log = NULL;
		return -ENOMEM;
	}
	mt_alog_use_export(d->log, d->export);
	mt_conf_set_log(d->conf, d->log);
	return 0;
}

/* Runs after the workers have ended. */
void access_log_stop(struct daemon *d)
{
	if (!d->log)
		return;
	mt_alog_stop(d->log, MT_ALOG_STOP);
	mt_conf_set_log(d->conf, NULL);
	mt_alog_free(d->log);
	mt_export_free(d->export);
	d->log = NULL;
	d->export = NULL;
}

void access_log_use(struct daemon *d, const struct mt_access_log *wanted)
{
	struct mt_alog_want w[MT_ALOG_OUTPUTS];
	uint32_t n = wanted ? wanted->n_outputs : 0;
	struct mt_err e;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_access_output *o = &wanted->outputs[i];

		w[i] = (struct mt_alog_want){o->document, o->place, o->spec, o->key, o->general,
			o->unserved, o->filter, o->collector, o->draw};
	}
	d->log_due = mt_alog_set(d->log, w, n, &e) != 0;
	if (d->log_due && !d->log_told)
		mt_log(MT_LOG_ERROR, "config", "access log: %s: %s; it is tried again each second",
			n ? w[0].document : "no output", e.text);
	d->log_told = d->log_due;
}

/* Logs that an output cannot be written any more, or can again. */
static void report(struct daemon *d, uint32_t i, const struct mt_alog_output_stats *st)
{
	struct log_report *r = &d->log_reports[i];
	enum mt_alog_state before = r->number == st->number ? r->state : MT_ALOG_STATE_ok;

	*r = (struct log_report){st->number, st->sink.state};
	if (st->sink.state == before)
		return;
	if (st->sink.state == MT_ALOG_STATE_ok)
		mt_log(MT_LOG_INFO, "config", "access log %s: %s are written", st->path, st->what);
	else
		mt_log(MT_LOG_WARN, "config", "access log %s: %s%s%s; %s %s", st->path,
			mt_alog_state_words(st->sink.state), st->sink.why.text[0] ? ": " : "",
			st->sink.why.text, st->what,
			mt_alog_state_loses(st->sink.state)
				? "are lost"
				: "wait in 4 MiB, further ones are lost");
}

void access_log_turn(struct daemon *d)
{
	struct mt_alog_output_stats st;

	mt_alog_turn(d->log);
	if (d->log_due)
		access_log_use(d, mt_conf_current(d->conf)->log);
	for (uint32_t i = 0; mt_alog_output(d->log, i, &st); i++)
		report(d, i, &st);
}

void access_log_reopen(void *arg)
{
	struct daemon *d = arg;

	mt_alog_reopen(d->log);
}
