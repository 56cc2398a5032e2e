/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body that becomes active is on trial until a load has compiled it. If the load leaves it out,
 * the body is rejected and the previous one is active again. Responses with new bodies are
 * therefore answered after the load. A body that still waits for other resources is valid so far
 * and does not delay the answer.
 */
#include "mt_xds_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ensures capacity for one more than `n` items; may move *v. False: no memory. */
static bool grow(void **v, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? 2 * *cap : 16;
	void *grown;

	if (n < *cap)
		return true;
	grown = realloc(*v, more * size);
	if (!grown)
		return false;
	*v = grown;
	*cap = more;
	return true;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

void xds_trial_add(struct mt_xds *x, struct xds_res *r, struct xds_body *before)
{
	/* If `r` is on trial already, keep its rollback body: no load has compiled `before`. */
	if (r->trial ||
		!grow((void **)&x->trials, x->n_trials, &x->cap_trials, sizeof(*x->trials))) {
		xds_body_drop(x, &before);
		return;
	}
	x->trials[x->n_trials++] = (struct xds_trial){r, before};
	r->trial = x->n_trials;
}

/* Removes a trial; the last one takes its place. */
static void take_trial(struct mt_xds *x, uint32_t i)
{
	x->trials[i].r->trial = 0;
	x->trials[i] = x->trials[--x->n_trials];
	if (i < x->n_trials)
		x->trials[i].r->trial = i + 1;
}

void xds_unjudge(struct xds_res *r)
{
	struct xds_judged *j = r->link && r->judged ? &r->link->judged[r->type] : NULL;
	uint32_t i = r->judged - 1;

	r->judged = 0;
	if (!j || i >= j->n || j->v[i] != r)
		return;
	j->v[i] = j->v[--j->n];
	if (i < j->n)
		j->v[i]->judged = i + 1;
}

void xds_trial_forget(struct mt_xds *x, struct xds_res *r)
{
	struct xds_body *good;

	xds_unjudge(r);
	if (!r->trial)
		return;
	good = x->trials[r->trial - 1].good;
	take_trial(x, r->trial - 1);
	xds_body_drop(x, &good);
}

/*
 * Rolls back to the previous body, because the load left the new one out, or failed as a whole
 * (`failed`).
 */
static void go_back(struct mt_xds *x, struct xds_res *r, struct xds_body *good, const char *failed)
{
	struct xds_body *bad = r->live;

	r->live = good;
	xds_set_text(&r->refused, r->left_out ? r->told : failed);
	x->newly_out |= !r->blamed;
	r->refused_hash = bad->raw_hash;
	r->left_out = false;
	if (r->type == MT_XDS_CDS && !r->next && good)
		xds_dns_set(x, r, good);
	if (r->next) {
		xds_body_drop(x, &bad);
	} else {
		r->next = bad;
		bad->refused = true;
		x->n_refused++;
	}
	if (good)
		xds_body_again(x, good);
	else
		xds_demand_changed(x, r);
	x->changed = true;
	xds_keep_touch(x);
}

/*
 * Rolls back all trials if the load failed, else those that were left out and have a previous body.
 * Returns true if any was rolled back. A rollback may free resources that only the new body
 * referenced. Their trials leave the list and others change place, so the loop starts again then.
 */
static bool end_trials(struct mt_xds *x, const char *failed)
{
	bool back = false;

	for (uint32_t i = 0; i < x->n_trials;) {
		struct xds_trial t = x->trials[i];
		uint32_t left = x->n_trials - 1;

		if (!failed && !(t.good && t.r->left_out)) {
			i++;
			continue;
		}
		take_trial(x, i);
		go_back(x, t.r, t.good, failed);
		back = true;
		if (x->n_trials != left)
			i = 0;
	}
	return back;
}

static void pass_trials(struct mt_xds *x)
{
	while (x->n_trials) {
		struct xds_body *good = x->trials[x->n_trials - 1].good;

		take_trial(x, x->n_trials - 1);
		xds_body_drop(x, &good);
	}
	free(x->trials);
	x->trials = NULL;
	x->cap_trials = 0;
}

/* ---- responses ------------------------------------------------------------------------------- */

const char *xds_why_refused(const struct xds_res *r)
{
	/* A waiting body is valid, so the load's diagnostic of the active one does not count. */
	bool waits = r->next && !r->next->refused;

	return r->refused ? r->refused : r->left_out && !waits ? r->told : NULL;
}

void xds_judge_later(struct xds_link *l, struct xds_res *r)
{
	struct xds_judged *j = &l->judged[r->type];

	if (r->judged || !grow((void **)&j->v, j->n, &j->cap, sizeof(struct xds_res *)))
		return;
	j->v[j->n++] = r;
	r->judged = j->n;
}

void xds_judge_forget(struct xds_link *l)
{
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct xds_judged *j = &l->judged[i];

		for (uint32_t k = 0; k < j->n; k++)
			j->v[k]->judged = 0;
		free(j->v);
		*j = (struct xds_judged){0};
	}
}

