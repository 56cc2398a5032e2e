/* SPDX-License-Identifier: Apache-2.0 */
/* Forwarding at layer 4 in the Node: ports, their modes, addresses for NAT. */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = {"nat", "nat-full", "dsr", "tunnel-ipip", "tunnel-gue", NULL};

static void read_mode(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_forwarding *f = obj;
	struct mt_text word = {0};
	enum mt_forwarding mode;

	if (!mt_read_text(c, n, &word))
		return;
	mode = mt_forwarding_find(word.s, strlen(word.s));
	if (mode == MT_FORWARDING_NONE)
		mt_f_error(c, n->line, MT_FORWARDING_MODES, "\"%.64s\" is not a mode", word.s);
	else
		f->mode = (struct mt_num){mode, n->line, true};
}

/* After all fields. */
static void complete(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_forwarding *f = obj;

	if (!f->mode.set)
		f->mode.v = MT_FORWARDING_NAT;
	mt_check_forwarding_limits(c, f);
}

/* More would be a firewall's list, which its own tools keep. */
#define NETWORKS_MAX 4096

static void read_networks(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_node_addr **list, uint32_t *count)
{
	if (!mt_want_list(c, n, "a list of networks"))
		return;
	if (n->n == 0 || n->n > NETWORKS_MAX)
		mt_f_error(c, n->line, "leave it out, or write 1 to 4096 networks", "%u networks",
			n->n);
	else
		mt_read_address_list(c, n, list, count);
}

static void read_allow(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_forwarding *f = obj;

	read_networks(c, n, &f->allow, &f->n_allow);
}

static void read_deny(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_forwarding *f = obj;

	read_networks(c, n, &f->deny, &f->n_deny);
}

static const struct mt_field check_fields[] = {
	{"kind", MT_F_WORD, AT(struct mt_health_check_of, kind), .words = mt_health_check_words,
		.help = "`tcp`: a connection to the endpoint's port; `icmp`: an echo request; "
			"`none`: endpoints count as healthy; default: `tcp` for ports of TCP, for "
			"those of UDP `icmp` from the first reply on"},
	{"interval", MT_F_DURATION, AT(struct mt_health_check_of, interval),
		.min = MT_HEALTH_CHECK_INTERVAL_MIN_MS, .max = MT_HEALTH_CHECK_INTERVAL_MAX_MS,
		.help = "time from one check of an endpoint to the next, 100ms to 1h; default: 2s"},
	{"failures", MT_F_NUM, AT(struct mt_health_check_of, failures), .min = 1,
		.max = MT_HEALTH_CHECK_FAILURES_MAX,
		.help = "failures in a row after which an endpoint is unhealthy; default: 3"},
};

static const struct mt_section check_section = {"health check", sizeof(struct mt_health_check_of),
	MT_ARRAY_LEN(check_fields), .fields = check_fields};

static const struct mt_field forwarding_fields[] = {
	{"host", MT_F_TEXT, AT(struct mt_node_forwarding, host), .required = true, .host = true,
		.help = "the service's host"},
	{"port", MT_F_NUM, AT(struct mt_node_forwarding, port), .min = 1, .max = 65535,
		.required = true, .help = "number of the service's port"},
	{"mode", MT_F_CUSTOM, .custom = read_mode, .words = modes,
		.help = "`nat` (default): endpoints see the client's address; `nat-full`: they see "
			"an address of `spec.nat`; `dsr`: they have the service's address and "
			"answer clients themselves; `tunnel-ipip`: the same, by IP in IP, so that "
			"they can be in other networks; `tunnel-gue`: the same, by GUE"},
	{"allow", MT_F_CUSTOM, .custom = read_allow,
		.help = "networks of the clients that may use the port, at most 4096; default: "
			"all"},
	{"deny", MT_F_CUSTOM, .custom = read_deny,
		.help = "networks of clients that may not, at most 4096; a client in both lists "
			"may "
			"not"},
	{"healthCheck", MT_F_POINTER, AT(struct mt_node_forwarding, check), .sub = &check_section,
		.help = "how the port's endpoints are "
			"[checked for health](../how-to/layer-4.md#health-checks); default: as the "
			"annotation `meltemi.io/health-check` specifies"},
	{"limits", MT_F_POINTER, AT(struct mt_node_forwarding, limits),
		.sub = &mt_sec_forwarding_limits,
		.help = "[limits](../how-to/layer-4.md#limits-of-a-port) of packets from clients; "
			"default: none. Followed without a restart"},
};

