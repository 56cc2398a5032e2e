/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shells of other machines. They have places of their own, so that nobody from outside can take one from an operator on this
 * machine; who has not shown a certificate with a role yet has a few seconds, a share for its address, and takes no place from those
 * who have. A handshake costs this thread a signature: only so many begin in a second, the others wait in the kernel's queue.
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

#define SHAKE	    (5 * MT_SEC)    /* for a handshake, and to read that there is no role */
#define SILENT	    (3600 * MT_SEC) /* without a request */
#define LOOK	    (1 * MT_SEC)    /* between two looks at the files while somebody is here */
#define ANEW	    (60 * MT_SEC)   /* what ends by the clock alone: lists of revocations, roots */
#define PER_SECOND  50		    /* handshakes */
#define PER_ADDRESS 4		    /* at the same time, as long as others may need the places */

int mt_remote_open(struct mt_ctl *c, struct mt_err *e)
{
	struct mt_remote *r = &c->remote;
	char where[MT_ADDR_STRLEN];

	r->stamp = mt_tls_stamp(&c->env.tls);
	r->ctx = mt_tls_server(&c->env.tls, e);
	if (!r->ctx)
		return -EINVAL;
	r->fd = mt_ctl_listen(&c->env.tls.addr, c->env.tls.port);
	if (r->fd < 0)
		return mt_err(e, r->fd, "admin.tls.listen %s: %s",
			mt_addr_port_str(&c->env.tls.addr, c->env.tls.port, where),
			strerror(-r->fd));
	if (mt_ctl_watch(c, r->fd, EPOLLIN, r, EPOLL_CTL_ADD) < 0)
		return mt_err(e, -errno, "admin.tls: %s", strerror(errno));
	return 0;
}

void mt_remote_close(struct mt_ctl *c)
{
	struct mt_remote *r = &c->remote;

	for (size_t i = 0; i < MT_ARRAY_LEN(r->clients); i++)
		if (r->clients[i].fd >= 0)
			mt_ctl_client_close(&r->clients[i]);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	SSL_CTX_free(r->ctx);
	r->ctx = NULL;
}

/* ---- certificates that were replaced -------------------------------------------------------- */

/* Files that do not fit together (yet) leave the last ones in use; that is told once. */
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

/* ---- who is here ---------------------------------------------------------------------------- */

void mt_ctl_tls_roles(struct mt_ctl *c, const struct mt_ctl_tls_role *roles, uint32_t n)
{
	c->env.tls.roles = roles;
	c->env.tls.n_roles = n;
	c->remote.state++;
	c->remote.look = 0;
}

/* By the files and roles of now; NULL: it may stay, with the role that it has by them. */
static const char *judge(struct mt_ctl *c, struct mt_client *cl)
{
	struct mt_remote *r = &c->remote;
	const char *doubt = mt_tls_doubt(r->ctx, cl->tls);
	struct mt_who who = cl->who;

	if (doubt) {
		snprintf(r->words, sizeof(r->words),
			"your certificate is not believed any more: %s", doubt);
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

/* ---- places --------------------------------------------------------------------------------- */

/* Who has not shown yet that it has a role here, or that it has none. */
static bool is_newcomer(const struct mt_client *cl)
{
	return cl->shaking || cl->refused;
}

/* Among those who have shown a role: who goes for `cl`, which has one too by now. NULL: there is a place. */
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

/* Of newcomers, how many; *worst: who goes first. `addr` NULL: of any. */
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

/* Whether another handshake may begin in this second. */
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

	if (!may_begin(c))
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

/* It has shown who it is; if it has a role, a place among those who have is found now. */
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

/* Reads on until the other side ends: what it sent meanwhile would make a reset, which overtakes the alert that says why. */
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

/* ---- whose time is over --------------------------------------------------------------------- */

static uint64_t deadline(const struct mt_client *cl)
{
	if (cl->fd < 0)
		return MT_NEVER;
	if (is_newcomer(cl))
		return cl->asked + SHAKE;
	return MT_MIN(mt_ctl_client_deadline(cl), cl->asked + SILENT);
}

/* Who may not be here any more does not have to ask to learn it. */
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

	if (r->fd < 0)
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

	for (size_t i = 0; r->fd >= 0 && i < MT_ARRAY_LEN(r->clients); i++) {
		next = MT_MIN(next, deadline(&r->clients[i]));
		if (r->clients[i].fd >= 0 && !is_newcomer(&r->clients[i]))
			next = MT_MIN(next, r->look);
	}
	return next;
}
