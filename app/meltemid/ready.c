/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness: a gate at start. A node that replaces another one in a rolling update must not receive
 * calls before it serves what that one served. /ready returns 503, with what the node waits for,
 * until
 * - every source has delivered everything once, or its kept resources are in force;
 * - every host name of an endpoint was looked up once, with whatever result;
 * - every host that was served when the node last ran is served again, or has left: no object names
 *   it any more, and no unreadable object, file or source may name it.
 *
 * An operator's `accept` opens the gate as well.
 *
 * The list of served hosts outlives the process (mt_served.h). It is written whenever the set of
 * served hosts changes, so a host that became closed while the node ran is not on it. While a named
 * source cannot be read, only `accept` replaces the list, because the source may hold any host.
 *
 * A node that was ready once stays ready until it drains, a worker hangs, or a port's device is
 * removed. Otherwise one bad policy could remove every node of a mesh from its load balancer.
 */
#include "daemon.h"
#include "mt_authz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS	 (250 * MT_MSEC) /* between two checks of what is waited for */
#define WRITE_NS (1 * MT_SEC)	 /* between two writes of the list */
#define RETRY_NS (10 * MT_SEC)	 /* after a failed write */

static bool is_documents(const struct mt_served_host *h)
{
	return strcmp(h->source, MT_SERVED_DOCUMENTS) == 0;
}

/* ---- what is served ----------------------------------------------------------------------- */

/* "mesh" for a resource of "xds:mesh"; MT_SERVED_DOCUMENTS for one of any file. */
static const char *source_name(const struct mt_service *s)
{
	const char *at = s->resource && s->file ? strchr(s->file, ':') : NULL;

	return at ? at + 1 : MT_SERVED_DOCUMENTS;
}

/*
 * Collects the hosts of which every cluster fails closed: they have listeners but are not served.
 * The value is the name of the object that closes them.
 */
static int name_closed(const struct mt_snapshot *s, struct mt_strmap *closed)
{
	int rc = 0;

	for (uint32_t i = 0; i < s->n_clusters && rc == 0; i++) {
		const char *host =
			s->clusters[i].closed_by ? mt_cluster_host(&s->clusters[i]) : NULL;

		if (host)
			rc = mt_strmap_put(
				closed, host, (void *)s->clusters[i].closed_by->by, NULL);
	}
	for (uint32_t i = 0; closed->n && i < s->n_clusters; i++) {
		const char *host =
			s->clusters[i].closed_by ? NULL : mt_cluster_host(&s->clusters[i]);

		if (host)
			(void)mt_strmap_del(closed, host);
	}
	return rc;
}

/* Lists what is served now, and the sources that were accepted as missing. */
static int list_served(const struct daemon *d, struct mt_served *out)
{
	const struct mt_snapshot *s = mt_conf_current(d->conf);
	struct mt_strmap closed = {0};
	int rc = name_closed(s, &closed);

	*out = (struct mt_served){0};
	mt_region_init(&out->region, 0);
	for (uint32_t i = 0; i < s->n_services && rc == 0; i++) {
		const struct mt_service *v = s->services[i];

		if (mt_strmap_get(&closed, v->name))
			continue;
		rc = mt_served_add(out, v->name, source_name(v),
			v->resource ? v->resource
			: v->file   ? v->file
				    : "");
	}
	for (uint32_t i = 0; i < d->ready.list.n_without && rc == 0; i++)
		rc = mt_served_add_without(out, d->ready.list.without[i]);
	mt_served_tidy(out);
	mt_strmap_fini(&closed);
	return rc;
}

/* Served hosts by name, and objects of the documents that name a host or may name one. */
struct names {
	struct mt_strmap hosts, listeners; /* struct mt_service */
	struct mt_strmap closed;	   /* object that denies all calls to them, in words */
	struct mt_strmap objects;	   /* struct mt_object_row, by host */
	/* struct mt_object_row, by file: objects whose hosts are unknown */
	struct mt_strmap unread;
};

static int name_served(const struct daemon *d, struct names *n)
{
	const struct mt_snapshot *s = mt_conf_current(d->conf);
	int rc = name_closed(s, &n->closed);

	for (uint32_t i = 0; i < s->n_services && rc == 0; i++) {
		struct mt_service *v = s->services[i];

		if (mt_strmap_get(&n->closed, v->name))
			continue;
		rc = v->resource ? mt_strmap_put(&n->listeners, v->resource, v, NULL)
				 : mt_strmap_put(&n->hosts, v->name, v, NULL);
	}
	return rc;
}

