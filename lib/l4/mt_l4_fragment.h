/* SPDX-License-Identifier: Apache-2.0 */
/* Between fragment.c, which knows datagrams, and fragment_packet.c, which knows packets. */
#pragma once

#include "mt_l4_priv.h"

/* Values of a datagram's first fragment that the others need. */
struct l4_first {
	uint32_t ports;	 /* as the packet has them; 0: it has not come */
	uint32_t new_id; /* as packets have it */
	uint32_t base;	 /* of TCP: sequence number less the length of the TCP header */
	bool fin;	 /* of TCP: it has a FIN */
};

/* A fragment as read from its packet. */
struct l4_fragment {
	struct rte_mbuf *m;
	struct mt_addr src, dst;
	/* As the packet has it: 32 bits of IPv6; of IPv4 16, and the protocol above. */
	uint32_t id;
	uint8_t proto;	       /* UDP or TCP */
	uint16_t from, to;     /* its part of the datagram, in units of 8 bytes */
	bool more;	       /* others follow */
	struct l4_first first; /* all but new_id, if this is the first one */
};

/*
 * Reads a fragment. MT_L4_forwarded: it is possible; otherwise the reason for which it must be
 * dropped.
 */
enum mt_l4_outcome l4_read_fragment(struct rte_mbuf *m, struct l4_fragment *f);
/* Stores in the mbuf what the owner of the flow needs. */
void l4_mark_fragment(struct rte_mbuf *m, const struct l4_first *first);
/* Forwards or drops a fragment with a mark, at the owner of its flow. */
void l4_forward_fragment(struct mt_l4 *l, struct rte_mbuf *m);
