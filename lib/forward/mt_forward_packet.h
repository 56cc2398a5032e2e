/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding of one packet: pure functions over its bytes from the IP header on. The caller reads
 * the packet, finds the next hop, decides by the MTU of the port that sends, and decrements or
 * answers. Lengths come from outside, so each is checked against the bytes that are there.
 */
#pragma once

#include "mt_addr.h"

struct rte_mbuf;
struct rte_mempool;

/* Why a packet is not forwarded, and gets no answer (RFC 1812 §4.2, §5.2 and §5.3, RFC 4291). */
enum mt_fwd_fault {
	MT_FWD_GOOD,
	MT_FWD_SHORT,	    /* bytes are missing, or lengths disagree */
	MT_FWD_VERSION,	    /* neither IPv4 nor IPv6 */
	MT_FWD_CHECKSUM,    /* of the IPv4 header */
	MT_FWD_OPTIONS,	    /* malformed, or a source route (RFC 7126 §4.3) */
	MT_FWD_SOURCE,	    /* not that of a host which is beyond its link */
	MT_FWD_DESTINATION, /* the same; groups and link-local addresses are not forwarded */
	MT_FWD_FAULTS
};

struct mt_fwd_packet {
	struct mt_addr src, dst;
	bool is4;
	bool df;       /* must not be fragmented: IPv6, or the flag */
	bool fragment; /* a part of a packet */
	bool later;    /* a part other than the first one */
	uint8_t proto; /* after IPv6 extension headers */
	uint8_t ttl;
	uint16_t head; /* bytes of the IPv4 header, or 40 */
	uint16_t l4;   /* where the header of `proto` starts; 0: not in the bytes given */
	uint16_t len;  /* of the packet */
	uint32_t flow; /* hash for mt_fwd_find(); of fragments without ports */
};

/* Returns the name of a fault: "good", "short", ... */
const char *mt_fwd_fault_str(enum mt_fwd_fault f);

/*
 * Reads a packet of `len` bytes; the first `have` of them are at `ip`. Bytes after the packet's
 * own length are padding. *p is complete only for MT_FWD_GOOD.
 */
enum mt_fwd_fault mt_fwd_read(
	const uint8_t *ip, uint32_t have, uint32_t len, struct mt_fwd_packet *p);

enum mt_fwd_verdict {
	MT_FWD_SEND,
	MT_FWD_SPLIT,	     /* into fragments: IPv4 without DF */
	MT_FWD_TOO_BIG,	     /* the sender gets MT_FWD_ERROR_TOO_BIG */
	MT_FWD_TIME_EXCEEDED /* TTL or hop limit would become 0 */
};

enum mt_fwd_verdict mt_fwd_decide(const struct mt_fwd_packet *p, uint16_t mtu);

/*
 * Decrements TTL or hop limit, which is > 1, in writable bytes of a packet that mt_fwd_read()
 * found good, and corrects the checksum (RFC 1624).
 */
void mt_fwd_decrement(uint8_t *ip);

enum mt_fwd_error {
	MT_FWD_ERROR_TIME,     /* time exceeded in transit */
	MT_FWD_ERROR_NO_ROUTE, /* network unreachable; IPv6: no route */
	MT_FWD_ERROR_HOST,     /* host unreachable; IPv6: address unreachable */
	MT_FWD_ERROR_ADMIN,    /* administratively prohibited */
	MT_FWD_ERROR_TOO_BIG,
	MT_FWD_ERRORS
};

/* The longest error: RFC 1812 §4.3.2.3; of IPv6 RFC 4443 §2.4 (c). */
#define MT_FWD_ERROR4_MAX 576
#define MT_FWD_ERROR6_MAX 1280

/*
 * True if the packet's sender may get an error: not about ICMP errors, later fragments, frames to
 * groups (`group`), and packets with headers beyond the bytes given, because errors would multiply
 * (RFC 1122 §3.2.2, RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e)). Sources that are not one host were
 * refused by mt_fwd_read(). The caller limits the rate.
 */
bool mt_fwd_may_error(const struct mt_fwd_packet *p, const uint8_t *ip, uint32_t have, bool group);
/*
 * Writes the error as an IP packet into `out` (`room` bytes), from the address `from` of the
 * packet's family; quotes as much of the packet, as it arrived, as there is room for. `mtu` is for
 * MT_FWD_ERROR_TOO_BIG. Returns the length; 0: no room for the header and 8 bytes after the quoted
 * one.
 */
uint32_t mt_fwd_error(const struct mt_fwd_packet *p, const uint8_t *ip, uint32_t have,
	enum mt_fwd_error kind, uint16_t mtu, const struct mt_addr *from, uint8_t *out,
	uint32_t room);

/* A packet of 64 KB at an MTU of 1,500 has 45. */
#define MT_FWD_FRAGMENTS_MAX 64

/*
 * Copies an IPv4 packet without DF into fragments from `pool`, each in one mbuf with its headroom,
 * at most `mtu` bytes long, with its checksum. m's data starts at the IP header, which is
 * contiguous and was decremented, and m has the packet's length. m is the caller's before and
 * after. Returns their number; -EINVAL if the MTU is below 68 (RFC 791), or the packet needs more
 * fragments than MT_FWD_FRAGMENTS_MAX; -ENOMEM.
 */
int mt_fwd_split(struct rte_mbuf *m, uint16_t mtu, struct rte_mempool *pool,
	struct rte_mbuf *out[MT_FWD_FRAGMENTS_MAX]);
