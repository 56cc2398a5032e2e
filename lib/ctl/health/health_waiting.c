/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks for calls and opaque streams that wait long for an answer. A server that has sent nothing
 * at all meanwhile hangs, or its process is stopped; one that answers other calls is only slow with
 * these. An opaque server without an answer may only receive; its earlier streams show whether it
 * does. Rows are per endpoint, the worst first.
 */
#include "mt_health.h"
#include "mt_ctl_waiting_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTE_NS (2 * MT_SEC) /* a note from here on, or from mt_ctl_long_for() */
#define ROWS	20	     /* the others are counted */
#define WORDS	(MT_UPSTREAM_EPS_MAX / 64)

struct found {
	const struct mt_cluster *cl;
	const struct mt_endpoint *ep;
	struct mt_ctl_waiting n;
	enum mt_finding_state state;
	bool silent;  /* it answers nothing else either */
	uint64_t age; /* ns: longest wait */
};

struct worst {
	struct found rows[ROWS];
	uint32_t n, more;
	/* A bit by mt_ep_state.index: an endpoint of several clusters has one row. */
	uint64_t *seen;
};

/* True if calls make the row; a silence goes on for a while without any. */
static bool of_calls(const struct mt_ctl_waiting *n)
{
	return n->calls || n->silent;
}

static void evaluate(const struct mt_ctl *c, struct found *f)
{
	const struct mt_ctl_waiting *n = &f->n;
	uint64_t limit = NOTE_NS;

	f->age = of_calls(n) ? MT_MAX(n->oldest, n->silent) : n->streams_silent;
	f->silent = true;
	f->state = MT_FOUND_OK;
	if (f->age < NOTE_NS)
		return;
	if (of_calls(n))
		limit = mt_ctl_long_for(c, f->ep->state);
	else if (!n->answers)
		limit = MT_HANG_NS;
	if (of_calls(n))
		f->silent = mt_ctl_hangs(n) || n->silent >= limit;
	if (mt_ctl_hangs(n))
		f->state = MT_FOUND_WARNING;
	else if (f->age >= limit)
		f->state = MT_FOUND_NOTE;
}

static bool worse(const struct found *a, const struct found *b)
{
	if (a->state != b->state)
		return a->state > b->state;
	return a->silent != b->silent ? a->silent : a->age > b->age;
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
		f.n = mt_ctl_ep_waiting(h->c, cl->name, at, f.ep->state->id);
		evaluate(h->c, &f);
		if (f.state != MT_FOUND_OK)
			keep(all, &f);
	}
}

static unsigned long long seconds(uint64_t ns)
{
	return ns / MT_SEC;
}

static void report_calls(struct mt_health *h, const struct found *f, const char *where)
{
	char remedy[256], silent[64] = "";

	if (f->silent) {
		snprintf(silent, sizeof(silent), "; it has sent nothing for %llu s",
			seconds(f->n.silent));
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
	if (!f->n.calls) {
		mt_found(h, f->state, f->cl->name, remedy, "the last calls at %s got no answer%s",
			where, silent);
		return;
	}
	mt_found(h, f->state, f->cl->name, remedy, "%llu call%s at %s, the oldest for %llu s%s",
		(unsigned long long)f->n.calls, f->n.calls == 1 ? " waits" : "s wait", where,
		seconds(f->n.oldest), silent);
}

static void report_streams(struct mt_health *h, const struct found *f, const char *where)
{
	const char *remedy = f->n.answers ? "is its process stopped, blocked or overloaded? `show "
					    "connections side=server`; opaque TCP has no timeout "
					    "that would eject it"
					  : "nothing, if it only receives; otherwise: is its "
					    "process stopped?";

	if (!f->n.streams) {
		mt_found(h, f->state, f->cl->name, remedy,
			"the last connections to %s got no answer; it has sent nothing for %llu s",
			where, seconds(f->n.streams_silent));
		return;
	}
	mt_found(h, f->state, f->cl->name, remedy,
		"%llu connection%s at %s for an answer; it has sent nothing for %llu s",
		(unsigned long long)f->n.streams, f->n.streams == 1 ? " waits" : "s wait", where,
		seconds(f->n.streams_silent));
}

static void report(struct mt_health *h, const struct found *f)
{
	char name[MT_ADDR_STRLEN];

	if (of_calls(&f->n))
		report_calls(h, f, mt_endpoint_name(f->ep, name));
	else
		report_streams(h, f, mt_endpoint_name(f->ep, name));
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
