/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh.h"
#include "asked.h"
#include "entries.h"
#include "limiter.h"
#include "refs.h"
#include "steps.h"
#include "transplant.h"
#include "waits.h"
#include "../outcomes_seen.h"

#include "mt_filter_inbox.h"
#include "mt_node_limits.h"

#include <string.h>

/* Of an endpoint by the usual rule. */
#define ASIDE_MAX_MS 60000u

static uint64_t wall_of(const struct sim *s)
{
	return s->now + 1700000000ull * MT_SEC;
}

/* Each buffer that a connection holds is charged to it, after every turn. */
static void check_ledger(struct sim *s, struct mt_worker *w)
{
	const char *wrong = mt_tcp_ledger_wrong(mt_worker_tcp(w));

	if (wrong)
		sim_fail(s, "the ledger is not what connections hold: %s", wrong);
}

/*
 * Iterations in a row that may leave completions, decisions or calls without steps to the next one.
 * No worker is saved meanwhile, so an inbox that rings for ever would end all transplants.
 */
#define RUNG_MAX 64

static void check_inbox(struct mesh *m, uint32_t i)
{
	bool rung = mt_filter_inbox_rung(mt_proxy_inbox(mt_worker_proxy(m->w[i])));

	m->rung[i] = rung ? m->rung[i] + 1 : 0;
	if (m->rung[i] > RUNG_MAX)
		sim_fail(m->sim, "worker %u: %u iterations left something in its inbox", i,
			m->rung[i]);
}

/* What a turn without work may have changed is looked at now and then. */
#define LOOK_EVERY 8

/*
 * Steps of a turn where a hash is printed, because a compiler's options change the number of basic
 * blocks.
 */
#define HASHED_STEPS 3000

/* What it sent leaves at its end, and the worker does nothing else so long. */
static void turn_took(struct mesh *m, uint32_t i, uint64_t steps)
{
	uint64_t ns = (m->sim->opt->trace_hash ? HASHED_STEPS : steps) * m->ns_of_1000_steps / 1000;

	sim_port_turn_ends(&m->port, m->sim->now + ns);
	m->stalled_until[i] = MT_MAX(m->stalled_until[i], m->sim->now + ns);
	m->longest_ns = MT_MAX(m->longest_ns, ns);
	m->busy_ns += ns;
}

static uint32_t turn_one(struct mesh *m, uint32_t i)
{
	struct sim *s = m->sim;
	uint64_t before = sim_steps();
	uint32_t work;

	if (m->ns_of_1000_steps)
		sim_port_turn_begins(&m->port);
	if (m->layer[i])
		m->layer[i]->ops->turn(m->layer[i]);
	work = mt_worker_turn(m->w[i], s->now, wall_of(s));
	if (m->ns_of_1000_steps)
		turn_took(m, i, sim_steps() - before);

	check_inbox(m, i);
	entries_turn(m, i);
	if (m->asked)
		asked_turn(m->asked, i);
	if (m->limiter)
		limiter_turn(m->limiter, i);
	config_turn_over(&m->store, i);
	layer_check(m->layer[i]);
	transplant_turn(m, i);
	if (m->look_every && s->st.turns % m->look_every)
		return work;
	if (work || ++m->idle_turns % LOOK_EVERY == 0)
		waits_check(s, mt_worker_proxy(m->w[i]), &m->store);
	check_ledger(s, m->w[i]);
	return work;
}

static bool stalled(const struct mesh *m, uint32_t i)
{
	return m->sim->now < m->stalled_until[i];
}

bool mesh_stands_still(const struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++)
		if (stalled(m, i))
			return true;
	return false;
}

/* When the worker turns again; somebody may have handed it something. */
static uint64_t next_of(const struct mesh *m, uint32_t i, bool work)
{
	uint64_t next = MT_MIN(mt_worker_next(m->w[i]), layer_next(m->layer[i]));

	if (work || sim_port_rx_pending_of(&m->port, i))
		next = m->sim->now;
	return next == MT_NEVER ? next : MT_MAX(next, m->stalled_until[i]);
}

