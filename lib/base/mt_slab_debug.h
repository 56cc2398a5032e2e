/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which slabs of debug builds (MT_DEBUG_POOLS) reuse objects. */
#pragma once

#include <stdbool.h>

/* Set: reuses freed objects at once, the last one first, as other builds do. For comparisons. */
extern bool mt_slab_reuse_at_once;
