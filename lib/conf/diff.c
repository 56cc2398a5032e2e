/* SPDX-License-Identifier: Apache-2.0 */
/* What a publish changes, and in which words it is told. */
#include "mt_conf_mesh_priv.h"
#include "mt_tls.h"

#include <stdio.h>
#include <string.h>

/* A documents' listener of the old side, and whether the new side has it, too. */
struct item {
	const struct mt_listener *l;
	bool seen;
};

/* The server names of its chains, and whose TLS they end. */
static uint64_t names_of(const struct mt_listener *l)
{
	uint64_t h = l->n_chains;

	for (uint32_t k = 0; k < l->n_chains; k++)
		h = mt_hash_u64(l->chains[k].tls ? mt_tls_context_id(l->chains[k].tls) : 0, h);
	for (uint32_t k = 0; k < l->n_chains; k++)
		for (uint32_t i = 0; i < l->chains[k].match.n_server_names; i++)
			h = mt_hash_text(l->chains[k].match.server_names[i], h + k);
	return h;
}

/* What is said of it beside its services, which are compared as such. */
static bool is_other(const struct mt_listener *a, const struct mt_listener *b)
{
	if (a->n_protos != b->n_protos || a->detect_ms != b->detect_ms ||
		names_of(a) != names_of(b))
		return true;
	for (uint32_t k = 0; k < a->n_protos; k++)
		if (a->protos[k].n_services != b->protos[k].n_services ||
			a->protos[k].codec_opts != b->protos[k].codec_opts)
			return true;
	return false;
}

static bool same_place(const struct mt_listener *a, const struct mt_listener *b)
{
	return a->port == b->port && mt_addr_eq(&a->addr, &b->addr);
}

/* Those of the old side from `first` on, by "address:port"; keys are the region's. */
static void index_old(const struct mt_snap *old, uint32_t first, struct item *items,
	struct mt_strmap *map, struct mt_region *keys)
{
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = first; i < old->n_doc_listeners; i++) {
		const struct mt_listener *l = &old->pub.listeners[i];
		char *key = mt_region_strdup(keys, mt_addr_port_str(&l->addr, l->port, name));

		if (key)
			mt_strmap_put(map, key, &items[i], NULL);
	}
}

/* The same one, or one that is new. */
static void diff_listener(struct mt_conf_items *out, struct item *was, const struct mt_listener *l,
	struct mt_conf_change *ch)
{
	bool other = was && is_other(was->l, l);

	ch->listeners_added += !was;
	ch->listeners_changed += other;
	if (!was || other)
		mt_items_listener(out, was ? was->l : NULL, l);
	if (was)
		was->seen = true;
}

/* Nearly always both sides have the same ones in the same order: only behind the first that is not so are names needed. */
static void diff_listeners(struct mt_conf_items *out, const struct mt_snap *old,
	const struct mt_snap *new_, struct mt_conf_change *ch)
{
	uint32_t n_old = old ? old->n_doc_listeners : 0, i = 0;
	struct item *items = calloc(n_old + 1, sizeof(*items));
	struct mt_strmap map = {0};
	struct mt_region keys = {0};
	char name[MT_ADDR_STRLEN];

	for (uint32_t k = 0; items && k < n_old; k++)
		items[k].l = &old->pub.listeners[k];
	while (items && i < n_old && i < new_->n_doc_listeners &&
		same_place(items[i].l, &new_->pub.listeners[i])) {
		diff_listener(out, &items[i], &new_->pub.listeners[i], ch);
		i++;
	}
	if (items && old && i < new_->n_doc_listeners)
		index_old(old, i, items, &map, &keys);
	for (; i < new_->n_doc_listeners; i++) {
		const struct mt_listener *l = &new_->pub.listeners[i];

		mt_addr_port_str(&l->addr, l->port, name);
		diff_listener(out, mt_strmap_get(&map, name), l, ch);
	}
	for (uint32_t k = 0; items && k < n_old; k++) {
		if (items[k].seen)
			continue;
		ch->listeners_removed++;
		mt_items_listener(out, items[k].l, NULL);
	}
	mt_strmap_fini(&map);
	mt_region_fini(&keys);
	free(items);
}

static bool is_other_bound(const struct mt_bound *a, const struct mt_bound *b)
{
	const char *is = a->principal ? a->principal : "", *was = b->principal ? b->principal : "";

	return a->port != b->port || a->has_mac != b->has_mac ||
	       memcmp(a->mac, b->mac, sizeof(a->mac)) != 0 || strcmp(is, was) != 0;
}

