/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads DHCPv6 messages of guests. find_message() finds the message in a frame, read_message()
 * fills `struct request` with all checks of options by the table `rules`, and check_message()
 * applies what each type must have, by the table `kinds`.
 */
#include "mt_dhcp6_priv.h"

#define DUID_MAX 130 /* a type and 128 bytes (RFC 8415 §11.1) */
#define NO_LIMIT UINT16_MAX

/* Containers of options. */
enum {
	IN_MESSAGE = 1,
	IN_IA = 2,
	IN_PD = 4,
	IN_ADDRESS = 8, /* or in a prefix */
	ANYWHERE = 15,
};

/* Options that have a meaning here: lengths, places, and if several may be there. */
static const struct rule {
	uint16_t code, least, most;
	uint8_t in; /* 0: only in messages of relays */
	bool many;
} rules[] = {
	{CLIENT_ID, 3, DUID_MAX, IN_MESSAGE, false},
	{SERVER_ID, 3, DUID_MAX, IN_MESSAGE, false},
	{IA_NA, IA_HEAD, NO_LIMIT, IN_MESSAGE, true},
	{IA_TA, IA_TA_HEAD, NO_LIMIT, IN_MESSAGE, true},
	{IA_PD, IA_HEAD, NO_LIMIT, IN_MESSAGE, true},
	{ADDRESS, ADDRESS_HEAD, NO_LIMIT, IN_IA, true},
	{PREFIX, PREFIX_HEAD, NO_LIMIT, IN_PD, true},
	{REQUESTED, 0, NO_LIMIT, IN_MESSAGE, false},
	{PREFERENCE, 1, 1, IN_MESSAGE, false},
	{ELAPSED, 2, 2, IN_MESSAGE, false},
	{STATUS, 2, NO_LIMIT, ANYWHERE, false},
	{RAPID_COMMIT, 0, 0, IN_MESSAGE, false},
	{RELAYED, 0, NO_LIMIT, 0, false},
	{INTERFACE_ID, 0, NO_LIMIT, 0, false},
};

enum need { NEVER, MAY, MUST };

/* Messages of clients: identifiers and IAs in them (RFC 8415 §16), and if unicast is allowed. */
static const struct kind {
	bool known;
	enum need client, server;
	bool ias, unicast;
} kinds[] = {
	[SOLICIT] = {true, MUST, NEVER, true, false},
	[REQUEST] = {true, MUST, MUST, true, true},
	[CONFIRM] = {true, MUST, NEVER, true, false},
	[RENEW] = {true, MUST, MUST, true, true},
	[REBIND] = {true, MUST, NEVER, true, false},
	[RELEASE] = {true, MUST, MUST, true, true},
	[DECLINE] = {true, MUST, MUST, true, true},
	[INFORMATION] = {true, MAY, MAY, false, false},
};

/* ---- the frame ------------------------------------------------------------------------------- */

/*
 * Finds the message in a frame to UDP port 547 of the group of servers, or of the gateway. Returns
 * MT_DHCP6_OTHER for another frame, also for one with extension headers, which clients do not send.
 */
static enum mt_dhcp6_verdict find_message(const struct mt_gateway6 *gw, const uint8_t *frame,
	uint32_t len, struct request *r, struct mt_slice *message)
{
	static const struct mt_addr servers = {.b = {0xff, 0x02, [13] = 1, [15] = 2}};
	const uint8_t *ip = frame + ETHER_LEN, *udp = ip + IP6_LEN;
	struct mt_addr to;
	uint32_t payload, udp_len;

	if (len < ETHER_LEN + IP6_LEN + UDP_LEN || guest_be16(frame + ETHER_TYPE) != TYPE_IP6 ||
		ip[0] >> 4 != 6 || ip[IP6_NEXT] != PROTO_UDP || guest_be16(udp + 2) != DHCP6_SERVER)
		return MT_DHCP6_OTHER;
	to = guest_addr6(ip + IP6_DESTINATION);
	r->source = guest_addr6(ip + IP6_SOURCE);
	r->unicast = mt_addr_eq(&to, &gw->address);
	if (!r->unicast && !mt_addr_eq(&to, &servers))
		return MT_DHCP6_OTHER;
	payload = guest_be16(ip + IP6_PAYLOAD);
	udp_len = guest_be16(udp + 4);
	if (payload > len - ETHER_LEN - IP6_LEN || udp_len < UDP_LEN || udp_len > payload)
		return MT_DHCP6_TRUNCATED;
	if (guest_be16(udp + UDP_CKSUM) == 0 || guest_ip6_sum(ip, PROTO_UDP, udp_len) != 0)
		return MT_DHCP6_CHECKSUM;
	if (r->source.b[0] == 0xff || mt_addr_is_zero(&r->source) || mt_addr_is4(&r->source))
		return MT_DHCP6_SOURCE;
	*message = (struct mt_slice){udp + UDP_LEN, udp_len - UDP_LEN};
	return MT_DHCP6_REPLY;
}

