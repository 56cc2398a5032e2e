/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker of the node is saved between two turns (mt_worker_image.h), another one goes on from the image, and the first is
 * destroyed. Nobody outside may notice.
 */
#pragma once

#include "mesh.h"

/* How often that happens in this seed; before the first turn. */
void transplant_draw(struct mesh *m);
/* The worker's turn is over. */
void transplant_turn(struct mesh *m, uint32_t worker);
