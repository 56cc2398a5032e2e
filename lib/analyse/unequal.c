/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds instances of one service, and services of one address and port, of which a policy of ALLOW
 * or STRICT applies to one but not to another.
 */
#include "mt_analyse_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- policies of an instance ----------------------------------------------------------------- */

bool mt_an_has_allow(const struct mt_authz *rules)
{
	return mt_authz_allow(rules) != NULL;
}

/* True if a policy of CLOSE applies, or a DENY denies all calls. */
static bool is_closed(const struct mt_authz *rules)
{
	for (; rules; rules = rules->also)
		for (uint32_t i = 0; i < rules->n_deny; i++) {
			const struct mt_authz_policy *p = rules->deny[i];

			if (p->action == MT_AUTHZ_CLOSE)
				return true;
			for (uint32_t k = 0; k < p->n_rules; k++)
				if (mt_an_rule_is_empty(&p->rules[k]))
					return true;
		}
	return false;
}

static bool is_nowhere(const struct mt_addr *a)
{
	static const struct mt_addr nowhere;

	return memcmp(a, &nowhere, sizeof(nowhere)) == 0;
}

static const char *where(
	struct mt_analysis *a, const struct mt_audit_row *r, char *buf, size_t size)
{
	char addr[MT_ADDR_STRLEN];

	(void)a;
	if (is_nowhere(&r->addr))
		snprintf(buf, size, "one that is not known yet");
	else
		snprintf(buf, size, "%s", mt_addr_str(&r->addr, addr));
	return buf;
}

/* ---- one service ----------------------------------------------------------------------------- */

static const struct mt_labels *selector_of(const struct mt_analysis *a, uint64_t serial)
{
	const struct mt_authorization_policy *p = mt_an_written(a, serial);

	return p && p->scope.selector ? &p->scope.selector->labels : NULL;
}

static bool is_alike(const char *x, const char *y)
{
	return strcmp(x, y) == 0 || (strlen(x) >= 4 && mt_edit_distance(x, y, 2) <= 1);
}

/* Text about a label that is nearly the one selected, which shows what was meant; "" if none is. */
static const char *near_label(
	struct mt_analysis *a, const struct mt_labels *want, const struct mt_labels *have)
{
	for (uint32_t i = 0; want && i < want->n_kv; i++)
		for (uint32_t k = 0; k < have->n_kv; k++) {
			const struct mt_kv *w = &want->kv[i], *h = &have->kv[k];
			const char *own = mt_labels_get(have, w->key);
			bool key = strcmp(w->key, h->key) == 0,
			     value = strcmp(w->value, h->value) == 0;

			if (key == value || (own && strcmp(own, w->value) == 0) ||
				!is_alike(w->key, h->key) || !is_alike(w->value, h->value))
				continue;
			return mt_region_printf(&a->region, "; it has %s=%s, and %s=%s is selected",
				h->key, h->value, w->key, w->value);
		}
	return "";
}

struct group {
	/* the first instance with, and without, an ALLOW policy */
	const struct mt_audit_row *with, *without;
	uint32_t n, n_without;
	const struct mt_audit_row *strict, *clear; /* the same for STRICT */
	uint32_t n_clear;
};

static void look(struct group *g, const struct mt_audit_row *r)
{
	if (r->class == MT_INSTANCE_OUTSIDE || r->labels_unknown)
		return;
	g->n++;
	if (r->mode == MT_MTLS_STRICT) {
		g->strict = g->strict ? g->strict : r;
	} else {
		g->clear = g->clear ? g->clear : r;
		g->n_clear++;
	}
	if (is_closed(r->rules) || mt_authz_allow(r->rules)) {
		g->with = g->with || !mt_authz_allow(r->rules) ? g->with : r;
		return;
	}
	g->without = g->without ? g->without : r;
	g->n_without++;
}

static void check_group(struct mt_analysis *a, const struct group *g)
{
	const struct mt_authz_policy *by = g->with ? mt_authz_allow(g->with->rules) : NULL;
	char buf[MT_ADDR_STRLEN + 32];

	/* Without any restriction this is an open service, which is another finding. */
	if (!by || !g->without || !g->without->rules || mt_authz_is_idle(g->without->rules))
		return;
	mt_an_found(a, MT_FINDING_ID_unequal_instances, g->without->of, 0,
		"%s is about %u of the %u endpoints of %s:%u, and no policy of ALLOW about the "
		"others (%s)%s: %s may call those",
		by->by, g->n - g->n_without, g->n, g->without->host, g->without->port,
		where(a, g->without, buf, sizeof(buf)),
		near_label(a, selector_of(a, by->serial), &g->without->labels),
		g->without->mode == MT_MTLS_STRICT ? "any member of the mesh" : "everybody");
}

