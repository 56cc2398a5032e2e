/* SPDX-License-Identifier: Apache-2.0 */
/* Log levels: `show log`, and `log level`, which is an override like those of `tune`. */
#include "tune.h"

static json_t *show_log(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (int i = 0; i < MT_LOG_MODULES; i++) {
		enum mt_log_module m = (enum mt_log_module)i;
		const struct mt_log_counts *n = mt_log_counts(m);

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "module",
				mt_log_module_str(m), "level", mt_log_level_str(mt_log_level_of(m)),
				"errors", (json_int_t)n->lines[MT_LOG_ERROR], "warnings",
				(json_int_t)n->lines[MT_LOG_WARN], "info",
				(json_int_t)n->lines[MT_LOG_INFO], "debug",
				(json_int_t)n->lines[MT_LOG_DEBUG], "suppressed",
				(json_int_t)n->held_back, "about", mt_log_module_words(m)));
	}
	return json_pack("{s:o}", "log", list);
}

static json_t *log_level(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "log");
}

const struct mt_command mt_commands_log[] = {
	{.words = "show log",
		.args = "[TEXT]",
		.help = "the log's modules: level, lines since the start, suppressed lines",
		.names = {MT_NAMES_LOG},
		.run = show_log},
	{.words = "log level",
		.group = MT_GROUP_CHANGE,
		.args = "[MODULE] LEVEL [version=N]",
		.help = "error, warn, info or debug, for a module or for all of them",
		.more = "A level for all modules ends those of single ones; `show log` lists "
			"modules. It is an override as those of `tune`: it holds over reloads "
			"until `tune drop` or the end of the daemon, and `tune keep` makes it hold "
			"over restarts.",
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_LOG, MT_NAMES_LOG},
		.run = log_level},
	{0},
};
