/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer's application can have read, by what its TCP has sent. An application reads what its
 * TCP has acknowledged, or may have acknowledged in a segment that was lost. Bytes are unread if
 * one of these is true.
 *
 *  - They were never transmitted.
 *  - A reset acknowledges less, because a TCP that gives up a connection reports how far it had
 *    come.
 *  - The peer closed first, and a reset answers what crossed its FIN, because a closed socket
 *    accepts nothing. If the reset has no ACK (so Linux answers data to a closed socket), the bytes
 *    must have been transmitted only once, since a second copy of bytes that were read is answered
 *    alike. A peer that never half-closes reads nothing after its FIN, which acknowledged less. For
 *    such a peer any number of copies are unread.
 *
 * A reset without an ACK and without a FIN before it proves nothing. The answer to the first copy
 * may have been lost, or a firewall may have sent the reset.
 */
#include "mt_stream.h"

/* The position up to which the peer is known to have our bytes. */
static uint64_t acked(const struct mt_stream_end *e)
{
	return e->reset && e->reset_ack ? MT_MAX(e->pos.acked, e->reset_acked) : e->pos.acked;
}

/* Whether the bytes from `at` on, which is not acknowledged, are unread. */
static enum mt_unread from(const struct mt_stream_end *e, uint64_t at)
{
	if (e->pos.sent <= at)
		return MT_UNREAD_PROVEN;
	if (e->reset && e->reset_ack)
		return MT_UNREAD_PROVEN;
	if (!e->fin)
		return MT_UNREAD_UNKNOWN;
	if (e->resent > at)
		return e->reset ? MT_UNREAD_IF_WHOLE_CLOSE : MT_UNREAD_UNKNOWN;
	if (e->reset)
		return MT_UNREAD_PROVEN;
	return e->quiet ? MT_UNREAD_IF_WHOLE_CLOSE : MT_UNREAD_UNKNOWN;
}

enum mt_unread mt_stream_unread(const struct mt_stream_end *e, uint64_t first, uint64_t last)
{
	uint64_t at = acked(e);

	if (at <= first)
		return from(e, first);
	if (at >= last || from(e, at) != MT_UNREAD_PROVEN)
		return MT_UNREAD_UNKNOWN;
	return MT_UNREAD_IN_PART;
}
