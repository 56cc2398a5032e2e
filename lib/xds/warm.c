/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warming (make before break). An accepted body becomes active when the resources that it
 * references have arrived or timed out. A cluster waits for its endpoints, a route table for its
 * clusters, a listener for its route table and clusters. A resource that a server has removed
 * leaves when no active or pending resource references it.
 *
 * A pass goes through the referenced types before the types that reference them. It checks only
 * waiting resources (struct xds_waiting), or all resources if some are gone, unconfirmed or have a
 * TTL.
 */
#include "mt_xds_priv.h"

#include "mt_mutant.h"

#include <stdio.h>
#include <string.h>

static uint64_t or_fetch(uint64_t timeout)
{
	return timeout ? timeout : XDS_FETCH_NS;
}

/* Returns when the body stops waiting for a reference. */
static uint64_t deadline(const struct xds_body *b, const struct mt_xds_ref *ref)
{
	return ref->timeout_ns == MT_NEVER ? MT_NEVER : b->since + or_fetch(ref->timeout_ns);
}

static bool has_endpoints(const struct mt_xds *x, const struct xds_res *cluster);

/* True if the TTL has passed, so that the resource leaves in this pass. */
static bool has_expired(const struct mt_xds *x, const struct xds_res *r)
{
	return r->expires_at && x->now >= r->expires_at;
}

/* ---- clusters -------------------------------------------------------------------------------- */

static const struct mt_res_cluster *cluster_of(const struct xds_body *b)
{
	return (const struct mt_res_cluster *)b->mapped.meta;
}

static bool is_named(const struct xds_res *r)
{
	const struct mt_res_cluster *c = cluster_of(r->next ? r->next : r->live);

	return c->discovery == MT_RES_STRICT_DNS || c->discovery == MT_RES_LOGICAL_DNS;
}

/* True if any assignment that the body references has at least one endpoint. */
static bool finds_endpoints(const struct mt_xds *x, const struct xds_body *b)
{
	for (uint32_t i = 0; i < b->mapped.n_refs; i++) {
		const struct xds_res *t = b->targets[i];
		const struct xds_body *e = t && !has_expired(x, t) ? xds_newest(t) : NULL;

		if (b->mapped.refs[i].type == MT_XDS_EDS && e &&
			((const struct mt_res_endpoints *)e->mapped.meta)->n_eps)
			return true;
	}
	return false;
}

static bool has_endpoints(const struct mt_xds *x, const struct xds_res *r)
{
	const struct mt_res_cluster *c;
	bool answered;

	if (!r->live)
		return false;
	c = cluster_of(r->live);
	if (c->discovery == MT_RES_EDS)
		return finds_endpoints(x, r->live);
	if (is_named(r))
		return xds_dns_part(r, &answered) != NULL;
	return c->discovery == MT_RES_ORIGINAL_DST || (c->endpoints && c->endpoints->n_eps);
}

/* ---- waiting for references ------------------------------------------------------------------ */

static bool was_named(const struct xds_body *b, const struct xds_res *target)
{
	for (uint32_t i = 0; i < b->mapped.n_refs; i++)
		if (b->targets[i] == target)
			return true;
	return false;
}

/*
 * True if r->next does not have to wait for target i. A cluster that a replacement body references
 * for the first time must have endpoints. Any other cluster must only be active: a first body
 * replaces nothing.
 */
static bool target_ready(const struct mt_xds *x, const struct xds_res *r, uint32_t i)
{
	const struct xds_res *t = r->next->targets[i];

	if (!t)
		return true;
	switch (t->type) {
	case MT_XDS_CDS:
		/* Calls wait for it instead. */
		if (xds_on_demand(x, MT_XDS_CDS) && !r->next->mapped.refs[i].queried)
			return true;
		if (!r->live || was_named(r->live, t))
			return t->live;
		return has_endpoints(x, t);
	case MT_XDS_SDS:
		/* Secrets do not delay activation. */
		return true;
	case MT_XDS_RDS:
		if (xds_on_demand(x, MT_XDS_RDS))
			return true;
		return t->live;
	default:
		return t->live || t->next;
	}
}

/*
 * Returns the first target for which r->next waits, or `r` itself if it waits for DNS; NULL:
 * nothing. *until is when the wait ends.
 */
