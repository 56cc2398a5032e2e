/* SPDX-License-Identifier: Apache-2.0 */
/* `analyse`: problems of policies that are valid, and the services that a caller may call. */
#include "mt_ctl_priv.h"

#include <string.h>

/* The text after "NAME="; NULL: another word. */
static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static json_t *run_analyse(struct mt_ctl *c, const struct mt_request *r)
{
	const char *principal = NULL, *from = NULL;
	struct mt_err e = {""};
	struct mt_addr addr;
	json_t *j;

	for (uint32_t i = 0; i < r->n_args; i++) {
		const char *p = value_of(r->args[i], "principal"),
			   *f = value_of(r->args[i], "from");

		if (!p && !f)
			return mt_ctl_error("usage: analyse [principal=PRINCIPAL] [from=ADDRESS]");
		principal = p ? p : principal;
		from = f ? f : from;
	}
	if (from && mt_addr_parse(from, &addr))
		return mt_ctl_error("from=%s is not an address", from);
	if (!c->env.analyse)
		return mt_ctl_error("there is no configuration to analyse");
	if (from && !principal)
		principal = "";
	j = c->env.analyse(c->env.arg, principal, from ? &addr : NULL, &e);
	return j ? j : mt_ctl_error("%s", e.text);
}

const struct mt_command mt_commands_analyse[] = {
	/*
	 * For operators, because the cost depends on the whole configuration and the control thread
	 * pays it.
	 */
	{.words = "analyse",
		.group = MT_GROUP_EXPLAIN,
		.operate = true,
		.args = "[WORD...]",
		.settings = "principal from",
		.help = "problems of policies: open services, rules that never decide",
		.more = "analyse [principal=PRINCIPAL] [from=ADDRESS]\n\nServices without "
			"policies, rules that never decide, plaintext traffic, names that no "
			"workload has, each with file and line, in the whole active configuration. "
			"docs/reference/findings.md lists the findings. Exit status 1: there are "
			"findings other than notes. With `principal=cluster.local/ns/a/sa/b` "
			"(empty: a plaintext caller): the services that such a caller may call, "
			"completely or some methods, and the rule that admits it.",
		.run = run_analyse},
	{0},
};
