/* SPDX-License-Identifier: Apache-2.0 */
/* Which ports of which services are served, and by which codec. */
#include "mt_conf_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct mt_service_slot *mt_b_service_slot(struct mt_build *b, const char *name, const char *key,
	uint16_t port, struct mt_origin origin)
{
	struct mt_service_slot *slot = mt_region_alloc(&b->tmp, sizeof(*slot));

	if (!slot)
		return NULL;
	slot->unique = mt_region_printf(&b->tmp, "documents %s:%u", name, port);
	slot->name = name;
	slot->key = mt_b_lower(b, key);
	slot->origin = origin;
	return slot->unique ? slot : NULL;
}

const char *mt_b_annotated_key(const struct mt_meta *meta)
{
	const char *key = mt_labels_get(&meta->annotations, "interface");

	if (!key)
		key = mt_labels_get(&meta->annotations, "service");
	return key && *key ? key : NULL;
}

static const char *service_key(const struct mt_service_entry *se)
{
	const char *key = mt_b_annotated_key(&se->meta);

	return key ? key : se->hosts[0].s;
}

/* The ports of a host while they are added: the ends of its lists. */
struct adding {
	struct mt_build *b;
	struct mt_host *h;
	struct mt_forwarding_of of;
	struct mt_unit **units, **forwards;
};

static struct mt_unit *append(
	struct adding *x, struct mt_unit ***end, const struct mt_se_port *port)
{
	struct mt_unit *u = mt_region_alloc(&x->b->tmp, sizeof(*u));

	if (!u)
		return NULL;
	**end = u;
	*end = &u->next;
	u->se = x->h->se;
	u->port = port;
	u->host = x->h->se->hosts[0].s;
	return u;
}

static void add_unit(struct adding *x, const struct mt_se_port *port, const struct mt_proto *proto,
	enum mt_port_web web)
{
	struct mt_unit *u = append(x, &x->units, port);
	const struct mt_service_entry *se = x->h->se;

	if (!u)
		return;
	u->protocol = proto->name;
	u->codec = proto->codec;
	u->opts = proto->opts;
	u->web = (uint8_t)web;
	u->service = mt_b_service_slot(
		x->b, u->host, service_key(se), (uint16_t)port->number.v, se->meta.origin);
	if (!u->service)
		x->b->tmp.failed = true;
}

/* Policies see a port of opaque TCP, as nothing in its packets is read. */
static void add_forward(struct adding *x, const struct mt_se_port *port, uint8_t transport,
	enum mt_forwarding mode, enum mt_port_web web)
{
	struct mt_unit *u = append(x, &x->forwards, port);

	if (!u)
		return;
	u->codec = mt_codec_bytes();
	u->web = (uint8_t)web;
	u->transport = transport;
	u->forwarding = (uint8_t)mode;
}

static struct mt_port_words words_of(const struct mt_se_port *p, const struct mt_service_entry *se)
{
	return (struct mt_port_words){p->name.s, p->protocol.s, p->app_protocol.s, se->kubernetes};
}

static void add_port(struct adding *x, uint32_t i)
{
	struct mt_build *b = x->b;
	const struct mt_host *h = x->h;
	const struct mt_forwarding_of *of = &x->of;
	const struct mt_se_port *port = &h->se->ports[i];
	const struct mt_meta *meta = &h->se->meta;
	const struct mt_port_words words = words_of(port, h->se);
	enum mt_forwarding mode;
	struct mt_port_is is;
	char path[MT_INDEX_PATH];

	if (!mt_is_label(port->name.s)) {
		mt_index_path(path, "spec.ports", i, ".name");
		(void)mt_b_label(b, meta, &port->name, path, "port");
		return;
	}
	mt_b_port(b, &words, &is);
	if (is.told)
		(is.harms ? mt_b_warn : mt_b_note)(b, meta, port->name.line,
			mt_index_path(path, "spec.ports", i, ".name"), is.remedy, "%s", is.told);
	switch (is.kind) {
	case MT_PORT_MESSAGES:
		mt_b_forwarding_messages(b, h->se, of, i);
		add_unit(x, port, is.proto, is.web);
		break;
	case MT_PORT_BYTES:
		mode = mt_b_forwarding_tcp(b, h->se, of, i);
		if (mode)
			add_forward(x, port, IPPROTO_TCP, mode, is.web);
		else
			add_unit(x, port, &(struct mt_proto){.codec = mt_codec_bytes()}, is.web);
		break;
	case MT_PORT_DATAGRAMS:
		mode = mt_b_forwarding_udp(b, h->se, of, i);
		if (mode)
			add_forward(x, port, IPPROTO_UDP, mode, MT_WEB_NOT);
		break;
	case MT_PORT_NOT_SERVED:
		break;
	case MT_PORT_BAD:
		mt_b_error(b, meta, port->name.line, mt_index_path(path, "spec.ports", i, ".name"),
			"write tcp-metaprotocol-dubbo", "\"%.64s\" names no protocol",
			port->name.s);
		break;
	}
}

