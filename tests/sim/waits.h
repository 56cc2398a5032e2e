/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"

struct mt_proxy;

/* Between turns: fails the seed when something waits that nothing will wake, names a snapshot that
 * was freed, or when what is counted is not there. */
void waits_check(struct sim *s, struct mt_proxy *p, const struct config_store *st);
/* Truesize that is queued on the connection to a server that has most. */
uint32_t waits_most_queued(struct mt_proxy *p);
