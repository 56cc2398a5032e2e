/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that do not answer: the log has a line after MT_HANG_NS, before the endpoint is ejected
 * or although nothing ejects it. A look examines at most PER_LOOK endpoints, because there may be
 * 100,000, and all those that it has logged. It writes at most LINES of each kind; others follow
 * with later looks, if they still apply.
 */
#include "mt_ctl_events_priv.h"

#include <string.h>

#define PER_LOOK 4096
#define LOGGED	 1000 /* at a time; others have no line */
#define LINES	 20

/* An endpoint that the log reports as silent. */
struct mt_hang {
	uint64_t id; /* mt_ep_state.id */
	uint32_t index;
	uint64_t since; /* ns: start of its silence */
	char endpoint[MT_ADDR_STRLEN];
	char *cluster;
};

/* ---- ends ----------------------------------------------------------------------------------- */

/* How the silence has ended; NULL: it goes on. */
static const char *ended(const struct mt_ctl *c, const struct mt_hang *h)
{
	const struct mt_ep_state *e = mt_upstream_ep_at(mt_conf_upstreams(c->env.conf), h->index);
	struct mt_ctl_waiting n;

	if (!e || e->id != h->id || e->refs == 0)
		return "is no longer configured";
	n = mt_ctl_ep_waiting(c, h->cluster, h->index, h->id);
	if (mt_ctl_silent(c, e, h->cluster, h->endpoint, &n))
		return NULL;
	return n.unheard && c->now - n.unheard > h->since ? "answers again" : "has no calls";
}

static void drop(struct mt_events *e, uint32_t i)
{
	free(e->hangs[i].cluster);
	e->hangs[i] = e->hangs[--e->n_hangs];
}

static void look_at_logged(struct mt_ctl *c)
{
	struct mt_events *e = c->events;
	char words[MT_CTL_SPAN];
	uint32_t lines = 0;

	for (uint32_t i = e->n_hangs; i-- > 0 && lines < LINES;) {
		const struct mt_hang *h = &e->hangs[i];
		const char *how = ended(c, h);

		if (!how)
			continue;
		mt_log(MT_LOG_INFO, "worker", "endpoint %s of %s %s, %s after its last answer",
			h->endpoint, h->cluster, how, mt_ctl_span(c->now - h->since, words));
		drop(e, i);
		lines++;
	}
}

/* ---- starts --------------------------------------------------------------------------------- */

static bool is_logged(const struct mt_events *e, const struct mt_ep_state *s)
{
	for (uint32_t i = 0; i < e->n_hangs; i++)
		if (e->hangs[i].index == s->index && e->hangs[i].id == s->id)
			return true;
	return false;
}

static void keep(struct mt_ctl *c, const struct mt_cluster *cl, const struct mt_endpoint *ep,
	const char *name, uint64_t silent)
{
	struct mt_events *e = c->events;
	struct mt_hang *h;

	if (!e->hangs)
		e->hangs = calloc(LOGGED, sizeof(*e->hangs));
	if (!e->hangs || e->n_hangs == LOGGED)
		return;
	h = &e->hangs[e->n_hangs];
	*h = (struct mt_hang){ep->state->id, ep->state->index, c->now - silent, "", NULL};
	memcpy(h->endpoint, name, sizeof(h->endpoint));
	h->cluster = strdup(cl->name);
	e->n_hangs += h->cluster != NULL;
}

/* True if it has logged the endpoint. */
static bool look_at(struct mt_ctl *c, const struct mt_cluster *cl, const struct mt_endpoint *ep)
{
	struct mt_ctl_waiting n = mt_ctl_ep_waiting(c, cl->name, ep->state->index, ep->state->id);
	char name[MT_ADDR_STRLEN] = "", words[MT_CTL_SPAN];
	uint64_t silent;

	/* The ejection has a line of its own. */
	if (!mt_ctl_hangs(&n) || mt_ep_is_out(ep->state) || is_logged(c->events, ep->state))
		return false;
	silent = mt_ctl_silent(c, ep->state, cl->name, mt_endpoint_name(ep, name), &n);
	if (silent < MT_HANG_NS)
		return false;
	keep(c, cl, ep, name, silent);
	mt_log(MT_LOG_WARN, "worker",
		"endpoint %s of %s does not answer: it has sent nothing for %s; waiting now: %llu "
		"%s",
		name, cl->name, mt_ctl_span(silent, words),
		(unsigned long long)(n.silent ? n.calls : n.streams),
		n.silent ? "calls" : "connections");
	return true;
}

/* Continues at the cluster where the last look ended. */
void mt_events_hangs(struct mt_ctl *c)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_events *e = c->events;
	uint32_t lines = 0;

	if (!s)
		return;
	look_at_logged(c);
	for (uint32_t n = 0, i = 0; i < s->n_clusters && n < PER_LOOK; i++) {
		const struct mt_cluster *cl = &s->clusters[e->hangs_at++ % s->n_clusters];

		for (uint32_t k = 0; k < cl->n_eps && lines < LINES; k++)
			lines += look_at(c, cl, &cl->eps[k]);
		n += cl->n_eps + 1;
	}
}

void mt_events_hangs_fini(struct mt_events *e)
{
	while (e->n_hangs)
		drop(e, e->n_hangs - 1);
	free(e->hangs);
}