static const struct xds_res *waits(const struct mt_xds *x, const struct xds_res *r, uint64_t *until)
{
	bool answered;

	/* A restored body was active when it was saved. */
	if (r->restored || mt_mutant(MT_MUTANT_xds_no_warming))
		return NULL;
	for (uint32_t i = 0; i < r->next->mapped.n_refs; i++) {
		*until = deadline(r->next, &r->next->mapped.refs[i]);
		if ((x->now < *until || mt_mutant(MT_MUTANT_xds_waits_for_good)) &&
			!target_ready(x, r, i))
			return r->next->targets[i];
	}
	*until = r->next->since + XDS_FETCH_NS;
	if (r->type == MT_XDS_CDS && is_named(r) && x->now < *until) {
		(void)xds_dns_part(r, &answered);
		return answered ? NULL : r;
	}
	return NULL;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static void went(struct mt_xds *x, const struct xds_res *r)
{
	x->changed = x->moved[r->type] = true;
	xds_demand_changed(x, r);
}

static void promote(struct mt_xds *x, struct xds_res *r)
{
	struct xds_body *before = r->live;
	uint64_t until;

	x->looked++;
	if (!r->next || r->next->refused || has_expired(x, r))
		return;
	if (waits(x, r, &until)) {
		x->settle_at = MT_MIN(x->settle_at, until);
		return;
	}
	r->live = r->next;
	r->next = NULL;
	xds_trial_add(x, r, before);
	xds_keep_touch(x);
	went(x, r);
}

void xds_wait(struct mt_xds *x, struct xds_res *r)
{
	struct xds_waiting *w = &x->types[r->type].waiting;

	for (uint32_t i = 0; i < w->n; i++)
		if (w->v[i] == r)
			return;
	w->more |= w->n == MT_ARRAY_LEN(w->v);
	if (!w->more)
		w->v[w->n++] = r;
}

void xds_wait_forget(struct mt_xds *x, const struct xds_res *r)
{
	struct xds_waiting *w = &x->types[r->type].waiting;

	for (uint32_t i = 0; i < w->n; i++)
		if (w->v[i] == r)
			w->v[i] = NULL;
}

/* True if r->next waits for references. A rejected one does not: see try_again(). */
static bool is_waiting(const struct xds_res *r)
{
	return r && r->next && !r->next->refused;
}

static void promote_all(struct mt_xds *x, enum mt_xds_type type)
{
	struct mt_list *n, *tmp;

	x->types[type].waiting = (struct xds_waiting){.n = 0};
	mt_list_foreach_safe (n, tmp, &x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		promote(x, r);
		if (is_waiting(r))
			xds_wait(x, r);
	}
}

static void promote_waiting(struct mt_xds *x, enum mt_xds_type type)
{
	struct xds_waiting *w = &x->types[type].waiting;
	uint32_t left = 0;

	if (w->more) {
		promote_all(x, type);
		return;
	}
	for (uint32_t i = 0; i < w->n; i++)
		if (is_waiting(w->v[i]))
			promote(x, w->v[i]);
	for (uint32_t i = 0; i < w->n; i++)
		if (is_waiting(w->v[i]))
			w->v[left++] = w->v[i];
	w->n = left;
}

/*
 * Marks a resource as gone if its TTL has passed. Does the same if it is unconfirmed 15 s after the
 * first response of its type on the stream.
 */
static void expire(struct mt_xds *x, struct xds_res *r)
{
	uint64_t heard;

	if (mt_mutant(MT_MUTANT_xds_life_without_end))
		r->expires_at = 0;
	if (has_expired(x, r))
		r->gone = true;
	else if (r->expires_at)
		x->settle_at = MT_MIN(x->settle_at, r->expires_at);
	if (!r->restored || r->gone || !r->link || mt_mutant(MT_MUTANT_xds_kept_for_good))
		return;
	heard = r->link->heard_at[r->type];
	if (heard && x->now >= heard + XDS_FETCH_NS)
		r->gone = true;
	else if (heard)
		x->settle_at = MT_MIN(x->settle_at, heard + XDS_FETCH_NS);
}

/* Expires resources and resets `held`, which hold_all() sets again. Returns true if any is gone. */
static bool look(struct mt_xds *x)
{
	bool gone = false;

	if (!x->may_end)
		return false;
	x->may_end = false;
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			x->looked++;
			expire(x, r);
			r->held = false;
			gone |= r->gone;
			x->may_end |= r->gone || r->restored || r->expires_at;
		}
	}
	return gone;
}

static void hold(const struct xds_body *b)
{
	for (uint32_t i = 0; b && i < b->mapped.n_refs; i++)
		if (b->targets[i])
			b->targets[i]->held = true;
}

