/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies to DHCPv6 messages of guests. Identifiers and addresses come first, so that only names
 * are left out when a reply is full.
 */
#include "mt_dhcp6_priv.h"
#include "mt_guest_names.h"

#define REPLY_HOPS 64
#define INFINITE   UINT32_MAX /* seconds */
#define REFRESH	   600	      /* least seconds of an information refresh time (§21.23) */
#define PREFERRED  255	      /* the client does not wait for other servers (§21.8) */

/* A reply, and what it depends on. */
struct answer {
	const struct mt_gateway6 *gw;
	const struct mt_guest *g;
	const struct request *r;
	const struct option *lease; /* the IA that has the guest's addresses; NULL: none */
	uint8_t *p;
	uint32_t n, max;
	bool refused, cut;
};

/* Returns the IA that gets the addresses of the guest: the first IA_NA. NULL: there is none. */
static const struct option *find_lease(const struct request *r)
{
	for (uint32_t i = 0; i < r->n_ias; i++)
		if (r->ias[i].code == IA_NA)
			return &r->ias[i];
	return NULL;
}

static bool has_addresses6(const struct mt_guest *g)
{
	for (uint32_t i = 0; i < g->n_addresses; i++)
		if (is_address6(&g->addresses[i]))
			return true;
	return false;
}

/* ---- the reply ------------------------------------------------------------------------------ */

/* Appends an option and returns its data. Returns NULL if it does not fit. */
static uint8_t *put(struct answer *a, enum code code, uint32_t len)
{
	uint8_t *p = a->p + a->n;

	if (OPTION_LEN + len > a->max - a->n) {
		a->cut = true;
		return NULL;
	}
	guest_put16(p, code);
	guest_put16(p + 2, len);
	a->n += OPTION_LEN + len;
	return p + OPTION_LEN;
}

static void put_bytes(struct answer *a, enum code code, struct mt_slice data)
{
	uint8_t *p = put(a, code, data.len);

	if (p)
		memcpy(p, data.p, data.len);
}

static void put_status(struct answer *a, enum status status)
{
	uint8_t *p = put(a, STATUS, 2);

	if (p)
		guest_put16(p, status);
	a->refused |= status != SUCCESS;
}

static void put_address(struct answer *a, const struct mt_addr *address, uint32_t lifetime)
{
	uint8_t *p = put(a, ADDRESS, ADDRESS_HEAD);

	if (!p)
		return;
	memcpy(p, address, sizeof(*address));
	guest_put32(p + 16, lifetime);
	guest_put32(p + 20, lifetime);
}

/* Appends an IA with a status code and without an address. */
static void put_refusal(struct answer *a, const struct option *ia, enum status status)
{
	uint32_t head = head_of(ia);
	uint8_t *p = put(a, (enum code)ia->code, head + OPTION_LEN + 2);

	a->refused = true;
	if (!p)
		return;
	memset(p, 0, head);
	memcpy(p, ia->data.p, 4);
	guest_put16(p + head, STATUS);
	guest_put16(p + head + 2, 2);
	guest_put16(p + head + OPTION_LEN, status);
}

/* Appends the addresses of an IA that the guest does not have, to end their use (§18.3.4). */
static void put_foreign(struct answer *a, const struct option *ia)
{
	struct mt_slice at = slice_after(ia->data, head_of(ia));
	struct mt_addr address;

	while (dhcp6_take_address(&at, &address))
		if (!has_address6(a->g, &address))
			put_address(a, &address, 0);
}

/* Appends the IA with the addresses of the guest. T1 and T2 are those of §21.4. */
static void put_lease(struct answer *a, bool with_foreign)
{
	const struct option *ia = a->lease;
	uint32_t lease = a->gw->lease, start = a->n;
	uint8_t *p = put(a, IA_NA, IA_HEAD);

	if (!p)
		return;
	memcpy(p, ia->data.p, 4);
	guest_put32(p + 4, lease == INFINITE ? INFINITE : lease / 2);
	guest_put32(p + 8, lease == INFINITE ? INFINITE : lease - lease / 5);
	for (uint32_t i = 0; i < a->g->n_addresses; i++)
		if (is_address6(&a->g->addresses[i]))
			put_address(a, &a->g->addresses[i], lease);
	if (with_foreign)
		put_foreign(a, ia);
	guest_put16(a->p + start + 2, a->n - start - OPTION_LEN);
}

