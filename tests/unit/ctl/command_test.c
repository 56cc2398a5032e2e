/* SPDX-License-Identifier: Apache-2.0 */
#include "explain.h"
#include "suites.h"

#include <errno.h>

#define W8 "1 2 3 4 5 6 7 8 "

static void test_parse(void)
{
	static const struct {
		const char *line;
		int rc;
		uint32_t n;
		bool json;
		const char *last;
	} t[] = {
		{"show ports", 0, 2, false, "ports"},
		{"  show\tports  \r", 0, 2, false, "ports"},
		{"--json show ports", 0, 2, true, "ports"},
		{"show ports --json", 0, 2, true, "ports"},
		{"", 0, 0, false, NULL},
		{"   ", 0, 0, false, NULL},
		{"{\"command\": \"show ports\"}", 0, 2, false, "ports"},
		{"{\"command\": \"show ports\", \"json\": true}", 0, 2, true, "ports"},
		{"{\"command\": \"show ports --json\"}", 0, 2, true, "ports"},
		{"{\"command\": 5}", -EINVAL, 0, false, NULL},
		{"{\"command\": \"a\", \"other\": 1}", -EINVAL, 0, false, NULL},
		{"{\"command\": \"a\\nb\"}", -EINVAL, 0, false, NULL},
		{"{\"command\": \"a\", \"command\": \"b\"}", -EINVAL, 0, false, NULL},
		{"{", -EINVAL, 0, false, NULL},
		{"{}", -EINVAL, 0, false, NULL},
		{"show\x01ports", -EINVAL, 0, false, NULL},
		{"show\x7fports", -EINVAL, 0, false, NULL},
		{"\xff\xfe", -EINVAL, 0, false, NULL},
		{"show \xc3", -EINVAL, 0, false, NULL},
		{"{\"command\": \"show \\u009b\"}", -EINVAL, 0, false, NULL},
		{"show \xc3\xbc", 0, 2, false, "\xc3\xbc"},
		{W8 W8 W8 W8 W8 W8 W8 W8, 0, 64, false, "8"},
		{W8 W8 W8 W8 W8 W8 W8 W8 "9", -EINVAL, 64, false, NULL},
	};
	static char longest[MT_CTL_LINE + 2];
	struct mt_request r;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(mt_request_parse(&r, t[i].line, strlen(t[i].line), &e), t[i].rc);
		if (t[i].rc)
			continue;
		CU_ASSERT(r.n == t[i].n && r.json == t[i].json);
		if (t[i].last)
			CU_ASSERT_STRING_EQUAL(r.words[r.n - 1], t[i].last);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	CU_ASSERT_EQUAL(mt_request_parse(&r, longest, MT_CTL_LINE, &e), 0);
	CU_ASSERT_EQUAL(strlen(r.words[0]), MT_CTL_LINE);
	CU_ASSERT_EQUAL(mt_request_parse(&r, longest, MT_CTL_LINE + 1, &e), -EINVAL);
}

/* "KEY VALUE" is "KEY=VALUE" for the keys of the command, and for no other words. */
static void test_settings(void)
{
	static const char *const t[][3] = {
		{"tune limit a:1 max 5  fill\t10s", "max fill", "tune limit a:1 max=5 fill=10s"},
		{"tune limit a:1 max=5 fill 10s", "max fill", "tune limit a:1 max=5 fill=10s"},
		{"tune limit max max", "max", "tune limit max=max"},
		{"tune limit a:1 per-fill 5", "fill", "tune limit a:1 per-fill 5"},
		{"tune limit a:1 max", "max", "tune limit a:1 max"},
		{"tune limit", "tune limit", "tune limit"},
	};
	char text[MT_CTL_LINE + 1];
	struct mt_request r;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(mt_request_parse(&r, t[i][0], strlen(t[i][0]), &e), 0);
		mt_request_settings(&r, 2, t[i][1]);
		mt_ctl_join_words(r.words, r.n, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, t[i][2]);
	}
}

