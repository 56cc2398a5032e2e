/* SPDX-License-Identifier: Apache-2.0 */
/* Which host a document means by a word: for the compiler, the table of objects, the analysis. */
#pragma once

#include "mt_model.h"

#define MT_MEANT_HOST 256

/* Returns the object that has a host, by the host's whole name; NULL: none. */
typedef const struct mt_meta *mt_host_finder(const void *hosts, const char *name);

/* True if the source of the object is limited to some namespaces. */
bool mt_model_is_limited(const struct mt_model *m, const struct mt_meta *meta);
/* True for a host that has the namespace in its name, NAME.NAMESPACE.svc.DOMAIN. */
bool mt_host_is_of(const char *host, const char *ns, const char *domain);
/*
 * Returns the host that a document of namespace `ns` means by `word`, in `buf` or as `word`; NULL:
 * there is none. A short name (mt_long_name()) means its long name first, then the host as it is
 * written: of each an object of namespace `ns` or of a source without `namespaces`. If there is
 * none, it means an object of the namespace in the word. Otherwise an author of another namespace
 * could take the short names of all others, and hosts with one dot.
 */
const char *mt_meant_host(const struct mt_model *m, const char *word, const char *ns,
	mt_host_finder *find, const void *hosts, char buf[MT_MEANT_HOST]);
