/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/dns: the server's object. Everything here is the control thread's. */
#pragma once

#include "mt_dns_server.h"
#include "mt_list.h"
#include "mt_slab.h"
#include "mt_sockaddr.h"

#include <sys/socket.h>

#define DNS_TRY_NS                                                                                 \
	(1500 * MT_MSEC) /* a datagram's answer; three of them before a client gives up */
#define DNS_TRY_TCP_NS (3 * MT_SEC)
#define DNS_TRIES      3
#define DNS_PER_CLIENT 256
#define DNS_CLIENTS    1024 /* counters of what each client has waiting, by hash */
#define DNS_ASIDE      3    /* silences in a row */
#define DNS_ASIDE_NS   (30 * MT_SEC)
#define DNS_TCP_MAX    64 /* clients over TCP */
#define DNS_TCP_IDLE   (10 * MT_SEC)
#define DNS_TCP_QUEUE  (256 * 1024) /* bytes of answers that a client has not taken */

/* What an event of the epoll descriptor is about: kind, generation, index. */
enum dns_event { DNS_EV_TIMER, DNS_EV_UDP, DNS_EV_LISTENER, DNS_EV_CLIENT, DNS_EV_ASK };

/* Who asked, and so who is told. */
enum dns_origin_kind { DNS_FROM_HOST_UDP, DNS_FROM_HOST_TCP, DNS_FROM_LANE };

struct dns_origin {
	enum dns_origin_kind kind;
	bool datagram;
	uint16_t lane;
	struct mt_addr client;
	struct mt_dns_where where; /* lane */
	struct mt_ref conn;	   /* TCP */
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

/* A question that waits for another server. */
struct dns_ask {
	struct mt_list node; /* of `waiting`, or `waiting_tcp`: the earliest deadline first */
	uint64_t deadline;
	struct dns_origin origin;
	int fd;
	bool tcp;
	uint8_t server, tries;
	uint16_t id; /* the client's */
	uint16_t len;
	uint32_t bucket; /* of the client */
	/* TCP: bytes sent of the query with its length; bytes received into `in`, which has room for `want`. */
	uint32_t sent, got, want;
	uint8_t *in;
	uint8_t msg[2 + MT_DNS_QUERY_MAX]; /* behind its length (RFC 1035 §4.2.2) */
};

struct dns_upstream {
	struct mt_dns_address address;
	uint64_t asked, answered, silent;
	uint32_t in_a_row;
	uint64_t aside_until;
};

/* A client of the host over TCP. */
struct dns_conn {
	int fd;
	uint64_t last;
	uint32_t got; /* bytes of `in` */
	uint32_t out_len, out_at, out_cap;
	uint32_t waiting; /* questions with other servers */
	struct mt_addr client;
	bool eof;
	uint8_t *out;
	uint8_t in[2 + MT_DNS_QUERY_MAX];
};

struct mt_dns_server {
	struct mt_dns_server_conf conf;
	int epoll, timer, udp, listener; /* -1: none */
	uint64_t now;
	bool lane_left;			  /* more questions of workers than one turn takes */
	const struct mt_dns_table *table; /* of this turn */
	struct dns_upstream upstreams[MT_DNS_SERVERS_MAX];
	struct mt_slab asks, conns;
	struct mt_list waiting, waiting_tcp;
	uint16_t clients[DNS_CLIENTS];
	struct mt_dns_rate *rate;
	struct mt_dns_lane **lanes;
	uint64_t counters[MT_DNS_N_OUTCOMES];
	uint8_t buf[2 + MT_DNS_TCP_MAX], out[2 + MT_DNS_TCP_MAX];
};

static inline void dns_count(struct mt_dns_server *s, enum mt_dns_outcome o)
{
	mt_count(s->counters, o);
}

/* server.c */
int dns_watch(struct mt_dns_server *s, int fd, uint32_t events, enum dns_event kind,
	struct mt_ref ref, bool add);
/* One message of a client: answered, or passed on; false: left without an answer. */
bool dns_serve(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);
/* An answer on its way to who asked. */
void dns_tell(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);

/* forward.c */
/* False: it can't be asked now, which is counted; the caller says SERVFAIL. */
bool dns_forward(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);
void dns_ask_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events);
/* Those that waited for too long. */
void dns_forward_expire(struct mt_dns_server *s);
uint64_t dns_forward_next(const struct mt_dns_server *s);
/* This try is over: the next server, or SERVFAIL. `said`: what a server answered all the same, or NULL. */
void dns_ask_next(struct mt_dns_server *s, struct dns_ask *a, const uint8_t *said, uint32_t len);
/* A server's answer, which is one to this question. */
void dns_ask_answered(struct mt_dns_server *s, struct dns_ask *a, uint8_t *reply, uint32_t len);
void dns_ask_free(struct mt_dns_server *s, struct dns_ask *a);
void dns_ask_close(struct dns_ask *a);

/* forward_tcp.c */
bool dns_ask_tcp(struct mt_dns_server *s, struct dns_ask *a);
void dns_ask_tcp_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events);

/* clients.c */
void dns_conn_accept(struct mt_dns_server *s);
void dns_conn_event(struct mt_dns_server *s, struct dns_conn *c, uint32_t events);
void dns_conn_tell(struct mt_dns_server *s, struct mt_ref ref, const uint8_t *msg, uint32_t len);
void dns_conn_expire(struct mt_dns_server *s);
void dns_conn_free(struct mt_dns_server *s, struct dns_conn *c);
