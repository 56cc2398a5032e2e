/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On-demand discovery of clusters and route tables. Routes reference more clusters than calls use,
 * so a cluster is subscribed to by name when the first call is routed to it. It is removed with its
 * endpoints when no call has used it for idle_ns. While it is not active, the model contains a
 * placeholder cluster of its name, which must be requested (mt_res_cluster.demand_ms).
 *
 * Route tables are optional (conf.routes). While a table is not active, the model contains a
 * placeholder table. Its only route leads to a placeholder cluster that stands for the table. A
 * call therefore waits for the table and then for the cluster of its route; only this file
 * distinguishes the two.
 *
 * A name that does not exist, or that got no answer in time, is remembered as missing for
 * absent_ns. It stays subscribed to meanwhile, so that a resource that appears is accepted at once.
 */
#include "mt_xds_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unused rate accumulates for at most this time. */
#define BURST_NS MT_SEC
/* A request over the limit on names fails for this time only, because a name may be freed soon. */
#define FULL_NS MT_SEC

static const char nobody[] = "no such cluster: the control plane does not have it";
static const char silence[] =
	"the control plane did not send the cluster, or its endpoints, in time";
static const char unsound[] = "the cluster from the control plane cannot be used";
static const char no_table[] = "no such route table: the control plane does not have it";
static const char late_table[] = "the control plane did not send the route table in time";
static const char bad_table[] = "the route table from the control plane cannot be used";
static const char full[] = "too many clusters are in use (onDemand.names)";

static bool is_live(const struct xds_res *r)
{
	return r->live != NULL;
}

/* ---- placeholder clusters of route tables ---------------------------------------------------- */

#define STANDS_FOR "(routes)|"

/*
 * Name of the placeholder cluster of a route table: "outbound|PORT|(routes)|HOST" for a table
 * "HOST_PORT", so that the host of the service is known; else "(routes)|NAME".
 */
static void stand_in(const char *table, char *buf, size_t size)
{
	const char *port = strrchr(table, '_');

	if (port && port > table && port[1] && !port[1 + strspn(port + 1, "0123456789")])
		snprintf(buf, size, "outbound|%s|" STANDS_FOR "%.*s", port + 1, (int)(port - table),
			table);
	else
		snprintf(buf, size, STANDS_FOR "%s", table);
}

/*
 * Finds the route table for which a placeholder cluster stands. False if the name is a real
 * cluster's.
 */
static bool table_of(const char *cluster, char *buf, size_t size)
{
	const char *at = strstr(cluster, STANDS_FOR), *port = strchr(cluster, '|');

	if (at == cluster)
		snprintf(buf, size, "%s", at + strlen(STANDS_FOR));
	else if (at && port < at)
		snprintf(buf, size, "%s_%.*s", at + strlen(STANDS_FOR), (int)(at - port - 2),
			port + 1);
	return at != NULL;
}

/* Returns the cluster or route table that a call requests by a cluster name; NULL: unknown. */
static struct xds_res *find(const struct mt_xds *x, const char *cluster)
{
	char table[XDS_NAME_MAX];

	if (!x->demand.conf.names)
		return NULL;
	if (!table_of(cluster, table, sizeof(table)))
		return xds_find(x, MT_XDS_CDS, cluster);
	return x->demand.conf.routes ? xds_find(x, MT_XDS_RDS, table) : NULL;
}

static void answer(struct mt_xds *x, const struct xds_res *r, uint64_t until, const char *why)
{
	char cluster[XDS_NAME_MAX + 64];

	if (r->type == MT_XDS_RDS)
		stand_in(r->name, cluster, sizeof(cluster));
	if (x->env.answered)
		x->env.answered(x->env.arg, r->type == MT_XDS_RDS ? cluster : r->name, until, why);
}

/* ---- requested names ------------------------------------------------------------------------- */

static struct xds_demand *add(struct mt_xds *x, struct xds_res *r)
{
	struct xds_demand *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->r = r;
	z->since = z->used_at = x->now;
	mt_list_init(&z->node);
	mt_list_add_tail(&x->demand.all, &z->node);
	x->demand.n++;
	x->demand.due = 0;
	r->demand = z;
	return z;
}

