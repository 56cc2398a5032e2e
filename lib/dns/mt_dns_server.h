/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of lib/dns that has sockets, on the control thread: a host's address where clients of the host ask
 * (UDP and TCP), and the servers that are asked about everything that is not ours, for clients of that
 * address and for those on the data path (mt_dns_lane.h). One descriptor for the daemon's event loop, no thread.
 *
 * A question that is passed on has a socket of its own, so a port that the kernel chose by chance, and an id out
 * of getrandom(2) (RFC 5452 §4.5). Nothing is cached: servers that are asked do that.
 */
#pragma once

#include "mt_dns_guard.h"
#include "mt_dns_lane.h"
#include "mt_log.h"

#define MT_DNS_SERVERS_MAX 8
#define MT_DNS_WAITING_MAX 1024 /* questions that wait for other servers */

struct mt_dns_address {
	struct mt_addr addr;
	uint16_t port;
};

struct mt_dns_server_conf {
	struct mt_dns_address listen; /* port 0: none */
	/* Asked in this order. */
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX];
	uint32_t n_servers;
	bool servers_change;		  /* by mt_dns_server_ask(): there may be some later */
	uint16_t workers;		  /* with clients on the data path; 0: none */
	const struct mt_dns_allow *allow; /* outlives the server; NULL: everybody */
};

struct mt_dns_server;

/* NULL with the reason in e: an address that cannot be used, no memory. */
struct mt_dns_server *mt_dns_server_new(
	const struct mt_dns_server_conf *conf, uint64_t now, struct mt_err *e);
/* After the workers have ended. NULL is allowed. */
void mt_dns_server_free(struct mt_dns_server *s);

/* Readable when mt_dns_server_turn() has something to do; it has a timer of its own. */
int mt_dns_server_fd(const struct mt_dns_server *s);
/* Serves who is waiting, by the names of `t` (NULL: there are none yet); never blocks. */
void mt_dns_server_turn(struct mt_dns_server *s, const struct mt_dns_table *t, uint64_t now);

/* The rings of a worker; NULL: there are none. */
struct mt_dns_lane *mt_dns_server_lane(struct mt_dns_server *s, uint16_t worker);

/* Whether there are other servers to ask, or may be later. */
bool mt_dns_server_passes_on(const struct mt_dns_server *s);
/*
 * From now on these are asked, MT_DNS_SERVERS_MAX at most. Questions that wait for one that is left out go to the
 * first of them; without any they are answered SERVFAIL. False: they are the same as before. Before a turn.
 */
bool mt_dns_server_ask(
	struct mt_dns_server *s, const struct mt_dns_address *servers, uint32_t n, uint64_t now);

/* MT_DNS_N_OUTCOMES, of the control thread. */
const uint64_t *mt_dns_server_counters(const struct mt_dns_server *s);

/* For the shell. */
struct mt_dns_upstream_info {
	struct mt_dns_address address;
	uint64_t asked, answered, silent;
	bool aside; /* did not answer lately: asked when no other is left */
};
uint32_t mt_dns_server_waiting(const struct mt_dns_server *s);
struct mt_dns_address mt_dns_server_listens(const struct mt_dns_server *s);
bool mt_dns_server_upstream(
	const struct mt_dns_server *s, uint32_t i, struct mt_dns_upstream_info *info);

/* "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53"; without a port it is `port`. 0 or -EINVAL. */
int mt_dns_address_parse(const char *text, uint16_t port, struct mt_dns_address *a);

/* The servers that a resolv.conf(5) names; how many, 0 too when it cannot be read. */
uint32_t mt_dns_resolv_conf(const char *path, struct mt_dns_address servers[MT_DNS_SERVERS_MAX]);
