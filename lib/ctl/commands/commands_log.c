/* SPDX-License-Identifier: Apache-2.0 */
/* Log levels: `show log`, and `log level`, which is an override like those of `tune`. */
#include "tune.h"

static json_t *show_log(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (int i = 0; i < MT_LOG_MODULES; i++) {
		enum mt_log_module m = (enum mt_log_module)i;
		const struct mt_log_counts *n = mt_log_counts(m);

		mt_json_add(list, MT_M("module", mt_log_module_str(m)),
			MT_M("level", mt_log_level_str(mt_log_level_of(m))),
			MT_M("errors", n->lines[MT_LOG_ERROR]),
			MT_M("warnings", n->lines[MT_LOG_WARN]),
			MT_M("info", n->lines[MT_LOG_INFO]), MT_M("debug", n->lines[MT_LOG_DEBUG]),
			MT_M("suppressed", n->held_back), MT_M("about", mt_log_module_words(m)));
	}
	return mt_json_object(MT_M("log", list));
}

const struct mt_command mt_commands_log[] = {
	{.words = "show log",
		.args = "[MODULE]",
		.key = "module",
		.help = "the log's modules: level, lines since the start, suppressed lines",
		.names = {MT_NAMES_MODULE},
		.run = show_log},
	{.words = "show telemetry",
		.columns = "sink state wanted written lost bytes opened why",
		.help = "outputs of the access log: state, lines wanted, written and lost",
		.more = "Lines that are neither written nor lost wait in the output's buffer. "
			"`wide` and JSON have the object that specifies the output, and the lost "
			"lines by reason: lost_ring (a worker's ring was full), lost_busy (lines "
			"arrived faster than they were written), and lost_STATE for each state "
			"in which the buffer was full.",
		.run = mt_show_telemetry},
	{.words = "log reopen",
		.group = MT_GROUP_CHANGE,
		.help = "open the files of the access log again, as SIGUSR1 does",
		.run = mt_run_log_reopen},
	{.words = "log level",
		.group = MT_GROUP_CHANGE,
		.args = "[MODULE] LEVEL [version=N]",
		.settings = "version",
		.help = "error, warn, info or debug, for a module or for all of them",
		.more = "A level for all modules ends those of single ones; `show log` lists "
			"modules. It is an override as those of `tune`: it holds over reloads "
			"until `tune drop` or the end of the daemon, and `tune keep` makes it hold "
			"over restarts.",
		.names = {MT_NAMES_LOG, MT_NAMES_LOG},
		.run = mt_run_tune},
	{0},
};
