/* SPDX-License-Identifier: Apache-2.0 */
/* A scene whose first route has a mirror, and what its tests do over and over. */
#pragma once

#include "config.h"
#include "fake_tcp.h"

/* Index of the mirror's endpoint, beside those of the configuration. */
#define MIRROR_AT (CONFIG_EPS - 1)
extern struct mt_endpoint mirror_ep;

/*
 * The route of the listener's service copies that share to a second cluster, of the snapshot that
 * was just made.
 */
void mirror_in(struct mt_snapshot *s, uint32_t listener, uint32_t ppm);
void mirror_start(uint32_t listener, uint32_t ppm);
/* No copy and nothing of one is left. */
void mirror_stop(void);
/* The i-th connection to the mirror, or (of_mirror false) to the call's own server. */
struct fake_conn *mirror_server_of(bool of_mirror, uint32_t i);
struct fake_conn *mirror_connected(bool of_mirror, uint32_t i);
/* An answer that names the method. */
void mirror_answer(struct fake_conn *s, uint64_t id);
/* The server has one call, and answers; its client has just that answer. */
void mirror_answered(struct fake_conn *c, uint64_t id);
