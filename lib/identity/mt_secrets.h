/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of keys, certificates and roots by the names that discovery services use. "default" and
 * "ROOTCA" are the identity of this machine, "file-cert:CHAIN~KEY" and "file-root:FILE" are files,
 * and other names are set by mt_secrets_set(). Files are watched. If a new version cannot be used,
 * the reason is kept (mt_secrets_why()) and the last good one stays. Keys are overwritten in memory
 * when their last user drops them. Control thread only.
 */
#pragma once

#include "mt_log.h"

#define MT_SECRET_IDENTITY "default" /* certificate and key of this machine */
#define MT_SECRET_ROOTS	   "ROOTCA"  /* its trusted roots */

/*
 * A version of a secret, which never changes. It is reference-counted: release it with
 * mt_secret_drop().
 */
struct mt_secret {
	const char *chain, *key;       /* PEM; both or neither */
	const char *roots;	       /* PEM; or NULL */
	int64_t not_before, not_after; /* of the first certificate: Unix time, s */
	uint64_t serial;	       /* unique among the versions of all names */
};

/* State of a name, for the shell. */
struct mt_secret_status {
	const char *name;
	const struct mt_secret *secret; /* NULL: there is none */
	const char *why;		/* why the newest version is rejected; "": it is not */
	bool from_files;
};

struct mt_secrets;

/* NULL: no memory. */
struct mt_secrets *mt_secrets_new(void);
/* Frees the table. Versions that are held stay valid. NULL is allowed. */
void mt_secrets_free(struct mt_secrets *s);

/*
 * Sets a copy of chain and key, roots, or all, as the new version of a name. Returns 0, also if
 * nothing has changed; -EINVAL with *e if the texts do not belong together, so that the last good
 * version stays, or if the name is one of files; or -ENOMEM.
 */
int mt_secrets_set(struct mt_secrets *s, const char *name, const char *chain, const char *key,
	const char *roots, struct mt_err *e);

/*
 * Returns the newest good version of a name, held for the caller; NULL with the reason in *e if
 * there is none. A name of files is watched from now on, so a version may appear later.
 */
const struct mt_secret *mt_secrets_hold(struct mt_secrets *s, const char *name, struct mt_err *e);
/* Releases a version. NULL is allowed. */
void mt_secret_drop(const struct mt_secret *secret);

/*
 * Checks the files once a second; `now` is monotonic, ns. Returns a number that changes when any
 * secret changes; hold the secrets in use again then.
 */
uint64_t mt_secrets_turn(struct mt_secrets *s, uint64_t now);

/*
 * Returns why the newest version of a name is rejected; "" if it is not, or for an unknown name.
 * Valid until the next turn.
 */
const char *mt_secrets_why(const struct mt_secrets *s, const char *name);

/* Calls `row` for each name, in the order of creation. */
void mt_secrets_each(const struct mt_secrets *s,
	void (*row)(void *arg, const struct mt_secret_status *status), void *arg);