/* ---- the message ---------------------------------------------------------------------------- */

/* Takes the first option. Returns false if it is not complete. */
static bool take(struct mt_slice *at, struct option *o)
{
	uint32_t len;

	if (at->len < OPTION_LEN)
		return false;
	len = guest_be16(at->p + 2);
	if (len > at->len - OPTION_LEN)
		return false;
	*o = (struct option){guest_be16(at->p), {at->p + OPTION_LEN, len}};
	*at = slice_after(*at, OPTION_LEN + len);
	return true;
}

/* Returns the reason to drop a message with this option, in the container `in`. */
static enum mt_dhcp6_verdict check_option(const struct option *o, uint8_t in, uint32_t *seen)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		const struct rule *r = &rules[i];

		if (r->code != o->code)
			continue;
		if (!r->in)
			return MT_DHCP6_FROM_RELAY;
		if (!(r->in & in))
			return MT_DHCP6_NESTED;
		if (o->data.len < r->least || o->data.len > r->most)
			return MT_DHCP6_MALFORMED;
		if (!r->many && *seen & 1u << i)
			return MT_DHCP6_DUPLICATED;
		*seen |= 1u << i;
		break;
	}
	return MT_DHCP6_REPLY;
}

/* Checks the options in a container, and calls `each` for each of them. */
static enum mt_dhcp6_verdict check_options(struct mt_slice at, uint8_t in,
	enum mt_dhcp6_verdict (*each)(struct request *r, const struct option *o), struct request *r)
{
	uint32_t seen = 0;
	struct option o;

	while (at.len) {
		enum mt_dhcp6_verdict v;

		if (!take(&at, &o))
			return MT_DHCP6_TRUNCATED;
		v = check_option(&o, in, &seen);
		if (v == MT_DHCP6_REPLY)
			v = each(r, &o);
		if (v != MT_DHCP6_REPLY)
			return v;
	}
	return MT_DHCP6_REPLY;
}

/* Addresses and prefixes contain no containers. */
static enum mt_dhcp6_verdict pass(struct request *r, const struct option *o)
{
	return MT_DHCP6_REPLY;
}

/* The options of an address or a prefix in an IA. */
static enum mt_dhcp6_verdict check_leaf(struct request *r, const struct option *o)
{
	uint32_t head = o->code == ADDRESS ? ADDRESS_HEAD : o->code == PREFIX ? PREFIX_HEAD : 0;

	return head ? check_options(slice_after(o->data, head), IN_ADDRESS, pass, r)
		    : MT_DHCP6_REPLY;
}

static enum mt_dhcp6_verdict add_ia(struct request *r, const struct option *ia)
{
	if (r->n_ias == IAS_MAX)
		return MT_DHCP6_TOO_MANY;
	for (uint32_t i = 0; i < r->n_ias; i++)
		if (r->ias[i].code == ia->code && memcmp(r->ias[i].data.p, ia->data.p, 4) == 0)
			return MT_DHCP6_DUPLICATED;
	r->ias[r->n_ias++] = *ia;
	return check_options(slice_after(ia->data, head_of(ia)), ia->code == IA_PD ? IN_PD : IN_IA,
		check_leaf, r);
}

static enum mt_dhcp6_verdict add_list(struct request *r, struct mt_slice list)
{
	if (list.len % 2)
		return MT_DHCP6_MALFORMED;
	r->has_list = true;
	for (uint32_t i = 0; i < list.len; i += 2) {
		uint16_t code = guest_be16(list.p + i);

		r->wants_servers |= code == NAME_SERVERS;
		r->wants_search |= code == SEARCH;
		r->wants_refresh |= code == REFRESH_TIME;
	}
	return MT_DHCP6_REPLY;
}

