/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which workloads have which addresses. Documents: WorkloadEntries, Pods and endpoints in
 * ServiceEntries, whether or not a service has them. Discovery servers: the endpoints of clusters.
 * Rows of unchanged documents are taken over from the snapshot before, and unchanged clusters are
 * the same, so a publish claims only what it changes. From then on lib/conf has the rows alone, so
 * that snapshots that clients still hold do not keep the names of workloads that are gone.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_credential.h"
#include "mt_meant.h"
#include "mt_x509.h"

#include <stdio.h>
#include <string.h>

/* How far ahead the rows of a document are looked for, because others were removed. */
#define AHEAD 64u

struct mt_caller_row {
	uint64_t serial; /* of its document */
	uint64_t address, account;
	struct mt_caller_labels *of; /* held */
	enum mt_caller_rank rank;
};

struct mt_caller_rows {
	uint32_t refs, n;
	struct mt_caller_row v[]; /* in the order of the documents */
};

void mt_caller_rows_put(struct mt_conf *c, struct mt_caller_rows *r)
{
	if (!r || --r->refs)
		return;
	for (uint32_t i = 0; i < r->n; i++)
		mt_caller_labels_put(&c->callers, r->v[i].of);
	free(r);
}

/* ---- rows of a build ------------------------------------------------------------------------- */

struct gather {
	struct mt_build *b;
	const struct mt_caller_rows *old; /* NULL: none */
	/* NULL: until now, the rows are the first `n` of `old` */
	struct mt_caller_rows *to;
	uint32_t n, room;
	uint32_t at; /* in `old`: after the row that was taken last */
};

static bool make_room(struct gather *g, uint32_t room)
{
	struct mt_caller_rows *to;

	if (g->to && room <= g->room)
		return true;
	room += room / 2 + 16;
	to = realloc(g->to, sizeof(*to) + sizeof(to->v[0]) * room);
	if (!to) {
		g->b->tmp.failed = true;
		return false;
	}
	if (!g->to) {
		*to = (struct mt_caller_rows){.refs = 1};
		for (; to->n < g->n; to->n++) {
			to->v[to->n] = g->old->v[to->n];
			to->v[to->n].of->refs++;
		}
	}
	g->to = to;
	g->room = room;
	return true;
}

/* Takes over the reference to the labels. */
static void push(struct gather *g, const struct mt_caller_row *row)
{
	if (!make_room(g, g->n + 1)) {
		mt_caller_labels_put(&g->b->conf->callers, row->of);
		return;
	}
	g->to->v[g->to->n++] = *row;
	g->n++;
}

static bool is_row_of(const struct gather *g, uint32_t at, uint64_t serial)
{
	return at < g->old->n && g->old->v[at].serial == serial;
}

static enum mt_caller_rank rank_of(const struct gather *g, const struct mt_meta *of)
{
	return mt_model_is_limited(g->b->model, of) ? MT_CALLER_OF_LIMITED : MT_CALLER_OF_DOCUMENT;
}

/* Takes over the rows of a document. False: it is a new one, or its source is limited now. */
static bool has_rows(struct gather *g, const struct mt_meta *of)
{
	uint32_t at = g->at, end;

	if (!g->old || !of->serial)
		return false;
	end = MT_MIN(g->old->n, at + AHEAD);
	while (at < end && g->old->v[at].serial != of->serial)
		at++;
	if (at == end || g->old->v[at].rank != rank_of(g, of))
		return false;
	for (; is_row_of(g, at, of->serial); at++) {
		if (!g->to && at == g->n) {
			g->n++;
			continue;
		}
		g->old->v[at].of->refs++;
		push(g, &g->old->v[at]);
	}
	g->at = at;
	return true;
}

static void add(struct gather *g, const struct mt_meta *by, const struct mt_addr *a,
	const struct mt_peer *p)
{
	const char *ns = p->label[MT_PEER_NAMESPACE], *account = p->label[MT_PEER_ACCOUNT];
	struct mt_callers *c = &g->b->conf->callers;
	struct mt_caller_row row = {
		.serial = by->serial, .address = mt_caller_address(a), .rank = rank_of(g, by)};
	uint64_t id = mt_peer_id(p);

	if (ns && account)
		row.account = mt_caller_account(ns, strlen(ns), account, strlen(account));
	if (!id)
		return;
	row.of = mt_caller_labels_get(c, id, p);
	if (row.of)
		push(g, &row);
	else
		g->b->tmp.failed = true;
}

/* ---- documents ------------------------------------------------------------------------------- */

