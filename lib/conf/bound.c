/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of `side: workloads`: which addresses live there, and which principals policies know them
 * by. lib/net accepts an address of such a port there only, so that an address is as good as a
 * name. WorkloadEntries with the address give its principal.
 * Those of guests are bound to the port of all guests, after the Node's ports; their own entries
 * name them.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"

#include "mt_guests.h"
#include "mt_owned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_OWNERS   "keep one of them, or give them the same namespace and serviceAccount"
#define LIST_THEM     "list them under the port's `workloads`"
#define NO_ACCOUNT    "write its serviceAccount"
#define WHOSE_ADDRESS "lives on port %.31s, and policies know it by no principal: "

static const char two_owners[] = "two have the address";

/* ---- the node's ports ---------------------------------------------------------------------------- */

/* Those that it has; what the document says now of their devices and networks is for the next start. */
static const struct mt_node *node_of(const struct mt_build *b)
{
	return b->conf->started_as ? b->conf->started_as : b->model->node;
}

static bool is_of_workloads(const struct mt_node_port *p)
{
	return p->side.v == MT_SIDE_WORKLOADS;
}

bool mt_b_has_workload_ports(const struct mt_build *b)
{
	const struct mt_node *n = node_of(b);

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		if (is_of_workloads(&n->ports[i]))
			return true;
	return n && n->guests;
}

/* Who lives there is followed: as the document says now, unless it does not have the port any more. */
static const struct mt_node_port *as_written(const struct mt_build *b, const struct mt_node_port *p)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		if (is_of_workloads(&n->ports[i]) && n->ports[i].name.s && p->name.s &&
			strcmp(n->ports[i].name.s, p->name.s) == 0)
			return &n->ports[i];
	return p;
}

/* ---- what is written of them --------------------------------------------------------------------- */

static bool is_in_network(const struct mt_node_port *p, const struct mt_addr *a)
{
	for (uint32_t k = 0; k < p->n_addresses; k++)
		if (mt_prefix_contains(&p->addresses[k].addr, p->addresses[k].prefix, a))
			return true;
	return false;
}

/* Where the node's document binds an address before; NULL: nowhere. */
static const struct mt_node_bound *bound_before(
	const struct mt_node *n, uint32_t port, uint32_t k, const struct mt_addr *a)
{
	for (uint32_t i = 0; i <= port; i++)
		for (uint32_t j = 0; j < n->ports[i].n_workloads && (i < port || j < k); j++)
			if (mt_addr_eq(&n->ports[i].workloads[j].address, a))
				return &n->ports[i].workloads[j];
	return NULL;
}

static void check_one(struct mt_build *b, uint32_t i, uint32_t k)
{
	const struct mt_node *n = b->model->node;
	const struct mt_node_port *p = &n->ports[i];
	const struct mt_node_bound *w = &p->workloads[k];
	const struct mt_node_bound *before = bound_before(n, i, k, &w->address);
	char path[64];

	snprintf(path, sizeof(path), "spec.ports[%u].workloads[%u].address", i, k);
	if (mt_b_own_port(b, &w->address))
		mt_b_node_error(b, w->address_text.line, path, "write the workload's",
			"%.64s is the node's own address", w->address_text.s);
	else if (!is_in_network(p, &w->address))
		mt_b_node_error(b, w->address_text.line, path,
			"give the port an address of the workload's network",
			"%.64s is in no network of the port: its packets arrive through a router",
			w->address_text.s);
	else if (before)
		mt_b_node_error(b, w->address_text.line, path, "keep one of them",
			"%.64s is written twice, first on line %u", w->address_text.s,
			before->address_text.line);
}

/* What comes from beyond a router has the router's station, and an address that is not bound. */
static void check_routers(struct mt_build *b, const struct mt_node_port *p)
{
	const struct mt_node *n = b->model->node;
	char path[48];

	for (uint32_t i = 0; i < n->n_routes; i++) {
		const struct mt_node_route *r = &n->routes[i];

		snprintf(path, sizeof(path), "spec.routes[%u]", i);
		if (r->via_text.s && is_in_network(p, &r->via))
			mt_b_warn(b, &n->meta, r->via_text.line, path,
				"lead the route by a port of the network's side",
				"port %.31s is one of workloads: what comes from beyond a router "
				"there is dropped",
				p->name.s ? p->name.s : "?");
	}
}

