/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack under test: lib/tcp, lib/net and a port that keeps frames, on virtual time. It moves only
 * when it is told to: a turn, or time that passes.
 */
#pragma once

#include "script.h"

#include "mt_tcp.h"

#define SC_LISTEN_PORT 80
#define SC_START       (1000 * MT_SEC)

/* Once per process: EAL, pools. */
void sc_stack_boot(void);

/* A new stack whose clock says `now`; false with r->error. */
bool sc_stack_up(struct sc_run *r, const struct mt_tcp_conf *conf, uint16_t mtu, uint64_t now);
/* Ends it; every mbuf must be back. */
void sc_stack_down(struct sc_run *r);

struct mt_tcp *sc_tcp(struct sc_run *r);
uint64_t sc_now(const struct sc_run *r);
/* Nanoseconds since the run began. */
uint64_t sc_elapsed(const struct sc_run *r);
uint16_t sc_mtu(const struct sc_run *r);

void sc_listening(struct sc_run *r, bool on, bool refuse);
void sc_pressure(struct sc_run *r, uint32_t free_pct);
/* Whether the peer answers neighbour solicitations. */
void sc_neighbour(struct sc_run *r, bool answers);
/* The port takes nothing: what leaves meanwhile stays in lib/net. */
void sc_queue_frame(struct sc_run *r, const uint8_t *f, uint32_t len);
void sc_turn(struct sc_run *r);
/* Lets time pass up to `end`; stops when a segment leaves if `stop`. */
void sc_pass(struct sc_run *r, uint64_t end, bool stop);
/* NULL: could not even start. */
struct mt_stream *sc_open(struct sc_run *r, struct sc_flow *f, uint32_t connect_ms);
/* UINT64_MAX: there is no such counter. */
uint64_t sc_counter(struct sc_run *r, const char *name);
/* "closed", "syn-received", ... of the flow's tuple. */
const char *sc_state(struct sc_run *r, const struct sc_flow *f);
bool sc_info(struct sc_run *r, const struct sc_flow *f, struct mt_tcp_info *info);
/* The application's verbs. */
bool sc_app_write(struct sc_run *r, struct sc_flow *f, uint32_t n);
void sc_app_read(struct sc_run *r, struct sc_flow *f, uint32_t n);
