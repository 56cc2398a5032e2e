/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits the work of a build. Documents multiply: ports by endpoints, hosts by rules, endpoints by
 * policies. The steps and clusters that each document causes are counted before anything is
 * compiled (work_counts.c). If all together exceed a limit, documents of the namespaces that need
 * most are refused by name, and likewise for endpoints, of which each cluster has its own:
 *
 * 1. A namespace keeps what it needs in the configuration in force, and more up to the largest
 *    level that fits (max-min fairness). The level is at least an equal part of a quarter of the
 *    steps or endpoints, so that documents in force cannot keep all others out.
 * 2. If that is too much, those of the namespaces above the largest level that fits.
 *
 * New documents are refused first. Documents in force may need more than before, for example by new
 * subsets. Their services are not refused but closed: they stay without endpoints and subsets, so
 * that no other document takes their hosts and addresses. New services are closed likewise, if that
 * leaves little of their demand and no last good version takes their place. A DestinationRule of
 * another namespace than a service has its subsets closed at this service, whose namespace pays for
 * them, before anything else of that namespace.
 *
 * In a namespace, those with the largest demand are refused, so that most of its documents stay.
 *
 * A count beforehand may be too low. Therefore the memory of a build is charged to the documents
 * that are compiled, and to the owners of what is copied for them. If a build has no memory left,
 * services of the namespaces that took most are closed and their other documents refused, as above;
 * the next build goes on without them. Routes and clusters have memory of their own, which is
 * counted only.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_priv.h"

#include "mt_secret_hash.h"
#include "mt_share.h"

#include <stdlib.h>
#include <string.h>

struct object {
	const struct mt_meta *meta;
	const char *ns; /* that pays */
	uint64_t id;
	const char *host;	    /* the document only at this host; NULL: all of it */
	const char *where, *closed; /* with `host`: for the report */
	const char *remedy;	    /* of most of its demand */
	uint64_t n, most;
	uint64_t least;	     /* part of `n` that stays if it is closed */
	struct object *next; /* of its namespace */
	bool old, refused;
	bool replaces; /* if it is refused, its last good version takes its place */
	bool closable; /* a service, or a document at a host of another namespace */
	bool late;     /* also after clusters are made */
};

struct account {
	uint64_t old, all; /* demands: of documents in force; of all */
	uint64_t held;	   /* part of `all` that is in force */
	struct object *objects;
	uint32_t n;
};

uint64_t mt_conf_steps = 1u << 26;
uint64_t mt_conf_clusters = MT_UPSTREAM_CLUSTERS_MAX;
uint64_t mt_conf_services = MT_SNAPSHOT_SERVICES_MAX;
/*
 * An eighth is left: a new endpoint needs a state while the snapshot in force still has those of
 * endpoints that are removed or closed.
 */
uint64_t mt_conf_endpoints = MT_UPSTREAM_EPS_MAX / 8 * 7;

/* This part of steps, endpoints and memory is for new documents, whatever is in force. */
#define FLOOR_PART 4
/* A new service can be closed if at most this part of its demand is left. */
#define CLOSED_PART 16

/* ---- demands --------------------------------------------------------------------------------- */

static bool replaces(const struct mt_build *b, const struct mt_meta *meta)
{
	const struct mt_idmap *m = b->model->replacing;

	return m && mt_idmap_get(m, meta->serial);
}

uint64_t mt_b_work_id(const struct mt_meta *meta, uint32_t place)
{
	uint64_t h =
		place ? mt_secret_hash(&meta->serial, sizeof(meta->serial), place) : meta->serial;

	return h ? h : 1;
}

static struct object *object_of(struct mt_build *b, struct mt_demands *d, struct account *own,
	const struct mt_meta *meta, uint32_t place)
{
	uint64_t id = mt_b_work_id(meta, place);
	struct object *o = mt_idmap_get(&d->objects, id);

	if (o)
		return o;
	o = mt_region_alloc(&b->tmp, sizeof(*o));
	if (!o || mt_idmap_put(&d->objects, id, o)) {
		b->tmp.failed = true;
		return NULL;
	}
	*o = (struct object){.meta = meta,
		.ns = meta->ns,
		.id = id,
		.next = own->objects,
		.old = mt_b_was_applied(b, meta),
		.replaces = replaces(b, meta)};
	own->objects = o;
	own->n++;
	return o;
}

