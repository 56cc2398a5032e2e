/* SPDX-License-Identifier: Apache-2.0 */
/* The row of mt_endings (mt_ending.h) of a call, by what a codec and lib/proxy know of its end. */
#pragma once

#include "mt_codec.h"
#include "mt_ending.h"

enum mt_call_end_kind {
	MT_CALL_END_REPLY,  /* the server replied */
	MT_CALL_END_LOCAL,  /* a local reply */
	MT_CALL_END_ONEWAY, /* one-way, delivered */
	MT_CALL_END_CLIENT, /* the client closed its connection first */
	MT_CALL_END_RESET,  /* Meltemi reset the client's connection */
};

struct mt_call_end {
	enum mt_call_end_kind kind;
	enum mt_msg_status status; /* REPLY */
	enum mt_local_reply reply; /* LOCAL */
	enum mt_ending ending;	   /* LOCAL: more exact than `reply`; MT_ENDING_ok: not known */
	bool started;		   /* LOCAL, RESET: a part of the reply was forwarded */
};

enum mt_ending mt_ending_of(const struct mt_call_end *e);
/* The ending of a local reply without an exact reason. */
enum mt_ending mt_ending_of_reply(enum mt_local_reply reply);
/* The local reply to a call that ends in this way; MT_REPLY_N: a call with it gets none. */
enum mt_local_reply mt_reply_of_ending(enum mt_ending ending);
