/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients and servers of remote calls, whatever the dialect. Every call has a token that names its client
 * and its number; a client fails the seed when a reply carries another token, when a call ends twice or
 * not at all; a server when it sees a call twice, or a second one where the protocol allows one. Every
 * byte of a message is checked: the receiver writes it once more.
 */
#pragma once

#include "dialect.h"
#include "host.h"

#define RPC_CLIENTS 8	  /* unless a scenario makes room for more (rpc_room_for()), */
#define RPC_SERVERS 6	  /* and of these */
#define RPC_CALLS   4096  /* of one client, */
#define RPC_MOST    16384 /* who is alone */
#define RPC_OUT	    320	  /* outstanding of one client */
#define RPC_CONNS   4096  /* of one server, over the seed */

/* A call's body: token, length of the reply's filler, delay in us, enum rpc_ask, salt; then filler. */
#define RPC_TOKEN 16
#define RPC_ORDER (RPC_TOKEN + 16)

/* What a call asks the server for. */
enum rpc_ask {
	RPC_ASK_REPLY,
	RPC_ASK_SILENCE, /* never answer, nor what comes behind it on a serial server's connection */
	RPC_ASK_NOTHING, /* a one-way call in the form of another one: go on without an answer */
	RPC_ASK_ERROR,	 /* answer with an error of the service's own */
	RPC_ASK_RESET,	 /* reset the connection instead */
	RPC_ASK_FIN,	 /* answer, then end the connection in order */
	RPC_ASK_DRAIN,	 /* answer, and ask for no more requests */
	RPC_ASK_N
};

/* How a call ended. */
enum rpc_end {
	RPC_OK,
	RPC_APP_ERROR,
	RPC_NATIVE, /* an error that the proxy made */
	RPC_LOST,   /* the client's connection ended first */
	RPC_ONEWAY, /* sent */
	RPC_HEARTBEAT,
	RPC_N_ENDS
};

struct rpc_call {
	bool used;
	bool cut;	     /* its server reset the connection inside its reply */
	enum wire_kind kind; /* WIRE_CALL, WIRE_ONEWAY, WIRE_HEARTBEAT */
	char route;
	uint8_t ask;
	uint32_t no, reply_len, salt;
	uint64_t id, at;
	uint64_t end; /* of its bytes, in those of its connection */
	uint64_t
		due; /* when the server, and before it those to earlier calls, may be expected to answer */
};

/* What is kept of each call with --log, for entries_calls.c. */
struct rpc_past {
	uint64_t at, ended;
	uint32_t len;	 /* of the request */
	uint32_t native; /* of RPC_NATIVE: as in struct wire_msg */
	enum wire_kind kind;
	char route;
};

struct rpc_set;

/* The share of calls (per million) that ask the server for something special. */
struct rpc_mix {
	uint32_t oneway, silence, error, reset, fin, drain, heartbeat;
	uint32_t late; /* delayed by late_ns, which is more than the proxy waits */
	uint64_t late_ns, delay_max;
	uint32_t req_max, rep_max; /* bytes of body */
	uint32_t big, big_max;	   /* share and size of large messages, both ways */
	uint32_t
		spread; /* sizes from 16 bytes to 32 << (spread - 1), any magnitude as often; 0: as above */
	uint32_t attachments; /* that nobody reads, on each call; 4,095 at most (Dubbo) */
	uint64_t slow_b;      /* the method of route "b" takes so much longer */
};

/* Calls of a client that are alike; the array ends with calls UINT32_MAX. */
struct rpc_step {
	uint32_t calls, req, rep; /* bytes of body */
	uint64_t delay;		  /* at the server */
	uint64_t after;		  /* the client waits so long before its next call */
};

