/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_resolve.h"

#include "mt_list.h"
#include "mt_sockaddr.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

/* The addresses of one family. */
struct family {
	struct mt_addr *v;
	uint32_t n, more;
	int status; /* of the library */
};

struct mt_lookup {
	struct mt_resolver *r;
	void (*done)(void *arg, const struct mt_lookup_result *result); /* NULL: cancelled */
	void *arg;
	bool asking;	     /* within mt_lookup() */
	uint32_t waits;	     /* queries without an answer */
	struct family of[2]; /* by mt_addr_is4(): IPv6, IPv4 */
	uint32_t ttl_s;
	bool has_ttl;
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

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

/*
 * Keeps the smallest addresses if there are too many, because servers rotate their answers and the
 * result for a name must not change each time.
 */
static void limit(struct family *f)
{
	if (f->n <= MT_NAME_FAMILY)
		return;
	qsort(f->v, f->n, sizeof(*f->v), by_bytes);
	f->more = f->n - MT_NAME_FAMILY;
	f->n = MT_NAME_FAMILY;
}

static void gather(struct mt_lookup *l, bool is4, const struct ares_addrinfo *info)
{
	struct family *f = &l->of[is4];
	uint32_t n = 0;

	for (const struct ares_addrinfo_node *i = info->nodes; i; i = i->ai_next)
		n++;
	f->v = calloc(n + 1, sizeof(*f->v));
	if (!f->v) {
		f->status = ARES_ENOMEM;
		return;
	}
	for (const struct ares_addrinfo_node *i = info->nodes; i; i = i->ai_next) {
		uint32_t ttl_s = i->ai_ttl > 0 ? (uint32_t)i->ai_ttl : 0;

		/* For a literal address the library returns it, whatever its family. */
		if (!mt_sockaddr_read(i->ai_addr, &f->v[f->n], NULL) ||
			mt_addr_is4(&f->v[f->n]) != is4)
			continue;
		f->n++;
		l->ttl_s = l->has_ttl ? MT_MIN(l->ttl_s, ttl_s) : ttl_s;
		l->has_ttl = true;
	}
	limit(f);
}

/* True if the kernel has a route and a source address for it; sends nothing. */
static bool is_usable(const struct mt_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(a, 53, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static const char *words_of(int status)
{
	return status == ARES_EDESTRUCTION ? RESOLV_CONF " has changed" : ares_strerror(status);
}

static bool is_answer(int status)
{
	return status == ARES_SUCCESS || status == ARES_ENODATA;
}

/* NXDOMAIN of one family alone means that it has no addresses: the other's answer has the name. */
static bool has_failed(const struct mt_lookup *l, bool is4)
{
	int status = l->of[is4].status;

	return !is_answer(status) && !(status == ARES_ENOTFOUND && is_answer(l->of[!is4].status));
}

static void tell(struct mt_lookup *l)
{
	const struct family *six = &l->of[0], *four = &l->of[1];
	struct mt_lookup_result r = {.n = six->n + four->n,
		.more = six->more + four->more,
		.ttl_s = l->ttl_s,
		.why = words_of(ARES_ENODATA)};
	bool first = six->n && !(four->n && !is_usable(&six->v[0]));
	struct mt_addr *all = calloc(r.n + 1, sizeof(*all));

	for (int i = 0; i < 2; i++)
		if (!all || has_failed(l, i))
			r.failed[i] = r.why = words_of(all ? l->of[i].status : ARES_ENOMEM);
	if (!all)
		r.n = 0;
	if (r.n && six->n)
		memcpy(all + (first ? 0 : four->n), six->v, sizeof(*all) * six->n);
	if (r.n && four->n)
		memcpy(all + (first ? six->n : 0), four->v, sizeof(*all) * four->n);
	r.addrs = all;
	l->done(l->arg, &r);
	free(all);
}

static void free_lookup(struct mt_lookup *l)
{
	free(l->of[0].v);
	free(l->of[1].v);
	free(l);
}

static void gather_family(struct mt_lookup *l, bool is4, int status, struct ares_addrinfo *info)
{
	l->of[is4].status = status;
	if (status == ARES_SUCCESS)
		gather(l, is4, info);
}

static void end_query(struct mt_lookup *l, struct ares_addrinfo *info)
{
	ares_freeaddrinfo(info);
	if (--l->waits)
		return;
	if (l->done && !l->r->ends)
		tell(l);
	if (!l->asking)
		free_lookup(l);
}

static void answered6(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	gather_family(arg, false, status, info);
	end_query(arg, info);
}

static void answered4(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	gather_family(arg, true, status, info);
	end_query(arg, info);
}

static void answered_both(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	gather_family(arg, false, status, info);
	gather_family(arg, true, status, info);
	end_query(arg, info);
}

/* True for names that need no query to a server (RFC 6761 section 6.3). */
static bool is_localhost(const char *name)
{
	static const char localhost[] = "localhost";
	size_t len = strlen(name), n = sizeof(localhost) - 1;

	return len >= n && strcasecmp(name + len - n, localhost) == 0 &&
	       (len == n || name[len - n - 1] == '.');
}

/*
 * Queries each family apart, so that one may fail. Not for a name of this host: c-ares 1.18 leaks
 * memory if the hosts file has the name without an address of the family.
 */
static void query(struct mt_lookup *l, const char *name)
{
	static const struct ares_addrinfo_hints both = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	static const struct ares_addrinfo_hints six = {
		.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
	static const struct ares_addrinfo_hints four = {
		.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};

	if (is_localhost(name)) {
		l->waits = 1;
		ares_getaddrinfo(l->r->ares, name, NULL, &both, answered_both, l);
		return;
	}
	l->waits = 2;
	ares_getaddrinfo(l->r->ares, name, NULL, &six, answered6, l);
	ares_getaddrinfo(l->r->ares, name, NULL, &four, answered4, l);
}

struct mt_lookup *mt_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg)
{
	static const struct mt_lookup_result no_memory = {
		.why = "no memory", .failed = {"no memory", "no memory"}};
	struct mt_lookup *l = calloc(1, sizeof(*l));

	if (!l) {
		done(arg, &no_memory);
		return NULL;
	}
	*l = (struct mt_lookup){.r = r, .done = done, .arg = arg, .asking = true};
	query(l, name);
	l->asking = false;
	if (l->waits)
		return l;
	free_lookup(l);
	return NULL;
}

void mt_lookup_cancel(struct mt_lookup *l)
{
	if (l)
		l->done = NULL;
}
