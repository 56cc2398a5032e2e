/* SPDX-License-Identifier: Apache-2.0 */
/* State of the xDS client for the shell (mt_xds_info() and the iterators). */
#include "mt_xds_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one resource ---------------------------------------------------------------------------- */

static bool is_live(const struct xds_res *r)
{
	return r->live != NULL;
}

/* True if only the name of an on-demand resource is known, because no call has requested it. */
static bool is_only_named(const struct mt_xds *x, const struct xds_res *r)
{
	return xds_on_demand(x, r->type) && !r->demand && !is_live(r);
}

/* State of an on-demand resource that a call requested and that is not active. */
static const char *demand_state(struct mt_xds *x, const struct xds_res *r, const char **reason)
{
	const struct xds_demand *z = r->demand;

	*reason = "a call waits for it; the control plane has not sent it yet";
	if (!z->asked_at)
		*reason = "a call waits for it; it will be requested from the control plane";
	if (!z->absent_until)
		return "requested";
	mt_err(&x->words, 0, "%s; requested again in %llu s at the earliest", z->why,
		(unsigned long long)(z->absent_until > x->now
					     ? (z->absent_until - x->now) / MT_SEC + 1
					     : 0));
	*reason = x->words.text;
	return "absent";
}

static const char *state_of(struct mt_xds *x, const struct xds_res *r, const char **reason)
{
	*reason = "";
	if (is_only_named(x, r)) {
		*reason = r->type == MT_XDS_CDS ? "routes name it, and no call has used it"
						: "a listener names it, and no call has come";
		return "on demand";
	}
	if (r->refused) {
		*reason = r->refused;
		return is_live(r) ? "refused, the last good one is in force" : "refused";
	}
	if (r->left_out || r->not_served) {
		*reason = r->told;
		return r->left_out ? "left out" : "not served";
	}
	if (r->gone) {
		*reason = "the server has removed it; it stays until nothing names it";
		return "gone";
	}
	if (r->next) {
		*reason = xds_waits_for(x, r);
		return is_live(r) ? "new one waits" : "waiting";
	}
	if (r->emptied) {
		*reason = "the server's last answer was empty and not accepted";
		return is_live(r) ? "active" : "requested";
	}
	if (r->restored)
		return "active, as kept";
	if (r->told)
		*reason = r->told;
	if (r->dns && *xds_dns_why(r))
		*reason = xds_dns_why(r);
	if (is_live(r))
		return "active";
	if (r->demand)
		return demand_state(x, r, reason);
	if (r->type == MT_XDS_CDS || r->type == MT_XDS_LDS)
		*reason = "named, but the server has not sent it";
	else
		*reason = r->link ? "requested, and not answered yet"
				  : "the bootstrap names no server for it";
	return "requested";
}

static struct xds_res *next_of(struct mt_xds *x, const struct xds_res *r)
{
	int type = r ? (int)r->type : 0;
	const struct mt_list *at = r ? r->node.next : x->types[0].all.next;

	while (at == &x->types[type].all) {
		if (++type == MT_XDS_TYPES)
			return NULL;
		at = x->types[type].all.next;
	}
	return mt_list_entry(at, struct xds_res, node);
}

static void info_of(struct mt_xds *x, const struct xds_res *r, struct mt_xds_resource_info *out)
{
	const struct xds_body *b = xds_newest(r);

	*out = (struct mt_xds_resource_info){.type = mt_xds_name(r->type),
		.name = r->name,
		.version = b && b->version ? b->version : "",
		.server = r->link ? r->link->conn->server->name : "",
		.updated_ns = r->updated_at,
		.bytes = b ? b->raw_len : 0,
		.n_ignored = b ? b->mapped.n_ignored : 0};
	out->state = state_of(x, r, &out->reason);
	out->troubled = r->refused || r->left_out || r->not_served || r->gone || r->next ||
			!is_live(r) || *out->reason;
	out->restored = r->restored;
	out->out = r->left_out || r->not_served;
	/* Information, and no trouble. */
	if (!*out->reason && r->dns)
		out->reason = xds_dns_note(r);
	if (is_only_named(x, r))
		out->troubled = false;
	out->beyond =
		out->troubled && r->told && out->reason == r->told && !r->left_out && !r->refused;
	if (r->demand) {
		out->asked_ns = r->demand->since;
		out->used_ns = r->demand->used_at;
	}
}

