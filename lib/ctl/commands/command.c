/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line to an answer: finds the command, checks its arguments and the client's role, runs it,
 * and formats the answer.
 */
#include "names.h"
#include "view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct mt_command *const parts[] = {
	mt_commands_show,
	mt_commands_load,
	mt_commands_analyse,
	mt_commands_act,
	mt_commands_drain,
	mt_commands_tune,
	mt_commands_log,
	mt_commands_trace,
	mt_commands_capture,
	mt_commands_help,
};

const struct mt_command *mt_command_at(uint32_t i)
{
	for (size_t p = 0; p < MT_ARRAY_LEN(parts); p++)
		for (const struct mt_command *cmd = parts[p]; cmd->words; cmd++)
			if (i-- == 0)
				return cmd;
	return NULL;
}

void mt_command_arity(const char *args, uint32_t *min, uint32_t *max)
{
	*min = *max = 0;
	while (*args) {
		size_t len = strcspn(args, " ");
		bool many = len > 3 && memmem(args, len, "...", 3);

		*min += *args != '[';
		*max = many || *max == UINT32_MAX ? UINT32_MAX : *max + 1;
		args += len + (args[len] == ' ');
	}
}

json_t *mt_ctl_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Truncation may split a UTF-8 character, which mt_json_text() escapes. */
	return mt_json_object(MT_M("error", text));
}

json_t *mt_ctl_wrong(const struct mt_err *e)
{
	return mt_json_object(MT_M("error", e->text), MT_M("wrong", json_true()));
}

/* The exit code of an answer. */
static int code_of(json_t *j)
{
	bool wrong = json_object_get(j, "wrong") && json_object_get(j, "error");

	if (wrong)
		json_object_del(j, "wrong");
	if (!j || json_object_get(j, "error"))
		return wrong ? MT_CTL_USAGE : MT_CTL_FAILED;
	return MT_CTL_OK;
}

/*
 * Number of words of the request that match the whole command; 0: it does not match. *exact: no
 * word is shortened.
 */
static uint32_t match_words(const struct mt_request *r, const char *words, bool *exact)
{
	uint32_t n = 0;

	*exact = true;
	for (const char *w = words; *w;) {
		size_t len = strcspn(w, " "), have;

		if (n == r->n)
			return 0;
		have = strlen(r->words[n]);
		if (have > len || memcmp(w, r->words[n], have) != 0)
			return 0;
		*exact = *exact && have == len;
		n++;
		w += len + (w[len] == ' ');
	}
	return n;
}

/* Lists the words that may follow an incomplete command such as "show"; false: there are none. */
static bool rest_of(const struct mt_request *r, struct mt_err *e)
{
	const struct mt_command *cmd;
	size_t n = 0;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		const char *words = cmd->words;
		size_t len = strcspn(words, " "), have = strlen(r->words[0]);

		if (r->n != 1 || !words[len] || have > len || memcmp(words, r->words[0], have))
			continue;
		if (n == 0)
			n = (size_t)snprintf(
				e->text, sizeof(e->text), "%.*s what?", (int)len, words);
		if (n < sizeof(e->text))
			n += (size_t)snprintf(
				e->text + n, sizeof(e->text) - n, " %s", words + len + 1);
	}
	return n > 0;
}

/* Lists the commands that an ambiguous short form could mean. */
static void name_all(const struct mt_request *r, uint32_t used, struct mt_err *e)
{
	const struct mt_command *cmd;
	size_t n = 0;
	bool exact;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL && n < sizeof(e->text); i++)
		if (match_words(r, cmd->words, &exact) == used)
			n += (size_t)snprintf(e->text + n, sizeof(e->text) - n, "%s`%s`",
				n ? ", " : "which one: ", cmd->words);
}

static void say_unknown(const struct mt_request *r, struct mt_err *e)
{
	const struct mt_command *near = mt_command_nearest(r);
	bool two = r->n > 1;

	if (near)
		mt_err(e, 0, "no command `%s%s%s`; did you mean `%s`?", r->words[0], two ? " " : "",
			two ? r->words[1] : "", near->words);
	else
		mt_err(e, 0, "no command `%s%s%s`; try `help`", r->words[0], two ? " " : "",
			two ? r->words[1] : "");
}

const struct mt_command *mt_command_find(
	const struct mt_request *r, uint32_t *used, struct mt_err *e)
{
	const struct mt_command *found = NULL, *other = NULL, *cmd;
	bool whole = false;

	if (r->n == 0) {
		mt_err(e, 0, "no command; try `help`");
		return NULL;
	}
	*used = 0;
	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		bool exact;
		uint32_t n = match_words(r, cmd->words, &exact);

		/* More words win over fewer, and full words over short forms. */
		if (n == 0 || n < *used || (n == *used && whole))
			continue;
		other = n == *used && !exact ? found : NULL;
		*used = n;
		whole = exact;
		found = cmd;
	}
	if (other)
		name_all(r, *used, e);
	else if (!found && !rest_of(r, e))
		say_unknown(r, e);
	return other ? NULL : found;
}

/* The only role check; false with the reason in e. */
static bool may_run(const struct mt_command *cmd, const struct mt_who *who, struct mt_err *e)
{
	if (who->role >= mt_command_role(cmd))
		return true;
	mt_err(e, 0,
		"%s has the role view, which changes nothing: `%s` needs the operators' socket "
		"(spec.admin.socket)",
		who->name, cmd->words);
	return false;
}

