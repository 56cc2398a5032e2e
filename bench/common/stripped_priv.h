/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bench_stripped.h"
#include "mt_rand.h"

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#define L2_LEN	14
#define HEAD	(L2_LEN + 20 + 20 + 12) /* Ethernet, IPv4, TCP with timestamps */
#define TX_ROOM 8192			/* packets that may wait for the port */
#define TX_STOP (TX_ROOM - 4096)	/* above it no more packets are received */
#define SPARE	128
#define WSCALE	7
/* shifted by WSCALE: always 2 MiB, because received data is consumed at once */
#define WINDOW 0x4000
#define FLAT   65536
#define BLOCK  32 /* messages are copied in these */

enum stripped_state {
	DOWN,
	SYN_SENT,
	UP,
	CLOSING /* this side sent FIN first */,
	LAST_ACK /* the peer sent FIN first */
};

/* Actions for a connection that are due at the end of the iteration. */
enum stripped_due {
	DUE_LISTED = 1, /* it is on the list */
	DUE_ACK = 2,
	DUE_SYN = 4, /* or SYN-ACK */
	DUE_FIN = 8,
	DUE_FREE = 16, /* after the last ACK */
};

/* State that only some connections need: a message in pieces, answers that wait. */
struct stripped_back {
	uint8_t *part; /* in_len bytes */
	uint8_t (*waits)[32];
	uint32_t head, n, cap; /* indices and capacity of `waits`: a ring, cap is a power of two */
};

/* All fields that a packet needs, in one cache line. */
struct stripped_conn {
	uint64_t key; /* remote address, remote and local port, as in received packets */
	uint32_t rcv_nxt, snd_nxt, snd_edge;
	uint32_t ts_recent; /* in network byte order */
	uint32_t have;	    /* bytes of the message received so far */
	uint32_t sum;	    /* of the open segment's payload, not folded */
	uint32_t waits;	    /* client: outstanding replies */
	uint32_t sent;	    /* client: total requests */
	struct rte_mbuf *open;
	struct stripped_back *back;
	uint8_t state, due, wscale, fin_sent;
} mt_cache_aligned;
_Static_assert(sizeof(struct stripped_conn) == 64, "a connection is a cache line");

struct bench_stripped {
	struct bench_stripped_conf c;
	struct mt_port *port;
	struct rte_mempool *pool;
	uint32_t ip; /* this host's, in network byte order */
	uint32_t mss, ts;
	uint8_t head[HEAD];	  /* of a data segment; variable fields are 0 */
	uint64_t ip_sum, tcp_sum; /* of its constant part, including the pseudo header */
	uint32_t out_sum;	  /* of the message without the variable bytes */
	uint32_t n_spare, n_tx, n_work, n_held, n_free, fresh;
	struct rte_mbuf *spare[SPARE];
	struct rte_mbuf **tx, **held;
	uint32_t *work, *free;
	/* conns by key: index + 1, linear probing; 0: empty */
	uint32_t *table, mask, shift;
	struct stripped_conn *conns;
	uint8_t *out;	/* the template, with the variable bytes zeroed */
	uint8_t *whole; /* a message that is split into segments */
	uint8_t *flat;	/* a packet that came in several mbufs */
	bool gateway_known, blocks;
	uint64_t asked_at; /* time of the last ARP request for the gateway */
	uint16_t next_port;
	struct mt_rand rand;
	uint32_t connected, used;
	uint64_t messages;
	uint64_t counters[BENCH_STRIPPED_N_OUTCOMES];
};

/* A received segment, parsed. */
struct stripped_seg {
	const uint8_t *frame, *tcp, *data;
	uint64_t key;
	uint32_t seq, ack, len, wnd;
	uint8_t flags, head; /* of TCP, in bytes */
};

static inline uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint32_t slot_of(const struct bench_stripped *p, uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> p->shift);
}

static inline struct stripped_conn *find(const struct bench_stripped *p, uint64_t key)
{
	uint32_t v;

	for (uint32_t i = slot_of(p, key); (v = p->table[i]); i = (i + 1) & p->mask)
		if (p->conns[v - 1].key == key)
			return &p->conns[v - 1];
	return NULL;
}

static inline void due(struct bench_stripped *p, struct stripped_conn *c, uint8_t what)
{
	if (!(c->due & DUE_LISTED))
		p->work[p->n_work++] = (uint32_t)(c - p->conns);
	c->due |= what | DUE_LISTED;
}

/* stripped_conn.c */
struct stripped_conn *stripped_conn_new(struct bench_stripped *p, uint64_t key);
void stripped_conn_free(struct bench_stripped *p, struct stripped_conn *c);
/* Stores an answer or a request that must wait; `item` has its variable bytes, packed. */
void stripped_wait(struct bench_stripped *p, struct stripped_conn *c, const uint8_t item[32]);
uint8_t *stripped_part(struct bench_stripped *p, struct stripped_conn *c);

/* stripped_slow.c: everything except in-order data of an established connection. */
void stripped_other(struct bench_stripped *p, const uint8_t *frame, uint32_t len);
void stripped_slow(struct bench_stripped *p, struct stripped_conn *c, struct stripped_seg *s);
void stripped_unexpected(
	struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s);
/* Aborts a connection in an invalid state, and sends a RST. */
void stripped_reset(struct bench_stripped *p, struct stripped_conn *c);
/* Sends SYN or FIN, or frees the connection, as is due. */
void stripped_due(struct bench_stripped *p, struct stripped_conn *c);
void stripped_ask_gateway(struct bench_stripped *p, uint64_t now);

/* stripped.c */
/* Processes bytes of a connection's stream; takes all of them. */
void stripped_take(
	struct bench_stripped *p, struct stripped_conn *c, const uint8_t *data, uint32_t len);
/* Client: sends one more request. */
void stripped_request(struct bench_stripped *p, struct stripped_conn *c);
/* Sends waiting messages, as far as the window allows. */
void stripped_drain(struct bench_stripped *p, struct stripped_conn *c);
/* Finishes the open segment, with these flags in addition to ACK. */
void stripped_close_segment(struct bench_stripped *p, struct stripped_conn *c, uint8_t flags);
/* Sends a segment without payload. */
void stripped_bare(struct bench_stripped *p, struct stripped_conn *c, uint8_t flags);
struct rte_mbuf *stripped_mbuf(struct bench_stripped *p);
void stripped_queue(struct bench_stripped *p, struct rte_mbuf *m);
