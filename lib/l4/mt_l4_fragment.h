/* SPDX-License-Identifier: Apache-2.0 */
/* Between fragment.c, which knows datagrams, and fragment_packet.c, which knows packets. */
#pragma once

#include "mt_l4_priv.h"

/* A fragment as read from its packet. */
struct l4_fragment {
	struct rte_mbuf *m;
	struct mt_addr src, dst;
	uint32_t id;	   /* as the packet has it: 16 bits of IPv4, 32 of IPv6 */
	uint16_t from, to; /* its part of the datagram, in units of 8 bytes */
	bool more;	   /* others follow */
	uint32_t ports;	   /* of the first one, as the packet has them */
};

/*
 * Reads a fragment. MT_L4_forwarded: it is possible; otherwise the reason for which it must be
 * dropped.
 */
enum mt_l4_outcome l4_read_fragment(struct rte_mbuf *m, struct l4_fragment *f);
/* Stores in the mbuf what the owner of the flow needs: the ports and the new identification. */
void l4_mark_fragment(struct rte_mbuf *m, uint32_t ports, uint32_t id);
/* Forwards or drops a fragment with a mark, at the owner of its flow. */
void l4_forward_fragment(struct mt_l4 *l, struct rte_mbuf *m);
