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

static bool has_certificate(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_tls_peer *peer = mt_proxy_tls_peer(p, s);

	return peer && peer->member && mt_secure_principal(peer).p;
}

uint64_t mt_caller_of(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_caller_table *t = p->snap->callers;
	struct mt_caller at_address;
	struct mt_slice principal;
	uint64_t id;

	if (!t)
		return 0;
	if (!mt_callers_are_known(t))
		return has_certificate(p, s) ? MT_CALLER_NOBODY : 0;
	at_address = mt_caller_find(t, mt_caller_address(&mt_stream_ends(s)->remote));
	principal = mt_secure_caller(p, s);
	id = principal.p ? by_principal(t, principal, at_address) : at_address.id;
	if (!has_certificate(p, s))
		return id;
	return id ? id & ~(uint64_t)MT_CALLER_CLEAR : MT_CALLER_NOBODY;
}
