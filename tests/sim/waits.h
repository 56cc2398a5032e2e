/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim.h"

struct mt_proxy;

/* Between turns: fails the seed when something waits that nothing will wake, or when what is counted is not there. */
void waits_check(struct sim *s, struct mt_proxy *p);
