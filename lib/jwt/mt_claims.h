/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verified token says, as one flat piece of memory of fixed size: read on workers without any library. Each entry is one
 * text: a string claim, one of a list's strings, or a number or a truth value in words (which conditions do not see, as Envoy
 * compares strings alone).
 */
#pragma once

#include "mt_base.h"

#define MT_CLAIMS_BYTES	  3584
#define MT_CLAIMS_ENTRIES 256
#define MT_CLAIMS_DEPTH	  8 /* objects in objects; what lies deeper is not there */
#define MT_CLAIMS_PATH	  512

struct mt_claims {
	int64_t expires; /* seconds since 1970, the tolerated skew counted; INT64_MAX: never */
	uint32_t len, n; /* bytes, entries */
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

/* The entry at *pos, which goes on behind it; false: there is no other. *pos starts at 0. */
bool mt_claims_next(const struct mt_claims *c, uint32_t *pos, struct mt_claim *out);
/* The next one of that path; as above. */
bool mt_claims_find(
	const struct mt_claims *c, struct mt_slice path, uint32_t *pos, struct mt_claim *out);

/* Adds a name to a path of `len` bytes in `path`, of MT_CLAIMS_PATH bytes; the new length, 0: it does not fit. */
uint32_t mt_claims_path(uint8_t *path, uint32_t len, const void *name, uint32_t n);
/* false: there is no room. */
bool mt_claims_add(
	struct mt_claims *c, uint8_t kind, struct mt_slice path, const void *value, uint32_t len);