static const struct mt_labels *chosen_by(const struct mt_analysis *a, const struct mt_meta *by)
{
	for (uint32_t i = 0; by && i < a->m->peer_authentications.n; i++) {
		const struct mt_peer_authentication *p = a->m->peer_authentications.v[i];

		if (p->meta.serial == by->serial)
			return p->scope.selector && p->scope.selector->labels.n_kv
				       ? &p->scope.selector->labels
				       : NULL;
	}
	return NULL;
}

/*
 * Reports STRICT for only some instances, selected by labels, unless labels also select the mode of
 * the others.
 */
static void check_modes(struct mt_analysis *a, const struct group *g)
{
	const struct mt_labels *want;
	char buf[MT_ADDR_STRLEN + 32];

	if (!g->strict || !g->clear || !mt_an_may(a, 2 * (uint64_t)a->m->peer_authentications.n))
		return;
	want = chosen_by(a, g->strict->mode_by);
	if (!want || chosen_by(a, g->clear->mode_by))
		return;
	mt_an_found(a, MT_FINDING_ID_unequal_tls, g->clear->of, 0,
		"PeerAuthentication %s/%s is STRICT for %u of the %u endpoints of %s:%u, and the "
		"others (%s) accept plaintext%s",
		g->strict->mode_by->ns, g->strict->mode_by->name, g->n - g->n_clear, g->n,
		g->clear->host, g->clear->port, where(a, g->clear, buf, sizeof(buf)),
		near_label(a, want, &g->clear->labels));
}

/* ---- one address ----------------------------------------------------------------------------- */

/* The policies of all rows that `guarded` and `other` have, as steps of their comparison. */
static uint64_t steps_of(const struct mt_authz *guarded, const struct mt_authz *other)
{
	uint64_t n = 1, m = 1;

	for (; guarded; guarded = guarded->also)
		n += guarded->n_deny + guarded->n_allow;
	for (; other; other = other->also)
		m += other->n_deny + other->n_allow;
	return n * m;
}

static void check_pair(
	struct mt_analysis *a, const struct mt_audit_row *guarded, const struct mt_audit_row *other)
{
	const struct mt_authz_policy *by;
	char addr[MT_ADDR_STRLEN];

	if (!guarded->rules || strcmp(guarded->host, other->host) == 0 ||
		!mt_an_may(a, steps_of(guarded->rules, other->rules)))
		return;
	by = mt_authz_bypassed(
		guarded->rules, other->rules, strcmp(guarded->of->ns, other->of->ns) == 0);
	if (!by)
		return;
	mt_an_found(a, MT_FINDING_ID_second_name, &other->se->meta, 0,
		"%s:%u routes to %s:%u, like %s:%u, which %s selects: calls by this name bypass "
		"the policy",
		other->host, other->port, mt_addr_str(&other->addr, addr), other->server_port,
		guarded->host, guarded->port, by->by);
}

/* True if others are to be compared with the policies `now` instead of those. */
static bool is_more(const struct mt_authz *before, const struct mt_authz *now)
{
	return before ? !mt_authz_allow(before) && mt_authz_allow(now) : now != NULL;
}

static void check_address(
	struct mt_analysis *a, struct mt_strmap *seen, const struct mt_audit_row *r)
{
	char addr[MT_ADDR_STRLEN];
	const struct mt_audit_row *first;
	char *key;

	if (is_nowhere(&r->addr))
		return;
	key = mt_region_printf(&a->region, "%s %u", mt_addr_str(&r->addr, addr), r->server_port);
	first = key ? mt_strmap_get(seen, key) : NULL;
	if (first) {
		check_pair(a, first, r);
		check_pair(a, r, first);
	}
	/* Keep the row with policies, to compare others with it. */
	if (key && (!first || is_more(first->rules, r->rules)))
		(void)mt_strmap_put(seen, key, (void *)r, NULL);
}

void mt_an_unequal(struct mt_analysis *a)
{
	const struct mt_audit *all = a->in->audit;
	struct mt_strmap seen = {0}, groups = {0};
	const char *key;
	struct group *g;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < all->n_rows; i++) {
		const struct mt_audit_row *r = &all->rows[i];
		char *name = mt_region_printf(&a->region, "%s %u", r->host, r->port);

		check_address(a, &seen, r);
		g = name ? mt_strmap_get(&groups, name) : NULL;
		if (!g && name) {
			g = mt_region_alloc(&a->region, sizeof(*g));
			if (g)
				(void)mt_strmap_put(&groups, name, g, NULL);
		}
		if (g)
			look(g, r);
	}
	while ((g = mt_strmap_next(&groups, &pos, &key))) {
		check_group(a, g);
		check_modes(a, g);
	}
	mt_strmap_fini(&seen);
	mt_strmap_fini(&groups);
}
