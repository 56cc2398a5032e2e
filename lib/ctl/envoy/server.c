/* SPDX-License-Identifier: Apache-2.0 */
/* The process: what it is, how much it takes, its log, and its end. */
#include "mt_envoy_priv.h"
#include "mt_heap.h"
#include "mt_overrides.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const states[] = {[MT_CTL_STARTING] = "INITIALIZING",
	[MT_CTL_SERVING] = "LIVE",
	[MT_CTL_DRAINING] = "DRAINING"};

static unsigned int whole(struct mt_envoy *e, struct mt_text_buf *out, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;

	json_decref(j);
	e->type = "application/json";
	if (!text)
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	mt_text_add(out, "%s\n", text);
	free(text);
	return MHD_HTTP_OK;
}

static unsigned int server_info(struct mt_envoy *e, struct mt_text_buf *out)
{
	const char *node = e->c->env.node ? e->c->env.node : "";
	const char *file = e->c->env.node_file ? e->c->env.node_file : "";
	char up[32];

	snprintf(up, sizeof(up), "%llus",
		(unsigned long long)((e->c->now - e->c->started) / MT_SEC));
	return whole(e, out,
		json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:i}, s:{s:s, s:s}}", "version",
			"meltemi/" MT_VERSION, "state", states[mt_ctl_state_now(e->c)],
			"uptime_current_epoch", up, "uptime_all_epochs", up, "command_line_options",
			"config_path", file, "concurrency", e->c->env.n_workers, "node", "id", node,
			"user_agent_name", "meltemi"));
}

static json_t *number(uint64_t n)
{
	char text[24];

	/* 64 bits are texts in protobuf's JSON. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return json_string(text);
}

static unsigned int memory(struct mt_envoy *e, struct mt_text_buf *out)
{
	struct mallinfo2 m = mallinfo2();
	uint64_t heaps = mt_heap_mapped();
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return whole(e, out,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "allocated",
			number(m.uordblks + m.hblkhd + heaps), "heap_size",
			number(m.arena + m.hblkhd + heaps), "pageheap_unmapped", number(0),
			"pageheap_free", number(m.fordblks), "total_thread_cache", number(0),
			"total_physical_bytes",
			number(resident * (uint64_t)sysconf(_SC_PAGESIZE))));
}

static void add_cert(json_t *list, json_t *uri, int64_t left)
{
	json_array_append_new(list,
		json_pack("{s:[{s:[{s:o}], s:o}]}", "cert_chain", "subject_alt_names", "uri", uri,
			"days_until_expiration", number(left > 0 ? (uint64_t)left / 86400 : 0)));
}

/* What peers see, if a directory or an agent says whose it is: else it is a source's. */
static void add_identity(const struct mt_ctl *c, json_t *list)
{
	struct mt_credential_leaf leaf;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++)
		if (who.directory && who.credential && mt_credential_leaf(who.credential, &leaf))
			add_cert(list, mt_json_text(leaf.principal),
				mt_ctl_until(c, who.credential->not_after));
}

/* The node's own certificates; keys are nobody's to read here. */
static unsigned int certs(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_ctl_env *env = &e->c->env;
	json_t *list = json_array();

	add_identity(e->c, list);
	for (uint32_t i = 0; i < env->n_sources; i++) {
		const char *words = env->identity ? env->identity(env->arg, i) : NULL;
		int64_t left = 0;

		if (!words || !env->identity_left || !env->identity_left(env->arg, i, &left))
			continue;
		add_cert(list, mt_json_bytes(words, strcspn(words, ",")), left);
	}
	return whole(e, out, json_pack("{s:o}", "certificates", list));
}

/* ---- the log -------------------------------------------------------------------------------- */

/* Envoy's words for levels, and its output's. */
static const struct {
	const char *word;
	enum mt_log_level level;
} level_words[] = {{"trace", MT_LOG_DEBUG}, {"debug", MT_LOG_DEBUG}, {"info", MT_LOG_INFO},
	{"warning", MT_LOG_WARN}, {"warn", MT_LOG_WARN}, {"error", MT_LOG_ERROR},
	{"critical", MT_LOG_ERROR}, {"off", MT_LOG_ERROR}};

/* Module "level": all of them. 200, or why not in `out`. */
static unsigned int set_level(
	struct mt_envoy *e, const char *module, const char *level, struct mt_text_buf *out)
{
	const char *words[3] = {"log"};
	char done[1024] = "";
	struct mt_override o;
	const struct mt_ctl_tune t = {.what = MT_TUNE_SET, .set = &o};
	struct mt_err why = {""};
	uint32_t n = 1;

