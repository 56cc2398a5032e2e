/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by compile.c, compile_conds.c and compile_values.c. */
#pragma once

#include "mt_authz_priv.h"

/* A policy that is being compiled. */
struct mt_authz_build {
	struct mt_region *r;
	const struct mt_codec *codec;
	struct mt_authz_policy *p;
	const char *ns;			 /* the policy's namespace, for service accounts */
	const struct mt_authz_ports *at; /* NULL: any ports */
	const struct mt_authz_callers *who;
	const char *missing; /* the first field of the current rule that the codec lacks */
	/* The first field of the current rule as in mt_authz_policy.other. */
	const char *other;
};

static inline bool mt_authz_build_denies(const struct mt_authz_build *b)
{
	return b->p->action != MT_AUTHZ_ALLOW;
}

/* ---- compile_values.c ------------------------------------------------------------------------ */

bool mt_authz_has_star(const char *s);
/*
 * Returns the values of a condition, or with `positive` false its `not` values. Sets r->failed if
 * out of memory.
 */
struct mt_authz_value *mt_authz_values(
	struct mt_authz_build *b, uint8_t field, const struct mt_texts *l, bool positive);

/* ---- compile_conds.c ------------------------------------------------------------------------- */

/* Adds a condition on a field. Returns NULL if `yes` and `no` are empty, or if out of memory. */
struct mt_authz_cond *mt_authz_add(struct mt_authz_build *b, struct mt_authz_conds *l,
	uint8_t field, const struct mt_texts *yes, const struct mt_texts *no);
/* Makes the codec's key for a metadata name. */
struct mt_key mt_authz_key_of(struct mt_authz_build *b, const char *name, size_t len, bool icase);
/* Each adds the conditions of one entry of a rule; s and o may be NULL. */
void mt_authz_source(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_source *s);
void mt_authz_operation(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_operation *o);
void mt_authz_condition(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_condition *c);