static int name_hosts(struct names *n, struct mt_object_row *row, const struct mt_object *o)
{
	const struct mt_objs *l = o && o->part ? &o->part->service_entries : NULL;
	int rc = 0;

	for (uint32_t i = 0; l && i < l->n; i++) {
		const struct mt_service_entry *se = l->v[i];

		for (uint32_t k = 0; k < se->n_hosts && rc == 0; k++)
			if (se->hosts[k].s)
				rc = mt_strmap_put(&n->objects, se->hosts[k].s, row, NULL);
	}
	return rc;
}

/*
 * True for a refused object that may be about any host, because its contents cannot be read, or not
 * be trusted. An object that its source may not have is about none.
 */
static bool is_unread(const struct mt_object_row *row)
{
	return row->status == MT_OBJECT_REFUSED && !row->o->outside &&
	       (row->o->illegible || !*row->o->kind || strcmp(row->o->kind, "ServiceEntry") == 0);
}

static int name_objects(const struct daemon *d, struct names *n)
{
	int rc = 0;

	for (uint32_t i = 0; i < d->table->n && rc == 0; i++) {
		struct mt_object_row *row = &d->table->rows[i];

		/*
		 * The object in use lives as long as the table; an earlier good version does not.
		 */
		rc = name_hosts(n, row, row->used);
		if (rc == 0)
			rc = name_hosts(n, row, row->o);
		if (rc == 0 && is_unread(row) && row->o->origin.file)
			rc = mt_strmap_put(&n->unread, row->o->origin.file, row, NULL);
	}
	return rc;
}

static int name_all(const struct daemon *d, struct names *n)
{
	int rc;

	*n = (struct names){0};
	rc = name_served(d, n);
	return rc ? rc : name_objects(d, n);
}

static void names_fini(struct names *n)
{
	mt_strmap_fini(&n->hosts);
	mt_strmap_fini(&n->listeners);
	mt_strmap_fini(&n->closed);
	mt_strmap_fini(&n->objects);
	mt_strmap_fini(&n->unread);
}

/* The object because of which a host of the documents has not left; NULL: it has left. */
static const struct mt_object_row *object_of(const struct names *n, const struct mt_served_host *h)
{
	const struct mt_object_row *row = mt_strmap_get(&n->objects, h->host);
	uint32_t pos = 0;

	if (row)
		return row;
	/* If its file was not noted, it may be in any of them. */
	return *h->where ? mt_strmap_get(&n->unread, h->where)
			 : mt_strmap_next(&n->unread, &pos, NULL);
}

/* ---- what is waited for ------------------------------------------------------------------- */

static void wait_for(
	struct daemon *d, const char *kind, const char *name, const char *source, const char *why)
{
	struct ready *r = &d->ready;
	struct mt_ctl_wait *w =
		mt_region_push(&r->words, (void **)&r->waits, &r->n_waits, sizeof(*w));

	if (!w)
		return;
	*w = (struct mt_ctl_wait){.kind = kind,
		.name = mt_region_strdup(&r->words, name),
		.source = mt_region_strdup(&r->words, source),
		.why = mt_region_strdup(&r->words, why)};
	/* Without memory the entry stays, but has no words. */
	if (!w->name || !w->source || !w->why)
		w->name = w->source = w->why = "";
}

static struct mt_xds *source_of(const struct daemon *d, const char *name)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (strcmp(d->mesh[i].node->name.s, name) == 0)
			return d->mesh[i].xds;
	return NULL;
}

/*
 * True if the host's object may be in a file that cannot be read; in any such file if its own was
 * not noted.
 */
static bool may_be_unread(const struct daemon *d, const struct mt_served_host *h)
{
	return *h->where ? mt_table_may_hold(d->table, h->where) : d->table->n_files_bad > 0;
}

