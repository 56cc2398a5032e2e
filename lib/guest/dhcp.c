/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCP of guests. read_request() fills `struct request` with the fixed fields and the options that
 * have a meaning here: those of the options field, then with "option overload" those of the fields
 * `file` and `sname` (RFC 2132 §9.3). The two options that may be longer than 255 bytes are joined
 * from their parts in that order (RFC 3396 §5). Of the others, which have fixed lengths, the first
 * counts. The reply starts with the options that a client needs, so that only names are left out
 * when it is full.
 */
#include "mt_dhcp.h"
#include "mt_guest_names.h"

#include <string.h>

/* The message's fields (RFC 2131 §2). */
enum {
	OP = 0,
	HTYPE = 1,
	HLEN = 2,
	FLAGS = 10,
	CIADDR = 12,
	YIADDR = 16,
	GIADDR = 24,
	CHADDR = 28,
	SNAME = 44,
	FILE_NAME = 108,
	COOKIE = 236,
	OPTIONS = 240,
};

#define BOOTREQUEST    1
#define BOOTREPLY      2
#define ETHERNET       1
#define BROADCAST      0x8000u
#define MAGIC	       0x63825363u
#define HEADERS	       28  /* of IPv4 and UDP, which sizes of messages contain */
#define LEAST_SIZE     576 /* that each client accepts, with these headers */
#define ETHERNET_MTU   1500
#define OPTION_MAX     255
#define IDENTIFIER_MAX 255 /* bytes of a client's identifier */
#define N_CODES	       58  /* options of fixed length that have a meaning here have lower codes */
#define OVERLOAD_FILE  1u
#define OVERLOAD_SNAME 2u

enum code {
	PAD = 0,
	MASK = 1,
	ROUTER = 3,
	NAME_SERVER = 6,
	HOST_NAME = 12,
	DOMAIN_NAME = 15,
	MTU = 26,
	REQUESTED = 50,
	LEASE = 51,
	OVERLOAD = 52,
	TYPE = 53,
	SERVER = 54,
	LIST = 55,
	MESSAGE = 56,
	MAX_SIZE = 57,
	CLIENT = 61,
	RELAY = 82,
	SEARCH = 119,
	END = 255,
};

enum type {
	DISCOVER = 1,
	OFFER = 2,
	REQUEST = 3,
	DECLINE = 4,
	ACK = 5,
	NAK = 6,
	RELEASE = 7,
	INFORM = 8,
};

struct option {
	const uint8_t *p; /* NULL: the message does not have it */
	uint8_t len;
};

struct request {
	const uint8_t *msg;
	enum type type;
	uint32_t ciaddr;
	struct option options[N_CODES]; /* the first one of each code */
	bool has_list, has_client, has_relay;
	uint64_t list[4]; /* a bit for each code of the parameter list */
	uint8_t client[IDENTIFIER_MAX];
	uint32_t client_len;
};

/* The options of a reply. */
struct writer {
	uint8_t *p;
	uint32_t n, max; /* max leaves a byte for END */
	bool cut;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* ---- the request ---------------------------------------------------------------------------- */

static void add_to_list(struct request *r, const uint8_t *p, uint8_t len)
{
	r->has_list = true;
	for (uint32_t i = 0; i < len; i++)
		r->list[p[i] / 64] |= 1ull << p[i] % 64;
}

/* Returns false if the identifier becomes longer than a reply can have. */
static bool add_to_client(struct request *r, const uint8_t *p, uint8_t len)
{
	r->has_client = true;
	if (len > IDENTIFIER_MAX - r->client_len)
		return false;
	memcpy(r->client + r->client_len, p, len);
	r->client_len += len;
	return true;
}

/* Returns false if the option makes the message malformed. */
static bool keep(struct request *r, uint8_t code, const uint8_t *p, uint8_t len)
{
	switch (code) {
	case LIST:
		add_to_list(r, p, len);
		return true;
	case CLIENT:
		return add_to_client(r, p, len);
	case RELAY:
		r->has_relay = true;
		return true;
	default:
		if (code < N_CODES && !r->options[code].p)
			r->options[code] = (struct option){p, len};
		return true;
	}
}

/* Returns false if the field is malformed, for example an option that exceeds it. */
static bool read_field(struct request *r, const uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0; at < len && p[at] != END;) {
		uint8_t code = p[at++], n;

		if (code == PAD)
			continue;
		if (at == len || p[at] > len - at - 1)
			return false;
		n = p[at++];
		if (!keep(r, code, p + at, n))
			return false;
		at += n;
	}
	return true;
}

/* Returns the first byte of an option, or 0. */
static uint8_t byte_of(const struct request *r, enum code code)
{
	const struct option *o = &r->options[code];

	return o->p && o->len ? o->p[0] : 0;
}

/* Returns false if the message has the option with another length. */
static bool has_length(const struct request *r, enum code code, uint8_t len)
{
	return !r->options[code].p || r->options[code].len == len;
}

