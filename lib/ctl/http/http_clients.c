/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the HTTP server. libmicrohttpd would let silent clients hold all its connections
 * for the whole time limit. So this file accepts connections itself, records the state of each and
 * its start, and ends those that keep others out. Ending shuts the socket down; the library notices
 * and closes it.
 */
#include "mt_ctl_http_priv.h"

#include "mt_accept.h"
#include "mt_sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PER_ADDRESS 16
#define GRACE                                                                                      \
	(50 * MT_MSEC) /* minimum time for which a client that sent no request keeps its slot */
#define PARKED MT_SEC  /* time that a new connection waits if no slot can be freed */

/* Time limit of each state as a whole, however often single bytes arrive meanwhile. */
static const uint64_t limits[] = {
	[MT_HTTP_FREE] = MT_NEVER,
	[MT_HTTP_SILENT] =
		2 * MT_SEC, /* from accept to the end of the first request, including its body */
	[MT_HTTP_REPLY] = 30 * MT_SEC,	/* until the client has read the reply */
	[MT_HTTP_AGAIN] = 15 * MT_SEC,	/* idle between two requests */
	[MT_HTTP_ENDING] = 10 * MT_SEC, /* shut down; the library closes it in its next run */
};

static void set(struct mt_http_client *h, enum mt_http_doing doing, uint64_t now)
{
	h->doing = doing;
	h->since = now;
}

/* ---- callbacks of libmicrohttpd ------------------------------------------------------------- */

void mt_http_on_connection(void *arg, struct MHD_Connection *conn, void **context,
	enum MHD_ConnectionNotificationCode what)
{
	struct mt_ctl *c = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*context = c->http_adding;
	else if (*context)
		((struct mt_http_client *)*context)->doing = MT_HTTP_FREE;
}

static struct mt_http_client *of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

bool mt_http_from_loopback(struct MHD_Connection *conn)
{
	static const struct mt_addr v6 = {.b = {[15] = 1}};
	const struct mt_http_client *h = of(conn);

	if (!h)
		return false;
	return mt_addr_is4(&h->addr) ? h->addr.b[12] == 127 : mt_addr_eq(&h->addr, &v6);
}

void mt_http_on_completed(
	void *arg, struct MHD_Connection *conn, void **request, enum MHD_RequestTerminationCode why)
{
	struct mt_http_client *h = of(conn);
	struct mt_ctl *c = arg;

	if (h && h->doing == MT_HTTP_REPLY)
		set(h, MT_HTTP_AGAIN, c->now);
}

void mt_http_asked(struct mt_ctl *c, struct MHD_Connection *conn)
{
	struct mt_http_client *h = of(conn);

	if (h && h->doing != MT_HTTP_ENDING)
		set(h, MT_HTTP_REPLY, c->now);
}

/* ---- which connection to end ---------------------------------------------------------------- */

static void end(struct mt_ctl *c, struct mt_http_client *h)
{
	shutdown(h->fd, SHUT_RDWR);
	set(h, MT_HTTP_ENDING, c->now);
}

