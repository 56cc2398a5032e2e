/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: created, launched on their lcores, drained, stopped. */
#include "daemon.h"

#include "mt_l4.h"
#include "mt_node_limits.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rte_launch.h>

#define CALL_MS	  2000
#define RESET_MS  1000 /* time to send the RSTs at stop */
#define ANSWER_MS 20
/*
 * The time between the last delivered reply and the reset of a client that has not closed. Its
 * application may not have read the reply, and some TCP stacks discard it on a RST.
 */
#define LINGER_NS (100 * MT_MSEC)

static uint32_t keepalive_s(const struct mt_num *ms)
{
	if (!ms->set)
		return 0; /* lib/tcp's default */
	return ms->v ? ms->v / 1000 : MT_TCP_KEEPALIVE_OFF;
}

/*
 * The minimum of server connections: each client connection may need one, and a few clients may
 * need very many.
 */
#define UPS_MIN 16384u
/*
 * Upstream calls, unless the buffer pool limits them earlier: CALLS_EACH per client, at least
 * CALLS_MIN in all.
 */
#define CALLS_EACH 2u
#define CALLS_MIN  65536u

static void limits(const struct mt_node *n, struct mt_tcp_conf *tcp, struct mt_proxy_conf *proxy)
{
	uint32_t clients = n->connections.v;

	proxy->max_down = clients;
	proxy->max_up = MT_MAX(clients, UPS_MIN);
	proxy->max_exchanges = MT_MAX(CALLS_EACH * clients, CALLS_MIN);
	/*
	 * Client connections, the server sides of opaque TCP, and connections for calls. A quarter
	 * more, because closed connections that still have to deliver something to their peer are
	 * not counted by the proxy.
	 */
	tcp->max_conns = 2 * proxy->max_down + proxy->max_up;
	tcp->max_conns += tcp->max_conns / 4;
}

uint64_t connection_bytes(void)
{
	return mt_proxy_pair_bytes(CALLS_EACH) + 2ull * mt_tcp_conn_bytes();
}

uint64_t worker_log_bytes(const struct mt_snapshot *s)
{
	return s && s->log ? MT_BYTE_RING_SIZE + mt_proxy_log_bytes(s->n_log_keys > 0) : 0;
}

/*
 * Tables get their memory as they fill. Too large a limit would thus show under the greatest load,
 * by the kernel's out-of-memory killer. Only a configured limit is refused; a small machine with
 * the default serves what it can.
 */
static int fits(const char *field, const struct mt_num *limit, uint64_t each, uint64_t log,
	uint32_t workers, struct mt_err *e)
{
	uint64_t mb = (each * limit->v + log) * workers >> 20, room;
	struct mt_memory_bound left;

	if (!limit->set)
		return 0;
	mt_memory_free("/proc", "/sys", &left);
	if (mb <= left.mb)
		return 0;
	room = ((uint64_t)left.mb << 20) / workers;
	return mt_err(e, -ENOMEM,
		"spec.%s: %u %s%s on each of %u workers take up to %llu MB, and %s has %u MB left: "
		"lower it to %llu",
		field, limit->v, field, log ? " with an access log" : "", workers,
		(unsigned long long)mb, left.of, left.mb,
		(unsigned long long)(room > log ? (room - log) / each : 0));
}

int connections_fit(const struct mt_node *n, const struct mt_snapshot *s, struct mt_err *e)
{
	return fits("connections", &n->connections, connection_bytes(), worker_log_bytes(s),
		n->workers.v, e);
}

int flows_fit(const struct mt_node *n, struct mt_err *e)
{
	return fits("flows", &n->flows, mt_l4_flow_bytes(), 0, n->workers.v, e);
}

