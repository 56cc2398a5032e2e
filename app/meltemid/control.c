/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's loop: signals, changed directories and periodic work. */
#include "daemon.h"
#include "mt_conf_certificates.h"

#include "mt_service.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK (100 * MT_MSEC)
/*
 * How often it looks whether all clients have gone after it stopped to accept them, because the
 * node is away then.
 */
#define CLOSED_LOOK_MS 5
#define HINT_AT	       5

static int add(struct daemon *d, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

/* ---- start -------------------------------------------------------------------------------- */

static void name_directory(struct daemon *d, const char *path, bool confined)
{
	d->dirs[d->n_dirs] = path;
	d->confined[d->n_dirs++] = confined;
}

/* Lists the directories of the arguments and of the Node. 0, or -ENOMEM: the list is as it was. */
static int name_directories(struct daemon *d, const struct mt_node *node)
{
	size_t most = (size_t)d->args.n_dirs + node->n_codecs + node->n_sources + 2;
	const char **dirs = calloc(most, sizeof(*dirs));
	bool *confined = calloc(most, sizeof(*confined));

	if (!dirs || !confined) {
		free(dirs);
		free(confined);
		return -ENOMEM;
	}
	free(d->dirs);
	free(d->confined);
	d->dirs = dirs;
	d->confined = confined;
	d->n_dirs = 0;
	for (uint32_t i = 0; i < d->args.n_dirs; i++)
		name_directory(d, d->args.dirs[i], false);
	for (uint32_t i = 0; i < node->n_codecs; i++)
		name_directory(d, node->codecs[i].s, false);
	if (access(mt_source_codecs, F_OK) == 0)
		name_directory(d, mt_source_codecs, false);
	for (uint32_t i = 0; i < node->n_sources; i++)
		if (node->sources[i].directory.s)
			name_directory(
				d, node->sources[i].directory.s, node->sources[i].n_namespaces > 0);
	return 0;
}

/* All files and directories to read, according to the Node document as it is now. 0 or -ENOMEM. */
static int what_is_read(struct daemon *d, struct mt_model *node_part, struct mt_watch_what *what)
{
	const struct mt_node *node = node_part->node;

	if (name_directories(d, node))
		return -ENOMEM;
	node_part->refs++;
	mt_model_free(d->dirs_part);
	d->dirs_part = node_part;
	*what = (struct mt_watch_what){
		.node_file = d->args.node,
		.mesh_file = node->mesh ? node->mesh->config.s : NULL,
		.directories = d->dirs,
		.confined = d->confined,
		.n = d->n_dirs,
		.since = d->read_at,
	};
	return 0;
}

void control_watch(struct daemon *d, struct mt_model *node_part)
{
	struct mt_watch_what what;

	if (what_is_read(d, node_part, &what) || mt_watch_aim(d->watch, &what))
		mt_log(MT_LOG_ERROR, "config",
			"no memory to watch other directories; `meltemi reload` reads them");
	mt_ctl_set_directories(d->ctl, d->dirs, d->n_dirs);
}

static int watch_directories(struct daemon *d, struct mt_err *e)
{
	struct mt_watch_what what;
	int rc = what_is_read(d, d->node_part, &what);

	if (rc == 0)
		d->watch = mt_watch_new(&what, &rc);
	if (!d->watch)
		return mt_err(e, rc, "directories cannot be watched: %s", strerror(-rc));
	rc = add(d, mt_watch_fd(d->watch));
	return rc ? mt_err(e, rc, "event loop: %s", strerror(-rc)) : 0;
}

static int tick_timer(struct daemon *d)
{
	const struct itimerspec every = {{0, TICK}, {0, TICK}};

	d->ticks = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->ticks < 0 || timerfd_settime(d->ticks, 0, &every, NULL) != 0)
		return -errno;
	return add(d, d->ticks);
}

int control_start(struct daemon *d, struct mt_err *e)
{
	int rc;

	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0)
		return mt_err(e, -errno, "event loop: %s", strerror(errno));
	rc = add(d, d->signals);
	if (rc == 0)
		rc = add(d, d->wake_fd);
	if (rc == 0)
		rc = tick_timer(d);
	if (rc)
		return mt_err(e, rc, "event loop: %s", strerror(-rc));
	rc = service_listen(d);
	if (rc == 0)
		rc = dns_listen(d);
	if (rc)
		return mt_err(e, rc, "event loop: %s", strerror(-rc));
	return watch_directories(d, e);
}