static bool words_fit(const struct mt_command *cmd, uint32_t n, struct mt_err *e)
{
	uint32_t min, max;

	mt_command_arity(mt_command_args(cmd), &min, &max);
	if (n >= min && n <= max)
		return true;
	mt_err(e, 0, "too %s words; usage: %s%s%s%s", n < min ? "few" : "many", cmd->words,
		*mt_command_args(cmd) ? " " : "", mt_command_args(cmd),
		n > max && strncmp(cmd->words, "show ", 5) == 0
			? " (rows with a word: `| grep WORD`)"
			: "");
	return false;
}

/*
 * Cuts the view off the request. `where`, `sort`, `limit` and `wide` belong to the view of `show`
 * only; for other commands they may be arguments.
 */
static int cut_view(
	struct mt_ctl_view *v, struct mt_request *r, const struct mt_command *cmd, struct mt_err *e)
{
	/* `complete` gets lines that are still being typed. */
	if (cmd->run == mt_run_complete) {
		*v = (struct mt_ctl_view){.limit = UINT32_MAX};
		return 0;
	}
	return mt_view_cut(v, r, strncmp(cmd->words, "show ", 5) == 0, e);
}

/* Turns `COMMAND ... --help` into `help COMMAND`. */
static void ask_for_help(struct mt_request *r)
{
	struct mt_err e;
	uint32_t used;

	if (r->n && !mt_command_find(r, &used, &e))
		used = r->n;
	r->n = r->n ? MT_MIN(used, MT_CTL_WORDS - 1u) : 0;
	memmove(r->words + 1, r->words, r->n * sizeof(r->words[0]));
	r->words[0] = "help";
	r->n++;
}

/* MT_CTL_FOUND if the answer has a member `found` above 0, otherwise MT_CTL_OK. */
static int found(const json_t *j)
{
	return json_integer_value(json_object_get(j, "found")) > 0 ? MT_CTL_FOUND : MT_CTL_OK;
}

/*
 * Selects the rows of the object that the argument names, for all commands: none of them does it
 * itself. False: no row has the name and the command does not know it; *j is an error.
 */
static bool select_named(const struct mt_command *cmd, const struct mt_request *r, json_t **j)
{
	json_t *error;

	if (!r->n_args || !cmd->key)
		return true;
	mt_render_named(*j, cmd->key, r->args[0]);
	if (!cmd->none || !mt_render_is_empty(*j))
		return true;
	error = cmd->none(r->args[0]);
	if (!error)
		return true;
	json_decref(*j);
	*j = error;
	return false;
}

/* Runs a parsed request; *code as mt_ctl_command() returns it. */
static json_t *run(struct mt_ctl *c, struct mt_request *r, int *code)
{
	const struct mt_command *cmd;
	struct mt_err e = {""};
	struct mt_ctl_view view;
	uint32_t used = 0;
	json_t *j;

	*code = MT_CTL_USAGE;
	if (r->help)
		ask_for_help(r);
	cmd = mt_command_find(r, &used, &e);
	if (!cmd || cut_view(&view, r, cmd, &e) < 0)
		return mt_ctl_error("%s", e.text);
	if (cmd->settings)
		mt_request_settings(r, used, cmd->settings);
	r->command = cmd;
	r->args = r->words + used;
	r->n_args = r->n - used;
	if (!words_fit(cmd, r->n_args, &e))
		return mt_ctl_error("%s", e.text);
	*code = MT_CTL_FAILED;
	if (!may_run(cmd, r->who, &e))
		return mt_ctl_error("%s", e.text);
	r->view = &view;
	j = cmd->run(c, r);
	if (cmd->selects)
		view.where[0] = '\0';
	*code = code_of(j);
	if (*code == MT_CTL_OK && !select_named(cmd, r, &j))
		*code = MT_CTL_USAGE;
	if (*code == MT_CTL_OK && mt_view_apply(&view, &j, &e) < 0) {
		*code = MT_CTL_USAGE;
		json_decref(j);
		return mt_ctl_error("%s", e.text);
	}
	if (*code == MT_CTL_OK && cmd->columns && !r->json && !view.wide)
		mt_view_narrow(&view, cmd->columns, j);
	if (*code == MT_CTL_OK)
		*code = found(j);
	return j ? j : mt_ctl_error("no memory");
}

void mt_ctl_text(const json_t *j, struct mt_text_buf *out)
{
	mt_render_text(j, out);
}

json_t *mt_command_look(struct mt_ctl *c, const char *words)
{
	static const struct mt_who anybody = {.name = "http", .role = MT_ROLE_VIEW};
	const struct mt_request r = {.who = &anybody, .json = true};
	const struct mt_command *cmd;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++)
		if (strcmp(cmd->words, words) == 0)
			return mt_command_role(cmd) == MT_ROLE_VIEW ? cmd->run(c, &r) : NULL;
	return NULL;
}

void mt_ctl_put_answer(json_t *j, bool json, struct mt_text_buf *out)
{
	char *text;

	if (json) {
		text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		mt_text_add(out, "%s\n", text ? text : "{\"error\": \"no memory\"}");
		free(text);
	} else {
		mt_render_text(j, out);
	}
	json_decref(j);
}

int mt_ctl_command(struct mt_ctl *c, const struct mt_who *who, const char *line, size_t len,
	struct mt_text_buf *out)
{
	static const struct mt_who self = {.name = "meltemid", .role = MT_ROLE_OPERATE};
	struct mt_request r;
	struct mt_err e;
	int code = MT_CTL_USAGE;
	json_t *j;

	r.who = who ? who : &self;
	if (mt_request_parse(&r, line, len, &e) < 0)
		j = mt_ctl_error("%s", e.text);
	else
		j = run(c, &r, &code);
	if (c->later.answer && !c->later.asked) {
		c->later.asked = true;
		json_decref(j);
		return MT_CTL_PENDING;
	}
	mt_ctl_put_answer(j, r.json, out);
	return code;
}
