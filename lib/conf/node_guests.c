/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machines of the node, as a step of the compiler: reports annotations without effect
 * and of guests that are refused, and keeps the list in the snapshot. A guest stays the guest while
 * its address, Ethernet address and socket stay, so that no author takes them from another by a
 * document that looks older.
 */
#include "mt_conf_guests.h"
#include "mt_conf_holders_priv.h"
#include "mt_guests.h"

#include "mt_model_guest.h"

#include <string.h>

#define ANNOTATIONS "metadata.annotations"

const struct mt_conf_guests *mt_conf_guests(const struct mt_snapshot *s)
{
	return &mt_container_of(s, const struct mt_snap, pub)->guests;
}

/* ---- which entries --------------------------------------------------------------------------- */

static bool has(const struct mt_workload_entry *e, const char *key)
{
	return mt_labels_get(&e->meta.annotations, key) != NULL;
}

static uint32_t line_of(const struct mt_workload_entry *e, const char *key)
{
	const struct mt_labels *l = &e->meta.annotations;

	for (uint32_t i = 0; i < l->n_kv; i++)
		if (strcmp(l->kv[i].key, key) == 0)
			return l->kv[i].origin.line;
	return e->meta.origin.line;
}

static bool is_of_node(const struct mt_node *n, const struct mt_workload_entry *e)
{
	const char *name = mt_labels_get(&e->meta.annotations, MT_GUEST_KEY_NODE);

	return !name || strcmp(name, n->meta.name) == 0;
}

/* Reports annotations that mean a guest, of an entry that is none. */
static void tell_without_socket(struct mt_build *b, const struct mt_workload_entry *e)
{
	static const char *const keys[] = {
		MT_GUEST_KEY_MAC, MT_GUEST_KEY_ADDRESSES, MT_GUEST_KEY_LIMITS, MT_GUEST_KEY_NODE};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
		if (has(e, keys[i])) {
			mt_b_warn(b, &e->meta, line_of(e, keys[i]), ANNOTATIONS,
				"write the path of the guest's socket, or remove it",
				"%s has no effect without " MT_GUEST_KEY_SOCKET, keys[i]);
			return;
		}
}

/* Addresses of Pods change, and their annotations are others' to write. */
static bool is_candidate(const struct mt_build *b, const struct mt_workload_entry *e)
{
	return !e->w.pod && e->meta.annotations.n_kv && !mt_b_is_wrong(b, &e->meta) &&
	       is_of_node(b->model->node, e);
}

