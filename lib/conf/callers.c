/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims of workloads to addresses, service accounts and namespaces, and the table that workers
 * read, which follows from them. Without memory a claim has no effect, so its callers are unknown.
 */
#include "mt_conf_callers_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An account with more workloads keeps the labels that they shared when one of them goes. */
#define MEMBERS_COMPARED 64u
/* Workloads that claim an address: more are only counted, and the address stays unknown. */
#define CLAIMS_MAX 8u
/* Sources that are limited to namespaces get new places while fewer are taken. */
#define LIMITED_MAX (MT_CALLERS_MAX / 2)

/* The labels of a namespace: the namespace alone. */
struct space {
	struct mt_caller_node node; /* mt_caller_namespace() */
	uint32_t refs;		    /* workloads with a claim */
	struct mt_caller_labels *as;
};

struct account {
	struct mt_caller_node node;  /* mt_caller_account() */
	struct mt_list members;	     /* struct member */
	uint32_t n;		     /* members */
	struct mt_caller_labels *as; /* labels that all have; NULL: none, or no memory */
};

/* A workload of an account. */
struct member {
	struct mt_caller_node node;
	struct mt_list in;
	uint32_t refs; /* claims */
	struct mt_caller_labels *of;
};

/* Claims of one rank. */
struct claims {
	uint32_t n, lost; /* claims in `v`; those that are only counted */
	struct {
		uint64_t id, account;
		uint32_t refs;
	} v[CLAIMS_MAX];
};

/* An address that several workloads claim. */
struct dispute {
	struct mt_caller_node node; /* the address */
	/* Apart, so that many claims of one rank leave room for those that precede them. */
	struct claims of[MT_CALLER_RANKS];
};

int mt_callers_init(struct mt_callers *c)
{
	c->table = calloc(1, sizeof(*c->table));
	return c->table ? 0 : -ENOMEM;
}

/* ---- labels ---------------------------------------------------------------------------------- */

struct mt_caller_labels *mt_caller_labels_find(const struct mt_callers *c, uint64_t id)
{
	return mt_caller_map_get(&c->labels, id);
}

struct mt_caller_labels *mt_caller_labels_get(
	struct mt_callers *c, uint64_t id, const struct mt_peer *p)
{
	struct mt_caller_labels *l = mt_caller_labels_find(c, id);