int workers_start(struct daemon *d, struct mt_err *e)
{
	static const uint8_t ecn[] = {[MT_ECN_ACCEPT] = MT_TCP_ECN_ACCEPT,
		[MT_ECN_OFF] = MT_TCP_ECN_OFF,
		[MT_ECN_ASK] = MT_TCP_ECN_ASK};
	struct mt_tcp_conf tcp = {.ecn = ecn[d->node->ecn.v],
		.keepalive_idle_s = keepalive_s(&d->node->keepalive),
		.retries_max = (uint32_t)d->node->retransmissions.v};
	struct mt_proxy_conf proxy = {.unread_strict = d->node->unread.v == MT_UNREAD_STRICT};
	uint64_t now = mt_clock_now(&d->clock), seed;
	uint8_t secret[32], echo_secret[16];
	int rc = connections_fit(d->node, d->first, e);

	if (!rc)
		rc = flows_fit(d->node, e);
	if (rc)
		return rc;
	limits(d->node, &tcp, &proxy);
	(void)mt_conf_source_ports(d->node, &tcp.port_lo, &tcp.port_hi);

	mt_rand_secret(secret, sizeof(secret));
	mt_rand_secret(&seed, sizeof(seed));
	mt_rand_secret(echo_secret, sizeof(echo_secret));
	d->l4_health = mt_l4_health_new(d->n_workers, echo_secret);
	if (!d->l4_health)
		return mt_err(e, -ENOMEM, "no memory for health checks");
	d->l4_limiter = mt_l4_limiter_new(d->n_workers);
	if (!d->l4_limiter)
		return mt_err(e, -ENOMEM, "no memory for limits of forwarded ports");
	d->node_limits = proxy.node_limits = mt_node_limits_new(d->n_workers);
	if (!d->node_limits)
		return mt_err(e, -ENOMEM, "no memory for limits of connections");
	for (uint16_t i = 0; i < d->n_workers; i++) {
		const struct mt_worker_conf c = {
			.index = i,
			.workers = d->n_workers,
			.ports = d->ports,
			.n_ports = d->n_ports,
			.steer = &d->steer,
			.net = d->net,
			.guests = d->guests.hub ? &d->guests.worker : NULL,
			.pools = &d->pools[i],
			.tcp = &tcp,
			.proxy = &proxy,
			.secret = secret,
			.seed = seed + i,
			.now = now,
			.idle = d->node->idle.v == MT_IDLE_POLL ? MT_WORKER_POLL
								: MT_WORKER_ADAPTIVE,
			.names = {mt_dns_server_lane(d->dns, i), d->dns_addrs, d->n_dns_addrs,
				d->dns && mt_dns_server_passes_on(d->dns), &d->dns_allow},
			.tls = {mt_tls_pool_lane(d->tls, i), d->aeads[i],
				proxy.max_down + proxy.max_up},
			.flows = (uint32_t)d->node->flows.v,
			.health = d->l4_health,
			.limiter = d->l4_limiter,
			.asks = mt_extauthz_lane(d->asks, i),
			.limits = mt_callout_lane(d->limits, i),
			.grants = d->grants,
			.tokens = mt_token_pool_lane(d->tokens, i),
			.log = mt_alog_ring(d->log, i),
			.wake_fd = d->wake_fd,
			.current = mt_conf_slot(d->conf),
			.qsbr = d->rcu,
			.clock = &d->clock,
		};

		d->workers[i] = mt_worker_create(&c);
		if (!d->workers[i])
			return mt_err(e, -ENOMEM, "no memory for the tables of worker %u", i);
	}
	return 0;
}

void workers_stop(struct daemon *d)
{
	for (uint16_t i = 0; i < d->n_workers; i++) {
		mt_worker_destroy(d->workers[i]);
		d->workers[i] = NULL;
	}
	mt_l4_health_free(d->l4_health);
	d->l4_health = NULL;
	mt_l4_limiter_free(d->l4_limiter);
	d->l4_limiter = NULL;
	mt_node_limits_free(d->node_limits);
	d->node_limits = NULL;
}

int launch_start(struct daemon *d, struct mt_err *e)
{
	uint32_t n;

	for (uint16_t i = 0; i < d->n_workers; i++) {
		int rc;

		mt_worker_launching(d->workers[i]);
		rc = rte_eal_remote_launch(mt_worker_run, d->workers[i], i + 1u);
		if (rc) {
			mt_worker_not_launched(d->workers[i]);
			return mt_err(e, rc, "worker %u on core %u: %s", i, d->eal.cores[i],
				strerror(-rc));
		}
		d->launched = true;
		mt_log(MT_LOG_INFO, "worker", "%u runs on core %u, %s", i, d->eal.cores[i],
			d->node->idle.v == MT_IDLE_POLL ? "polling" : "adaptive");
	}
	n = d->workers[0] ? mt_conf_current(d->conf)->n_services : 0;
	mt_log(MT_LOG_INFO, "boot", "serving %u service%s on %u port%s", n, n == 1 ? "" : "s",
		d->n_ports, d->n_ports == 1 ? "" : "s");
	return 0;
}

static void pause_ms(uint32_t ms)
{
	const struct timespec ts = {.tv_nsec = (long)(ms * MT_MSEC)};

	(void)nanosleep(&ts, NULL);
}

