/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash that attackers cannot predict. For initial
 * sequence numbers, SYN cookies and timestamp offsets; table hashes use mt_tuple_hash().
 */
#pragma once

#include "mt_base.h"

uint64_t mt_siphash(const uint8_t key[16], const void *data, size_t len);