static enum mt_dhcp6_verdict keep(struct request *r, const struct option *o)
{
	switch (o->code) {
	case CLIENT_ID:
		r->client = o->data;
		return MT_DHCP6_REPLY;
	case SERVER_ID:
		r->server = o->data;
		return MT_DHCP6_REPLY;
	case RAPID_COMMIT:
		r->rapid = true;
		return MT_DHCP6_REPLY;
	case REQUESTED:
		return add_list(r, o->data);
	case IA_NA:
	case IA_TA:
	case IA_PD:
		return add_ia(r, o);
	default:
		return MT_DHCP6_REPLY;
	}
}

/* Reads a message of a client. */
static enum mt_dhcp6_verdict read_message(struct request *r, struct mt_slice at)
{
	if (at.len < HEAD_LEN)
		return MT_DHCP6_TRUNCATED;
	r->type = at.p[0];
	r->transaction = at.p + 1;
	if (r->type == RELAY_FORWARD || r->type == RELAY_REPLY)
		return MT_DHCP6_FROM_RELAY;
	if (r->type == ADVERTISE || r->type == REPLY || r->type == RECONFIGURE)
		return MT_DHCP6_FROM_SERVER;
	if (r->type >= MT_ARRAY_LEN(kinds) || !kinds[r->type].known)
		return MT_DHCP6_UNKNOWN;
	return check_options(slice_after(at, HEAD_LEN), IN_MESSAGE, keep, r);
}

/* ---- addresses and identifiers -------------------------------------------------------------- */

bool dhcp6_take_address(struct mt_slice *at, struct mt_addr *a)
{
	struct option o;

	while (take(at, &o))
		if (o.code == ADDRESS) {
			*a = guest_addr6(o.data.p);
			return true;
		}
	return false;
}

uint32_t dhcp6_count(const struct mt_guest *g, const struct option *ia, bool own)
{
	struct mt_slice at = slice_after(ia->data, head_of(ia));
	struct mt_addr a;
	uint32_t n = 0;

	while (dhcp6_take_address(&at, &a))
		n += has_address6(g, &a) == own;
	return n;
}

uint32_t dhcp6_count_all(const struct mt_guest *g, const struct request *r, bool own)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_ias; i++)
		n += dhcp6_count(g, &r->ias[i], own);
	return n;
}

void dhcp6_server_id(const struct mt_gateway6 *gw, uint8_t id[ID_LEN])
{
	static const uint8_t head[] = {0, 3, 0, 1};

	memcpy(id, head, sizeof(head));
	memcpy(id + sizeof(head), gw->mac, sizeof(gw->mac));
}

/* ---- rules for messages ---------------------------------------------------------------------- */

static bool is_our_id(const struct mt_gateway6 *gw, struct mt_slice id)
{
	uint8_t ours[ID_LEN];

	dhcp6_server_id(gw, ours);
	return id.len == sizeof(ours) && memcmp(id.p, ours, sizeof(ours)) == 0;
}

static enum mt_dhcp6_verdict check_message(
	const struct mt_gateway6 *gw, const struct mt_guest *g, const struct request *r)
{
	const struct kind *k = &kinds[r->type];

	if (r->unicast && !k->unicast)
		return MT_DHCP6_UNICAST;
	if (k->client == MUST && !r->client.p)
		return MT_DHCP6_CLIENT_ID;
	if (r->server.p ? k->server == NEVER : k->server == MUST)
		return MT_DHCP6_SERVER_ID;
	if (r->server.p && !is_our_id(gw, r->server))
		return MT_DHCP6_OTHER_SERVER;
	if (r->n_ias && !k->ias)
		return MT_DHCP6_IA;
	if (r->type == CONFIRM && dhcp6_count_all(g, r, true) + dhcp6_count_all(g, r, false) == 0)
		return MT_DHCP6_NO_ADDRESS;
	return MT_DHCP6_REPLY;
}

enum mt_dhcp6_verdict dhcp6_read(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, struct request *r)
{
	struct mt_slice message = {0};
	enum mt_dhcp6_verdict v = find_message(gw, frame, len, r, &message);

	if (v == MT_DHCP6_REPLY)
		v = read_message(r, message);
	return v == MT_DHCP6_REPLY ? check_message(gw, g, r) : v;
}
