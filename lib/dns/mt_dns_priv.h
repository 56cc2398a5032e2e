/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/dns: names on the wire, parsed queries, the table. */
#pragma once

#include "mt_dns.h"
#include "mt_region.h"
#include "mt_strmap.h"

#define DNS_HEADER   12
#define DNS_NAME_MAX 255 /* with the root's 0 (RFC 1035 §3.1) */

enum {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
	TYPE_SVCB = 64,
	TYPE_HTTPS = 65,
	TYPE_IXFR = 251,
	TYPE_MAILA = 254,
	TYPE_ANY = 255
};
enum { CLASS_IN = 1, CLASS_ANY = 255 };
enum { RCODE_OK, RCODE_FORMERR, RCODE_SERVFAIL, RCODE_NXDOMAIN, RCODE_NOTIMP, RCODE_REFUSED };
#define RCODE_BADVERS 16
/* Flags in the second 16 bits of the header. */
#define FLAG_QR	     0x8000
#define FLAG_AA	     0x0400
#define FLAG_TC	     0x0200
#define FLAG_RD	     0x0100
#define FLAG_RA	     0x0080
#define FLAG_CD	     0x0010
#define FLAGS_OPCODE 0x7800
/* Flag in the TTL of an OPT record (RFC 3225). */
#define OPT_DO 0x8000

/*
 * A name in wire format and lower case: each label preceded by its length, then 0. No length has
 * the value of a letter, so all bytes can be converted alike.
 */
struct dns_name {
	uint8_t len, labels; /* bytes with the root's 0; labels without the root */
	uint8_t b[DNS_NAME_MAX];
};

/* name.c */
static inline uint8_t dns_lower(uint8_t c)
{
	return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* Reads the question's name at *off of a message and moves *off past it. False: malformed. */
bool dns_name_read(const uint8_t *msg, uint32_t len, uint32_t *off, struct dns_name *n);
/* Moves *off past a name without following its pointer. False: malformed. */
bool dns_name_skip(const uint8_t *msg, uint32_t len, uint32_t *off);
/* Reads a text like "db.example.com", with or without a dot at its end. False: not a valid name. */
bool dns_name_of(const char *text, struct dns_name *n);
/* Writes the name as text without the dot at its end; `text` has at least 256 bytes. */
void dns_name_text(const uint8_t *b, char *text);
/* Offset in `n` at which the labels of `suffix` start; -1: `n` does not end with them. */
int dns_name_ends(const struct dns_name *n, const struct dns_name *suffix);
/* The part of the name before offset `at`. */
void dns_name_cut(const struct dns_name *n, uint32_t at, struct dns_name *out);
/* Joins `a` and `b`, in this order. False: too long. */
bool dns_name_join(const struct dns_name *a, const struct dns_name *b, struct dns_name *out);

/* loop.c: true for names of probes, also of those that other nodes send. */
bool dns_is_probe_name(const struct dns_name *n);

/* query.c */
struct dns_query {
	const uint8_t *msg;
	uint32_t len;
	uint16_t id, flags, type, class;
	uint16_t question_end; /* 0: it could not be read */
	struct dns_name name;
	bool edns, dnssec_ok;
	uint8_t version;   /* of EDNS */
	uint16_t udp_size; /* of EDNS */
	uint16_t opt;	   /* offset of the size in the OPT record; 0: no such record */
};

static inline uint16_t dns_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Returns 0, the RCODE of an error, or -1 if the message must not be answered. */
int dns_query_parse(struct dns_query *q, const uint8_t *msg, uint32_t len);
/* Most bytes of a datagram to this client. */
uint32_t dns_query_limit(const struct dns_query *q);

/* table.c */
enum {
	DNS_HOST = 1,	  /* has addresses */
	DNS_WILDCARD = 2, /* all names below it have addresses */
	DNS_BETWEEN = 4	  /* an ancestor of a host, or of names below a wildcard */
};

struct dns_entry {
	uint32_t hash, name; /* offset in table.names */
	uint32_t addr4, addr6;
	uint8_t kind, labels;
	uint8_t n4, n6;
	uint8_t origin; /* enum mt_dns_origin */
	bool differs;	/* mt_dns_name_info.differs */
};

/* Immutable except for `refs`, which only the control thread uses. */
struct mt_dns_table {
	uint32_t refs;
	uint32_t ttl;
	bool owned;
	uint64_t digest[2]; /* hashes of all hosts and rules */
	uint32_t n_entries, n_hosts, mask;
	uint8_t key[16]; /* of the hashes, secret: authors of documents choose names */
	uint32_t *slots; /* index of the entry + 1 */
	struct dns_entry *entries;
	uint8_t *names;
	uint32_t *addrs4; /* network order */
	uint8_t (*addrs6)[16];
	uint64_t wild_depths[2];	     /* bit set of the numbers of labels of wildcards */
	struct dns_name domain, svc, ns_svc; /* DOMAIN, svc.DOMAIN, NS.svc.DOMAIN; len 0: none */
	uint32_t n_zones, n_search;
	struct dns_name zones[MT_DNS_ZONES_MAX], search[MT_DNS_SEARCH_MAX];
};

uint32_t dns_hash(const struct mt_dns_table *t, const uint8_t *name, uint32_t len);
const struct dns_entry *dns_table_find(
	const struct mt_dns_table *t, const uint8_t *name, uint32_t len, uint8_t kinds);

enum dns_kind {
	DNS_NONE,      /* not ours */
	DNS_ADDRESSES, /* has the addresses of `entry` */
	DNS_ALIAS,     /* is an alias of `target`, which has the addresses of `entry` */
	DNS_EMPTY,     /* exists without any data */
	DNS_LOCALHOST,
	DNS_NOBODY, /* does not exist */
};

struct dns_found {
	enum dns_kind kind;
	const struct dns_entry *entry;
	bool ours; /* in one of our zones, which starts at offset `zone` in the name */
	bool apex; /* the name is the zone */
	uint32_t zone;
	struct dns_name target;
	int target_zone; /* offset of the zone in `target`; -1: it is in none of ours */
};

void dns_table_lookup(const struct mt_dns_table *t, const struct dns_name *n, struct dns_found *f);
/*
 * True if a host of the table is below the name, inside or outside of our zones, so that the name
 * exists (RFC 8020 §2).
 */
bool dns_table_has_below(const struct mt_dns_table *t, const struct dns_name *n);
