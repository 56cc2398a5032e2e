/* SPDX-License-Identifier: Apache-2.0 */
/* The sequence on lib/tcp: a stack of its own for each, on virtual time. */
#include "diff.h"
#include "stack.h"

#include <stdlib.h>
#include <string.h>

#define PORT 4000
/* One step: longer than delayed ACKs and than the least time between two challenges. */
#define STEP_NS	 (52 * MT_MSEC)
#define FILL_MAX 200

static struct sc_run run; /* large */
static const struct sc_script script = {.path = "sequence"};

void df_trace_free(struct df_trace *trace)
{
	for (uint32_t i = 0; i < DF_STEPS; i++)
		free(trace->words[i]);
	memset(trace->words, 0, sizeof(trace->words));
}

static bool begin(const struct df_seq *q)
{
	struct sc_run *r = &run;

	memset(r, 0, offsetof(struct sc_run, log));
	r->n_log = r->n_seen = r->n_events = r->next_event = r->n_base = 0;
	r->failed = r->iss_fixed = r->iss_active = false;
	r->error[0] = 0;
	r->script = &script;
	r->v.v6 = q->v6;
	/* Timeouts are left to packet scripts: they would take real time on the other side. */
	r->conf = (struct mt_tcp_conf){.max_conns = 8,
		.max_half_open = 8,
		.max_time_wait = 8,
		.min_rto_ms = 5000,
		.connect_ms = 60000};
	r->mtu = 1500;
	r->irs = q->irs;
	r->cur = sc_flow(r, PORT);
	if (!sc_stack_up(r, &r->conf, r->mtu, SC_START))
		return false;
	sc_listening(r, true, false);
	return true;
}

static uint8_t err_of(enum mt_close_reason why)
{
	switch (why) {
	case MT_CLOSE_OK:
		return DF_OK;
	case MT_CLOSE_RESET:
		return DF_RESET;
	case MT_CLOSE_REFUSED:
		return DF_REFUSED;
	case MT_CLOSE_TIMEOUT:
	case MT_CLOSE_CONNECT_TIMEOUT:
		return DF_TIMEOUT;
	default:
		return DF_OTHER;
	}
}

/* A socket tells of the end only behind all bytes. */
static bool read_all(void)
{
	return !run.cur->s || run.cur->s->rx.len == 0;
}

static void take_events(struct df_track *t)
{
	for (; run.next_event < run.n_events; run.next_event++) {
		const struct sc_event *e = &run.events[run.next_event];

		if (e->kind == SC_EV_EOF && !read_all())
			return;

		switch (e->kind) {
		case SC_EV_ACCEPT:
			t->now.accepted = true;
			t->now.eof = false;
			t->now.err = DF_OK;
			break;
		case SC_EV_CONNECTED:
			t->now.connected = true;
			break;
		case SC_EV_EOF:
			t->now.eof = true;
			break;
		case SC_EV_CLOSED:
			t->now.err = err_of(e->reason);
			break;
		default:
			break;
		}
	}
}

/*
 * Tail loss probes are switched off on the other side: they would come when its clock wants. Of ours only
 * the ACK counts that they carry.
 */
static bool is_tail_probe(const struct df_track *t, const struct sc_seg *s, uint64_t *probes)
{
	if (!*probes || s->at == sc_now(&run) - STEP_NS || !(s->len || s->flags & SC_FIN) ||
		(int32_t)(s->seq - t->end) >= 0)
		return false;
	--*probes;
	return true;
}

static void look_at(struct df_track *t, const struct sc_seg *s, uint64_t *probes)
{
	struct sc_seg ack = *s;

	if (!s->out)
		return;
	if (s->flags & SC_SYN && s->seq != run.cur->iss) { /* of the tuple's next connection */
		run.cur->iss = s->seq;
		run.cur->written = 0;
	}
	if (s->len && !s->payload_ok)
		sc_fail(&run, "a byte left that the application had not written at this place");
	if (is_tail_probe(t, s, probes)) {
		ack.seq = t->end;
		ack.len = 0;
		ack.flags &= (uint8_t)~SC_FIN;
		if (s->ack == t->ack)
			return;
	}
	df_saw(t, &ack, run.cur->lport);
}

static void look(struct df_track *t, uint64_t probes)
{
	const char *state = sc_state(&run, run.cur);

	for (; run.n_seen < run.n_log; run.n_seen++)
		look_at(t, &run.log[run.n_seen], &probes);
	take_events(t);
	df_read(t, run.cur->read);
	t->now.wrong = run.cur->data_wrong;
	t->now.state = DF_CLOSED;
	for (uint32_t i = 0; i < DF_N_STATES; i++)
		if (sc_is(df_state_names[i], state))
			t->now.state = (uint8_t)i;
}

static void send(struct df_track *t, uint32_t i)
{
	uint8_t frame[SC_FRAME_MAX];

	sc_queue_frame(&run, frame, df_frame(t, i, frame));
}

/* Full segments, each answered at once or after the delay of an ACK, until nothing more is taken. */
static void fill(struct df_track *t, uint32_t i)
{
	uint32_t began = t->ack, before, n;
	uint8_t frame[SC_FRAME_MAX];

	for (uint32_t k = 0; k < FILL_MAX && (n = df_fill(t, i, frame)); k++) {
		before = t->ack;
		sc_queue_frame(&run, frame, n);
		sc_turn(&run);
		sc_pass(&run, sc_now(&run) + STEP_NS, false);
		look(t, 0);
		if (t->ack == before)
			break;
	}
	df_fill_ends(t, began);
}

static void call(const struct df_track *t, const struct df_step *st)
{
	struct sc_flow *f = run.cur;

	if (st->kind == DF_CONNECT)
		sc_open(&run, f, 0);
	if (st->kind == DF_READER) {
		f->reading = st->n;
		if (st->n && f->s)
			sc_app_read(&run, f, UINT32_MAX);
	}
	if (!f->s || !(t->now.accepted || t->now.connected))
		return;
	switch (st->kind) {
	case DF_WRITE:
		if (!f->s->tx_shut)
			sc_app_write(&run, f, st->n);
		return;
	case DF_SHUTDOWN:
		mt_stream_shutdown(f->s);
		return;
	case DF_CLOSE:
		mt_stream_detach(f->s);
		break;
	case DF_ABORT:
		mt_stream_abort(f->s, MT_ABORT_CANCELLED);
		break;
	default:
		return;
	}
	f->s = NULL;
}

/* Only made by hand or by the fuzzer: the kernel's side can not wait. */
static uint64_t pause_ns(const struct df_step *st)
{
	return st->kind == DF_WAIT ? st->n * MT_MSEC : 0;
}

bool df_ours(const struct df_seq *q, struct df_trace *trace)
{
	struct df_track t;
	uint64_t before;

	df_track_init(&t, q, PORT);
	if (begin(q)) {
		for (uint32_t i = 0; i < q->n_steps && !run.failed; i++) {
			if (q->step[i].kind == DF_SEG)
				send(&t, i);
			else if (q->step[i].kind == DF_FILL)
				fill(&t, i);
			else
				call(&t, &q->step[i]);
			before = sc_counter(&run, "tail_probes");
			sc_turn(&run);
			sc_pass(&run, sc_now(&run) + STEP_NS + pause_ns(&q->step[i]), false);
			look(&t, sc_counter(&run, "tail_probes") - before);
			df_observe(&t, &trace->obs[i], &trace->words[i]);
		}
	}
	sc_stack_down(&run);
	if (run.failed)
		fprintf(stderr, "seed %llu on lib/tcp: %s\n", (unsigned long long)q->seed,
			run.error);
	return !run.failed;
}
