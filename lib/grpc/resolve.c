/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_resolve.h"

#include "mt_list.h"
#include "mt_sockaddr.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define TIMEOUT_MS  2000 /* of the first query to a server; later ones wait longer */
#define TRIES	    3

/* A socket of the library. */
struct socket {
	struct mt_list node;
	struct mt_fd_watch watch;
	struct mt_resolver *r;
};

struct mt_resolver {
	ares_channel ares; /* reads RESOLV_CONF once */
	struct stat conf;  /* of that file when it was read; zeroed: absent */
	time_t looked;	   /* monotonic, s */
	struct mt_fds *fds;
	struct mt_list sockets;
	bool ends;
};

struct mt_lookup {
	struct mt_resolver *r;
	void (*done)(void *arg, const struct mt_lookup_result *result); /* NULL: cancelled */
	void *arg;
	bool answered; /* from within mt_lookup() */
	bool asking;
};

/* ---- sockets --------------------------------------------------------------------------------- */

static void ready(struct mt_fd_watch *w, uint32_t events)
{
	struct socket *s = mt_container_of(w, struct socket, watch);
	ares_socket_t in = events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? w->fd : ARES_SOCKET_BAD;
	ares_socket_t out = events & EPOLLOUT ? w->fd : ARES_SOCKET_BAD;

	/* `s` may be freed by this call. */
	ares_process_fd(s->r->ares, in, out);
}

static struct socket *find_socket(struct mt_resolver *r, int fd)
{
	struct mt_list *n;

	mt_list_foreach (n, &r->sockets) {
		struct socket *s = mt_list_entry(n, struct socket, node);

		if (s->watch.fd == fd)
			return s;
	}
	return NULL;
}

static void drop_socket(struct socket *s)
{
	mt_fds_remove(s->r->fds, &s->watch);
	mt_list_del(&s->node);
	free(s);
}

/* Called by the library with the events it waits for; without any it closes the socket. */
static void on_socket(void *arg, ares_socket_t fd, int in, int out)
{
	struct mt_resolver *r = arg;
	struct socket *s = find_socket(r, fd);
	uint32_t events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);

	if (s && !events) {
		drop_socket(s);
	} else if (s) {
		(void)mt_fds_change(r->fds, &s->watch, events);
	} else if (events) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return; /* the query times out */
		s->r = r;
		s->watch = (struct mt_fd_watch){.fd = fd, .events = events, .ready = ready};
		mt_list_add_tail(&r->sockets, &s->node);
		(void)mt_fds_add(r->fds, &s->watch);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_channel(struct mt_resolver *r, ares_channel *out)
{
	struct ares_options o = {.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = r};

	return ares_init_options(
		out, &o, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
}

static void stat_conf(struct stat *st)
{
	if (stat(RESOLV_CONF, st))
		memset(st, 0, sizeof(*st));
}

struct mt_resolver *mt_resolver_new(struct mt_fds *fds, struct mt_err *e)
{
	struct mt_resolver *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	r->fds = fds;
	mt_list_init(&r->sockets);
	stat_conf(&r->conf);
	rc = ares_library_init(ARES_LIB_INIT_ALL);
	if (rc == ARES_SUCCESS)
		rc = open_channel(r, &r->ares);
	if (rc == ARES_SUCCESS)
		return r;
	mt_err(e, -EIO, "names cannot be looked up: %s", ares_strerror(rc));
	free(r);
	return NULL;
}

void mt_resolver_free(struct mt_resolver *r)
{
	struct mt_list *n;

	if (!r)
		return;
	r->ends = true;
	ares_destroy(r->ares);
	while ((n = mt_list_first(&r->sockets)) != NULL)
		drop_socket(mt_list_entry(n, struct socket, node));
	free(r);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * Reopens the channel when resolv.conf has changed; checks once a second. While a host boots the
 * file may name no servers, which the library treats as a server on localhost. Lookups in progress
 * end without addresses, and their callers retry.
 */
static void follow_conf(struct mt_resolver *r)
{
	ares_channel old = r->ares, channel;
	struct timespec t;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	if (t.tv_sec == r->looked)
		return;
	r->looked = t.tv_sec;
	stat_conf(&st);
	if (same_file(&st, &r->conf) || open_channel(r, &channel) != ARES_SUCCESS)
		return;
	r->conf = st;
	r->ares = channel;
	ares_destroy(old);
}

void mt_resolver_turn(struct mt_resolver *r)
{
	follow_conf(r);
	ares_process_fd(r->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* ---- lookups --------------------------------------------------------------------------------- */

void mt_lookup_add(struct mt_lookup_result *out, const struct mt_addr *a, uint32_t ttl_s)
{
	uint32_t most = 0;

	if (out->n == 0 || ttl_s < out->ttl_s)
		out->ttl_s = ttl_s;
	if (out->n < MT_LOOKUP_ADDRS) {
		out->addrs[out->n++] = *a;
		return;
	}
	for (uint32_t i = 1; i < out->n; i++)
		if (memcmp(&out->addrs[i], &out->addrs[most], sizeof(*a)) > 0)
			most = i;
	if (memcmp(a, &out->addrs[most], sizeof(*a)) < 0)
		out->addrs[most] = *a;
}

static void gather(struct mt_lookup_result *out, const struct ares_addrinfo *info)
{
	struct mt_addr a;

	for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
		if (mt_sockaddr_read(n->ai_addr, &a, NULL))
			mt_lookup_add(out, &a, n->ai_ttl > 0 ? (uint32_t)n->ai_ttl : 0);
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct mt_lookup *l = arg;
	struct mt_lookup_result result = {.why = ares_strerror(status)};

	if (status == ARES_EDESTRUCTION)
		result.why = RESOLV_CONF " has changed";
	if (status == ARES_SUCCESS)
		gather(&result, info);
	ares_freeaddrinfo(info);
	l->answered = true;
	if (l->done && !l->r->ends)
		l->done(l->arg, &result);
	if (!l->asking)
		free(l);
}

struct mt_lookup *mt_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	static const struct mt_lookup_result no_memory = {.why = "no memory"};
	struct mt_lookup *l = calloc(1, sizeof(*l));

	if (!l) {
		done(arg, &no_memory);
		return NULL;
	}
	l->r = r;
	l->done = done;
	l->arg = arg;
	l->asking = true;
	ares_getaddrinfo(r->ares, name, NULL, &hints, answered, l);
	l->asking = false;
	if (!l->answered)
		return l;
	free(l);
	return NULL;
}

void mt_lookup_cancel(struct mt_lookup *l)
{
	if (l)
		l->done = NULL;
}
