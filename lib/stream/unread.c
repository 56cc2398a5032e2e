/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer's application can have read, from what its TCP said. An application reads what its machine has
 * acknowledged, or may have acknowledged in a segment that was lost. So bytes are unread when
 *
 *  - they were never transmitted;
 *  - a reset acknowledges less: a machine that gives up a connection says how far it had come;
 *  - the peer closed first, and a reset answers what crossed its FIN: a closed socket takes nothing. Without
 *    an ACK in the reset (Linux answers data to a closed socket so) only if they were transmitted once, since the
 *    second copy of what had been read is answered alike. A peer that never closes its sending side alone reads
 *    nothing after its FIN, which acknowledged less: of such a peer any number of copies are unread.
 *
 * A reset without an ACK and without a FIN before it proves nothing: the answer to the first copy may have been
 * lost, a firewall may have sent it.
 */
#include "mt_stream.h"

/* As far as the peer is known to have them. */
static uint64_t acked(const struct mt_stream_end *e)
{
	return e->reset && e->reset_ack ? MT_MAX(e->pos.acked, e->reset_acked) : e->pos.acked;
}

/* Whether bytes from `at` on, which is not acknowledged, are unread. */
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
