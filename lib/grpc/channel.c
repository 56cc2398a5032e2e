/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects a channel and reconnects it. It tries the servers in their order, and the first
 * MT_GRPC_ADDRS addresses of each. It waits only after all have failed, with exponential back-off
 * that mt_grpc_useful() resets. A connection alone does not, because a server that accepts
 * connections and rejects every call must not be tried seven times a second.
 */
#include "mt_grpc_h2_priv.h"

#include "mt_mutant.h"
#include "mt_sockaddr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX (64u << 20)
#define UNIX_PREFIX "unix:"

static void fail(struct mt_grpc *g);

/* ---- addresses ------------------------------------------------------------------------------- */

static struct mt_pipe_address inet_address(const struct mt_addr *a, uint16_t port)
{
	struct mt_pipe_address to = {0};

	to.len = mt_sockaddr(a, port, &to.u.any);
	return to;
}

/* ---- attempts to connect --------------------------------------------------------------------- */

static void on_pipe(struct mt_pipe *p, const struct mt_err *e);

/* Starts to connect to the next address of the server. False if none is left. */
static bool try_address(struct mt_grpc *g)
{
	while (g->addr < g->n_addrs) {
		const struct mt_pipe_address *to = &g->addrs[g->addr++];

		g->pipe.event = on_pipe;
		if (mt_pipe_open(&g->pipe, g->fds, to, g->conf.tls, &g->why) == 0)
			return true;
	}
	return false;
}

static void on_name(void *arg, const struct mt_lookup_result *result)
{
	struct mt_grpc *g = arg;

	g->lookup = NULL;
	g->n_addrs = MT_MIN(result->n, (uint32_t)MT_GRPC_ADDRS);
	for (uint32_t i = 0; i < g->n_addrs; i++)
		g->addrs[i] = inet_address(&result->addrs[i], g->port);
	if (!result->n)
		mt_err(&g->why, 0, "the name cannot be looked up: %s", result->why);
	if (!try_address(g))
		g->broken = true;
}

/*
 * Sets the address of a server that needs no lookup, or g->why. False if `host` is a name to look
 * up.
 */