/* Appends each IA of Solicit and Request, or of Renew and Rebind. */
static void put_ias(struct answer *a)
{
	const struct request *r = a->r;
	bool renewed = r->type == RENEW || r->type == REBIND;

	for (uint32_t i = 0; i < r->n_ias; i++) {
		const struct option *ia = &r->ias[i];

		if (ia == a->lease && r->type == REQUEST && dhcp6_count(a->g, ia, false))
			put_refusal(a, ia, NOT_ON_LINK);
		else if (ia == a->lease &&
			 (has_addresses6(a->g) || (renewed && dhcp6_count(a->g, ia, false))))
			put_lease(a, renewed);
		else if (renewed)
			put_refusal(a, ia, NO_BINDING);
		else
			put_refusal(a, ia, ia->code == IA_PD ? NO_PREFIXES : NO_ADDRESSES);
	}
}

/* Appends the IAs of Release and Decline that do not have an address of the guest (§18.3.7). */
static void put_unbound(struct answer *a)
{
	for (uint32_t i = 0; i < a->r->n_ias; i++) {
		const struct option *ia = &a->r->ias[i];

		if (ia != a->lease || !dhcp6_count(a->g, ia, true))
			put_refusal(a, ia, NO_BINDING);
	}
}

/* Appends the name servers with IPv6 addresses, as many as fit (RFC 3646). */
static void put_name_servers(struct answer *a)
{
	const struct mt_gateway6 *gw = a->gw;
	uint32_t n = 0, start = a->n;

	for (uint32_t i = 0; i < gw->n_name_servers; i++) {
		if (!is_address6(&gw->name_servers[i]))
			continue;
		if (OPTION_LEN + (n + 1) * sizeof(struct mt_addr) > a->max - start) {
			a->cut = true;
			break;
		}
		memcpy(a->p + start + OPTION_LEN + n++ * sizeof(struct mt_addr),
			&gw->name_servers[i], sizeof(struct mt_addr));
	}
	if (n)
		put(a, NAME_SERVERS, (uint32_t)(n * sizeof(struct mt_addr)));
}

/* Appends the search list up to the first domain that does not fit (RFC 3646). */
static void put_search(struct answer *a)
{
	uint8_t labels[GUEST_NAME_MAX];
	uint32_t n = 0, start = a->n;

	for (uint32_t i = 0; i < a->gw->n_search; i++) {
		uint32_t len = guest_labels(a->gw->search[i], labels);

		if (OPTION_LEN + n + len > a->max - start) {
			a->cut = true;
			break;
		}
		memcpy(a->p + start + OPTION_LEN + n, labels, len);
		n += len;
	}
	if (n)
		put(a, SEARCH, n);
}

static void put_parameters(struct answer *a)
{
	const struct request *r = a->r;
	uint8_t *p;

	if (!r->has_list || r->wants_servers)
		put_name_servers(a);
	if (r->type == INFORMATION && r->wants_refresh) {
		p = put(a, REFRESH_TIME, 4);
		if (p)
			guest_put32(p, MT_MAX(a->gw->lease, REFRESH));
	}
	if (!r->has_list || r->wants_search)
		put_search(a);
}

/* Appends what the type requires. Returns true if the guest now has its addresses. */
static bool put_body(struct answer *a, bool rapid)
{
	const struct request *r = a->r;

	switch (r->type) {
	case SOLICIT:
		if (rapid)
			put(a, RAPID_COMMIT, 0);
		else
			put_bytes(
				a, PREFERENCE, (struct mt_slice){(const uint8_t[]){PREFERRED}, 1});
		break;
	case CONFIRM:
		put_status(a, dhcp6_count_all(a->g, r, false) ? NOT_ON_LINK : SUCCESS);
		return false;
	case RELEASE:
	case DECLINE:
		put_status(a, SUCCESS);
		put_unbound(a);
		return false;
	default:
		break;
	}
	put_ias(a);
	put_parameters(a);
	return a->lease && has_addresses6(a->g) && (r->type != SOLICIT || rapid) &&
	       !(r->type == REQUEST && dhcp6_count(a->g, a->lease, false));
}