/* Returns the entries with a socket, in b->tmp; NULL: no memory. */
static const struct mt_workload_entry **candidates(struct mt_build *b, uint32_t *n)
{
	const struct mt_objs *all = &b->model->workload_entries;
	const struct mt_workload_entry **v = mt_region_alloc(&b->tmp, sizeof(*v) * (all->n + 1));

	for (uint32_t i = 0; v && i < all->n; i++) {
		const struct mt_workload_entry *e = all->v[i];

		if (!is_candidate(b, e))
			continue;
		if (has(e, MT_GUEST_KEY_SOCKET))
			v[(*n)++] = e;
		else
			tell_without_socket(b, e);
	}
	return v;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* Of an entry of a limited source, against one of another source. Worse than all claims. */
#define OF_LIMITED 256u

/* A source that is not limited to namespaces precedes those that are, whatever is in force. */
static unsigned int standing_of(void *arg, const struct mt_workload_entry *e, const char *claim)
{
	unsigned int c = mt_b_claim(arg, mt_place_of_guest(claim), &e->meta);

	if (c & MT_STANDING_LIMITED)
		c = OF_LIMITED | (c & ~(unsigned int)MT_STANDING_LIMITED);
	return c;
}

static bool is_limited(void *arg, const struct mt_workload_entry *e)
{
	const struct mt_build *b = arg;

	return mt_model_is_limited(b->model, &e->meta);
}

void mt_b_guest_places(struct mt_build *b, mt_b_place_fn *fn)
{
	char claim[MT_GUEST_CLAIM_MAX];

	for (uint32_t i = 0; b->guests && i < b->guests->n; i++) {
		const struct mt_guest_of *g = &b->guests->v[i];

		for (uint32_t k = 0; !g->refused && mt_guest_claim(g, k, claim); k++)
			fn(b, mt_place_of_guest(claim), &g->entry->meta);
	}
}

/* ---- what is reported, and kept -------------------------------------------------------------- */

static void tell_unused(
	struct mt_build *b, const struct mt_workload_entry *e, const char *remedy, const char *why)
{
	mt_b_warn(b, &e->meta, line_of(e, MT_GUEST_KEY_SOCKET), ANNOTATIONS, remedy,
		MT_GUEST_KEY_SOCKET " has no effect: %s", why);
}

static void tell(struct mt_build *b, const struct mt_guest_of *g)
{
	if (!g->refused && has(g->entry, MT_GUEST_KEY_LIMITS))
		mt_b_warn(b, &g->entry->meta, line_of(g->entry, MT_GUEST_KEY_LIMITS), ANNOTATIONS,
			"remove it", MT_GUEST_KEY_LIMITS " has no effect yet");
	if (!g->refused)
		return;
	if (g->lost)
		mt_b_dispute(b, &g->entry->meta, g->line, g->path, g->remedy,
			"the guest is refused: %s", g->refused);
	else
		mt_b_warn(b, &g->entry->meta, g->line, g->path, g->remedy,
			"the guest is refused: %s", g->refused);
}

static void keep_one(struct mt_build *b, const struct mt_guest_of *g, struct mt_conf_guest *to)
{
	const struct mt_meta *meta = &g->entry->meta;
	struct mt_addr *v;

	to->name = mt_region_printf(b->keep, "%s/%s", meta->ns, meta->name);
	to->file = mt_b_file(b, meta->origin.file);
	to->line = meta->origin.line;
	to->socket = mt_b_keep(b, g->socket);
	if (g->refused) {
		to->refused = mt_region_printf(b->keep, "%s (%s)", g->refused, g->remedy);
		return;
	}
	memcpy(to->mac, g->mac, sizeof(to->mac));
	v = mt_region_alloc(b->keep, sizeof(*v) * g->n_addresses);
	if (!v)
		return;
	memcpy(v, g->addresses, sizeof(*v) * g->n_addresses);
	to->addresses = v;
	to->n_addresses = g->n_addresses;
}

static void keep(struct mt_build *b, const struct mt_guests_found *found)
{
	struct mt_conf_guest *v = mt_region_alloc(b->keep, sizeof(*v) * (found->n + 1));

	for (uint32_t i = 0; v && i < found->n; i++)
		keep_one(b, &found->v[i], &v[i]);
	b->snap->guests = (struct mt_conf_guests){v, v ? found->n : 0, found->n_refused};
}

void mt_b_guests(struct mt_build *b)
{
	const struct mt_node *node = b->model->node;
	/* The networks that the node has; those of the document are for the next start. */
	const struct mt_node *as = b->conf->started_as ? b->conf->started_as : node;
	struct mt_guest_rules rules = {.directory = MT_GUESTS_DIRECTORY,
		.standing = standing_of,
		.is_limited = is_limited,
		.arg = b};
	const struct mt_workload_entry **v;
	uint32_t n = 0;

	v = node ? candidates(b, &n) : NULL;
	if (!v)
		return;
	if (!as->guests) {
		for (uint32_t i = 0; i < n; i++)
			tell_unused(b, v[i],
				node->guests ? "restart the node"
					     : "write the guests' networks in the Node's "
					       "spec.guests",
				node->guests ? "the node was started without spec.guests"
					     : "the Node has no spec.guests");
		return;
	}
	rules.node = node->meta.name;
	rules.guests = as->guests;
	b->guests = mt_region_alloc(&b->tmp, sizeof(*b->guests));
	if (!b->guests || mt_guests_find(&b->tmp, &rules, v, n, b->guests)) {
		b->tmp.failed = true;
		return;
	}
	for (uint32_t i = 0; i < b->guests->n; i++)
		tell(b, &b->guests->v[i]);
	keep(b, b->guests);
}
