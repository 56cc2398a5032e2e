/* SPDX-License-Identifier: Apache-2.0 */
/* spec.guests: networks of virtual machines, and settings of all of them. */
#include "mt_fields.h"

#include "mt_model_guest.h"

#include <stdio.h>
#include <string.h>

#define NETWORKS_MAX 16

/* ---- networks -------------------------------------------------------------------------------- */

static void read_address(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_guest_network *w = obj;
	uint8_t most;

	if (!mt_read_text(c, n, &w->address.text))
		return;
	if (mt_prefix_parse(w->address.text.s, &w->address.addr, &w->address.prefix)) {
		mt_f_error(c, n->line, "write it like 10.9.0.1/24 or fd00::1/64",
			"\"%.64s\" is not an address with its prefix", n->text);
		return;
	}
	most = mt_addr_is4(&w->address.addr) ? 30 : 126;
	if (w->address.prefix > most)
		mt_f_error(c, n->line, "write a shorter prefix",
			"\"%.64s\" has no addresses for guests", n->text);
}

static const struct mt_field network_fields[] = {
	{"address", MT_F_CUSTOM, .custom = read_address, .required = true,
		.help = "the node's address with the network's prefix: the guests' gateway and "
			"name server"},
	{"nat", MT_F_BOOL, AT(struct mt_guest_network, nat), .status = MT_S_LATER, .harms = true,
		.instead = "guests reach services only",
		.help = "guests reach other networks with an address of the node; default: false"},
};

static const struct mt_section network_section = {"guests' network",
	sizeof(struct mt_guest_network), MT_ARRAY_LEN(network_fields), .fields = network_fields};

/* ---- limits ---------------------------------------------------------------------------------- */

static void read_rate(struct mt_fctx *c, const struct mt_ynode *n, uint32_t min, struct mt_num *out)
{
	struct mt_text word = {0};
	char remedy[96];
	uint32_t v = 0;

	if (!mt_read_text(c, n, &word))
		return;
	snprintf(remedy, sizeof(remedy),
		"write a whole number from %u to 4294967295 with /s, like 10000/s", min);
	if (mt_rate_parse(word.s, strlen(word.s), &v) || v < min)
		mt_f_error(c, n->line, remedy, "\"%.64s\" is not such a rate", word.s);
	else
		*out = (struct mt_num){v, n->line, true};
}

static void read_packets(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_rate(c, n, 1, &((struct mt_guest_limits *)obj)->packets);
}

static void read_bytes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_rate(c, n, MT_GUEST_BYTES_MIN, &((struct mt_guest_limits *)obj)->bytes);
}

static void read_new_connections(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_rate(c, n, 1, &((struct mt_guest_limits *)obj)->new_connections);
}

static void read_calls(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_rate(c, n, 1, &((struct mt_guest_limits *)obj)->calls);
}

static void check_limits(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	char why[256];

	if (n->n == 0)
		mt_f_error(c, n->line, "leave it out, or write a limit, like packets: 1000/s",
			"it limits nothing");
	else if (mt_guest_limits_wrong(obj, why, sizeof(why)))
		mt_f_error(c, n->line, "correct or remove it", "%s", why);
}

static const struct mt_field limits_fields[] = {
	{"packets", MT_F_CUSTOM, .custom = read_packets, .status = MT_S_KEPT,
		.help = "packets, like `1000/s`"},
	{"bytes", MT_F_CUSTOM, .custom = read_bytes, .status = MT_S_KEPT,
		.help = "bytes of IP packets, like `1000000/s`, at least `10000/s`"},
	{"newConnections", MT_F_CUSTOM, .custom = read_new_connections, .status = MT_S_KEPT,
		.help = "connections and flows that begin, like `100/s`"},
	{"connections", MT_F_NUM, AT(struct mt_guest_limits, connections), .min = 1,
		.max = UINT32_MAX, .status = MT_S_KEPT, .help = "connections and flows at once"},
	{"calls", MT_F_CUSTOM, .custom = read_calls, .status = MT_S_KEPT,
		.help = "calls, like `100/s`"},
};