static bool read_options(struct request *r, uint32_t len)
{
	uint8_t overload;

	if (!read_field(r, r->msg + OPTIONS, len - OPTIONS))
		return false;
	overload = byte_of(r, OVERLOAD);
	if (overload & OVERLOAD_FILE && !read_field(r, r->msg + FILE_NAME, COOKIE - FILE_NAME))
		return false;
	if (overload & OVERLOAD_SNAME && !read_field(r, r->msg + SNAME, FILE_NAME - SNAME))
		return false;
	return has_length(r, TYPE, 1) && has_length(r, REQUESTED, 4) && has_length(r, SERVER, 4) &&
	       has_length(r, MAX_SIZE, 2) && has_length(r, OVERLOAD, 1) &&
	       !(r->has_client && !r->client_len);
}

/* Returns MT_DHCP_REPLY for a client's message of a known type. */
static enum mt_dhcp_verdict read_request(struct request *r, const uint8_t *msg, uint32_t len)
{
	r->msg = msg;
	if (len < OPTIONS || be32(msg + COOKIE) != MAGIC)
		return len < COOKIE ? MT_DHCP_MALFORMED : MT_DHCP_UNKNOWN;
	if (msg[OP] == BOOTREPLY)
		return MT_DHCP_FROM_SERVER;
	if (msg[OP] != BOOTREQUEST || !read_options(r, len))
		return MT_DHCP_MALFORMED;
	r->type = byte_of(r, TYPE);
	r->ciaddr = be32(msg + CIADDR);
	if (r->type == OFFER || r->type == ACK || r->type == NAK)
		return MT_DHCP_FROM_SERVER;
	return r->type < DISCOVER || r->type > INFORM ? MT_DHCP_UNKNOWN : MT_DHCP_REPLY;
}

static uint32_t address_of(const struct request *r, enum code code)
{
	return r->options[code].p ? be32(r->options[code].p) : 0;
}

/* ---- the reply ------------------------------------------------------------------------------ */

static bool put(struct writer *w, enum code code, const void *data, uint32_t len)
{
	if (len + 2 > w->max - w->n) {
		w->cut = true;
		return false;
	}
	w->p[w->n++] = (uint8_t)code;
	w->p[w->n++] = (uint8_t)len;
	memcpy(w->p + w->n, data, len);
	w->n += len;
	return true;
}

static void put32(struct writer *w, enum code code, uint32_t value)
{
	uint8_t b[4];

	put_be32(b, value);
	put(w, code, b, sizeof(b));
}

static bool wants(const struct request *r, enum code code)
{
	return !r->has_list || r->list[code / 64] >> code % 64 & 1;
}

/* Appends a name as text, without a dot at its end. */
static void put_name(struct writer *w, enum code code, const char *text)
{
	uint8_t labels[GUEST_NAME_MAX];
	size_t len;

	if (!text || !guest_labels(text, labels))
		return;
	len = strlen(text);
	put(w, code, text, (uint32_t)len - (text[len - 1] == '.'));
}

/* Returns the size of the options that n bytes of data need. */
static uint32_t with_heads(uint32_t n)
{
	return n + (n + OPTION_MAX - 1) / OPTION_MAX * 2;
}

/* Appends the search list, in several options if it is long (RFC 3396, 3397). */
static void put_search(struct writer *w, const struct mt_dhcp_guest *g)
{
	uint8_t all[MT_DHCP_REPLY_MAX], labels[GUEST_NAME_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_search; i++) {
		uint32_t len = guest_labels(g->search[i], labels);

		if (with_heads(n + len) > w->max - w->n) {
			w->cut = true;
			break;
		}
		memcpy(all + n, labels, len);
		n += len;
	}
	for (uint32_t at = 0; at < n; at += OPTION_MAX)
		put(w, SEARCH, all + at, MT_MIN(n - at, OPTION_MAX));
}

static void put_mtu(struct writer *w, uint16_t mtu)
{
	const uint8_t b[] = {(uint8_t)(mtu >> 8), (uint8_t)mtu};

	put(w, MTU, b, sizeof(b));
}

/* The mask precedes the router (RFC 2132 §3.3). */
static void put_parameters(struct writer *w, const struct request *r, const struct mt_dhcp_guest *g)
{
	if (wants(r, MASK))
		put32(w, MASK, g->prefix ? 0xffffffffu << (32 - g->prefix) : 0);
	if (wants(r, ROUTER))
		put32(w, ROUTER, g->gateway);
	if (wants(r, NAME_SERVER))
		put32(w, NAME_SERVER, g->gateway);
	if (wants(r, MTU) && g->mtu)
		put_mtu(w, g->mtu);
	if (wants(r, HOST_NAME))
		put_name(w, HOST_NAME, g->host);
	if (wants(r, DOMAIN_NAME))
		put_name(w, DOMAIN_NAME, g->domain);
	if (wants(r, SEARCH))
		put_search(w, g);
}

/*
 * Returns the size of messages that the client accepts, without headers: option 57, at most the MTU
 * of the network.
 */