/* MT_PORT_BYTES: any port of TCP. */
static enum mt_port_kind transport_of(
	struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	const struct mt_port_words words = words_of(&se->ports[i], se);
	struct mt_port_is is;

	mt_b_port(b, &words, &is);
	return is.kind == MT_PORT_DATAGRAMS || is.kind == MT_PORT_NOT_SERVED ? is.kind
									     : MT_PORT_BYTES;
}

/* Ports of one service by number and by name. */
struct seen {
	struct mt_idmap numbers;
	struct mt_strmap names;
};

/* Adds a port; *number: an earlier one has its number. NULL: no earlier one has either. */
static const struct mt_se_port *see(struct mt_build *b, struct seen *seen,
	const struct mt_service_entry *se, uint32_t i, bool *number)
{
	const struct mt_se_port *port = &se->ports[i];
	/* One number may be of TCP, of UDP and of a protocol that is not served. */
	uint64_t id = (uint64_t)port->number.v << 8 | (uint64_t)transport_of(b, se, i);
	const struct mt_se_port *by_number, *by_name;

	id |= 1ull << 40;
	by_number = mt_idmap_get(&seen->numbers, id);
	by_name = mt_strmap_get(&seen->names, port->name.s);
	if ((!by_number && mt_idmap_put(&seen->numbers, id, (void *)port)) ||
		(!by_name && mt_strmap_put(&seen->names, port->name.s, (void *)port, NULL)))
		b->tmp.failed = true;
	*number = by_number && (!by_name || by_number <= by_name);
	return *number ? by_number : by_name;
}

static void check_port_numbers(struct mt_build *b, const struct mt_service_entry *se)
{
	struct seen seen = {0};

	for (uint32_t i = 0; i < se->n_ports && se->n_ports > 1; i++) {
		const struct mt_se_port *port = &se->ports[i], *first;
		char path[48];
		bool number;

		first = see(b, &seen, se, i, &number);
		if (!first)
			continue;
		snprintf(path, sizeof(path), "spec.ports[%u].%s", i, number ? "number" : "name");
		mt_b_error(b, &se->meta, number ? port->number.line : port->name.line, path,
			"give each port its own name and number", "already on line %u",
			first->origin.line);
	}
	mt_idmap_fini(&seen.numbers);
	mt_strmap_fini(&seen.names);
}

bool mt_b_knows_instances(const struct mt_service_entry *se)
{
	return se->resolution.v != MT_RESOLUTION_NONE &&
	       se->resolution.v != MT_RESOLUTION_DYNAMIC_DNS;
}

/* Where instances cannot be known there is nothing to balance over; the operator is told. */
static bool is_served(struct mt_build *b, const struct mt_service_entry *se)
{
	if (!mt_b_knows_instances(se)) {
		mt_b_warn(b, &se->meta,
			se->resolution.line ? se->resolution.line : se->meta.origin.line,
			"spec.resolution", "write resolution: STATIC with endpoints",
			"not served: its endpoints are not known");
		return false;
	}
	if (se->resolution.v >= MT_RESOLUTION_DNS && !se->n_endpoints && !se->selector &&
		se->hosts[0].s[0] == '*') {
		mt_b_error(b, &se->meta, se->hosts[0].line, "spec.hosts[0]", "add endpoints",
			"\"%.128s\" cannot be resolved", se->hosts[0].s);
		return false;
	}
	return true;
}

static void add_ports(struct mt_build *b, struct mt_host *h)
{
	struct adding x = {.b = b, .h = h, .units = &h->units, .forwards = &h->forwards};

	mt_b_forwarding_read(b, h->se, &x.of);
	for (uint32_t j = 0; j < h->se->n_ports; j++)
		add_port(&x, j);
	mt_b_health_check_read(b, h);
}

void mt_b_units(struct mt_build *b)
{
	mt_b_hosts(b);
	if (mt_strmap_reserve(&b->files, b->n_hosts))
		b->tmp.failed = true;
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		check_port_numbers(b, h->se);
		h->known = is_served(b, h->se);
		if (h->known)
			add_ports(b, h);
	}
	mt_b_addresses(b);
	mt_b_forwarding_unused(b);
	mt_b_patches(b);
}
