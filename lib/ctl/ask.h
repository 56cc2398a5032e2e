/* SPDX-License-Identifier: Apache-2.0 */
/* Queries that only a worker can answer, and actions that only it can take (show/ask.c). */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_l4.h"

#define MT_ASK_ROWS 256

enum mt_ask_what {
	MT_ASK_CONNECTIONS,
	MT_ASK_EXCHANGES,
	MT_ASK_SLOW,
	MT_ASK_FLOWS, /* of layer 4 */
	MT_ASK_HOLDERS,
	MT_ASK_DENIED,
	MT_ASK_CLOSE,  /* closes connections */
	MT_ASK_RETURN, /* ends ejections of endpoints */
};

/*
 * A worker's copy of what it holds. The memory belongs to the ctl, because a request
 * that timed out may still run later.
 */
struct mt_ask {
	bool under_way; /* set by the ctl, cleared by the worker */
	bool more;	/* further rows may follow */
	enum mt_ask_what what;
	struct mt_expr expr; /* selects the rows */
	uint32_t idx;	     /* where to continue */
	uint32_t n;	     /* rows filled */
	union {
		struct mt_ask_connection {
			struct mt_tcp_info tcp;
			struct mt_conn_use use;
		} rows[MT_ASK_ROWS];
		struct mt_record calls[MT_ASK_ROWS];
		struct mt_l4_flow flows[MT_ASK_ROWS];
		struct mt_denied_row denied[MT_DENIED_ROWS];
		struct mt_ask_holder {
			struct mt_addr key;
			uint8_t prefix;
			enum mt_side side;
			enum mt_class class;
			uint32_t conns;
			uint64_t bytes;
		} holders[MT_ASK_ROWS];
		struct mt_ask_close {
			uint32_t index, born_ms; /* of struct mt_tcp_info */
			bool at_once;
			/* The answer; the others are valid if it is there. */
			bool there;
			enum mt_conn_closing done;
			bool accepted;
			struct mt_tuple tuple;
		} closes[MT_ASK_ROWS];
		struct mt_ask_return {
			struct mt_ep_state *ep;
			uint64_t ep_id;
			uint32_t cluster;
			struct mt_addr addr;
			uint16_t port;
			bool done; /* the answer: it was ejected */
		} returns[MT_ASK_ROWS];
	};
};

/* Queries a worker. NULL: it does not answer within a second, or no memory. */
const struct mt_ask *mt_ask(
	struct mt_ctl *c, uint16_t worker, enum mt_ask_what what, const struct mt_expr *x);
/*
 * For MT_ASK_CLOSE and MT_ASK_RETURN: a request without rows, which the caller adds. NULL: the
 * worker has not answered an earlier one, or no memory.
 */
struct mt_ask *mt_ask_for(struct mt_ctl *c, uint16_t worker, enum mt_ask_what what);
/* Sends it. False: the worker does not answer, and may still run it later. */
bool mt_ask_run(struct mt_ctl *c, uint16_t worker);
/*
 * Continues the query, or MT_ASK_CLOSE with the connections from `idx` on; NULL: there are no more
 * rows, or the worker does not answer.
 */
const struct mt_ask *mt_ask_more(struct mt_ctl *c, uint16_t worker);

/* TLS version ("1.3") and cipher of a connection; NULL: plaintext. */
const char *mt_ask_tls(const struct mt_conn_use *use);
const char *mt_ask_cipher(const struct mt_conn_use *use);

/* show_l4_flows.c: sets the values of those fields of a flow that the worker knows. */
void mt_ask_know_flow(uint16_t worker, const struct mt_l4_flow *f, struct mt_expr_values *v);

/* Values of a connection that only the control thread has. */
struct mt_ask_more {
	uint64_t rate;		       /* bytes per second */
	const char *service, *cluster; /* NULL: none, or several */
};
/* Sets the values of a connection's fields; all are known then. */
void mt_ask_know(uint16_t worker, const struct mt_ask_connection *a, const struct mt_ask_more *more,
	struct mt_expr_values *v);
