/* SPDX-License-Identifier: Apache-2.0 */
/* Help, made from the table of commands. */
#include "names.h"

#include <string.h>

static const char *role_str(enum mt_role role)
{
	return role == MT_ROLE_OPERATE ? "operate" : "view";
}

/* True if the words of the request are (short forms of) the command's first words. */
static bool begins(const struct mt_command *cmd, const struct mt_request *r)
{
	const char *w = cmd->words;

	for (uint32_t i = 0; i < r->n_args; i++) {
		size_t len = strcspn(w, " "), have = strlen(r->args[i]);

		if (!*w || have > len || memcmp(w, r->args[i], have) != 0)
			return false;
		w += len + (w[len] == ' ');
	}
	return true;
}

static json_t *one(const struct mt_command *cmd)
{
	char usage[256];
	bool table = strncmp(cmd->words, "show ", 5) == 0;

	snprintf(usage, sizeof(usage), "%s%s%s%s", cmd->words, *mt_command_args(cmd) ? " " : "",
		mt_command_args(cmd),
		table ? " [where EXPRESSION] [sort FIELD] [limit N] [wide]" : "");
	return mt_json_object(MT_M("usage", usage), MT_M("what", cmd->help),
		MT_M("role", role_str(mt_command_role(cmd))),
		MT_M("columns", mt_json_known(cmd->columns)),
		MT_M("more", mt_json_known(cmd->more)));
}

/*
 * Rows of the commands that begin with the words of the request: in text by section, each with a
 * title, and in JSON in the order of the table.
 */
static json_t *rows_of(const struct mt_request *r)
{
	static const char *const names[MT_N_GROUPS] = {"look", "explain", "change", "rescue"};
	json_t *list = json_array();
	const struct mt_command *cmd;

	for (enum mt_group group = 0; group < (r->json ? 1 : MT_N_GROUPS); group++)
		for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++)
			if ((r->json || cmd->group == group) && begins(cmd, r))
				mt_json_add(list, MT_M("section", names[cmd->group]),
					MT_M("command", cmd->words),
					MT_M("arguments", mt_command_args(cmd)),
					MT_M("role", role_str(mt_command_role(cmd))),
					MT_M("help", cmd->help));
	return list;
}

static json_t *run_help(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_command *found = NULL;
	struct mt_request words = {.n = r->n_args};
	json_t *list;
	struct mt_err e;
	uint32_t used;

	memcpy(words.words, r->args, r->n_args * sizeof(r->args[0]));
	if (r->n_args)
		found = mt_command_find(&words, &used, &e);
	if (found && used == r->n_args)
		return one(found);
	list = rows_of(r);
	if (json_array_size(list) == 0) {
		json_decref(list);
		return mt_ctl_error("no command `%s`; `help` lists them all", r->args[0]);
	}
	return mt_json_object(MT_M("commands", list));
}

const struct mt_command mt_commands_help[] = {
	{.words = "help",
		.group = MT_GROUP_EXPLAIN,
		.args = "[COMMAND...]",
		.help = "this list, or the description of a command",
		.more = "Words may be shortened while they are unique. Every `show` accepts, after "
			"its own words, `where EXPRESSION` (`where n>5 state=open not name~x`: "
			"docs/reference/expressions.md), `sort FIELD` (largest first, "
			"-FIELD: smallest first), `limit N` and `wide` (all columns; without it "
			"text has at most ten of each table, and those that `where` and `sort` "
			"name). Every command accepts `| grep WORD`, `| count` and `| json` at its "
			"end.",
		.names = {MT_NAMES_COMMAND},
		.run = run_help},
	{.words = "complete",
		.group = MT_GROUP_EXPLAIN,
		.args = "[WORD...]",
		.help = "completions for these words, where the last word ends in *; for shells",
		.more = "`complete show co*` returns the possible words: parts of commands, names "
			"of the node's current objects, fields, filters. At most 200; `more` is "
			"true if there are others.",
		.run = mt_run_complete},
	{0},
};