void xds_demand_drop(struct mt_xds *x, struct xds_res *r)
{
	struct xds_demand *z = r->demand;

	if (!z)
		return;
	xds_unask(r);
	mt_list_del(&z->node);
	x->demand.n--;
	r->demand = NULL;
	free(z);
}

/*
 * Removes the resource with its endpoints. Only the name stays, as long as something references it.
 */
static void forget(struct mt_xds *x, struct xds_demand *z)
{
	struct xds_res *r = z->r;

	xds_demand_drop(x, r);
	r->gone = r->restored = r->left_out = r->not_served = false;
	free(r->refused);
	r->refused = NULL;
	xds_keep_touch(x);
	xds_leave(x, r);
}

/*
 * True if another name is allowed. At the limit, drops the missing name that was requested first.
 */
static bool make_room(struct mt_xds *x)
{
	struct mt_list *n;

	if (x->demand.n < x->demand.conf.names)
		return true;
	mt_list_foreach (n, &x->demand.all) {
		struct xds_demand *z = mt_list_entry(n, struct xds_demand, node);

		if (!z->absent_until || is_live(z->r) || z->r->next || z->r->queried)
			continue;
		forget(x, z);
		return true;
	}
	return false;
}

void xds_demand_absent(struct mt_xds *x, struct xds_res *r)
{
	struct xds_demand *z = r->demand;

	x->demand.stats.absent++;
	z->absent_until = x->now + x->demand.conf.absent_ns;
	z->why = r->type == MT_XDS_RDS ? no_table : nobody;
	x->demand.due = 0;
	answer(x, r, z->absent_until, z->why);
}

/* Handles another request for a name: reports the known result again while it is valid. */
static void ask_again(struct mt_xds *x, struct xds_demand *z)
{
	z->used_at = x->now;
	if (is_live(z->r))
		return;
	if (x->now < z->absent_until) {
		answer(x, z->r, z->absent_until, z->why);
		return;
	}
	if (!z->absent_until)
		return;
	/* It is still subscribed to, but a delta server reports only once that it is missing. */
	z->absent_until = 0;
	z->since = x->now;
	x->demand.due = 0;
}

/* Beyond conf.names as well: listeners name few, and calls do not choose them. */
void xds_demand_queried(struct mt_xds *x, struct xds_res *r)
{
	if (xds_on_demand(x, r->type) && !r->demand)
		(void)add(x, r);
}

bool mt_xds_demand(struct mt_xds *x, const char *name, uint64_t now)
{
	struct xds_res *r;

	x->now = now;
	r = find(x, name);
	if (!r || !r->wants)
		return false;
	if (r->demand) {
		ask_again(x, r->demand);
		return true;
	}
	if (make_room(x) && add(x, r)) {
		x->demand.stats.asked++;
		return true;
	}
	x->demand.stats.full++;
	answer(x, r, now + FULL_NS, full);
	return true;
}

static void restore(struct mt_xds *x, enum mt_xds_type type)
{
	struct mt_list *n, *tmp;

	mt_list_foreach_safe (n, tmp, &x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		if (!xds_newest(r) || r->demand ||
			(r->wants && x->demand.n < x->demand.conf.names && add(x, r)))
			continue;
		xds_leave(x, r);
	}
}

void xds_demand_restore(struct mt_xds *x)
{
	/* Tables first: clusters that only a dropped table references are dropped with it. */
	if (xds_on_demand(x, MT_XDS_RDS))
		restore(x, MT_XDS_RDS);
	if (xds_on_demand(x, MT_XDS_CDS))
		restore(x, MT_XDS_CDS);
}

