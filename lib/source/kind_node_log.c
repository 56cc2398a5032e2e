/* SPDX-License-Identifier: Apache-2.0 */
/* The `log` of the Node's admin settings: log levels of modules at start. */
#include "mt_fields.h"
#include "mt_log.h"

#include <stdio.h>

static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};

static void unknown_module(struct mt_fctx *c, const struct mt_ynode *k)
{
	struct mt_suggest near = {.word = k->key};
	char remedy[96] = "`meltemi show log` has their names";

	for (int i = 0; i < MT_LOG_MODULES; i++)
		mt_suggest_offer(&near, mt_log_module_str((enum mt_log_module)i));
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %s?", near.best);
	mt_f_error(c, k->key_line, remedy, "there is no module \"%.64s\"", k->key);
}

static void read_modules(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_log *log = obj;

	if (!mt_want_map(c, n, "a map of modules and levels"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		int module = mt_log_module_find(k->key);
		uint32_t mark = mt_path_push(c, k->key);

		if (module < 0)
			unknown_module(c, k);
		else if (log->modules[module].set)
			mt_f_error(c, k->key_line, "keep one of them",
				"written twice, first on line %u", log->modules[module].line);
		else
			(void)mt_read_word(c, k, level_words, &log->modules[module]);
		mt_path_pop(c, mark);
	}
}

static const struct mt_field log_fields[] = {
	{"level", MT_F_WORD, AT(struct mt_node_log, level), .words = level_words,
		.help = "level of all modules; default: info; --log-level takes precedence"},
	{"modules", MT_F_CUSTOM, .custom = read_modules,
		.help = "a map of modules (`meltemi show log`) to levels of their own"},
};

const struct mt_section mt_sec_node_log = {
	"log setting", sizeof(struct mt_node_log), MT_ARRAY_LEN(log_fields), .fields = log_fields};