/* Adds to the demand of a document, or with `place`, of the document there. */
static void want(struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta,
	const struct mt_work_place *place, uint64_t n, const char *remedy)
{
	struct mt_demands *d = &b->work.of[kind];
	const char *ns = place ? place->payer->ns : meta->ns;
	struct account *own;
	struct object *o;

	if (!meta->serial || !n)
		return;
	own = mt_share_account(&d->accounts, &b->tmp, ns, sizeof(*own));
	o = own ? object_of(b, d, own, meta, place ? place->at : 0) : NULL;
	if (!o)
		return;
	if (place && !o->host) {
		o->closable = true;
		o->ns = ns;
		o->where = place->where ? place->where : " for service ";
		o->host = place->where ? "" : place->host->name;
		o->late = place->late;
		o->closed = place->closed;
		o->old = o->old && mt_b_was_applied(b, place->host);
	}
	if (n > o->most) {
		o->most = n;
		o->remedy = remedy;
	}
	o->n += n;
	own->all += n;
	own->old += o->old ? n : 0;
	d->total += n;
}

void mt_b_want(struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta, uint64_t n,
	const char *remedy)
{
	want(b, kind, meta, NULL, n, remedy);
}

void mt_b_want_at_host(struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta,
	const struct mt_work_place *place, uint64_t n, const char *remedy)
{
	want(b, kind, meta, place, n, remedy);
}

void mt_b_want_closed(
	struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta, uint64_t n)
{
	struct object *o = mt_idmap_get(&b->work.of[kind].objects, mt_b_work_id(meta, 0));

	if (!o)
		return;
	o->least += n;
	o->closable = true;
}

/* No host has this index. */
#define AT_GATEWAYS UINT32_MAX

struct mt_work_place mt_b_at_gateways(const struct mt_meta *meta)
{
	return (struct mt_work_place){.host = meta,
		.payer = meta,
		.at = AT_GATEWAYS,
		.closed = "calls at gateways are refused: ",
		.where = " at gateways",
		.late = true};
}

bool mt_b_is_closed_at_gateways(const struct mt_build *b, const struct mt_meta *meta)
{
	return mt_idmap_get(&b->work.closed, mt_b_work_id(meta, AT_GATEWAYS)) != NULL;
}

bool mt_b_is_counted(struct mt_build *b, uint64_t id)
{
	id = id ? id : 1;
	if (mt_idmap_get(&b->work.counters, id))
		return true;
	if (mt_idmap_put(&b->work.counters, id, b))
		b->tmp.failed = true;
	return false;
}

/* A limit while it is enforced. */
struct limit {
	struct mt_build *b;
	enum mt_work_kind kind;
	struct mt_demands *d;
	uint64_t most, unit;
	uint64_t part; /* for new documents */
	const char *what;
};

/* ---- levels ---------------------------------------------------------------------------------- */

/* The demand that a namespace keeps at a level. */
typedef uint64_t kept_fn(const struct account *own, uint64_t level);

static uint64_t of_held(const struct account *own, uint64_t level)
{
	return MT_MIN(own->held, level);
}

static uint64_t with_held(const struct account *own, uint64_t level)
{
	return MT_MIN(own->all, MT_MAX(level, own->held));
}

static uint64_t of_all(const struct account *own, uint64_t level)
{
	return MT_MIN(own->all, level);
}

static uint64_t sum_of(const struct mt_demands *d, uint64_t level, kept_fn *kept)
{
	const struct account *own;
	uint64_t sum = 0;
	uint32_t pos = 0;

	while ((own = mt_strmap_next(&d->accounts, &pos, NULL)) != NULL)
		sum += kept(own, level);
	return sum;
}