static void test_find(void)
{
	static const struct {
		const char *line, *command, *says;
		uint32_t used;
	} t[] = {
		{"show ports", "show ports", NULL, 2},
		{"sh por", "show ports", NULL, 2},
		{"sh po", NULL, "which one: `show ports`, `show policies`", 0},
		{"show connections 192.0.2.1", "show connections", NULL, 2},
		{"rel", "reload", NULL, 1},
		{"show co", NULL, "which one: `show connections`, `show counters`, `show config`",
			0},
		{"show con", NULL, "which one: `show connections`, `show config`", 0},
		{"show", NULL, "show what? version ready ports", 0},
		{"sh", NULL, "show what? version", 0},
		{"shows ports", NULL, "no command `shows ports`", 0},
		{"", NULL, "no command; try `help`", 0},
		{"frobnicate", NULL, "no command `frobnicate`", 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const struct mt_command *c;
		struct mt_request r;
		struct mt_err e = {""};
		uint32_t used = 0;

		CU_ASSERT_EQUAL(mt_request_parse(&r, t[i].line, strlen(t[i].line), &e), 0);
		c = mt_command_find(&r, &used, &e);
		CU_ASSERT_EQUAL(c != NULL, t[i].command != NULL);
		if (c) {
			CU_ASSERT_STRING_EQUAL(c->words, t[i].command);
			CU_ASSERT_EQUAL(used, t[i].used);
		} else {
			CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].says));
		}
	}
}

/* Words of any length and alphabet get an answer, also when it is cut within one of their characters. */
static void test_long_words(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	static char line[MT_CTL_LINE + 1];
	int code;

	for (uint32_t shift = 0; shift < 4; shift++) {
		char *out;

		memset(line, 'x', shift);
		for (uint32_t i = 0; i < 200; i++)
			memcpy(line + shift + 4 * i, "\xf0\x9f\x99\x82", 4);
		line[shift + 800] = '\0';
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, MT_CTL_USAGE);
		CU_ASSERT(out && strstr(out, "no command"));
		free(out);
	}
	mt_ctl_destroy(c);
}

static int odd_reload(void *arg, const struct mt_who *who, char *words, size_t size)
{
	snprintf(words, size, "odd\xff.yaml: taken");
	return 0;
}

static const char *odd_diagnostics(void *arg)
{
	return "odd\xff.yaml:3: error: no such field\ngood.yaml:1: warning: old";
}

/* Words of others may hold any bytes: none of them gets lost. */
static void test_words_of_others(void)
{
	const struct mt_ctl_env env = {.reload = odd_reload, .diagnostics = odd_diagnostics};
	struct mt_ctl *c = test_ctl(&env);
	int code;
	char *out = test_run(c, "reload", &code);

	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "odd\\xff.yaml: taken"));
	free(out);
	out = test_run(c, "show config", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "odd\\xff.yaml:3: error: no such field"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "good.yaml:1"));
	free(out);
	mt_ctl_destroy(c);
}

/* Every command answers, as text and as JSON, also on a node that has nothing. */
static void test_all(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	const struct mt_command *cmd;
	char line[64];
	int code;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		int want = mt_command_role(cmd) == MT_ROLE_OPERATE ? MT_CTL_FAILED : MT_CTL_OK;
		uint32_t min, max;
		json_t *j;
		char *out;

		mt_command_arity(mt_command_args(cmd), &min, &max);
		if (min)
			want = MT_CTL_USAGE;
		else if (cmd->run == mt_run_clear)
			want = MT_CTL_OK;
		CU_ASSERT(cmd->help && cmd->run);
		snprintf(line, sizeof(line), "%s", cmd->words);
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, want);
		CU_ASSERT(want != MT_CTL_OK || cmd->run == mt_show_counters ||
			  (out && out[strlen(out) - 1] == '\n'));
		free(out);
		snprintf(line, sizeof(line), "--json %s", cmd->words);
		out = test_run(c, line, &code);
		j = json_loads(out, 0, NULL);
		CU_ASSERT_TRUE(json_is_object(j));
		json_decref(j);
		free(out);
	}
	mt_ctl_destroy(c);
}

