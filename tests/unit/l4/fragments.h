/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams in fragments, for the tests: sent in any order, and put together again. */
#pragma once

#include "conn.h"

#define FR_PART 400 /* bytes of a fragment, but for the last one */

struct fr {
	struct fx_pkt whole; /* the datagram as one frame */
	uint32_t id;
	uint16_t n; /* fragments */
};

enum fr_order { FR_FORWARD, FR_BACKWARD, FR_ODD_FIRST, FR_ORDERS };

/* A datagram of `data` bytes. */
void fr_make(struct fr *f, const struct sc_udp *u, uint32_t id);
/* The same of the frame `f->whole`. */
void fr_cut(struct fr *f, uint32_t id);
/* The node receives a part of it. */
void fr_send(struct scene *s, const struct fr *f, struct sc_part part);
/* It receives fragment i. */
void fr_send_one(struct scene *s, const struct fr *f, uint16_t i);
void fr_send_all(struct scene *s, const struct fr *f, enum fr_order order);
/*
 * Puts the fragments together that were sent since fx_clear(): they have the same ends and
 * identification, the first one left first, and together they are complete. Returns how many there
 * were; 0 if something is wrong.
 */
uint16_t fr_join(struct scene *s, struct fx_frame *whole, uint32_t *id);