void mt_b_bound_check(struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++) {
		for (uint32_t k = 0; k < n->ports[i].n_workloads; k++)
			check_one(b, i, k);
		if (is_of_workloads(&n->ports[i]))
			check_routers(b, &n->ports[i]);
	}
}

/* ---- which addresses ----------------------------------------------------------------------------- */

struct bindings {
	struct mt_build *b;
	const struct mt_node *n;
	struct mt_bound *v;
	uint32_t count;
	struct mt_addr lost, unclear; /* one of each; zero: there is none */
	uint32_t lost_at;
	struct mt_idmap first; /* the first entry of each address, by its place */
	/* addresses (mt_id_of_addr()) with entries of several namespaces */
	struct mt_idmap disputed;
	/* user_id() of such an address and a namespace with a service that has it as an endpoint */
	struct mt_idmap users;
	mt_b_place_fn *add;
};

#define NO_PORT UINT32_MAX
#define UNCLEAR (UINT32_MAX - 1)

/* Two have the same network. */
static uint32_t either(const struct bindings *x, uint32_t a, uint32_t b)
{
	if (a == b || a == UNCLEAR)
		return a;
	return is_of_workloads(&x->n->ports[a]) || is_of_workloads(&x->n->ports[b]) ? UNCLEAR : a;
}

/* Whose network it is, the smallest one's that has it. */
static uint32_t port_of(const struct bindings *x, const struct mt_addr *a)
{
	uint32_t best = NO_PORT;
	int bits = -1;

	for (uint32_t i = 0; i < x->n->n_ports; i++)
		for (uint32_t k = 0; k < x->n->ports[i].n_addresses; k++) {
			const struct mt_node_addr *net = &x->n->ports[i].addresses[k];

			if (!mt_prefix_contains(&net->addr, net->prefix, a) || net->prefix < bits)
				continue;
			best = net->prefix == bits ? either(x, best, i) : i;
			bits = net->prefix;
		}
	return best;
}

static struct mt_bound *add(
	struct bindings *x, const struct mt_addr *a, uint32_t port, const uint8_t *mac)
{
	struct mt_bound *to = mt_region_push(&x->b->tmp, (void **)&x->v, &x->count, sizeof(*x->v));

	if (!to)
		return NULL;
	*to = (struct mt_bound){.addr = *a, .port = (uint16_t)port, .has_mac = mac != NULL};
	if (mac)
		memcpy(to->mac, mac, sizeof(to->mac));
	return to;
}

/* Nobody has listed who lives there: what is called there does, and what says so itself. */
static void consider(struct bindings *x, const struct mt_addr *a)
{
	uint32_t port = mt_addr_is_zero(a) ? NO_PORT : port_of(x, a);

	if (port == UNCLEAR)
		x->unclear = *a;
	if (port >= UNCLEAR || !is_of_workloads(&x->n->ports[port]))
		return;
	if (!as_written(x->b, &x->n->ports[port])->workloads_set)
		(void)add(x, a, port, NULL);
}

