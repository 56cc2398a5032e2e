/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/authz. */
#pragma once

#include "mt_authz.h"

/* domains.c: principals as a policy has them, with those of the trust domain's aliases. r->failed: no memory. */
struct mt_texts mt_authz_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l);
/* And trust domains: one of the mesh's, or an alias, stands for all of them. */
struct mt_texts mt_authz_trust_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l);

/* ---- member.c -------------------------------------------------------------------------------------- */

struct mt_authz_member {
	struct mt_slice domain, ns, account;
};

/* "DOMAIN/ns/NAMESPACE/sa/ACCOUNT", and nothing else. */
bool mt_authz_member(struct mt_slice principal, struct mt_authz_member *m);

/* ---- the index (index.c: made; narrow.c: asked) ---------------------------------------------------- */

/*
 * Which rules a call may fit, by a few of its bytes: for each field that rules ask for, two probes. A probe takes the two bytes at
 * one place of the call's text, and gives a row: a bit for each rule of which the text may have these bytes there. The rows of all
 * fields together leave few rules, which are judged as if there was no index. So it may leave a rule that does not fit, and never
 * leaves out one that does: what is absent, short or cannot be read has a row of its own, or is not asked.
 */
#define MT_AUTHZ_INDEX_MIN    16 /* rules; under that, asking each costs as little */
#define MT_AUTHZ_INDEX_WORDS  16 /* of 64 rules: with more of them there is no index */
#define MT_AUTHZ_INDEX_FIELDS 12 /* with metadata, each key for itself */
#define MT_AUTHZ_FEW	      4	 /* rules that ask for a field; of fewer it is not asked */

enum {
	MT_AUTHZ_ROWS = 256,
	MT_AUTHZ_ROW_SHORT = MT_AUTHZ_ROWS, /* the text does not reach the probe's bytes */
	MT_AUTHZ_ROW_ABSENT,		    /* there is no text */
	MT_AUTHZ_ROWS_ALL,
};

struct mt_authz_probe {
	uint16_t at; /* of the first byte, or how many stand behind the second one */
	bool from_end;
	const uint64_t *rows; /* [MT_AUTHZ_ROWS_ALL][words]; NULL: there is no such probe */
};

struct mt_authz_index_field {
	uint8_t field;		  /* enum mt_authz_field */
	struct mt_key key;	  /* of METADATA */
	const uint64_t *asked_by; /* [words]: rules that ask for it */
	struct mt_authz_probe probes[2];
};

struct mt_authz_indexed {
	const struct mt_authz_rule *rule;
	const struct mt_authz_policy *policy;
	const struct mt_authz_cond
		*only; /* it asks for one value of this, and for nothing else; NULL: for more */
	const struct mt_key *key; /* of such a one of METADATA: the index's */
};

struct mt_authz_index {
	uint32_t words, n_rules, n_fields;
	struct mt_authz_indexed *rules; /* those that deny first */
	/* What the caller is stands before what has to be read of the message. */
	struct mt_authz_index_field fields[MT_AUTHZ_INDEX_FIELDS];
};

static inline uint32_t mt_authz_row(const uint8_t two[2])
{
	return ((two[0] | (uint32_t)two[1] << 8) * 0x9e3779b1u) >> 24;
}

/* Of the policies of `a`; NULL: it is not worth it, or there is no memory (r->failed). */
const struct mt_authz_index *mt_authz_index_new(struct mt_region *r, const struct mt_authz *a);
/* The rules that the call may fit: a bit for each, in x->words words. */
void mt_authz_narrow(const struct mt_authz_index *x, struct mt_authz_call *c,
	uint64_t left[MT_AUTHZ_INDEX_WORDS]);
/* The steps of it, at most. */
uint32_t mt_authz_narrow_work(const struct mt_authz_index *x);