struct rpc_client {
	struct rpc_set *set;
	const struct dialect *dialect;
	uint32_t no;
	struct sim_host *host;
	struct mt_addr to;
	uint16_t port;
	uint64_t start;
	struct rpc_mix mix;
	const struct rpc_step *script; /* NULL: drawn, by mix */
	struct mt_rand rand;
	uint32_t calls, window; /* how many in all; outstanding at a time */
	uint64_t pace;		/* ns between calls */
	uint32_t rest_every; /* after so many calls (0: never) it rests for up to twice rest_ns */
	uint64_t rest_ns;
	/* With n_rests it rests for one of those, up to rest_slack less or more. */
	const uint64_t *rests;
	uint32_t n_rests;
	uint64_t rest_slack;
	/* With beat_ns it rests until about the next beat, up to beat_slack early or late. */
	uint64_t beat_at, beat_ns, beat_slack;
	uint32_t write_chunk; /* bytes per write; 0: all */
	uint64_t write_pace;  /* from one to the next */
	uint64_t gone_at;     /* it resets its connection and does not come again; 0: never */
	uint32_t read_max;
	uint64_t read_pace, read_stop; /* a slow reader; reads nothing until then */
	uint64_t pause_from, pause_to; /* it does not read, */
	bool mute;		       /* nor write, */
	uint32_t
		leave_at; /* bytes after which it resets its connection, then comes again; 0: stays */
	/*
	 * FIN as soon as the last call is sent. It reads on, unless clients of the protocol never
	 * half-close: then it loses the replies that have not come.
	 */
	bool half_close;
	uint64_t
		gives_up; /* ns: it leaves when a call waits for so long, then comes again; 0: never */
	bool closes;	  /* it leaves by FIN in place of a reset, and reads nothing more */
	/*
	 * Its calls of route "b" are one-way and look like others (Apache Thrift in Go). It ignores
	 * native errors in reply to them.
	 */
	bool notes;
	/* What may become of its calls. */
	/* The proxy may end its connection while calls are out that its machine has not acknowledged, and that no server has seen. */
	bool may_lose_unread;
	bool may_lose;	       /* the proxy may end its connection while calls are out */
	uint32_t min_answered; /* so many at least are answered by servers */
	/* All are, so long after the servers and the client's own reading allow it; 0: no matter when. */
	uint64_t patience;
	uint32_t req_left, rep_left; /* bytes that `mix.spread` may still draw */
	/* state */
	struct sim_sock *sock;
	bool up, unread, shut, over, leaving;
	bool told;	  /* by the proxy: it sends no more on this connection */
	uint64_t written; /* bytes of calls on this connection */
	uint32_t begun, ended, n_out, attempts, moved;
	uint64_t next_at, read_at, write_at, last_due;
	struct rpc_call *out; /* `window` of them */
	struct rpc_bytes in, tx;
	uint32_t ends[RPC_N_ENDS];
	uint8_t *ended_how; /* of each call: 1 + enum rpc_end */
	uint8_t *ran_on;    /* of each call: 1 + number of the server that saw it first */
	uint8_t *
		came; /* of each call: to a server's machine, but its application closed without reading it */
	uint8_t *seen;	       /* of each call: how often servers saw it, */
	uint8_t *copied;       /* and how often a mirror did */
	struct rpc_past *past; /* of each call; NULL: nobody wants to know */
};

struct rpc_conn;

struct rpc_server {
	struct rpc_set *set;
	uint32_t no, group; /* group: bit of route_to */
	struct sim_host *host;
	uint16_t port;
	bool serial; /* one call at a time on a connection */
	/* Works on one call at a time, for so long each (0: on all at once); until when it has work. */
	uint64_t service, busy_until;
	uint32_t
		die_at; /* bytes (in and out of one connection) after which it is reset; 0: never */
	/* Reads, and writes, so many bytes at a time (0: all) with a pause behind; does neither in between. */
	uint32_t read_max, write_max;
	uint64_t read_pace, write_pace, pause_from, pause_to;
	uint32_t
		write_stop; /* of a connection it writes no more behind so many bytes; 0: it does */
	uint64_t
		idle_ns; /* it closes a connection on which nothing came or went for so long; 0: never */
	uint64_t look_ns; /* delay after which it reads a connection's bytes */
	uint32_t stray;	  /* replies (per million) with ids of no call, before those to calls */
	/*
	 * Calls (per million) that it answers again, and one-way calls that it answers, up to
	 * again_ns later.
	 */
	uint32_t again;
	uint64_t again_ns;
	bool again_oneway; /* one-way calls only */
	uint32_t
		other_method; /* calls (per million) to which a reply in the other method's name comes first */
	bool no_ids;	     /* its replies carry id 0 */
	uint32_t heartbeats; /* of its own, per million replies */
	/* It reads nothing in between, and sends `flood` heartbeats meanwhile on each connection. */
	uint64_t deaf_from, deaf_to;
	uint32_t flood;
	bool die_fin; /* it ends by FIN instead */
	bool mirror;  /* what comes are copies of calls that others see, too */
	bool silent;  /* it answers nothing */
	bool policed; /* its policy adds metadata to calls (struct asked) */
	struct rpc_conn *conns[RPC_CONNS];
	uint32_t n_conns, live, max_live;
	uint32_t calls;
};