static bool known_address(struct mt_grpc *g, const char *server, char *host, size_t size)
{
	struct mt_pipe_address *to = &g->addrs[0];
	struct mt_addr a;

	if (strncmp(server, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
		server += strlen(UNIX_PREFIX);
		*to = (struct mt_pipe_address){.len = sizeof(to->u.un)};
		to->u.un.sun_family = AF_UNIX;
		if (strlen(server) >= sizeof(to->u.un.sun_path)) {
			mt_err(&g->why, 0, "the path is too long");
			return true;
		}
		strcpy(to->u.un.sun_path, server);
		strcpy(g->authority, "localhost");
		g->n_addrs = 1;
		return true;
	}
	if (mt_host_port(server, host, size, &g->port)) {
		mt_err(&g->why, 0, "\"%.128s\" is not like host:port", server);
		return true;
	}
	snprintf(g->authority, sizeof(g->authority), "%s", server);
	if (mt_addr_parse(host, &a))
		return false;
	*to = inet_address(&a, g->port);
	g->n_addrs = 1;
	return true;
}

static void attempt(struct mt_grpc *g)
{
	const char *server = mt_grpc_server(g);
	char host[256];

	g->state = MT_GRPC_CONNECTING;
	g->give_up = g->now + g->conf.connect_ns;
	g->n_addrs = g->addr = 0;
	if (!known_address(g, server, host, sizeof(host))) {
		g->lookup = mt_lookup(g->names, host, on_name, g);
		return;
	}
	if (!try_address(g))
		fail(g);
}

/* ---- end of a connection --------------------------------------------------------------------- */

static void close_connection(struct mt_grpc *g)
{
	mt_lookup_cancel(g->lookup);
	g->lookup = NULL;
	mt_h2_stop(g);
	mt_pipe_close(&g->pipe);
	g->n_unsent = 0;
	g->pinged = 0;
	g->broken = false;
	g->going_away = false;
}

/* Schedules the next attempt: at once while a server was not tried, else after the back-off. */
static void schedule(struct mt_grpc *g)
{
	g->tried++;
	g->server = (g->server + 1) % g->conf.n_servers;
	if (g->tried % g->conf.n_servers) {
		g->next_attempt = g->now;
		return;
	}
	g->next_attempt = g->now + g->backoff / 2 + g->jitter % (g->backoff / 2 + 1);
	g->backoff = MT_MIN(g->backoff + g->backoff / 2 + g->backoff / 8, g->conf.backoff_max_ns);
}

/*
 * Ends the connection or attempt for the reason g->why, and tries the next address or schedules an
 * attempt.
 */
static void fail(struct mt_grpc *g)
{
	struct mt_err why = g->why;
	bool more = g->state == MT_GRPC_CONNECTING && g->addr < g->n_addrs;

	g->state = MT_GRPC_WAITING;
	mt_grpc_end_streams(g, why.text);
	close_connection(g);
	if (more) {
		g->state = MT_GRPC_CONNECTING;
		if (try_address(g))
			return;
		g->state = MT_GRPC_WAITING;
		why = g->why;
	}
	schedule(g);
	g->events->down(g->arg, why.text);
}

static void serve(struct mt_grpc *g)
{

	if (mt_h2_read(g) < 0 || mt_h2_flush(g) < 0 || mt_h2_is_over(g))
		fail(g);
}

static void on_pipe(struct mt_pipe *p, const struct mt_err *e)
{
	struct mt_grpc *g = mt_container_of(p, struct mt_grpc, pipe);

	if (e) {
		g->why = *e;
		fail(g);
		return;
	}
	if (p->state != MT_PIPE_OPEN)
		return;
	if (!g->h2) {
		g->heard = g->now;
		if (mt_h2_start(g) < 0) {
			fail(g);
			return;
		}
		g->state = MT_GRPC_UP;
		g->events->up(g->arg);
	}
	serve(g);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void watch_silence(struct mt_grpc *g)
{
	if (mt_mutant(MT_MUTANT_xds_silence_unnoticed))
		return;
	if (g->pinged && g->now >= g->pinged + g->conf.ping_wait_ns) {
		mt_err(&g->why, 0, "the server has not answered a ping for %llu s",
			(unsigned long long)(g->conf.ping_wait_ns / MT_SEC));
		fail(g);
	} else if (!g->pinged && g->now >= g->heard + g->conf.ping_after_ns) {
		g->pinged = g->now;
		if (mt_h2_ping(g) < 0)
			fail(g);
	}
}

void mt_grpc_turn(struct mt_grpc *g, uint64_t now, struct mt_rand *rng)
{
	g->now = now;
	g->jitter = mt_rand_u64(rng);
	if (g->broken) {
		fail(g);
	} else if (g->state == MT_GRPC_UP) {
		watch_silence(g);
	} else if (g->state == MT_GRPC_CONNECTING && now >= g->give_up) {
		mt_err(&g->why, 0, "no connection within %llu s",
			(unsigned long long)(g->conf.connect_ns / MT_SEC));
		g->addr = g->n_addrs;
		fail(g);
	}
	if (g->state == MT_GRPC_WAITING && now >= g->next_attempt)
		attempt(g);
}

/* ---- interface ------------------------------------------------------------------------------- */

static uint64_t or_default(uint64_t v, uint64_t instead)
{
	return v ? v : instead;
}

struct mt_grpc *mt_grpc_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_grpc_conf *conf, const struct mt_grpc_events *events, void *arg)
{
	struct mt_grpc *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->conf = *conf;
	g->conf.max_message = or_default(conf->max_message, MESSAGE_MAX);
	g->conf.connect_ns = or_default(conf->connect_ns, 10 * MT_SEC);
	g->conf.ping_after_ns = or_default(conf->ping_after_ns, 10 * MT_SEC);
	g->conf.ping_wait_ns = or_default(conf->ping_wait_ns, 5 * MT_SEC);
	g->conf.backoff_min_ns = or_default(conf->backoff_min_ns, 500 * MT_MSEC);
	g->conf.backoff_max_ns = or_default(conf->backoff_max_ns, 30 * MT_SEC);
	g->backoff = g->conf.backoff_min_ns;
	g->fds = fds;
	g->names = names;
	g->events = events;
	g->arg = arg;
	g->pipe.watch.fd = -1;
	mt_list_init(&g->streams);
	return g;
}

void mt_grpc_free(struct mt_grpc *g)
{
	struct mt_list *n;

	if (!g)
		return;
	while ((n = mt_list_first(&g->streams)) != NULL)
		mt_grpc_cancel(mt_list_entry(n, struct mt_grpc_stream, node));
	close_connection(g);
	free(g);
}

void mt_grpc_useful(struct mt_grpc *g)
{
	g->backoff = g->conf.backoff_min_ns;
	g->tried = 0;
}

void mt_grpc_reconnect(struct mt_grpc *g, const char *why)
{
	if (g->state == MT_GRPC_WAITING)
		return;
	mt_err(&g->why, 0, "%s", why);
	g->addr = g->n_addrs;
	fail(g);
	g->server = 0;
	g->next_attempt = g->now;
}

void mt_grpc_hurry(struct mt_grpc *g)
{
	g->next_attempt = g->now;
}

enum mt_grpc_state mt_grpc_state(const struct mt_grpc *g)
{
	return g->state;
}

bool mt_grpc_has_spoken(const struct mt_grpc *g)
{
	return g->spoke;
}

bool mt_grpc_is_leaving(const struct mt_grpc *g)
{
	return g->state == MT_GRPC_UP && g->going_away;
}

const char *mt_grpc_server(const struct mt_grpc *g)
{
	return g->conf.servers[g->server];
}
