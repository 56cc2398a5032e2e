/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens and closes ports of guests on DPDK's vhost library, and moves their frames. The library
 * identifies a connection by a number (vid). `vid` of a port is -1 unless its guest's driver runs,
 * so workers need no other state to stop.
 */
#include "vhost_priv.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <rte_log.h>

#define BIT(n) (1ull << (n))

/* Bits that <linux/virtio_net.h> and the library's header do not name. */
#define F_ANY_LAYOUT	    27
#define F_PROTOCOL_FEATURES 30

#define FEATURES                                                                                   \
	(BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |     \
		BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MTU) |  \
		BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |                       \
		BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(F_ANY_LAYOUT) | BIT(MT_VHOST_F_LOG_ALL) |       \
		BIT(F_PROTOCOL_FEATURES))

#define PROTOCOL_FEATURES                                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |                    \
		BIT(VHOST_USER_PROTOCOL_F_RARP) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |           \
		BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

/* The library takes at most this many frames in a call. */
#define BURST 32u

/*
 * Ports stay in memory after the close, because the event thread may still name the last one when
 * it gets SIGBUS.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct mt_vhost ports[MT_VHOST_MAX];

_Thread_local bool mt_vhost_starts;

struct mt_vhost *mt_vhost_find(const char *path)
{
	struct mt_vhost *found = NULL;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < MT_VHOST_MAX && !found; i++)
		if (ports[i].used && strcmp(ports[i].path, path) == 0)
			found = &ports[i];
	pthread_mutex_unlock(&lock);
	return found;
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Ends notifications by the guest of a queue that a worker polls anyway. */
static void silence(struct mt_vhost *v, int vid, uint16_t queue)
{
	uint8_t state = MT_VHOST_NEW;

	if (rte_vhost_enable_guest_notification(vid, queue, 0) == 0)
		atomic_compare_exchange_strong(&v->queues[queue], &state, MT_VHOST_ON);
}

/*
 * Returns the vid, and names the owner of the memory, if the queue can be used now; otherwise -1.
 */
static inline int enter(struct mt_vhost *v, uint16_t pair, uint16_t queue)
{
	int vid = atomic_load_explicit(&v->vid, memory_order_acquire);
	uint8_t state;

	if (vid < 0 || pair >= atomic_load_explicit(&v->live, memory_order_relaxed))
		return -1;
	state = atomic_load_explicit(&v->queues[queue], memory_order_relaxed);
	if (mt_unlikely(state == MT_VHOST_OFF ||
			atomic_load_explicit(&v->busy, memory_order_relaxed) ||
			atomic_load_explicit(&v->broken, memory_order_relaxed)))
		return -1;
	mt_vhost_inside = v;
	if (mt_unlikely(state == MT_VHOST_NEW))
		silence(v, vid, queue);
	return vid;
}

static void leave(void)
{
	mt_vhost_inside = NULL;
}

/* Drops frames longer than the MTU permits; guests have no reason to send those. */
static uint16_t drop_received(
	const struct mt_port *p, uint64_t *counters, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (mt_likely(pkts[i]->pkt_len <= p->caps.max_frame)) {
			pkts[kept++] = pkts[i];
			continue;
		}
		mt_count(counters, MT_PORT_rx_superframe);
		mt_buf_free(pkts[i]);
	}
	return kept;
}

static uint16_t rx(struct mt_port *p, uint16_t pair, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_vhost *v = mt_vhost(p);
	uint16_t worker = mt_vhost_owner(v->number, pair, p->n_workers);
	uint16_t queue = (uint16_t)(2 * pair + 1);
	uint64_t *counters = p->workers[worker].counters;
	int vid = enter(v, pair, queue);

	if (vid < 0)
		return 0;
	n = rte_vhost_dequeue_burst(vid, queue, v->pools[worker]->data, pkts, n);
	leave();
	if (n == 0)
		return 0;
	mt_count_n(counters, MT_PORT_rx_packets, n);
	mt_count_n(counters, MT_PORT_rx_bytes, mt_port_bytes(pkts, n));
	return drop_received(p, counters, pkts, n);
}

/*
 * Drops frames longer than the MTU permits. The others move to the end of the array. Returns how
 * many were dropped.
 */
