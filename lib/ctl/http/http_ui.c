/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in page: its files, and the data that it draws once a second, with one service in
 * detail on request. It is read-only.
 *
 * Pages of other sites in the same browser must not read it: other origins get no access. Because a
 * foreign name can be made to resolve to this host (DNS rebinding), the Host header must have an
 * address, "localhost" or a name that the Node document lists.
 */
#include "mt_ctl_http_priv.h"
#include "mt_web.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define SAME_NS (500 * MT_MSEC) /* within it the same query gets the same answer */
#define NEXT_NS (100 * MT_MSEC) /* within it another query gets no answer: 204 */

/* Commands whose answers the page draws, as the shell has them. */
static const struct {
	const char *name, *words;
} shown[] = {{"version", "show version"}, {"health", "show health"}, {"workers", "show workers"},
	{"capacity", "show capacity"}, {"ports", "show ports"}};

/* ---- Host header ---------------------------------------------------------------------------- */

/* Copies the name or address of a Host header without its port; false: invalid. */
static bool host_name(const char *host, char *name, size_t size)
{
	bool v6 = *host == '[';
	size_t len;

	host += v6;
	len = strcspn(host, v6 ? "]" : ":");
	if (len == 0 || len >= size)
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return true;
}

static bool is_ours(const struct mt_ctl *c, const char *host)
{
	struct in6_addr any;
	char name[256];

	if (!host || !host_name(host, name, sizeof(name)))
		return false;
	if (strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &any) == 1 ||
		inet_pton(AF_INET6, name, &any) == 1)
		return true;
	for (uint32_t i = 0; i < c->env.n_http_names; i++)
		if (strcasecmp(name, c->env.http_names[i].s) == 0)
			return true;
	return false;
}

bool mt_http_host_ours(const struct mt_ctl *c, struct MHD_Connection *conn)
{
	const char *host = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	/* Browsers always send it. */
	return !host || is_ours(c, host);
}

/* ---- responses ------------------------------------------------------------------------------ */

static enum MHD_Result send_off(struct MHD_Connection *conn, unsigned int status,
	struct MHD_Response *r, const char *type, const char *cache)
{
	static const char *const always[][2] = {
		{"Content-Security-Policy",
			"default-src 'self'; base-uri 'none'; form-action 'none'; "
			"frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < MT_ARRAY_LEN(always); i++)
		MHD_add_response_header(r, always[i][0], always[i][1]);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
	if (type)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result say(struct MHD_Connection *conn, unsigned int status, const char *words)
{
	return send_off(conn, status,
		MHD_create_response_from_buffer(
			strlen(words), (void *)(uintptr_t)words, MHD_RESPMEM_PERSISTENT),
		"text/plain; charset=utf-8", "no-store");
}

static enum MHD_Result go_to(struct MHD_Connection *conn, const char *where)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_LOCATION, where);
	return send_off(conn, MHD_HTTP_FOUND, r, NULL, "no-store");
}

static enum MHD_Result file(struct MHD_Connection *conn, const char *name)
{
	const struct mt_web_file *f = mt_web_find(*name ? name : "index.html");
	const char *have =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	struct MHD_Response *r;
	bool same;

	if (!f)
		return say(conn, MHD_HTTP_NOT_FOUND, "no such page\n");
	same = have && strstr(have, f->etag);
	r = MHD_create_response_from_buffer(
		same ? 0 : f->len, (void *)(uintptr_t)f->body, MHD_RESPMEM_PERSISTENT);
	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, f->etag);
	/* Cached, but revalidated each time, because a newer daemon has a newer page. */
	return send_off(conn, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r, f->type, "no-cache");
}

/* ---- data ----------------------------------------------------------------------------------- */

static json_t *now_of(struct mt_ctl *c, const char *find, const char *unused)
{
	json_t *j = json_object();

	for (size_t i = 0; i < MT_ARRAY_LEN(shown); i++)
		json_object_set_new(j, shown[i].name, mt_command_look(c, shown[i].words));
	mt_json_set(j, MT_M("topology", mt_topology(c, find, true)));
	return j;
}

/* Queries of the page: path and the names of at most two query parameters, which are optional. */
static const struct question {
	const char *path, *words[2];
	json_t *(*make)(struct mt_ctl *c, const char *a, const char *b);
} questions[MT_UI_QUESTIONS] = {
	{"data/now", {"find"}, now_of},
	{"data/service", {"name", "at"}, mt_service_detail},
};

static bool make_data(struct mt_ctl *c, const struct question *q, struct mt_ui_data *u,
	const char *const asked[2])
{
	json_t *j = q->make(c, asked[0], asked[1]);
	char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(j);
	mt_text_fini(&u->body);
	u->body = (struct mt_text_buf){0};
	u->made = 0;
	if (!text)
		return false;
	mt_text_bytes(&u->body, text, strlen(text));
	free(text);
	if (u->body.failed)
		return false;
	for (int i = 0; i < 2; i++)
		memcpy(u->asked[i], asked[i], strlen(asked[i]) + 1);
	u->made = c->now;
	return true;
}

static enum MHD_Result data(struct mt_ctl *c, struct MHD_Connection *conn, const struct question *q)
{
	struct mt_ui_data *u = &c->ui[q - questions];
	const char *asked[2] = {"", ""};
	bool same = u->made != 0;

	for (int i = 0; i < 2 && q->words[i]; i++) {
		const char *word =
			MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, q->words[i]);

		asked[i] = word ? word : "";
		if (strlen(asked[i]) >= sizeof(u->asked[i]))
			return say(conn, MHD_HTTP_BAD_REQUEST, "the request is too long\n");
		same &= strcmp(u->asked[i], asked[i]) == 0;
	}
	if (!same && u->made && c->now - u->made < NEXT_NS)
		return say(conn, MHD_HTTP_NO_CONTENT, "");
	if ((!same || c->now - u->made >= SAME_NS) && !make_data(c, q, u, asked))
		return MHD_NO;
	return send_off(conn, MHD_HTTP_OK,
		MHD_create_response_from_buffer(u->body.len, u->body.p, MHD_RESPMEM_MUST_COPY),
		"application/json", "no-store");
}

enum MHD_Result mt_http_ui(struct mt_ctl *c, struct MHD_Connection *conn, const char *url)
{
	const char *host = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	if (!is_ours(c, host))
		return say(conn, MHD_HTTP_MISDIRECTED_REQUEST,
			"open this page by an address or as localhost, or add this host's name to "
			"the Node document's spec.admin.httpNames\n");
	if (strcmp(url, "/") == 0 || strcmp(url, "/ui") == 0)
		return go_to(conn, "/ui/");
	url += strlen("/ui/");
	for (size_t i = 0; i < MT_ARRAY_LEN(questions); i++)
		if (strcmp(url, questions[i].path) == 0)
			return data(c, conn, &questions[i]);
	return file(conn, url);
}
