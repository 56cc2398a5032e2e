/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums apart from runs: what they are computed of, and how they follow changed bytes. */
#pragma once

#include "mt_codec_table.h"

/* The bytes of a message of `len` bytes that it is computed of. False: the message has not all. */
bool table_sum_range(const struct mt_ct_sum *sum, uint32_t len, uint32_t *from, uint32_t *to);

/* The register after n more bytes; at first it is sum->initial. */
uint32_t table_sum_add(const struct mt_ct_sum *sum, uint32_t reg, const uint8_t *p, uint32_t n);

/* The checksum that a register has after the last byte. */
uint64_t table_sum_number(const struct mt_ct_sum *sum, uint32_t reg);

/*
 * The register after the last byte if some bytes are replaced, before the last `rest` bytes. `was`
 * and `now`: the register after the old and after the new bytes. Both start from the register in
 * front of them, or if they are equally many from 0. Takes O(log rest).
 */
uint32_t table_sum_differ(
	const struct mt_ct_sum *sum, uint32_t reg, uint32_t was, uint32_t now, uint32_t rest);

/* True if the rows of a CRC are those of one polynomial, so that differences can be computed. */
bool table_sum_is_crc(const struct mt_ct_sum *sum);

/* True if bytes count by their position. */
bool table_sum_moves(const struct mt_ct_sum *sum);
