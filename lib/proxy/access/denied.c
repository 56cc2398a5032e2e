/* SPDX-License-Identifier: Apache-2.0 */
/* Table of the most frequently denied callers. */
#include "access/mt_access_priv.h"
#include "mt_denied.h"

#include <string.h>

/* True if put_text() would store `text` as `stored`. */
static bool is_text(const char *stored, size_t size, const char *text)
{
	return strncmp(stored, text, size - 1) == 0;
}

static void put_text(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(to, text, n);
	to[n] = '\0';
}

static struct mt_denied_row *find(struct mt_denied *d, const struct mt_addr *client, const char *by,
	const char *service, const char *reason)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct mt_denied_row *r = &d->v[i];

		if (mt_addr_eq(&r->client, client) && is_text(r->by, sizeof(r->by), by) &&
			is_text(r->service, sizeof(r->service), service) &&
			is_text(r->reason, sizeof(r->reason), reason))
			return r;
	}
	return NULL;
}

/* Returns a free row, or the row with the fewest denials, which keeps its count (Space-Saving). */
static struct mt_denied_row *take_row(struct mt_denied *d)
{
	struct mt_denied_row *least = &d->v[0];

	if (d->n < MT_DENIED_ROWS) {
		least = &d->v[d->n++];
		*least = (struct mt_denied_row){.count = 0};
		return least;
	}
	for (uint32_t i = 1; i < d->n; i++)
		if (d->v[i].count < least->count)
			least = &d->v[i];
	least->over = least->count;
	return least;
}

void mt_denied_note(struct mt_denied *d, const struct mt_addr *client, const char *service,
	const char *reason, uint64_t wall)
{
	const char *by = d->by ? d->by : "";
	struct mt_denied_row *r = find(d, client, by, service, reason);

	d->by = NULL;
	if (!r) {
		r = take_row(d);
		r->client = *client;
		put_text(r->by, sizeof(r->by), by);
		put_text(r->service, sizeof(r->service), service);
		put_text(r->reason, sizeof(r->reason), reason);
	}
	r->count++;
	r->last = wall;
}

bool mt_denied_same(const struct mt_denied_row *a, const struct mt_denied_row *b)
{
	return mt_addr_eq(&a->client, &b->client) && strcmp(a->by, b->by) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* ---- calls and streams ----------------------------------------------------------------------- */

void mt_denied_call(struct mt_proxy *p, const struct mt_exchange *ex, const char *reason)
{
	const struct mt_down *d = mt_exchange_down(p, ex);

	if (ex->origin != MT_CALL_OF_MIRROR && d && d->s)
		mt_denied_note(&p->denied, &mt_stream_ends(d->s)->remote,
			ex->service ? ex->service->name : "", reason, p->wall);
}

void mt_denied_stream(
	struct mt_proxy *p, const struct mt_pair *pr, const char *by, const char *reason)
{
	const struct mt_filter_chain_proto *proto = pr->down ? mt_opaque_proto(p, pr) : NULL;
	const struct mt_service *service = proto ? mt_opaque_service(proto) : NULL;

	if (!pr->down)
		return;
	if (pr->logged && by)
		mt_stream_log_reason(p, pr, by);
	p->denied.by = by;
	mt_denied_note(&p->denied, &mt_stream_ends(pr->down)->remote, service ? service->name : "",
		reason, p->wall);
}
