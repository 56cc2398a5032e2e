/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another proxy continues the scene from an image of it. Streams stay where they are; the simulator
 * moves those, too.
 */
#pragma once

#include "fake_tcp.h"

#include "mt_image.h"

/* A snapshot besides lab.snap to which objects still refer; or NULL. */
extern struct mt_snapshot *moved_old;
/*
 * Saves lab.p, loads a new proxy from that, and makes it lab.p. `attach`: gives the new one what it
 * needs first; or NULL.
 */
void moved_to_another(void (*attach)(struct mt_proxy *p));

/* The parts of it. */
struct mt_image moved_save(void);
struct mt_proxy *moved_create(void (*attach)(struct mt_proxy *p));
/* 0, or why the image cannot be loaded (-errno). */
int moved_load(struct mt_proxy *to, const struct mt_image *saved);
