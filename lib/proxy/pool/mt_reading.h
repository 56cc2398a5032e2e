/* SPDX-License-Identifier: Apache-2.0 */
/* reading.c: decoding in portions. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

/* reading.c: limits the decoding of a connection, so that it does not delay a loop iteration */
void mt_readings_init(struct mt_proxy *p);
/* A loop iteration begins: sets its steps. */
void mt_readings_begin(struct mt_proxy *p);
/* Continues to decode queued connections. Returns the number of served connections. */
uint32_t mt_readings_turn(struct mt_proxy *p);
/* Steps of a connection per iteration: 64 KiB of the costliest bytes, 256 KiB of usual ones. */
#define MT_READING_SHARE 16384
/* Steps that each run of the decoder costs in addition, also for a short message. */
#define MT_READING_MESSAGE 64
/* Queues the connection, to decode more at the end of this loop iteration or of a later one. */
static inline void mt_reading_again(struct mt_proxy *p, struct mt_reading *r)
{
	if (!mt_list_linked(&r->node))
		mt_list_add_tail(&p->readings.queue, &r->node);
}
/* As mt_reading_again(), for a connection that has no steps left; counts it. */
void mt_reading_wait(struct mt_proxy *p, struct mt_reading *r);
/* True if the connection may decode more in this loop iteration; otherwise it is queued. */
static inline bool mt_reading_may(struct mt_proxy *p, struct mt_reading *r)
{
	if (r->turn != p->readings.turn) {
		r->turn = p->readings.turn;
		r->left = MT_READING_SHARE;
	}
	if (mt_likely(r->left > 0 && p->readings.left > 0))
		return true;
	mt_reading_wait(p, r);
	return false;
}
static inline void mt_reading_spend(struct mt_proxy *p, struct mt_reading *r, uint32_t steps)
{
	r->left -= MT_MIN(r->left, steps);
	p->readings.left -= MT_MIN(p->readings.left, steps);
}
static inline bool mt_reading_waits(const struct mt_reading *r)
{
	return mt_list_linked(&r->node);
}
/* Runs the decoder, after mt_reading_may(). */
static inline enum mt_decode mt_reading_decode(
	struct mt_proxy *p, struct mt_reading *r, struct mt_decoder *d, struct mt_msg *msg)
{
	uint32_t may = MT_MIN(r->left, p->readings.left);
	enum mt_decode rc;

	d->steps = may;
	rc = mt_decoder_run(d, msg);
	mt_reading_spend(p, r, may - d->steps + MT_READING_MESSAGE);
	/* The decoder may have stopped only because no steps were left. */
	if (mt_unlikely(rc == MT_DECODE_MORE && d->steps == 0))
		mt_reading_wait(p, r);
	return rc;
}
/* Starts a scan that finds a message's trailing metadata, for searches. False: no memory. */
bool mt_reading_begin_scan(struct mt_proxy *p, struct mt_reading *r);
/* Continues the scan. True: it is complete. */
bool mt_reading_scan(struct mt_proxy *p, struct mt_reading *r, const struct mt_codec *codec,
	struct mt_msg *msg, const struct mt_chain *c);
/* Gives the position of the trailing metadata to the view, which must show the message. */
static inline void mt_reading_use_scan(struct mt_proxy *p, const struct mt_reading *r)
{
	if (mt_unlikely(r->scan))
		p->view.meta.scan = *(struct mt_scan *)mt_slab_at(&p->scans, r->scan - 1);
}
void mt_reading_end_scan(struct mt_proxy *p, struct mt_reading *r);
/*
 * Charges the connection for indexing the metadata of its messages. mt_metadata.took sums up these
 * steps, also over changes of a message and over several messages in the view. The sum grows until
 * this function, mt_resumes_spend() or mt_readings_spend() charges it.
 */
static inline void mt_reading_index(struct mt_proxy *p, struct mt_reading *r)
{
	mt_reading_spend(p, r, p->view.meta.took);
	p->view.meta.took = 0;
}
/* As mt_reading_index(), for a connection that has ended: charges only the loop iteration. */
static inline void mt_readings_spend(struct mt_proxy *p)
{
	p->readings.left -= MT_MIN(p->readings.left, p->view.meta.took);
	p->view.meta.took = 0;
}
/* The view's message was dispatched: charges its index and ends its scan. */
static inline void mt_reading_used(struct mt_proxy *p, struct mt_reading *r)
{
	mt_reading_index(p, r);
	if (mt_unlikely(r->scan))
		mt_reading_end_scan(p, r);
}
/* The connection ends: removes it from the queue and ends its scan. */
void mt_reading_end(struct mt_proxy *p, struct mt_reading *r);

/*
 * After a wait, and for another attempt, a message's metadata is indexed again, also if the
 * message's connection has ended. Each source of resumed calls (events of connections, the list of
 * calls that were put off, delays, completions, verdicts) may use MT_RESUME_STEPS for this.
 * On-demand answers use what the source before them left. If no steps are left, a call is put off
 * (run.c), and a reply stays with its filter.
 */
#define MT_RESUME_STEPS 8192
static inline void mt_resumes_begin(struct mt_proxy *p)
{
	p->readings.resumes = MT_RESUME_STEPS;
}
/* True if another message may be read again now. */
static inline bool mt_resumes_may(const struct mt_proxy *p)
{
	return p->readings.resumes > 0;
}
/* Charges for indexes that were read again. */
static inline void mt_resumes_spend(struct mt_proxy *p)
{
	p->readings.resumes -= MT_MIN(p->readings.resumes, p->view.meta.took);
	p->view.meta.took = 0;
}
