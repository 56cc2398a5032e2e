/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Narrow listeners and the wide ones of other namespaces. A connection gets the listener of its
 * exact address, else that of 0.0.0.0, else that of all addresses. So an object at an address of
 * the node itself, or at 0.0.0.0, takes the clients there from a wider listener. Those of another
 * namespace stay with the object that is served there in the configuration in force. Without one,
 * the standings and the order of age decide (holders.c). If the object at the narrow address loses,
 * it is refused. The wide one is never refused, because it takes no clients from others.
 *
 * The node answers for any other address only because of the objects that have it. Wider listeners
 * have no clients there.
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

	if ((a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80) || mt_b_own_port(b, a))
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

void mt_b_bind(struct mt_build *b, const struct mt_listen_port *at, bool used)
{
	struct mt_listen *l;
	struct mt_bind *n, **slot;
	char *key;

	if (!mt_addr_is_zero(at->addr) && !is_any4(at->addr) && !is_of_node(b, at->addr))
		return;
	l = mt_b_listen(b, at->addr, at->port);
	key = l ? key_of(b, l, at->meta->ns) : NULL;
	n = key ? mt_region_alloc(&b->tmp, sizeof(*n)) : NULL;
	slot = n ? mt_region_push(&b->tmp, (void **)&l->binds, &l->n_binds, sizeof(*slot)) : NULL;
	if (!slot)
		return;
	*n = (struct mt_bind){.meta = at->meta,
		.line = at->line,
		.path = at->path ? mt_region_strdup(&b->tmp, at->path) : NULL,
		.at = at->at,
		.order = b->n_binds++,
		.used = used,
		.same = mt_strmap_get(&b->keys, key)};
	n->first = n->same ? n->same->first : n;
	*slot = n;
	if (mt_strmap_put(&b->keys, key, n, NULL))
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

/* ---- who keeps the clients ------------------------------------------------------------------- */

/* The place that has the listener's clients in the configuration in force. */
static uint64_t place_now(const struct mt_build *b, const struct mt_listen *l)
{
	const struct mt_snapshot *now = b->conf->current;
	const struct mt_listener *at = now ? mt_snapshot_listener(now, &l->addr, l->port) : NULL;
	char text[MT_ADDR_STRLEN];

	if (!at)
		return mt_place_of_bind(l->text);
	mt_addr_port_str(&at->addr, at->port, text);
	return mt_place_of_bind(text);
}

/* The object with the best claim among those of a narrow listener. */
struct claimant {
	const struct mt_bind *of; /* NULL: all are refused */
	uint64_t place;		  /* place_now() */
	unsigned int claim;	  /* to `place` */
	bool served;		  /* one of them has the narrow listener now */
};

static struct claimant best_of(struct mt_build *b, const struct mt_listen *l)
{
	struct claimant c = {.place = place_now(b, l)};
	uint64_t own = mt_place_of_bind(l->text);

	for (uint32_t i = 0; i < l->n_binds && !c.served; i++) {
		const struct mt_meta *meta = l->binds[i]->meta;
		unsigned int claim;

		if (mt_b_is_wrong(b, meta))
			continue;
		c.served = mt_b_claim(b, own, meta) < MT_CLAIM_NOT_HELD;
		claim = mt_b_claim(b, c.place, meta);
		if (c.of && claim >= c.claim)
			continue;
		c.of = l->binds[i];
		c.claim = claim;
	}
	return c;
}

/* True if the listener has an object of the namespace that is not refused. */
static bool has_namespace(struct mt_build *b, const struct mt_listen *l, const char *ns)
{
	char *key = key_of(b, l, ns);
	const struct mt_bind *n = key ? mt_strmap_get(&b->keys, key) : NULL;

	while (n && mt_b_is_wrong(b, n->meta))
		n = n->same;
	return n != NULL;
}

/* The same for the namespace of a wide listener's object; looked up once for all of its namespace. */
static bool shares_namespace(struct mt_build *b, const struct mt_listen *l, const struct mt_bind *w)
{
	struct mt_bind *first = w->first;

	if (first->asked != l) {
		first->asked = l;
		first->shares = has_namespace(b, l, w->meta->ns);
	}
	return first->shares;
}

/* True if the object of a wider listener keeps its clients from the claimant. */
static bool keeps(struct mt_build *b, const struct mt_bind *wide, const struct claimant *c)
{
	unsigned int claim = mt_b_claim(b, c->place, wide->meta);

	if (MT_MIN(claim, c->claim) < MT_CLAIM_NOT_HELD)
		return claim < MT_CLAIM_NOT_HELD;
	/* Before a restart both were in force, each with its own clients. */
	if (mt_b_were_applied(b, wide->meta, c->of->meta))
		return false;
	return claim != c->claim ? claim < c->claim : wide->order < c->of->order;
}

static void refuse(struct mt_build *b, const struct mt_listen *l, const struct mt_listen *w,
	const struct mt_bind *by, uint64_t place)
{
	const struct mt_meta *other = by->meta;
	unsigned int claim = mt_b_claim(b, place, other);
	char path[MT_INDEX_PATH];

	for (uint32_t i = 0; i < l->n_binds; i++) {
		const struct mt_bind *n = l->binds[i];

		if (mt_b_is_wrong(b, n->meta))
			continue;
		mt_b_error(b, n->meta, n->line,
			n->path ? n->path : mt_index_path(path, "spec.ports", n->at, ".number"),
			"give one of them another port, or both addresses of their own",
			"%s is a part of %s, which is in use by %s %.64s/%.128s at %.128s:%u%s",
			l->text, w->text, other->kind, other->ns, other->name,
			other->origin.file ? other->origin.file : "?", by->line,
			mt_claim_reason(claim, mt_b_claim(b, place, n->meta)));
	}
}

/* Refuses all objects of the listener if they take clients of another namespace. */
static void check(struct mt_build *b, const struct mt_listen *l)
{
	const struct mt_listen *w = mt_b_listen_wider(b, &l->addr, l->port);
	struct claimant c = {.of = NULL};

	for (uint32_t i = 0; w && i < w->n_binds; i++) {
		const struct mt_bind *wide = w->binds[i];

		if (!wide->used || shares_namespace(b, l, wide) || mt_b_is_wrong(b, wide->meta))
			continue;
		if (!c.of)
			c = best_of(b, l);
		if (!c.of || c.served)
			return;
		if (keeps(b, wide, &c)) {
			refuse(b, l, w, wide, c.place);
			return;
		}
	}
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

void mt_b_bind_places(
	struct mt_build *b, void (*note)(struct mt_build *, uint64_t, const struct mt_meta *))
{
	for (uint32_t i = 0; i < b->n_listens; i++) {
		const struct mt_listen *l = b->listen_list[i];

		for (uint32_t k = 0; k < l->n_binds; k++)
			if (l->binds[k]->used || !mt_addr_is_zero(&l->addr))
				note(b, mt_place_of_bind(l->text), l->binds[k]->meta);
	}
}
