/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `show telemetry`: outputs of the access log and of spans; `log reopen`; their check in `show
 * health`.
 */
#include "mt_alog.h"
#include "mt_ctl_priv.h"
#include "mt_health.h"

#include <stdio.h>

static uint64_t lost(const struct mt_alog_output_stats *st)
{
	uint64_t n = st->lost_ring;

	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		n += st->sink.lost[i];
	return n;
}

/* Lines lost by reason, each as a member: lost_ring, and lost_STATE of the sink. */
static void add_reasons(json_t *row, const struct mt_alog_output_stats *st)
{
	char name[40];

	mt_json_set(row, MT_M("lost_ring", st->lost_ring));
	for (uint32_t i = 0; i < MT_ALOG_STATES; i++) {
		snprintf(name, sizeof(name), "lost_%s", mt_alog_lost_name((enum mt_alog_state)i));
		mt_json_set(row, MT_M(name, st->sink.lost[i]));
	}
}

static void add_sink(json_t *list, const struct mt_alog_output_stats *st)
{
	json_t *row = mt_json_add(list, MT_M("sink", (const char *)st->path),
		MT_M("state", mt_alog_state_name(st->sink.state)), MT_M("wanted", st->wanted),
		MT_M("written", st->sink.written), MT_M("lost", lost(st)),
		MT_M("why", mt_json_known(st->sink.why.text)), MT_M("bytes", st->sink.bytes),
		MT_M("opened", st->sink.opened), MT_M("document", st->document));

	add_reasons(row, st);
}

json_t *mt_show_telemetry(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();
	struct mt_alog_output_stats st;

	(void)r;
	for (uint32_t i = 0; c->env.log && mt_alog_output(c->env.log, i, &st); i++)
		add_sink(list, &st);
	return mt_json_object(MT_M("sinks", list));
}

json_t *mt_run_log_reopen(struct mt_ctl *c, const struct mt_request *r)
{
	(void)r;
	if (!c->env.log)
		return mt_ctl_error("this daemon writes no access log");
	mt_alog_reopen(c->env.log);
	return mt_json_object(MT_M("access_log", "files are opened again before their next lines"));
}

void mt_check_access_log(struct mt_health *h)
{
	struct mt_alog_output_stats st;

	for (uint32_t i = 0; h->c->env.log && mt_alog_output(h->c->env.log, i, &st); i++)
		if (st.sink.state != MT_ALOG_STATE_ok)
			mt_found(h, MT_FOUND_WARNING, st.path,
				st.is_sent ? "check the collector, and the service and port of the "
					     "provider; `show telemetry` counts what is lost"
					   : "make the file writable, or change accessLogFile; "
					     "`show telemetry` counts lost lines",
				"%s are not written: %s%s%s", st.what,
				mt_alog_state_words(st.sink.state), st.sink.why.text[0] ? ": " : "",
				st.sink.why.text);
}
