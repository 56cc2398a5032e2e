/* SPDX-License-Identifier: Apache-2.0 */
/* Common part of identity sources: the last good credential. */
#include "mt_identity_source_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_new(const struct mt_credential *a, const struct mt_credential *b)
{
	return !b || memcmp(a->chain_digest, b->chain_digest, sizeof(a->chain_digest)) != 0 ||
	       memcmp(a->trust_digest, b->trust_digest, sizeof(a->trust_digest)) != 0;
}

static bool is_valid(const struct mt_credential *c, int64_t wall)
{
	return c->not_before <= wall && wall <= c->not_after;
}

void mt_identity_source_claim(struct mt_identity_source *src, const char *principal)
{
	snprintf(src->claim, sizeof(src->claim), "%s", principal);
}

int mt_identity_claimed(const struct mt_credential *c, const char *claim, struct mt_err *e)
{
	struct mt_credential_leaf leaf = {.principal = ""};

	if (!*claim || (mt_credential_leaf(c, &leaf) && strcmp(leaf.principal, claim) == 0))
		return 0;
	return mt_err(e, -EPERM, "it is the certificate of %s, not of %s",
		*leaf.principal ? leaf.principal : "a holder without a SPIFFE ID", claim);
}

/*
 * Returns why a credential is not used now; NULL: it is. An expired one must not replace another
 * one, which may still be valid. One that is not valid yet by our clock, which may be wrong, must
 * not replace a valid one.
 */
static const char *not_now(const struct mt_identity_source *src, const struct mt_credential *found)
{
	int64_t wall = (int64_t)time(NULL);

	if (found->not_after < wall)
		return "it has expired";
	if (found->not_before > wall && src->current && is_valid(src->current, wall))
		return "it is not valid yet, by the clock of this machine";
	return NULL;
}

bool mt_identity_source_take(struct mt_identity_source *src, struct mt_credential *found,
	const struct mt_err *why, const char *what)
{
	const char *words = NULL;
	struct mt_err whose;

	src->why = *why;
	if (found)
		words = mt_identity_claimed(found, src->claim, &whose) ? whose.text
								       : not_now(src, found);
	if (words)
		(void)mt_err(&src->why, -EINVAL, "%s: %s", what, words);
	if (!found || words || !is_new(found, src->current)) {
		mt_credential_drop(found);
		return found && !words;
	}
	mt_credential_drop(src->current);
	src->current = found;
	src->serial++;
	src->fn(src->arg);
	return true;
}

void mt_identity_source_serve(struct mt_identity_source *src, struct mt_service *s)
{
	if (src->ops->serve)
		src->ops->serve(src, s);
}

void mt_identity_source_turn(struct mt_identity_source *src, uint64_t now)
{
	src->ops->turn(src, now);
}

void mt_identity_source_free(struct mt_identity_source *src)
{
	if (!src)
		return;
	mt_credential_drop(src->current);
	src->ops->free(src);
}

struct mt_credential *mt_identity_source_hold(struct mt_identity_source *src)
{
	return src->current ? mt_credential_hold(src->current) : NULL;
}

uint64_t mt_identity_source_serial(const struct mt_identity_source *src)
{
	return src->serial;
}

const char *mt_identity_source_why(const struct mt_identity_source *src)
{
	return src->why.text;
}

const char *mt_identity_source_note(const struct mt_identity_source *src)
{
	return src->note.text;
}