static uint16_t drop_sent(
	const struct mt_port *p, uint64_t *counters, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t gone = 0;

	for (uint16_t i = n; i-- > 0;) {
		if (mt_likely(pkts[i]->pkt_len <= p->caps.max_frame)) {
			pkts[i + gone] = pkts[i];
			continue;
		}
		mt_count(counters, MT_PORT_tx_too_long);
		mt_buf_free(pkts[i]);
		gone++;
	}
	return gone;
}

static uint16_t enqueue(int vid, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0, got, part;

	do {
		part = (uint16_t)MT_MIN((uint32_t)(n - sent), BURST);
		got = rte_vhost_enqueue_burst(vid, queue, pkts + sent, part);
		sent = (uint16_t)(sent + got);
	} while (got == part && sent < n);
	return sent;
}

static uint16_t tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_vhost *v = mt_vhost(p);
	uint16_t active = atomic_load_explicit(&v->active, memory_order_relaxed);
	uint16_t own = mt_vhost_pair(v->number, worker, p->n_workers);
	uint16_t pair = own < active ? own : 0, queue = (uint16_t)(2 * pair), gone, sent;
	uint64_t *counters = p->workers[worker].counters;
	int vid = enter(v, pair, queue);

	if (vid < 0)
		return 0;
	gone = drop_sent(p, counters, pkts, n);
	pkts += gone;
	n = (uint16_t)(n - gone);
	sent = n ? enqueue(vid, queue, pkts, n) : 0;
	leave();
	if (sent < n)
		mt_count_n(counters, MT_PORT_tx_full, n - sent);
	mt_count_n(counters, MT_PORT_tx_packets, sent);
	mt_count_n(counters, MT_PORT_tx_bytes, mt_port_bytes(pkts, sent));
	mt_buf_free_bulk(pkts, sent); /* the library has copied them */
	return (uint16_t)(gone + sent);
}

static const struct mt_port_ops ops = {.rx = rx, .tx = tx};

/* ---- control thread -------------------------------------------------------------------------- */

/* Called by the handler of SIGBUS, in any thread. */
static void on_missing(void *owner)
{
	struct mt_vhost *v = owner;

	atomic_store(&v->broken, true);
	atomic_fetch_add(&v->n_truncated, 1);
}

static int set_features(const char *path)
{
	uint64_t have = 0;

	/* To set features would switch the library's own network device off. */
	if (rte_vhost_driver_get_features(path, &have) ||
		rte_vhost_driver_disable_features(path, have & ~FEATURES) ||
		rte_vhost_driver_get_protocol_features(path, &have))
		return -EIO;
	return rte_vhost_driver_set_protocol_features(path, have & PROTOCOL_FEATURES) ? -EIO : 0;
}

/*
 * Connects, if the hypervisor listens; otherwise the next start does. The library could connect
 * again by itself, but if a connection ends during rte_vhost_driver_unregister(), its thread would
 * use the freed socket.
 */
static int start(struct mt_vhost *v)
{
	const uint64_t flags = RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT |
			       RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS |
			       RTE_VHOST_USER_LINEARBUF_SUPPORT;

	if (rte_vhost_driver_register(v->path, flags))
		return -EIO;
	if (set_features(v->path) ||
		rte_vhost_driver_callback_register(v->path, &mt_vhost_device_ops)) {
		rte_vhost_driver_unregister(v->path);
		return -EIO;
	}
	v->registered = true;
	atomic_store(&v->starts, true);
	mt_vhost_starts = true;
	(void)rte_vhost_driver_start(v->path);
	mt_vhost_starts = false;
	atomic_store(&v->starts, false);
	return 0;
}

static void stop(struct mt_vhost *v)
{
	if (v->registered)
		rte_vhost_driver_unregister(v->path);
	v->registered = false;
	atomic_store(&v->connected, false);
}

/*
 * Returns NULL if another port has the socket (the library accepts one path twice) or none is free.
 */
static struct mt_vhost *take(const char *path, int *rc)
{
	struct mt_vhost *free = NULL;

	*rc = -ENOSPC;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < MT_VHOST_MAX; i++) {
		if (!ports[i].used) {
			free = free ? free : &ports[i];
		} else if (strcmp(ports[i].path, path) == 0) {
			*rc = -EEXIST;
			free = NULL;
			break;
		}
	}
	if (free) {
		memset(free, 0, sizeof(*free));
		strcpy(free->path, path);
		atomic_store(&free->vid, -1);
		free->used = true;
	}
	pthread_mutex_unlock(&lock);
	return free;
}