/*
 * Text of a NACK: as many rejected resources as fit, each with its reason, and the number of
 * others.
 */
struct verdict {
	struct mt_err *why;
	uint32_t n, told;
};

#define MORE_ROOM   24 /* for " (and 4294967295 more)" */
#define REASON_ROOM 240

static void add_reason(struct verdict *v, const char *name, const char *why)
{
	char one[REASON_ROOM];
	size_t len = v->told ? strlen(v->why->text) : 0;
	size_t room = sizeof(v->why->text) - MORE_ROOM - len;
	int n = snprintf(one, sizeof(one), "%s%.100s: %s", v->told ? "; " : "", name, why);

	v->n++;
	n = MT_MIN(n, (int)sizeof(one) - 1);
	if ((size_t)n >= room)
		return;
	memcpy(v->why->text + len, one, (size_t)n + 1);
	v->told++;
}

static void add_more(struct verdict *v)
{
	size_t len = strlen(v->why->text);

	if (v->n > v->told)
		snprintf(v->why->text + len, sizeof(v->why->text) - len, " (and %u more)",
			v->n - v->told);
}

bool xds_judge(struct xds_link *l, enum mt_xds_type type, struct mt_err *why)
{
	struct xds_judged *j = &l->judged[type];
	struct verdict v = {why, 0, 0};

	why->text[0] = '\0';
	if (j->spoilt.text[0])
		add_reason(&v, mt_xds_name(type), j->spoilt.text);
	for (uint32_t i = 0; i < j->n; i++) {
		const char *words = xds_why_refused(j->v[i]);
		const struct xds_body *had = xds_newest(j->v[i]);

		j->v[i]->judged = 0;
		l->x->n_blamed += words && !j->v[i]->blamed;
		j->v[i]->blamed = words != NULL;
		if (!words)
			continue;
		add_reason(&v, j->v[i]->name, words);
		mt_ads_untake(l->ads, type, j->v[i]->name, had ? had->version : NULL);
	}
	add_more(&v);
	free(j->v);
	*j = (struct xds_judged){0};
	/* Log an error only once if the server sends the same again. */
	if (v.n && strcmp(l->refused[type].text, why->text) != 0)
		mt_log(MT_LOG_WARN, "xds", "%s: %s refused: %s", l->x->name, mt_xds_name(type),
			why->text);
	l->refused[type] = *why;
	return v.n == 0;
}

static void refuse_late(struct xds_link *l, enum mt_xds_type type, const struct mt_err *why)
{
	l->late[type]++;
	mt_ads_refuse(l->ads, type, why, l->x->now);
}

/*
 * Finds rejected resources for which no NACK was sent, and adds them to the due verdicts. They were
 * acknowledged while they waited, or another resource got in their way later. A pass over all
 * resources is only made if a load has left something out, or a NACK was sent before.
 */
