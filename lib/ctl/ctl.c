/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ctl object and its loop iteration, which serves all ready descriptors under its one epoll
 * descriptor.
 */
#include "mt_ctl_otlp_priv.h"
#include "mt_ctl_waiting_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 16

static int open_all(struct mt_ctl *c, struct mt_err *e)
{
	int rc;

	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return mt_err(e, -errno, "epoll: %s", strerror(errno));
	rc = mt_ctl_metrics_init(c);
	if (rc < 0)
		return mt_err(e, rc, "no memory");
	rc = mt_ctl_otlp_open(c, e);
	if (rc < 0)
		return rc;
	rc = mt_recent_init(c);
	if (rc < 0)
		return mt_err(e, rc, "no memory");
	if (c->env.socket)
		rc = mt_ctl_socket_open(c, MT_ROLE_OPERATE, e);
	if (rc == 0 && c->env.view_socket)
		rc = mt_ctl_socket_open(c, MT_ROLE_VIEW, e);
	if (rc == 0 && c->env.tls.port)
		rc = mt_remote_open(c, e);
	if (rc == 0 && c->env.http_port)
		rc = mt_ctl_http_open(c, e);
	return rc;
}

struct mt_ctl *mt_ctl_create(const struct mt_ctl_env *env, uint64_t now, struct mt_err *e)
{
	struct mt_ctl *c = calloc(1, sizeof(*c));
	struct mt_answering *answering = calloc(1, sizeof(*answering));

	if (!c || !answering) {
		free(c);
		free(answering);
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	c->answering = answering;
	c->env = *env;
	c->now = c->started = now;
	c->http_listener = c->epoll = -1;
	c->doors[MT_ROLE_OPERATE].fd = c->doors[MT_ROLE_VIEW].fd = -1;
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		c->clients[i].fd = -1;
	c->remote.fd = -1;
	for (size_t i = 0; i < MT_ARRAY_LEN(c->remote.clients); i++)
		c->remote.clients[i].fd = -1;
	if (open_all(c, e) < 0) {
		mt_ctl_destroy(c);
		return NULL;
	}
	return c;
}

void mt_ctl_destroy(struct mt_ctl *c)
{
	if (!c)
		return;
	json_decref(c->later.answer);
	mt_ctl_trace_free(c);
	mt_ctl_capture_free(c);
	mt_ctl_http_close(c);
	mt_ctl_socket_close(c);
	mt_remote_close(c);
	mt_recent_fini(c);
	mt_cleared_fini(c);
	mt_topology_fini(c);
	mt_pace_fini(c);
	mt_outliers_fini(c);
	mt_events_fini(c);
	for (size_t i = 0; i < MT_ARRAY_LEN(c->ui); i++)
		mt_text_fini(&c->ui[i].body);
	mt_ctl_otlp_close(c);
	mt_ctl_metrics_fini(c);
	for (size_t i = 0; i < MT_ARRAY_LEN(c->asks); i++)
		free(c->asks[i]);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c->answering);
	free(c);
}

int mt_ctl_fd(const struct mt_ctl *c)
{
	return c->epoll;
}

void mt_ctl_reloaded(struct mt_ctl *c, bool ok, const char *words, uint64_t now)
{
	snprintf(c->reload_words, sizeof(c->reload_words), "%s", words);
	c->reload_ok = ok;
	c->reloaded_at = now;
}

void mt_ctl_set_directories(struct mt_ctl *c, const char *const *dirs, uint32_t n)
{
	c->env.dirs = dirs;
	c->env.n_dirs = n;
}

void mt_ctl_set_state(struct mt_ctl *c, enum mt_ctl_state s)
{
	c->state = s;
}

static bool is_door(const struct mt_ctl *c, const struct epoll_event *ev)
{
	return ev->data.ptr == &c->doors[MT_ROLE_VIEW] ||
	       ev->data.ptr == &c->doors[MT_ROLE_OPERATE];
}

static bool is_listener(const struct mt_ctl *c, const struct epoll_event *ev)
{
	return is_door(c, ev) || ev->data.ptr == &c->http_listener || ev->data.ptr == &c->remote;
}

void mt_ctl_turn(struct mt_ctl *c, uint64_t now)
{
	struct epoll_event ev[EVENTS];
	int n;

	c->now = now;
	/* Does not wait: the daemon's event loop waits, because it has further descriptors. */
	n = epoll_wait(c->epoll, ev, EVENTS, 0);
	/* The HTTP server runs in each iteration, below. */
	for (int i = 0; i < n; i++)
		if (!is_listener(c, &ev[i]) && ev[i].data.ptr != &c->http &&
			ev[i].data.ptr != &c->otlp)
			mt_ctl_client_event(c, ev[i].data.ptr, ev[i].events);
	/* Accept after serving clients, because a new client may take the slot of an old one. */
	for (int i = 0; i < n; i++) {
		if (is_door(c, &ev[i]))
			mt_ctl_socket_accept(c, ev[i].data.ptr);
		else if (ev[i].data.ptr == &c->http_listener)
			mt_http_accept(c);
		else if (ev[i].data.ptr == &c->remote)
			mt_remote_accept(c);
	}
	mt_ctl_http_turn(c);
	mt_ctl_otlp_turn(c);
	mt_ctl_socket_expire(c);
	mt_remote_expire(c);
	mt_ctl_trace_turn(c);
	mt_ctl_capture_turn(c);
	mt_recent_turn(c);
	mt_outliers_turn(c);
	mt_events_turn(c);
}

uint64_t mt_ctl_next(const struct mt_ctl *c)
{
	uint64_t next = MT_MIN(mt_ctl_http_next(c), mt_ctl_socket_next(c));

	next = MT_MIN(next, mt_remote_next(c));
	next = MT_MIN(next, mt_ctl_capture_next(c));
	return MT_MIN(next, mt_ctl_trace_next(c));
}
