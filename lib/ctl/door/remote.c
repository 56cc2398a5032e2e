/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shells on other machines, over TLS. They have slots of their own, so that no remote client takes
 * a slot from an operator on this machine.
 *
 * Until its certificate has proved a role, a client has a few seconds and one of PER_ADDRESS slots
 * of its address, and never takes the slot of a client with a role.
 *
 * A handshake costs this thread a signature, so that only PER_SECOND of them start within a second;
 * further clients wait in the kernel's accept queue.
 */
#include "mt_ctl_priv.h"

#include "mt_accept.h"
#include "mt_sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SHAKE	    (5 * MT_SEC)    /* for a handshake, and to read a refusal */
#define SILENT	    (3600 * MT_SEC) /* time limit without a request */
#define LOOK	    (1 * MT_SEC)    /* between checks of the files, while shells exist */
#define ANEW	    (60 * MT_SEC)   /* full check: roots and revocation lists expire */
#define PER_SECOND  50		    /* handshakes that may start */
#define PER_ADDRESS 4		    /* newcomers of one address at the same time */

static int open_listener(struct mt_ctl *c, struct mt_err *e)
{
	struct mt_remote *r = &c->remote;
	char where[MT_ADDR_STRLEN];

	r->fd = mt_ctl_listen(&c->env.tls.addr, c->env.tls.port);
	if (r->fd < 0)
		return mt_err(e, r->fd, "admin.tls.listen %s: %s; %s",
			mt_addr_port_str(&c->env.tls.addr, c->env.tls.port, where),
			strerror(-r->fd), mt_bind_remedy(r->fd));
	if (mt_ctl_watch(c, r->fd, EPOLLIN, r, EPOLL_CTL_ADD) < 0)
		return mt_err(e, -errno, "admin.tls: %s", strerror(errno));
	return 0;
}

int mt_remote_open(struct mt_ctl *c, struct mt_err *e)
{
	struct mt_remote *r = &c->remote;

	r->stamp = mt_tls_stamp(&c->env.tls);
	r->ctx = mt_tls_server(&c->env.tls, e);
	if (!r->ctx)
		return -EINVAL;
	return open_listener(c, e);
}

static void close_listener(struct mt_remote *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->paused = false;
}

void mt_remote_close(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;

	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++)
		if (r->clients[i].fd >= 0)
			mt_ctl_client_close(&r->clients[i]);
	close_listener(r);
	SSL_CTX_free(r->ctx);
	r->ctx = NULL;
}

/* ---- replaced certificates ------------------------------------------------------------------ */

/*
 * Reloads files that have changed. If they are invalid (perhaps half replaced), the last good ones
 * stay in use; each error is logged once.
 */
static void refresh(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;
	uint64_t stamp = mt_tls_stamp(&c->env.tls);
	struct mt_err e;
	SSL_CTX *ctx;

	if (stamp == r->stamp)
		return;
	ctx = mt_tls_server(&c->env.tls, &e);
	if (!ctx) {
		if (strcmp(r->trouble, e.text) != 0)
			mt_log(MT_LOG_WARN, "admin", "the last certificates stay in use: %s",
				e.text);
		snprintf(r->trouble, sizeof(r->trouble), "%s", e.text);
		return;
	}
	SSL_CTX_free(r->ctx);
	r->ctx = ctx;
	r->stamp = stamp;
	r->state++;
	r->trouble[0] = '\0';
	mt_log(MT_LOG_INFO, "admin", "the certificates of admin.tls were read again");
}

/* ---- checks of connected shells ------------------------------------------------------------- */

void mt_ctl_tls_roles(struct mt_ctl *c, const struct mt_ctl_tls_role *roles, uint32_t n)
{
	struct mt_err e;

	c->env.tls.roles = roles;
	c->env.tls.n_roles = n;
	c->remote.state++;
	c->remote.look = 0;
	if (n == 0) {
		close_listener(&c->remote);
	} else if (c->remote.fd < 0 && open_listener(c, &e) < 0) {
		close_listener(&c->remote);
		mt_log(MT_LOG_ERROR, "admin", "%s; restart the daemon", e.text);
	}
}

/*
 * Checks a shell against the current files and roles and updates its role. Returns the reason to
 * close it, or NULL.
 */
