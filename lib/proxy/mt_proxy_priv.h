/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the worker's object, which uses all folders. */
#pragma once

#include "client/mt_client_priv.h"

/* snapshot_move.c */
/* Does a slice of the move to a new snapshot. */
void mt_snap_move_slice(struct mt_proxy *p);
/* Counts connections and waiting calls in the node's limits after an image is loaded. */
void mt_snap_count_for_limits(struct mt_proxy *p);
