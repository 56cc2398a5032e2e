/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait until somebody has said whether they may pass, as one that a filter has suspended waits. */
#pragma once

#include <stdint.h>

#define MT_VERDICT_WAIT	   1024 /* calls that may wait, of a client's address a quarter */
#define MT_VERDICT_CLIENTS 64	/* as MT_FAIR_BUCKETS */

/* A worker's. */
struct mt_verdicts {
	uint32_t n;	/* calls that wait */
	uint64_t bytes; /* truesize of those */
	uint16_t by_client[MT_VERDICT_CLIENTS];
};
