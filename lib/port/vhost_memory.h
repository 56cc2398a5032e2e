/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that a peer shares. Its file belongs to the peer, which may truncate it; the next access
 * is then a SIGBUS. A thread that may access such memory names the owner in mt_vhost_inside. The
 * handler then maps a zero page over the missing one, so that the access continues, and reports the
 * owner. A SIGBUS without an owner, or because of broken memory of this machine, has the effect
 * that it had before.
 *
 * The handler does not need to know the mappings. The library makes some that it does not show (the
 * log of written pages), and it accesses new ones before it returns.
 */
#pragma once

#include "mt_base.h"

/* The owner of the memory that this thread may access now; NULL: none. */
extern _Thread_local void *mt_vhost_inside;

/*
 * Installs the handler once. `missing` is called in the handler. Returns 0 or a negative errno.
 * Control thread.
 */
int mt_vhost_memory_guard(void (*missing)(void *owner));
