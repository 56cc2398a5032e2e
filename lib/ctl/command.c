/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: what the shell understands, completes and explains. */
#include "mt_ctl_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static json_t *run_reload(struct mt_ctl *c, const struct mt_request *r);
static json_t *run_drain(struct mt_ctl *c, const struct mt_request *r);
static json_t *run_help(struct mt_ctl *c, const struct mt_request *r);

const struct mt_command mt_commands[] = {
	{"show version", "", "version, node, state, uptime", mt_show_version},
	{"show ports", "[TEXT]", "ports with link, packets and what is wrong with them",
		mt_show_ports},
	{"show workers", "", "load, connections and time by stage of each worker", mt_show_workers},
	{"show connections", "[TEXT]", "TCP connections, both sides", mt_show_connections},
	{"show neighbours", "[TEXT]", "Ethernet addresses of hosts on the links",
		mt_show_neighbours},
	{"show services", "[TEXT]", "services with requests, failures and latency",
		mt_show_services},
	{"show routes", "[TEXT]", "routes in order, with match and destinations", mt_show_routes},
	{"show clusters", "[TEXT]", "endpoints with health, requests and connections",
		mt_show_clusters},
	{"show dns", "[TEXT]", "names of services, and the servers that are asked about others",
		mt_show_dns},
	{"show limits", "[TEXT]", "rate limits with tokens left, admitted and refused",
		mt_show_limits},
	{"show memory", "", "pools: size, in use, fewest free since start", mt_show_memory},
	{"show counters", "[TEXT]", "every counter, by name", mt_show_counters},
	{"show errors", "[TEXT]", "what was refused, dropped or went wrong, why, and what helps",
		mt_show_errors},
	{"show meaning", "[TEXT]", "what each counter counts, and what to do about it",
		mt_show_meaning},
	{"show config", "", "the configuration in use, and what was said about it", mt_show_config},
	{"show xds", "[TEXT]", "discovery servers: streams, types, versions, and what is wrong",
		mt_show_xds},
	{"show resources", "[TEXT]", "what discovery servers said, each with its state and why",
		mt_show_resources},
	{"reload", "", "read the documents again", run_reload},
	{"drain", "", "take no new connections, finish what is owed", run_drain},
	{"help", "", "this list", run_help},
};

const uint32_t mt_n_commands = MT_ARRAY_LEN(mt_commands);

json_t *mt_ctl_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_pack("{s:s}", "error", text);
}

static json_t *run_reload(struct mt_ctl *c, const struct mt_request *r)
{
	int rc;

	if (!c->env.reload)
		return mt_ctl_error("this daemon cannot reload");
	c->reload_words[0] = '\0';
	rc = c->env.reload(c->env.arg, c->reload_words, sizeof(c->reload_words));
	c->reload_ok = rc == 0;
	c->reloaded_at = c->now;
	if (rc < 0)
		return mt_ctl_error("%s", c->reload_words);
	return json_pack("{s:s}", "reload", c->reload_words);
}

/* Nothing ends by this: the operator looks at what is left, and stops the daemon himself. */
static json_t *run_drain(struct mt_ctl *c, const struct mt_request *r)
{
	if (!c->env.drain)
		return mt_ctl_error("this daemon cannot drain");
	c->env.drain(c->env.arg);
	return json_pack("{s:s}", "drain",
		"no new connections are taken; `show connections` tells what is left");
}

static json_t *run_help(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < mt_n_commands; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s}", "command", mt_commands[i].words, "arguments",
				mt_commands[i].args, "help", mt_commands[i].help));
	return json_pack("{s:o}", "commands", list);
}

/* How many words of the request begin the command: 0 none, else whole and short forms in *exact. */
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

/* The words that may follow those that were given: "show" is half a command. */
static bool rest_of(const struct mt_request *r, struct mt_err *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < mt_n_commands; i++) {
		const char *words = mt_commands[i].words;
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

const struct mt_command *mt_command_find(
	const struct mt_request *r, uint32_t *used, struct mt_err *e)
{
	const struct mt_command *found = NULL;

	if (r->n == 0) {
		mt_err(e, 0, "no command; try `help`");
		return NULL;
	}
	for (uint32_t i = 0; i < mt_n_commands; i++) {
		bool exact;
		uint32_t n = match_words(r, mt_commands[i].words, &exact);

		if (n == 0)
			continue;
		*used = n;
		/* A whole word wins over longer ones that it begins. */
		if (exact)
			return &mt_commands[i];
		if (found) {
			mt_err(e, 0, "`%s` or `%s`?", found->words, mt_commands[i].words);
			return NULL;
		}
		found = &mt_commands[i];
	}
	if (!found && !rest_of(r, e))
		mt_err(e, 0, "no command `%s%s%s`; try `help`", r->words[0], r->n > 1 ? " " : "",
			r->n > 1 ? r->words[1] : "");
	return found;
}

/* The answer of a request that was understood; *code as in mt_ctl_command(). */
static json_t *run(struct mt_ctl *c, const struct mt_request *r, int *code)
{
	const struct mt_command *cmd;
	struct mt_err e = {""};
	uint32_t used = 0;
	json_t *j;

	*code = MT_CTL_USAGE;
	cmd = mt_command_find(r, &used, &e);
	if (!cmd)
		return mt_ctl_error("%s", e.text);
	if (r->n - used > (cmd->args[0] ? 1u : 0u))
		return mt_ctl_error("too many words; usage: %s %s", cmd->words, cmd->args);
	j = cmd->run(c, r);
	*code = j && !json_object_get(j, "error") ? MT_CTL_OK : MT_CTL_FAILED;
	/* Filtered here for all commands alike: none of them knows about it. */
	if (*code == MT_CTL_OK && r->n > used)
		mt_render_filter(j, r->words[used]);
	return j ? j : mt_ctl_error("no memory");
}

int mt_ctl_command(struct mt_ctl *c, const char *line, size_t len, struct mt_text_buf *out)
{
	struct mt_request r;
	struct mt_err e;
	int code = MT_CTL_USAGE;
	json_t *j;
	char *text;

	if (mt_request_parse(&r, line, len, &e) < 0)
		j = mt_ctl_error("%s", e.text);
	else
		j = run(c, &r, &code);
	if (r.json) {
		text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		mt_text_add(out, "%s\n", text ? text : "{\"error\": \"no memory\"}");
		free(text);
	} else {
		mt_render_text(j, out);
	}
	json_decref(j);
	return code;
}