void control_stop(struct daemon *d)
{
	mt_watch_free(d->watch);
	mt_model_free(d->dirs_part);
	free(d->dirs);
	free(d->confined);
	d->watch = NULL;
	d->dirs_part = NULL;
	d->dirs = NULL;
	d->confined = NULL;
	if (d->ticks > 0)
		close(d->ticks);
	if (d->epoll > 0)
		close(d->epoll);
	d->ticks = d->epoll = 0;
}

/* ---- loop --------------------------------------------------------------------------------- */

static void quiesce(void *arg)
{
	workers_quiesce(arg);
}

/* Packets of connections and flows are sent by the new MTU from now on. */
static void mtu_changed(struct daemon *d, const struct mt_port *p, uint16_t before)
{
	mt_net_mtu_changed(d->net);
	if (p->mtu < before)
		mt_log(MT_LOG_WARN, "port",
			"%s: the MTU of %s is %u now: packets longer than that are not sent any "
			"more (`ip link set dev %s mtu %u` undoes it)",
			p->name, mt_port_interface(p), p->mtu, mt_port_interface(p), before);
	else
		mt_log(MT_LOG_INFO, "port", "%s: the MTU of %s is %u now", p->name,
			mt_port_interface(p), p->mtu);
}

static void watch_ports(struct daemon *d, uint64_t now)
{
	for (uint16_t i = 0; i < d->n_ports; i++) {
		const struct mt_port *p = d->ports[i];
		uint16_t mtu = p->mtu;
		bool was = p->link_up;
		enum mt_port_gone had = p->gone;
		enum mt_port_wait waited = p->wait;

		if (!mt_port_watch(d->ports[i], now, quiesce, d))
			continue;
		if (p->mtu != mtu)
			mtu_changed(d, p, mtu);
		if (p->wait != waited)
			port_tell_wait(p);
		if (p->link_up == was && p->gone == had)
			continue;
		if (p->gone)
			mt_log(MT_LOG_ERROR, "port", "%s: its %s was removed: %s", p->name,
				mt_port_gone_str(p->gone), mt_port_gone_remedy(p->gone));
		else
			mt_log(MT_LOG_INFO, "port", "%s: link %s", p->name,
				p->link_up ? "up" : "down");
	}
}

static void hint(bool *told, const char *port, const struct mt_outcome *row, uint64_t n)
{
	if (*told || n < HINT_AT)
		return;
	*told = true;
	mt_log(MT_LOG_WARN, "port", "%s%s%s", port, port[0] ? ": " : "", row->words);
}

/*
 * Warns that a peer's offloads spoil every packet, which looks like a dead network. Logs the
 * counter's text once, after HINT_AT packets, because single ones were damaged in transit.
 */
static void hints(struct daemon *d)
{
	uint64_t bad = 0;

	for (uint16_t w = 0; w < d->n_workers; w++)
		bad += mt_count_read(
			&mt_net_counters(mt_worker_net(d->workers[w]))[MT_NET_tcp_checksum_bad]);
	hint(&d->told_checksums, "", &mt_net_outcomes.rows[MT_NET_tcp_checksum_bad], bad);
	for (uint16_t i = 0; i < d->n_ports; i++)
		hint(&d->told_superframes[i], d->ports[i]->name,
			&mt_port_outcomes.rows[MT_PORT_rx_superframe],
			mt_port_count(d->ports[i], MT_PORT_rx_superframe));
}

static void on_tick(struct daemon *d, uint64_t now)
{
	uint64_t n;

	while (read(d->ticks, &n, sizeof(n)) > 0)
		;
	watch_ports(d, now);
	guests_turn(d, now);
	net_reap(d);
	if (now >= d->second) {
		mt_clock_sync(&d->clock);
		drain_turn(d, now);
		hints(d);
		mt_log_turn();
		demand_use(d, now);
		mt_tls_contexts_sweep();
		access_log_turn(d);
		d->second = now + MT_SEC;
		if (config_is_due(d))
			(void)config_reload(d, now);
		/* A refresh, not a reload, which would end a rollback. */
		if (mt_conf_files_changed(d->conf))
			d->mesh_changed = d->identity_changed = true;
	}
	identity_turn(d, now);
	mesh_turn(d, now);
	publish_retry(d, now);
	history_turn(d, now);
	ready_turn(d, now);
	state_turn(d, now);
	notify_turn(d, now);
	mt_ctl_turn(d->ctl, now);
}

