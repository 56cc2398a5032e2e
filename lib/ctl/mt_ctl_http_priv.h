/* SPDX-License-Identifier: Apache-2.0 */
/* Between http.c (pages) and http_clients.c (connections). */
#pragma once

#include "mt_ctl_priv.h"

#include <microhttpd.h>
#include <sys/socket.h>

/* The listening socket, in c->epoll. 0 or -errno. */
int mt_http_listen(struct mt_ctl *c, const struct sockaddr_storage *ss, socklen_t len);

/* The library's callbacks: MHD_OPTION_NOTIFY_CONNECTION and MHD_OPTION_NOTIFY_COMPLETED. */
void mt_http_on_connection(void *ctl, struct MHD_Connection *conn, void **context,
	enum MHD_ConnectionNotificationCode what);
void mt_http_on_completed(void *ctl, struct MHD_Connection *conn, void **request,
	enum MHD_RequestTerminationCode why);
/* A request's head is whole. */
void mt_http_asked(struct mt_ctl *c, struct MHD_Connection *conn);

/* http_metrics.c: answers a scrape. */
enum MHD_Result mt_http_metrics(struct mt_ctl *c, struct MHD_Connection *conn);
/* http_ui.c: answers "/", "/ui" and what is below it. */
enum MHD_Result mt_http_ui(struct mt_ctl *c, struct MHD_Connection *conn, const char *url);