	if (l) {
		l->refs++;
		return l;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->node.key = id;
	l->refs = 1;
	l->peer = mt_peer_copy(p);
	if (!l->peer || !mt_caller_map_add(&c->labels, &l->node)) {
		free(l->peer);
		free(l);
		return NULL;
	}
	return l;
}

static void free_labels(struct mt_caller_labels *l)
{
	free(l->peer);
	free(l);
}

void mt_caller_labels_put(struct mt_callers *c, struct mt_caller_labels *l)
{
	if (!l || --l->refs)
		return;
	mt_caller_map_del(&c->labels, &l->node);
	free_labels(l);
}

/* The place of an account or a namespace. `as` NULL: nothing is known. */
static void set_place(struct mt_callers *c, uint64_t key, const struct mt_caller_labels *as)
{
	struct mt_caller_place *p = mt_caller_place(c->table, key, true);

	if (p)
		mt_caller_set(p, as ? as->node.key : 0, 0);
}

static void clear_place(struct mt_callers *c, uint64_t key)
{
	struct mt_caller_place *p = mt_caller_place(c->table, key, false);

	if (p)
		mt_caller_give_up(c->table, p);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static uint64_t space_key(const char *ns)
{
	return mt_caller_namespace(ns, strlen(ns));
}

static void enter_space(struct mt_callers *c, const char *ns)
{
	const struct mt_peer p = {.label = {[MT_PEER_NAMESPACE] = ns}};
	struct space *s = mt_caller_map_get(&c->namespaces, space_key(ns));
	uint64_t id = mt_peer_id(&p);

	if (s) {
		s->refs++;
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->node.key = space_key(ns);
	s->refs = 1;
	if (!mt_caller_map_add(&c->namespaces, &s->node)) {
		free(s);
		return;
	}
	s->as = id ? mt_caller_labels_get(c, id, &p) : NULL;
	set_place(c, s->node.key, s->as);
}

static void leave_space(struct mt_callers *c, const char *ns)
{
	struct space *s = mt_caller_map_get(&c->namespaces, space_key(ns));

	if (!s || --s->refs)
		return;
	clear_place(c, s->node.key);
	mt_caller_labels_put(c, s->as);
	mt_caller_map_del(&c->namespaces, &s->node);
	free(s);
}

/* ---- accounts -------------------------------------------------------------------------------- */

static uint64_t member_key(uint64_t account, uint64_t id)
{
	return account ^ (id << 1 | id >> 63);
}

/* `p` may point to texts of the account's present labels. */
static void set_shared(struct mt_callers *c, struct account *a, const struct mt_peer *p)
{
	struct mt_caller_labels *old = a->as;
	uint64_t id = mt_peer_id(p);

	if (old && old->node.key == id)
		return;
	a->as = id ? mt_caller_labels_get(c, id, p) : NULL;
	mt_caller_labels_put(c, old);
	set_place(c, a->node.key, a->as);
}

/* By all members. */
static void share(struct mt_callers *c, struct account *a)
{
	struct mt_peer all = *mt_list_entry(a->members.next, struct member, in)->of->peer;
	struct mt_list *n;

	mt_list_foreach (n, &a->members)
		mt_peer_share(&all, mt_list_entry(n, struct member, in)->of->peer);
	set_shared(c, a, &all);
}

static struct account *account_of(struct mt_callers *c, uint64_t key)
{
	struct account *a = mt_caller_map_get(&c->accounts, key);

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->node.key = key;
	mt_list_init(&a->members);
	if (!mt_caller_map_add(&c->accounts, &a->node)) {
		free(a);
		return NULL;
	}
	return a;
}

static void drop_account(struct mt_callers *c, struct account *a)
{
	clear_place(c, a->node.key);
	mt_caller_labels_put(c, a->as);
	mt_caller_map_del(&c->accounts, &a->node);
	free(a);
}

/* True if there is room for an account or address that only this claim names. */
static bool may_add(const struct mt_callers *c, const struct mt_caller_claim *x)
{
	return x->rank != MT_CALLER_OF_LIMITED || c->table->n < LIMITED_MAX;
}

static void join_account(struct mt_callers *c, const struct mt_caller_claim *x)
{
	uint64_t key = member_key(x->account, x->of->node.key);
	struct member *m = mt_caller_map_get(&c->members, key);
	struct account *a;
	struct mt_peer all;

	if (m) {
		m->refs++;
		return;
	}
	if (!may_add(c, x))
		return;
	a = account_of(c, x->account);
	m = a ? calloc(1, sizeof(*m)) : NULL;
	if (m) {
		m->node.key = key;
		m->refs = 1;
		m->of = x->of;
	}
	if (!m || !mt_caller_map_add(&c->members, &m->node)) {
		free(m);
		if (a && !a->n)
			drop_account(c, a);
		return;
	}
	m->of->refs++;
	mt_list_add_tail(&a->members, &m->in);
	a->n++;
	if (a->n == 1)
		share(c, a);
	/* They already share nothing. */
	if (a->n == 1 || !a->as)
		return;
	all = *a->as->peer;
	mt_peer_share(&all, m->of->peer);
	set_shared(c, a, &all);
}

static void quit_account(struct mt_callers *c, const struct mt_caller_claim *x)
{
	struct member *m = mt_caller_map_get(&c->members, member_key(x->account, x->of->node.key));
	struct account *a = mt_caller_map_get(&c->accounts, x->account);

	if (!m || !a || --m->refs)
		return;
	mt_caller_map_del(&c->members, &m->node);
	mt_list_del(&m->in);
	a->n--;
	if (!a->n)
		drop_account(c, a);
	else if (a->n <= MEMBERS_COMPARED)
		share(c, a);
	mt_caller_labels_put(c, m->of);
	free(m);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* The claims that decide; NULL: there are none. */
static const struct claims *best_of(const struct dispute *d)
{
	for (uint32_t i = 0; i < MT_CALLER_RANKS; i++)
		if (d->of[i].n || d->of[i].lost)
			return &d->of[i];
	return NULL;
}

/* True if the dispute has several claims, or some that are only counted. */
static bool lasts(const struct dispute *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MT_CALLER_RANKS; i++) {
		if (d->of[i].lost)
			return true;
		n += d->of[i].n;
	}
	return n > 1;
}

/* Ends the dispute if at most one claim is left. */
static void settle(struct mt_callers *c, struct mt_caller_place *p, struct dispute *d)
{
	const struct claims *best = best_of(d);
	bool one = best && best->n == 1 && !best->lost;

	mt_caller_set(p, one ? best->v[0].id : 0, one ? best->v[0].account : 0);
	if (lasts(d))
		return;
	p->several = 0;
	p->refs = one ? best->v[0].refs : 0;
	p->rank = one ? (uint32_t)(best - d->of) : 0;
	if (!one)
		mt_caller_give_up(c->table, p);
	mt_caller_map_del(&c->disputes, &d->node);
	free(d);
}

static uint32_t claim_in(const struct claims *of, const struct mt_caller_claim *x)
{
	uint32_t i = 0;

	while (i < of->n && (of->v[i].id != x->of->node.key || of->v[i].account != x->account))
		i++;
	return i;
}

static void dispute(struct mt_callers *c, struct mt_caller_place *p, struct dispute *d,
	const struct mt_caller_claim *x)
{
	struct claims *of = &d->of[x->rank];
	uint32_t i = claim_in(of, x);

	if (i == CLAIMS_MAX) {
		of->lost++;
	} else if (i < of->n) {
		of->v[i].refs++;
	} else {
		of->v[i].id = x->of->node.key;
		of->v[i].account = x->account;
		of->v[i].refs = 1;
		of->n++;
	}
	settle(c, p, d);
}

/* NULL: no memory. */
static struct dispute *new_dispute(struct mt_callers *c, struct mt_caller_place *p)
{
	struct dispute *d = calloc(1, sizeof(*d));
	struct claims *of;

	if (!d)
		return NULL;
	d->node.key = p->key;
	of = &d->of[p->rank];
	of->n = 1;
	of->v[0].id = p->id;
	of->v[0].account = p->account;
	of->v[0].refs = p->refs;
	if (!mt_caller_map_add(&c->disputes, &d->node)) {
		free(d);
		return NULL;
	}
	p->several = 1;
	return d;
}

static bool is_its_own(const struct mt_caller_place *p, const struct mt_caller_claim *x)
{
	return p->id == x->of->node.key && p->account == x->account && p->rank == x->rank;
}

static void add_at(struct mt_callers *c, const struct mt_caller_claim *x)
{
	struct mt_caller_place *p = mt_caller_place(c->table, x->address, may_add(c, x));
	struct dispute *d = NULL;

	if (!p) {
		c->unplaced++;
		return;
	}
	if (!p->refs && !p->several) {
		p->refs = 1;
		p->rank = x->rank;
		mt_caller_set(p, x->of->node.key, x->account);
		return;
	}
	if (!p->several && is_its_own(p, x)) {
		p->refs++;
		return;
	}
	d = p->several ? mt_caller_map_get(&c->disputes, x->address) : new_dispute(c, p);
	if (d)
		dispute(c, p, d, x);
	else
		c->unplaced++;
}

static void withdraw(struct mt_callers *c, struct mt_caller_place *p, struct dispute *d,
	const struct mt_caller_claim *x)
{
	struct claims *of = &d->of[x->rank];
	uint32_t i = claim_in(of, x);

	if (i == of->n)
		of->lost -= of->lost > 0;
	else if (--of->v[i].refs == 0)
		of->v[i] = of->v[--of->n];
	settle(c, p, d);
}

static void remove_at(struct mt_callers *c, const struct mt_caller_claim *x)
{
	struct mt_caller_place *p = mt_caller_place(c->table, x->address, false);

	if (p && p->several) {
		withdraw(c, p, mt_caller_map_get(&c->disputes, x->address), x);
	} else if (p && is_its_own(p, x)) {
		if (--p->refs == 0)
			mt_caller_give_up(c->table, p);
	} else if (c->unplaced) {
		c->unplaced--;
	}
}

/* ---- claims ---------------------------------------------------------------------------------- */

void mt_caller_add(struct mt_callers *c, const struct mt_caller_claim *x)
{
	const char *ns = x->of->peer->label[MT_PEER_NAMESPACE];

	x->of->refs++;
	if (!x->of->claims++ && ns)
		enter_space(c, ns);
	if (x->account)
		join_account(c, x);
	add_at(c, x);
}

void mt_caller_remove(struct mt_callers *c, const struct mt_caller_claim *x)
{
	const char *ns = x->of->peer->label[MT_PEER_NAMESPACE];

	remove_at(c, x);
	if (x->account)
		quit_account(c, x);
	if (!--x->of->claims && ns)
		leave_space(c, ns);
	mt_caller_labels_put(c, x->of);
}

static void free_all(struct mt_caller_map *m, void (*fn)(struct mt_caller_node *))
{
	for (uint32_t i = 0; i < m->cap; i++)
		for (struct mt_caller_node *n = m->v[i], *next; n; n = next) {
			next = n->next;
			fn(n);
		}
	free(m->v);
	*m = (struct mt_caller_map){0};
}

static void free_node(struct mt_caller_node *n)
{
	free(n);
}

static void free_labels_node(struct mt_caller_node *n)
{
	free_labels(mt_container_of(n, struct mt_caller_labels, node));
}

void mt_callers_fini(struct mt_callers *c)
{
	free_all(&c->members, free_node);
	free_all(&c->accounts, free_node);
	free_all(&c->namespaces, free_node);
	free_all(&c->disputes, free_node);
	free_all(&c->labels, free_labels_node);
	free(c->table);
	c->table = NULL;
}
