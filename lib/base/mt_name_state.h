/* SPDX-License-Identifier: Apache-2.0 */
/* State of a host name: lib/grpc resolves names, lib/conf uses the addresses. */
#pragma once

#include "mt_addr.h"

#define MT_NAME_FAMILY 1024 /* most addresses of one family of a name */

struct mt_name_state {
	const struct mt_addr *addrs; /* sorted, without duplicates; the last ones that resolved */
	uint32_t n;
	uint32_t more;	 /* further addresses in the last answer, beyond MT_NAME_FAMILY */
	bool answered;	 /* the first lookup has ended */
	const char *why; /* why the last lookup failed, or a part of it; "": it did not */
	/*
	 * Unix time in s since when lookups fail; 0: they do not, or not for long enough to be
	 * reported.
	 */
	int64_t failed_at;
};
