/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Narrow listeners and the wide ones of other namespaces. A connection gets the listener of its
 * exact address, else that of 0.0.0.0, else that of all addresses. So an object at an address of
 * the node itself, or at 0.0.0.0, takes the clients there from a wider listener. Those of another
 * namespace stay with the object that is served there in the configuration in force. Without one,
 * the standings and the order of age decide (holders.c). If the object at the narrow address loses,
 * it is refused. The wide one is never refused, because it takes no clients from others. It keeps
 * its clients also while nothing is served for it, as without its certificate or its routes.
 *
 * The node answers for any other address only because of the objects that have it. A wider listener
 * has clients there only on ports at which none of them is served, so no object takes clients from
 * it. If a source owns such an address, Gateways of others without `bind` still have these clients.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"

#include <string.h>

static bool is_any4(const struct mt_addr *a)
{
	return mt_addr_is4(a) && mt_addr_v4(a) == 0;
}

/*
 * True for addresses of ports and of sources. Link-local ones depend on the Ethernet address of a
 * port, so all of them count.
 */
static bool is_of_node(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->model->node;

	if (mt_addr_is_link_local(a) || mt_b_own_port(b, a))
		return true;
	for (uint32_t i = 0; n && i < n->n_source_addresses; i++)
		if (mt_addr_eq(&n->source_addresses[i].addr, a))
			return true;
	return false;
}

static char *key_of(struct mt_build *b, const struct mt_listen *l, const char *ns)
{
	return mt_region_printf(&b->tmp, "%s bind %s", l->text, ns);
}

/* Adds an object to a listener, and to those of its namespace there. */
static bool add(struct mt_build *b, struct mt_listen *l, struct mt_bind *n)
{
	struct mt_bind **slot =
		mt_region_push(&b->tmp, (void **)&l->binds, &l->n_binds, sizeof(*slot));
	char *key = key_of(b, l, n->meta->ns);

	if (!slot || !key)
		return false;
	*slot = n;
	l->serves |= n->used;
	n->same = mt_strmap_get(&b->keys, key);
	n->first = n->same ? n->same->first : n;
	n->first->last = n;
	if (mt_strmap_put(&b->keys, key, n, NULL))
		return false;
	if (n->first != n)
		return true;
	slot = mt_region_push(&b->tmp, (void **)&l->spaces, &l->n_spaces, sizeof(*slot));
	if (slot)
		*slot = n;
	return slot != NULL;
}

void mt_b_bind(struct mt_build *b, const struct mt_listen_port *at, bool used)
{
	struct mt_listen *l;
	struct mt_bind *n;

	if (!mt_addr_is_zero(at->addr) && !is_any4(at->addr) && !is_of_node(b, at->addr))
		return;
	l = mt_b_listen(b, at->addr, at->port);
	n = l ? mt_region_alloc(&b->tmp, sizeof(*n)) : NULL;
	if (!n)
		return;
	*n = (struct mt_bind){.meta = at->meta,
		.line = at->line,
		.path = at->path ? mt_region_strdup(&b->tmp, at->path) : NULL,
		.at = at->at,
		.order = b->n_binds++,
		.used = used};
	if (!add(b, l, n))
		b->tmp.failed = true;
}

const struct mt_listen *mt_b_listen_wider(
	const struct mt_build *b, const struct mt_addr *a, uint16_t port)
{
	static const struct mt_addr any6;
	const struct mt_addr any4 = mt_addr4(0);
	const struct mt_listen *l = NULL;
	char text[MT_ADDR_STRLEN];

	if (!is_any4(a) && !is_of_node(b, a))
		return NULL;
	if (mt_addr_is4(a) && !is_any4(a)) {
		mt_addr_port_str(&any4, port, text);
		l = mt_b_listen_at(b, text);
	}
	if (l)
		return l;
	mt_addr_port_str(&any6, port, text);
	return mt_b_listen_at(b, text);
}

/* ---- claims to the clients ------------------------------------------------------------------- */

/*
 * True if an object without anything to serve at a wide listener had its clients before. After a
 * restart that is not known, so objects that the process before applied count as well.
 */
static bool had_clients(struct mt_build *b, const struct mt_listen *l, const struct mt_meta *meta)
{
	return mt_b_claim(b, mt_place_of_clients(l->text), meta) < MT_CLAIM_NOT_HELD ||
	       mt_b_were_applied(b, meta, meta);
}

