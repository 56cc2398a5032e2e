/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and hosts of one source (spec.sources[].owns). */
#include "mt_fields.h"

#include "mt_owned.h"
#include "mt_strmap.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 253

static void read_addresses(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_owns *o = obj;

	if (n->type == MT_Y_SEQ && n->n > MT_LIST_SHORT)
		mt_f_error(c, n->line, "write networks instead", "more than %u addresses",
			MT_LIST_SHORT);
	else
		mt_read_address_list(c, n, &o->addresses, &o->n_addresses);
}

/* True for labels of letters, digits, - and _ with dots between them. */
static bool is_name(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(s);

	if (!len || len > NAME_MAX_LEN)
		return false;
	for (size_t n = strspn(s, letters); n; n = strspn(s, letters)) {
		s += n;
		if (!*s)
			return true;
		if (*s++ != '.')
			return false;
	}
	return false;
}

/*
 * Why no source can own the host; NULL: one can. A host without a dot is the Service of each
 * document's namespace in routes, and one of the Node's namespace for DNS clients.
 */
static const char *not_owned(const char *host)
{
	if (!is_name(host + (strncmp(host, "*.", 2) == 0 ? 2 : 0)))
		return "is not a host's name";
	return strchr(host, '.') ? NULL : "has no dot, so it is not the Service of one namespace";
}

/* Removes hosts with an error, so that mt_check_owns() does not report them again. */
static void check_hosts(struct mt_fctx *c, struct mt_node_owns *o)
{
	for (uint32_t i = 0; i < o->n_hosts; i++) {
		const char *s = o->hosts[i].s, *why = s ? not_owned(s) : NULL;
		uint32_t mark;

		if (!why)
			continue;
		mark = mt_path_push(c, "hosts");
		(void)mt_path_push_index(c, i);
		mt_f_error(c, o->hosts[i].line,
			"write it like pay.example.com, *.example.com or NAME.NAMESPACE",
			"\"%.128s\" %s", s, why);
		mt_path_pop(c, mark);
		o->hosts[i].s = NULL;
	}
}

/* Hosts without an address are assigned none that a source owns. */
static bool has_all_assigned(const struct mt_node_addr *a)
{
	struct mt_addr net;
	uint8_t prefix;

	return mt_prefix_parse("240.240.0.0/16", &net, &prefix) == 0 && mt_addr_is4(&a->addr) &&
	       a->prefix <= prefix && mt_prefix_contains(&a->addr, a->prefix, &net);
}

/* True for all IPv6 addresses, of a source with no IPv4 address. */
static bool has_only_ipv6(const struct mt_node_owns *o, const struct mt_node_addr *a)
{
	for (uint32_t i = 0; i < o->n_addresses; i++)
		if (mt_addr_is4(&o->addresses[i].addr))
			return false;
	return a->prefix == 0;
}

static void warn_of_address(
	struct mt_fctx *c, const struct mt_node_owns *o, const struct mt_node_addr *a)
{
	if (has_all_assigned(a))
		mt_f_warn(c, a->text.line, "give the source a part of 240.240.0.0/16",
			"%.64s has all addresses of 240.240.0.0/16: services of all sources "
			"need `addresses`, because none is left to be assigned",
			a->text.s);
	if (has_only_ipv6(o, a))
		mt_f_warn(c, a->text.line, "write IPv4 addresses, too, as 0.0.0.0/0",
			"%.64s has no IPv4 addresses", a->text.s);
}

/* As check_hosts(). */
static void check_addresses(struct mt_fctx *c, struct mt_node_owns *o)
{
	for (uint32_t i = 0; i < o->n_addresses; i++) {
		struct mt_node_addr *a = &o->addresses[i];
		uint32_t mark;

		if (!a->text.s)
			continue;
		mark = mt_path_push(c, "addresses");
		(void)mt_path_push_index(c, i);
		if (mt_owned_has_host_bits(&a->addr, a->prefix)) {
			mt_f_error(c, a->text.line,
				"write the network's first address, or no prefix",
				"%.64s is an address in a network, so it is not clear which of "
				"both is meant",
				a->text.s);
			a->text.s = NULL;
		} else {
			warn_of_address(c, o, a);
		}
		mt_path_pop(c, mark);
	}
}

