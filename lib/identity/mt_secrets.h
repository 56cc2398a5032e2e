/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, certificates and roots by name, as discovery services call them: "default" and "ROOTCA" are this machine's
 * own, "file-cert:CHAIN~KEY" and "file-root:FILE" are files, any other name is what somebody has set. Files are
 * watched; what cannot be used is told, and the last good one goes on. Keys are overwritten in memory when
 * nobody holds them any more. Control thread only.
 */
#pragma once

#include "mt_log.h"

#define MT_SECRET_IDENTITY "default" /* who this machine is */
#define MT_SECRET_ROOTS	   "ROOTCA"  /* whom it trusts */

/* One version of a secret; never changes. Who holds it drops it. */
struct mt_secret {
	const char *chain, *key;       /* PEM; both or neither */
	const char *roots;	       /* PEM; or NULL */
	int64_t not_before, not_after; /* of the first certificate: Unix, s */
	uint64_t serial;	       /* different for every version of every name */
};

/* What is known of a name, for the shell. */
struct mt_secret_status {
	const char *name;
	const struct mt_secret *secret; /* NULL: there is none */
	const char *why;		/* the newest version is refused; "" it is not */
	bool from_files;
};

struct mt_secrets;

/* NULL: no memory. */
struct mt_secrets *mt_secrets_new(void);
/* Versions that are held live on. NULL is allowed. */
void mt_secrets_free(struct mt_secrets *s);

/*
 * A version for a name, copied: chain and key, or roots, or all. 0, also when it is the same as before; -EINVAL
 * with *e when the texts do not fit together (the last good one stays); -ENOMEM.
 */
int mt_secrets_set(struct mt_secrets *s, const char *name, const char *chain, const char *key,
	const char *roots, struct mt_err *e);

/*
 * The newest good version of a name, held for the caller. NULL with *e saying why there is none; a name of files
 * is watched from now on and may come later.
 */
const struct mt_secret *mt_secrets_hold(struct mt_secrets *s, const char *name, struct mt_err *e);
/* NULL is allowed. */
void mt_secret_drop(const struct mt_secret *secret);

/*
 * Looks at the files, once a second. A number that is another one whenever any secret is; then hold anew what is
 * used. `now` is monotonic, ns.
 */
uint64_t mt_secrets_turn(struct mt_secrets *s, uint64_t now);

/* Why the newest version of a name is refused; "" it is not, or the name is not known. Until the next turn. */
const char *mt_secrets_why(const struct mt_secrets *s, const char *name);

/* Calls back for every name, in the order in which they came. */
void mt_secrets_each(const struct mt_secrets *s,
	void (*row)(void *arg, const struct mt_secret_status *status), void *arg);