bool mt_xds_resource_next(struct mt_xds *x, const void **pos, struct mt_xds_resource_info *out)
{
	const struct xds_res *r = next_of(x, *pos);

	*pos = r;
	if (r)
		info_of(x, r, out);
	return r != NULL;
}

bool mt_xds_resource_find(
	struct mt_xds *x, const char *type, const char *name, struct mt_xds_resource_info *out)
{
	const struct xds_res *r = NULL;

	for (int i = 0; i < MT_XDS_TYPES && !r; i++)
		if (strcmp(mt_xds_name((enum mt_xds_type)i), type) == 0)
			r = xds_find(x, (enum mt_xds_type)i, name);
	if (r)
		info_of(x, r, out);
	return r != NULL;
}

/* ---- a source -------------------------------------------------------------------------------- */

static const char *source_state(const struct mt_xds *x)
{
	struct mt_list *n;
	bool up = true, synced = true;

	if (mt_list_empty(&x->links))
		return "not started";
	mt_list_foreach (n, &x->links) {
		const struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		up &= l->call != NULL;
		synced &= mt_ads_synced(l->ads);
	}
	return !up ? "not connected" : synced ? "synced" : "waiting for answers";
}

/* Number of requested resources that are still missing: neither active nor rejected nor gone. */
static uint32_t unanswered(const struct mt_xds *x)
{
	uint32_t n = 0;

	for (const struct xds_res *r = next_of((struct mt_xds *)(uintptr_t)x, NULL); r;
		r = next_of((struct mt_xds *)(uintptr_t)x, r))
		n += !is_live(r) && !r->refused && !r->gone && r->link && !is_only_named(x, r);
	return n;
}

bool mt_xds_delivered(struct mt_xds *x)
{
	if (x->delivered)
		return true;
	if (strcmp(source_state(x), "synced") != 0) {
		x->synced_at = 0;
		return false;
	}
	if (!x->synced_at)
		x->synced_at = MT_MAX(x->now, 1);
	if (x->dirty || x->changed || x->loading)
		return false;
	x->delivered = x->now >= x->synced_at + XDS_FETCH_NS || !unanswered(x);
	return x->delivered;
}

bool mt_xds_whole(struct mt_xds *x, const char **why)
{
	uint32_t n;

	*why = "";
	if (x->kept_in_force || mt_xds_delivered(x))
		return true;
	*why = source_state(x);
	for (struct mt_list *k = x->links.next; k != &x->links; k = k->next) {
		const struct xds_link *l = mt_list_entry(k, struct xds_link, node);
		const char *trouble = *l->why.text ? l->why.text : l->conn->why.text;

		if (!l->call && *trouble) {
			mt_err(&x->words, 0, "not connected to %s: %s", l->conn->server->name,
				trouble);
			*why = x->words.text;
			return false;
		}
	}
	n = unanswered(x);
	if (strcmp(*why, "synced") == 0) {
		mt_err(&x->words, 0, "%u resources that its answers name have not come", n);
		*why = x->words.text;
	}
	return false;
}

void mt_xds_info(struct mt_xds *x, struct mt_xds_info *out)
{
	*out = (struct mt_xds_info){.name = x->name,
		.bootstrap = x->b->file,
		.state = source_state(x),
		.pushes = x->pushes,
		.kept = x->kept.text,
		.kept_troubled = x->keep_failed || x->keep_spoilt,
		.kept_path = x->path[0] ? x->path : NULL,
		.unused = x->b->unused,
		.n_unused = x->b->n_unused,
		.on_demand = x->demand.conf.names != 0,
		.n_asked = x->demand.n,
		.demand = x->demand.stats};
	for (const struct xds_res *r = next_of(x, NULL); r; r = next_of(x, r)) {
		if (is_only_named(x, r)) {
			out->n_named++;
			continue;
		}
		out->n_known++;
		out->n_live += is_live(r);
		out->n_waiting += (r->next && !r->next->refused) || (!is_live(r) && !r->refused);
		out->n_refused += r->refused != NULL;
		out->n_restored += r->restored;
		out->n_left_out += r->left_out;
		out->n_not_served += r->not_served;
		out->bytes += xds_newest(r) ? xds_newest(r)->raw_len : 0;
	}
}