static const struct mt_section limits_section = {"limit of a guest", sizeof(struct mt_guest_limits),
	MT_ARRAY_LEN(limits_fields), .fields = limits_fields, .after = check_limits};

/* ---- all of it ------------------------------------------------------------------------------- */

static void read_mac(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_guests *g = obj;

	if (mt_read_text(c, n, &g->mac_text) && mt_mac_parse(g->mac_text.s, g->mac))
		mt_f_error(c, n->line, "write it in quotes, like \"02:00:00:00:00:01\"",
			"\"%.64s\" is not the Ethernet address of a station", n->text);
}

static void check_networks(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_guests *g = obj;
	uint32_t mark = mt_path_push(c, "networks");

	if (mt_yaml_get(n, "networks") && !g->n_networks)
		mt_f_error(c, n->line, "write at least one", "there is no network");
	mt_path_pop(c, mark);
}

static const char *const default_words[] = {"allow", "deny", NULL};

static const struct mt_field guests_fields[] = {
	{"networks", MT_F_LIST, AT_LIST(struct mt_node_guests, networks), .sub = &network_section,
		.required = true, .max = NETWORKS_MAX,
		.help = "networks of guests, at most 16; the address of each guest is in one"},
	{"default", MT_F_WORD, AT(struct mt_node_guests, by_default), .words = default_words,
		.status = MT_S_LATER, .harms = true, .instead = "guests reach services only",
		.help = "destinations of guests besides services: `allow` (default): all; "
			"`deny`: none"},
	{"limits", MT_F_POINTER, AT(struct mt_node_guests, limits), .sub = &limits_section,
		.status = MT_S_LATER, .harms = true, .instead = "guests have no limits yet",
		.help = "limits of each guest; the annotation `meltemi.io/limits` of "
			"its "
			"WorkloadEntry replaces them; default: none"},
	{"mac", MT_F_CUSTOM, .custom = read_mac,
		.help = "the node's Ethernet address towards guests; default: chosen by the node"},
};

const struct mt_section mt_sec_node_guests = {"setting of guests", sizeof(struct mt_node_guests),
	MT_ARRAY_LEN(guests_fields), .fields = guests_fields, .after = check_networks};

/* True if one network contains the other. An address that was not read is zero. */
static bool overlap(const struct mt_node_addr *a, const struct mt_node_addr *b)
{
	uint8_t prefix = MT_MIN(a->prefix, b->prefix);

	return !mt_addr_is_zero(&a->addr) && !mt_addr_is_zero(&b->addr) &&
	       mt_prefix_contains(&a->addr, prefix, &b->addr);
}

/* Returns the text of an earlier network, or of a port's, that overlaps; NULL: none does. */
static const struct mt_text *find_overlap(const struct mt_node *node, uint32_t i)
{
	const struct mt_guest_network *w = node->guests->networks;

	for (uint32_t k = 0; k < i; k++)
		if (overlap(&w[k].address, &w[i].address))
			return &w[k].address.text;
	for (uint32_t k = 0; k < node->n_ports; k++)
		for (uint32_t j = 0; j < node->ports[k].n_addresses; j++)
			if (overlap(&node->ports[k].addresses[j], &w[i].address))
				return &node->ports[k].addresses[j].text;
	return NULL;
}

void mt_check_guests(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 0; node->guests && i < node->guests->n_networks; i++) {
		const struct mt_text *t = &node->guests->networks[i].address.text;
		const struct mt_text *other = find_overlap(node, i);
		char path[48];
		uint32_t mark;

		if (!other)
			continue;
		snprintf(path, sizeof(path), "guests.networks[%u].address", i);
		mark = mt_path_push(c, path);
		mt_f_error(c, t->line, "give guests networks of their own",
			"%.64s overlaps %.64s on line %u", t->s, other->s, other->line);
		mt_path_pop(c, mark);
	}
}