static void gather(struct bindings *x)
{
	const struct mt_snapshot *s = &x->b->snap->pub;
	const struct mt_objs *entries = &x->b->model->workload_entries;

	for (uint32_t i = 0; i < x->n->n_ports; i++) {
		const struct mt_node_port *p = as_written(x->b, &x->n->ports[i]);

		for (uint32_t k = 0; is_of_workloads(&x->n->ports[i]) && k < p->n_workloads; k++)
			(void)add(x, &p->workloads[k].address, i,
				p->workloads[k].mac_text.s ? p->workloads[k].mac : NULL);
	}
	for (uint32_t i = 0; i < entries->n; i++)
		consider(x, &((const struct mt_workload_entry *)entries->v[i])->w.address);
	for (uint32_t i = 0; i < s->n_clusters; i++)
		for (uint32_t k = 0; k < s->clusters[i].n_eps; k++)
			consider(x, &s->clusters[i].eps[k].addr);
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

/* Each once; of one that is written for a port nobody else has said anything. */
static void sort(struct bindings *x)
{
	uint32_t kept = 0;

	if (x->count)
		qsort(x->v, x->count, sizeof(*x->v), by_address);
	for (uint32_t i = 0; i < x->count; i++)
		if (!kept || !mt_addr_eq(&x->v[kept - 1].addr, &x->v[i].addr))
			x->v[kept++] = x->v[i];
	x->count = kept;
}

static struct mt_bound *find(const struct bindings *x, const struct mt_addr *a)
{
	return x->count ? bsearch(a, x->v, x->count, sizeof(*x->v), by_address) : NULL;
}

/* ---- whose they are ------------------------------------------------------------------------------ */

/* "DOMAIN/ns/NAMESPACE/sa/ACCOUNT", of its own namespace only; NULL with *why. */
static const char *principal_of(
	struct mt_build *b, const struct mt_workload_entry *e, const char *domain, const char **why)
{
	const char *account = e->w.service_account.s, *own;

	*why = "it has no serviceAccount";
	if (!account || !*account)
		return NULL;
	own = mt_region_printf(&b->tmp, MT_SPIFFE "%s/ns/%s/sa/", domain, e->meta.ns);
	if (own && strncmp(account, own, strlen(own)) == 0)
		account += strlen(own);
	*why = "its serviceAccount is not one of its namespace";
	if (!*account || strchr(account, '/'))
		return NULL;
	return mt_region_printf(&b->tmp, "%s/ns/%s/sa/%s", domain, e->meta.ns, account);
}

/* The words of the object: it is what `show workloads` calls the owner. */
static const char *name_of(struct mt_build *b, const struct mt_workload_entry *e)
{
	return mt_region_printf(&b->tmp, "WorkloadEntry %s/%s", e->meta.ns, e->meta.name);
}

/* Binds the addresses of guests that are not refused, if the node has the port of guests. */
static void gather_guests(struct bindings *x)
{
	const struct mt_guests_found *all = x->b->guests;
	const char *domains[MT_B_DOMAINS];

	if (!all || !x->n->guests)
		return;
	(void)mt_b_trust_domains(x->b, domains);
	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_guest_of *g = &all->v[i];
		const char *why, *is = principal_of(x->b, g->entry, domains[0], &why);

		for (uint32_t k = 0; !g->refused && k < g->n_addresses; k++) {
			struct mt_bound *to = add(x, &g->addresses[k], x->n->n_ports, g->mac);

			if (!to)
				return;
			to->principal = is;
			to->by = name_of(x->b, g->entry);
			to->why = is ? NULL : why;
		}
	}
}

static void note(struct bindings *x, const struct mt_workload_entry *e, const struct mt_bound *at,
	const char *remedy, const char *why)
{
	mt_b_warn(x->b, &e->meta, e->w.address_text.line, "spec.address", remedy,
		WHOSE_ADDRESS "%s", x->n->ports[at->port].name.s, why);
}

static bool is_listed(const struct mt_node_port *p, const struct mt_addr *a)
{
	for (uint32_t k = 0; k < p->n_workloads; k++)
		if (mt_addr_eq(&p->workloads[k].address, a))
			return true;
	return false;
}

/* True if the address belongs to a port of workloads, if a WorkloadEntry has it (gather()). */
static bool is_of_port(const struct bindings *x, const struct mt_addr *a)
{
	uint32_t port = mt_addr_is_zero(a) ? NO_PORT : port_of(x, a);

	for (uint32_t i = 0; i < x->n->n_ports; i++)
		if (is_of_workloads(&x->n->ports[i]) &&
			is_listed(as_written(x->b, &x->n->ports[i]), a))
			return true;
	return port < UNCLEAR && is_of_workloads(&x->n->ports[port]) &&
	       !as_written(x->b, &x->n->ports[port])->workloads_set;
}

/* True for an entry that may give a workload its principal. Addresses of Pods change. */
static bool is_entry(const struct bindings *x, const struct mt_workload_entry *e)
{
	return !e->w.pod && !mt_b_is_wrong(x->b, &e->meta) && is_of_port(x, &e->w.address);
}

static uint64_t place_of(const struct mt_workload_entry *e)
{
	char text[MT_ADDR_STRLEN];

	return mt_place_of_workload(mt_addr_str(&e->w.address, text));
}