	if (strcmp(module, "level") != 0)
		words[n++] = module;
	words[n] = "";
	for (size_t i = 0; i < MT_ARRAY_LEN(level_words); i++)
		if (strcmp(level, level_words[i].word) == 0)
			words[n] = mt_log_level_str(level_words[i].level);
	if (!*words[n]) {
		mt_text_add(out,
			"unknown level \"%.64s\": trace, debug, info, warning, error, critical or "
			"off\n",
			level);
		return MHD_HTTP_BAD_REQUEST;
	}
	if (mt_override_parse(&o, words, n + 1, &why)) {
		mt_text_add(out, "%s\n", why.text);
		return MHD_HTTP_BAD_REQUEST;
	}
	snprintf(o.who, sizeof(o.who), "%.60s", e->who.name);
	o.wall = e->c->env.clock ? mt_clock_wall(e->c->env.clock, e->c->now) : e->c->now;
	if (e->c->env.tune && e->c->env.tune(e->c->env.arg, &e->who, &t, done, sizeof(done)) >= 0)
		return MHD_HTTP_OK;
	mt_text_add(out, "%s\n", done);
	return MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* "xds:debug,dns:warn" */
static unsigned int set_paths(struct mt_envoy *e, const char *paths, struct mt_text_buf *out)
{
	unsigned int status = MHD_HTTP_OK;
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", paths);
	for (char *p = strtok_r(copy, ",", &save); p && status == MHD_HTTP_OK;
		p = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(p, ':');

		if (colon)
			*colon = '\0';
		status = set_level(e, colon ? p : "level", colon ? colon + 1 : p, out);
	}
	return status;
}

struct logging {
	struct mt_envoy *e;
	struct mt_text_buf *out;
	unsigned int status;
};

static enum MHD_Result one_level(
	void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct logging *l = arg;

	if (strcmp(key, "paths") == 0)
		l->status = set_paths(l->e, value ? value : "", l->out);
	else
		l->status = set_level(l->e, key, value ? value : "", l->out);
	return l->status == MHD_HTTP_OK ? MHD_YES : MHD_NO;
}

static unsigned int logging(struct mt_envoy *e, struct mt_text_buf *out)
{
	static const char *const shown[MT_LOG_LEVELS] = {"error", "warning", "info", "debug"};
	struct logging l = {e, out, MHD_HTTP_OK};

	MHD_get_connection_values(e->conn, MHD_GET_ARGUMENT_KIND, one_level, &l);
	if (l.status != MHD_HTTP_OK)
		return l.status;
	mt_text_add(out, "active loggers:\n");
	for (int i = 0; i < MT_LOG_MODULES; i++)
		mt_text_add(out, "  %s: %s\n", mt_log_module_str((enum mt_log_module)i),
			shown[mt_log_level_of((enum mt_log_module)i)]);
	return MHD_HTTP_OK;
}

/* ---- its end -------------------------------------------------------------------------------- */

static unsigned int drain(struct mt_envoy *e, struct mt_text_buf *out)
{
	if (!e->c->env.drain) {
		mt_text_add(out, "this daemon cannot drain\n");
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
	mt_log(MT_LOG_INFO, "admin", "%s: drain listeners", e->who.name);
	e->c->env.drain(e->c->env.arg);
	mt_text_add(out, "OK\n");
	return MHD_HTTP_OK;
}

static unsigned int quit(struct mt_envoy *e, struct mt_text_buf *out)
{
	if (!e->c->env.quit) {
		mt_text_add(out, "this daemon cannot be ended\n");
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
	mt_log(MT_LOG_INFO, "admin", "%s: quit", e->who.name);
	e->c->env.quit(e->c->env.arg);
	mt_text_add(out, "OK\n");
	return MHD_HTTP_OK;
}

static unsigned int healthcheck(struct mt_envoy *e, struct mt_text_buf *out, bool failed)
{
	mt_log(MT_LOG_INFO, "admin", "%s: readiness %s", e->who.name, failed ? "fails" : "is told");
	e->c->ready_off = failed;
	mt_text_add(out, "OK\n");
	return MHD_HTTP_OK;
}

static unsigned int healthcheck_fail(struct mt_envoy *e, struct mt_text_buf *out)
{
	return healthcheck(e, out, true);
}

static unsigned int healthcheck_ok(struct mt_envoy *e, struct mt_text_buf *out)
{
	return healthcheck(e, out, false);
}

const struct mt_envoy_page mt_envoy_server[] = {
	{"/server_info", false, "version, state, time since the start", server_info, NULL},
	{"/memory", false, "memory of the process", memory, NULL},
	{"/certs", false, "the node's certificates: whose, and days until they end", certs, NULL},
	{"/logging", true,
		"levels of the log: ?level=debug, ?MODULE=debug, ?paths=xds:debug,dns:info",
		logging, NULL},
	{"/drain_listeners", true, "no new connections; what is owed is finished", drain, NULL},
	{"/healthcheck/fail", true, "/ready answers 503 from now on", healthcheck_fail, NULL},
	{"/healthcheck/ok", true, "/ready tells the state again", healthcheck_ok, NULL},
	{"/quitquitquit", true, "drains and ends", quit, NULL},
	{.path = NULL},
};
