/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the table of commands as a section of a manual page, in the form of docs/man: `*TERM*` and
 * `:   text`.
 */
#include "mt_ctl_priv.h"

#include <ctype.h>
#include <string.h>

/* Escapes characters that are markup in a manual page, except between backquotes. */
static void escaped(struct mt_text_buf *out, const char *text)
{
	bool quoted = false;

	for (; *text; text++) {
		quoted ^= *text == '`';
		if (!quoted && strchr("*_<>[]|\\", *text))
			mt_text_bytes(out, "\\", 1);
		mt_text_bytes(out, text, 1);
	}
}

/* Marks words in capitals, which are placeholders; other words are literal. */
static void arguments(struct mt_text_buf *out, const char *args)
{
	while (*args) {
		size_t len = strspn(args, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

		if (len) {
			mt_text_add(out, "*%.*s*", (int)len, args);
			args += len;
			continue;
		}
		escaped(out, (const char[]){*args, '\0'});
		args++;
	}
}

/* Writes the paragraphs of `more`, indented below their term; empty lines separate paragraphs. */
static void paragraphs(struct mt_text_buf *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[2048];

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		mt_text_add(out, len ? "    " : "");
		escaped(out, line);
		mt_text_add(out, "\n");
		text += len + (text[len] == '\n');
	}
}

void mt_ctl_commands_page(struct mt_text_buf *out)
{
	const struct mt_command *cmd;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		mt_text_add(out, "**%s**%s", cmd->words, *mt_command_args(cmd) ? " " : "");
		arguments(out, mt_command_args(cmd));
		mt_text_add(out, "\n:   %c", toupper((unsigned char)cmd->help[0]));
		escaped(out, cmd->help + 1);
		mt_text_add(out, "%s\n\n",
			mt_command_role(cmd) == MT_ROLE_OPERATE ? ". Of the role *operate*." : ".");
		if (cmd->more) {
			paragraphs(out, cmd->more);
			mt_text_add(out, "\n");
		}
	}
}