static void turn(struct sim *s, void *arg, uint64_t n)
{
	struct mesh *m = arg;
	uint32_t first = sim_below(&s->host_rand, m->workers), work = 0, published = m->store.n;
	uint64_t next = MT_NEVER;

	if (m->turn_at > s->now)
		return;
	m->turn_at = MT_NEVER;
	for (uint32_t i = 0; i < m->workers && !s->failed; i++) {
		if (stalled(m, (first + i) % m->workers))
			continue;
		if (m->reload_every && ++m->turns % m->reload_every == 0)
			m->reload(m->reload_arg);
		work += turn_one(m, (first + i) % m->workers);
		s->st.turns++;
	}
	sim_refs_check(s);
	work += m->store.n - published; /* those that had turned before have it to adopt */
	for (uint32_t i = 0; i < m->workers; i++)
		next = MT_MIN(next, next_of(m, i, work > 0));
	if (next != MT_NEVER)
		mesh_kick(m, MT_MAX(next, s->now + sim_between(&s->host_rand, 1, 8) * MT_USEC));
}

void mesh_kick(struct mesh *m, uint64_t at)
{
	if (at >= m->turn_at)
		return;
	m->turn_at = at;
	sim_at(m->sim, at, turn, m, 0);
}

#define STALLS_FOR (3 * MT_SEC)

static void stall(struct sim *s, void *arg, uint64_t until)
{
	uint64_t ns = sim_one_in(&s->host_rand, 3) ? sim_between(&s->host_rand, 100, 1000)
						   : sim_between(&s->host_rand, 10, 100);
	uint32_t i = sim_below(&s->host_rand, ((struct mesh *)arg)->workers);
	struct mesh *m = arg;

	sim_trace(s, "worker %u stands still for %llu ms", i, (unsigned long long)ns);
	sim_count_fault(s, SIM_F_STALL);
	m->stalled_until[i] = s->now + ns * MT_MSEC;
	mesh_kick(m, m->stalled_until[i]);
	if (s->now < until)
		sim_at(s, s->now + sim_between(&s->host_rand, 20, 1500) * MT_MSEC, stall, m, until);
}

void mesh_stalls(struct mesh *m)
{
	struct sim *s = m->sim;

	sim_at(s, s->now + sim_between(&s->plan, 1, 200) * MT_MSEC, stall, m, s->now + STALLS_FOR);
}

static void rx_kick(void *arg)
{
	struct mesh *m = arg;

	mesh_kick(m, m->sim->now + sim_between(&m->sim->host_rand, 0, 4) * MT_USEC);
}

