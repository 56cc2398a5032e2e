/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters that have lost their last endpoint that takes traffic. */
#include "mt_ctl_events_priv.h"

#include <stdio.h>
#include <string.h>

enum mt_ctl_ejection mt_ctl_ejection(const struct mt_ep_state *e, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	switch (__atomic_load_n(&e->back, __ATOMIC_RELAXED)) {
	case MT_EP_BACK_NOW:
		return MT_CTL_NOT_EJECTED;
	case MT_EP_BACK_TRYING:
		return MT_CTL_TRIAL;
	case MT_EP_BACK_ASKED:
		return now < until ? MT_CTL_EJECTED : MT_CTL_HEALTH_CHECK;
	default:
		return now < until ? MT_CTL_EJECTED : MT_CTL_TRIAL;
	}
}

bool mt_ctl_ep_takes_traffic(const struct mt_ep_state *e, uint64_t now)
{
	return !mt_ep_is_out(e) && !mt_ep_is_leaving(e, now) &&
	       !__atomic_load_n(&e->draining, __ATOMIC_RELAXED);
}

enum mt_edge mt_lack_step(struct mt_lack *l, uint64_t id, bool lacks, uint64_t now)
{
	bool was;

	if (l->id != id)
		*l = (struct mt_lack){.id = id};
	was = l->on;
	if (!lacks) {
		l->had = true;
		l->on = false;
		return was ? MT_EDGE_ENDS : MT_EDGE_NONE;
	}
	if (!l->had || was)
		return MT_EDGE_NONE;
	l->on = true;
	l->since = now;
	return MT_EDGE_STARTS;
}

/* ---- the log -------------------------------------------------------------------------------- */

static void log_lack(const struct mt_cluster *cl)
{
	uint32_t out = 0;

	if (cl->n_eps == 0 && cl->n_out) {
		mt_log(MT_LOG_WARN, "worker",
			"cluster %s has no endpoint that takes traffic: the control plane reports "
			"%u as unhealthy or draining; calls to it are refused",
			cl->name, cl->n_out);
		return;
	}
	if (cl->n_eps == 0) {
		mt_log(MT_LOG_WARN, "worker",
			"cluster %s has no endpoint any more; calls to it are refused", cl->name);
		return;
	}
	for (uint32_t i = 0; i < cl->n_eps; i++)
		out += mt_ep_is_out(cl->eps[i].state);
	mt_log(MT_LOG_WARN, "worker",
		"cluster %s has no endpoint that takes traffic: %u of %u ejected, %u draining or "
		"leaving; calls go to them nevertheless",
		cl->name, out, cl->n_eps, cl->n_eps - out);
}

static bool lacks(const struct mt_cluster *cl, uint64_t now)
{
	for (uint32_t i = 0; i < cl->n_eps; i++)
		if (mt_ctl_ep_takes_traffic(cl->eps[i].state, now))
			return false;
	return true;
}

static void look(struct mt_ctl *c, const struct mt_cluster *cl)
{
	struct mt_lack *l = &c->events->lacks[cl->index];
	uint64_t since = l->since;
	char words[MT_CTL_SPAN];

	/* Not discovered yet, or reported as a closed service. */
	if (cl->demand || cl->closed_by)
		return;
	switch (mt_lack_step(l, cl->id, lacks(cl, c->now), c->now)) {
	case MT_EDGE_STARTS:
		log_lack(cl);
		break;
	case MT_EDGE_ENDS:
		mt_log(MT_LOG_INFO, "worker",
			"cluster %s has an endpoint that takes traffic again, after %s", cl->name,
			mt_ctl_span(c->now - since, words));
		break;
	case MT_EDGE_NONE:
		break;
	}
	c->events->lacking += l->on;
}

/* False without memory; then the clusters are not looked at. */
static bool make_room(struct mt_events *e, const struct mt_snapshot *s)
{
	struct mt_lack *more;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_clusters; i++)
		n = MT_MAX(n, s->clusters[i].index + 1);
	if (n <= e->n_lacks)
		return true;
	more = realloc(e->lacks, n * sizeof(*more));
	if (!more)
		return false;
	memset(more + e->n_lacks, 0, (n - e->n_lacks) * sizeof(*more));
	e->lacks = more;
	e->n_lacks = n;
	return true;
}

/* Skipped while no endpoint has changed, because there may be 10,000 clusters. */
void mt_events_clusters(struct mt_ctl *c)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_events *e = c->events;

	if (!s || (!c->endpoints_changed && !e->lacking && e->clusters_of == s->version) ||
		!make_room(e, s))
		return;
	c->endpoints_changed = false;
	e->clusters_of = s->version;
	e->lacking = 0;
	for (uint32_t i = 0; i < s->n_clusters; i++)
		look(c, &s->clusters[i]);
}

const char *mt_events_lacking_next(const struct mt_ctl *c, uint32_t *pos)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_events *e = c->events;

	while (s && e && e->lacking && *pos < s->n_clusters) {
		const struct mt_cluster *cl = &s->clusters[(*pos)++];

		if (cl->index < e->n_lacks && e->lacks[cl->index].on &&
			e->lacks[cl->index].id == cl->id)
			return cl->name;
	}
	return NULL;
}
