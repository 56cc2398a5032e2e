/* SPDX-License-Identifier: Apache-2.0 */
/* See node_limits_stepped.c. */
#pragma once

#include "mt_rand.h"

/* By which this thread gives way; NULL: it does not. */
extern __thread struct mt_rand *node_limits_steps;