static void configure(struct mesh *m)
{
	struct mt_net_addr_conf addrs[2] = {{m->host.addr4, 8, 0}, {m->host.addr6, 64, 0}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_err e = {{0}};

	if (mt_net_configure(m->net, &conf, NULL, &e) != 0)
		sim_fail(m->sim, "harness: net: %s", e.text);
}

static void make_worker(struct mesh *m, uint32_t i, uint32_t slot, const struct mt_tcp_conf *tcp)
{
	static const uint8_t secret[32] = "the simulator keeps no secrets.";
	m->conf[i] = (struct mt_worker_conf){
		.index = (uint16_t)i,
		.workers = (uint16_t)m->workers,
		.ports = m->ports,
		.n_ports = 1,
		.steer = &m->steer,
		.net = m->net,
		.tcp = tcp,
		.proxy = &m->proxy,
		.secret = secret,
		.seed = mt_rand_u64(&m->sim->host_rand),
		.now = m->sim->now,
		.idle = MT_WORKER_POLL,
		.current = &m->store.current,
		.asks = m->asked ? m->asked->lane[i] : NULL,
		.limits = m->limiter ? m->limiter->lane[i] : NULL,
		.log = m->log[i],
	};

	m->pools[i] = m->conf[i].pools = sim_pools_get(m->sim, slot + i);
	m->port.pools[i] = m->pools[i];
	m->w[i] = mt_worker_create(&m->conf[i]);
	if (!m->w[i]) {
		sim_fail(m->sim, "harness: no memory for a worker");
		return;
	}
	sim_refs_stack(m->pools[i], mt_worker_tcp(m->w[i]), mt_worker_net(m->w[i]),
		mt_worker_proxy(m->w[i]));
	/* A pool here is less than what one client may hold: only worlds that say so share it out. */
	mesh_share_out(m, i, 0);
}

void mesh_share_out(struct mesh *m, uint32_t worker, uint32_t buffers)
{
	m->shared_out[worker] = buffers;
	mt_ledger_share_out(mt_tcp_ledger(mt_worker_tcp(m->w[worker])),
		(uint64_t)buffers * (MT_BUF_DATA_ROOM + sizeof(struct rte_mbuf)));
}

void mesh_init(struct mesh *m, struct sim *s, uint8_t number, uint32_t workers, uint32_t slot,
	const struct mt_tcp_conf *tcp, const struct mt_proxy_conf *proxy, const struct config *c)
{
	m->sim = s;
	m->ports[0] = &m->port.port;
	m->host.sim = s;
	m->host.name = "mesh";
	m->workers = workers;
	transplant_draw(m);
	m->turn_at = MT_NEVER;
	memset(m->layer, 0, sizeof(m->layer));
	sim_host_addrs(number, &m->host.addr4, &m->host.addr6);
	if (mt_steer_init(&m->steer, (uint16_t)workers, 256) != 0)
		sim_fail(s, "harness: steer");
	sim_port_init(&m->port, s, "mesh", number, workers, &m->steer);
	sim_refs_port(&m->port, &m->steer);
	m->port.kick = rx_kick;
	m->port.kick_arg = m;
	m->net = mt_net_create(m->ports, 1, (uint16_t)workers, &m->steer);
	configure(m);
	config_store_init(&m->store, s, workers);
	config_publish(&m->store, c);
	m->proxy = *proxy;
	m->proxy.node_limits = mt_node_limits_new((uint16_t)workers);
	MT_ASSERT(m->proxy.node_limits);
	entries_init(m);
	for (uint32_t i = 0; i < workers; i++)
		make_worker(m, i, slot, tcp);
	mesh_kick(m, s->now);
}

void mesh_layer(struct mesh *m, enum layer_kind kind, bool down, bool up)
{
	for (uint32_t i = 0; i < m->workers; i++) {
		struct mt_tcp *tcp = mt_worker_tcp(m->w[i]);
		struct layer *l = layer_new(kind, m->sim, m->host.name, m->pools[i], tcp);

		m->layer[i] = l;
		/* Its configuration says where. */
		if (kind == LAYER_TLS) {
			mt_proxy_attach_tls(mt_worker_proxy(m->w[i]), layer_tls_of(l));
			continue;
		}
		if (down)
			layer_listen(l, tcp);
		if (up)
			mt_proxy_attach(mt_worker_proxy(m->w[i]), &l->transport);
	}
}

bool mesh_idle(const struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++) {
		uint32_t conns, half, tw;

		mt_tcp_counts(mt_worker_tcp(m->w[i]), &conns, &half, &tw);
		if (conns + half + tw || !mt_proxy_idle(mt_worker_proxy(m->w[i])) ||
			mt_proxy_copies(mt_worker_proxy(m->w[i])))
			return false;
	}
	return true;
}

void mesh_drain(struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++)
		mt_proxy_drain(mt_worker_proxy(m->w[i]));
	mesh_kick(m, m->sim->now);
}

uint32_t mesh_exchanges(const struct mesh *m)
{
	const struct mt_slab *slabs[16];
	uint32_t all = 0;

	for (uint32_t i = 0; i < m->workers; i++) {
		uint32_t n = mt_proxy_slabs(
			mt_worker_proxy(m->w[i]), slabs, (uint32_t)MT_ARRAY_LEN(slabs));

		for (uint32_t k = 0; k < n; k++)
			if (strcmp(slabs[k]->name, "exchange") == 0)
				all += slabs[k]->in_use;
	}
	return all;
}

uint64_t mesh_counter(const struct mesh *m, uint32_t proxy_outcome)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->workers; i++)
		n += mt_proxy_counters(mt_worker_proxy(m->w[i]))[proxy_outcome];
	return n;
}

uint64_t mesh_tcp_counter(const struct mesh *m, uint32_t tcp_outcome)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->workers; i++)
		n += mt_tcp_counters(mt_worker_tcp(m->w[i]))[tcp_outcome];
	return n;
}

bool mesh_cookie_replayed(void *mesh)
{
	const struct mesh *m = mesh;
	uint64_t sent = 0, good = 0;

	for (uint32_t i = 0; i < m->workers; i++) {
		const uint64_t *n = mt_tcp_counters(mt_worker_tcp(m->w[i]));

		sent += n[MT_TCP_cookies_sent];
		good += n[MT_TCP_cookies_good];
	}
	return good > sent;
}

static void trace_set(
	struct mesh *m, uint32_t worker, const struct mt_outcome_set *set, const uint64_t *counters)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (counters[i])
			sim_trace(m->sim, "worker %u %s.%s %llu", worker, set->room,
				set->rows[i].name, (unsigned long long)counters[i]);
}