/* Both are in the order of addresses. */
static void diff_bound(
	const struct mt_snapshot *old, const struct mt_snapshot *new_, struct mt_conf_change *ch)
{
	uint32_t n_old = old ? old->n_bound : 0, i = 0, k = 0;

	while (i < n_old || k < new_->n_bound) {
		int way = i == n_old	       ? 1
			  : k == new_->n_bound ? -1
					       : memcmp(&old->bound[i].addr, &new_->bound[k].addr,
							 sizeof(struct mt_addr));

		ch->workloads_removed += way < 0;
		ch->workloads_added += way > 0;
		if (way == 0)
			ch->workloads_changed += is_other_bound(&old->bound[i], &new_->bound[k]);
		i += way <= 0;
		k += way >= 0;
	}
}

/* The cluster of a forwarded port. */
static const struct mt_cluster *cluster_of(const struct mt_snapshot *s, const struct mt_forward *f)
{
	return &s->clusters[f->cluster];
}

static bool is_other_forward(const struct mt_snapshot *old, const struct mt_forward *a,
	const struct mt_snapshot *new_, const struct mt_forward *b)
{
	const struct mt_closer *was = cluster_of(old, a)->closed_by;
	const struct mt_closer *is = cluster_of(new_, b)->closed_by;

	return a->mode != b->mode || cluster_of(old, a)->id != cluster_of(new_, b)->id ||
	       cluster_of(old, a)->hash_by != cluster_of(new_, b)->hash_by ||
	       (was ? was->id : 0) != (is ? is->id : 0);
}

static int by_place(const struct mt_forward *a, const struct mt_forward *b)
{
	int way = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	if (way || a->port != b->port)
		return way ? way : (int)a->port - (int)b->port;
	return (int)a->protocol - (int)b->protocol;
}

/* Both are in the order of addresses, ports and protocols. */
static void diff_forwards(struct mt_conf_items *out, const struct mt_snapshot *old,
	const struct mt_snapshot *new_, struct mt_conf_change *ch)
{
	uint32_t n_old = old ? old->n_forwards : 0, i = 0, k = 0;

	while (i < n_old || k < new_->n_forwards) {
		const struct mt_forward *a = i < n_old ? &old->forwards[i] : NULL;
		const struct mt_forward *b = k < new_->n_forwards ? &new_->forwards[k] : NULL;
		int way = !a ? 1 : !b ? -1 : by_place(a, b);
		bool other = way == 0 && is_other_forward(old, a, new_, b);

		ch->forwards_removed += way < 0;
		ch->forwards_added += way > 0;
		ch->forwards_changed += other;
		if (way || other)
			mt_items_forward(out, way > 0 ? NULL : a, way < 0 ? NULL : b);
		i += way <= 0;
		k += way >= 0;
	}
}

void mt_snap_diff(struct mt_conf *conf, const struct mt_snap *old, const struct mt_snap *new_,
	struct mt_conf_change *out)
{
	*out = (struct mt_conf_change){0};
	mt_items_reset(&conf->items);
	diff_listeners(&conf->items, old, new_, out);
	mt_snap_diff_shared(conf, old, new_, out);
	diff_bound(old ? &old->pub : NULL, &new_->pub, out);
	diff_forwards(&conf->items, old ? &old->pub : NULL, &new_->pub, out);
}

bool mt_conf_change_none(const struct mt_conf_change *change)
{
	static const struct mt_conf_change none;

	return memcmp(change, &none, sizeof(none)) == 0;
}

char *mt_conf_change_str(const struct mt_conf_change *c, char *buf, size_t size)
{
	const struct {
		const char *what, *verb;
		uint32_t n;
	} parts[] = {
		{"listener", "added", c->listeners_added},
		{"listener", "removed", c->listeners_removed},
		{"listener", "changed", c->listeners_changed},
		{"service", "added", c->services_added},
		{"service", "removed", c->services_removed},
		{"service", "changed", c->services_changed},
		{"cluster", "added", c->clusters_added},
		{"cluster", "removed", c->clusters_removed},
		{"cluster", "changed", c->clusters_changed},
		{"endpoint", "added", c->endpoints_added},
		{"endpoint", "removed", c->endpoints_removed},
		{"workload", "added", c->workloads_added},
		{"workload", "removed", c->workloads_removed},
		{"workload", "changed", c->workloads_changed},
		{"forwarded port", "added", c->forwards_added},
		{"forwarded port", "removed", c->forwards_removed},
		{"forwarded port", "changed", c->forwards_changed},
	};
	size_t len = 0;

	snprintf(buf, size, "no change");
	for (size_t i = 0; i < MT_ARRAY_LEN(parts) && len < size; i++)
		if (parts[i].n)
			len += (size_t)snprintf(buf + len, size - len, "%s%u %s%s %s",
				len ? ", " : "", parts[i].n, parts[i].what,
				parts[i].n == 1 ? "" : "s", parts[i].verb);
	return buf;
}
