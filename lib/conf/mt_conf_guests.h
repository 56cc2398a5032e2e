/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machines of a snapshot: those that the node attaches, and those that documents name
 * and that are refused. Control thread.
 */
#pragma once

#include "mt_addr.h"

struct mt_snapshot;

struct mt_conf_guest {
	const char *name; /* "NAMESPACE/NAME" of its WorkloadEntry */
	const char *file; /* of the WorkloadEntry */
	uint32_t line;
	const char *socket;  /* as written, also of a refused guest */
	const char *refused; /* why, with the remedy; NULL: it is not refused */
	/* Valid if it is not refused. */
	uint8_t mac[6];
	const struct mt_addr *addresses; /* the one in `spec` first */
	uint32_t n_addresses;
};

struct mt_conf_guests {
	const struct mt_conf_guest *v; /* in order of age, the oldest first */
	uint32_t n, n_refused;
};

/* The guests of a snapshot of lib/conf, with its lifetime. Without `guests` in the Node: none. */
const struct mt_conf_guests *mt_conf_guests(const struct mt_snapshot *s);
