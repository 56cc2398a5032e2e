/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/export: messages of records. */
#pragma once

#include "mt_byte_ring.h"
#include "mt_export.h"

/* Number of the first records in the ring that a message may have, and their bytes. */
uint32_t mt_export_count(const struct mt_byte_ring *r, size_t *bytes);
/*
 * Makes a message of the first n records, which have `bytes` bytes. Free it by free(). NULL: no
 * memory.
 */
uint8_t *mt_export_make(const struct mt_export_conf *c, const struct mt_byte_ring *r, uint32_t n,
	size_t bytes, size_t *len);