/* A narrow listener, and the places by which objects claim its clients. */
struct narrow {
	const struct mt_listen *l, *wider;
	uint64_t place, also; /* also: 0: none */
	/* The best claims to them of two namespaces at the wider listener; NULL: none */
	struct mt_bind *best, *second;
};

/*
 * The clients are those of the listener that they get in the configuration in force. At `wider`
 * nothing may be served now, although its objects had clients.
 */
static void find_places(const struct mt_build *b, struct narrow *x)
{
	const struct mt_listen *l = x->l;
	const struct mt_snapshot *now = b->conf->current;
	const struct mt_listener *at = now ? mt_snapshot_listener(now, &l->addr, l->port) : NULL;
	uint64_t wide = mt_place_of_clients(x->wider->text);
	char text[MT_ADDR_STRLEN];

	x->place = wide;
	if (!at)
		return;
	mt_addr_port_str(&at->addr, at->port, text);
	x->place = mt_addr_eq(&at->addr, &l->addr) ? mt_place_of_bind(text)
						   : mt_place_of_clients(text);
	if (mt_addr_is_zero(&at->addr) && x->place != wide)
		x->also = wide;
}

static unsigned int claim_to(struct mt_build *b, uint64_t place, struct mt_bind *n)
{
	if (n->place != place) {
		n->place = place;
		n->claim = mt_b_claim(b, place, n->meta);
	}
	return n->claim;
}

static unsigned int claim_of(struct mt_build *b, const struct narrow *x, struct mt_bind *n)
{
	unsigned int claim = claim_to(b, x->place, n);

	return x->also ? MT_MIN(claim, claim_to(b, x->also, n)) : claim;
}

static bool precedes(
	struct mt_build *b, const struct narrow *x, struct mt_bind *one, struct mt_bind *other)
{
	unsigned int claim = claim_of(b, x, one), than = claim_of(b, x, other);

	return claim != than ? claim < than : one->order < other->order;
}

/* ---- the wider listener's objects ------------------------------------------------------------ */

/* True if something is served at the listener for an object of the namespace. */
static bool has_namespace(struct mt_build *b, const struct mt_listen *l, const char *ns)
{
	char *key = key_of(b, l, ns);
	const struct mt_bind *n = key ? mt_strmap_get(&b->keys, key) : NULL;

	while (n && (!n->used || mt_b_is_wrong(b, n->meta)))
		n = n->same;
	return n != NULL;
}

/*
 * The object of a namespace at the wider listener with the best claim. NULL: it has no clients.
 * `first`: the first one of its namespace there. It remembers the answer until that is refused.
 */
static struct mt_bind *best_of(struct mt_build *b, const struct narrow *x, struct mt_bind *first)
{
	if (first->known && (!first->best || !mt_b_is_wrong(b, first->best->meta)))
		return first->best;
	first->known = true;
	first->best = NULL;
	for (struct mt_bind *n = first->last; n; n = n->same)
		if (!mt_b_is_wrong(b, n->meta) && (n->used || had_clients(b, x->wider, n->meta)) &&
			(!first->best || precedes(b, x, n, first->best)))
			first->best = n;
	return first->best;
}

/* Finds the objects that may keep their clients from the narrow listener. */
static void find_wide(struct mt_build *b, struct narrow *x)
{
	for (uint32_t i = 0; i < x->wider->n_spaces; i++) {
		struct mt_bind *w = best_of(b, x, x->wider->spaces[i]);

		if (!w || (x->second && !precedes(b, x, w, x->second)) ||
			has_namespace(b, x->l, w->meta->ns))
			continue;
		x->second = w;
		if (!x->best || precedes(b, x, w, x->best)) {
			x->second = x->best;
			x->best = w;
		}
	}
}

/* ---- the narrow listener's objects ----------------------------------------------------------- */

/* True if the object or its namespace has the narrow listener in the configuration in force. */
static bool is_there(struct mt_build *b, const struct narrow *x, const struct mt_bind *n)
{
	return mt_b_claim(b, mt_place_of_bind(x->l->text), n->meta) < MT_CLAIM_NOT_HELD;
}

/* The object of another namespace that keeps its clients from this one. NULL: none. */
static struct mt_bind *loses_to(struct mt_build *b, const struct narrow *x, struct mt_bind *n)
{
	bool own = x->best && strcmp(x->best->meta->ns, n->meta->ns) == 0;
	struct mt_bind *w = own ? x->second : x->best;
	unsigned int claim;

