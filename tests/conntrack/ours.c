/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences through lib/l4 and lib/net on the node of the unit tests. One flow at a time. */
#include "../unit/l4/conn.h"
#include "conntrack.h"

#include <string.h>

static struct scene scene;

void ct_ours_up(void)
{
	fx_eal();
	sc_open(&scene, 1, 64);
}

bool ct_ours_down(void)
{
	return sc_close(&scene);
}

/* Passes a segment; `server`: the ends of those from the server, known since the first SYN. */
static const struct fx_frame *pass(
	const struct cn *c, const struct ct_segment *g, const struct sc_ends *server)
{
	char text[2][MT_ADDR_STRLEN];
	struct cn_segment s = {.src = c->client,
		.dst = c->vip,
		.sport = c->cport,
		.dport = c->vport,
		.seq = g->seq,
		.ack = g->ack,
		.flags = g->flags,
		.data = g->len,
		.stamp = g->stamp};

	if (g->from == 1) {
		s.src = mt_addr_str(&server->dst, text[0]);
		s.dst = mt_addr_str(&server->src, text[1]);
		s.sport = server->dport;
		s.dport = server->sport;
	}
	return cn_pass(&scene, &s);
}

void ct_ours_run(const struct ct_sequence *q, struct ct_states *states)
{
	struct cn c = cn_new("10.1.1.1", 7000, false);
	struct sc_ends server = {0};

	for (uint32_t i = 0; i < q->n; i++) {
		const struct fx_frame *out = pass(&c, &q->at[i], &server);

		if (q->at[i].from == 0 && q->at[i].flags == CT_SYN && out)
			server = sc_ends(out);
		states->ours[i] = (uint8_t)cn_state(&scene, &c);
	}
	/* The flow expires, so that the next sequence begins without one. */
	while (sc_flows(&scene))
		sc_turn(&scene, 7500 * MT_SEC);
}