/* True if a host of the documents has left; else `words` gets why it is not served. */
static bool left_documents(const struct daemon *d, const struct names *n,
	const struct mt_served_host *h, char *words, size_t size)
{
	const struct mt_object_row *row = object_of(n, h);
	char name[400];

	if (!row) {
		if (d->table->unread)
			snprintf(words, size,
				"%s cannot be read, and may have its document (meltemi show "
				"config)",
				d->table->unread);
		else
			snprintf(words, size, "%s",
				"a file of the documents cannot be read (meltemi show config)");
		return !may_be_unread(d, h);
	}
	(void)mt_object_str(row->o, name, sizeof(name));
	snprintf(words, size, "%s is %s%s%s, and not served", name,
		mt_object_status_str(row->status), row->why ? ": " : "", row->why ? row->why : "");
	return false;
}

/*
 * The same for a host of a discovery source: what the server does not have after it has delivered
 * everything, it has removed.
 */
static bool left_source(
	const struct daemon *d, const struct mt_served_host *h, char *words, size_t size)
{
	struct mt_xds *x = source_of(d, h->source);
	struct mt_xds_resource_info info;

	if (!x)
		return true;
	if (!mt_xds_resource_find(x, "LDS", h->where, &info)) {
		snprintf(words, size, "the server has not sent it yet");
		return mt_xds_delivered(x);
	}
	snprintf(words, size, "%s%s%s", info.state, *info.reason ? ": " : "", info.reason);
	return false;
}

static bool is_served(const struct names *n, const struct mt_served_host *h)
{
	if (mt_strmap_get(&n->hosts, h->host))
		return true;
	return !is_documents(h) && mt_strmap_get(&n->listeners, h->where);
}

/* Removes hosts that have left from the list, and waits for those that are not served. */
static void look_at_hosts(struct daemon *d, const struct names *n)
{
	struct mt_served *l = &d->ready.list;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		struct mt_served_host h = l->v[i];
		const char *by = mt_strmap_get(&n->closed, h.host);
		char words[1024];

		if (is_served(n, &h)) {
			l->v[kept++] = h;
			continue;
		}
		if (is_documents(&h) ? left_documents(d, n, &h, words, sizeof(words))
				     : left_source(d, &h, words, sizeof(words)))
			continue;
		if (by)
			snprintf(words, sizeof(words), "%s closes it to all clients", by);
		wait_for(d, "host", h.host, h.source, words);
		l->v[kept++] = h;
	}
	d->ready.dirty |= kept != l->n;
	l->n = kept;
}

static bool is_without(const struct mt_served *l, const char *source)
{
	for (uint32_t i = 0; i < l->n_without; i++)
		if (strcmp(l->without[i], source) == 0)
			return true;
	return false;
}

static void look_at_sources(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_mesh; i++) {
		const char *name = d->mesh[i].node->name.s, *why;

		if (!mt_xds_whole(d->mesh[i].xds, &why) && !is_without(&d->ready.list, name))
			wait_for(d, "source", name, name, why);
	}
}

/* Waits for the first answer to each name: before it is there, its endpoints are unknown. */
static void look_at_names(struct daemon *d)
{
	const char *name = d->looked_up ? mt_name_table_waits(d->looked_up) : NULL;

	if (name)
		wait_for(d, "name", name, MT_SERVED_DOCUMENTS, "it is being looked up");
}

/* True if the sources have something that could be served. */
static bool hold_something(const struct daemon *d, const struct names *n)
{
	if (n->objects.n || n->unread.n || d->table->n_files_bad)
		return true;
	for (uint32_t i = 0; i < d->n_mesh; i++) {
		const void *pos = NULL;
		struct mt_xds_resource_info info;

		while (mt_xds_resource_next(d->mesh[i].xds, &pos, &info))
			if (strcmp(info.type, "LDS") == 0)
				return true;
	}
	return false;
}

static void look(struct daemon *d)
{
	struct ready *r = &d->ready;
	struct names n;

	mt_region_fini(&r->words);
	r->waits = NULL;
	r->n_waits = 0;
	look_at_sources(d);
	look_at_names(d);
	if (name_all(d, &n))
		wait_for(d, "services", "", "", "no memory to compare them");
	else
		look_at_hosts(d, &n);
	if (!r->listed && !n.hosts.n && !n.listeners.n && hold_something(d, &n))
		wait_for(d, "services", "", "",
			"nothing that the sources hold is served (meltemi show objects)");
	if (d->table->unknown_closed)
		wait_for(d, "object", "", MT_SERVED_DOCUMENTS,
			"something that protects cannot be read, not even its namespace (meltemi "
			"show objects)");
	names_fini(&n);
}

/* ---- the list ----------------------------------------------------------------------------- */