static void judge_late(struct mt_xds *x)
{
	bool look = x->newly_out || x->n_blamed;

	x->newly_out = false;
	x->n_blamed = 0;
	for (int i = 0; i < MT_XDS_TYPES && look; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);
			bool out = xds_why_refused(r) != NULL;

			r->blamed &= out;
			x->n_blamed += r->blamed;
			if (!out || r->blamed || !r->link || r->judged)
				continue;
			xds_judge_later(r->link, r);
			r->link->judged[i].late = true;
		}
	}
}

void xds_judge_rest(struct mt_xds *x)
{
	struct mt_list *n;
	struct mt_err why;

	mt_list_foreach (n, &x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		for (int i = 0; i < MT_XDS_TYPES; i++) {
			bool ok;

			bool pending = l->judged[i].pending;

			if (!pending && !l->judged[i].late)
				continue;
			ok = xds_judge(l, (enum mt_xds_type)i, &why);
			if (pending)
				mt_ads_judged(
					l->ads, (enum mt_xds_type)i, ok ? NULL : &why, x->now);
			else if (!ok)
				refuse_late(l, (enum mt_xds_type)i, &why);
		}
	}
}

/* ---- a load ---------------------------------------------------------------------------------- */

void mt_xds_load_begin(struct mt_xds *x, uint64_t now)
{
	x->now = now;
	/* The load includes everything received so far. */
	if (x->dirty) {
		x->dirty = false;
		x->settled_at = now;
		xds_settle(x);
	}
	x->changed = false;
	x->loading = true;
	for (int i = 0; i < MT_XDS_TYPES && x->n_told; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			xds_set_text(&r->told, NULL);
			r->left_out = r->not_served = false;
		}
	}
	x->n_told = 0;
}

static int type_of_kind(const char *kind)
{
	static const char *const kinds[MT_XDS_TYPES] = {[MT_XDS_CDS] = "Cluster",
		[MT_XDS_EDS] = "ClusterLoadAssignment",
		[MT_XDS_LDS] = "Listener",
		[MT_XDS_RDS] = "RouteConfiguration",
		[MT_XDS_ECDS] = "TypedExtensionConfig",
		[MT_XDS_SDS] = "Secret",
		[MT_XDS_NDS] = "NameTable"};

	for (int i = 0; i < MT_XDS_TYPES; i++)
		if (kinds[i] && strcmp(kinds[i], kind) == 0)
			return i;
	return -1;
}

/* Rank of the diagnostic of `r`: the most severe one is kept, and of equal ones the first. */
static int gravity(const struct xds_res *r)
{
	return r->left_out ? 3 : r->not_served ? 2 : r->told ? 1 : 0;
}

void mt_xds_told(struct mt_xds *x, const char *kind, const char *name,
	enum mt_diag_severity severity, const char *words)
{
	int type = type_of_kind(kind);
	struct xds_res *r = type < 0 ? NULL : xds_find(x, (enum mt_xds_type)type, name);
	int grave = severity == MT_DIAG_LEFT_OUT ? 3 : severity == MT_DIAG_NOT_SERVED ? 2 : 1;

	if (!r || gravity(r) >= grave)
		return;
	x->n_told += r->told == NULL;
	xds_set_text(&r->told, words);
	r->left_out = grave == 3;
	x->newly_out |= r->left_out && !r->blamed;
	r->not_served = grave == 2;
	if (r->demand)
		x->demand.due = 0;
}

bool mt_xds_load_end(struct mt_xds *x, const char *failed, bool last)
{
	if (end_trials(x, failed) && !last)
		return true;
	pass_trials(x);
	x->loading = false;
	judge_late(x);
	xds_judge_rest(x);
	if (x->held_by_good)
		xds_touch(x);
	x->held_by_good = false;
	return false;
}

void mt_xds_load_abandon(struct mt_xds *x)
{
	x->changed |= x->n_trials > 0 || x->loading;
	x->loading = false;
}