static const char *judge(struct mt_ctl *c, struct mt_client *cl)
{
	struct mt_remote *r = &c->remote;
	const char *doubt = mt_tls_doubt(r->ctx, cl->tls);
	struct mt_who who = cl->who;

	if (doubt) {
		snprintf(r->words, sizeof(r->words), "your certificate is no longer accepted: %s",
			doubt);
		return r->words;
	}
	who.name[0] = '\0';
	if (!mt_tls_who(cl->tls, &c->env.tls, &who, &cl->valid))
		return "your certificate is good, but none of its names has a role on this node "
		       "any more (spec.admin.tls.roles)";
	if (who.role != cl->who.role)
		mt_log(MT_LOG_INFO, "admin", "the shell of %s may %s now", who.name,
			who.role == MT_ROLE_OPERATE ? "operate" : "look only");
	cl->who = who;
	cl->judged = r->state;
	return NULL;
}

const char *mt_remote_objection(struct mt_ctl *c, struct mt_client *cl)
{
	const char *words = NULL;

	if (!cl->tls)
		return NULL;
	if (cl->refused)
		return "your certificate is good, but none of its names has a role on this node "
		       "(spec.admin.tls.roles)";
	refresh(c);
	if (cl->judged != c->remote.state)
		words = judge(c, cl);
	if (!words && cl->valid && time(NULL) > cl->valid)
		words = "your certificate has expired since you came";
	if (words)
		mt_log(MT_LOG_WARN, "admin", "the shell of %s is closed: %s", cl->who.name, words);
	return words;
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* True for a client that has not proved a role: in its handshake, or refused. */
static bool is_newcomer(const struct mt_client *cl)
{
	return cl->shaking || cl->refused;
}

/*
 * Among clients with a role, the one that must leave for `cl`, which has a role now too. NULL: a
 * slot is free.
 */
static struct mt_client *yields(struct mt_remote *r, const struct mt_client *cl)
{
	uint32_t viewers = 0, all = 0;
	struct mt_client *worst = NULL;
	enum mt_role role;

	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++) {
		const struct mt_client *other = &r->clients[i];

		if (other->fd < 0 || is_newcomer(other))
			continue;
		all++;
		viewers += other->who.role == MT_ROLE_VIEW;
	}
	if (all < MT_CTL_REMOTES)
		return NULL;
	role = mt_ctl_yields(cl->who.role, viewers, MT_CTL_REMOTES);
	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++) {
		struct mt_client *other = &r->clients[i];

		if (other->fd >= 0 && !is_newcomer(other) && other->who.role == role &&
			(!worst || mt_ctl_client_rather(other, worst)))
			worst = other;
	}
	return worst;
}

/* Number of newcomers from `addr` (NULL: from any address); *worst: the one to close first. */
static uint32_t count(struct mt_remote *r, const struct mt_addr *addr, struct mt_client **worst)
{
	uint32_t n = 0;

	*worst = NULL;
	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++) {
		struct mt_client *cl = &r->clients[i];

		if (cl->fd < 0 || !is_newcomer(cl) || (addr && !mt_addr_eq(&cl->addr, addr)))
			continue;
		n++;
		if (!*worst || mt_ctl_client_rather(cl, *worst))
			*worst = cl;
	}
	return n;
}

static struct mt_client *place(struct mt_remote *r, const struct mt_addr *addr)
{
	struct mt_client *own, *any;
	uint32_t of_it = count(r, addr, &own), all = count(r, NULL, &any);

	if (of_it >= PER_ADDRESS)
		mt_ctl_client_close(own);
	else if (all >= MT_CTL_REMOTES)
		mt_ctl_client_close(any);
	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++)
		if (r->clients[i].fd < 0)
			return &r->clients[i];
	return NULL;
}

/* ---- newcomers ------------------------------------------------------------------------------ */

static void pause_listener(struct mt_ctl *c, bool paused)
{
	c->remote.paused = paused;
	(void)mt_ctl_watch(c, c->remote.fd, paused ? 0 : EPOLLIN, &c->remote, EPOLL_CTL_MOD);
}

/* True if another handshake may start within this second; otherwise pauses the listener. */
static bool may_begin(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;

	if (c->now >= r->refill) {
		r->handshakes = PER_SECOND;
		r->refill = c->now + MT_SEC;
	}
	if (r->handshakes == 0) {
		pause_listener(c, true);
		return false;
	}
	r->handshakes--;
	return true;
}