/* Writes the message. Sets all of the reply but its length. */
static void put_message(struct answer *a, struct mt_dhcp6_reply *reply)
{
	const struct request *r = a->r;
	/* With an advertisement a client without addresses goes on soliciting. */
	bool rapid = r->type == SOLICIT && r->rapid && a->lease && has_addresses6(a->g);
	bool bound = a->lease && dhcp6_count(a->g, a->lease, true) && !r->unicast;
	uint8_t id[ID_LEN];

	*reply = (struct mt_dhcp6_reply){
		.declined = bound && r->type == DECLINE, .released = bound && r->type == RELEASE};
	a->p[0] = r->type == SOLICIT && !rapid ? ADVERTISE : REPLY;
	memcpy(a->p + 1, r->transaction, HEAD_LEN - 1);
	dhcp6_server_id(a->gw, id);
	put_bytes(a, SERVER_ID, (struct mt_slice){id, sizeof(id)});
	if (r->client.p)
		put_bytes(a, CLIENT_ID, r->client);
	if (r->unicast)
		put_status(a, USE_MULTICAST);
	else
		reply->committed = put_body(a, rapid);
	reply->refused = a->refused;
	reply->cut = a->cut;
}

enum mt_dhcp6_verdict mt_dhcp6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, uint8_t out[MT_GATEWAY6_FRAME_MAX],
	struct mt_dhcp6_reply *reply)
{
	uint8_t *ip = out + ETHER_LEN, *udp = ip + IP6_LEN;
	struct request r = {0};
	struct answer a = {.gw = gw,
		.g = g,
		.r = &r,
		.p = udp + UDP_LEN,
		.n = HEAD_LEN,
		.max = MT_GATEWAY6_MTU_MIN - IP6_LEN - UDP_LEN};
	enum mt_dhcp6_verdict v = dhcp6_read(gw, g, frame, len, &r);
	uint16_t sum;

	if (v != MT_DHCP6_REPLY)
		return v;
	a.lease = find_lease(&r);
	put_message(&a, reply);
	guest_put_ether(g->mac, gw->mac, TYPE_IP6, out);
	guest_put_ip6(ip, PROTO_UDP, REPLY_HOPS, &gw->address, &r.source, UDP_LEN + a.n);
	guest_put16(udp, DHCP6_SERVER);
	guest_put16(udp + 2, DHCP6_CLIENT);
	guest_put16(udp + 4, UDP_LEN + a.n);
	guest_put16(udp + UDP_CKSUM, 0);
	sum = guest_ip6_sum(ip, PROTO_UDP, UDP_LEN + a.n);
	guest_put16(udp + UDP_CKSUM, sum ? sum : 0xffff); /* 0 means that there is none */
	reply->len = ETHER_LEN + IP6_LEN + UDP_LEN + a.n;
	return MT_DHCP6_REPLY;
}

const char *mt_dhcp6_verdict_str(enum mt_dhcp6_verdict v)
{
	static const char *const names[] = {
		[MT_DHCP6_REPLY] = "reply",
		[MT_DHCP6_OTHER] = "other",
		[MT_DHCP6_CHECKSUM] = "checksum",
		[MT_DHCP6_SOURCE] = "source",
		[MT_DHCP6_TRUNCATED] = "truncated",
		[MT_DHCP6_MALFORMED] = "malformed",
		[MT_DHCP6_DUPLICATED] = "duplicated",
		[MT_DHCP6_NESTED] = "nested",
		[MT_DHCP6_TOO_MANY] = "too_many",
		[MT_DHCP6_UNKNOWN] = "unknown",
		[MT_DHCP6_FROM_SERVER] = "from_server",
		[MT_DHCP6_FROM_RELAY] = "from_relay",
		[MT_DHCP6_UNICAST] = "unicast",
		[MT_DHCP6_CLIENT_ID] = "client_id",
		[MT_DHCP6_SERVER_ID] = "server_id",
		[MT_DHCP6_OTHER_SERVER] = "other_server",
		[MT_DHCP6_IA] = "ia",
		[MT_DHCP6_NO_ADDRESS] = "no_address",
	};

	return v < MT_DHCP6_VERDICTS ? names[v] : "no verdict";
}
