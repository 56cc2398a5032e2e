/* SPDX-License-Identifier: Apache-2.0 */
/* Private to owned.c and owned_names.c. */
#pragma once

#include "mt_owned.h"

#include <stddef.h>

/* The number of bytes before ".svc.DOMAIN"; 0: the host does not end in it. */
size_t mt_owned_before_domain(const char *host, const char *domain);

/* owned_names.c: what DNS clients of a node query. */
struct mt_owned_clients;

/* `o` has all its hosts. NULL: no memory (r->failed). */
const struct mt_owned_clients *mt_owned_clients_new(
	struct mt_region *r, const struct mt_node *n, const struct mt_owned *o);
/* mt_owned_name() for a host that overlaps no owned one itself. */
const struct mt_owned_entry *mt_owned_of_clients(
	const struct mt_owned_clients *c, const char *host, uint32_t self);
