/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the page of a request and checks that the client may read it. */
#include "mt_envoy_priv.h"

#include <stdio.h>
#include <string.h>

#define TEXT "text/plain; charset=UTF-8"

static unsigned int help(struct mt_envoy *e, struct mt_text_buf *out);

static const struct mt_envoy_page own[] = {{"/help", "this list", help, NULL}, {.path = NULL}};
static const struct mt_envoy_page *const tables[] = {
	mt_envoy_server, mt_envoy_stats, mt_envoy_objects, mt_envoy_dump, own};

static const struct mt_envoy_page *page_at(uint32_t i)
{
	for (size_t t = 0; t < MT_ARRAY_LEN(tables); t++)
		for (const struct mt_envoy_page *p = tables[t]; p->path; p++)
			if (i-- == 0)
				return p;
	return NULL;
}

static const struct mt_envoy_page *find_page(const char *path)
{
	const struct mt_envoy_page *p;

	for (uint32_t i = 0; (p = page_at(i)) != NULL; i++)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

bool mt_http_is_envoy(const char *path)
{
	return find_page(path) != NULL;
}

const char *mt_http_envoy_instead(const char *path)
{
	static const struct {
		const char *path, *command;
	} acts[] = {{"/logging", "meltemi log level [MODULE] LEVEL"},
		{"/drain_listeners", "meltemi drain"}, {"/healthcheck/fail", "meltemi ready off"},
		{"/healthcheck/ok", "meltemi ready on"},
		{"/quitquitquit", "systemctl stop meltemid"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(acts); i++)
		if (strcmp(acts[i].path, path) == 0)
			return acts[i].command;
	return NULL;
}

/* ---- arguments ------------------------------------------------------------------------------ */

bool mt_envoy_arg(const struct mt_envoy *e, const char *name, const char **value)
{
	const char *text = NULL;

	if (MHD_lookup_connection_value_n(
		    e->conn, MHD_GET_ARGUMENT_KIND, name, strlen(name), &text, NULL) != MHD_YES)
		return false;
	if (value)
		*value = text ? text : "";
	return true;
}

unsigned int mt_envoy_format(struct mt_envoy *e, const char *other, struct mt_text_buf *out)
{
	const char *format;

	if (!mt_envoy_arg(e, "format", &format) || strcmp(format, other) == 0)
		return MHD_HTTP_OK;
	e->json = strcmp(format, "json") == 0;
	e->type = e->json ? "application/json" : e->type;
	if (e->json)
		return MHD_HTTP_OK;
	mt_text_add(out, "usage: ?format=json or ?format=%s\n", other);
	return MHD_HTTP_BAD_REQUEST;
}

unsigned int mt_envoy_filter(struct mt_envoy *e, const char *arg, struct mt_text_buf *out)
{
	char pattern[1024], why[256];
	const char *text;
	int n;

	if (!mt_envoy_arg(e, arg, &text) || !*text)
		return MHD_HTTP_OK;
	n = snprintf(pattern, sizeof(pattern), "(?s).*(?:%s).*", text);
	if ((size_t)n >= sizeof(pattern)) {
		mt_text_add(out, "Invalid regex: longer than 1000 bytes\n");
		return MHD_HTTP_BAD_REQUEST;
	}
	e->filter = mt_re2_new(pattern, (size_t)n, why, sizeof(why));
	if (e->filter)
		return MHD_HTTP_OK;
	mt_text_add(out, "Invalid regex: \"%s\"\n", why);
	return MHD_HTTP_BAD_REQUEST;
}

bool mt_envoy_wanted(const struct mt_envoy *e, const char *name)
{
	return !e->filter || mt_re2_full_match(e->filter, name, strlen(name));
}

void mt_envoy_put(struct mt_envoy *e, struct mt_text_buf *out, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	json_decref(j);
	if (!text) {
		out->failed = true;
		return;
	}
	mt_text_add(out, "%s\n  %s", e->comma ? "," : "", text);
	e->comma = true;
	free(text);
}

/* ---- access --------------------------------------------------------------------------------- */

/* Returns why the client may not read these pages; NULL: it may. */
static const char *may_look(struct mt_ctl *c, struct MHD_Connection *conn)
{
	if (c->env.envoy == MT_CTL_ENVOY_OFF)
		return "spec.admin.envoy of the Node is off\n";
	if (c->env.envoy == MT_CTL_ENVOY_LOOPBACK && !mt_http_from_loopback(conn))
		return "for clients on this host only (spec.admin.envoy of the Node)\n";
	if (!mt_http_host_ours(c, conn))
		return "the Host header has a name that is not this node's "
		       "(spec.admin.httpNames)\n";
	return NULL;
}

/* ---- answers -------------------------------------------------------------------------------- */

static unsigned int help(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_envoy_page *p;

	mt_text_add(out, "admin commands are:\n");
	for (uint32_t i = 0; (p = page_at(i)) != NULL; i++)
		mt_text_add(out, "  %s: %s\n", p->path, p->help);
	mt_text_add(out, "  /ready: 200 when serving, else 503\n"
			 "  /stats/prometheus: statistics in Prometheus' format\n"
			 "commands that change something: `meltemi help` on the host\n");
	return MHD_HTTP_OK;
}

static void answer_free(void *arg)
{
	struct mt_envoy *e = arg;

	if (e->filter)
		mt_re2_free(e->filter);
	free(e);
}

static bool answer_next(void *arg, struct mt_text_buf *out)
{
	struct mt_envoy *e = arg;

	return e->page->next(e, out);
}

static enum MHD_Result say(struct MHD_Connection *conn, unsigned int status, const char *words)
{
	struct mt_text_buf body = {0};

	mt_text_add(&body, "%s", words);
	return mt_http_reply(conn, status, TEXT, &body);
}

/* Answers the request; frees e. */
static enum MHD_Result answer(struct mt_envoy *e)
{
	const struct mt_http_maker m = {answer_next, answer_free, e};
	struct MHD_Connection *conn = e->conn;
	struct mt_text_buf body = {0};
	unsigned int status = e->page->begin ? e->page->begin(e, &body) : MHD_HTTP_OK;
	const char *type = status == MHD_HTTP_OK ? e->type : TEXT;

	/* The Prometheus format has an answer of its own. */
	if (status == MHD_HTTP_OK && e->prometheus) {
		struct mt_ctl *c = e->c;

		answer_free(e);
		mt_text_fini(&body);
		return mt_http_metrics(c, conn);
	}
	e->conn = NULL;
	if (status == MHD_HTTP_OK && e->page->next) {
		mt_text_fini(&body);
		return mt_http_slices(conn, type, &m);
	}
	answer_free(e);
	return mt_http_reply(conn, status, type, &body);
}

enum MHD_Result mt_http_envoy(struct mt_ctl *c, struct MHD_Connection *conn, const char *path)
{
	const char *why = may_look(c, conn);
	struct mt_envoy *e;

	if (why)
		return say(conn, MHD_HTTP_FORBIDDEN, why);
	e = calloc(1, sizeof(*e));
	if (!e)
		return MHD_NO;
	*e = (struct mt_envoy){.c = c, .conn = conn, .page = find_page(path), .type = TEXT};
	return answer(e);
}
