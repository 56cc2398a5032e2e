/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin sockets. The file's mode (0660: the daemon's user, and its group or admin.viewGroup)
 * decides which users may connect; the socket by which a client connects decides its role.
 *
 * A client sends lines and receives a head line and an answer for each. While an answer is not
 * read, no further line is read, so that a client costs at most one answer of memory.
 */
#include "mt_ctl_priv.h"

#include "mt_accept.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Time limit without progress, for an answer to be read and for a line to be completed. */
#define STALL (10 * MT_SEC)
/* Time limit for a whole answer, even if the client keeps reading slowly. */
#define TAKEN (60 * MT_SEC)

static int set_address(struct sockaddr_un *a, const char *path, struct mt_err *e)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a->sun_path))
		return mt_err(e, -ENAMETOOLONG, "admin.socket %s: longer than %zu bytes", path,
			sizeof(a->sun_path) - 1);
	strcpy(a->sun_path, path);
	return 0;
}

/*
 * Removes a socket file that a dead daemon has left; an error if a daemon answers on it. One with a
 * full queue may be another user's, which would block this process for as long as it likes.
 */
static int clear_old(const struct sockaddr_un *a, struct mt_err *e)
{
	struct stat st;
	int fd, rc;

	if (lstat(a->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return mt_err(e, -EEXIST, "admin.socket %s: exists and is not a socket; remove it",
			a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return mt_err(e, -errno, "admin.socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ? 0 : errno;
	close(fd);
	if (rc == 0 || rc == EAGAIN)
		return mt_err(e, -EADDRINUSE,
			"admin.socket %s: another daemon answers on it; stop it, or give this node "
			"another path",
			a->sun_path);
	unlink(a->sun_path);
	return 0;
}

int mt_ctl_watch(struct mt_ctl *c, int fd, uint32_t events, void *ptr, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	return epoll_ctl(c->epoll, op, fd, &ev) == 0 ? 0 : -errno;
}

/*
 * Opens the socket file for fchownat(). Another user may own the directory, and put a link to
 * another file in its place, also a hard link if fs.protected_hardlinks is 0. -EXDEV: it is not the
 * file that this process has made. Otherwise a descriptor or -errno.
 */
static int open_own(const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_nlink == 1 &&
		st.st_uid == geteuid())
		return fd;
	close(fd);
	return -EXDEV;
}

static int give(const char *path, gid_t gid)
{
	int fd = open_own(path), rc;

	if (fd < 0)
		return fd;
	rc = fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

/* Gives the socket to a group. Call before listen(), so that no client can connect earlier. */
static int set_group(const char *path, const char *name, struct mt_err *e)
{
	struct group *g = getgrnam(name);
	char *end;
	unsigned long gid = strtoul(name, &end, 10);
	int rc;

	if (!g && (*end || end == name || gid >= UINT32_MAX))
		return mt_err(e, -ENOENT, "admin.viewGroup %s: there is no such group", name);
	rc = give(path, g ? g->gr_gid : (gid_t)gid);
	if (rc == -EXDEV)
		return mt_err(e, rc,
			"admin.viewSocket %s: another process has replaced it; use a directory in "
			"which only the daemon's user may write",
			path);
	return rc ? mt_err(e, rc, "admin.viewGroup %s: %s", name, strerror(-rc)) : 0;
}

static int bind_door(struct mt_door *d, const struct sockaddr_un *a, struct mt_err *e)
{
	mode_t old;
	int rc;

	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return mt_err(e, -errno, "admin.socket: %s", strerror(errno));
	/* Set the mode by umask, so that the file never exists with a wider one. */
	old = umask(0117);
	rc = bind(d->fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ? 0 : -errno;
	umask(old);
	if (rc < 0)
		return mt_err(e, rc,
			"admin.socket %s: %s; does its directory exist, and may this user write "
			"there?",
			a->sun_path, strerror(-rc));
	strcpy(d->path, a->sun_path);
	return 0;
}

int mt_ctl_socket_open(struct mt_ctl *c, enum mt_role role, struct mt_err *e)
{
	bool view = role == MT_ROLE_VIEW;
	const char *path = view ? c->env.view_socket : c->env.socket;
	struct mt_door *d = &c->doors[role];
	struct sockaddr_un a;
	int rc = set_address(&a, path, e);

	d->role = role;
	if (rc == 0)
		rc = clear_old(&a, e);
	if (rc == 0)
		rc = bind_door(d, &a, e);
	if (rc == 0 && view && c->env.view_group)
		rc = set_group(path, c->env.view_group, e);
	if (rc < 0)
		return rc;
	if (listen(d->fd, 16) != 0)
		return mt_err(e, -errno, "admin.socket %s: %s", path, strerror(errno));
	rc = mt_ctl_watch(c, d->fd, EPOLLIN, d, EPOLL_CTL_ADD);
	return rc < 0 ? mt_err(e, rc, "admin.socket: %s", strerror(-rc)) : 0;
}

void mt_ctl_client_close(struct mt_client *cl)
{
	/* Send a TLS close_notify if that is possible at once; do not wait for the peer's. */
	if (cl->tls && !cl->shaking)
		(void)SSL_shutdown(cl->tls);
	SSL_free(cl->tls);
	ERR_clear_error();
	cl->tls = NULL;
	close(cl->fd);
	mt_text_fini(&cl->out);
	cl->fd = -1;
	cl->waits = cl->held = false;
}

void mt_ctl_socket_close(struct mt_ctl *c)
{
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		if (c->clients[i].fd >= 0)
			mt_ctl_client_close(&c->clients[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(c->doors); i++) {
		struct mt_door *d = &c->doors[i];

		if (d->fd >= 0)
			close(d->fd);
		d->fd = -1;
		if (d->path[0])
			unlink(d->path);
		d->path[0] = '\0';
	}
}

static struct mt_client *free_client(struct mt_ctl *c)
{
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	return NULL;
}

bool mt_ctl_client_rather(const struct mt_client *a, const struct mt_client *b)
{
	bool a_busy = a->out.len > 0, b_busy = b->out.len > 0;

	return a_busy != b_busy ? b_busy : a->asked < b->asked;
}

static ssize_t transmit(struct mt_client *cl, const void *p, size_t n)
{
	return cl->tls ? mt_tls_send(cl->tls, p, n)
		       : send(cl->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void mt_ctl_client_evict(struct mt_client *cl, const char *why)
{
	char gone[512];
	int n = snprintf(gone, sizeof(gone), "meltemi 1 %zu\nclosed: %.400s\n",
		strnlen(why, 400) + sizeof("closed: "), why);

	if (cl->out.len == 0)
		(void)transmit(cl, gone, (size_t)n);
	mt_ctl_client_close(cl);
}

enum mt_role mt_ctl_yields(enum mt_role role, uint32_t viewers, uint32_t places)
{
	bool one_more = role == MT_ROLE_VIEW;

	return viewers + one_more > MT_CTL_VIEWERS(places) ? MT_ROLE_VIEW : MT_ROLE_OPERATE;
}

/*
 * Frees a slot: a forgotten shell or one that never reads must not keep an operator out, nor must
 * any number of viewers.
 */
static struct mt_client *make_room(struct mt_ctl *c, enum mt_role role)
{
	struct mt_client *worst = NULL;
	uint32_t viewers = 0;

	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		viewers += c->clients[i].who.role == MT_ROLE_VIEW;
	role = mt_ctl_yields(role, viewers, MT_CTL_CLIENTS);
	for (int i = 0; i < MT_CTL_CLIENTS; i++) {
		struct mt_client *cl = &c->clients[i];

		if (cl->who.role == role && (!worst || mt_ctl_client_rather(cl, worst)))
			worst = cl;
	}
	mt_ctl_client_evict(worst, "another shell needed the place");
	return worst;
}

void mt_ctl_socket_accept(struct mt_ctl *c, struct mt_door *door)
{
	int fd = mt_accept(door->fd, NULL, NULL);
	struct mt_client *cl;

	if (fd < 0)
		return;
	cl = free_client(c);
	if (!cl)
		cl = make_room(c, door->role);
	cl->fd = fd;
	cl->n_in = 0;
	cl->sent = 0;
	cl->waits = cl->held = false;
	cl->since = cl->asked = c->now;
	mt_ctl_who(fd, door->role, &cl->who);
	if (mt_ctl_watch(c, fd, EPOLLIN, cl, EPOLL_CTL_ADD) < 0)
		mt_ctl_client_close(cl);
}

/* Sends the unsent rest; false: the client is gone. */
static bool flush(struct mt_ctl *c, struct mt_client *cl)
{
	while (cl->sent < cl->out.len) {
		ssize_t n = transmit(cl, cl->out.p + cl->sent, cl->out.len - cl->sent);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		cl->sent += (size_t)n;
		cl->since = c->now;
	}
	mt_text_fini(&cl->out);
	cl->sent = 0;
	return true;
}

/* Appends head and body and sends as much as possible; false: the client is gone. */
static bool reply(struct mt_ctl *c, struct mt_client *cl, int code, const struct mt_text_buf *body)
{
	mt_text_add(&cl->out, "meltemi %d %zu\n", code, body->len);
	if (body->len)
		mt_text_bytes(&cl->out, body->p, body->len);
	if (body->failed)
		cl->out.failed = true;
	return !cl->out.failed && flush(c, cl);
}

static bool answer(struct mt_ctl *c, struct mt_client *cl, const char *line, size_t len)
{
	const char *objection = mt_remote_objection(c, cl);
	struct mt_text_buf body = {0};
	int code = MT_CTL_FAILED;
	bool there = true;

	if (objection)
		mt_text_add(&body, "%s\n", objection);
	else
		code = mt_ctl_command(c, &cl->who, line, len, &body);
	cl->waits = code == MT_CTL_PENDING;
	if (!cl->waits)
		there = reply(c, cl, code, &body);
	mt_text_fini(&body);
	return there && !objection;
}

/* Answers whole lines one at a time: the next line after the previous answer has been sent. */
static bool serve(struct mt_ctl *c, struct mt_client *cl)
{
	while (cl->out.len == 0 && !cl->waits) {
		char *end = memchr(cl->in, '\n', cl->n_in);
		size_t line;

		if (!end) {
			/* No line is longer than MT_CTL_LINE: refuse the rest unread. */
			if (cl->n_in <= MT_CTL_LINE)
				return true;
			(void)answer(c, cl, cl->in, cl->n_in);
			return false;
		}
		line = (size_t)(end - cl->in);
		cl->held = mt_ctl_must_wait(c, cl->in, line);
		if (cl->held)
			return true;
		cl->asked = cl->since = c->now;
		if (!answer(c, cl, cl->in, line))
			return false;
		cl->n_in -= (uint32_t)line + 1;
		memmove(cl->in, end + 1, cl->n_in);
	}
	return true;
}

/*
 * True while the client waits for its own answer or for another client's; it is neither read nor
 * written then.
 */
static bool is_waiting(const struct mt_client *cl)
{
	return cl->waits || cl->held;
}

static bool receive(struct mt_ctl *c, struct mt_client *cl)
{
	char *to = cl->in + cl->n_in;
	size_t room = sizeof(cl->in) - cl->n_in;
	ssize_t n = cl->tls ? mt_tls_recv(cl->tls, to, room) : recv(cl->fd, to, room, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (cl->n_in == 0)
		cl->since = c->now;
	cl->n_in += (uint32_t)n;
	return serve(c, cl);
}

/* Reads data that OpenSSL has already decrypted: it no longer makes the descriptor readable. */
static bool receive_rest(struct mt_ctl *c, struct mt_client *cl)
{
	bool ok = true;

	while (ok && cl->tls && cl->out.len == 0 && !is_waiting(cl) && SSL_pending(cl->tls) > 0)
		ok = receive(c, cl);
	return ok;
}

static bool progress(struct mt_ctl *c, struct mt_client *cl, uint32_t events)
{
	if (events & EPOLLERR)
		return false;
	if (cl->shaking)
		return mt_remote_shake(c, cl);
	if (is_waiting(cl))
		return !(events & EPOLLHUP);
	if (events & EPOLLOUT)
		return flush(c, cl) && serve(c, cl) && receive_rest(c, cl);
	return receive(c, cl) && receive_rest(c, cl);
}

static void want(struct mt_ctl *c, struct mt_client *cl)
{
	uint32_t wanted = EPOLLIN;

	if (is_waiting(cl))
		wanted = 0;
	else if (cl->out.len || (cl->shaking && !cl->refused && SSL_want_write(cl->tls)))
		wanted = EPOLLOUT;
	(void)mt_ctl_watch(c, cl->fd, wanted, cl, EPOLL_CTL_MOD);
}

void mt_ctl_client_event(struct mt_ctl *c, struct mt_client *cl, uint32_t events)
{
	/* Another client has taken the slot in this iteration. */
	if (cl->fd < 0)
		return;
	if (!progress(c, cl, events)) {
		mt_ctl_client_close(cl);
		return;
	}
	want(c, cl);
}

static void go_on(struct mt_ctl *c, struct mt_client *cl)
{
	cl->held = false;
	cl->since = c->now;
	if (serve(c, cl) && receive_rest(c, cl))
		want(c, cl);
	else
		mt_ctl_client_close(cl);
}

static void each_client(struct mt_ctl *c, void (*fn)(struct mt_ctl *c, struct mt_client *cl))
{
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		if (c->clients[i].fd >= 0)
			fn(c, &c->clients[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(c->remote.clients); i++)
		if (c->remote.clients[i].fd >= 0)
			fn(c, &c->remote.clients[i]);
}

static void serve_held(struct mt_ctl *c, struct mt_client *cl)
{
	if (cl->held)
		go_on(c, cl);
}

void mt_ctl_client_answer(struct mt_ctl *c, int code, const struct mt_text_buf *body)
{
	struct mt_client *to = NULL;

	for (int i = 0; i < MT_CTL_CLIENTS && !to; i++)
		to = c->clients[i].waits ? &c->clients[i] : NULL;
	for (size_t i = 0; i < MT_ARRAY_LEN(c->remote.clients) && !to; i++)
		to = c->remote.clients[i].waits ? &c->remote.clients[i] : NULL;
	if (to) {
		to->waits = false;
		if (reply(c, to, code, body))
			go_on(c, to);
		else
			mt_ctl_client_close(to);
	}
	each_client(c, serve_held);
}

uint64_t mt_ctl_client_deadline(const struct mt_client *cl)
{
	if (cl->fd < 0 || is_waiting(cl) || (!cl->out.len && !cl->n_in))
		return MT_NEVER;
	return cl->out.len ? MT_MIN(cl->since + STALL, cl->asked + TAKEN) : cl->since + STALL;
}

uint64_t mt_ctl_socket_next(const struct mt_ctl *c)
{
	uint64_t next = MT_NEVER;

	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		next = MT_MIN(next, mt_ctl_client_deadline(&c->clients[i]));
	return next;
}

void mt_ctl_socket_expire(struct mt_ctl *c)
{
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		if (c->now >= mt_ctl_client_deadline(&c->clients[i]))
			mt_ctl_client_close(&c->clients[i]);
}