	if (!w)
		return NULL;
	claim = claim_of(b, x, w);
	if (MT_MIN(claim, claim_of(b, x, n)) < MT_CLAIM_NOT_HELD)
		return claim < MT_CLAIM_NOT_HELD ? w : NULL;
	/* Before a restart both were in force, each with its own clients. */
	if (mt_b_were_applied(b, w->meta, n->meta))
		return NULL;
	return precedes(b, x, w, n) ? w : NULL;
}

static void refuse(
	struct mt_build *b, const struct narrow *x, struct mt_bind *n, struct mt_bind *by)
{
	const struct mt_meta *other = by->meta;
	char path[MT_INDEX_PATH];

	mt_b_error(b, n->meta, n->line,
		n->path ? n->path : mt_index_path(path, "spec.ports", n->at, ".number"),
		"give one of them another port, or both addresses of their own",
		"%s is a part of %s, which is in use by %s %.64s/%.128s at %.128s:%u%s", x->l->text,
		x->wider->text, other->kind, other->ns, other->name,
		other->origin.file ? other->origin.file : "?", by->line,
		mt_claim_reason(claim_of(b, x, by), claim_of(b, x, n)));
}

/* True if an object that is served at the narrow listener has its clients by right. */
static bool is_taken(struct mt_build *b, const struct narrow *x)
{
	for (uint32_t i = 0; i < x->l->n_binds; i++) {
		struct mt_bind *n = x->l->binds[i];

		if (n->used && !mt_b_is_wrong(b, n->meta) &&
			(is_there(b, x, n) || !loses_to(b, x, n)))
			return true;
	}
	return false;
}

/* Refuses the listener's objects that would take clients of another namespace from a wider one. */
static void compare(struct mt_build *b, const struct mt_listen *l, const struct mt_listen *wider)
{
	struct narrow x = {.l = l, .wider = wider};

	find_places(b, &x);
	find_wide(b, &x);
	if (!x.best || is_taken(b, &x))
		return;
	for (uint32_t i = 0; i < l->n_binds; i++) {
		struct mt_bind *n = l->binds[i];
		struct mt_bind *by;

		if (mt_b_is_wrong(b, n->meta) || is_there(b, &x, n))
			continue;
		by = loses_to(b, &x, n);
		if (by)
			refuse(b, &x, n, by);
	}
}

/* The listener that objects were noted at, also without anything to serve. NULL: none. */
static const struct mt_listen *noted_at(
	const struct mt_build *b, const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];

	return mt_strmap_get(&b->listens, mt_addr_port_str(a, port, text));
}

/* While nothing is served at 0.0.0.0, the listener of all addresses has the clients. */
static void check(struct mt_build *b, const struct mt_listen *l)
{
	static const struct mt_addr any6;
	const struct mt_addr any4 = mt_addr4(0);
	const struct mt_listen *w = NULL;

	if (mt_addr_is4(&l->addr) && !is_any4(&l->addr))
		w = noted_at(b, &any4, l->port);
	if (w)
		compare(b, l, w);
	if (w && w->serves)
		return;
	w = noted_at(b, &any6, l->port);
	if (w && w != l)
		compare(b, l, w);
}

void mt_b_binds(struct mt_build *b)
{
	/* First 0.0.0.0, because a listener there that loses takes nothing from single addresses. */
	for (int single = 0; single < 2; single++)
		for (uint32_t i = 0; i < b->n_listens; i++) {
			const struct mt_listen *l = b->listen_list[i];

			if (l->n_binds && is_any4(&l->addr) == !single)
				check(b, l);
		}
}

void mt_b_bind_places(struct mt_build *b, mt_b_place_fn *fn)
{
	for (uint32_t i = 0; i < b->n_listens; i++) {
		const struct mt_listen *l = b->listen_list[i];
		bool all = mt_addr_is_zero(&l->addr), wide = all || is_any4(&l->addr);

		for (uint32_t k = 0; k < l->n_binds; k++) {
			const struct mt_bind *n = l->binds[k];

			if (n->used || !all)
				fn(b, mt_place_of_bind(l->text), n->meta);
			if (wide && (n->used || had_clients(b, l, n->meta)))
				fn(b, mt_place_of_clients(l->text), n->meta);
		}
	}
}
