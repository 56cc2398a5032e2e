/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding in portions. The steps of a connection in a loop iteration, and of all connections
 * together, are limited. A connection with more to decode waits in a queue, which later iterations
 * serve round robin. So a peer with bytes that are costly to decode delays only itself.
 */
#include "pool/mt_pool_priv.h"

/* Steps of a loop iteration, about 250 us; a step is a few ns. */
#define TURN_STEPS 65536
void mt_readings_init(struct mt_proxy *p)
{
	mt_list_init(&p->readings.queue);
	p->readings.left = TURN_STEPS;
	mt_resumes_begin(p);
}

void mt_readings_begin(struct mt_proxy *p)
{
	p->readings.turn++;
	/*
	 * Half of the steps are for connections that wait, however many others have received bytes.
	 */
	p->readings.left = mt_list_empty(&p->readings.queue) ? TURN_STEPS : TURN_STEPS / 2;
	mt_resumes_begin(p);
}

void mt_reading_wait(struct mt_proxy *p, struct mt_reading *r)
{
	if (mt_list_linked(&r->node))
		return;
	mt_list_add_tail(&p->readings.queue, &r->node);
	mt_count(p->counters, MT_PROXY_reading_paused);
}

bool mt_reading_begin_scan(struct mt_proxy *p, struct mt_reading *r)
{
	struct mt_scan *s = mt_slab_alloc(&p->scans, NULL);

	if (!s)
		return false;
	s->step = 0;
	r->scan = mt_slab_idx(&p->scans, s) + 1;
	return true;
}

bool mt_reading_scan(struct mt_proxy *p, struct mt_reading *r, const struct mt_codec *codec,
	struct mt_msg *msg, const struct mt_chain *c)
{
	uint32_t may, steps;
	enum mt_scan_rc rc;

	if (!mt_reading_may(p, r))
		return false;
	may = steps = MT_MIN(r->left, p->readings.left);
	rc = codec->metadata.seek(codec, mt_slab_at(&p->scans, r->scan - 1), msg, c, &steps);
	mt_reading_spend(p, r, may - steps);
	if (rc == MT_SCAN_MORE && steps == 0)
		mt_reading_wait(p, r);
	return rc == MT_SCAN_DONE;
}

void mt_reading_end_scan(struct mt_proxy *p, struct mt_reading *r)
{
	if (!r->scan)
		return;
	mt_slab_free(&p->scans, mt_slab_at(&p->scans, r->scan - 1));
	r->scan = 0;
}

void mt_reading_end(struct mt_proxy *p, struct mt_reading *r)
{
	if (mt_list_linked(&r->node))
		mt_list_del(&r->node);
	mt_reading_end_scan(p, r);
}

static void go_on(struct mt_proxy *p, struct mt_reading *r)
{
	if (mt_lies_in(&p->downs, r))
		mt_client_user.readable(p, mt_container_of(r, struct mt_down, reading));
	else
		mt_up_pump(p, mt_container_of(r, struct mt_up, reading));
}

uint32_t mt_readings_turn(struct mt_proxy *p)
{
	struct mt_list served;
	uint32_t n = 0;

	p->readings.left += TURN_STEPS / 2;
	mt_list_init(&served);
	/* Connections that enter the queue meanwhile wait for the next iteration. */
	if (!mt_list_empty(&p->readings.queue))
		mt_list_splice_tail(&served, &p->readings.queue);
	while (!mt_list_empty(&served) && p->readings.left) {
		struct mt_list *node = served.next;

		mt_list_del(node);
		go_on(p, mt_list_entry(node, struct mt_reading, node));
		n++;
	}
	/*
	 * Connections that entered the queue meanwhile follow those for which no steps were left.
	 */
	if (!mt_list_empty(&p->readings.queue))
		mt_list_splice_tail(&served, &p->readings.queue);
	if (!mt_list_empty(&served))
		mt_list_splice_tail(&p->readings.queue, &served);
	return n;
}
