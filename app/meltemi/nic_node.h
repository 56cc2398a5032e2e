/* SPDX-License-Identifier: Apache-2.0 */
/* Adds a port to the text of a Node document, and keeps every other byte of it. */
#pragma once

#include "mt_log.h"

#include <stdint.h>

#define NIC_NODE_ADDRESSES 16

struct nic_port {
	const char *name; /* NULL: the first of p0, p1, ... that is free */
	const char *device, *profile;
	const char *addresses[NIC_NODE_ADDRESSES];
	uint32_t n_addresses;
};

/*
 * Returns the document with one more entry at the end of spec.ports; the caller frees it. NULL with
 * *e if the text is not one Node document, the port is there already, or its list is written in a
 * form that would have to be reformatted. The result is parsed again, and differs from the text in
 * that entry only.
 */
char *nic_node_add(const char *text, size_t len, const struct nic_port *port, struct mt_err *e);
