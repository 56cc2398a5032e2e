/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of a client of calls. */
#pragma once

#include "app_rpc.h"

/* Draws the next call and writes it behind what is still to be sent. */
void rpc_begin_call(struct rpc_client *c);
/* How long the client's script has it wait before the next call. */
uint64_t rpc_script_pause(const struct rpc_client *c);
/* Fails the seed when the call has no answer though it is time. */
void rpc_check_late(struct rpc_client *c, const struct rpc_call *call);
/* The one end of a call. */
void rpc_end_call(struct rpc_client *c, uint32_t no, enum rpc_end how);
/* A whole message has come; NULL, or what is wrong with it. */
const char *rpc_take_reply(struct rpc_client *c, const uint8_t *p, uint32_t len);

/* app_rpc_cut.c */
/* Adds the reply to the call of the token, from byte `from` of its connection, to `begun`. */
void rpc_note_reply(struct rpc_bytes *begun, const uint8_t token[RPC_TOKEN], uint32_t from);
/* A server resets a connection of which it wrote `written` bytes: marks calls whose reply is not whole. */
void rpc_cut_replies(struct rpc_set *set, const struct rpc_bytes *begun, uint32_t written);
/* True if a server reset its connection inside the reply to a call that is out. */
bool rpc_has_cut(const struct rpc_client *c);

/* app_rpc_hosts.c */
/* Server v sees this call; counts in rpc_set.second if it is the second time. */
void rpc_note_host(const struct rpc_server *v, const struct wire_msg *m);