static void trace_connections(struct mesh *m, uint32_t worker)
{
	struct mt_tcp_info info;
	uint32_t idx = 0;

	while (mt_tcp_info_next(mt_worker_tcp(m->w[worker]), &idx, &info))
		sim_trace(m->sim,
			"worker %u conn %u>%u %s rx %u tx %u ooo %u snd_wnd %u rcv_wnd %u", worker,
			info.tuple.lport, info.tuple.rport, info.state, info.rx_bytes,
			info.tx_bytes, info.ooo_bytes, info.snd_wnd, info.rcv_wnd);
}

/* What a failed seed's workers counted, behind its trace. */
static void trace_counters(struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++) {
		trace_set(m, i, &mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(m->w[i])));
		trace_set(m, i, &mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(m->w[i])));
		trace_set(m, i, &mt_net_outcomes, mt_net_counters(mt_worker_net(m->w[i])));
		trace_set(m, i, &mt_filter_outcomes,
			mt_proxy_filter_counters(mt_worker_proxy(m->w[i])));
		trace_set(m, i, &mt_buf_outcomes, m->pools[i]->counters);
		trace_connections(m, i);
	}
}

/* Nobody is put aside for longer than the longest time there is. */
static void check_endpoints(struct mesh *m)
{
	const struct mt_snapshot *snap = m->store.current;

	for (uint32_t c = 0; c < snap->n_clusters; c++)
		for (uint32_t e = 0; e < snap->clusters[c].n_eps; e++) {
			const struct mt_ep_state *st = snap->clusters[c].eps[e].state;
			uint32_t max = snap->clusters[c].outlier.max_ms;

			if (st->ejected_until >
				m->sim->now + (max ? max : ASIDE_MAX_MS) * (uint64_t)MT_MSEC)
				sim_fail(
					m->sim, "an endpoint is put aside for more than it may be");
		}
}

static void check_empty(struct mesh *m)
{
	check_endpoints(m);
	for (uint32_t i = 0; i < m->workers; i++) {
		const struct mt_slab *slabs[8];
		uint32_t conns, half, tw, n = mt_proxy_slabs(mt_worker_proxy(m->w[i]), slabs, 8);

		waits_check(m->sim, mt_worker_proxy(m->w[i]), &m->store);
		mt_tcp_counts(mt_worker_tcp(m->w[i]), &conns, &half, &tw);
		if (conns + half + tw)
			sim_fail(m->sim,
				"mesh worker %u: %u connections, %u half-open, %u TIME-WAIT left",
				i, conns, half, tw);
		for (uint32_t k = 0; k < n; k++)
			if (slabs[k]->in_use && strcmp(slabs[k]->name, "lanes") != 0)
				sim_fail(m->sim, "mesh worker %u: %u of slab %s left", i,
					slabs[k]->in_use, slabs[k]->name);
		sim_refs_none(m->sim, mt_worker_tcp(m->w[i]), m->host.name);
	}
}

static void seen(struct mt_worker *w)
{
	struct mt_proxy *p = mt_worker_proxy(w);

	outcomes_seen(&mt_worker_outcomes, mt_worker_stats(w)->counters);
	outcomes_seen(&mt_net_outcomes, mt_net_counters(mt_worker_net(w)));
	outcomes_seen(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(w)));
	outcomes_seen(&mt_proxy_outcomes, mt_proxy_counters(p));
	outcomes_seen(&mt_upstream_outcomes, mt_proxy_upstream_counters(p));
	outcomes_seen(&mt_filter_outcomes, mt_proxy_filter_counters(p));
	outcomes_seen(&mt_dns_outcomes, mt_worker_names_counters(w));
	outcomes_seen(&mt_buf_outcomes, mt_worker_pools(w)->counters);
}

void mesh_fini(struct mesh *m)
{
	if (!m->sim->failed)
		mesh_outcomes(m);
	if (!m->sim->failed)
		check_empty(m);
	if (!m->sim->failed)
		entries_check(m);
	if (!m->sim->failed)
		limit_oracle_check(&m->store.oracle, m->store.limits);
	if (m->sim->failed)
		trace_counters(m);
	for (uint32_t i = 0; i < m->workers; i++) {
		seen(m->w[i]);
		layer_end(m->layer[i]);
		mt_worker_destroy(m->w[i]);
	}
	entries_fini(m);
	mt_node_limits_free(m->proxy.node_limits);
	mt_net_destroy(m->net);
	sim_port_fini(&m->port);
	mt_steer_fini(&m->steer);
	config_store_fini(&m->store);
}

void mesh_check_pools(struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++)
		sim_pools_check(m->sim, m->pools[i], m->host.name);
}