/*
 * Calls `fn` for each WorkloadEntry with the address of a port of workloads. `named`: only for
 * entries that give a principal; otherwise only for the others.
 */
static void each_entry(struct bindings *x, bool named,
	void (*fn)(struct bindings *, const struct mt_workload_entry *, uint64_t place))
{
	const struct mt_objs *entries = &x->b->model->workload_entries;
	const char *domains[MT_B_DOMAINS], *why;

	(void)mt_b_trust_domains(x->b, domains);
	for (uint32_t i = 0; i < entries->n; i++) {
		const struct mt_workload_entry *e = entries->v[i];

		if (is_entry(x, e) && (principal_of(x->b, e, domains[0], &why) != NULL) == named)
			fn(x, e, place_of(e));
	}
}

static void put(struct bindings *x, struct mt_idmap *m, uint64_t id, const void *value)
{
	if (mt_idmap_put(m, id, (void *)value))
		x->b->tmp.failed = true;
}

/* ---- which namespace gives an address its principal ------------------------------------------ */

static uint64_t user_id(const struct mt_addr *a, const char *ns)
{
	uint64_t id = mt_secret_hash_text(ns, mt_id_of_addr(a));

	return id ? id : 1;
}

static void note_dispute(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	const struct mt_workload_entry *first = mt_idmap_get(&x->first, place);

	if (!first)
		put(x, &x->first, place, e);
	else if (strcmp(first->meta.ns, e->meta.ns) != 0)
		put(x, &x->disputed, mt_id_of_addr(&e->w.address), e);
}

/* Notes the namespaces with services that have endpoints at addresses in dispute. */
static void note_users(struct bindings *x)
{
	for (uint32_t i = 0; x->disputed.n && i < x->b->n_hosts; i++) {
		const struct mt_host *h = &x->b->host_list[i];

		if (mt_b_is_wrong(x->b, &h->se->meta))
			continue;
		for (uint32_t k = 0; k < h->n_workloads; k++) {
			const struct mt_addr *a = &h->workloads[k]->address;

			if (!mt_addr_is_zero(a) && mt_idmap_get(&x->disputed, mt_id_of_addr(a)))
				put(x, &x->users, user_id(a, h->se->meta.ns), h);
		}
	}
}

static bool is_user(const struct bindings *x, const struct mt_workload_entry *e)
{
	return mt_idmap_get(&x->users, user_id(&e->w.address, e->meta.ns)) != NULL;
}

/*
 * The named entry with the best claim to an address. If one of another namespace has an equal claim,
 * no entry gives the address a principal: a namespace would otherwise get the address of another's
 * workload by a date that it writes itself. Entries of one namespace are reported by own().
 */
struct namer {
	const struct mt_workload_entry *best;
	/* of another namespace, with an equal claim; NULL: none */
	const struct mt_workload_entry *other;
	/*
	 * `best` gives no principal either: its source is limited to some namespaces, and until now
	 * another namespace had the address, or several disputed it. An author could otherwise write
	 * entries for others' workloads, and wait for a load without theirs. For the same reason
	 * edits of the entry, and new names for it, change nothing.
	 */
	bool reserved;
	bool unnamed; /* `best` has no account, and keeps the address from new entries */
	bool noted;   /* add_place() has noted the place */
};

static const struct namer *namer_of(const struct bindings *x, uint64_t place)
{
	return mt_idmap_get(&x->b->namers, place);
}

/* Of an entry of a limited source, against one of another source. Worse than all claims. */
#define OF_LIMITED 256u

/* As mt_b_claim(), without the dates of documents; the source precedes all else. */
static unsigned int claim_of(
	const struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	unsigned int claim = mt_b_claim(x->b, place, &e->meta);
	unsigned int source = claim & MT_STANDING_LIMITED ? OF_LIMITED : 0;

	return source | (claim & ~(unsigned int)(MT_STANDING_UNDATED | MT_STANDING_LIMITED));
}

/* As mt_claim_reason(). */
static const char *reason_of(unsigned int winner, unsigned int loser)
{
	if ((winner ^ loser) & OF_LIMITED)
		return ", of a source that is not limited to namespaces";
	return mt_claim_reason(winner, loser);
}