static struct xds_link *link_at(struct mt_xds *x, uint32_t i)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->links)
		if (i-- == 0)
			return mt_list_entry(n, struct xds_link, node);
	return NULL;
}

static const char *stream_name(const struct xds_link *l)
{
	return l->type < 0 ? "ADS" : mt_xds_name((enum mt_xds_type)l->type);
}

static const char *stream_state(const struct xds_link *l)
{
	if (l->call)
		return "up";
	if (!l->conn->grpc)
		return "no identity";
	if (mt_grpc_state(l->conn->grpc) == MT_GRPC_CONNECTING)
		return "connecting";
	return mt_grpc_state(l->conn->grpc) == MT_GRPC_UP ? "connected, no stream" : "waiting";
}

bool mt_xds_stream_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_stream_info *out)
{
	const struct xds_link *l = link_at(x, (*pos)++);
	const char *words;

	if (!l)
		return false;
	*out = (struct mt_xds_stream_info){.cluster = l->conn->server->name,
		.stream = stream_name(l),
		.delta = l->delta,
		.tls = l->conn->server->tls != NULL,
		.state = stream_state(l),
		.since_ns = l->since,
		.connects = l->conn->connects,
		.unreadable = mt_ads_unreadable_count(l->ads, &words)};
	out->server = l->conn->grpc ? mt_grpc_server(l->conn->grpc) : l->conn->server->addresses[0];
	out->why = *l->why.text ? l->why.text : l->conn->why.text;
	/* Without a stream, an error of the connection is the cause. */
	if (!l->call && *l->conn->why.text)
		out->why = l->conn->why.text;
	out->trouble_ns = MT_MAX(l->trouble_at, l->conn->trouble_at);
	return true;
}

bool mt_xds_type_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_type_info *out)
{
	for (;; ++*pos) {
		enum mt_xds_type type = (enum mt_xds_type)(*pos % MT_XDS_TYPES);
		const struct xds_link *l = link_at(x, *pos / MT_XDS_TYPES);
		struct mt_ads_status s;

		if (!l)
			return false;
		s = mt_ads_status(l->ads, type);
		if (!s.wildcard && !s.wanted && !s.responses)
			continue;
		++*pos;
		*out = (struct mt_xds_type_info){.cluster = l->conn->server->name,
			.stream = stream_name(l),
			.type = mt_xds_name(type),
			.version = s.version,
			.error = s.error,
			.wildcard = s.wildcard,
			.refusing = s.pending_nack,
			.wanted = s.wanted,
			.responses = s.responses,
			.acks = s.acks,
			.nacks = s.nacks,
			.bytes = s.bytes,
			.acked_ns = s.acked_at,
			.nacked_ns = s.nacked_at};
		return true;
	}
}

/* ---- fields without effect ------------------------------------------------------------------- */

static void count_ignored(struct mt_xds *x, struct mt_strmap *seen, const struct mt_xds_ignored *f)
{
	struct xds_ignored *e, *more;
	uintptr_t at = (uintptr_t)mt_strmap_get(seen, f->field);

	if (at) {
		x->ignored[at - 1].n++;
		return;
	}
	more = realloc(x->ignored, sizeof(*more) * (x->n_ignored + 1));
	if (!more)
		return;
	x->ignored = more;
	e = &more[x->n_ignored];
	*e = (struct xds_ignored){f->field, f->why, 1};
	if (mt_strmap_put(seen, f->field, (void *)(uintptr_t)(x->n_ignored + 1), NULL) == 0)
		x->n_ignored++;
}

static void gather_ignored(struct mt_xds *x)
{
	struct mt_strmap seen = {0};

	x->n_ignored = 0;
	for (const struct xds_res *r = next_of(x, NULL); r; r = next_of(x, r))
		for (uint32_t i = 0; r->live && i < r->live->mapped.n_ignored; i++)
			count_ignored(x, &seen, &r->live->mapped.ignored[i]);
	mt_strmap_fini(&seen);
}

const char *mt_xds_ignored(struct mt_xds *x, uint32_t i, const char **why, uint32_t *resources)
{
	if (i == 0)
		gather_ignored(x);
	if (i >= x->n_ignored)
		return NULL;
	*why = x->ignored[i].why;
	*resources = x->ignored[i].n;
	return x->ignored[i].field;
}