static void write_list(struct daemon *d);

static void accept_words(const struct daemon *d, char *words, size_t size)
{
	const struct ready *r = &d->ready;

	snprintf(words, size,
		r->dirty ? "%u hosts are what this node is to serve, and %u sources and hosts are "
			   "waited for no more; that cannot be remembered: the state directory "
			   "cannot be written"
			 : "%u hosts are what this node is to serve; %u sources and hosts are "
			   "waited for no more",
		r->list.n, r->given_up);
}

static void written(void *arg, int rc, const struct mt_err *e)
{
	struct daemon *d = arg;
	struct ready *r = &d->ready;
	uint64_t now = mt_clock_now(&d->clock);
	char words[256];

	if (rc && !r->told_write)
		mt_log(MT_LOG_WARN, "state",
			"the list of served hosts cannot be stored for the next start: %s",
			e->text);
	r->writing = false;
	r->told_write = rc != 0;
	r->dirty |= rc != 0;
	r->write_at = now + (rc ? RETRY_NS : WRITE_NS);
	/* ready_accept() gives the answer itself if it has not returned yet. */
	if (!r->accepting || d->later != LATER_WRITTEN)
		return;
	if (rc == 0 && r->dirty) {
		write_list(d);
		return;
	}
	d->later = LATER_NOTHING;
	r->accepting = false;
	accept_words(d, words, sizeof(words));
	mt_ctl_answer(d->ctl, 0, words, now);
}

static void write_list(struct daemon *d)
{
	struct ready *r = &d->ready;

	if (r->writing)
		return;
	r->writing = true;
	r->dirty = false;
	mt_served_save(&r->list, state_dir(d), d->service, written, d);
}

/* Replaces the list by what is served now. */
static void take_list(struct daemon *d)
{
	struct ready *r = &d->ready;
	struct mt_served list;

	r->version = mt_conf_current(d->conf)->version;
	if (list_served(d, &list) || (r->listed && mt_served_equal(&list, &r->list))) {
		mt_served_fini(&list);
		return;
	}
	mt_served_fini(&r->list);
	r->list = list;
	r->listed = r->dirty = true;
}

/* Sources that delivered after all are waited for again at the next start. */
static void forget_without(struct daemon *d)
{
	struct mt_served *l = &d->ready.list;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n_without; i++) {
		struct mt_xds *x = source_of(d, l->without[i]);

		if (x && !mt_xds_delivered(x))
			l->without[kept++] = l->without[i];
	}
	d->ready.dirty |= kept != l->n_without;
	l->n_without = kept;
}

/*
 * `take`: what is served now becomes the list. Otherwise the list stays as it is, because a named
 * source cannot be read.
 */
static void open_gate(struct daemon *d, bool take)
{
	d->ready.open = true;
	if (take) {
		take_list(d);
		mt_log(MT_LOG_INFO, "boot", "ready: %u hosts are served", d->ready.list.n);
		return;
	}
	mt_log(MT_LOG_WARN, "boot",
		"ready: every host of the last run is served; the list of served hosts is not "
		"replaced until %s can be read",
		d->table->unread);
}

void ready_turn(struct daemon *d, uint64_t now)
{
	struct ready *r = &d->ready;

	if (!r->open && now >= r->look_at) {
		r->look_at = now + LOOK_NS;
		look(d);
		if (!r->n_waits)
			open_gate(d, !d->table->unread);
		else if (!r->told_waits)
			mt_log(MT_LOG_WARN, "boot",
				"not ready: waits for %u sources and hosts, first for %s %s: %s",
				r->n_waits, r->waits[0].kind, r->waits[0].name, r->waits[0].why);
		r->told_waits = true;
	}
	if (!r->open)
		return;
	if (r->version != mt_conf_current(d->conf)->version && !d->draining && !d->table->unread)
		take_list(d);
	if (r->list.n_without)
		forget_without(d);
	if (r->dirty && now >= r->write_at)
		write_list(d);
}

/* ---- for lib/ctl -------------------------------------------------------------------------- */

/* The first port without its card, interface or socket; NULL: none. */
static const struct mt_port *broken_port(const struct daemon *d)
{
	for (uint16_t i = 0; i < d->n_ports; i++)
		if (d->ports[i]->gone)
			return d->ports[i];
	return NULL;
}