static void test_errors(void)
{
	static const struct {
		const char *line;
		int code;
		const char *says;
	} t[] = {
		{"nonsense", MT_CTL_USAGE, "no command"},
		{"show version x", MT_CTL_USAGE, "too many words; usage: show version"},
		{"show ports a b", MT_CTL_USAGE,
			"too many words; usage: show ports [PORT] (rows with a word: `| grep "
			"WORD`)"},
		{"--json nonsense", MT_CTL_USAGE, "\"error\""},
		{"reload", MT_CTL_FAILED, "cannot reload"},
	};
	struct mt_ctl *c = test_ctl(NULL);
	int code;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char *out = test_run(c, t[i].line, &code);

		CU_ASSERT_EQUAL(code, t[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, t[i].says));
		free(out);
	}
	mt_ctl_destroy(c);
}

static void test_arity(void)
{
	static const struct {
		const char *args;
		uint32_t min, max;
	} t[] = {
		{"", 0, 0},
		{"[NAME]", 0, 1},
		{"SERVICE ENDPOINT", 2, 2},
		{"SERVICE [ENDPOINT]", 1, 2},
		{"KEY=VALUE...", 1, UINT32_MAX},
		{"[COMMAND...]", 0, UINT32_MAX},
		{"NAME WORD... [LAST]", 2, UINT32_MAX},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		uint32_t min, max;

		mt_command_arity(t[i].args, &min, &max);
		CU_ASSERT(min == t[i].min && max == t[i].max);
	}
}

/* Who may only look changes nothing, by no command that wants more. */
static void test_roles(void)
{
	const struct mt_who viewer = {.uid = 1000, .name = "anna", .role = MT_ROLE_VIEW};
	struct mt_ctl *c = test_ctl(NULL);
	const struct mt_command *cmd;
	uint32_t refused = 0;
	char line[160];

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		struct mt_text_buf out = {0};
		uint32_t min, max;
		int n = snprintf(line, sizeof(line), "%s", cmd->words), code;

		mt_command_arity(mt_command_args(cmd), &min, &max);
		while (min-- > 0)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " x");
		code = mt_ctl_command(c, &viewer, line, (size_t)n, &out);
		if (mt_command_role(cmd) == MT_ROLE_OPERATE) {
			CU_ASSERT_EQUAL(code, MT_CTL_FAILED);
			CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "anna has the role view"));
			refused++;
		} else {
			CU_ASSERT_PTR_NULL(strstr(out.p ? out.p : "", "has the role view"));
		}
		mt_text_fini(&out);
	}
	CU_ASSERT(refused >= 2);
	mt_ctl_destroy(c);
}

static int reloads, drains, reload_rc;
static bool drain_ends;

static int fake_reload(void *arg, const struct mt_who *who, char *words, size_t size)
{
	reloads++;
	snprintf(words, size, reload_rc ? "a.yaml:3: error" : "1 service added");
	return reload_rc;
}

static bool fake_drain(void *arg, bool on)
{
	drains += on ? 1 : -1;
	return !drain_ends;
}

static const char *fake_diagnostics(void *arg)
{
	return "a.yaml:1: warning: x\nb.yaml:2: warning: y\n";
}

static const char *waits_for;

static const char *fake_waiting(void *arg)
{
	return waits_for;
}

static const char *restart_for = "";

static const char *fake_restart(void *arg)
{
	return restart_for;
}

static void test_restart(void)
{
	const struct mt_ctl_env env = {.restart = fake_restart};
	struct mt_ctl *c = test_ctl(&env);
	char *out;
	int code;

	out = test_run(c, "show config", &code);
	CU_ASSERT_PTR_NULL(strstr(out, "restart_needed_for"));
	free(out);
	restart_for = "spec.workers, spec.ports[0].mtu";
	out = test_run(c, "show config", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "restart_needed_for"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, restart_for));
	free(out);
	mt_ctl_destroy(c);
}

