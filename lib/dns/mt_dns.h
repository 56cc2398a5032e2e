/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/dns: serves the names of services and their addresses by DNS. This header is the pure half:
 * bytes in, bytes out, no clock, no sockets. lib/conf builds a `struct mt_dns_table` from the
 * services of a snapshot, on the control thread, which also frees it. Workers and the control
 * thread answer from it. mt_dns_server.h is the other half: sockets for clients on the host, and
 * forwarding to other servers.
 *
 * RFC 1035, 2181, 2308 (negative answers), 4343 (case), 6761 (special names), 6891 (EDNS), 8482
 * (ANY), 9210 and 9715 (TCP, no fragments).
 */
#pragma once

#include "mt_addr.h"
#include "mt_outcome.h"

enum mt_dns_outcome {
#define MT_OUTCOME(n, s, w) MT_DNS_##n,
#include "dns_outcomes.def"
#undef MT_OUTCOME
	MT_DNS_N_OUTCOMES
};

extern const struct mt_outcome_set mt_dns_outcomes;

/* Most bytes of our datagrams, so that no path fragments them (RFC 9715), and of queries. */
#define MT_DNS_UDP_MAX	 1232
#define MT_DNS_QUERY_MAX 1232
#define MT_DNS_TCP_MAX	 65535
/* Most addresses of one name; more are left out. */
#define MT_DNS_ADDRS_MAX 64

/* ---- the table: control thread -------------------------------------------------------------- */

struct mt_dns_table;
struct mt_dns_builder;

/* Rules for the names of a table. Texts are copied. */
struct mt_dns_rules {
	/*
	 * "cluster.local": a host X.NS.svc.DOMAIN is also X.NS.svc, X.NS and, if NS is `ns`, X.
	 */
	const char *domain;
	const char *ns;
	/* Domains that are only ours: a name below them that is not in the table does not exist. */
	const char *const *zones;
	uint32_t n_zones;
	/* Search domains that clients append to names: HOST.SEARCH is an alias of HOST. */
	const char *const *search;
	uint32_t n_search;
	/*
	 * Some hosts belong to one author. Then a name that clients of NAMESPACE query for HOST is
	 * not an alias of HOST.NAMESPACE, because another author may have that host.
	 */
	bool owned;
	uint32_t ttl; /* seconds */
};

#define MT_DNS_ZONES_MAX  16
#define MT_DNS_SEARCH_MAX 16

/*
 * True if the text is a valid domain name: labels of 1 to 63 bytes between dots, 253 bytes in all.
 */
bool mt_dns_is_name(const char *text);

/* NULL: no memory, or a text in the rules is not a domain name. */
struct mt_dns_builder *mt_dns_builder_new(const struct mt_dns_rules *rules);
/* Source of a host's addresses, the most trusted one first. */
enum mt_dns_origin {
	MT_DNS_OF_DOCUMENTS,
	MT_DNS_OF_NAME_TABLE, /* a control plane's (Istio's NDS) */
	MT_DNS_OF_LISTENERS,  /* derived from the routes of a discovery server's listeners */
	MT_DNS_N_ORIGINS,
};

/*
 * Adds a host ("db.example.com", "*.example.com") with its addresses of either family. Add origins
 * in their order. Addresses that the same origin adds to a host again are joined; those of a later
 * origin are only compared. 0, -ENOMEM, or -EINVAL: not a valid domain name (for example, a label
 * of more than 63 bytes), which is left out.
 */
int mt_dns_builder_add(struct mt_dns_builder *b, enum mt_dns_origin origin, const char *host,
	const struct mt_addr *addrs, uint32_t n);
/*
 * Builds the table of all hosts that were added, and frees the builder. Returns `before` (NULL:
 * none) with one more reference if it is equal. NULL: no memory.
 */
struct mt_dns_table *mt_dns_builder_finish(struct mt_dns_builder *b, struct mt_dns_table *before);
void mt_dns_builder_free(struct mt_dns_builder *b);

/* Drops a reference; with the last one no reader may be left. NULL is allowed. */
void mt_dns_table_put(struct mt_dns_table *t);

