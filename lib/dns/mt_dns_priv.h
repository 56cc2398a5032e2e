/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/dns: names on the wire, parsed queries, the table. */
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
/* In the second word of the header. */
#define FLAG_QR	     0x8000
#define FLAG_AA	     0x0400
#define FLAG_TC	     0x0200
#define FLAG_RD	     0x0100
#define FLAG_RA	     0x0080
#define FLAG_CD	     0x0010
#define FLAGS_OPCODE 0x7800
/* In the TTL of an OPT record (RFC 3225). */
#define OPT_DO 0x8000

/*
 * A name as it stands in a message, with its letters in lower case: labels behind their lengths, then 0. No
 * length is a letter, so all of it can be folded alike.
 */
struct dns_name {
	uint8_t len, labels; /* of bytes with the root's; of labels without it */
	uint8_t b[DNS_NAME_MAX];
};

/* name.c */
static inline uint8_t dns_lower(uint8_t c)
{
	return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* The question's name, at *off of a message, which is moved behind it; false: malformed. */
bool dns_name_read(const uint8_t *msg, uint32_t len, uint32_t *off, struct dns_name *n);
/* Moves *off behind a name without looking where its pointer leads. */
bool dns_name_skip(const uint8_t *msg, uint32_t len, uint32_t *off);
/* "db.example.com", also with a dot at its end. False: DNS has no such name. */
bool dns_name_of(const char *text, struct dns_name *n);
/* Text without the dot at its end; size 256 at least. */
void dns_name_text(const uint8_t *b, char *text);
/* Where the labels of `suffix` begin in `n`; -1: it does not end so. */
int dns_name_ends(const struct dns_name *n, const struct dns_name *suffix);
/* The name without what is from `at` on. */
void dns_name_cut(const struct dns_name *n, uint32_t at, struct dns_name *out);
/* `a` in front of `b`; false: too long. */
bool dns_name_join(const struct dns_name *a, const struct dns_name *b, struct dns_name *out);

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
	uint16_t opt;	   /* where the OPT record's size is; 0: there is none */
};

static inline uint16_t dns_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* 0, an RCODE, or -1: not worth an answer. */
int dns_query_parse(struct dns_query *q, const uint8_t *msg, uint32_t len);
/* Bytes of an answer that this client takes as a datagram. */
uint32_t dns_query_limit(const struct dns_query *q);

/* table.c */
enum {
	DNS_HOST = 1,	  /* has addresses */
	DNS_WILDCARD = 2, /* what is below it has them */
	DNS_BETWEEN = 4	  /* is above one of these */
};

struct dns_entry {
	uint32_t hash, name; /* offset in table.names */
	uint32_t addr4, addr6;
	uint8_t kind, labels;
	uint8_t n4, n6;
	uint8_t origin; /* enum mt_dns_origin */
	bool differs;	/* who was not asked says something else */
};

/* Immutable but for `refs`, which is the control thread's. */
struct mt_dns_table {
	uint32_t refs;
	uint32_t ttl;
	uint64_t digest[2]; /* of everything that was added, and the rules */
	uint32_t n_entries, n_hosts, mask;
	uint32_t *slots; /* index of the entry + 1 */
	struct dns_entry *entries;
	uint8_t *names;
	uint32_t *addrs4; /* network order */
	uint8_t (*addrs6)[16];
	uint64_t wild_depths[2]; /* a bit for each number of labels that some wildcard has */
	struct dns_name domain, svc, ns_svc; /* DOMAIN, svc.DOMAIN, NS.svc.DOMAIN; len 0: none */
	uint32_t n_zones, n_search;
	struct dns_name zones[MT_DNS_ZONES_MAX], search[MT_DNS_SEARCH_MAX];
};

uint32_t dns_hash(const uint8_t *name, uint32_t len);
const struct dns_entry *dns_table_find(
	const struct mt_dns_table *t, const uint8_t *name, uint32_t len, uint8_t kinds);

enum dns_kind {
	DNS_NONE,      /* somebody else's */
	DNS_ADDRESSES, /* of `entry` */
	DNS_ALIAS,     /* of `target`, whose addresses `entry` has */
	DNS_EMPTY,     /* exists without any data */
	DNS_LOCALHOST,
	DNS_NOBODY, /* does not exist */
};

struct dns_found {
	enum dns_kind kind;
	const struct dns_entry *entry;
	bool ours; /* below a zone, which begins at `zone` in the name */
	bool apex;
	uint32_t zone;
	struct dns_name target;
	int target_zone; /* where the zone of `target` starts in it; -1: it is in none of ours */
};

void dns_table_lookup(const struct mt_dns_table *t, const struct dns_name *n, struct dns_found *f);
/*
 * True if a host of the table is below the name, in a zone of ours or not, so that the name exists
 * (RFC 8020 §2).
 */
bool dns_table_has_below(const struct mt_dns_table *t, const struct dns_name *n);