/* A word that no row contains is an error, unless it is a status that no object has. */
static void test_objects_by_status(void)
{
	static const struct {
		const char *line;
		int code;
		const char *words;
	} t[] = {
		{"show objects", MT_CTL_OK, "objects: none"},
		{"show objects last-good", MT_CTL_OK, "objects: none"},
		{"show objects FAIL-CLOSED", MT_CTL_OK, "objects: none"},
		{"show objects in-force", MT_CTL_OK, "objects: none"},
		{"show objects held", MT_CTL_USAGE, "status `held` is now called `last-good`"},
		{"show objects inert", MT_CTL_USAGE, "status `inert` is now called `no-effect`"},
		{"show objects foreign", MT_CTL_USAGE, "status `foreign` is now called `ignored`"},
		{"show objects closed", MT_CTL_USAGE,
			"status `closed` is now called `fail-closed`"},
		{"show objects refusd", MT_CTL_USAGE,
			"no status `refusd`; statuses are in-force, in-force-with-notes, "
			"elsewhere, "
			"ignored, no-effect, shadowed, waiting, fail-closed, last-good, refused"},
	};
	struct mt_ctl *c = test_ctl(NULL);

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		int code;
		char *out = test_run(c, t[i].line, &code);

		CU_ASSERT_EQUAL(code, t[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, t[i].words));
		free(out);
	}
	mt_ctl_destroy(c);
}

static void test_waiting(void)
{
	const struct mt_ctl_env env = {.waiting = fake_waiting};
	struct mt_ctl *c = test_ctl(&env);
	char *out;
	int code;

	out = test_run(c, "show config", &code);
	CU_ASSERT_PTR_NULL(strstr(out, "newer_waits"));
	free(out);
	waits_for = "7 older configurations are still in use";
	out = test_run(c, "show config", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "newer_waits"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, waits_for));
	free(out);
	mt_ctl_destroy(c);
}

static void test_actions(void)
{
	const struct mt_ctl_env env = {
		.reload = fake_reload, .drain = fake_drain, .diagnostics = fake_diagnostics};
	struct mt_ctl *c = test_ctl(&env);
	json_t *j, *d;
	char *out;
	int code;

	reloads = drains = reload_rc = 0;
	drain_ends = false;
	out = test_run(c, "reload", &code);
	CU_ASSERT(code == MT_CTL_OK && reloads == 1);
	CU_ASSERT_STRING_EQUAL(out, "1 service added\n");
	free(out);
	reload_rc = -EINVAL;
	out = test_run(c, "reload", &code);
	CU_ASSERT(code == MT_CTL_FAILED && reloads == 2);
	CU_ASSERT_STRING_EQUAL(out, "a.yaml:3: error\n");
	free(out);
	out = test_run(c, "drain", &code);
	CU_ASSERT(code == MT_CTL_OK && drains == 1);
	free(out);
	out = test_run(c, "return", &code);
	CU_ASSERT(code == MT_CTL_OK && drains == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "the node does not drain; /ready answers 503"));
	free(out);
	drain_ends = true;
	for (int i = 0; i < 2; i++) {
		out = test_run(c, i ? "return" : "drain", &code);
		CU_ASSERT_EQUAL(code, MT_CTL_FAILED);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, "a signal ends the daemon"));
		free(out);
	}
	out = test_run(c, "--json show config", &code);
	j = json_loads(out, 0, NULL);
	CU_ASSERT_TRUE(json_is_false(json_object_get(j, "last_reload_ok")));
	d = json_object_get(j, "diagnostics");
	CU_ASSERT_EQUAL(json_array_size(d), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(d, 1)), "b.yaml:2: warning: y");
	json_decref(j);
	free(out);
	mt_ctl_destroy(c);
}

static void render(const char *json, const char *filter, const char *want)
{
	json_t *j = json_loads(json, 0, NULL);
	struct mt_text_buf out = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	if (filter)
		mt_render_filter(j, filter);
	mt_render_text(j, &out);
	CU_ASSERT_STRING_EQUAL(out.p ? out.p : "", want);
	mt_text_fini(&out);
	json_decref(j);
}

