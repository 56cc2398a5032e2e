/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/l4: checks of endpoints, their turns, and what clients' packets prove. */
#pragma once

#include "mt_l4.h"

/* Checks of one owner and kind that wait (health_turns.c). */
struct l4_check_queue {
	uint32_t start; /* where in its range the pass began; of other checks, the first is next */
	uint32_t refused; /* the first that could not begin in this pass; L4_NONE: none */
	uint32_t waiting; /* how many could not */
	uint32_t granted; /* checks that may begin before those of others, in this pass */
	uint32_t open;	  /* connections, as the last pass has seen them, and those begun since */
	uint32_t seen;	  /* connections that this pass has seen */
};

/* Which checks may begin, in a pass over those of the set. */
struct l4_turns {
	struct l4_check_queue *queues; /* [MT_L4_CHECK_QUEUES] */
	bool passing;
	uint32_t range, at; /* of the pass: the range, and how many of it are visited */
	uint64_t filled;    /* when `tokens` was last filled */
	uint32_t tokens;    /* checks that may begin */
	uint32_t spare;	    /* of these, not granted to a queue */
	uint32_t open;	    /* connections of all queues, as l4_check_queue.open */
	uint16_t last;	    /* the queue to which one was granted last */
};

/* One worker's notes of an endpoint. The worker writes, the others read. */
struct l4_heard {
	uint32_t answered; /* SYNs of clients that the endpoint answered by a SYN-ACK */
	uint32_t echo;	   /* sequence number of the newest echo reply */
	/*
	 * The last two clients that had to repeat a SYN: tick of the last one, and 32 bits of a
	 * hash of the address, the same at each worker. 0: none.
	 */
	uint64_t unanswered[2];
};

struct mt_l4_health {
	uint16_t workers;
	uint8_t secret[16];
	uint32_t changes; /* endpoints that became unhealthy or healthy; atomic */
	struct l4_heard *heard[MT_WORKERS_MAX]; /* each [MT_L4_INDEXES_MAX] */
};

/* A worker's state of an endpoint that it checks, by index. */
struct l4_checked {
	uint64_t id; /* of the endpoint; another one may have the index later; 0: none yet */
	struct mt_l4_check_conf conf; /* of its checks so far; with another one they start again */
	uint64_t began;		      /* the check under way, or the last one */
	uint64_t due;		      /* the next check */
	const char *why;	      /* of `verdict` */
	uint32_t pass;		      /* mt_l4.check_passes at the last visit */
	uint32_t seq;		      /* token of the check */
	uint32_t answered;	      /* sum over workers at the end of the last check */
	uint32_t answered_begin;      /* the same when the one under way began */
	uint32_t since;		      /* tick at the end of the last check */
	bool under_way;
	bool sent;		     /* the echo request has left */
	bool tried;		     /* the neighbour of its host is resolved, or silent */
	uint8_t verdict;	     /* enum mt_l4_verdict; 0: none yet */
	bool proven;		     /* a check has succeeded */
	bool unhealthy;		     /* as this worker left it */
	uint8_t failures, successes; /* in a row */
};

/* health.c */
int l4_health_init(struct mt_l4 *l, const struct mt_l4_worker_conf *c);
void l4_health_fini(struct mt_l4 *l);
/* health_turns.c: begins a pass: divides what may begin among the queues with checks that wait. */
void l4_turns_begin(struct mt_l4 *l);
/* The next check of the pass; NULL: it is complete. */
const struct mt_l4_check *l4_turns_next(struct mt_l4 *l);
/* True if this check, which is due, may begin: that counts. False: it waits, and is counted. */
bool l4_turns_take(struct mt_l4 *l, const struct mt_l4_check *c);
/* It could not begin after all. */
void l4_turns_return(struct mt_l4 *l, const struct mt_l4_check *c);
/* The connection of this check is open. */
void l4_turns_note(struct mt_l4 *l, const struct mt_l4_check *c);
/* Begins checks that are due and takes results; once per loop iteration. */
void l4_health_tick(struct mt_l4 *l);
uint64_t l4_health_next(const struct mt_l4 *l);

/* health_heard.c: notes that an endpoint answered a client's SYN; or that a client repeated one. */
void l4_note_syn_ack(struct mt_l4 *l, uint32_t index);
void l4_note_unanswered(struct mt_l4 *l, uint32_t index, const struct mt_addr *client);
/* Sum over all workers of l4_heard.answered. */
uint32_t l4_heard_answers(const struct mt_l4 *l, uint32_t index);
/* True if two clients had to repeat a SYN since the tick. */
bool l4_heard_unanswered(const struct mt_l4 *l, uint32_t index, uint32_t since);
/* True if a worker has received the reply to this echo request. */
bool l4_heard_echo(const struct mt_l4 *l, uint32_t index, uint32_t seq);
/* Sends an echo request, with the results of mt_net_ping(). */
enum mt_net_result l4_send_echo(struct mt_l4 *l, const struct mt_l4_check *c, uint32_t seq);
