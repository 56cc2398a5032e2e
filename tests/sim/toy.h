/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The toy protocol, small enough that a failure is about the proxy and not about the codec. A message:
 *
 *	'T' 'Y' kind status  id (8)  rest (4)  |  route length (1), route  |  body
 *
 * all big-endian; `rest` counts the bytes behind the 16 of the header. The body of a request tells the
 * server what to do; requests and replies carry the token of their client and call.
 */
#pragma once

#include "mt_codec.h"

#define TOY_HEAD	16
#define TOY_TOKEN	16
#define TOY_REQUEST_MIN (TOY_HEAD + 1 + TOY_TOKEN + 12)
#define TOY_REPLY_MIN	(TOY_HEAD + 1 + TOY_TOKEN)
#define TOY_NATIVE	0x80 /* status of errors that the proxy makes: 0x80 + enum mt_local_reply */

enum toy_kind {
	TOY_REQUEST = 1,
	TOY_REPLY,
	TOY_ONEWAY,
	TOY_HEARTBEAT,
	TOY_HEARTBEAT_REPLY,
	TOY_DRAIN /* the server asks for no new requests */
};

/* What a request asks the server for. */
enum toy_ask {
	TOY_ASK_REPLY,
	TOY_ASK_SILENCE, /* never answer */
	TOY_ASK_ERROR,	 /* answer with an application error */
	TOY_ASK_RESET,	 /* reset the connection instead */
	TOY_ASK_FIN,	 /* answer, then end the connection in order */
	TOY_ASK_DRAIN,	 /* answer, and ask for no more requests */
	TOY_ASK_N
};

extern const struct mt_codec toy_safe, toy_few_ids, toy_serial, toy_ordered;
/* Byte streams: what lib/codec's opaque entry says of them. */
extern const struct mt_codec sim_opaque_codec;