void xds_demand_start(struct mt_xds *x)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->demand.all) {
		struct xds_demand *z = mt_list_entry(n, struct xds_demand, node);

		z->since = z->used_at = x->now;
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Subscribes to the resource. False if the rate limit does not allow it yet. */
static bool ask(struct mt_xds *x, struct xds_demand *z)
{
	struct xds_demands *d = &x->demand;

	/* Nothing can be requested before mt_xds_start(); the timeout runs all the same. */
	if (x->now < d->next_ask || !x->env.fds)
		return false;
	if (d->next_ask + BURST_NS < x->now)
		d->next_ask = x->now - BURST_NS;
	d->next_ask += MT_SEC / d->conf.per_second;
	z->asked_at = x->now;
	xds_ask(x, z->r);
	return true;
}

static void came(struct mt_xds *x, struct xds_demand *z)
{
	z->told = true;
	z->absent_until = 0;
	z->used_at = x->now;
	x->demand.stats.told++;
	answer(x, z->r, 0, NULL);
}

static void in_vain(struct mt_xds *x, struct xds_demand *z, bool answered)
{
	bool table = z->r->type == MT_XDS_RDS;

	x->demand.stats.unanswered += !answered;
	z->absent_until = x->now + x->demand.conf.absent_ns;
	z->why = answered ? (table ? bad_table : unsound) : table ? late_table : silence;
	answer(x, z->r, z->absent_until, z->why);
}

/* A route table counts as used when one of its clusters is used. */
static void use_table(struct xds_demand *z)
{
	const struct xds_body *b = z->r->live;

	for (uint32_t i = 0; z->r->type == MT_XDS_RDS && i < b->mapped.n_refs; i++)
		if (b->targets[i] && b->targets[i]->demand)
			z->used_at = MT_MAX(z->used_at, b->targets[i]->demand->used_at);
}

/* Removes an active resource that was not used for idle_ns. Returns when to check again. */
static uint64_t step_live(struct mt_xds *x, struct xds_demand *z)
{
	uint64_t end;

	if (!z->told)
		came(x, z);
	use_table(z);
	if (z->r->queried)
		z->used_at = x->now;
	end = z->used_at + x->demand.conf.idle_ns;
	if (x->now < end)
		return end;
	x->demand.stats.left++;
	forget(x, z);
	return MT_NEVER;
}

static uint64_t step_absent(struct mt_xds *x, struct xds_demand *z)
{
	if (x->now < z->absent_until)
		return z->absent_until;
	/* It was received meanwhile and waits for its endpoints, or it is needed without calls. */
	if (z->r->queried || (z->r->next && !z->r->next->refused)) {
		z->absent_until = 0;
		z->since = x->now;
		return z->since + x->demand.conf.timeout_ns;
	}
	forget(x, z);
	return MT_NEVER;
}

static uint64_t step(struct mt_xds *x, struct xds_demand *z)
{
	const struct xds_res *r = z->r;
	uint64_t end = z->since + x->demand.conf.timeout_ns;
	bool asked = z->asked_at || ask(x, z);

	if (is_live(r) && !r->left_out && !r->not_served) {
		end = step_live(x, z);
		return asked ? end : MT_MIN(end, x->demand.next_ask);
	}
	if (z->absent_until)
		return step_absent(x, z);
	if (r->refused || r->left_out || r->not_served || r->emptied)
		in_vain(x, z, true);
	else if (x->now >= end)
		in_vain(x, z, false);
	else
		return asked ? end : MT_MIN(end, MT_MAX(x->demand.next_ask, x->now + MT_MSEC));
	return z->absent_until;
}

/*
 * Checks all names; *due is when to do so again. Returns false if a route table left, which may
 * have removed others from the list, so that the pass must be repeated.
 */
static bool pass(struct mt_xds *x, uint64_t *due)
{
	struct mt_list *n, *tmp;

	*due = MT_NEVER;
	mt_list_foreach_safe (n, tmp, &x->demand.all) {
		struct xds_demand *z = mt_list_entry(n, struct xds_demand, node);
		bool table = z->r->type == MT_XDS_RDS;
		uint32_t before = x->demand.n;
		uint64_t at = step(x, z);

		if (table && x->demand.n != before)
			return false;
		*due = MT_MIN(*due, at);
	}
	return true;
}

void xds_demand_turn(struct mt_xds *x)
{
	uint64_t due;

	if (x->now < x->demand.due)
		return;
	while (!pass(x, &due))
		;
	x->demand.due = due;
}

void mt_xds_use(struct mt_xds *x, mt_xds_use_fn *use, void *arg, uint64_t now)
{
	struct mt_list *n;

	x->now = now;
	mt_list_foreach (n, &x->demand.all) {
		struct xds_demand *z = mt_list_entry(n, struct xds_demand, node);
		struct mt_xds_use u = {0};

		if (!z->told || z->r->type != MT_XDS_CDS || !use(arg, z->r->name, &u))
			continue;
		if (u.busy || u.calls != z->calls)
			z->used_at = now;
		z->calls = u.calls;
	}
}

/* ---- into a model ---------------------------------------------------------------------------- */

void xds_demand_changed(struct mt_xds *x, const struct xds_res *r)
{
	if (!xds_on_demand(x, r->type))
		return;
	mt_model_free(x->demand.named);
	x->demand.named = NULL;
	x->demand.due = 0;
}

static bool add_cluster(
	const struct mt_xds *x, struct mt_model *m, const char *origin, const char *name)
{
	struct mt_res_cluster *c = mt_region_alloc(&m->region, sizeof(*c));

	if (!c)
		return false;
	c->meta.name = mt_region_strdup(&m->region, name);
	c->meta.origin.file = origin;
	/*
	 * Always the same serial, which no resource has: a load can reuse what it compiled for it.
	 */
	c->meta.serial = x->serial_base;
	c->demand_ms = (uint32_t)(x->demand.conf.timeout_ns / MT_MSEC);
	return c->meta.name && mt_model_add(m, &m->res_clusters, c) == 0;
}

/* Adds a placeholder route table and its placeholder cluster. */
static bool add_table(
	const struct mt_xds *x, struct mt_model *m, const char *origin, const char *name)
{
	struct mt_res_routes *t = mt_region_alloc(&m->region, sizeof(*t));
	struct mt_rule *rule = mt_region_alloc(&m->region, sizeof(*rule));
	struct mt_rule_dest *dest = mt_region_alloc(&m->region, sizeof(*dest));
	char cluster[XDS_NAME_MAX + 64];

	if (!t || !rule || !dest)
		return false;
	stand_in(name, cluster, sizeof(cluster));
	dest->cluster.s = mt_region_strdup(&m->region, cluster);
	rule->name.s = "on demand";
	rule->dests = dest;
	t->meta.name = mt_region_strdup(&m->region, name);
	t->meta.origin.file = origin;
	t->meta.serial = x->serial_base;
	t->list = (struct mt_rule_list){.name = "routes", .rules = rule};
	rule->n_dests = t->list.n_rules = 1;
	return dest->cluster.s && t->meta.name && mt_model_add(m, &m->res_routes, t) == 0 &&
	       add_cluster(x, m, origin, cluster);
}

static bool add_names(
	const struct mt_xds *x, struct mt_model *m, const char *origin, enum mt_xds_type type)
{
	const struct mt_list *n;

	if (!xds_on_demand(x, type))
		return true;
	mt_list_foreach (n, &x->types[type].all) {
		const struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		if (is_live(r) || !r->wants)
			continue;
		if (type == MT_XDS_RDS ? !add_table(x, m, origin, r->name)
				       : !add_cluster(x, m, origin, r->name))
			return false;
	}
	return true;
}

static struct mt_model *name_all(const struct mt_xds *x)
{
	struct mt_model *m = mt_model_new();
	const char *origin = m ? mt_region_strdup(&m->region, x->origin) : NULL;

	if (origin && add_names(x, m, origin, MT_XDS_CDS) && add_names(x, m, origin, MT_XDS_RDS))
		return m;
	mt_model_free(m);
	return NULL;
}

int xds_demand_share(struct mt_xds *x, struct mt_model *m)
{
	if (!x->demand.conf.names)
		return 0;
	if (!x->demand.named)
		x->demand.named = name_all(x);
	return x->demand.named ? mt_model_share(m, x->demand.named) : -ENOMEM;
}