static void set_namer(
	struct bindings *x, const struct mt_workload_entry *e, uint64_t place, bool unnamed)
{
	struct namer *n = mt_region_alloc(&x->b->tmp, sizeof(*n));

	if (!n)
		return;
	*n = (struct namer){.best = e, .unnamed = unnamed};
	put(x, &x->b->namers, place, n);
}

static void compare(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	struct namer *n = mt_idmap_get(&x->b->namers, place);
	unsigned int best = n ? claim_of(x, n->best, place) : 0, own = claim_of(x, e, place);

	if (!n || own < best)
		set_namer(x, e, place, false);
	else if (own == best && !n->other && strcmp(n->best->meta.ns, e->meta.ns) != 0)
		n->other = e;
}

static void reserve(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	struct namer *n = mt_idmap_get(&x->b->namers, place);

	/* Of an address that the Node gives to a source, the source decides and not history. */
	if (n && n->best == e && !n->other && (claim_of(x, e, place) & OF_LIMITED) &&
		!mt_owned_is_address(x->b->model->owned, &e->w.address))
		n->reserved = mt_b_is_reserved(x->b, place, &e->meta);
}

/*
 * True if no version of `best` was applied before, but one of the entry without an account was. A
 * source that is limited to some namespaces keeps nothing from one that is not.
 */
static bool came_first(
	const struct bindings *x, const struct mt_workload_entry *e, const struct mt_meta *best)
{
	unsigned int own = mt_b_standing(x->b, &e->meta), other = mt_b_standing(x->b, best);

	return (other & MT_STANDING_NEVER) && !(own & MT_STANDING_NEVER) &&
	       (own & MT_STANDING_LIMITED) <= (other & MT_STANDING_LIMITED);
}

/*
 * An entry without an account keeps its address from one of another namespace that came later, if
 * its own namespace has a service with the endpoint. Services of the other namespace do not count.
 */
static void keep_from_new(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	const struct namer *n = namer_of(x, place);

	if (n && !n->other && strcmp(n->best->meta.ns, e->meta.ns) != 0 &&
		mt_b_claim(x->b, place, &n->best->meta) >= MT_CLAIM_NOT_HELD &&
		came_first(x, e, &n->best->meta) && is_user(x, e))
		set_namer(x, e, place, true);
}

/* The entry because of which `e` gives no principal, of another namespace; NULL: none. */
static const struct mt_workload_entry *rival_of(
	const struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	const struct namer *n = namer_of(x, place);

	if (!n)
		return NULL;
	return strcmp(n->best->meta.ns, e->meta.ns) != 0 ? n->best : n->other;
}

static void note_reserved(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	const struct namer *n = namer_of(x, place);

	if (n && n->reserved)
		mt_b_dispute(x->b, &e->meta, e->w.address_text.line, "spec.address",
			"reload once without it, restart the node, or write it in a source without "
			"`namespaces`",
			"gives %.64s no principal: until now, an entry of another namespace had "
			"the address or disputed it, and the source is limited to namespaces",
			e->w.address_text.s);
}

/* Two of one namespace are its own mistake: own() reports them, and no policy trusts either. */
static void dispute(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	const struct mt_workload_entry *rival = rival_of(x, e, place);
	bool equal;

	if (!rival) {
		note_reserved(x, e, place);
		return;
	}
	equal = namer_of(x, place)->other && claim_of(x, rival, place) == claim_of(x, e, place);
	mt_b_dispute(x->b, &e->meta, e->w.address_text.line, "spec.address",
		equal ? "remove one of the two entries"
		      : "write the address of its own workload, or remove one of the two entries",
		"gives %.64s no principal, because of WorkloadEntry %.64s/%.128s at %.128s:%u%s",
		e->w.address_text.s, rival->meta.ns, rival->meta.name,
		rival->meta.origin.file ? rival->meta.origin.file : "?", rival->meta.origin.line,
		equal ? ", of another namespace: neither precedes the other"
		      : reason_of(claim_of(x, rival, place), claim_of(x, e, place)));
}