/* True if the client does not read its reply: the socket's send buffer is full. */
static bool is_deaf(const struct mt_http_client *h)
{
	struct pollfd p = {.fd = h->fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 0;
}

static bool may_go(const struct mt_ctl *c, const struct mt_http_client *h)
{
	if (h->doing == MT_HTTP_SILENT)
		return c->now - h->since >= GRACE;
	return h->doing != MT_HTTP_REPLY || is_deaf(h);
}

/*
 * The connection that has been in this state for longest and may be ended; `addr` not NULL: of that
 * address only.
 */
static struct mt_http_client *oldest(
	struct mt_ctl *c, enum mt_http_doing doing, const struct mt_addr *addr)
{
	struct mt_http_client *found = NULL;

	for (int i = 0; i < MT_HTTP_CLIENTS; i++) {
		struct mt_http_client *h = &c->http_clients[i];

		if (h->doing == doing && (!addr || mt_addr_eq(&h->addr, addr)) &&
			(!found || h->since < found->since) && may_go(c, h))
			found = h;
	}
	return found;
}

/*
 * The connection to end when slots run short. Prefers one that has not sent a whole request, then
 * an idle one, then one that does not read its reply. NULL: none.
 */
static struct mt_http_client *yields(struct mt_ctl *c, const struct mt_addr *addr)
{
	static const enum mt_http_doing order[] = {MT_HTTP_SILENT, MT_HTTP_AGAIN, MT_HTTP_REPLY};
	struct mt_http_client *h = NULL;

	for (size_t i = 0; i < MT_ARRAY_LEN(order) && !h; i++)
		h = oldest(c, order[i], addr);
	return h;
}

static uint32_t count(const struct mt_ctl *c, const struct mt_addr *addr)
{
	uint32_t n = 0;

	for (int i = 0; i < MT_HTTP_CLIENTS; i++)
		n += c->http_clients[i].doing != MT_HTTP_FREE &&
		     c->http_clients[i].doing != MT_HTTP_ENDING &&
		     (!addr || mt_addr_eq(&c->http_clients[i].addr, addr));
	return n;
}

static struct mt_http_client *free_place(struct mt_ctl *c)
{
	for (int i = 0; i < MT_HTTP_CLIENTS; i++)
		if (c->http_clients[i].doing == MT_HTTP_FREE)
			return &c->http_clients[i];
	return NULL;
}

/*
 * Finds a slot for a new connection from `addr`. An address that has used up its share loses one of
 * its own connections; otherwise any connection may be ended. NULL: none may be ended now.
 */
static struct mt_http_client *place(struct mt_ctl *c, const struct mt_addr *addr)
{
	struct mt_http_client *h = NULL;

	if (count(c, addr) >= PER_ADDRESS)
		h = yields(c, addr);
	else if (count(c, NULL) >= MT_HTTP_CLIENTS - 1)
		h = yields(c, NULL);
	else
		return free_place(c);
	if (!h)
		return NULL;
	end(c, h);
	/* The library may need one run to notice the shutdown and one to close the socket. */
	for (int i = 0; i < 4 && h->doing != MT_HTTP_FREE; i++)
		(void)MHD_run(c->http);
	return free_place(c);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Passes a connection to the library; false: there is no slot for it now. */
static bool take(struct mt_ctl *c, const struct mt_http_parked *p)
{
	struct mt_http_client *h;
	struct mt_addr addr;

	(void)mt_sockaddr_read((const struct sockaddr *)&p->from, &addr, NULL);
	h = place(c, &addr);
	if (!h)
		return false;
	h->fd = p->fd;
	h->addr = addr;
	set(h, MT_HTTP_SILENT, c->now);
	c->http_adding = h;
	/* On failure the library closes the socket. */
	if (MHD_add_connection(c->http, p->fd, (const struct sockaddr *)&p->from, p->len) !=
		MHD_YES)
		h->doing = MT_HTTP_FREE;
	c->http_adding = NULL;
	return true;
}

/* Passes waiting connections to the library in order, and closes those whose time is over. */
static void unpark(struct mt_ctl *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->n_http_parked; i++) {
		struct mt_http_parked p = c->http_parked[i];

		if (take(c, &p))
			continue;
		if (c->now - p.since >= PARKED)
			close(p.fd);
		else
			c->http_parked[kept++] = p;
	}
	c->n_http_parked = kept;
}

static bool accept_one(struct mt_ctl *c)
{
	struct mt_http_parked p = {.len = sizeof(p.from), .since = c->now};

	p.fd = mt_accept(c->http_listener, &p.from, &p.len);
	if (p.fd < 0)
		return false;
	if (!c->n_http_parked && take(c, &p))
		return true;
	if (c->n_http_parked < MT_ARRAY_LEN(c->http_parked))
		c->http_parked[c->n_http_parked++] = p;
	else
		close(p.fd);
	return true;
}

void mt_http_clients_close(struct mt_ctl *c)
{
	while (c->n_http_parked)
		close(c->http_parked[--c->n_http_parked].fd);
}

void mt_http_accept(struct mt_ctl *c)
{
	mt_http_run(c);
	unpark(c);
	/* Bounded; the rest follows in the next iteration. */
	for (int i = 0; i < MT_HTTP_CLIENTS && accept_one(c); i++)
		;
}

bool mt_http_expire(struct mt_ctl *c)
{
	uint32_t parked = c->n_http_parked;
	bool changed;

	unpark(c);
	changed = c->n_http_parked < parked;
	for (int i = 0; i < MT_HTTP_CLIENTS; i++) {
		struct mt_http_client *h = &c->http_clients[i];

		if (h->doing == MT_HTTP_FREE || c->now - h->since < limits[h->doing])
			continue;
		end(c, h);
		changed = true;
	}
	return changed;
}

uint64_t mt_http_clients_next(const struct mt_ctl *c)
{
	/* Poll, because no event reports that a client has stopped reading. */
	uint64_t next = c->n_http_parked ? c->now + 10 * MT_MSEC : MT_NEVER;

	for (int i = 0; i < MT_HTTP_CLIENTS; i++) {
		const struct mt_http_client *h = &c->http_clients[i];

		if (h->doing != MT_HTTP_FREE)
			next = MT_MIN(next, h->since + limits[h->doing]);
	}
	return next;
}
