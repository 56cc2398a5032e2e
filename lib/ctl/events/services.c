/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that a policy closes: it protects them and cannot be evaluated, so all calls to them are
 * denied.
 */
#include "mt_ctl_events_priv.h"

#include "mt_authz.h"
#include "mt_region.h"

#include <errno.h>
#include <string.h>

struct mt_closed {
	uint64_t since; /* ns */
	bool still;	/* in the snapshot that is looked at */
	char *by;	/* "KIND NAMESPACE/NAME" */
	char name[];
};

static void drop(struct mt_events *e, struct mt_closed *x)
{
	mt_strmap_del(&e->closed, x->name);
	free(x->by);
	free(x);
}

void mt_events_services_fini(struct mt_events *e)
{
	struct mt_closed *x;
	uint32_t pos = 0;

	while ((x = mt_strmap_next(&e->closed, &pos, NULL)) != NULL)
		drop(e, x);
	mt_strmap_fini(&e->closed);
}

const char *mt_events_closed_next(const struct mt_ctl *c, uint32_t *pos, const char **by)
{
	struct mt_closed *x = c->events ? mt_strmap_next(&c->events->closed, pos, NULL) : NULL;

	*by = x ? x->by : NULL;
	return x ? x->name : NULL;
}

/* ---- a snapshot ----------------------------------------------------------------------------- */

/* Adds the services of a listener that fails closed, unless their hosts are closed everywhere. */
static int name_listener(const struct mt_listener *l, struct mt_strmap *closed, struct mt_region *r)
{
	char where[MT_ADDR_STRLEN];
	int rc = 0;

	mt_addr_port_str(&l->addr, l->port, where);
	for (uint32_t k = 0; l->closed_by && k < l->n_protos; k++)
		for (uint32_t j = 0; j < l->protos[k].n_services && rc == 0; j++) {
			const char *host = l->protos[k].services[j]->name;
			const char *name = mt_region_printf(r, "%s at %s", host, where);

			if (mt_strmap_get(closed, host))
				continue;
			rc = name ? mt_strmap_put(closed, name, (void *)l->closed_by->by, NULL)
				  : -ENOMEM;
		}
	return rc;
}

/*
 * Collects hosts if all their clusters fail closed, and services of listeners that do. The value is
 * the name of the object that closes them.
 */
static int name_closed(const struct mt_snapshot *s, struct mt_strmap *closed, struct mt_region *r)
{
	const char *host;
	int rc = 0;

	for (uint32_t i = 0; i < s->n_clusters && rc == 0; i++) {
		const struct mt_closer *by = s->clusters[i].closed_by;

		host = by ? mt_cluster_host(&s->clusters[i]) : NULL;
		if (host)
			rc = mt_strmap_put(closed, host, (void *)by->by, NULL);
	}
	for (uint32_t i = 0; closed->n && i < s->n_clusters; i++) {
		host = s->clusters[i].closed_by ? NULL : mt_cluster_host(&s->clusters[i]);
		if (host)
			(void)mt_strmap_del(closed, host);
	}
	for (uint32_t i = 0; i < s->n_listeners && rc == 0; i++)
		rc = name_listener(&s->listeners[i], closed, r);
	return rc;
}

/* The hosts and services of a snapshot, when the first closed service ends. */
struct configured {
	const struct mt_snapshot *of;
	struct mt_strmap names;
	bool collected;
};

/* Without memory some are missing, and only the words in the log differ. */
static void collect(struct configured *g)
{
	const struct mt_snapshot *s = g->of;

	g->collected = true;
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		const char *host = mt_cluster_host(&s->clusters[i]);

		if (host)
			(void)mt_strmap_put(&g->names, host, (void *)s, NULL);
	}
	for (uint32_t i = 0; i < s->n_services; i++)
		(void)mt_strmap_put(&g->names, s->services[i]->name, (void *)s, NULL);
}

/* `name` may end with " at ADDRESS". */
static bool is_configured(struct configured *g, char *name)
{
	char *end = name + strcspn(name, " "), kept = *end;
	bool found;

	if (!g->collected)
		collect(g);
	*end = '\0';
	found = mt_strmap_get(&g->names, name) != NULL;
	*end = kept;
	return found;
}

/* ---- the log -------------------------------------------------------------------------------- */

/* Lines for one snapshot, of services that are closed and of those that are not any more. */
#define LINES 20

/* Without memory the service is logged with the next snapshot. */
static bool starts(struct mt_ctl *c, const char *name, const char *by)
{
	struct mt_closed *x = calloc(1, sizeof(*x) + strlen(name) + 1);

	if (!x)
		return false;
	strcpy(x->name, name);
	x->by = strdup(by);
	if (!x->by || mt_strmap_put(&c->events->closed, x->name, x, NULL)) {
		free(x->by);
		free(x);
		return false;
	}
	x->since = c->now;
	x->still = true;
	return true;
}

static void log_end(const struct mt_ctl *c, struct configured *g, struct mt_closed *x)
{
	char words[MT_CTL_SPAN];

	mt_log(MT_LOG_INFO, "worker", "service %s %s, %s after it was closed by %s", x->name,
		is_configured(g, x->name) ? "open again" : "no longer configured",
		mt_ctl_span(c->now - x->since, words), x->by);
}

static void all_ends(struct mt_ctl *c, const struct mt_snapshot *s)
{
	struct configured g = {.of = s};
	struct mt_closed *x;
	uint32_t pos = 0, n = 0;

	while ((x = mt_strmap_next(&c->events->closed, &pos, NULL)) != NULL) {
		if (x->still)
			continue;
		if (n++ < LINES)
			log_end(c, &g, x);
		drop(c->events, x);
	}
	if (n > LINES)
		mt_log(MT_LOG_INFO, "worker", "%u more services open again or no longer configured",
			n - LINES);
	mt_strmap_fini(&g.names);
}

static void all_starts(struct mt_ctl *c, const struct mt_strmap *now)
{
	const char *name, *by;
	uint32_t pos = 0, n = 0;

	while ((by = mt_strmap_next(now, &pos, &name)) != NULL) {
		if (mt_strmap_get(&c->events->closed, name) || !starts(c, name, by))
			continue;
		if (n++ < LINES)
			mt_log(MT_LOG_WARN, "worker",
				"service %s closed by %s: calls to it are denied", name, by);
	}
	if (n > LINES)
		mt_log(MT_LOG_WARN, "worker",
			"%u more services closed by policies: calls to them are denied", n - LINES);
}

static void compare(struct mt_ctl *c, const struct mt_snapshot *s, const struct mt_strmap *now)
{
	struct mt_closed *x;
	uint32_t pos = 0;

	while ((x = mt_strmap_next(&c->events->closed, &pos, NULL)) != NULL)
		x->still = mt_strmap_get(now, x->name) != NULL;
	all_ends(c, s);
	all_starts(c, now);
}

void mt_events_services(struct mt_ctl *c)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_events *e = c->events;
	struct mt_strmap now = {0};
	struct mt_region names;

	if (!s || e->services_of == s->version)
		return;
	mt_region_init(&names, 0);
	if ((s->n_closers || e->closed.n) && name_closed(s, &now, &names) == 0)
		compare(c, s, &now);
	e->services_of = s->version;
	mt_strmap_fini(&now);
	mt_region_fini(&names);
}