/* The largest level from `least` on with which all fit in the limit; `least` if there is none. */
static uint64_t find_level(const struct limit *l, uint64_t least, kept_fn *kept)
{
	uint64_t low = least, high = l->most;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (sum_of(l->d, middle, kept) <= l->most)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* ---- demands in force ------------------------------------------------------------------------ */

static uint64_t ns_id(const char *ns)
{
	uint64_t h = mt_secret_hash_text(ns, 0);

	return h ? h : 1;
}

/* Finds the demands in force. False: none are known, as after a restart. */
static bool index_held(struct mt_build *b)
{
	const struct mt_snap *now =
		b->conf->current ? mt_container_of(b->conf->current, struct mt_snap, pub) : NULL;

	if (b->work.held.n)
		return true;
	for (uint32_t i = 0; now && i < now->n_work; i++)
		if (mt_idmap_put(&b->work.held, now->work[i].ns, &now->work[i]))
			b->tmp.failed = true;
	return b->work.held.n > 0;
}

static uint64_t held_of(const struct limit *l, const char *ns)
{
	const struct mt_held_work *h = mt_idmap_get(&l->b->work.held, ns_id(ns));

	return h ? h->n[l->kind] : 0;
}

/*
 * Finds the part of the demand of each namespace that it has in the configuration in force, so that
 * growth of documents in force counts as new, and new versions do not. After a restart that is not
 * known: documents in force count whole, and have equal parts of the limit if they exceed it.
 */
static void find_held(const struct limit *l)
{
	bool known = index_held(l->b);
	struct account *own;
	uint64_t level;
	const char *ns;
	uint32_t pos = 0;

	while ((own = mt_strmap_next(&l->d->accounts, &pos, &ns)) != NULL)
		own->held = known ? MT_MIN(own->all, held_of(l, ns)) : own->old;
	level = find_level(l, 0, of_held);
	for (pos = 0; (own = mt_strmap_next(&l->d->accounts, &pos, NULL)) != NULL;)
		own->held = of_held(own, level);
}

void mt_b_work_keep(struct mt_build *b)
{
	struct mt_snap *s = b->snap;
	struct mt_strmap all = {0};
	struct mt_held_work *h;
	const struct account *own;
	const char *ns;
	uint32_t pos;

	for (int i = 0; i < MT_WORK_KINDS; i++)
		for (pos = 0; (own = mt_strmap_next(&b->work.of[i].accounts, &pos, &ns)) != NULL;) {
			h = mt_share_account(&all, &b->tmp, ns, sizeof(*h));
			if (h)
				h->n[i] = own->all;
		}
	s->work = mt_region_alloc(&s->region, sizeof(*s->work) * MT_MAX(all.n, 1u));
	for (pos = 0; s->work && (h = mt_strmap_next(&all, &pos, &ns)) != NULL;) {
		h->ns = ns_id(ns);
		s->work[s->n_work++] = *h;
	}
	mt_strmap_fini(&all);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* What becomes of the document. */
static const char *outcome(const struct object *o, enum mt_diag_severity severity)
{
	if (severity != MT_DIAG_CLOSED)
		return "";
	return o->host ? o->closed : "closed, without endpoints and subsets: ";
}

static void tell(const struct limit *l, const struct object *o, enum mt_diag_severity severity)
{
	mt_b_verdict(l->b, severity, o->meta, o->remedy,
		"%sneeds %llu %s%s%.253s, more than is left for namespace %.253s: all documents "
		"together may need %llu",
		outcome(o, severity), (unsigned long long)((o->n + l->unit - 1) / l->unit), l->what,
		o->host ? o->where : "", o->host ? o->host : "", o->ns,
		(unsigned long long)(l->most / l->unit));
}

/* Reduces the demand of a document. */
static void give_back(struct mt_demands *d, struct account *own, struct object *o, uint64_t n)
{
	own->all -= n;
	own->old -= o->old ? n : 0;
	d->total -= n;
	o->n -= n;
}

/* Decisions about bytes, in mt_memory_verdicts.of. */
static char closed_before, refused_before;

/* Notes a decision for later builds, which would else find it out by the same long way. */
static void remember(const struct limit *l, const struct object *o, char *what)
{
	struct mt_memory_verdicts *v = &l->b->conf->memory;
	const struct object *steps = mt_idmap_get(&l->b->work.of[MT_WORK_STEPS].objects, o->id);

	if (l->kind != MT_WORK_BYTES)
		return;
	if (mt_idmap_put(&v->of, o->id, what))
		l->b->tmp.failed = true;
	/* The next build does not have it. */
	if (what == &refused_before && steps)
		v->steps -= MT_MIN(v->steps, steps->n);
}

static void refuse(const struct limit *l, struct account *own, struct object *o)
{
	tell(l, o, MT_DIAG_ERROR);
	remember(l, o, &refused_before);
	give_back(l->d, own, o, o->n);
	o->refused = true;
	l->b->work.over = true;
}

/* Reduces the demand of a service or rule that is closed. */
static void close_in(struct mt_demands *d, const struct object *of)
{
	struct account *own = mt_strmap_get(&d->accounts, of->ns);
	struct object *o = mt_idmap_get(&d->objects, of->id);

	if (own && o && o->n > o->least)
		give_back(d, own, o, o->n - o->least);
}

static void close_object(const struct limit *l, const struct object *o)
{
	struct mt_work *w = &l->b->work;

	tell(l, o, MT_DIAG_CLOSED);
	for (int i = 0; i < MT_WORK_KINDS; i++)
		close_in(&w->of[i], o);
	if (mt_idmap_put(&w->closed, o->id, l->b))
		l->b->tmp.failed = true;
	remember(l, o, &closed_before);
}

/* True if closing it leaves little enough of its demand. */
static bool may_close(const struct limit *l, const struct object *o)
{
	if (!o->closable || o->n <= o->least || (l->b->work.fixed && !o->late))
		return false;
	return o->host || o->old || (!o->replaces && o->least <= o->n / CLOSED_PART);
}

/*
 * Closes or refuses a document. What can be closed and is in force is refused by reduce() only, and
 * what is too much at one host never is.
 */
static void cut(const struct limit *l, struct account *own, struct object *o)
{
	if (may_close(l, o))
		close_object(l, o);
	else if (!o->host && (!o->old || !o->closable))
		refuse(l, own, o);
}

/* Documents at hosts of other namespaces first, then the largest. */
static int by_size(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	if (!(*x)->host != !(*y)->host)
		return (*x)->host ? -1 : 1;
	return ((*x)->n < (*y)->n) - ((*x)->n > (*y)->n);
}

/* Cuts new documents of a namespace, or those in force, until it demands `most`. */
static void reduce(const struct limit *l, struct account *own, uint64_t most, bool old)
{
	struct object **v = mt_region_alloc(&l->b->tmp, sizeof(struct object *) * own->n);
	uint32_t n = 0;

	for (struct object *o = own->objects; v && o; o = o->next)
		if (!o->refused && o->old == old)
			v[n++] = o;
	if (n > 1)
		qsort(v, n, sizeof(struct object *), by_size);
	for (uint32_t i = 0; i < n && own->all > most; i++)
		cut(l, own, v[i]);
	/* Services that need too much even if they are closed; a closed rule needs nothing. */
	for (uint32_t i = 0; i < n && own->all > most && !l->b->work.fixed; i++)
		if (!v[i]->refused && v[i]->n)
			refuse(l, own, v[i]);
}

static void reduce_all(const struct limit *l, uint64_t level, kept_fn *kept, bool old)
{
	struct account *own;
	uint32_t pos = 0;

	while ((own = mt_strmap_next(&l->d->accounts, &pos, NULL)) != NULL) {
		uint64_t most = kept(own, level);

		if (own->all > most)
			reduce(l, own, most, old);
	}
}

/*
 * Documents in force may need less without the new ones that are refused: the next build decides
 * about them. They stay as they are if the closed ones leave enough.
 */
static void share(const struct limit *l, uint64_t least, kept_fn *kept)
{
	uint64_t level = find_level(l, least, kept);

	reduce_all(l, level, kept, false);
	if (!l->b->work.over && l->d->total > l->most)
		reduce_all(l, level, kept, true);
}

static void settle(const struct limit *l)
{
	uint32_t n = l->d->accounts.n;

	if (l->d->total <= l->most || !n)
		return;
	find_held(l);
	share(l, l->part / n, with_held);
	if (l->d->total > l->most && !l->b->work.over)
		share(l, 0, of_all);
}

void mt_b_settle_work(struct mt_build *b)
{
	const struct limit limits[] = {
		{b, MT_WORK_STEPS, &b->work.of[MT_WORK_STEPS], mt_conf_steps, 1000,
			mt_conf_steps / FLOOR_PART, "thousand steps of work"},
		{b, MT_WORK_CLUSTERS, &b->work.of[MT_WORK_CLUSTERS], mt_conf_clusters, 1, 0,
			"clusters"},
		{b, MT_WORK_SERVICES, &b->work.of[MT_WORK_SERVICES], mt_conf_services, 1, 0,
			"terminated ports"},
		{b, MT_WORK_ENDPOINTS, &b->work.of[MT_WORK_ENDPOINTS], mt_conf_endpoints, 1,
			mt_conf_endpoints / FLOOR_PART, "endpoints of clusters"}};

	/* Documents that are refused for one limit may leave enough of the other. */
	for (size_t i = 0; i < MT_ARRAY_LEN(limits) && !b->work.over; i++)
		settle(&limits[i]);
}

/* If documents in force need too much, settling again helps only after this part of the steps. */
#define GROWTH_PART 64

void mt_b_settle_growth(struct mt_build *b)
{
	uint64_t total = b->work.of[MT_WORK_STEPS].total;

	if (b->work.over || total <= MT_MAX(mt_conf_steps, b->work.settled))
		return;
	b->work.settled = total + mt_conf_steps / GROWTH_PART;
	mt_b_settle_work(b);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Memory for the report of a build without memory. */
#define ROOM_TO_REPORT (64u << 20)
/* A namespace with less than this part of the memory of a build cannot have filled it. */
#define PAYER_PART 64
/* Each further build without memory leaves half of what the one before did. */
#define BUILDS_MOST 4

#define MEMORY_REMEDY "write fewer policies, rules or conditions"

static size_t bytes_used(const struct mt_build *b)
{
	return b->tmp.used + b->snap->region.used;
}

const struct mt_meta *mt_b_pay(struct mt_build *b, const struct mt_meta *meta)
{
	struct mt_work *w = &b->work;
	const struct mt_meta *before = w->payer;
	uint64_t taken = bytes_used(b) - w->mark;
	bool failed = b->tmp.failed || b->snap->region.failed;

	/* Documents after the one that found no memory take less than they need. */
	if (failed && !w->full)
		b->tmp.limit += ROOM_TO_REPORT;
	if (before && !w->full)
		mt_b_want(b, MT_WORK_BYTES, before, taken, MEMORY_REMEDY);
	w->full |= failed;
	w->payer = meta;
	w->mark = bytes_used(b);
	return before;
}

/*
 * Adds what the other objects of a namespace would have taken: as many bytes for each step as those
 * of their kind that were compiled before memory ended. So few builds suffice to find those that
 * fit.
 */
static void project(struct mt_build *b, const struct account *own)
{
	const struct mt_demands *bytes = &b->work.of[MT_WORK_BYTES];
	const struct object *most = NULL, *in_bytes;
	uint64_t taken = 0, steps = 0;

	for (const struct object *o = own->objects; o; o = o->next) {
		in_bytes = mt_idmap_get(&bytes->objects, o->id);
		if (!in_bytes)
			continue;
		taken += in_bytes->n;
		steps += o->n;
		most = most && most->n >= in_bytes->n ? most : in_bytes;
	}
	for (const struct object *o = own->objects; most && o; o = o->next)
		if (!o->host && !mt_idmap_get(&bytes->objects, o->id) &&
			strcmp(o->meta->kind, most->meta->kind) == 0)
			mt_b_want(b, MT_WORK_BYTES, o->meta,
				o->n * taken / MT_MAX(steps, UINT64_C(1)), most->remedy);
}

/* Services can be closed for their bytes, too. If that was not enough, they are refused. */
static void find_closable(struct mt_build *b, const struct account *own)
{
	for (struct object *o = own->objects; o; o = o->next) {
		const struct object *of = mt_idmap_get(&b->work.of[MT_WORK_STEPS].objects, o->id);

		o->closable = of && of->closable && !of->host &&
			      !mt_idmap_get(&b->conf->memory.of, o->id);
	}
}

const char *mt_b_most_memory(const struct mt_build *b, uint64_t *bytes)
{
	const struct mt_demands *d = &b->work.of[MT_WORK_BYTES];
	const struct account *own;
	const char *ns, *most = "";
	uint32_t pos = 0;

	*bytes = 0;
	while ((own = mt_strmap_next(&d->accounts, &pos, &ns)) != NULL)
		if (own->all > *bytes) {
			*bytes = own->all;
			most = ns;
		}
	return most;
}

/*
 * Most of the memory may have been taken where nothing is charged. Then the namespaces with the
 * largest charges are reduced until half of the charges is left: otherwise the load would fail for
 * all.
 */
static void settle_bytes(struct limit *l)
{
	uint64_t most;

	(void)mt_b_most_memory(l->b, &most);
	if (l->d->total <= l->most && most < mt_conf_memory / PAYER_PART)
		return;
	if (l->d->total <= l->most)
		l->most = l->d->total / 2;
	l->part = l->most / FLOOR_PART;
	settle(l);
}

enum mt_memory_verdict mt_b_settle_memory(struct mt_build *b)
{
	struct mt_memory_verdicts *v = &b->conf->memory;
	/* Half of a region: either may be full, and memory that is not charged needs room as well. */
	struct limit l = {b, MT_WORK_BYTES, &b->work.of[MT_WORK_BYTES],
		mt_conf_memory / 2 >> v->builds, 1u << 20, 0, "MiB of memory"};
	const struct account *own;
	uint32_t pos = 0, n = v->of.n;

	(void)mt_b_pay(b, NULL);
	if (v->builds++ == BUILDS_MOST) {
		v->builds = 0;
		return MT_MEMORY_FAILED;
	}
	b->tmp.failed = false;
	b->work.fixed = b->work.over = false;
	v->steps = b->work.demanded;
	while ((own = mt_strmap_next(&b->work.of[MT_WORK_STEPS].accounts, &pos, NULL)) != NULL)
		project(b, own);
	for (pos = 0; (own = mt_strmap_next(&l.d->accounts, &pos, NULL)) != NULL;)
		find_closable(b, own);
	settle_bytes(&l);
	if (b->work.over)
		return MT_MEMORY_REFUSED;
	return v->of.n > n ? MT_MEMORY_CLOSED : MT_MEMORY_FAILED;
}

static void close_remembered(struct mt_build *b, struct object *o)
{
	mt_b_verdict(b, MT_DIAG_CLOSED, o->meta, MEMORY_REMEDY,
		"closed, without endpoints and subsets: no memory was left to compile it, because "
		"namespace %.253s took most",
		o->ns);
	for (int i = 0; i < MT_WORK_KINDS; i++)
		close_in(&b->work.of[i], o);
	if (mt_idmap_put(&b->work.closed, o->id, b))
		b->tmp.failed = true;
}

static void decide_again(struct mt_build *b, const struct account *own)
{
	for (struct object *o = own->objects; o; o = o->next) {
		const char *what = o->host ? NULL : mt_idmap_get(&b->conf->memory.of, o->id);

		if (what == &closed_before && o->closable)
			close_remembered(b, o);
		if (what != &refused_before)
			continue;
		mt_b_verdict(b, MT_DIAG_ERROR, o->meta, MEMORY_REMEDY,
			"no memory was left to compile it, because namespace %.253s took most",
			o->ns);
		o->refused = b->work.over = true;
	}
}

void mt_b_decide_again(struct mt_build *b)
{
	const struct mt_demands *d = &b->work.of[MT_WORK_STEPS];
	struct mt_memory_verdicts *v = &b->conf->memory;
	const struct account *own;
	uint32_t pos = 0;

	b->work.demanded = d->total;
	if (d->total < v->steps / 4 * 3)
		mt_idmap_clear(&v->of);
	while (v->of.n && (own = mt_strmap_next(&d->accounts, &pos, NULL)) != NULL)
		decide_again(b, own);
}

void mt_b_work_fini(struct mt_build *b)
{
	for (int i = 0; i < MT_WORK_KINDS; i++) {
		mt_strmap_fini(&b->work.of[i].accounts);
		mt_idmap_fini(&b->work.of[i].objects);
	}
	mt_idmap_fini(&b->work.lists);
	mt_idmap_fini(&b->work.counters);
	mt_idmap_fini(&b->work.subsets);
	mt_idmap_fini(&b->work.tables);
	mt_idmap_fini(&b->work.found);
	mt_idmap_fini(&b->work.sets);
	mt_idmap_fini(&b->work.closed);
	mt_idmap_fini(&b->work.held);
}
