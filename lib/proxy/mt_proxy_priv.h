/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the worker's object, which stands on all folders. */
#pragma once

#include "client/mt_client_priv.h"

/* snapshot_move.c */
/* A slice of what a new snapshot has left to do. */
void mt_snap_move_slice(struct mt_proxy *p);
/* After an image was loaded: the accounts of the node's limits get the numbers of the proxy. */
void mt_snap_count_for_limits(struct mt_proxy *p);