/* A name, or the SPIFFE id of an account of the workload's own namespace. NULL: neither. */
static const char *account_of(const struct mt_text *t, const char *ns)
{
	const char *account = t->s;
	char own[512];

	if (account && strncmp(account, MT_SPIFFE, strlen(MT_SPIFFE)) == 0) {
		snprintf(own, sizeof(own), "/ns/%s/sa/", ns);
		account = strstr(account + strlen(MT_SPIFFE), own);
		account = account ? account + strlen(own) : NULL;
	}
	return account && *account && !strchr(account, '/') ? account : NULL;
}

static void add_workload(struct gather *g, const struct mt_meta *of, const struct mt_workload *w)
{
	struct mt_peer p = mt_peer_of(of->name, of->ns, w->labels_unknown ? NULL : &w->labels);

	p.label[MT_PEER_ACCOUNT] = account_of(&w->service_account, of->ns);
	if (!mt_addr_is_zero(&w->address))
		add(g, of, &w->address, &p);
}

/* Those that stand for a Pod have its address, and the Pod has rows itself. */
static void add_entry(struct gather *g, const struct mt_workload_entry *e)
{
	if (!e->w.pod && !mt_addr_is_zero(&e->w.address) && !has_rows(g, &e->meta))
		add_workload(g, &e->meta, &e->w);
}

static void add_inline(struct gather *g, const struct mt_service_entry *se)
{
	bool any = false;

	for (uint32_t i = 0; i < se->n_endpoints && !se->kubernetes && !any; i++)
		any = !mt_addr_is_zero(&se->endpoints[i].address);
	if (!any || has_rows(g, &se->meta))
		return;
	for (uint32_t i = 0; i < se->n_endpoints; i++)
		add_workload(g, &se->meta, &se->endpoints[i]);
}

static void add_pod_address(struct gather *g, const struct mt_kube_pod *pod, const char *ip,
	const struct mt_peer *p, struct mt_addr *last)
{
	struct mt_addr a;

	if (!ip || mt_addr_parse(ip, &a) || mt_addr_is_zero(&a) || mt_addr_eq(&a, last))
		return;
	*last = a;
	add(g, &pod->meta, &a, p);
}

/* The address of a Pod in the host's network is the host's; one that has ended may be another's. */
static void add_pod(struct gather *g, const struct mt_kube_pod *pod)
{
	static const struct mt_text unset = {.s = "default"};
	const struct mt_text *account = &pod->spec.service_account;
	const struct mt_kube_pod_status *s = &pod->status;
	struct mt_addr last = {0};
	struct mt_peer p;

	if (!s->ip.s || pod->spec.host_network.v || mt_kube_pod_has_ended(pod) ||
		has_rows(g, &pod->meta))
		return;
	p = mt_b_pod_peer(g->b, &pod->meta, &pod->meta.labels);
	p.label[MT_PEER_ACCOUNT] =
		account_of(account->s && *account->s ? account : &unset, pod->meta.ns);
	add_pod_address(g, pod, s->ip.s, &p, &last);
	for (uint32_t i = 0; i < s->n_ips; i++)
		add_pod_address(g, pod, s->ips[i].ip.s, &p, &last);
}

/* The parts of principals. */
static void note_mesh(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;
	const char *domains[MT_B_DOMAINS];
	struct mt_credential_leaf own = {.principal = ""};

	(void)mt_b_trust_domains(b, domains);
	if (b->conf->identity)
		(void)mt_credential_leaf(b->conf->identity, &own);
	s->trust_domain = mt_region_strdup(&b->snap->region, domains[0]);
	s->principal = *own.principal ? mt_region_strdup(&b->snap->region, own.principal) : NULL;
}

void mt_b_callers(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	struct mt_conf *c = b->conf;
	struct gather g = {.b = b};

	b->snap->pub.callers = c->callers.table;
	if (!c->callers.table)
		return;
	note_mesh(b);
	g.old = c->callers.rows;
	for (uint32_t i = 0; i < m->workload_entries.n; i++)
		add_entry(&g, m->workload_entries.v[i]);
	for (uint32_t i = 0; i < m->pods.n; i++)
		add_pod(&g, m->pods.v[i]);
	for (uint32_t i = 0; i < m->service_entries.n; i++)
		add_inline(&g, m->service_entries.v[i]);
	if (!g.to && g.old && g.n == g.old->n) {
		b->snap->callers = c->callers.rows;
		b->snap->callers->refs++;
		return;
	}
	/* Fewer than before, or none at all. */
	if (g.n && !g.to)
		(void)make_room(&g, g.n);
	b->snap->callers = g.to;
}

/* ---- publish --------------------------------------------------------------------------------- */

static uint32_t count_of(const struct mt_caller_rows *r)
{
	return r ? r->n : 0;
}

