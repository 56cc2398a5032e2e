/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream application: a client and a server that send each other bytes which both can compute, and
 * check every byte at its place. A plan says how many, how fast, and who ends how. The first 8 bytes of
 * the client name the plan.
 */
#pragma once

#include "host.h"

#define STREAM_HELLO 8

enum stream_side { STREAM_CLIENT, STREAM_SERVER, STREAM_SIDES };

enum stream_finish {
	STREAM_SHUT,	   /* FIN after the last byte, whatever the other does */
	STREAM_SHUT_AFTER, /* FIN only after the other side's FIN */
	STREAM_ABORT,	   /* RST when `abort_at` bytes were received or sent */
	STREAM_CLOSE,	   /* lets go then, in place of a RST */
};

struct stream_plan;

struct stream_part {
	struct stream_plan *plan;
	enum stream_side side;
	uint32_t len;	     /* bytes to send */
	uint32_t chunk;	     /* at a time */
	uint64_t pace;	     /* ns between chunks; 0: as fast as it goes */
	uint32_t read_max;   /* bytes per read; 0: all */
	uint64_t read_pace;  /* ns between reads; 0: at once */
	uint64_t read_start; /* ns after the connection came up */
	enum stream_finish finish;
	uint32_t abort_at;
	/* what became of it */
	struct sim_sock *sock;
	uint64_t read_at, write_at;
	bool unread, blocked; /* blocked: the stack took less; it says when it takes more */
	uint32_t sent, got;
	bool leaves; /* lets go at the end, whatever state the connection is in */
	bool eager;  /* writes before the connection is up */
	bool connected, eof, shut, ended, aborted;
	enum sim_end how;
	uint64_t ended_at;
	bool left; /* it has let go */
};

struct stream_set;

struct stream_plan {
	struct stream_set *set;
	uint32_t no;
	uint64_t start; /* when the client connects */
	struct sim_host *host, *server;
	struct mt_addr to;
	uint16_t port;
	struct stream_part part[STREAM_SIDES];
	uint32_t attempts, accepted; /* accepted: the last attempt that a server saw */
	bool done;
	bool counted;
};

#define STREAM_PLANS 32

struct stream_set {
	struct sim *sim;
	struct stream_plan plan[STREAM_PLANS];
	uint32_t n, left; /* left: plans that are not over */
	uint64_t deadline;
	bool lies;     /* the network may change bytes: contents are not checked */
	bool may_fail; /* memory or network are so short that connections may fail in order */
	struct sim_host *alive; /* the other host dies: it must be noticed, and calls run here */
	uint64_t reborn;	/* it is up again from here on; MT_NEVER: it is not */
	bool by_proxy; /* which resets its client when each try to reach the server was lost */
	uint32_t
		turns_away; /* servers end each so manyth connection unread, in turn by RST and FIN; 0: none */
	uint32_t accepts, turned_away;
	bool calm; /* nothing is lost: every end must be an orderly one */
};

/* Draws lengths, paces and ends for plan->part[]; kind: who may abort. */
void stream_plan_draw(struct stream_plan *p, struct mt_rand *r, uint32_t max_len, bool aborts);
/* The server's side, on any host. */
void stream_listen(struct stream_set *set, struct sim_host *h, uint16_t port);
/* Queues the clients' starts. */
void stream_start(struct stream_set *set);
bool stream_done(struct sim *s, void *set);
/* A network that lies may have confused both ends for good: applications give up. */
void stream_stop(struct stream_set *set);
/* After the run: fails the seed when a plan did not end as it had to. */
void stream_check(struct stream_set *set);