static uint32_t room_of(const struct request *r, const struct mt_dhcp_guest *g)
{
	const struct option *o = &r->options[MAX_SIZE];
	uint32_t asked = o->p ? (uint32_t)o->p[0] << 8 | o->p[1] : 0;
	uint32_t mtu = g->mtu ? g->mtu : ETHERNET_MTU;
	uint32_t size = MT_MIN(asked, mtu);

	return MT_MIN(MT_MAX(size, LEAST_SIZE) - HEADERS, MT_DHCP_REPLY_MAX);
}

/*
 * Returns the destination of a reply (RFC 2131 §4.1). A NAK is broadcast, because the client may
 * use an address of another network.
 */
static uint32_t destination(const struct request *r, enum type type, const struct mt_dhcp_guest *g)
{
	uint32_t flags = (uint32_t)r->msg[FLAGS] << 8 | r->msg[FLAGS + 1];

	if (type == NAK)
		return MT_DHCP_EVERYONE;
	if (r->ciaddr)
		return r->ciaddr;
	return flags & BROADCAST ? MT_DHCP_EVERYONE : g->address;
}

static void put_head(const struct request *r, enum type type, const struct mt_dhcp_guest *g,
	uint8_t out[OPTIONS])
{
	memset(out, 0, OPTIONS);
	memcpy(out, r->msg, CIADDR);
	out[OP] = BOOTREPLY;
	out[3] = 0;	       /* hops */
	memset(out + 8, 0, 2); /* seconds */
	if (type == ACK)
		put_be32(out + CIADDR, r->ciaddr);
	if (type != NAK && r->type != INFORM)
		put_be32(out + YIADDR, g->address);
	memcpy(out + CHADDR, r->msg + CHADDR, SNAME - CHADDR);
	put_be32(out + COOKIE, MAGIC);
}

static enum mt_dhcp_verdict reply_with(enum type type, const struct request *r,
	const struct mt_dhcp_guest *g, uint8_t out[MT_DHCP_REPLY_MAX], struct mt_dhcp_reply *reply)
{
	struct writer w = {out, OPTIONS, room_of(r, g) - 1, false};
	const uint8_t b = (uint8_t)type;

	put_head(r, type, g, out);
	put(&w, TYPE, &b, 1);
	put32(&w, SERVER, g->gateway);
	if (r->has_client)
		put(&w, CLIENT, r->client, r->client_len);
	if (type == NAK) {
		static const char text[] = "the documents give this guest another address";

		put(&w, MESSAGE, text, sizeof(text) - 1);
	} else {
		if (r->type != INFORM)
			put32(&w, LEASE, g->lease);
		put_parameters(&w, r, g);
	}
	w.p[w.n++] = END;
	if (w.n < MT_DHCP_REPLY_MIN)
		memset(w.p + w.n, 0, MT_DHCP_REPLY_MIN - w.n);
	*reply = (struct mt_dhcp_reply){.len = MT_MAX(w.n, MT_DHCP_REPLY_MIN),
		.to = destination(r, type, g),
		.refused = type == NAK,
		.cut = w.cut};
	return MT_DHCP_REPLY;
}

/*
 * Returns the address that a REQUEST wants (RFC 2131 §4.3.2): that of the offer (SELECTING), an
 * earlier one (INIT-REBOOT), or the one in use (RENEWING, REBINDING). 0: none.
 */
static uint32_t wanted(const struct request *r)
{
	return r->ciaddr ? r->ciaddr : address_of(r, REQUESTED);
}

enum mt_dhcp_verdict mt_dhcp_answer(const struct mt_dhcp_guest *g, const uint8_t *msg, uint32_t len,
	uint8_t out[MT_DHCP_REPLY_MAX], struct mt_dhcp_reply *reply)
{
	struct request r = {0};
	enum mt_dhcp_verdict v = read_request(&r, msg, len);

	if (v != MT_DHCP_REPLY)
		return v;
	/* Only relays may add option 82, and this port is not one of a relay (RFC 3046 §2.1). */
	if (be32(msg + GIADDR) || r.has_relay)
		return MT_DHCP_FROM_RELAY;
	if (msg[HTYPE] != ETHERNET || msg[HLEN] != sizeof(g->mac) ||
		memcmp(msg + CHADDR, g->mac, sizeof(g->mac)) != 0)
		return MT_DHCP_OTHER_MAC;
	if (r.options[SERVER].p && address_of(&r, SERVER) != g->gateway)
		return MT_DHCP_OTHER_SERVER;
	switch (r.type) {
	case DISCOVER:
		/* The client must not have an address yet, so the field has no meaning. */
		r.ciaddr = 0;
		return reply_with(OFFER, &r, g, out, reply);
	case REQUEST:
		if (!wanted(&r))
			return MT_DHCP_MALFORMED;
		return reply_with(wanted(&r) == g->address ? ACK : NAK, &r, g, out, reply);
	case INFORM:
		if (r.ciaddr != g->address)
			return MT_DHCP_OTHER_SOURCE;
		return reply_with(ACK, &r, g, out, reply);
	case DECLINE:
		return MT_DHCP_DECLINED;
	default:
		return MT_DHCP_RELEASED;
	}
}