static void test_render(void)
{
	static const char rows[] = "{\"rows\": [{\"name\": \"a\", \"n\": 5, \"x\": \"long one\"}, "
				   "{\"name\": \"bcd\", \"n\": 12345, \"x\": null}]}";

	render(rows, NULL, "name      n  x\na         5  long one\nbcd   12345  -\n");
	render(rows, "long", "name  n  x\na     5  long one\n");
	render(rows, "123", "name      n\nbcd   12345\n");
	render(rows, "nowhere", "rows: none\n");
	render("{\"a\": 1, \"long_name\": \"x\", \"ok\": true, \"r\": 1.5}", NULL,
		"a          1\nlong_name  x\nok         yes\nr          1.50\n");
	render("{\"tcp_resets\": 1, \"net_bad\": 2}", "tcp", "tcp_resets  1\n");
	render("{\"reload\": \"done\"}", NULL, "done\n");
	render("{\"n\": 1, \"rows\": [{\"a\": 1}], \"lines\": [\"x\", \"y\"]}", NULL,
		"n  1\n\nrows:\na\n1\n\nlines:\n  x\n  y\n");
	render("{\"rows\": []}", NULL, "rows: none\n");
	/* What is null has nothing to say; a column is that of any row. */
	render("{\"rows\": [{\"a\": null, \"b\": null}, {\"a\": 1, \"b\": null}], \"x\": null}",
		NULL, "a\n-\n1\n");
	/* No JSON among the words. */
	render("{\"n\": 1, \"node\": {\"cores\": [1, 2], \"ports\": [{\"name\": \"p0\", "
	       "\"device\": \"x\"}], "
	       "\"no\": null}}",
		NULL, "n     1\nnode  cores 1, 2; ports p0: x\n");
	/* Words of others stay on one line. */
	render("{\"usage\": \"a\", \"more\": \"one\\n\\ntwo\", \"said\": \"x\\ny\"}", NULL,
		"usage  a\nmore   one\n\n       two\nsaid   x\\ny\n");
}

/* Help is whole, with its paragraphs: each word of it is there, and no escaped line feed. */
static void test_help_is_whole(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	const struct mt_command *cmd;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		char line[128], *out, *words, *save = NULL;
		int code;

		snprintf(line, sizeof(line), "help %s", cmd->words);
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, MT_CTL_OK);
		CU_ASSERT_PTR_NULL(strstr(out, "\\n"));
		words = cmd->more ? strdup(cmd->more) : NULL;
		for (char *w = words ? strtok_r(words, "\n", &save) : NULL; w;
			w = strtok_r(NULL, "\n", &save)) {
			if (!strstr(out, w))
				printf("\n  help %s lacks: %s", cmd->words, w);
			CU_ASSERT_PTR_NOT_NULL(strstr(out, w));
		}
		free(words);
		free(out);
	}
	mt_ctl_destroy(c);
}

/* Who a message that is only described comes from. */
static void test_said_callers(void)
{
	static const struct {
		const char *word, *principal, *sni;
		bool by_tls;
	} t[] = {
		{"src=192.0.2.1", "", "", false},
		{"principal=td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", "", true},
		{"principal=spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", "", true},
		{"sni=A.Test", "", "a.test", true},
		/* Metadata of that name. */
		{".sni=A.Test", "", "", false},
	};
	static const char *const bad[] = {"principal=", "principal=spiffe://", "sni="};
	const struct mt_codec_registry *codecs = mt_codec_registry_built_in();
	struct mt_said s;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const char *const words[] = {"protocol=dubbo", t[i].word};

		CU_ASSERT_EQUAL(mt_said_parse(&s, codecs, words, 2, &e), 0);
		CU_ASSERT_EQUAL(s.by_tls, t[i].by_tls);
		CU_ASSERT_STRING_EQUAL(s.who.principal, t[i].principal);
		CU_ASSERT_STRING_EQUAL(s.who.sni, t[i].sni);
		CU_ASSERT_EQUAL(s.who.member, *t[i].principal != '\0');
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(mt_said_parse(&s, codecs, &bad[i], 1, &e), -EINVAL);
}

const struct mt_test command_tests[] = {
	{"lines and objects", test_parse},
	{"settings of two words", test_settings},
	{"commands and their short forms", test_find},
	{"long words", test_long_words},
	{"words of others", test_words_of_others},
	{"every command answers", test_all},
	{"what is refused", test_errors},
	{"how many words a command takes", test_arity},
	{"who may only look", test_roles},
	{"a newer configuration that waits", test_waiting},
	{"objects by status", test_objects_by_status},
	{"Node fields that need a restart", test_restart},
	{"reload, drain, diagnostics", test_actions},
	{"text for people", test_render},
	{"help is whole", test_help_is_whole},
	{"who a described message is from", test_said_callers},
	{0},
};
