/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: numbers of services that are forwarded at layer 4 (show/show_forwarding.c). */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_l4.h"

/* Statistics of a service, by its number in the set; sum over workers. */
struct mt_l4_stats mt_ctl_forwarded(const struct mt_ctl *c, uint32_t service);
/* Packets of clients that a limit of it refused. */
uint64_t mt_ctl_forwarded_limited(const struct mt_ctl *c, uint32_t service, enum mt_l4_limit limit);
