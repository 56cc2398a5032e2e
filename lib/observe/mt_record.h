/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of an exchange: all data that is reported about one call. It is made once, at the end
 * of the call, and only if one of its readers needs it: the list of slow calls, exemplars, or
 * tracing. `show exchanges` makes records of calls under way. lib/proxy fills records.
 */
#pragma once

#include "mt_expr.h"
#include "mt_span.h"

/* Bytes kept of names. */
#define MT_RECORD_SERVICE 256
#define MT_RECORD_ROUTE	  128
#define MT_RECORD_METHOD  24
#define MT_CUT		  "…" /* ends a name that was longer */

/* A plain copy: its strings are its own or static. */
struct mt_record {
	struct mt_ref exchange;
	uint16_t worker;
	struct mt_addr client, local, server; /* all zero: unknown, or gone */
	uint16_t client_port, local_port, server_port;
	uint8_t tries;
	bool answered;		   /* by a server, and no filter replaced the reply */
	const char *proto, *state; /* static; state of a finished call: its result */
	uint64_t service_id;	   /* mt_service.id; 0: none, or gone */
	uint64_t workload; /* hash of the labels of the endpoint's workload; 0: unknown, or none */
	uint64_t caller;   /* the same of the client's workload; 0: unknown */
	char service[MT_RECORD_SERVICE + sizeof(MT_CUT)], route[MT_RECORD_ROUTE + sizeof(MT_CUT)],
		method[MT_RECORD_METHOD + sizeof(MT_CUT)];
	uint64_t bytes_in,
		bytes_out; /* bytes of the request and of the reply, as far as they are known */
	uint64_t wall;	   /* ns: start of the call */
	uint64_t took;	   /* ns; so far, if the call is under way */
	/*
	 * Parts of `took`: in Meltemi (filters, queue), connecting, at the server, back to the
	 * client.
	 */
	uint32_t queue_us, connect_us, server_us, reply_us;
	/*
	 * If answered: the latency that counts for the service, from the start to the reply, or to
	 * the end of a filter's wait at the reply.
	 */
	uint64_t answer_us;
	struct mt_span span; /* of the call, or what the client named; len 0: none, or not read */
};

/* Copies a name: at most `room` bytes, followed by MT_CUT if it was longer. */
void mt_record_text(char *to, size_t room, const char *from, size_t len);

/* Name of an exchange in all outputs: worker-index-generation. */
#define MT_EXCHANGE_NAME 40
void mt_exchange_name(uint16_t worker, struct mt_ref ref, char name[MT_EXCHANGE_NAME]);

/* Buffers for texts that are made for an expression. */
struct mt_record_texts {
	char name[MT_EXCHANGE_NAME], endpoint[MT_ADDR_STRLEN];
};

/* Sets the values of a record that expressions may use. Texts point into the record and `made`. */
void mt_record_know(
	const struct mt_record *r, struct mt_record_texts *made, struct mt_expr_values *v);
