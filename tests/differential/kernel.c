/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sequences at once on the kernel's TCP. A frame that is written to the TAP is answered before the
 * write returns; only its timers need real time, so all sequences wait for one tick together.
 */
#include "frame.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_US	 16000
#define TIMER_US 900000
#define FILL_MAX 200

static struct df_slot slots[DF_AT_ONCE];
static struct df_slot *by_port[65536];
static uint64_t began; /* the batch */

static struct df_slot *slot_of(uint16_t port)
{
	return by_port[port];
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/*
 * What nothing asked for: the timers that can't be made longer are those of a second, and a busy machine takes
 * longer for all steps of a batch.
 */
static bool by_timer(const struct df_slot *s, const struct sc_seg *seg)
{
	if (s->acting || !s->t.iss_known)
		return false;
	if (seg->flags & SC_SYN)
		return seg->seq == s->t.iss;
	return (seg->len || seg->flags & SC_FIN) && (int32_t)(seg->seq - s->t.end) < 0 &&
	       now_us() - began > TIMER_US;
}

/* Hands what the kernel sent to the sequences. */
static void drain(void)
{
	uint8_t frame[4096];
	const uint8_t *payload;
	struct sc_seg seg;
	const char *why;
	uint16_t lport;
	int n, rc;

	while ((n = df_tap_read(frame, sizeof(frame))) > 0) {
		rc = sc_frame_parse(frame, (uint32_t)n, &seg, &lport, &payload, &why);
		if (rc < 0)
			fprintf(stderr, "a frame of the kernel's: %s\n", why);
		if (rc <= 0 || !by_port[seg.port] || by_timer(by_port[seg.port], &seg))
			continue;
		df_saw(&by_port[seg.port]->t, &seg, lport);
	}
}

static void fill(struct df_slot *s, uint32_t i)
{
	uint32_t start = s->t.ack, before, n;
	uint8_t frame[SC_FRAME_MAX];

	for (uint32_t k = 0; k < FILL_MAX && (n = df_fill(&s->t, i, frame)); k++) {
		before = s->t.ack;
		df_tap_write(frame, n);
		drain();
		if (s->t.ack == before)
			break;
	}
	df_fill_ends(&s->t, start);
}

static void act(struct df_slot *s, uint32_t i)
{
	const struct df_step *st = &s->t.q->step[i];
	uint8_t frame[SC_FRAME_MAX];

	drain();
	s->acting = true;
	if (st->kind == DF_SEG)
		df_tap_write(frame, df_frame(&s->t, i, frame));
	else if (st->kind == DF_FILL)
		fill(s, i);
	else
		df_app_call(s, st);
	df_app_accept(s->t.q->v6, slot_of);
	drain();
	df_app_look(s);
	drain();
	s->acting = false;
}

static void wait_until(uint64_t end)
{
	for (uint64_t now = now_us(); now < end; now = now_us()) {
		df_tap_wait((uint32_t)(end - now));
		drain();
	}
}

static void look(struct df_slot *s, uint32_t i)
{
	df_app_look(s);
	drain();
	s->t.now.state = df_kernel_state(&s->t);
	df_observe(&s->t, &s->trace->obs[i], &s->trace->words[i]);
}

static void begin(struct df_slot *s, const struct df_seq *q, struct df_trace *trace)
{
	*s = (struct df_slot){.trace = trace, .fd = -1, .reading = true};
	df_track_init(&s->t, q, df_port());
	by_port[s->t.port] = s;
}

bool df_kernel(const struct df_seq *const *q, struct df_trace *const *trace, uint32_t n)
{
	uint32_t longest = 0;

	if (!df_ports_for(n))
		return false;
	for (uint32_t k = 0; k < n; k++) {
		begin(&slots[k], q[k], trace[k]);
		longest = MT_MAX(longest, q[k]->n_steps);
	}
	began = now_us();
	for (uint32_t i = 0; i < longest; i++) {
		uint64_t end = now_us() + TICK_US;

		for (uint32_t k = 0; k < n; k++)
			if (i < q[k]->n_steps)
				act(&slots[k], i);
		wait_until(end);
		for (uint32_t k = 0; k < n; k++)
			if (i < q[k]->n_steps)
				look(&slots[k], i);
	}
	for (uint32_t k = 0; k < n; k++) {
		by_port[slots[k].t.port] = NULL;
		df_app_end(&slots[k]);
	}
	drain();
	return true;
}