static void give_back(struct mt_vhost *v)
{
	pthread_mutex_lock(&lock);
	v->used = false;
	pthread_mutex_unlock(&lock);
	free(v->port.workers);
	v->port.workers = NULL;
}

static void make_port(struct mt_vhost *v, const struct mt_vhost_conf *c)
{
	struct mt_port *p = &v->port;

	v->number = c->number;
	v->pairs = c->pairs;
	v->pools = c->pools;
	v->qsbr = c->qsbr;
	p->ops = &ops;
	snprintf(p->name, sizeof(p->name), "%s", c->name);
	p->mtu = c->mtu;
	p->n_rxq = p->n_txq = c->pairs;
	p->n_workers = c->n_workers;
	p->mac = c->mac;
	p->caps.tx_chains = true;
	p->caps.max_frame = (uint16_t)(c->mtu + L2_MAX);
}

static int check(const struct mt_vhost_conf *c, struct mt_err *err)
{
	if (strlen(c->socket) >= MT_VHOST_PATH_MAX)
		return mt_err(err, -ENAMETOOLONG, "%s: the path is too long", c->socket);
	if (c->pairs == 0 || c->pairs > MT_VHOST_PAIRS_MAX)
		return mt_err(err, -EINVAL, "%u pairs of queues: 1 to %u are allowed", c->pairs,
			MT_VHOST_PAIRS_MAX);
	return 0;
}

int mt_vhost_open(const struct mt_vhost_conf *conf, struct mt_port **out, struct mt_err *err)
{
	struct mt_vhost *v;
	int rc = check(conf, err);

	if (rc)
		return rc;
	rc = mt_vhost_memory_guard(on_missing);
	if (rc)
		return mt_err(err, rc, "cannot handle SIGBUS: %s", strerror(-rc));
	/* Without the warning of each attempt to connect. */
	if (rte_log_get_global_level() == RTE_LOG_WARNING)
		rte_log_set_level_pattern("lib.vhost.config", RTE_LOG_ERR);
	v = take(conf->socket, &rc);
	if (!v)
		return rc == -EEXIST
			       ? mt_err(err, rc, "%s: another port has the socket", conf->socket)
			       : mt_err(err, rc, "there are %u ports already", MT_VHOST_MAX);
	make_port(v, conf);
	v->port.workers = aligned_alloc(MT_CACHE_LINE, conf->n_workers * sizeof(*v->port.workers));
	if (!v->port.workers) {
		give_back(v);
		return mt_err(err, -ENOMEM, "out of memory");
	}
	memset(v->port.workers, 0, conf->n_workers * sizeof(*v->port.workers));
	rc = start(v);
	if (rc) {
		give_back(v);
		return mt_err(err, rc, "%s: the vhost library refuses the socket", conf->socket);
	}
	*out = &v->port;
	return 0;
}

void mt_vhost_watch(struct mt_port *p)
{
	struct mt_vhost *v = mt_vhost(p);

	if (!atomic_load(&v->connected) || atomic_load(&v->broken)) {
		stop(v);
		(void)start(v);
	}
	p->link_up = mt_vhost_is_up(p);
}

void mt_vhost_close(struct mt_port *p)
{
	if (!p)
		return;
	stop(mt_vhost(p));
	give_back(mt_vhost(p));
}

bool mt_vhost_is_up(const struct mt_port *p)
{
	const struct mt_vhost *v = mt_vhost(p);

	return atomic_load(&v->vid) >= 0 && !atomic_load(&v->broken);
}

uint16_t mt_vhost_active(const struct mt_port *p)
{
	return mt_vhost_is_up(p) ? atomic_load_explicit(&mt_vhost(p)->active, memory_order_relaxed)
				 : 0;
}

void mt_vhost_counts(const struct mt_port *p, struct mt_vhost_counts *out)
{
	const struct mt_vhost *v = mt_vhost(p);

	*out = (struct mt_vhost_counts){
		.ups = atomic_load(&v->n_ups),
		.downs = atomic_load(&v->n_downs),
		.truncated = atomic_load(&v->n_truncated),
		.remaps = atomic_load(&v->n_remaps),
		.memory = atomic_load(&v->n_memory),
		.queues = atomic_load(&v->n_queues),
		.messages = atomic_load(&v->n_messages),
	};
}
