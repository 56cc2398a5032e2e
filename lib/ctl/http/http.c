/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: readiness, metrics, the built-in page and Envoy's administration pages (envoy/).
 * No request changes anything. libmicrohttpd runs without threads of its own; its epoll descriptor
 * is nested in that of lib/ctl.
 */
#include "mt_ctl_http_priv.h"

#include "mt_sockaddr.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TURNS		16
#define WAITS		500
#define CONNECTION_ROOM (16 * 1024)

struct page {
	const char *path, *type;
	/* Appends the body; returns the HTTP status. NULL: http_metrics.c answers in slices. */
	unsigned int (*write)(struct mt_ctl *c, struct mt_text_buf *out);
};

/*
 * Lists the conditions that readiness waits for, one per line and at most WAITS, because the log of
 * a prober has a limit; the shell lists all.
 */
static unsigned int page_waits(const struct mt_ctl_ready *r, struct mt_text_buf *out)
{
	mt_text_add(out, "not ready: waits for %u\n", r->n);
	for (uint32_t i = 0; i < r->n && i < WAITS; i++)
		mt_text_add(out, "%s %s%s%s%s: %s\n", r->waits[i].kind, r->waits[i].name,
			*r->waits[i].source ? " (" : "", r->waits[i].source,
			*r->waits[i].source ? ")" : "", r->waits[i].why);
	if (r->n > WAITS)
		mt_text_add(out, "and %u more (meltemi show ready)\n", r->n - WAITS);
	return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned int page_ready(struct mt_ctl *c, struct mt_text_buf *out)
{
	static const char *const words[] = {
		[MT_CTL_STARTING] = "starting\n",
		[MT_CTL_SERVING] = "ready\n",
		[MT_CTL_DRAINING] = "draining\n",
	};
	struct mt_ctl_ready ready;
	char refused[800];

	if (c->ready_off) {
		mt_text_add(out, "not ready: an operator ran `ready off`; `ready on` ends it\n");
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
	mt_ctl_ready(c, &ready);
	if (c->state == MT_CTL_SERVING && !ready.ready)
		return page_waits(&ready, out);
	mt_text_add(out, "%s", words[c->state]);
	if (c->state == MT_CTL_SERVING && mt_ctl_not_served(c, refused, sizeof(refused)))
		mt_text_add(out, "not served: %s\n", refused);
	return c->state == MT_CTL_SERVING ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static const struct page pages[] = {
	{"/ready", "text/plain; charset=utf-8", page_ready},
	{"/metrics", NULL, NULL},
	{"/stats/prometheus", NULL, NULL},
};

static const struct page *find_page(const char *path)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(pages); i++)
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	return NULL;
}

/* True for the built-in page; "/" redirects to it. */
static bool is_ui(const char *url)
{
	return strcmp(url, "/") == 0 || strcmp(url, "/ui") == 0 || strncmp(url, "/ui/", 4) == 0;
}

enum MHD_Result mt_http_reply(struct MHD_Connection *conn, unsigned int status, const char *type,
	struct mt_text_buf *body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		body->len, body->len ? body->p : (void *)"", MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	mt_text_fini(body);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

/*
 * True if the request would change something: HTTP changes nothing. The answer names the equivalent
 * command, if there is one.
 */
static bool is_change(
	const char *url, const char *method, unsigned int *status, struct mt_text_buf *body)
{
	const char *command = mt_http_envoy_instead(url);

	if (command) {
		*status = MHD_HTTP_FORBIDDEN;
		mt_text_add(
			body, "HTTP changes nothing on this node: run `%s` on its host\n", command);
		return true;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		return false;
	*status = MHD_HTTP_METHOD_NOT_ALLOWED;
	mt_text_add(body, "only GET and HEAD\n");
	return true;
}

/*
 * True if the request may come from a page of another site in a browser on this host, under a name
 * that resolves to this host (DNS rebinding). Clients on other hosts may use any name; clients on
 * this host an address, "localhost" or a name of spec.admin.httpNames.
 */
static bool may_be_rebound(const struct mt_ctl *c, struct MHD_Connection *conn)
{
	return mt_http_from_loopback(conn) && !mt_http_host_ours(c, conn);
}

static enum MHD_Result refuse_name(struct MHD_Connection *conn, struct mt_text_buf *body)
{
	mt_text_add(body, "the Host header has a name that is not this node's "
			  "(spec.admin.httpNames)\n");
	return mt_http_reply(conn, MHD_HTTP_FORBIDDEN, "text/plain", body);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **request)
{
	static int seen;
	struct mt_text_buf body = {0};
	unsigned int status;
	const char *end;
	struct mt_ctl *c = arg;
	const struct page *p;

	/* libmicrohttpd calls first after the header, then for each part of the body. */
	if (*request == NULL) {
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	mt_http_asked(c, conn);
	if (is_change(url, method, &status, &body))
		return mt_http_reply(conn, status, "text/plain", &body);
	if (mt_http_is_envoy(url))
		return mt_http_envoy(c, conn, url);
	if (is_ui(url))
		return mt_http_ui(c, conn, url);
	p = find_page(url);
	if (!p) {
		mt_text_add(&body, "no such page\n");
		return mt_http_reply(conn, MHD_HTTP_NOT_FOUND, "text/plain", &body);
	}
	if (!p->write)
		return may_be_rebound(c, conn) ? refuse_name(conn, &body)
					       : mt_http_metrics(c, conn);
	status = p->write(c, &body);
	/*
	 * Every client may read the first line; the rest is cut off if the request may be rebound.
	 */
	end = body.p ? memchr(body.p, '\n', body.len) : NULL;
	if (end && may_be_rebound(c, conn))
		body.len = (size_t)(end + 1 - body.p);
	return mt_http_reply(conn, status, p->type, &body);
}

/* Drops libmicrohttpd's messages about odd clients. */
static void no_log(void *arg, const char *fmt, va_list ap)
{
}

int mt_ctl_http_open(struct mt_ctl *c, struct mt_err *e)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c->http};
	char where[MT_ADDR_STRLEN];
	const union MHD_DaemonInfo *info;
	int rc;

	c->http_listener = mt_ctl_listen(&c->env.http_addr, c->env.http_port);
	if (c->http_listener < 0)
		return mt_err(e, c->http_listener, "admin.http %s: %s; %s",
			mt_addr_port_str(&c->env.http_addr, c->env.http_port, where),
			strerror(-c->http_listener), mt_bind_remedy(c->http_listener));
	rc = mt_ctl_watch(c, c->http_listener, EPOLLIN, &c->http_listener, EPOLL_CTL_ADD);
	if (rc)
		return mt_err(e, rc, "admin.http: %s", strerror(-rc));
	/* One connection more than lib/ctl admits, so that the library never refuses by itself. */
	c->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET, 0,
		NULL, NULL, handle, c, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, mt_http_on_connection, c, MHD_OPTION_NOTIFY_COMPLETED,
		mt_http_on_completed, c, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)MT_HTTP_CLIENTS + 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_ROOM, MHD_OPTION_END);
	info = c->http ? MHD_get_daemon_info(c->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info || epoll_ctl(c->epoll, EPOLL_CTL_ADD, info->epoll_fd, &ev) != 0)
		return mt_err(e, -ENOMEM, "admin.http: the HTTP server does not start");
	return 0;
}

void mt_ctl_http_close(struct mt_ctl *c)
{
	if (c->http)
		MHD_stop_daemon(c->http);
	mt_http_clients_close(c);
	c->http = NULL;
	if (c->http_listener >= 0)
		close(c->http_listener);
	c->http_listener = -1;
}

void mt_http_run(struct mt_ctl *c)
{
	MHD_UNSIGNED_LONG_LONG ms = 1;

	for (int i = 0; i < TURNS; i++) {
		if (MHD_run(c->http) != MHD_YES || MHD_get_timeout(c->http, &ms) != MHD_YES ||
			ms > 0)
			break;
	}
}

void mt_ctl_http_turn(struct mt_ctl *c)
{
	if (!c->http)
		return;
	mt_http_run(c);
	if (mt_http_expire(c))
		mt_http_run(c);
}

uint64_t mt_ctl_http_next(const struct mt_ctl *c)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!c->http)
		return MT_NEVER;
	if (MHD_get_timeout(c->http, &ms) != MHD_YES)
		return mt_http_clients_next(c);
	return MT_MIN(c->now + ms * MT_MSEC, mt_http_clients_next(c));
}
