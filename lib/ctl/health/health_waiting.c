/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks for calls that wait long for an answer. A server that has sent nothing at all meanwhile
 * hangs, or its process is stopped; one that answers other calls is only slow with these. Rows are
 * per endpoint, the worst first.
 */
#include "mt_health.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTE_NS (2 * MT_SEC) /* a note from here on, or from SLOWEST times the p99 */
#define SLOWEST 4
#define ROWS	20 /* the others are counted */
#define WORDS	(MT_UPSTREAM_EPS_MAX / 64)

struct found {
	const struct mt_cluster *cl;
	const struct mt_endpoint *ep;
	struct mt_ctl_waiting n;
	enum mt_finding_state state;
	bool silent; /* it answers no other calls either */
};

struct worst {
	struct found rows[ROWS];
	uint32_t n, more;
	/* A bit by mt_ep_state.index: an endpoint of several clusters has one row. */
	uint64_t *seen;
};

/* A call of the endpoint that has waited for so long waits unusually long; ns. */
static uint64_t long_for(const struct mt_ctl *c, const struct mt_ep_state *ep)
{
	uint64_t latency[MT_EP_LATENCY_BUCKETS], p99;

	mt_ctl_ep_latency(c, ep, latency);
	p99 = mt_hist_at(latency, MT_EP_LATENCY_BUCKETS, MT_EP_LATENCY_BITS, 0.99) * MT_USEC;
	return MT_MAX(NOTE_NS, SLOWEST * p99);
}

static void evaluate(const struct mt_ctl *c, struct found *f)
{
	const struct mt_ctl_waiting *n = &f->n;
	uint64_t longest = MT_MAX(n->oldest, n->silent), limit;

	f->state = MT_FOUND_OK;
	if (longest < NOTE_NS)
		return;
	limit = long_for(c, f->ep->state);
	f->silent = mt_ctl_hangs(n) || n->silent >= limit;
	if (mt_ctl_hangs(n))
		f->state = MT_FOUND_WARNING;
	else if (longest >= limit)
		f->state = MT_FOUND_NOTE;
}

static bool worse(const struct found *a, const struct found *b)
{
	if (a->state != b->state)
		return a->state > b->state;
	return a->n.silent != b->n.silent ? a->n.silent > b->n.silent : a->n.oldest > b->n.oldest;
}

/* Keeps the worst ROWS, in order. */
static void keep(struct worst *all, const struct found *f)
{
	uint32_t i = all->n;

	if (all->n < ROWS) {
		all->n++;
	} else {
		all->more++;
		if (!worse(f, &all->rows[--i]))
			return;
	}
	for (; i > 0 && worse(f, &all->rows[i - 1]); i--)
		all->rows[i] = all->rows[i - 1];
	all->rows[i] = *f;
}

static void look_at(struct mt_health *h, struct worst *all, const struct mt_cluster *cl)
{
	for (uint32_t i = 0; i < cl->n_eps; i++) {
		struct found f = {.cl = cl, .ep = &cl->eps[i]};
		uint32_t at = f.ep->state->index;

		if (all->seen[at / 64] >> at % 64 & 1)
			continue;
		all->seen[at / 64] |= 1ull << at % 64;
		f.n = mt_ctl_ep_waiting(h->c, at, f.ep->state->id);
		evaluate(h->c, &f);
		if (f.state != MT_FOUND_OK)
			keep(all, &f);
	}
}

static void report(struct mt_health *h, const struct found *f)
{
	char name[MT_ADDR_STRLEN], remedy[256], silent[64] = "";
	const char *where = mt_endpoint_name(f->ep, name);

	if (f->silent) {
		snprintf(silent, sizeof(silent), "; it has sent nothing for %llu s",
			(unsigned long long)(f->n.silent / MT_SEC));
		snprintf(remedy, sizeof(remedy),
			"is its process stopped, blocked or overloaded? `show exchanges "
			"endpoint=%s`; the `timeout` of the route; `show outliers`: is it ejected?",
			where);
	} else {
		snprintf(remedy, sizeof(remedy),
			"it answers other calls: which ones does it not answer? `show exchanges "
			"endpoint=%s`; the `timeout` of the route",
			where);
	}
	mt_found(h, f->state, f->cl->name, remedy, "%llu call%s at %s, the oldest for %llu s%s",
		(unsigned long long)f->n.calls, f->n.calls == 1 ? " waits" : "s wait", where,
		(unsigned long long)(f->n.oldest / MT_SEC), silent);
}

void mt_check_answers(struct mt_health *h)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(h->c);
	struct worst all = {.seen = calloc(WORDS, sizeof(*all.seen))};

	for (uint32_t i = 0; all.seen && snap && i < snap->n_clusters; i++)
		look_at(h, &all, &snap->clusters[i]);
	for (uint32_t i = 0; i < all.n; i++)
		report(h, &all.rows[i]);
	h->n += all.more;
	free(all.seen);
}
