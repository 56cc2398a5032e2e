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

/* ---- whether a rule fits (judge.c) ----------------------------------------------------------------- */

/* All of several is the least of them, one of several the greatest. */
enum fits { NO, UNKNOWN, UNREAD, YES };

enum fits mt_authz_rule_fits(struct mt_authz_call *c, const struct mt_authz_rule *r, bool denies);
enum fits mt_authz_policy_fits(struct mt_authz_call *c, const struct mt_authz_policy *p);
/* A value of texts, and a text in one part. */
bool mt_authz_text_fits(const struct mt_authz_value *v, struct mt_slice text);
/* What becomes of a call that a policy of DENY fits, or that one of ALLOW does not fit. */
enum mt_authz_effect mt_authz_denied(const struct mt_authz_policy *p, enum fits f);

/* Who is asked about it has allowed it. */
static inline bool mt_authz_is_asked(const struct mt_authz_call *c, const struct mt_authz_policy *p)
{
	return p->asks_id && p->asks_id == c->asked;
}

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
	const uint64_t *rows; /* [MT_AUTHZ_ROWS_ALL][words]; NULL: there is no such probe */
	uint16_t reach; /* so many bytes a text needs: up to the two, or from them on; with them */
	bool from_end;
};

struct mt_authz_index_field {
	/* Counted from the text's begin and from its end; of that there may be none. */
	struct mt_authz_probe begin, end;
	uint64_t asked_by[MT_AUTHZ_INDEX_WORDS]; /* rules that ask for it */
	struct mt_key
		key;   /* of METADATA; icase: some of those who ask for it ask whatever its case */
	uint8_t field; /* enum mt_authz_field */
};

/* A rule that asks for one value and for nothing else is judged by what the index has read. */
enum mt_authz_only {
	MT_AUTHZ_ONLY_NOT,   /* it asks for more */
	MT_AUTHZ_ONLY_PEER,  /* for a network */
	MT_AUTHZ_ONLY_EXACT, /* for a key's value: this text */
	MT_AUTHZ_ONLY_KEPT,  /* for one that fits otherwise */
};

struct mt_authz_indexed {
	const struct mt_authz_rule *rule;
	const struct mt_authz_policy *policy;
	const struct mt_authz_value *value; /* of ONLY_* */
	struct mt_slice text;		    /* of ONLY_EXACT: of the value */
	const struct mt_key *key;	    /* of metadata: the index's */
	uint8_t only;			    /* enum mt_authz_only */
	bool denies;
};

struct mt_authz_index {
	uint32_t words, n_rules;
	struct mt_authz_indexed *rules;	    /* those that deny first */
	uint64_t all[MT_AUTHZ_INDEX_WORDS]; /* a bit for each of them */
	uint32_t n_fields;
	/* In the order of asking: PEER, what else the caller is, METHOD, INTERFACE, PATH, METADATA; behind them one of UNKNOWN. */
	struct mt_authz_index_field fields[MT_AUTHZ_INDEX_FIELDS + 1];
};

static inline uint32_t mt_authz_row_of(uint32_t two)
{
	return (two * 0x9e3779b1u) >> 24;
}

static inline uint32_t mt_authz_row(const uint8_t two[2])
{
	return mt_authz_row_of(two[0] | (uint32_t)two[1] << 8);
}

/* Of the policies of `a`; NULL: it is not worth it, or there is no memory (r->failed). */
const struct mt_authz_index *mt_authz_index_new(struct mt_region *r, const struct mt_authz *a);
/* mt_authz_judge() of a set that has an index, without `also`: only the rules that it leaves are asked. */
enum mt_authz_effect mt_authz_judge_by_index(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by);
/* The steps of asking the index, at most. */
uint32_t mt_authz_narrow_work(const struct mt_authz_index *x);