/*
 * Resets all connections that are still open, before the ports close. A worker that hangs must not
 * keep the daemon from ending.
 */
static void reset_connections(struct daemon *d)
{
	bool all = false;

	for (uint16_t i = 0; i < d->n_workers; i++)
		mt_worker_reset_all(d->workers[i]);
	for (uint32_t ms = 0; !all && ms < RESET_MS; ms++) {
		pause_ms(1);
		all = true;
		for (uint16_t i = 0; i < d->n_workers; i++)
			all &= mt_worker_all_reset(d->workers[i]);
	}
	/*
	 * A peer that expected another sequence number sends a challenge ACK (RFC 5961 §3.2), which
	 * is answered in this time; the rings run empty.
	 */
	pause_ms(ANSWER_MS);
}

void launch_stop(struct daemon *d)
{
	if (d->launched)
		reset_connections(d);
	for (uint16_t i = 0; d->launched && i < d->n_workers; i++)
		mt_worker_stop(d->workers[i]);
	if (!d->launched)
		return;
	rte_eal_mp_wait_lcore();
	d->launched = false;
	tally(d);
}

void workers_quiesce(struct daemon *d)
{
	for (uint16_t i = 0; i < d->n_workers; i++)
		mt_worker_quiesce(d->workers[i]);
}

/* ---- drain -------------------------------------------------------------------------------- */

static void leave(struct mt_worker *w, void *arg)
{
	mt_proxy_leave(mt_worker_proxy(w), *(const uint32_t *)arg);
}

static void stay(struct mt_worker *w, void *arg)
{
	mt_proxy_stay(mt_worker_proxy(w));
}

static void close_clients(struct mt_worker *w, void *arg)
{
	mt_tcp_ignore_syns(mt_worker_tcp(w));
	mt_proxy_drain(mt_worker_proxy(w));
}

static void ask_idle(struct mt_worker *w, void *arg)
{
	*(bool *)arg = mt_proxy_idle(mt_worker_proxy(w)) && !mt_tcp_owes(mt_worker_tcp(w));
}

static void ask_closed(struct mt_worker *w, void *arg)
{
	*(bool *)arg = !mt_tcp_lingers(mt_worker_tcp(w));
}

static void ask_left(struct mt_worker *w, void *arg)
{
	*(bool *)arg = mt_proxy_left(mt_worker_proxy(w));
}

static void ask_brief(struct mt_worker *w, void *arg)
{
	*(bool *)arg = mt_proxy_brief(mt_worker_proxy(w));
}

static void ask_short(struct mt_worker *w, void *arg)
{
	*(bool *)arg = !mt_proxy_lasted(mt_worker_proxy(w));
}

static void call_all(struct daemon *d, void (*fn)(struct mt_worker *w, void *arg), void *arg)
{
	for (uint16_t i = 0; i < d->n_workers; i++)
		(void)mt_worker_call(d->workers[i], fn, arg, CALL_MS);
}

void workers_leave(struct daemon *d, uint32_t ms)
{
	/* A worker that does not answer in time may read it later. */
	d->drain.leave = ms;
	call_all(d, leave, &d->drain.leave);
}

void workers_stay(struct daemon *d)
{
	call_all(d, stay, NULL);
}

void workers_close(struct daemon *d)
{
	call_all(d, close_clients, NULL);
}

static bool all_workers(struct daemon *d, void (*ask)(struct mt_worker *w, void *arg))
{
	/* A worker that does not answer in time may still write here later. */
	static bool is[MT_WORKERS_MAX];
	bool all = true;

	for (uint16_t i = 0; i < d->n_workers; i++) {
		is[i] = false;
		if (mt_worker_call(d->workers[i], ask, &is[i], CALL_MS))
			return false;
		all &= is[i];
	}
	return all;
}

bool workers_idle(struct daemon *d)
{
	return all_workers(d, ask_idle);
}

bool workers_drained(struct daemon *d, uint64_t now)
{
	if (!workers_idle(d)) {
		d->drain.idle_at = 0;
		return false;
	}
	if (!d->drain.idle_at)
		d->drain.idle_at = now;
	return now - d->drain.idle_at >= LINGER_NS || all_workers(d, ask_closed);
}

bool workers_left(struct daemon *d)
{
	return all_workers(d, ask_left);
}

bool workers_brief(struct daemon *d)
{
	return all_workers(d, ask_brief);
}

bool workers_calls_are_short(struct daemon *d)
{
	return all_workers(d, ask_short);
}
