/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/dns: the server. Control thread only. */
#pragma once

#include "mt_dns_server.h"
#include "mt_list.h"
#include "mt_slab.h"
#include "mt_sockaddr.h"

#include <sys/socket.h>

#define DNS_TRY_NS                                                                                 \
	(1500 * MT_MSEC) /* for an answer by datagram; three tries end before clients give up */
#define DNS_TRY_TCP_NS (3 * MT_SEC)
#define DNS_TRIES      3
#define DNS_PER_CLIENT 256
#define DNS_CLIENTS    1024 /* counters of waiting queries per client, by hash */
#define DNS_ASIDE      3    /* tries without an answer in a row, for dns_upstream.aside_until */
#define DNS_ASIDE_NS   (30 * MT_SEC)
#define DNS_TCP_MAX    64 /* clients over TCP */
#define DNS_TCP_IDLE   (10 * MT_SEC)
#define DNS_TCP_QUEUE  (256 * 1024) /* unsent bytes; reads no more from the client */

/* Kind of object of an epoll event; its data also has the object's generation and index. */
enum dns_event { DNS_EV_TIMER, DNS_EV_UDP, DNS_EV_LISTENER, DNS_EV_CLIENT, DNS_EV_ASK };

/* The client of a query, which gets the answer. */
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

/* A query that waits for another server. */
struct dns_ask {
	struct mt_list node; /* in `waiting` or `waiting_tcp`, the earliest deadline first */
	uint64_t deadline;
	struct dns_origin origin;
	int fd;
	bool tcp;
	uint8_t server, tries;
	uint16_t id; /* the client's */
	uint16_t len;
	uint32_t bucket; /* of the client, in mt_dns_server.clients */
	/* TCP: bytes sent of the query with its length; bytes received into `in`, and expected. */
	uint32_t sent, got, want;
	uint8_t *in;
	uint8_t msg[2 + MT_DNS_QUERY_MAX]; /* after its length (RFC 1035 §4.2.2) */
};

struct dns_upstream {
	struct mt_dns_address address;
	uint64_t asked, answered, silent;
	uint32_t in_a_row;
	uint64_t aside_until;
	/* loop.c */
	bool loops;	 /* it sends queries back: it gets none */
	bool suspect;	 /* a query had no answer since the last probe */
	uint64_t probed; /* time of the last probe; 0: none yet */
	uint64_t seen;	 /* time when a probe last came back */
	char secret[17]; /* first label of its name */
};

/* A client of the host over TCP. */
struct dns_conn {
	int fd;
	uint64_t last;
	uint32_t got; /* bytes of `in` */
	uint32_t out_len, out_at, out_cap;
	uint32_t waiting; /* queries without an answer yet */
	struct mt_addr client;
	bool eof;
	uint8_t *out;
	uint8_t in[2 + MT_DNS_QUERY_MAX];
};

struct mt_dns_server {
	struct mt_dns_server_conf conf;
	int epoll, timer, udp, listener; /* -1: none */
	uint64_t now;
	bool looped;			  /* a server was found to loop since the last turn */
	bool lane_left;			  /* queries of workers are left for the next turn */
	const struct mt_dns_table *table; /* argument of mt_dns_server_turn() */
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
/* Answers or forwards one message of a client. False: there will be no answer. */
bool dns_serve(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);
/* Sends an answer to its client. */
void dns_tell(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);

/* forward.c */
/* Forwards a query. False: not possible now, which is counted; the caller answers SERVFAIL. */
bool dns_forward(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len);
void dns_ask_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events);
/* Ends the tries whose deadlines have passed. */
void dns_forward_expire(struct mt_dns_server *s);
uint64_t dns_forward_next(const struct mt_dns_server *s);
/*
 * Ends a try: asks the next server. After the last try answers the client with `said`, the answer
 * of a server that failed, or SERVFAIL if it is NULL.
 */
void dns_ask_next(struct mt_dns_server *s, struct dns_ask *a, const uint8_t *said, uint32_t len);
/* Handles an answer that matches the query. */
void dns_ask_answered(struct mt_dns_server *s, struct dns_ask *a, uint8_t *reply, uint32_t len);
void dns_ask_free(struct mt_dns_server *s, struct dns_ask *a);
void dns_ask_close(struct dns_ask *a);

/* loop.c */
/*
 * True if the query is a probe of ours that a server has sent back. The server gets no more
 * queries.
 */
bool dns_loop_ends(struct mt_dns_server *s, const uint8_t *msg, uint32_t len);
/* Sends due probes, and takes queries from servers that loop. */
void dns_loop_turn(struct mt_dns_server *s);
/* Monotonic ns at which dns_loop_turn() is due again; MT_NEVER: at no time. */
uint64_t dns_loop_next(const struct mt_dns_server *s);

/* forward_tcp.c */
bool dns_ask_tcp(struct mt_dns_server *s, struct dns_ask *a);
void dns_ask_tcp_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events);

/* clients.c */
void dns_conn_accept(struct mt_dns_server *s);
void dns_conn_event(struct mt_dns_server *s, struct dns_conn *c, uint32_t events);
void dns_conn_tell(struct mt_dns_server *s, struct mt_ref ref, const uint8_t *msg, uint32_t len);
void dns_conn_expire(struct mt_dns_server *s);
void dns_conn_free(struct mt_dns_server *s, struct dns_conn *c);