const struct mt_section mt_sec_node_forwarding = {"forwarded port",
	sizeof(struct mt_node_forwarding), MT_ARRAY_LEN(forwarding_fields),
	.fields = forwarding_fields, .after = complete};

/* ---- NAT --------------------------------------------------------------------------------- */

static void read_addresses(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_nat *nat = obj;

	mt_read_address_list(c, n, &nat->addresses, &nat->n_addresses);
}

/* Reads a port number of one to five digits; returns the text after it. NULL: it is none. */
static const char *port_of(const char *s, uint16_t *port)
{
	size_t digits = strspn(s, "0123456789");
	uint32_t v = 0;

	if (!digits || digits > 5)
		return NULL;
	for (size_t i = 0; i < digits; i++)
		v = v * 10 + (uint32_t)(s[i] - '0');
	*port = (uint16_t)v;
	return v && v <= 65535 ? s + digits : NULL;
}

#define NAT_PORTS_MIN 1024 /* fewer would be used up by one client */

static void read_ports(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_nat *nat = obj;
	const char *p;

	if (!mt_read_text(c, n, &nat->ports))
		return;
	p = port_of(nat->ports.s, &nat->first);
	p = p && *p == '-' ? port_of(p + 1, &nat->last) : NULL;
	if (p && !*p && nat->first >= 1024 && nat->last - nat->first >= NAT_PORTS_MIN - 1)
		return;
	mt_f_error(c, n->line, "write at least 1024 ports, like 1024-65535",
		"\"%.64s\" is not a range of ports from 1024 to 65535", nat->ports.s);
	nat->first = nat->last = 0;
}

static const struct mt_field nat_fields[] = {
	{"addresses", MT_F_CUSTOM, .custom = read_addresses,
		.help = "source addresses of forwarded packets to endpoints, which routers lead to "
			"this node and which are not in `sourceAddresses`; default: the ports' "
			"own"},
	{"ports", MT_F_CUSTOM, .custom = read_ports,
		.help = "source ports, at least 1024 of them; default: 1024-65535, without "
			"`addresses` 40500-60999"},
};

const struct mt_section mt_sec_node_nat = {
	"NAT setting", sizeof(struct mt_node_nat), MT_ARRAY_LEN(nat_fields), .fields = nat_fields};

/* ---- conditions between entries ---------------------------------------------------------- */

static bool is_same(const struct mt_node_forwarding *a, const struct mt_node_forwarding *b)
{
	return a->host.s && b->host.s && strcmp(a->host.s, b->host.s) == 0 &&
	       a->port.v == b->port.v;
}

static void check_twice(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 1; i < node->n_forwarding; i++)
		for (uint32_t k = 0; k < i; k++) {
			char path[32];
			uint32_t mark;

			if (!is_same(&node->forwarding[i], &node->forwarding[k]))
				continue;
			snprintf(path, sizeof(path), "forwarding[%u]", i);
			mark = mt_path_push(c, path);
			mt_f_error(c, node->forwarding[i].origin.line, "keep one of them",
				"port %u of %.128s is already on line %u",
				node->forwarding[i].port.v, node->forwarding[i].host.s,
				node->forwarding[k].origin.line);
			mt_path_pop(c, mark);
			break;
		}
}

static bool is_source(const struct mt_node *node, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < node->n_source_addresses; i++)
		if (mt_addr_eq(&node->source_addresses[i].addr, a))
			return true;
	return false;
}

/* Ports of one address are chosen by TCP of the node, or for forwarded flows, never by both. */
static void check_nat(struct mt_fctx *c, const struct mt_node *node)
{
	const struct mt_node_nat *nat = node->nat;

	for (uint32_t i = 0; nat && i < nat->n_addresses; i++) {
		const struct mt_node_addr *a = &nat->addresses[i];
		char path[40];
		uint32_t mark;

		snprintf(path, sizeof(path), "nat.addresses[%u]", i);
		mark = mt_path_push(c, path);
		if (a->text.s && a->prefix != (mt_addr_is4(&a->addr) ? 32 : 128))
			mt_f_error(c, a->text.line, "write single addresses",
				"\"%.64s\" is a network", a->text.s);
		else if (a->text.s && is_source(node, &a->addr))
			mt_f_error(c, a->text.line, "remove it from one of both lists",
				"%.64s is in spec.sourceAddresses, too", a->text.s);
		mt_path_pop(c, mark);
	}
}

void mt_check_forwarding(struct mt_fctx *c, const struct mt_node *node)
{
	check_twice(c, node);
	check_nat(c, node);
}
