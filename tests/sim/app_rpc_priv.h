/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of a client of calls. */
#pragma once

#include "app_rpc.h"

/* The one end of a call. */
void rpc_end_call(struct rpc_client *c, uint32_t no, enum rpc_end how);
/* A whole message has come; NULL, or what is wrong with it. */
const char *rpc_take_reply(struct rpc_client *c, const uint8_t *p, uint32_t len);
