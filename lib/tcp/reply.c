/* SPDX-License-Identifier: Apache-2.0 */
/* Segments without payload and without a connection: SYN-ACKs, resets, answers for records. */
#include "mt_tcp_priv.h"

#include <rte_mbuf.h>

void mt_tcp_write_header(struct rte_mbuf *m, const struct mt_tcp_ctrl *ctrl)
{
	uint16_t len = (uint16_t)(MT_TCP_HDR_LEN + ctrl->opt_len);
	uint8_t *h = (uint8_t *)rte_pktmbuf_prepend(m, len);

	mt_put_be16(h, ctrl->tuple->lport);
	mt_put_be16(h + 2, ctrl->tuple->rport);
	mt_put_be32(h + 4, ctrl->seq);
	mt_put_be32(h + 8, ctrl->ack);
	h[12] = (uint8_t)(len / 4 << 4);
	h[13] = ctrl->flags;
	mt_put_be16(h + 14, ctrl->wnd);
	mt_put_be32(h + 16, 0); /* lib/net fills the checksum; no urgent data */
	if (ctrl->opt_len)
		memcpy(h + MT_TCP_HDR_LEN, ctrl->opts, ctrl->opt_len);
	m->l4_len = len;
}

enum mt_net_result mt_tcp_send_ctrl(struct mt_tcp *t, const struct mt_tcp_ctrl *ctrl)
{
	struct mt_net_dst back = {0};
	enum mt_net_result rc;
	struct rte_mbuf *m;
	uint32_t room;

	if (ctrl->dst)
		rc = mt_net_tx_ready(t->net, ctrl->tuple, ctrl->dst, &room);
	else
		rc = mt_net_route_back(t->net, ctrl->in, &ctrl->tuple->remote, &back);
	if (rc != MT_NET_SENT)
		return rc;
	m = mt_buf_ctrl(t->pools);
	if (mt_unlikely(!m)) {
		mt_tcp_note(t, MT_TCP_tx_no_memory);
		return MT_NET_NO_MEMORY;
	}
	mt_tcp_write_header(m, ctrl);
	if (ctrl->dst)
		mt_net_output_tcp(t->net, m, ctrl->tuple, ctrl->dst, 0);
	else
		mt_net_answer_tcp(t->net, m, ctrl->tuple, &back);
	mt_tcp_note(t, MT_TCP_segments_out);
	return MT_NET_SENT;
}

/* Tokens are added evenly; the bucket holds a tenth of a second. */
bool mt_tcp_may_reset(struct mt_tcp *t)
{
	uint32_t rate = t->conf.resets_per_s, burst = MT_MAX(rate / 10, 10u);
	uint32_t passed = t->now_ms - t->rst_ms;
	uint64_t fresh = (uint64_t)passed * rate / 1000;

	if (fresh > 0) {
		t->rst_tokens = (uint32_t)MT_MIN(t->rst_tokens + fresh, (uint64_t)burst);
		t->rst_ms = t->now_ms;
	}
	if (t->rst_tokens == 0)
		return false;
	t->rst_tokens--;
	return true;
}

void mt_tcp_reset_reply(struct mt_tcp *t, const struct mt_tcp_seg *seg)
{
	struct mt_tcp_ctrl ctrl = {.tuple = &seg->tuple, .in = seg->m, .flags = MT_TCP_RST};

	if (seg->flags & MT_TCP_RST)
		return;
	if (!mt_tcp_may_reset(t)) {
		mt_tcp_note(t, MT_TCP_resets_withheld);
		return;
	}
	if (seg->flags & MT_TCP_ACK) {
		ctrl.seq = seg->ack;
	} else {
		ctrl.flags |= MT_TCP_ACK;
		ctrl.ack = seg->seq + seg->len + (seg->flags & MT_TCP_SYN ? 1 : 0) +
			   (seg->flags & MT_TCP_FIN ? 1 : 0);
	}
	mt_tcp_note(t, MT_TCP_resets_out);
	mt_tcp_send_ctrl(t, &ctrl);
}
