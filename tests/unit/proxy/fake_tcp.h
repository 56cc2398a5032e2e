/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport without packets: the test plays both peers, feeds bytes, FINs and resets and looks at
 * what was sent.
 */
#pragma once

#include "mt_proxy_types.h"

#define LAB_HEAD 64

struct fake_conn {
	struct mt_stream s; /* first */
	struct mt_tuple t;
	struct mt_chain sent; /* what the proxy sent, until the test reads or acknowledges it */
	uint64_t sent_at;     /* position of its first byte */
	/*
	 * What mt_stream_end() and mt_stream_positions() answer. Kept: pos (all that was given counts as transmitted,
	 * unless `stopped`), fin and fin_acked by lab_fin(), reset by lab_close(). All else, and what differs, is the
	 * test's to set.
	 */
	struct mt_stream_end end;
	bool shut_window;    /* what is queued is all that its windows admit */
	bool stopped;	     /* what is given from now on is not transmitted */
	struct mt_sums held; /* as the user said at the last turn's end */
	bool touched;	     /* since then */
	bool refuses;	     /* nothing more is read of it */
	bool coming;	     /* mt_stream_coming() */
	bool live, connected, shut, aborted, detached, accepted;
};

extern struct mt_transport lab_transport;

struct lab {
	struct mt_proxy *p;
	struct mt_pools pools;
	struct mt_snapshot *snap;
	uint64_t now;
	struct fake_conn conns[512];
	uint32_t n;
	bool refuse_open;
	bool no_route;	/* to any server */
	bool puts_back; /* mt_stream_put_back() does */
	uint16_t entry; /* of clients from now on: by which port they come, and 1 */
	/*
	 * If set: sees what the proxy sends; writes what is fed in the place of the first bytes,
	 * at most LAB_HEAD, and returns how many these are (toy_ids.c).
	 */
	void (*on_send)(const struct fake_conn *c, const struct mt_chain *bytes);
	uint32_t (*on_feed)(
		const struct fake_conn *c, const void *bytes, uint32_t n, uint8_t *head);
	const void *first; /* of clients from now on: bytes that are there when they are accepted */
	uint32_t n_first;
};

extern struct lab lab;

/* ---- what the test does ---- */

/* A client connects to the listener `port`; NULL: refused. */
struct fake_conn *lab_client(uint16_t port);
/* The same from 192.0.2.host, which is 2 above. */
struct fake_conn *lab_client_from(uint16_t port, uint8_t host);
/* The i-th connection that the proxy opened and that is still live (0 first); NULL: none. */
struct fake_conn *lab_server(uint32_t i);
uint32_t lab_n_servers(void);
void lab_connect(struct fake_conn *c);
/* false: the pool is empty, nothing was fed. */
bool lab_feed(struct fake_conn *c, const void *bytes, uint32_t n);
/* The same at once, but in buffers of so many bytes each. */
bool lab_feed_pieces(struct fake_conn *c, const void *bytes, uint32_t n, uint32_t piece);
void lab_fin(struct fake_conn *c);
void lab_close(struct fake_conn *c, enum mt_close_reason reason);
/* Takes what was sent: acknowledges it; returns bytes copied to buf. */
uint32_t lab_take(struct fake_conn *c, void *buf, uint32_t size);
/* What the ledger has of what it received, and of what its user keeps elsewhere. */
struct mt_sums lab_holds(struct fake_conn *c);
/* The ledger wants it to give way. */
void lab_evict(struct fake_conn *c, enum mt_class class);
/* Virtual time goes on; timers fire. */
void lab_advance(uint64_t ns);
/* Both FINs of detached connections are through: nothing of them is left. */
void lab_flush_detached(void);
