/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of a verified token, in one flat block of fixed size that workers read without a
 * library. Each value is a text: a string claim, one string of a list, or a number or boolean in
 * words (which conditions ignore, because Envoy compares only strings). Consecutive values with one
 * path share the path, so that a list stores it once.
 */
#pragma once

#include "mt_base.h"

#define MT_CLAIMS_BYTES	  8192 /* the JSON of the longest token has 6,141 */
#define MT_CLAIMS_ENTRIES 1024 /* values; also the most that one condition compares */
#define MT_CLAIMS_DEPTH	  8    /* nested objects; deeper claims are left out */
#define MT_CLAIMS_PATH	  512

struct mt_claims {
	int64_t expires; /* Unix time, including the tolerated skew; INT64_MAX: never */
	uint32_t len, n; /* bytes, values */
	uint32_t last;	 /* start of the last group in bytes[]; none if n is 0 */
	struct mt_claims_text {
		uint16_t off, len;
	} issuer, subject; /* in bytes[]; off 0: the token has none */
	uint8_t bytes[MT_CLAIMS_BYTES];
};

static inline struct mt_slice mt_claims_text(const struct mt_claims *c, struct mt_claims_text t)
{
	return (struct mt_slice){c->bytes + t.off, t.len};
}

/* Bytes in use. */
static inline size_t mt_claims_size(const struct mt_claims *c)
{
	return offsetof(struct mt_claims, bytes) + c->len;
}

enum mt_claim_kind {
	MT_CLAIM_STRING = 1, /* also a string of a list */
	MT_CLAIM_OTHER,	     /* a number, "true", "false" */
};

struct mt_claim {
	uint8_t kind; /* enum mt_claim_kind */
	struct mt_slice path, value;
};

/* Position of an iteration over the values; zero-filled: before the first. */
struct mt_claims_at {
	uint32_t next, end; /* in the current group: the next value, and the group's end */
	struct mt_slice path;
};

/* Reads the next value; false if none is left. */
bool mt_claims_next(const struct mt_claims *c, struct mt_claims_at *at, struct mt_claim *out);
/* Reads the next value with this path; false if none is left. */
bool mt_claims_find(const struct mt_claims *c, struct mt_slice path, struct mt_claims_at *at,
	struct mt_claim *out);

/*
 * Adds a name to a path of `len` bytes in a buffer of MT_CLAIMS_PATH bytes. Returns the new length;
 * 0 if it does not fit.
 */
uint32_t mt_claims_path(uint8_t *path, uint32_t len, const void *name, uint32_t n);
/* Adds a value at the end of bytes[0..len); false if it does not fit. */
bool mt_claims_add(
	struct mt_claims *c, uint8_t kind, struct mt_slice path, const void *value, uint32_t len);