void mt_b_bound_owners(struct mt_build *b)
{
	struct bindings x = {.b = b, .n = node_of(b)};

	if (!mt_b_has_workload_ports(b))
		return;
	each_entry(&x, true, note_dispute);
	each_entry(&x, false, note_dispute);
	note_users(&x);
	each_entry(&x, true, compare);
	each_entry(&x, true, reserve);
	if (x.users.n)
		each_entry(&x, false, keep_from_new);
	each_entry(&x, true, dispute);
	mt_idmap_fini(&x.first);
	mt_idmap_fini(&x.disputed);
	mt_idmap_fini(&x.users);
}

/*
 * True for an entry that had the address before an entry of a source without `namespaces` got it.
 * It has the address again when that one is gone.
 */
static bool is_next(struct bindings *x, const struct namer *n, const struct mt_workload_entry *e,
	uint64_t place)
{
	return (claim_of(x, e, place) & OF_LIMITED) &&
	       !(claim_of(x, n->best, place) & OF_LIMITED) &&
	       mt_b_claim(x->b, place, &e->meta) < MT_CLAIM_NOT_HELD;
}

/*
 * Notes who gives the address a principal, or keeps it from others. If there is none, those before
 * stay its holders.
 */
static void add_place(struct bindings *x, const struct mt_workload_entry *e, uint64_t place)
{
	struct namer *n = mt_idmap_get(&x->b->namers, place);

	if (!n)
		return;
	if (n->other || n->reserved) {
		if (n->other && !n->noted) {
			put(x, &x->disputed, place, e);
			mt_b_add_disputed(x->b, place);
		}
		put(x, &x->first, place, e);
	} else if (n->unnamed && !n->noted) {
		x->add(x->b, place, &n->best->meta);
	} else if (!rival_of(x, e, place) || is_next(x, n, e, place)) {
		x->add(x->b, place, &e->meta);
	}
	n->noted = true;
}

void mt_b_bound_places(struct mt_build *b, mt_b_place_fn *fn)
{
	struct bindings x = {.b = b, .n = node_of(b), .add = fn};

	if (!mt_b_has_workload_ports(b))
		return;
	each_entry(&x, true, add_place);
	mt_b_carry_places(b, &x.first, &x.disputed);
	mt_idmap_fini(&x.first);
	mt_idmap_fini(&x.disputed);
}

/* ---- their names ----------------------------------------------------------------------------- */

/* True if the entry gives the address nothing, because of one of another namespace. */
static bool is_not_given(struct bindings *x, const struct mt_workload_entry *e, struct mt_bound *at)
{
	uint64_t place = place_of(e);
	const struct namer *n = namer_of(x, place);

	if (n && n->reserved && !at->waits) {
		at->waits = true;
		at->by = name_of(x->b, n->best);
		at->why = mt_region_printf(&x->b->tmp,
			"%s waits, because until now an entry of another namespace had the "
			"address or disputed it",
			at->by ? at->by : "");
	} else if (n && n->other && !at->disputed) {
		at->disputed = true;
		at->by = name_of(x->b, n->best);
		at->why = mt_region_printf(&x->b->tmp, "%s and %s have the address",
			at->by ? at->by : "", name_of(x->b, n->other));
	}
	return rival_of(x, e, place) || (n && n->reserved);
}

/*
 * An entry with the principal of those before is not a second owner. `named`: only entries that
 * give a principal; otherwise only the others, which come after them.
 */
static void own(struct bindings *x, const struct mt_workload_entry *e, const char *domain,
	const struct mt_workload_entry **first, bool named)
{
	struct mt_bound *at = find(x, &e->w.address);
	const struct mt_workload_entry *other;
	const char *why, *is, *name;
	char words[512];

	/* A Pod's address is that of another one later. */
	if (!at || e->w.pod || at->port == x->n->n_ports)
		return;
	is = principal_of(x->b, e, domain, &why);
	if (is_not_given(x, e, at)) {
		if (is && !at->also)
			at->also = name_of(x->b, e);
		return;
	}
	if ((is != NULL) != named)
		return;
	name = name_of(x->b, e);
	other = first[at - x->v];
	/* Without an account in any namespace, the first one is named as the reason. */
	if (other && strcmp(other->meta.ns, e->meta.ns) != 0)
		return;
	if (!other) {
		first[at - x->v] = e;
		at->by = name;
		at->principal = is;
		at->why = is ? NULL : why;
		if (!is)
			note(x, e, at, NO_ACCOUNT, why);
		return;
	}
	if (at->principal && is && strcmp(at->principal, is) == 0)
		return;
	snprintf(words, sizeof(words), "%.200s has its address, too", name_of(x->b, other));
	note(x, e, at, MORE_OWNERS, words);
	if (at->why != two_owners) {
		snprintf(words, sizeof(words), "%.200s has its address, too", name);
		note(x, other, at, MORE_OWNERS, words);
	}
	at->principal = NULL;
	at->why = two_owners;
}