/* Marks what the active, pending and rollback bodies of a type reference. */
static void hold_all(struct mt_xds *x, enum mt_xds_type type)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->types[type].all) {
		const struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		hold(r->live);
		hold(r->next);
	}
	for (uint32_t i = 0; i < x->n_trials; i++)
		if (x->trials[i].r->type == type) {
			hold(x->trials[i].good);
			x->held_by_good |= x->trials[i].good != NULL;
		}
}

void xds_leave(struct mt_xds *x, struct xds_res *r)
{
	bool was = r->live != NULL;

	r->expires_at = 0;
	xds_trial_forget(x, r);
	/* If only its TTL has passed, the server must send it again on the next stream. */
	if (r->link && !mt_mutant(MT_MUTANT_xds_expired_is_had))
		mt_ads_untake(r->link->ads, r->type, r->name, NULL);
	xds_body_drop(x, &r->live);
	xds_body_drop(x, &r->next);
	xds_dns_free(r);
	if (was)
		went(x, r);
	xds_put(x, r);
}

/*
 * Removes gone resources of a type that are expired or no longer referenced. Others keep their last
 * body.
 */
static void leave_all(struct mt_xds *x, enum mt_xds_type type)
{
	struct mt_list *n, *tmp;

	mt_list_foreach_safe (n, tmp, &x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		if (r->gone &&
			(has_expired(x, r) || !r->held || mt_mutant(MT_MUTANT_xds_named_leaves)) &&
			(r->live || r->next || r->refused))
			xds_leave(x, r);
	}
}

/* True if resources have changed that may have been in conflict with one of this type. */
static bool others_moved(const struct mt_xds *x, enum mt_xds_type type)
{
	if (type == MT_XDS_CDS || type == MT_XDS_EDS || type == MT_XDS_SDS)
		return x->moved[type];
	return x->moved[MT_XDS_LDS] || x->moved[MT_XDS_RDS] || x->moved[MT_XDS_ECDS];
}

/*
 * Tries rejected bodies again when the cause may be gone, for example a conflict of listener
 * addresses.
 */
static void try_again(struct mt_xds *x)
{
	for (int i = 0; i < MT_XDS_TYPES && x->n_refused; i++) {
		struct mt_list *n;

		if (!others_moved(x, (enum mt_xds_type)i))
			continue;
		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			if (!r->next || !r->next->refused)
				continue;
			r->next->refused = false;
			x->n_refused--;
			xds_set_text(&r->refused, NULL);
			promote(x, r);
			if (is_waiting(r))
				xds_wait(x, r);
		}
	}
}

static void leave_what_may(struct mt_xds *x)
{
	/*
	 * Listeners first, so that resources that only they reference can leave in the same pass.
	 */
	leave_all(x, MT_XDS_LDS);
	hold_all(x, MT_XDS_LDS);
	leave_all(x, MT_XDS_RDS);
	hold_all(x, MT_XDS_RDS);
	leave_all(x, MT_XDS_CDS);
	hold_all(x, MT_XDS_CDS);
	leave_all(x, MT_XDS_EDS);
	leave_all(x, MT_XDS_SDS);
	leave_all(x, MT_XDS_ECDS);
	leave_all(x, MT_XDS_NDS);
}

void xds_settle(struct mt_xds *x)
{
	static const enum mt_xds_type order[] = {MT_XDS_SDS, MT_XDS_EDS, MT_XDS_CDS, MT_XDS_RDS,
		MT_XDS_ECDS, MT_XDS_LDS, MT_XDS_NDS};
	bool gone;

	x->settle_at = MT_NEVER;
	memset(x->moved, 0, sizeof(x->moved));
	gone = look(x);
	for (size_t i = 0; i < MT_ARRAY_LEN(order); i++)
		promote_waiting(x, order[i]);
	if (gone)
		leave_what_may(x);
	try_again(x);
}

static void say_wait(struct mt_xds *x, const struct xds_res *t, uint64_t until)
{
	const char *what = t->live ? " to have endpoints" : "";

	if (until == MT_NEVER)
		mt_err(&x->words, 0, "waits for %s %.200s%s, without a time limit",
			mt_xds_name(t->type), t->name, what);
	else
		mt_err(&x->words, 0, "waits for %s %.200s%s, %llu s at most", mt_xds_name(t->type),
			t->name, what, (unsigned long long)((until - x->now) / MT_SEC + 1));
}

const char *xds_waits_for(struct mt_xds *x, const struct xds_res *r)
{
	const struct xds_res *t;
	uint64_t until;

	if (!r->next || r->next->refused)
		return "";
	t = waits(x, r, &until);
	if (!t)
		return "";
	if (t == r)
		mt_err(&x->words, 0, "its host names are not looked up yet");
	else
		say_wait(x, t, until);
	return x->words.text;
}
