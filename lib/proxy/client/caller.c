/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload of a client, for metrics (mt_callers.h): by its principal, otherwise by its address.
 * An address decides only among the workloads of the principal's account, so that no client becomes
 * another workload by its address. Claims of clients about themselves do not count.
 */
#include "mt_callers.h"
#include "mt_secure.h"
#include "mt_snapshot.h"

#include <string.h>

/* Moves the part of `s` before `end` to *part. False: `s` does not contain `end`. */
static bool cut(struct mt_slice *s, const char *end, struct mt_slice *part)
{
	size_t len = strlen(end);
	const uint8_t *at = memmem(s->p, s->len, end, len);

	if (!at)
		return false;
	*part = (struct mt_slice){s->p, (uint32_t)(at - s->p)};
	s->len -= part->len + (uint32_t)len;
	s->p = at + len;
	return true;
}

static bool is_name(struct mt_slice s)
{
	return s.len > 0 && !memchr(s.p, '/', s.len);
}

/* By "DOMAIN/ns/NAMESPACE/sa/ACCOUNT"; another form is unknown. */
static uint64_t by_principal(
	const struct mt_caller_table *t, struct mt_slice account, struct mt_caller at_address)
{
	struct mt_slice domain, ns;
	uint64_t key, id;

	if (!cut(&account, "/ns/", &domain) || !cut(&account, "/sa/", &ns) || !is_name(ns) ||
		!is_name(account))
		return 0;
	key = mt_caller_account((const char *)ns.p, ns.len, (const char *)account.p, account.len);
	if (at_address.account == key)
		return at_address.id;
	id = mt_caller_find(t, key).id;
	return id ? id : mt_caller_find(t, mt_caller_namespace((const char *)ns.p, ns.len)).id;
}

uint64_t mt_caller_of(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_caller_table *t = p->snap->callers;
	struct mt_caller at_address;
	struct mt_slice principal;

	if (!t || !mt_callers_are_known(t))
		return 0;
	at_address = mt_caller_find(t, mt_caller_address(&mt_stream_ends(s)->remote));
	principal = mt_secure_caller(p, s);
	return principal.p ? by_principal(t, principal, at_address) : at_address.id;
}
