/* SPDX-License-Identifier: Apache-2.0 */
/* Types of client/: client connections, the selection of their chain, the drain of the worker. */
#pragma once

#include "mt_hello.h"
#include "mt_proxy.h"
#include "pool/mt_pool_types.h"

/* The drain of the worker (worker_drain.c). Times in ns. */
struct mt_drain {
	/* times of mt_proxy_leave() and of a later mt_proxy_drain(); 0: not called */
	uint64_t leave_at, close_at;
	uint64_t notified_at; /* start of the last pass that notifies clients */
	uint64_t accepted_at; /* when the last client was accepted; 0: none */
	uint64_t next;	      /* start of the next pass or slice over the clients; MT_NEVER: none */
	uint32_t down, selections; /* where the pass continues */
	uint32_t ms;		   /* of mt_proxy_leave() */
	bool looks;		   /* the pass only looks for lasting work */
	bool lasting;		   /* this pass has found lasting work */
	bool brief;		   /* last complete pass: no lasting work, no opaque stream */
	bool lasted; /* some complete pass since mt_proxy_leave() found lasting work */
};

/* Phase of ending a client connection (drain.c). */
enum mt_down_ending {
	MT_DOWN_GOES_ON,
	/* Serves requests until the client is idle, at most a third of the drain time. */
	MT_DOWN_DRAINING,
	/* Serves until no reply is outstanding and nothing is received, then sends FIN. */
	MT_DOWN_LAST,
	MT_DOWN_REFUSES, /* as LAST, but acknowledges no more data */
	MT_DOWN_CLOSING, /* decodes nothing more; sends FIN after the outstanding replies */
	MT_DOWN_N_STATES
};

/* Result of mt_secure_judge_for_call() for the client's last call. */
struct mt_lent {
	const struct mt_cluster *cluster; /* NULL: no result */
	uint32_t version;		  /* lower half of the version of the snapshot used */
	uint8_t shows;
	bool gateway, unlent;
};

struct mt_down {
	struct mt_ref self;
	struct mt_stream *s; /* NULL: the connection is gone, but its objects are not freed yet */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	/* ms, lower half: its listener drained when it came, and this is its turn; 0: did not */
	uint32_t drain_due;
	/*
	 * `proto` is NULL if no filter chain and protocol in the configuration serve the connection
	 * any more (`unserved`).
	 */
	struct mt_snapshot *snap; /* held */
	const struct mt_filter_chain_proto *proto;
	struct mt_decoder dec; /* reads s->rx */
	struct mt_msg msg;     /* the message that is being decoded */
	struct mt_reading reading;
	struct mt_list exchanges;
	/*
	 * A position in `exchanges`: all before it are one-way. Equal to the list's head if all
	 * exchanges are one-way.
	 */
	struct mt_list *owed;
	/*
	 * Exchanges with a reply that cannot be sent yet, in the order of arrival. The bytes are in
	 * mt_exchange.rsp, or the server connection is paused. mt_reply_flush() continues with them.
	 */
	struct mt_list waiting;
	uint32_t outstanding; /* exchanges, without those with mt_exchange.unacked */
	uint32_t unacked;     /* exchanges with mt_exchange.unacked */
	uint32_t skip_left;   /* bytes to skip of a message, because it has no exchange */
	uint32_t held;	      /* truesize of the waiting replies and of `after` */
	uint32_t pending;     /* truesize of the client's calls that wait in Meltemi */
	uint32_t retained;    /* truesize of requests that are kept for another attempt */
	uint32_t backing_off; /* the part of `retained` of calls that wait for an attempt */
	uint32_t drain_ms;    /* of its drain; 0: mt_proxy_leave() had no time */
	/* Exchange of the long reply that is being forwarded; no other bytes may be sent. */
	struct mt_ref streaming;
	struct mt_chain after; /* bytes without an exchange, to be sent after the long reply */
	struct mt_ref cur;     /* exchange of the request that is still arriving */
	/*
	 * Server connection of the client's last call in doubt (oneway.c), if mt_up.client names
	 * this client.
	 */
	struct mt_ref serial;
	/* Earliest of idle, stalled message, slow reader, `retry_at`, `leave_at`, `drain_due`. */
	struct mt_timer timer;
	uint64_t last_rx, last_ack;
	/* ns: since when unread and held replies reach mt_proxy_conf.reply_soft; 0: they do not. */
	uint64_t above_soft_since;
	uint64_t msg_started; /* ns: start of the incomplete message; 0: none */
	/*
	 * ns: when to try again after a lack of memory, or to continue with ending (drain.c); 0:
	 * never.
	 */
	uint64_t retry_at;
	/*
	 * ns: after the client's FIN, when to check calls that go on (leave.c), or to drop queued
	 * replies (downstream.c); 0: never.
	 */
	uint64_t leave_at;
	bool flushing; /* prevents re-entry of mt_reply_flush() */
	bool ordered;  /* replies must have the order of the requests */
	bool decoding; /* prevents re-entry by replies from inside of the decode loop */
	bool paused;
	/*
	 * Paused because too many bytes of the client's calls wait. When one of these calls stops
	 * waiting, `reading` is queued.
	 */
	bool paused_by_bytes;
	bool eof;
	bool several; /* the client's FIN may be a test by another Meltemi (leave.c) */
	bool left;    /* closed by its client while a call waited; no reply may follow (leave.c) */
	uint8_t ending; /* enum mt_down_ending */
	bool told;	/* GOAWAY was sent */
	bool own_lane;	/* unread replies reached reply_soft: new calls use bulk connections */
	/*
	 * 1 + number of next calls that use WIDE instead of SHARED connections, because an earlier
	 * reply was not short; 0: none. At least 1 with own_lane.
	 */
	uint8_t apart;
	/*
	 * enum mt_local_reply + 1: all requests get this local reply; 0: requests are served.
	 */
	uint8_t unserved;
	struct mt_lent lent;
	uint64_t caller;	/* mt_caller_of(), when its snapshot was set */
	uint64_t drain_started; /* ns: start of its drain; 0: none */
};

/* A client connection without a selected filter chain or protocol (chain_selection.c). */
struct mt_chain_selection {
	struct mt_stream *s;
	struct mt_snapshot *snap; /* held */
	const struct mt_listener *listener;
	/* NULL: not selected yet. If set, only the chain's protocol is not selected yet. */
	const struct mt_filter_chain *chain;
	bool put_back;	       /* its first bytes were put back (mt_stream_put_back()) */
	bool asks_bytes;       /* addresses and ports do not suffice to select the chain */
	struct mt_hello hello; /* reads s->rx */
	struct mt_timer timer;
	/* ns: when it was accepted; when the first byte came, 0: none came. */
	uint64_t since, first_at;
};