static void reload(struct daemon *d, uint64_t now)
{
	notify_reload(d, true);
	(void)config_reload(d, now);
	notify_reload(d, false);
}

/* Files have changed: reads them now and loads them in the next loop iteration. */
static void read_changed(struct daemon *d, uint64_t now)
{
	notify_reload(d, true);
	d->read_told = true;
	config_read(d, now);
	d->read_ns = mt_clock_now(&d->clock) - now;
}

/*
 * Loads what was read. The reload is over once none of it is left: it was loaded here or by another
 * reload, discarded by a rollback, or there was no memory. Changes that follow at once wait, so
 * that most of the time is left for other work.
 */
static void take_changed(struct daemon *d, uint64_t now)
{
	uint64_t end;

	config_take_read(d, now);
	if (!d->read_told || d->reading.is)
		return;
	d->read_told = false;
	notify_reload(d, false);
	end = mt_clock_now(&d->clock);
	mt_watch_pause(d->watch, end + load_pause(d->read_ns + end - now));
}

/* Returns false to stop now. */
static bool on_signal(struct daemon *d, int sig, uint64_t now)
{
	if (sig == SIGHUP) {
		reload(d, now);
		return true;
	}
	if (sig == SIGUSR1) {
		access_log_reopen(d);
		return true;
	}
	return drain_signal(d, sig, now);
}

/* Handles files whose write has ended. */
static void files_turn(struct daemon *d, uint64_t now)
{
	mt_service_turn(d->service);
	publish_written(d, now);
}

static bool on_event(struct daemon *d, int fd, uint64_t now)
{
	int sig;

	if (fd == d->ticks)
		on_tick(d, now);
	else if (fd == mt_ctl_fd(d->ctl))
		mt_ctl_turn(d->ctl, now);
	else if (d->n_mesh && fd == d->mesh_fds.epoll)
		mesh_turn(d, now);
	else if (fd == d->wake_fd)
		wake_turn(d, now);
	else if (fd == mt_service_fd(d->service))
		files_turn(d, now);
	else if (d->dns && fd == mt_dns_server_fd(d->dns))
		dns_turn(d, now);
	else if (fd == mt_watch_fd(d->watch) && mt_watch_on_event(d->watch, now))
		read_changed(d, now);
	else if (fd == d->signals)
		while ((sig = signals_next(d->signals)))
			if (!on_signal(d, sig, now))
				return false;
	return true;
}

/*
 * Records how long the loop was away from its descriptors: the maximum of this minute, and of the
 * one before.
 */
static void measure(struct daemon *d, uint64_t began)
{
	uint64_t now = mt_clock_now(&d->clock), minute = now / (60 * MT_SEC);

	if (minute != d->turn_minute) {
		d->turn_longest[1] = minute == d->turn_minute + 1 ? d->turn_longest[0] : 0;
		d->turn_longest[0] = 0;
		d->turn_minute = minute;
	}
	d->turn_longest[0] = MT_MAX(d->turn_longest[0], now - began);
}

/* How long the loop may wait for an event, ms; -1: the timer is enough. */
static int patience(const struct daemon *d)
{
	if (d->reading.is)
		return 0;
	return d->draining && d->drain.close_at ? CLOSED_LOOK_MS : -1;
}

void control_run(struct daemon *d)
{
	ready_turn(d, mt_clock_now(&d->clock));
	mt_ctl_set_state(d->ctl, MT_CTL_SERVING);
	for (;;) {
		struct epoll_event ev[8];
		int n = epoll_wait(d->epoll, ev, MT_ARRAY_LEN(ev), patience(d));
		uint64_t now = mt_clock_now(&d->clock);

		for (int i = 0; i < n; i++)
			if (!on_event(d, ev[i].data.fd, now))
				return;
		take_changed(d, now);
		measure(d, now);
		if (d->draining && drain_is_over(d, now))
			return;
	}
}