static void own_all(struct bindings *x)
{
	const struct mt_objs *entries = &x->b->model->workload_entries;
	const struct mt_workload_entry **first =
		mt_region_alloc(&x->b->tmp, sizeof(*first) * (x->count + 1));
	const char *domains[MT_B_DOMAINS];

	if (!first)
		return;
	(void)mt_b_trust_domains(x->b, domains);
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < entries->n; i++)
			own(x, entries->v[i], domains[0], first, pass == 0);
}

/* ---- what is told -------------------------------------------------------------------------------- */

/* An instance on a port that lists others: it is called, and not heard. */
static void look_for_lost(struct bindings *x)
{
	const struct mt_snapshot *s = &x->b->snap->pub;

	for (uint32_t i = 0; i < s->n_clusters; i++)
		for (uint32_t k = 0; k < s->clusters[i].n_eps; k++) {
			const struct mt_addr *a = &s->clusters[i].eps[k].addr;
			uint32_t port = mt_addr_is_zero(a) ? NO_PORT : port_of(x, a);

			if (port >= UNCLEAR || !is_of_workloads(&x->n->ports[port]) || find(x, a))
				continue;
			x->lost = *a;
			x->lost_at = port;
			return;
		}
}

static void tell(struct bindings *x)
{
	const struct mt_meta *meta = x->b->model->node ? &x->b->model->node->meta : &x->n->meta;
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < x->n->n_ports; i++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < x->count; k++)
			n += x->v[k].port == i;
		if (!n && is_of_workloads(&x->n->ports[i]))
			mt_b_warn(x->b, meta, x->n->ports[i].side.line, "spec.ports",
				"write WorkloadEntries with addresses of the port's networks, or "
				"list "
				"them under its `workloads`",
				"port %.31s accepts no packets: it has no workload addresses",
				x->n->ports[i].name.s);
	}
	if (!mt_addr_is_zero(&x->lost))
		mt_b_warn(x->b, meta, x->n->ports[x->lost_at].side.line, "spec.ports", LIST_THEM,
			"endpoints in the networks of port %.31s are not listed there, so that "
			"their "
			"answers are dropped, such as those of %s",
			x->n->ports[x->lost_at].name.s, mt_addr_str(&x->lost, text));
	if (!mt_addr_is_zero(&x->unclear))
		mt_b_warn(x->b, meta, meta->origin.line, "spec.ports", LIST_THEM,
			"addresses of workloads are in a network that several ports have, and "
			"bound to "
			"none, such as %s",
			mt_addr_str(&x->unclear, text));
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void keep(struct bindings *x)
{
	struct mt_snapshot *s = &x->b->snap->pub;
	struct mt_bound *v = mt_region_alloc(&x->b->snap->region, sizeof(*v) * (x->count + 1));

	if (!v)
		return;
	for (uint32_t i = 0; i < x->count; i++) {
		v[i] = x->v[i];
		v[i].principal = v[i].principal ? mt_b_keep(x->b, v[i].principal) : NULL;
		v[i].by = v[i].by ? mt_b_keep(x->b, v[i].by) : NULL;
		v[i].also = v[i].also ? mt_b_keep(x->b, v[i].also) : NULL;
		v[i].why = v[i].principal ? NULL
			   : v[i].why	  ? mt_b_keep(x->b, v[i].why)
					  : "no WorkloadEntry has the address";
	}
	s->bound = v;
	s->n_bound = x->count;
}

void mt_b_bound(struct mt_build *b)
{
	struct bindings x = {.b = b, .n = node_of(b)};

	if (!mt_b_has_workload_ports(b))
		return;
	gather(&x);
	gather_guests(&x);
	sort(&x);
	own_all(&x);
	look_for_lost(&x);
	tell(&x);
	keep(&x);
}
