/* SPDX-License-Identifier: Apache-2.0 */
/* Between http.c (pages) and http_clients.c (connections). */
#pragma once

#include "mt_ctl_priv.h"

#include <microhttpd.h>
#include <sys/socket.h>

/* Callbacks of libmicrohttpd: MHD_OPTION_NOTIFY_CONNECTION and MHD_OPTION_NOTIFY_COMPLETED. */
void mt_http_on_connection(void *ctl, struct MHD_Connection *conn, void **context,
	enum MHD_ConnectionNotificationCode what);
void mt_http_on_completed(void *ctl, struct MHD_Connection *conn, void **request,
	enum MHD_RequestTerminationCode why);
/* True if the client's address is a loopback address. */
bool mt_http_from_loopback(struct MHD_Connection *conn);
/* Call when a request has arrived completely, including its body. */
void mt_http_asked(struct mt_ctl *c, struct MHD_Connection *conn);

/* http_metrics.c: answers a scrape. */
enum MHD_Result mt_http_metrics(struct mt_ctl *c, struct MHD_Connection *conn);
/*
 * http.c: reads and answers what has arrived; does not wait, and bounds its work. Call before
 * ending silent connections, because their requests may have arrived while the thread was busy.
 */
void mt_http_run(struct mt_ctl *c);
/* http.c: sends a complete answer; frees the contents of `body`. */
enum MHD_Result mt_http_reply(struct MHD_Connection *conn, unsigned int status, const char *type,
	struct mt_text_buf *body);

/*
 * http_slices.c: sends an answer in slices, compressed if the client accepts that. next() appends a
 * slice; it returns false with the last one, and aborts the answer by out->failed. free() is called
 * in any case.
 */
struct mt_http_maker {
	bool (*next)(void *arg, struct mt_text_buf *out);
	void (*free)(void *arg);
	void *arg;
};
enum MHD_Result mt_http_slices(
	struct MHD_Connection *conn, const char *type, const struct mt_http_maker *m);

/* envoy/pages.c: Envoy's administration interface. */
bool mt_http_is_envoy(const char *path);
enum MHD_Result mt_http_envoy(struct mt_ctl *c, struct MHD_Connection *conn, const char *path);
/* The command that does what a POST to this path of Envoy does; NULL: there is no such path. */
const char *mt_http_envoy_instead(const char *path);

/*
 * http_ui.c: true if the Host header is absent or has an address or a name of this node, as
 * protection against DNS rebinding.
 */
bool mt_http_host_ours(const struct mt_ctl *c, struct MHD_Connection *conn);
/* http_ui.c: answers "/", "/ui" and what is below it. */
enum MHD_Result mt_http_ui(struct mt_ctl *c, struct MHD_Connection *conn, const char *url);
