/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/authz. */
#pragma once

#include "mt_authz.h"

/*
 * domains.c: returns the principals of a policy, with the same principals in the aliases of the
 * trust domain. Sets r->failed if out of memory.
 */
struct mt_texts mt_authz_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l);
/*
 * Returns the trust domains of a policy. The mesh's own domain, or an alias of it, is expanded to
 * this domain and all its aliases.
 */
struct mt_texts mt_authz_trust_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l);

/* ---- member.c -------------------------------------------------------------------------------- */

struct mt_authz_member {
	struct mt_slice domain, ns, account;
};

/* Splits "DOMAIN/ns/NAMESPACE/sa/ACCOUNT". Returns false for any other form. */
bool mt_authz_member(struct mt_slice principal, struct mt_authz_member *m);

/* ---- whether a rule matches (judge.c) -------------------------------------------------------- */

/*
 * Result of a match, in this order: "all of" takes the least, "one of" the greatest. UNKNOWN: a
 * condition cannot be evaluated. UNREAD: the call's data cannot be read.
 */
enum fits { NO, UNKNOWN, UNREAD, YES };

/* Evaluates a condition; `denies`: for a rule that does not allow. */
enum fits mt_authz_cond_fits(struct mt_authz_call *c, const struct mt_authz_cond *w, bool denies);
enum fits mt_authz_rule_fits(struct mt_authz_call *c, const struct mt_authz_rule *r, bool denies);
enum fits mt_authz_policy_fits(struct mt_authz_call *c, const struct mt_authz_policy *p);
/* True if the text matches the value, which must be of a text field. */
bool mt_authz_text_fits(const struct mt_authz_value *v, struct mt_slice text);
/*
 * Returns the effect on a call, if a DENY or CLOSE policy matches with result `f`, or an ALLOW
 * policy has a result `f` other than YES.
 */
enum mt_authz_effect mt_authz_denied(const struct mt_authz_policy *p, enum fits f);

/* True if the policy's provider was queried and has allowed the call. */
static inline bool mt_authz_is_asked(const struct mt_authz_call *c, const struct mt_authz_policy *p)
{
	return p->asks_id && p->asks_id == c->asked;
}

/* ---- the index (made in index.c, used in narrow.c) ------------------------------------------- */

/*
 * Index: finds the rules that a call may match, by a few bytes of the call. Each field that rules
 * use has one or two probes. A probe takes the two bytes at one place of the field's text. The two
 * bytes select a row, with a bit for each rule that a text with these bytes at this place may
 * match. The AND of the rows of all fields leaves few rules, which are evaluated as without an
 * index.
 *
 * The index may keep a rule that does not match, but never drops a rule that matches. For this,
 * absent and short texts have rows of their own, and a field that cannot be read is skipped.
 */
/* least number of rules, because fewer are evaluated as fast without an index */
#define MT_AUTHZ_INDEX_MIN    16
#define MT_AUTHZ_INDEX_WORDS  16 /* words of 64 rules; a set with more rules has no index */
#define MT_AUTHZ_INDEX_FIELDS 12 /* most fields; each metadata key counts as one */
/* least number of rules that use a field, for the field to be indexed */
#define MT_AUTHZ_FEW 4

enum {
	MT_AUTHZ_ROWS = 256,
	MT_AUTHZ_ROW_SHORT = MT_AUTHZ_ROWS, /* the text is too short for the probe */
	MT_AUTHZ_ROW_ABSENT,		    /* the call has no text */
	MT_AUTHZ_ROWS_ALL,
};

struct mt_authz_probe {
	const uint64_t *rows; /* [MT_AUTHZ_ROWS_ALL][words]; NULL: no probe */
	/* bytes from the text's start (or end) up to and including the probe's two bytes */
	uint16_t reach;
	bool from_end;
};

struct mt_authz_index_field {
	/*
	 * Probes at a distance from the text's start, and from the text's end; `end` may be unused.
	 */
	struct mt_authz_probe begin, end;
	uint64_t asked_by[MT_AUTHZ_INDEX_WORDS]; /* rules with a condition on the field */
	struct mt_key
		/* for METADATA; icase is set if a rule with this key ignores the key's case */
		key;
	uint8_t field; /* enum mt_authz_field */
};

/*
 * How a rule is evaluated. A rule with a single condition of a single value can use the value that
 * the index has read.
 */
enum mt_authz_only {
	MT_AUTHZ_ONLY_NOT,   /* the rule has more conditions or values */
	MT_AUTHZ_ONLY_PEER,  /* one condition: a network of the peer */
	MT_AUTHZ_ONLY_EXACT, /* one condition: a metadata value, EXACT */
	MT_AUTHZ_ONLY_KEPT,  /* one condition: a metadata value with another kind of match */
};

struct mt_authz_indexed {
	const struct mt_authz_rule *rule;
	const struct mt_authz_policy *policy;
	const struct mt_authz_value *value; /* for ONLY_* */
	struct mt_slice text;		    /* for ONLY_EXACT: the value's text */
	const struct mt_key *key;	    /* for metadata: the key in the index */
	uint8_t only;			    /* enum mt_authz_only */
	bool denies;
};

struct mt_authz_index {
	uint32_t words, n_rules;
	struct mt_authz_indexed *rules;	    /* rules of DENY and CLOSE first */
	uint64_t all[MT_AUTHZ_INDEX_WORDS]; /* a bit for each rule */
	uint32_t n_fields;
	/*
	 * In order of use: PEER, other fields of the caller, METHOD, INTERFACE, PATH, METADATA. The
	 * entry after the last has field UNKNOWN.
	 */
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

/*
 * Makes the index of the policies of `a`. Returns NULL if there are too few or too many rules, no
 * field to index, or no memory (r->failed).
 */
const struct mt_authz_index *mt_authz_index_new(struct mt_region *r, const struct mt_authz *a);
/*
 * As mt_authz_judge() for a set with an index, but without its `also`. Evaluates only the rules
 * that the index leaves.
 */
enum mt_authz_effect mt_authz_judge_by_index(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by);
/* Returns the bound of the steps in the index. */
uint32_t mt_authz_narrow_work(const struct mt_authz_index *x);
