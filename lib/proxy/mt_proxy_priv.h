/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the worker's object, which stands on all folders. */
#pragma once

#include "client/mt_client_priv.h"

/* snapshot_move.c */
/* A slice of what a new snapshot has left to do. */
void mt_snap_move_slice(struct mt_proxy *p);