/* An empty list owns nothing, so it is probably a mistake. */
static void check_owns(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const char *const lists[] = {"addresses", "hosts"};
	struct mt_node_owns *o = obj;
	bool any = false;

	for (size_t i = 0; i < MT_ARRAY_LEN(lists); i++) {
		const struct mt_ynode *list = mt_yaml_get(n, lists[i]);
		uint32_t mark;

		any |= list != NULL;
		if (!list || !(mt_yaml_is_null(list) || (list->type == MT_Y_SEQ && !list->first)))
			continue;
		mark = mt_path_push(c, lists[i]);
		mt_f_error(c, list->line, "write at least one, or leave the field out",
			"is an empty list");
		mt_path_pop(c, mark);
	}
	if (!any)
		mt_f_error(c, n->line, "write addresses, hosts or both", "the source owns nothing");
	check_addresses(c, o);
	check_hosts(c, o);
}

static const struct mt_field fields[] = {
	{"addresses", MT_F_CUSTOM, .custom = read_addresses,
		.help = "addresses, or networks with their prefixes; not those of another source"},
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_node_owns, hosts), .host = true,
		.max = MT_LIST_SHORT,
		.help = "hosts of services: `NAME`, or `*.SUFFIX` for all below SUFFIX; not those "
			"of another source"},
};

const struct mt_section mt_sec_node_owns = {"owned name or address", sizeof(struct mt_node_owns),
	MT_ARRAY_LEN(fields), .fields = fields, .after = check_owns};

static void clash(void *arg, const struct mt_owned_entry *e, const struct mt_owned_entry *earlier)
{
	struct mt_fctx *c = arg;
	const char *list = e->host ? "hosts" : "addresses";
	char path[64];
	uint32_t mark;

	snprintf(path, sizeof(path), "sources[%u].owns.%s[%u]", e->source, list, e->at);
	mark = mt_path_push(c, path);
	mt_f_error(c, e->text->line, "give them to one source",
		"%.128s overlaps %.128s on line %u, which sources[%u] owns", e->text->s,
		earlier->text->s, earlier->text->line, earlier->source);
	mt_path_pop(c, mark);
}

/* Namespaces of sources with `owns`; of several such sources the first has it. */
static void note_owners(struct mt_fctx *c, const struct mt_node *node, struct mt_strmap *owners)
{
	for (uint32_t i = 0; i < node->n_sources; i++)
		for (uint32_t k = 0; node->sources[i].owns && k < node->sources[i].n_namespaces;
			k++) {
			const char *ns = node->sources[i].namespaces[k].s;

			if (ns && !mt_strmap_get(owners, ns) &&
				mt_strmap_put(owners, ns, &node->sources[i], NULL))
				c->model->region.failed = true;
		}
}

/* Warns of a source for the first namespace that it shares with one that owns something. */
static void warn_of_shared(struct mt_fctx *c, const struct mt_node *node,
	const struct mt_strmap *owners, uint32_t source)
{
	const struct mt_node_source *s = &node->sources[source];

	for (uint32_t i = 0; i < s->n_namespaces; i++) {
		const struct mt_text *ns = &s->namespaces[i];
		const struct mt_node_source *owner = ns->s ? mt_strmap_get(owners, ns->s) : NULL;
		char path[64];
		uint32_t mark;

		if (!owner || owner == s)
			continue;
		snprintf(path, sizeof(path), "sources[%u].namespaces[%u]", source, i);
		mark = mt_path_push(c, path);
		mt_f_warn(c, ns->line, "give that source a namespace that no other source has",
			"%.64s is also a namespace of sources[%u], which has `owns`: authors of "
			"this source can add endpoints, rules and policies to services of it",
			ns->s, (uint32_t)(owner - node->sources));
		mt_path_pop(c, mark);
		return;
	}
}

static void warn_of_namespaces(struct mt_fctx *c, const struct mt_node *node)
{
	struct mt_strmap owners = {0};

	note_owners(c, node, &owners);
	for (uint32_t i = 0; owners.n && i < node->n_sources; i++)
		warn_of_shared(c, node, &owners, i);
	mt_strmap_fini(&owners);
}

void mt_check_owns(struct mt_fctx *c, const struct mt_node *node)
{
	struct mt_region r;

	warn_of_namespaces(c, node);
	mt_region_init(&r, 0);
	(void)mt_owned_new(&r, node, clash, c);
	if (r.failed)
		c->model->region.failed = true;
	mt_region_fini(&r);
}