/* Lets a node that was ready wait for one thing and a restart. */
static void now_waits_for(struct ready *r, const char *kind, const char *name, const char *why,
	struct mt_ctl_ready *out)
{
	r->broken = (struct mt_ctl_wait){.kind = kind, .name = name, .source = "", .why = why};
	*out = (struct mt_ctl_ready){.restart = true, .waits = &r->broken, .n = 1};
}

void ready_ask(void *arg, struct mt_ctl_ready *out)
{
	struct daemon *d = arg;
	struct ready *r = &d->ready;
	int stuck = notify_stuck(d, mt_clock_now(&d->clock));
	const struct mt_port *port = broken_port(d);

	*out = (struct mt_ctl_ready){.ready = r->open, .waits = r->waits, .n = r->n_waits};
	if (!r->open) {
		/* Called before the first check. */
		if (!r->n_waits)
			look(d);
		out->waits = r->waits;
		out->n = r->n_waits;
	} else if (stuck >= 0) {
		snprintf(r->stuck, sizeof(r->stuck), "%u", (unsigned int)stuck);
		now_waits_for(r, "worker", r->stuck, "it has not turned for seconds", out);
	} else if (port) {
		snprintf(r->removed, sizeof(r->removed), "its %s was removed",
			mt_port_gone_str(port->gone));
		now_waits_for(r, "port", port->name, r->removed, out);
	}
}

int ready_accept(void *arg, const struct mt_who *who, char *words, size_t size)
{
	struct daemon *d = arg;
	struct ready *r = &d->ready;
	char by[MT_WHO_LEN];

	r->given_up = 0;
	if (!r->open) {
		look(d);
		r->given_up = r->n_waits;
		for (uint32_t i = 0; i < r->n_waits; i++)
			if (strcmp(r->waits[i].kind, "source") == 0)
				(void)mt_served_add_without(&r->list, r->waits[i].name);
		mt_log(MT_LOG_WARN, "boot",
			"%s accepts what is served now; %u sources and hosts are waited for no "
			"more",
			who ? mt_who_str(who, by) : "the daemon", r->given_up);
		open_gate(d, true);
	} else if (d->table->unread) {
		take_list(d);
	}
	/* A write in progress is of an older list; another one follows it. */
	r->dirty = true;
	write_list(d);
	if (!r->writing) {
		accept_words(d, words, size);
		return 0;
	}
	r->accepting = true;
	d->later = LATER_WRITTEN;
	return MT_CTL_LATER;
}

/* ---- start and stop ----------------------------------------------------------------------- */

static void seed_host(void *arg, const char *host)
{
	(void)mt_served_add(arg, host, MT_SERVED_DOCUMENTS, "");
}

/*
 * Builds the list from state that was kept before there was one: hosts that have addresses, and
 * listeners of discovery sources.
 */
static void seed(struct daemon *d)
{
	struct mt_served *l = &d->ready.list;

	mt_region_init(&l->region, 0);
	mt_conf_kept_hosts(d->conf, seed_host, l);
	for (uint32_t i = 0; i < d->n_mesh; i++) {
		const void *pos = NULL;
		struct mt_xds_resource_info info;

		/* What cannot be served was not served before either. */
		while (mt_xds_resource_next(d->mesh[i].xds, &pos, &info))
			if (strcmp(info.type, "LDS") == 0 && info.restored && !info.out)
				(void)mt_served_add(
					l, info.name, d->mesh[i].node->name.s, info.name);
	}
	mt_served_tidy(l);
	d->ready.listed = d->ready.dirty = l->n > 0;
}

/* Runs before the first publish, which takes addresses from hosts that have gone. */
int ready_start(struct daemon *d, struct mt_err *e)
{
	struct mt_err why;
	int rc = mt_served_load(&d->ready.list, state_dir(d), &why);

	d->ready.listed = rc == 0;
	if (rc && rc != -ENOENT)
		mt_log(MT_LOG_WARN, "state",
			"%s; other stored state has the hosts that were served", why.text);
	if (rc)
		seed(d);
	return 0;
}

void ready_stop(struct daemon *d)
{
	struct ready *r = &d->ready;

	r->accepting = false;
	mt_service_drain(d->service);
	if (r->open && r->dirty)
		write_list(d);
	mt_service_drain(d->service);
	mt_served_fini(&r->list);
	mt_region_fini(&r->words);
	*r = (struct ready){0};
}
