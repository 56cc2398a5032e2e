/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of lib/dns with sockets, on the control thread. It answers clients of this host at one
 * address (UDP and TCP). It forwards queries for names that are not ours to other servers, for
 * these clients and for clients on the data path (mt_dns_lane.h). One descriptor for the daemon's
 * event loop, no thread.
 *
 * Each forwarded query has a socket of its own, and so a random port from the kernel, and an id
 * from getrandom(2) (RFC 5452 §4.5). Nothing is cached, because the other servers do that.
 */
#pragma once

#include "mt_dns_guard.h"
#include "mt_dns_lane.h"
#include "mt_log.h"

#define MT_DNS_SERVERS_MAX 8
#define MT_DNS_WAITING_MAX 1024 /* queries that wait for other servers */

struct mt_dns_address {
	struct mt_addr addr;
	uint16_t port;
};

struct mt_dns_server_conf {
	struct mt_dns_address listen; /* port 0: none */
	/* Tried in this order. */
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX];
	uint32_t n_servers;
	bool servers_change;		  /* mt_dns_server_ask() may set servers later */
	uint16_t workers;		  /* number of workers with clients; 0: none */
	const struct mt_dns_allow *allow; /* outlives the server; NULL: all clients */
};

struct mt_dns_server;

/* NULL with the reason in e: no memory, or the address cannot be used. */
struct mt_dns_server *mt_dns_server_new(
	const struct mt_dns_server_conf *conf, uint64_t now, struct mt_err *e);
/* Call after the workers have ended. NULL is allowed. */
void mt_dns_server_free(struct mt_dns_server *s);

/* Readable when mt_dns_server_turn() has something to do, timers included. */
int mt_dns_server_fd(const struct mt_dns_server *s);
/* Serves clients that are waiting, from the table `t` (NULL: none yet). Never blocks. */
void mt_dns_server_turn(struct mt_dns_server *s, const struct mt_dns_table *t, uint64_t now);

/* The rings of a worker; NULL: it has none. */
struct mt_dns_lane *mt_dns_server_lane(struct mt_dns_server *s, uint16_t worker);

/* True if there are servers to forward to, or may be later. */
bool mt_dns_server_passes_on(const struct mt_dns_server *s);
/*
 * Sets the servers to forward to, at most MT_DNS_SERVERS_MAX. Queries that wait for a removed
 * server go to the first one that was not silent lately. Without any server they are answered
 * SERVFAIL. False: nothing changed. Call before mt_dns_server_turn().
 */
bool mt_dns_server_ask(
	struct mt_dns_server *s, const struct mt_dns_address *servers, uint32_t n, uint64_t now);

/* MT_DNS_N_OUTCOMES counters of the control thread. */
const uint64_t *mt_dns_server_counters(const struct mt_dns_server *s);

/* For the CLI. */
struct mt_dns_upstream_info {
	struct mt_dns_address address;
	uint64_t asked, answered, silent;
	bool aside; /* did not answer lately: used only if no other server is left */
	bool loops; /* sends queries back to this node: not used */
};
uint32_t mt_dns_server_waiting(const struct mt_dns_server *s);
struct mt_dns_address mt_dns_server_listens(const struct mt_dns_server *s);
bool mt_dns_server_upstream(
	const struct mt_dns_server *s, uint32_t i, struct mt_dns_upstream_info *info);

/* Parses "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53"; default port `port`. 0 or -EINVAL. */
int mt_dns_address_parse(const char *text, uint16_t port, struct mt_dns_address *a);

/* Reads the servers of a resolv.conf(5); returns their number, 0 also if it cannot be read. */
uint32_t mt_dns_resolv_conf(const char *path, struct mt_dns_address servers[MT_DNS_SERVERS_MAX]);

/* Where the host's servers are written. */
struct mt_dns_host_files {
	const char *resolv_conf; /* "/etc/resolv.conf" */
	const char *resolved;	 /* "/run/systemd/resolve/resolv.conf" */
};
/*
 * Reads the host's servers. In place of systemd-resolved's own address (127.0.0.53 or .54), which
 * may forward to this node, takes those that it forwards to, without `own`, the address where this
 * node listens for the host: the file contains no ports.
 */
uint32_t mt_dns_host_servers(const struct mt_dns_host_files *files, const struct mt_addr *own,
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX]);