static bool is_same_row(const struct mt_caller_row *a, const struct mt_caller_row *b)
{
	return a->address == b->address && a->account == b->account && a->of == b->of &&
	       a->rank == b->rank;
}

static struct mt_caller_claim claim_of(const struct mt_caller_row *r)
{
	return (struct mt_caller_claim){r->address, r->account, r->of, r->rank};
}

/* First what is new, so that what only moved in the lists never ends. */
static void claim_rows(struct mt_callers *c, struct mt_caller_rows *r)
{
	uint32_t first = 0, old = count_of(c->rows), new_ = count_of(r);

	while (first < MT_MIN(old, new_) && is_same_row(&c->rows->v[first], &r->v[first]))
		first++;
	while (old > first && new_ > first && is_same_row(&c->rows->v[old - 1], &r->v[new_ - 1])) {
		old--;
		new_--;
	}
	for (uint32_t i = first; i < new_; i++) {
		const struct mt_caller_claim x = claim_of(&r->v[i]);

		mt_caller_add(c, &x);
	}
	for (uint32_t i = first; i < old; i++) {
		const struct mt_caller_claim x = claim_of(&c->rows->v[i]);

		mt_caller_remove(c, &x);
	}
}

/* The workload of an endpoint is unknown in a cluster with too many workloads. */
static uint32_t endpoints_of(const struct mt_shared_cluster *sc)
{
	return sc && sc->workloads && !sc->workloads->shared ? sc->c.n_eps : 0;
}

static uint64_t id_at(const struct mt_shared_cluster *sc, uint32_t i)
{
	return sc->workloads->ids[sc->workloads->of[i]];
}

static bool is_same_endpoint(const struct mt_shared_cluster *a, uint32_t i,
	const struct mt_shared_cluster *b, uint32_t k)
{
	return mt_addr_eq(&a->c.eps[i].addr, &b->c.eps[k].addr) && id_at(a, i) == id_at(b, k);
}

static void claim_endpoint(struct mt_callers *c, const struct mt_shared_cluster *sc, uint32_t i)
{
	uint64_t id = id_at(sc, i);
	struct mt_caller_claim x = {
		.address = mt_caller_address(&sc->c.eps[i].addr), .rank = MT_CALLER_OF_MESH};

	if (!id)
		return;
	x.of = mt_caller_labels_get(c, id, &sc->workloads->peers[sc->workloads->of[i]]);
	if (x.of)
		mt_caller_add(c, &x);
	mt_caller_labels_put(c, x.of);
}

static void give_up_endpoint(struct mt_callers *c, const struct mt_shared_cluster *sc, uint32_t i)
{
	uint64_t id = id_at(sc, i);
	const struct mt_caller_claim x = {.address = mt_caller_address(&sc->c.eps[i].addr),
		.of = id ? mt_caller_labels_find(c, id) : NULL,
		.rank = MT_CALLER_OF_MESH};

	if (x.of)
		mt_caller_remove(c, &x);
}

static void claim_cluster(struct mt_callers *c, const struct mt_shared_cluster *was,
	const struct mt_shared_cluster *is)
{
	uint32_t first = 0, old = endpoints_of(was), new_ = endpoints_of(is);

	while (first < MT_MIN(old, new_) && is_same_endpoint(was, first, is, first))
		first++;
	while (old > first && new_ > first && is_same_endpoint(was, old - 1, is, new_ - 1)) {
		old--;
		new_--;
	}
	for (uint32_t i = first; i < new_; i++)
		claim_endpoint(c, is, i);
	for (uint32_t i = first; i < old; i++)
		give_up_endpoint(c, was, i);
}

/* Clusters of discovery servers, which keep their places after those of documents. */
static void claim_clusters(
	struct mt_callers *c, const struct mt_snap *old, const struct mt_snap *new_)
{
	uint32_t n = new_->n_clusters - new_->n_doc_clusters;
	uint32_t n_old = old ? old->n_clusters - old->n_doc_clusters : 0;

	for (uint32_t i = 0; i < MT_MAX(n, n_old); i++) {
		const struct mt_shared_cluster
			*was = i < n_old ? old->clusters[old->n_doc_clusters + i] : NULL,
			*is = i < n ? new_->clusters[new_->n_doc_clusters + i] : NULL;

		if (was != is)
			claim_cluster(c, was, is);
	}
}

void mt_callers_publish(struct mt_conf *c, const struct mt_snap *old, struct mt_snap *new_)
{
	struct mt_callers *to = &c->callers;

	if (!to->table)
		return;
	claim_clusters(to, old, new_);
	if (to->rows != new_->callers)
		claim_rows(to, new_->callers);
	mt_caller_rows_put(c, to->rows);
	to->rows = new_->callers;
	new_->callers = NULL;
}