static void begin(struct mt_ctl *c, struct mt_client *cl, int fd, const struct sockaddr_storage *ss)
{
	char where[MT_ADDR_STRLEN];
	struct mt_addr addr;
	uint16_t port;
	int one = 1;

	(void)mt_sockaddr_read((const struct sockaddr *)ss, &addr, &port);
	*cl = (struct mt_client){.fd = fd, .shaking = true, .addr = addr};
	cl->since = cl->asked = c->now;
	cl->judged = c->remote.state;
	cl->who = (struct mt_who){.uid = UINT32_MAX, .role = MT_ROLE_VIEW};
	snprintf(cl->who.from, sizeof(cl->who.from), "%s", mt_addr_port_str(&addr, port, where));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	cl->tls = SSL_new(c->remote.ctx);
	if (!cl->tls || SSL_set_fd(cl->tls, fd) != 1 ||
		mt_ctl_watch(c, fd, EPOLLIN, cl, EPOLL_CTL_ADD) < 0) {
		mt_ctl_client_close(cl);
		return;
	}
	SSL_set_accept_state(cl->tls);
}

void mt_remote_accept(struct mt_ctl *c)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct mt_client *cl;
	struct mt_addr addr;
	int fd;

	if (c->remote.fd < 0 || !may_begin(c))
		return;
	fd = mt_accept(c->remote.fd, &ss, &len);
	if (fd < 0)
		return;
	refresh(c);
	(void)mt_sockaddr_read((struct sockaddr *)&ss, &addr, NULL);
	cl = place(&c->remote, &addr);
	if (cl)
		begin(c, cl, fd, &ss);
	else
		close(fd);
}

/*
 * The handshake is complete: finds the client's role and, if it has one, a slot among the clients
 * with a role.
 */
static void let_in(struct mt_ctl *c, struct mt_client *cl)
{
	struct mt_client *worst;

	cl->refused = !mt_tls_who(cl->tls, &c->env.tls, &cl->who, &cl->valid);
	worst = cl->refused ? NULL : yields(&c->remote, cl);
	if (worst)
		mt_ctl_client_evict(worst, "another shell needed the place");
	cl->shaking = false;
	cl->since = cl->asked = c->now;
	mt_log(cl->refused ? MT_LOG_WARN : MT_LOG_INFO, "admin", "%s of %s",
		cl->refused ? "a shell without a role" : "shell", cl->who.name);
}

/*
 * Discards input until the peer closes. Closing with unread data would send a reset, which may
 * overtake the alert that explains the refusal.
 */
static bool see_off(struct mt_client *cl)
{
	char rest[512];
	ssize_t n = recv(cl->fd, rest, sizeof(rest), MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool mt_remote_shake(struct mt_ctl *c, struct mt_client *cl)
{
	int rc, why;

	if (cl->refused)
		return see_off(cl);
	ERR_clear_error();
	rc = SSL_accept(cl->tls);
	why = SSL_get_error(cl->tls, rc);
	ERR_clear_error();
	if (rc == 1)
		let_in(c, cl);
	if (rc == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return true;
	cl->refused = true;
	if (SSL_get_verify_result(cl->tls) != X509_V_OK)
		mt_log(MT_LOG_WARN, "admin", "a shell from %s is not let in: %s", cl->who.from,
			X509_verify_cert_error_string(SSL_get_verify_result(cl->tls)));
	return shutdown(cl->fd, SHUT_WR) == 0 && see_off(cl);
}

/* ---- time limits ---------------------------------------------------------------------------- */

static uint64_t deadline(const struct mt_client *cl)
{
	if (cl->fd < 0)
		return MT_NEVER;
	if (is_newcomer(cl))
		return cl->asked + SHAKE;
	return MT_MIN(mt_ctl_client_deadline(cl), cl->asked + SILENT);
}

/* Checks all shells, so that one that has lost its role is closed before its next request. */
static void judge_all(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;

	r->look = c->now + LOOK;
	if (c->now >= r->anew) {
		r->anew = c->now + ANEW;
		r->state++;
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++) {
		struct mt_client *cl = &r->clients[i];
		const char *words =
			cl->fd < 0 || is_newcomer(cl) ? NULL : mt_remote_objection(c, cl);

		if (words)
			mt_ctl_client_evict(cl, words);
	}
}

void mt_remote_expire(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;

	if (!r->ctx)
		return;
	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++)
		if (c->now >= deadline(&r->clients[i]))
			mt_ctl_client_close(&r->clients[i]);
	if (c->now >= r->look)
		judge_all(c);
	if (r->paused && c->now >= r->refill)
		pause_listener(c, false);
}

uint64_t mt_remote_next(const struct mt_ctl *c)
{
	const struct mt_remote *r = &c->remote;
	uint64_t next = r->paused ? r->refill : MT_NEVER;

	for (size_t i = 0; r->ctx && i < MT_ARRAY_LEN(r->clients); i++) {
		next = MT_MIN(next, deadline(&r->clients[i]));
		if (r->clients[i].fd >= 0 && !is_newcomer(&r->clients[i]))
			next = MT_MIN(next, r->look);
	}
	return next;
}