struct rpc_set {
	struct sim *sim;
	struct rpc_client *client;
	struct rpc_server *server;
	uint32_t n_clients, n_servers, left;
	uint32_t connects; /* of all clients */
	uint32_t native[MT_REPLY_N];
	uint32_t executions; /* so often servers may see a call that is not one-way; 0: once */
	bool lies;	     /* the network may change bytes */
	bool starved;	     /* the proxy may have no buffer for the answer to a heartbeat */
	bool changes;	     /* the route of calls "b" sets metadata */
	bool steady;	     /* the proxy must not end a connection before its client does */
	uint32_t may_native; /* bit 1 << enum mt_local_reply: allowed */
	uint32_t native_max; /* calls of all clients that may end so; 0: any number */
	struct protocol protocol;
	uint64_t ready_at;   /* from here on no server pauses */
	uint64_t first_id;   /* all clients number their calls alike, from here on */
	bool one_id;	     /* all calls have that id; needs ordered replies */
	uint32_t timeout_ms; /* that calls carry; 0: none */
	uint32_t
		route_to[2]; /* bit i: servers of group i may see calls of route 'a', 'b'; 0: any */
	bool sticky[2];	     /* one server sees all of them: the first that saw one */
	uint32_t stuck_to[2]; /* its number + 1 */
	/* Told of each call that was answered, before it is forgotten; NULL: nobody wants to know. */
	void (*answered)(void *arg, const struct rpc_client *c, const struct rpc_call *call,
		enum rpc_end how);
	void *answered_arg;
	/* Whether a SYN cookie made a second connection, whose client sends its bytes once more; NULL: never. */
	bool (*replayed)(void *arg);
	void *replayed_arg;
	/*
	 * Replies that the proxy cut off after it had forwarded a part, because the network or a reset
	 * took their server away. As many connections may be lost with calls out on them; `by_server`:
	 * this one has a call inside whose reply a server reset its connection. NULL: none.
	 */
	uint64_t (*cut_off)(void *arg, bool by_server);
	void *cut_off_arg;
	uint64_t lost_cut_off;
	/* Calls of route "a" that a server saw a second time; the same server as at first. */
	uint64_t second, second_same;
	/* Heartbeats of servers that the proxy has left unanswered; as many may lack their answer. NULL: none. */
	uint64_t (*unanswered)(void *arg);
	void *unanswered_arg;
	uint64_t unanswered_seen;
	struct rpc_bytes body, flat, again; /* scratch */
};

/* Clients of the protocol never half-close: who sends FIN gets no more replies. */
static inline bool rpc_fin_closes(const struct rpc_set *set)
{
	return set->protocol.codec->client_whole_close;
}

/* Room for so many clients and servers, which are all 0. Before any of them is described. */
void rpc_room_for(struct rpc_set *set, uint32_t clients, uint32_t servers);
/* Connections that are still open are reset: their clients are gone. */
void rpc_stop(struct rpc_set *set);
void rpc_server_start(struct rpc_server *v);
/* Its program dies: each of its connections is reset, and it is there again at once. */
void rpc_server_reset(struct rpc_server *v);
/* Its program ends in order, and is there again at once: the machine closes its connections. */
void rpc_server_restart(struct rpc_server *v);
void rpc_client_start(struct rpc_client *c);
bool rpc_done(struct sim *s, void *set);
/* Calls that a server took part in, as rpc_check() counts them. Once they have ended. */
uint32_t rpc_exchanges(const struct rpc_set *set);
/* Fails the seed when a call did not end, or fewer were answered than must be; counts those that were. */
void rpc_check(struct rpc_set *set);
void rpc_free(struct rpc_set *set);
void rpc_server_free(struct rpc_server *v);

/* rpc_body.c */
void rpc_token(const struct sim *s, uint32_t client, uint32_t call, uint8_t t[RPC_TOKEN]);
/* Filler that follows from the token, and whether it is right. */
void rpc_fill(uint8_t *p, uint32_t n, const uint8_t t[RPC_TOKEN], uint8_t dir);
bool rpc_filled(const uint8_t *p, uint32_t n, const uint8_t t[RPC_TOKEN], uint8_t dir);
/* The salt of a reply. */
uint32_t rpc_salt(const uint8_t t[RPC_TOKEN]);
/* The message at the head; 0: not all of it is there; UINT32_MAX: it is none. */
uint32_t rpc_message(const struct dialect *d, const struct rpc_bytes *b);