/* For the CLI: a name as text. */
struct mt_dns_name_info {
	char host[256];
	enum mt_dns_origin origin;
	bool differs; /* a later origin has further addresses, which are not used */
	uint32_t n_addrs;
	struct mt_addr addrs[MT_DNS_ADDRS_MAX];
};
/* Iterates names in no particular order: *idx starts at 0; false at the end. */
bool mt_dns_table_next(const struct mt_dns_table *t, uint32_t *idx, struct mt_dns_name_info *info);
uint32_t mt_dns_table_names(const struct mt_dns_table *t);

/* ---- queries: any thread -------------------------------------------------------------------- */

enum mt_dns_verdict {
	MT_DNS_REPLY,	/* the answer is in `out` */
	MT_DNS_FORWARD, /* forward the query to another server */
	MT_DNS_SILENCE, /* send nothing */
};

struct mt_dns_ask {
	bool datagram;	/* limit the answer to the client's datagram size; false: a stream */
	bool recursion; /* there are servers to forward to */
	bool stranger;	/* the client is outside of the allowed networks */
	uint32_t rnd;	/* random; selects the address that comes first */
};

/*
 * Answers one message by the table (NULL: there is none yet). `out` has `room` bytes, at least
 * MT_DNS_UDP_MAX for datagrams; *n receives the number of bytes written. Counts into `counters`
 * (MT_DNS_N_OUTCOMES), except that the caller counts forwarded queries.
 */
enum mt_dns_verdict mt_dns_respond(const struct mt_dns_table *t, const struct mt_dns_ask *ask,
	const uint8_t *msg, uint32_t len, uint8_t *out, uint32_t room, uint32_t *n,
	uint64_t *counters);

#define MT_DNS_SERVFAIL 2
#define MT_DNS_NXDOMAIN 3
#define MT_DNS_REFUSED	5

/*
 * Answers a query for which mt_dns_respond() returned MT_DNS_FORWARD and another server NXDOMAIN.
 * That code holds for all types of the name and for all names below it (RFC 2308 §5, RFC 8020 §2).
 * So it must not reach the client if the table has one of them. Writes instead that the name has no
 * data of this type, with our SOA. `out` has room as for mt_dns_respond(). Returns the length; 0 if
 * the table has no such name, so that NXDOMAIN is right.
 */
uint32_t mt_dns_instead_of_nxdomain(const struct mt_dns_table *t, bool datagram, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint64_t *counters);

/*
 * Writes an answer with only an error code, for a query for which mt_dns_respond() returned
 * MT_DNS_FORWARD. Returns its length. `truncated`: sets the TC bit, which makes the client ask
 * again over TCP. `out` has MT_DNS_UDP_MAX bytes.
 */
uint32_t mt_dns_error(
	const uint8_t *msg, uint32_t len, uint8_t rcode, bool truncated, uint8_t *out);

/* Over TCP two bytes with its length precede each message (RFC 1035 §4.2.2). */
#define MT_DNS_FRAME 2u

static inline void mt_dns_frame_put(uint8_t *p, uint32_t len)
{
	p[0] = (uint8_t)(len >> 8);
	p[1] = (uint8_t)len;
}

static inline uint32_t mt_dns_frame_len(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Most bytes of a datagram to the client, by its query. */
uint32_t mt_dns_datagram_limit(const uint8_t *msg, uint32_t len);

/*
 * Writes the query as it is forwarded: with the given id, and with a datagram size of at most
 * MT_DNS_UDP_MAX, which no path fragments. `out` has `len` bytes.
 */
void mt_dns_query_rewrite(const uint8_t *msg, uint32_t len, uint16_t id, uint8_t *out);

/* True if `reply` answers `query`, by id, header bits and question (in any case of letters). */
bool mt_dns_is_reply_to(
	const uint8_t *reply, uint32_t len, const uint8_t *query, uint32_t query_len);

/* The following read and write the header: the message has at least 12 bytes. */
static inline uint16_t mt_dns_id(const uint8_t *msg)
{
	return (uint16_t)(msg[0] << 8 | msg[1]);
}

static inline void mt_dns_set_id(uint8_t *msg, uint16_t id)
{
	msg[0] = (uint8_t)(id >> 8);
	msg[1] = (uint8_t)id;
}

static inline uint8_t mt_dns_rcode(const uint8_t *msg)
{
	return msg[3] & 0xf;
}

static inline bool mt_dns_is_truncated(const uint8_t *msg)
{
	return msg[2] & 0x02;
}
