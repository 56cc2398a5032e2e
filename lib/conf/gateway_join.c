/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the rules of VirtualServices of one host at one server of a gateway, the older one's first,
 * as Istio does. A rule keeps its document and its place there. Matches for other gateways or ports
 * are removed first, because a gateway's name is relative to the namespace of the document.
 */
#include "mt_conf_listener_priv.h"
#include "mt_meant.h"

#include "mt_secret_hash.h"

/* Names that a host of a VirtualService may stand for. */
struct meant {
	uint64_t ids[2];
	uint32_t n;
};

static void add(struct meant *to, const char *name)
{
	uint64_t id = mt_secret_hash_text(name, 0);

	to->ids[to->n++] = id ? id : 1;
}

/*
 * The name of the host that is meant. A name at a gateway need not be a service's: it is then as it
 * is written, or without a dot one of the document's namespace. A host with one dot is otherwise
 * that of a namespace, and its author could add rules for it. Both names, if that author has a
 * service with the long one (mt_b_means_only_long()): the rules of the name as it is written stay
 * joined.
 */
static struct meant meant_by(
	const struct mt_build *b, const struct mt_virtual_service *vs, uint32_t i)
{
	const char *host = vs->hosts[i].s, *ns = vs->meta.ns;
	char full[MT_MEANT_HOST];
	bool is_long = mt_b_means_long(b, host, ns, full);
	bool as_written = !mt_b_means_only_long(b, host, ns);
	struct meant m = {0};

	if (!is_long && !strchr(host, '.') && !mt_b_host(b, host, ns)) {
		is_long = mt_long_name(host, ns, mt_model_domain(b->model), full, sizeof(full));
		as_written = !is_long;
	}
	if (is_long)
		add(&m, full);
	if (as_written)
		add(&m, host);
	return m;
}

static void put_names(
	struct mt_build *b, struct mt_idmap *names, const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		const struct meant m = meant_by(b, vs, i);

		for (uint32_t k = 0; k < m.n; k++)
			if (mt_idmap_put(names, m.ids[k], b))
				b->tmp.failed = true;
	}
}

bool mt_b_shares_host(struct mt_build *b, struct mt_idmap *names,
	const struct mt_virtual_service *first, const struct mt_virtual_service *vs)
{
	if (!names->n)
		put_names(b, names, first);
	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		const struct meant m = meant_by(b, vs, i);

		for (uint32_t k = 0; k < m.n; k++)
			if (mt_idmap_get(names, m.ids[k]))
				return true;
	}
	return false;
}

uint32_t mt_b_takes_all(const struct mt_rule_list *list, uint32_t from, uint16_t port,
	const char *ns, const char *gateway)
{
	for (uint32_t i = from; i < list->n_rules; i++) {
		const struct mt_rule *r = &list->rules[i];

		if (!r->n_matches)
			return i;
		for (uint32_t j = 0; j < r->n_matches; j++)
			if (!r->matches[j].n_conds &&
				mt_b_is_from(&r->matches[j], port, ns, gateway))
				return i;
	}
	return list->n_rules;
}

/* Removes matches for other servers; false if the rule had matches and none is left. */
static bool keep_matches(struct mt_build *b, struct mt_rule *r, const struct mt_joining *j,
	const struct mt_virtual_service *vs)
{
	struct mt_rule_match *kept = mt_region_alloc(&b->tmp, sizeof(*kept) * r->n_matches);
	uint32_t n = 0;

	if (!r->n_matches)
		return true;
	for (uint32_t i = 0; kept && i < r->n_matches; i++) {
		if (!mt_b_is_from(&r->matches[i], j->port, vs->meta.ns, j->gateway))
			continue;
		kept[n] = r->matches[i];
		kept[n++].n_gateways = 0;
	}
	r->matches = kept;
	r->n_matches = n;
	return n > 0;
}

void mt_b_join_routes(struct mt_build *b, struct mt_joining *j, const struct mt_virtual_service *vs,
	const struct mt_rule_list *list)
{
	struct mt_rule_list *to = j->to;
	struct mt_joined *part;

	to->origin = to->name ? to->origin : list->origin;
	to->name = to->name ? to->name : list->name;
	to->made_of = mt_hash_text(list->name, mt_hash_u64(list->made_of,
						       mt_hash_u64(vs->meta.serial, to->made_of))) |
		      1;
	for (uint32_t i = 0; i < list->n_rules; i++) {
		struct mt_rule one = list->rules[i], *slot;

		one.at = list->made_of ? one.at : i;
		one.by = one.by ? one.by : &vs->meta;
		one.list = list->name;
		if (!keep_matches(b, &one, j, vs))
			continue;
		slot = mt_region_push(&b->tmp, (void **)&to->rules, &to->n_rules, sizeof(*slot));
		if (slot)
			*slot = one;
	}
	part = mt_region_push(&b->tmp, (void **)&j->parts, &j->n_parts, sizeof(*part));
	if (part)
		*part = (struct mt_joined){&vs->meta, to->n_rules};
}
