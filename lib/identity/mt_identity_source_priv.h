/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface between source.c, which has the credential in use, and directory.c and sds.c, which
 * provide it.
 */
#pragma once

#include "mt_identity_source.h"

struct mt_identity_source_ops {
	void (*turn)(struct mt_identity_source *src, uint64_t now);
	/* See mt_identity_source_serve(). NULL: the kind reads no files. */
	void (*serve)(struct mt_identity_source *src, struct mt_service *s);
	void (*free)(struct mt_identity_source *src);
};

/* First member of the struct of each kind. */
struct mt_identity_source {
	const struct mt_identity_source_ops *ops;
	uint64_t serial;
	struct mt_credential *current;
	char claim[MT_CREDENTIAL_TEXT]; /* required SPIFFE ID; "": any */
	struct mt_err why, note;
	mt_identity_changed_fn *fn;
	void *arg;
};

/*
 * Makes `found` the credential in use; takes ownership. NULL: no credential can be used, for the
 * reason *why. Rejects `found` if it has another SPIFFE ID, has expired, or is not valid yet while
 * the one in use is; src->why then starts with `what`. Returns true if `found` is good, new or not.
 */
bool mt_identity_source_take(struct mt_identity_source *src, struct mt_credential *found,
	const struct mt_err *why, const char *what);
