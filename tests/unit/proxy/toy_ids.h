/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of other matters than ids name calls by their clients' ids. On connections that carry one
 * call at a time this translates them: what a server gets is read with the client's id, and a
 * reply to that is fed with the proxy's.
 */
#pragma once

#include "fake_tcp.h"

/* From now on, and for the lab that is set up. */
void toy_ids_start(void);
/* Ids are the test's own from now on. */
void toy_ids_stop(void);
/*
 * The id that a server answers with: `id` itself if a call came with it, else that of the first
 * call with the client's id `id` that was not answered yet, or of the last one.
 */
uint64_t toy_ids_at(const struct fake_conn *server, uint64_t id);
/* The client's id of the call that came with `id`; `id` if none did. */
uint64_t toy_ids_of(const struct fake_conn *server, uint64_t id);
