/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of a verified token, as one flat piece of memory of fixed size that workers read without a library. Each value is one
 * text: a string claim, one of a list's strings, or a number or a truth value in words (which conditions do not see, as Envoy
 * compares strings alone). Values of one path that follow each other share the path, so a list stores it once.
 */
#pragma once

#include "mt_base.h"

#define MT_CLAIMS_BYTES	  8192 /* JSON of the longest token has 6,141 */
#define MT_CLAIMS_ENTRIES 1024 /* values: what one condition compares at most */
#define MT_CLAIMS_DEPTH	  8    /* objects in objects; what lies deeper is not there */
#define MT_CLAIMS_PATH	  512

struct mt_claims {
	int64_t expires; /* seconds since 1970, the tolerated skew counted; INT64_MAX: never */
	uint32_t len, n; /* bytes, values */
	uint32_t last;	 /* start of the last group in bytes[]; none if n is 0 */
	struct mt_claims_text {
		uint16_t off, len;
	} issuer, subject; /* in bytes[]; off 0: it has none */
	uint8_t bytes[MT_CLAIMS_BYTES];
};

static inline struct mt_slice mt_claims_text(const struct mt_claims *c, struct mt_claims_text t)
{
	return (struct mt_slice){c->bytes + t.off, t.len};
}

/* What is used of it. */
static inline size_t mt_claims_size(const struct mt_claims *c)
{
	return offsetof(struct mt_claims, bytes) + c->len;
}

enum mt_claim_kind {
	MT_CLAIM_STRING = 1, /* also one of a list's */
	MT_CLAIM_OTHER,	     /* a number, "true", "false" */
};

struct mt_claim {
	uint8_t kind; /* enum mt_claim_kind */
	struct mt_slice path, value;
};

/* A position among the values; zero-filled: before the first. */
struct mt_claims_at {
	uint32_t next, end; /* of the group: its next value, and its end */
	struct mt_slice path;
};

/* Reads the next value; false: there is none left. */
bool mt_claims_next(const struct mt_claims *c, struct mt_claims_at *at, struct mt_claim *out);
/* Reads the next value of that path; as above. */
bool mt_claims_find(const struct mt_claims *c, struct mt_slice path, struct mt_claims_at *at,
	struct mt_claim *out);

/* Adds a name to a path of `len` bytes in `path`, of MT_CLAIMS_PATH bytes; the new length, 0: it does not fit. */
uint32_t mt_claims_path(uint8_t *path, uint32_t len, const void *name, uint32_t n);
/* Adds a value, which then ends bytes[0..len); false: it does not fit. */
bool mt_claims_add(
	struct mt_claims *c, uint8_t kind, struct mt_slice path, const void *value, uint32_t len);
