/* SPDX-License-Identifier: Apache-2.0 */
/* Status of each object that was read, and of the services that the objects configure. */
#include "mt_ctl_priv.h"

#include "mt_authz.h"
#include "mt_lend.h"
#include "mt_objects.h"

#include <string.h>

/* ---- services ------------------------------------------------------------------------------- */

struct host {
	const char *name;
	const struct mt_closer *closed_by;
	uint32_t instances; /* of its largest cluster */
	/*
	 * served: some cluster has endpoints that clients reach; open: some cluster is not closed
	 * by an object that fails closed.
	 */
	bool served, open;
	/*
	 * Some cluster has endpoints that need the node's identity, and no client may use this
	 * identity.
	 */
	bool lend;
};

/* A listener that accepts calls to a host. */
struct place {
	const char *host;
	const struct mt_listener *at;
	const char *protocol;
};

static int by_host(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c = strcmp(x->host, y->host);

	if (c == 0)
		c = (x->at->port > y->at->port) - (x->at->port < y->at->port);
	if (c == 0)
		c = memcmp(&x->at->addr, &y->at->addr, sizeof(x->at->addr));
	return c ? c : strcmp(x->protocol, y->protocol);
}

static uint32_t merge(struct host *v, uint32_t n)
{
	uint32_t out = 0;

	qsort(v, n, sizeof(*v), by_host);
	for (uint32_t i = 0; i < n; i++) {
		struct host *last = out ? &v[out - 1] : NULL;

		if (!last || strcmp(last->name, v[i].name) != 0) {
			v[out++] = v[i];
			continue;
		}
		last->served |= v[i].served;
		last->open |= v[i].open;
		last->lend |= v[i].lend;
		last->instances = MT_MAX(last->instances, v[i].instances);
		if (!last->closed_by)
			last->closed_by = v[i].closed_by;
	}
	return out;
}

/*
 * Listeners of all services, sorted; *n: their number. The caller frees the result. NULL: none, or
 * no memory.
 */
static struct place *places_of(const struct mt_snapshot *s, uint32_t *n)
{
	struct place *v;
	uint32_t all = 0;

	*n = 0;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		for (uint32_t k = 0; k < s->listeners[i].n_protos; k++)
			all += s->listeners[i].protos[k].n_services;
	v = all ? calloc(all, sizeof(*v)) : NULL;
	for (uint32_t i = 0; v && i < s->n_listeners; i++)
		for (uint32_t k = 0; k < s->listeners[i].n_protos; k++) {
			const struct mt_filter_chain_proto *p = &s->listeners[i].protos[k];

			for (uint32_t j = 0; j < p->n_services; j++)
				v[(*n)++] = (struct place){
					p->services[j]->name, &s->listeners[i], p->codec->name};
		}
	if (v)
		qsort(v, *n, sizeof(*v), by_place);
	return v;
}

/* Rows for the listeners of this host; *at advances past them. */
static json_t *ports_json(const struct place *v, uint32_t n, uint32_t *at, const char *host)
{
	json_t *all = json_array();
	char addr[MT_ADDR_STRLEN];

	while (*at < n && strcmp(v[*at].host, host) < 0)
		++*at;
	for (; *at < n && strcmp(v[*at].host, host) == 0; ++*at) {
		const struct place *p = &v[*at];

		if (json_array_size(all) && by_place(p, p - 1) == 0)
			continue;
		mt_json_add(all, MT_M("address", mt_addr_str(&p->at->addr, addr)),
			MT_M("port", p->at->port), MT_M("protocol", p->protocol));
	}
	return all;
}

static json_t *service_row(const struct host *h, json_t *ports)
{
	const char *status = h->served ? "served"
			     : h->lend ? "needs node identity"
			     : h->open ? "no endpoints"
				       : "closed";

	return mt_json_object(MT_M("host", h->name), MT_M("status", status),
		MT_M("by", h->closed_by ? h->closed_by->by : ""), MT_M("instances", h->instances),
		MT_M("ports", ports));
}

