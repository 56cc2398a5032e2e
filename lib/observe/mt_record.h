/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of an exchange: all that is told of one call, made once, at its end, and only if somebody wants it. The list of slow calls, exemplars
 * and traces are its readers; `show exchanges` makes it of those under way. lib/proxy fills it.
 */
#pragma once

#include "mt_expr.h"
#include "mt_span.h"

/* Bytes of names that are kept. */
#define MT_RECORD_SERVICE 256
#define MT_RECORD_ROUTE	  128
#define MT_RECORD_METHOD  24
#define MT_CUT		  "…" /* ends those that were longer */

/* A plain copy: its strings are its own or static. */
struct mt_record {
	struct mt_ref exchange;
	uint16_t worker;
	struct mt_addr client, local, server; /* all zero: not known, or gone */
	uint16_t client_port, local_port, server_port;
	uint8_t tries;
	bool answered;		   /* by a server */
	const char *proto, *state; /* static; of one that is over: how it ended */
	uint64_t service_id;	   /* mt_service.id; 0: none, or gone */
	char service[MT_RECORD_SERVICE + sizeof(MT_CUT)], route[MT_RECORD_ROUTE + sizeof(MT_CUT)],
		method[MT_RECORD_METHOD + sizeof(MT_CUT)];
	uint64_t bytes_in,
		bytes_out; /* of the request and of the reply, as far as they are known */
	uint64_t wall;	   /* ns: when it began */
	uint64_t took;	   /* ns, so far if it is under way */
	/* Of that: with us (filters, queue), connecting, at the server, back to the client. */
	uint32_t queue_us, connect_us, server_us, reply_us;
	uint64_t answer_us;  /* if answered: from its begin to the server's reply */
	struct mt_span span; /* the trace that its client named; len 0: none, or nobody has asked */
};

/* A name as these keep it: at most `room` bytes, and MT_CUT behind them where there is more. */
void mt_record_text(char *to, size_t room, const char *from, size_t len);

/* How an exchange is called wherever it is shown: worker-index-generation. */
#define MT_EXCHANGE_NAME 40
void mt_exchange_name(uint16_t worker, struct mt_ref ref, char name[MT_EXCHANGE_NAME]);

/* Texts that are made for an expression. */
struct mt_record_texts {
	char name[MT_EXCHANGE_NAME], endpoint[MT_ADDR_STRLEN];
};

/* What an expression may ask of a record. The texts stay the record's and `made`'s. */
void mt_record_know(
	const struct mt_record *r, struct mt_record_texts *made, struct mt_expr_values *v);
