/* SPDX-License-Identifier: Apache-2.0 */
/* Between source.c, which has what is in use, and those that bring it: directory.c, sds.c. */
#pragma once

#include "mt_identity_source.h"

struct mt_identity_source_ops {
	void (*turn)(struct mt_identity_source *src, uint64_t now);
	/* From now on files are read there; NULL: there is nothing to read. */
	void (*serve)(struct mt_identity_source *src, struct mt_service *s);
	void (*free)(struct mt_identity_source *src);
};

/* The first member of each kind's own. */
struct mt_identity_source {
	const struct mt_identity_source_ops *ops;
	uint64_t serial;
	struct mt_credential *current;
	char claim[MT_CREDENTIAL_TEXT]; /* whom it has to be; "": anybody */
	struct mt_err why, note;
	mt_identity_changed_fn *fn;
	void *arg;
};

/*
 * What was found, taken over; NULL with *why: it cannot be used. One of somebody else, one that has expired, or is not valid yet where there is one that is,
 * displaces nothing; `what` names it in src->why then. true: it is good, whether it is new or not.
 */
bool mt_identity_source_take(struct mt_identity_source *src, struct mt_credential *found,
	const struct mt_err *why, const char *what);
