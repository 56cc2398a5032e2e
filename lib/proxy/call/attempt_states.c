/* SPDX-License-Identifier: Apache-2.0 */
/* The states of an attempt's two halves. Rows: state; columns: the next one. */
#include "mt_states.h"

/* ---- the send half ------------------------------------------------------------------------- */

/* clang-format off */
static const uint8_t may_send[][MT_STATES_MAX] = {
	/*                          none queued connecting sending sent unacked */
	[MT_ATTEMPT_NONE]       = { 0,   1,     0,         0,      0,   0 },
	/* to queued: a new attempt is QUEUED before it enters a queue, and enters one only if needed */
	[MT_ATTEMPT_QUEUED]     = { 1,   1,     1,         1,      1,   0 },
	/* to queued: the attempt's connection has opened, and has no free id */
	[MT_ATTEMPT_CONNECTING] = { 1,   1,     0,         1,      1,   0 },
	[MT_ATTEMPT_SENDING]    = { 1,   0,     0,         0,      1,   0 },
	[MT_ATTEMPT_SENT]       = { 1,   0,     0,         0,      0,   1 },
	[MT_ATTEMPT_UNACKED]    = { 1,   0,     0,         0,      0,   0 },
};
/* clang-format on */

static const char *const send_names[] = {
	[MT_ATTEMPT_NONE] = "none",
	[MT_ATTEMPT_QUEUED] = "queued",
	[MT_ATTEMPT_CONNECTING] = "connecting",
	[MT_ATTEMPT_SENDING] = "sending",
	[MT_ATTEMPT_SENT] = "sent",
	[MT_ATTEMPT_UNACKED] = "unacked",
};

static uint8_t seen_send[MT_ARRAY_LEN(may_send)][MT_STATES_MAX];

const struct mt_states mt_attempt_states = {
	"attempt", send_names, MT_ARRAY_LEN(may_send), may_send, seen_send};

/* ---- the receive half ---------------------------------------------------------------------- */

/* clang-format off */
static const uint8_t may_receive[][MT_STATES_MAX] = {
	/*                      none body end */
	[MT_RECEIVE_NONE]   = { 1,   1,   1 },
	[MT_RECEIVE_BODY]   = { 1,   0,   1 },
	[MT_RECEIVE_END]    = { 1,   0,   0 },
};
/* clang-format on */

static const char *const receive_names[] = {
	[MT_RECEIVE_NONE] = "none",
	[MT_RECEIVE_BODY] = "body",
	[MT_RECEIVE_END] = "end",
};

static uint8_t seen_receive[MT_ARRAY_LEN(may_receive)][MT_STATES_MAX];

const struct mt_states mt_receive_states = {
	"receive", receive_names, MT_ARRAY_LEN(may_receive), may_receive, seen_receive};
