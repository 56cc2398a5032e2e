/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `complete show conn*`: possible endings of the last word, which ends in an asterisk. This request
 * is all that an interactive shell needs: commands, live names, fields and filters come from here.
 */
#include "names.h"
#include "view.h"

#include <stdio.h>
#include <string.h>

/*
 * Number of the line's leading words that are (short forms of) the command's first words; *rest:
 * the command's other words.
 */
static uint32_t common(const char *words, const char *const *line, uint32_t n, const char **rest)
{
	uint32_t k = 0;

	while (k < n && *words) {
		size_t len = strcspn(words, " "), have = strlen(line[k]);

		if (have > len || memcmp(words, line[k], have) != 0)
			break;
		words += len + (words[len] == ' ');
		k++;
	}
	*rest = words;
	return k;
}

/* Offers the next word of each command that starts with the words of the line. */
static void offer_commands(const char *const *line, uint32_t n, struct mt_offers *o)
{
	const struct mt_command *cmd;
	const char *rest;
	char word[64];

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		size_t len;

		if (common(cmd->words, line, n, &rest) < n || !*rest)
			continue;
		len = strcspn(rest, " ");
		snprintf(word, sizeof(word), "%.*s", (int)len, rest);
		mt_offer(o, word, rest[len] ? "..." : cmd->help);
	}
}

/* The fields are those of the answer, so a running node is needed. */
static void offer_fields(struct mt_ctl *c, const struct mt_command *cmd, const struct mt_request *r,
	const char *sign, struct mt_offers *o)
{
	json_t *answer = c ? cmd->run(c, r) : NULL;
	struct mt_expr_names names;
	char word[96];

	mt_view_fields(answer, &names);
	for (uint32_t i = 0; i < names.n; i++) {
		snprintf(word, sizeof(word), "%s%s", names.of[i].name, sign);
		mt_offer(o, word, "field");
	}
	json_decref(answer);
}

static void offer_filters(const char *last, struct mt_offers *o)
{
	if (strcmp(last, "|") != 0)
		return;
	mt_offer(o, "grep", "only rows that hold a word");
	mt_offer(o, "count", "how many rows");
	mt_offer(o, "json", "as JSON");
}

/* Completes what follows a `show` and its arguments. */
static void offer_view(struct mt_ctl *c, const struct mt_command *cmd, const struct mt_request *r,
	const char *last, struct mt_offers *o)
{
	struct mt_ctl_view view = {.limit = UINT32_MAX};
	struct mt_request all = {.who = r->who, .view = &view};

	if (strcmp(last, "sort") == 0) {
		offer_fields(c, cmd, &all, "", o);
	} else if (strcmp(last, "where") == 0 || strpbrk(last, "=<>~")) {
		if (cmd->selects)
			cmd->offer(c, &all, o);
		offer_fields(c, cmd, &all, "=", o);
	} else if (strcmp(last, "limit") != 0) {
		mt_offer(o, "where",
			"only rows that match an expression: FIELD=VALUE, FIELD>N, FIELD~TEXT");
		mt_offer(o, "sort",
			"rows in the order of a field, largest first; -FIELD: smallest first");
		mt_offer(o, "limit", "at most so many rows");
		mt_offer(o, "wide", "all columns");
	}
}

/* Copies the name of argument `at` from words like "SERVICE [ENDPOINT]". */
static void argument(const char *args, uint32_t at, char *out, size_t size)
{
	while (at-- && *args) {
		args += strcspn(args, " ");
		args += *args == ' ';
	}
	snprintf(out, size, "%.*s", (int)strcspn(args, " "), args);
}

/* True if the line has reached a view. */
static bool has_view(const struct mt_request *r)
{
	for (uint32_t i = 0; i < r->n_args; i++)
		if (mt_view_is_word(r->args[i]))
			return true;
	return false;
}

static void offer_arguments(struct mt_ctl *c, const struct mt_command *cmd,
	const struct mt_request *line, uint32_t used, struct mt_offers *o, char *wants, size_t size)
{
	uint32_t at = line->n - used, min, max;
	const char *last = line->words[line->n - 1];
	bool show = strncmp(cmd->words, "show ", 5) == 0, view;
	struct mt_request asked = *line;

	for (uint32_t i = used; i < line->n; i++)
		if (strcmp(line->words[i], "|") == 0) {
			offer_filters(last, o);
			return;
		}
	mt_command_arity(mt_command_args(cmd), &min, &max);
	if (at < max) {
		argument(mt_command_args(cmd), at, wants, size);
		mt_offer_names(c, cmd->names[MT_MIN(at, MT_COMMAND_ARGS - 1u)], o);
	}
	asked.args = line->words + used;
	asked.n_args = at;
	view = has_view(&asked);
	if (c && cmd->offer && !view)
		cmd->offer(c, &asked, o);
	/* In an expression, comparison operators belong to the expression and not to `where`. */
	if (show && at >= min && cmd->offer && !view)
		offer_view(c, cmd, &asked, "", o);
	else if (show && at >= min)
		offer_view(c, cmd, &asked, last, o);
	if (at >= min)
		mt_offer(o, "|", "filters: grep WORD, count, json");
}

static json_t *as_rows(const struct mt_offers *o, const char *wants)
{
	json_t *rows = json_array(), *help;
	const char *word;

	json_object_foreach(o->words, word, help)
	{
		mt_json_add(rows, MT_M("word", word), MT_M("help", json_incref(help)));
	}
	return mt_json_object(MT_M("words", rows), MT_M("wants", wants), MT_M("more", o->more));
}

/* Offers what may replace o->part after the words of the line. `c` NULL: no node runs. */
static void offer_line(struct mt_ctl *c, struct mt_request *line, enum mt_role role,
	struct mt_offers *o, char *wants, size_t size)
{
	const struct mt_command *cmd = NULL;
	struct mt_err e;
	uint32_t used = 0;

	offer_commands(line->words, line->n, o);
	if (line->n)
		cmd = mt_command_find(line, &used, &e);
	if (cmd && (mt_command_role(cmd) != MT_ROLE_OPERATE || role >= mt_command_role(cmd)))
		offer_arguments(c, cmd, line, used, o, wants, size);
}

json_t *mt_run_complete(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_request line = {.who = r->who};
	struct mt_offers o = {.words = json_object()};
	char part[MT_CTL_LINE + 1] = "", wants[64] = "";
	json_t *answer;
	size_t len;

	line.n = r->n_args ? r->n_args - 1 : 0;
	memcpy(line.words, r->args, line.n * sizeof(r->args[0]));
	if (r->n_args)
		snprintf(part, sizeof(part), "%s", r->args[line.n]);
	len = strlen(part);
	if (len && part[len - 1] == '*')
		part[len - 1] = '\0';
	o.part = part;
	offer_line(c, &line, r->who->role, &o, wants, sizeof(wants));
	answer = as_rows(&o, wants);
	json_decref(o.words);
	return answer;
}

void mt_ctl_complete(const char *const *words, uint32_t n, struct mt_text_buf *out)
{
	struct mt_request line = {.n = n ? n - 1 : 0};
	struct mt_offers o = {.part = n ? words[n - 1] : ""};
	char wants[64] = "";
	const char *word;
	json_t *help;

	if (line.n > MT_CTL_WORDS)
		return;
	memcpy(line.words, words, line.n * sizeof(*words));
	o.words = json_object();
	offer_line(NULL, &line, MT_ROLE_OPERATE, &o, wants, sizeof(wants));
	json_object_foreach(o.words, word, help)
	{
		mt_text_add(out, "%s\t%s\n", word, json_string_value(help));
	}
	json_decref(o.words);
}