json_t *mt_ctl_services_json(const struct mt_snapshot *s)
{
	struct host *v = s ? calloc(s->n_clusters + 1, sizeof(*v)) : NULL;
	uint32_t n = 0, n_places = 0, at = 0;
	struct place *places = v ? places_of(s, &n_places) : NULL;
	json_t *all = json_array();

	for (uint32_t i = 0; v && i < s->n_clusters; i++) {
		const struct mt_cluster *c = &s->clusters[i];
		const char *name = mt_cluster_host(c);
		uint32_t lend = mt_cluster_need_lend(c);

		if (name)
			v[n++] = (struct host){name, c->closed_by, c->n_eps,
				c->n_eps > lend || c->demand, !c->closed_by, lend > 0};
	}
	n = v ? merge(v, n) : 0;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(
			all, service_row(&v[i], ports_json(places, n_places, &at, v[i].name)));
	free(places);
	free(v);
	return all;
}

/* ---- objects -------------------------------------------------------------------------------- */

static struct mt_object_table *table_of(struct mt_ctl *c)
{
	return c->env.objects ? c->env.objects(c->env.arg) : NULL;
}

uint64_t mt_ctl_closed_by(const struct mt_ctl *c, const struct mt_closer *by)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < c->env.n_workers; w++)
		sum += mt_proxy_closed_by(mt_worker_proxy(c->env.workers[w]), by);
	return sum;
}

/*
 * Objects because of which something was denied, with the number of denials; objects without
 * denials are left out.
 */
static json_t *refused_json(const struct mt_ctl *c)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *all = json_array();

	for (uint32_t i = 0; s && i < s->n_closers; i++) {
		const struct mt_closer *by = s->closers[i];
		uint64_t n = by->index ? mt_ctl_closed_by(c, by) : 0;

		if (n)
			mt_json_add(all, MT_M("kind", by->kind), MT_M("namespace", by->ns),
				MT_M("name", by->name), MT_M("refused", n));
	}
	return all;
}

json_t *mt_show_objects(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_object_table *t = table_of(c);

	return mt_json_object(MT_M("objects", t ? mt_table_json(t) : json_array()),
		MT_M("services", mt_ctl_services_json(mt_ctl_snapshot(c))),
		MT_M("closed_by_policy", refused_json(c)));
}

/* Words that statuses had before their present ones. */
static const struct {
	const char *old;
	enum mt_object_status status;
} renamed[] = {
	{"held", MT_OBJECT_LAST_GOOD},
	{"inert", MT_OBJECT_NO_EFFECT},
	{"foreign", MT_OBJECT_IGNORED},
	{"closed", MT_OBJECT_FAIL_CLOSED},
};

json_t *mt_none_objects(const char *text)
{
	char all[256];
	size_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(renamed); i++)
		if (strcasecmp(text, renamed[i].old) == 0)
			return mt_ctl_error("status `%s` is now called `%s`", renamed[i].old,
				mt_object_status_str(renamed[i].status));
	for (int i = 0; i < MT_OBJECT_STATUSES; i++) {
		const char *word = mt_object_status_str((enum mt_object_status)i);

		if (strcasestr(word, text))
			return NULL;
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "", word);
		n = MT_MIN(n, sizeof(all) - 1);
	}
	return mt_ctl_error("no status `%s`; statuses are %s. By name: `show objects where "
			    "name=NAME`",
		text, all);
}

json_t *mt_ctl_bad_objects(struct mt_ctl *c)
{
	struct mt_object_table *t = table_of(c);
	json_t *all = json_array();

	for (uint32_t i = 0; t && i < t->n; i++) {
		const struct mt_object_row *row = &t->rows[i];
		const struct mt_object *o = row->o;

		if (row->status != MT_OBJECT_LAST_GOOD && row->status != MT_OBJECT_REFUSED)
			continue;
		mt_json_add(all, MT_M("status", mt_object_status_str(row->status)),
			MT_M("kind", o->kind), MT_M("namespace", o->ns), MT_M("name", o->name),
			MT_M("file", o->origin.file), MT_M("line", o->origin.line),
			MT_M("reason", row->why ? row->why : ""));
	}
	if (json_array_size(all))
		return all;
	json_decref(all);
	return json_null();
}

json_t *mt_show_last_good(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_object_table *t = table_of(c);
	json_t *all = json_array();

	if (t)
		mt_table_touch(t);
	for (uint32_t i = 0; t && i < t->n; i++)
		if (t->rows[i].status == MT_OBJECT_LAST_GOOD)
			json_array_append_new(all, mt_row_json(&t->rows[i]));
	return mt_json_object(MT_M("last_good", all));
}
