/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/dns: the names of services and their addresses, as DNS. This header is the pure half: bytes in, bytes
 * out, no clock, no sockets. The control thread builds a `struct mt_dns_table` (lib/conf does, from the
 * services of a snapshot) and frees it; workers and the control thread answer from it. mt_dns_server.h is
 * the other half: the host's address, and what is passed on to other servers.
 *
 * RFC 1035, 2181, 2308 (negative answers), 4343 (case), 6761 (special names), 6891 (EDNS), 8482 (ANY),
 * 9210 and 9715 (TCP, no fragments).
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

/* What a datagram of ours holds at most: no path fragments it (RFC 9715). Queries are no longer either. */
#define MT_DNS_UDP_MAX	 1232
#define MT_DNS_QUERY_MAX 1232
#define MT_DNS_TCP_MAX	 65535
/* Addresses of one name; more are left out. */
#define MT_DNS_ADDRS_MAX 64

/* ---- the table: control thread -------------------------------------------------------------- */

struct mt_dns_table;
struct mt_dns_builder;

/* How names are read. Texts are copied. */
struct mt_dns_rules {
	/*
	 * "cluster.local": a host X.NS.svc.DOMAIN is also X.NS.svc, X.NS and, if NS is `ns`, X.
	 */
	const char *domain;
	const char *ns;
	/* Domains that are ours alone: what is not in the table below them does not exist. */
	const char *const *zones;
	uint32_t n_zones;
	/* What clients append to names: HOST.SEARCH is an alias of HOST. */
	const char *const *search;
	uint32_t n_search;
	uint32_t ttl; /* seconds */
};

#define MT_DNS_ZONES_MAX  16
#define MT_DNS_SEARCH_MAX 16

/* Whether DNS has such a name: labels of 1 to 63 bytes with dots between them, 253 in all. */
bool mt_dns_is_name(const char *text);

/* NULL: no memory, or a text of the rules is no domain name. */
struct mt_dns_builder *mt_dns_builder_new(const struct mt_dns_rules *rules);
/* Who says that a host has addresses, the most trusted one first. */
enum mt_dns_origin {
	MT_DNS_OF_DOCUMENTS,
	MT_DNS_OF_NAME_TABLE, /* a control plane's (Istio's NDS) */
	MT_DNS_OF_LISTENERS,  /* found out from what a discovery server's listeners lead to */
	MT_DNS_N_ORIGINS,
};

/*
 * A host ("db.example.com", "*.example.com") and its addresses of either family. Origins are added in their order:
 * of a host that the same one adds again the addresses are joined, and one that another has said before keeps those.
 * 0, -ENOMEM, -EINVAL: DNS has no such name (a label of more than 63 bytes), which then is not in the table.
 */
int mt_dns_builder_add(struct mt_dns_builder *b, enum mt_dns_origin origin, const char *host,
	const struct mt_addr *addrs, uint32_t n);
/*
 * The table of all that was added; the builder is freed. When `before` (or NULL) says the same it is that
 * table, with one reference more. NULL: no memory.
 */
struct mt_dns_table *mt_dns_builder_finish(struct mt_dns_builder *b, struct mt_dns_table *before);
void mt_dns_builder_free(struct mt_dns_builder *b);

/* Gives back one reference; no reader may be left when it was the last. NULL is allowed. */
void mt_dns_table_put(struct mt_dns_table *t);

/* For the shell: names in no order. *idx starts at 0; false at the end. `host` as text. */
struct mt_dns_name_info {
	char host[256];
	enum mt_dns_origin origin;
	bool differs; /* a later origin says other addresses, which are not used */
	uint32_t n_addrs;
	struct mt_addr addrs[MT_DNS_ADDRS_MAX];
};
bool mt_dns_table_next(const struct mt_dns_table *t, uint32_t *idx, struct mt_dns_name_info *info);
uint32_t mt_dns_table_names(const struct mt_dns_table *t);

/* ---- queries: any thread -------------------------------------------------------------------- */

enum mt_dns_verdict {
	MT_DNS_REPLY,	/* the answer is in `out` */
	MT_DNS_FORWARD, /* another server is to be asked */
	MT_DNS_SILENCE, /* there is nothing to say */
};

struct mt_dns_ask {
	bool datagram;	/* answers keep to what the client takes; else it is a stream */
	bool recursion; /* there are servers to pass questions on to */
	bool stranger;	/* the client is not among those that are answered */
	uint32_t rnd;	/* which address comes first */
};

/*
 * Answers one message by the table (NULL: there is none yet). `out` has `room` bytes, at least
 * MT_DNS_UDP_MAX for datagrams; *n is how many were written. Counts into `counters`
 * (MT_DNS_N_OUTCOMES), but for what is passed on.
 */
enum mt_dns_verdict mt_dns_respond(const struct mt_dns_table *t, const struct mt_dns_ask *ask,
	const uint8_t *msg, uint32_t len, uint8_t *out, uint32_t room, uint32_t *n,
	uint64_t *counters);

#define MT_DNS_SERVFAIL 2
#define MT_DNS_NXDOMAIN 3
#define MT_DNS_REFUSED	5

/*
 * Answers a query that mt_dns_respond() wanted to pass on, and that another server then answered by
 * NXDOMAIN. That code holds for all types of the name and for the names below it (RFC 2308 §5, RFC
 * 8020 §2). So it must not reach the client if the table has one of them: writes that the name has
 * nothing of this type, with our SOA. `out` has room as for mt_dns_respond(). Returns the length; 0
 * if the table has no such name, so that NXDOMAIN is right.
 */
uint32_t mt_dns_instead_of_nxdomain(const struct mt_dns_table *t, bool datagram, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint64_t *counters);

/*
 * A message that says nothing but an error code, for a query that mt_dns_respond() wanted to pass on; its
 * length. `truncated`: with the bit that sends the client to TCP. `out` has MT_DNS_UDP_MAX bytes.
 */
uint32_t mt_dns_error(
	const uint8_t *msg, uint32_t len, uint8_t rcode, bool truncated, uint8_t *out);

/* Over TCP a message stands behind its length in two bytes (RFC 1035 §4.2.2). */
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

/* What a datagram to this client may hold, by its query. */
uint32_t mt_dns_datagram_limit(const uint8_t *msg, uint32_t len);

/*
 * The query as it is passed on: with an id of ours, and a size of datagrams that no path fragments. `out` has
 * `len` bytes.
 */
void mt_dns_query_rewrite(const uint8_t *msg, uint32_t len, uint16_t id, uint8_t *out);

/* Whether `reply` answers `query`: id, the question (whatever the case of its letters), the bits. */
bool mt_dns_is_reply_to(
	const uint8_t *reply, uint32_t len, const uint8_t *query, uint32_t query_len);

/* Of a message of 12 bytes at least. */
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
