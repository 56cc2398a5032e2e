/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's part of captures. Each worker gets a ring together with the tracer (struct
 * mt_trace) that fills it. The client reads by repeated requests. A capture ends by itself when it
 * has the requested number of records, when its time is over, or when no client has read it for
 * UNREAD.
 */
#include "mt_ctl_capture_priv.h"
#include "names.h"

#include <stdio.h>
#include <time.h>

#define LOOK   (100 * MT_MSEC)
#define UNREAD (10 * MT_SEC) /* without a reader */

const char *mt_ctl_capture_of(const struct mt_ctl_capture *p)
{
	switch (p->asked.what) {
	case MT_CAPTURE_PACKETS:
		return "packets";
	case MT_CAPTURE_CLIENT:
		return "messages client";
	case MT_CAPTURE_ENDPOINT:
		return "messages endpoint";
	default:
		return "messages";
	}
}

/* ---- workers -------------------------------------------------------------------------------- */

static uint64_t lost_in(const struct mt_capture *ring)
{
	return ring ? mt_count_read(&ring->stats.lost) : 0;
}

static uint64_t missed_by(const struct mt_ctl_capture *p, const struct mt_trace *t)
{
	/* Packets are complete without the exchanges that they carry. */
	return t && p->asked.what != MT_CAPTURE_PACKETS ? mt_count_read(&t->stats.missed) : 0;
}

uint64_t mt_ctl_capture_lost(const struct mt_ctl_capture *p)
{
	uint64_t n = p->lost;

	for (size_t w = 0; w < MT_ARRAY_LEN(p->rings); w++)
		n += lost_in(p->rings[w]);
	return n;
}

uint64_t mt_ctl_capture_missed(const struct mt_ctl_capture *p)
{
	uint64_t n = p->missed;

	for (size_t w = 0; w < MT_ARRAY_LEN(p->traces); w++)
		n += missed_by(p, p->traces[w]);
	return n;
}

/*
 * Takes the tracer back from worker w. False: the worker does not answer and keeps it until a later
 * attempt.
 */
static bool take_back(struct mt_ctl *c, uint16_t w)
{
	struct mt_ctl_capture *p = c->capture;

	if (!p->traces[w])
		return true;
	if (!mt_ctl_trace_hand(c, w, NULL))
		return false;
	p->missed += missed_by(p, p->traces[w]);
	mt_trace_free(p->traces[w]);
	p->traces[w] = NULL;
	return true;
}

static void drop_ring(struct mt_ctl_capture *p, uint16_t w)
{
	p->lost += lost_in(p->rings[w]);
	mt_capture_free(p->rings[w]);
	p->rings[w] = NULL;
}

void mt_ctl_capture_end(struct mt_ctl *c, const char *why)
{
	struct mt_ctl_capture *p = c->capture;

	if (p->on)
		mt_log(MT_LOG_INFO, "admin", "the capture of %s ended: %s", p->by, why);
	for (uint16_t w = 0; w < c->env.n_workers; w++)
		(void)take_back(c, w);
	if (!p->ended_by)
		p->ended_by = why;
	p->on = false;
}

/*
 * Frees the tracers and rings of a capture that has ended. True if every worker has given its
 * tracer back.
 */
static bool clear(struct mt_ctl *c)
{
	struct mt_ctl_capture *p = c->capture;
	bool all = true;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		if (take_back(c, w))
			drop_ring(p, w);
		else
			all = false;
	}
	p->read_out = all;
	return all;
}

static bool start_worker(struct mt_ctl *c, uint16_t w)
{
	struct mt_ctl_capture *p = c->capture;
	const struct mt_ctl_capture_asked *a = &p->asked;
	const struct mt_capture_conf ring = {
		.what = a->what, .snap = a->snap, .count = a->count, .expr = a->x};
	struct mt_trace_conf conf = {.worker = w, .exchanges = true, .count = UINT32_MAX};

	/* All exchanges are followed, because packets show the names of those that they carry. */
	if (a->what != MT_CAPTURE_PACKETS)
		conf.expr = a->x;
	p->rings[w] = conf.capture = mt_capture_new(&ring);
	if (!conf.capture)
		return false;
	p->traces[w] = mt_trace_new(&conf);
	return p->traces[w] && mt_ctl_trace_hand(c, w, p->traces[w]);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void begin(struct mt_ctl *c, const struct mt_ctl_capture_asked *a, const struct mt_who *who)
{
	struct mt_ctl_capture *p = c->capture;
	struct timespec ts;

	*p = (struct mt_ctl_capture){.id = p->id + 1, .asked = *a, .since = c->now};
	p->read = p->look_at = c->now;
	mt_who_str(who, p->by);
	clock_gettime(CLOCK_REALTIME, &ts);
	p->tsc = mt_trace_tsc();
	p->wall = (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

static json_t *summary(const struct mt_ctl_capture *p)
{
	return mt_json_object(MT_M("capture", p->on ? "running" : "ended"), MT_M("id", p->id),
		MT_M("of", mt_ctl_capture_of(p)), MT_M("expression", p->asked.expr),
		MT_M("by", p->by), MT_M("count", p->asked.count), MT_M("seconds", p->asked.seconds),
		MT_M("snaplen", p->asked.snap), MT_M("taken", p->n_read),
		MT_M("bytes", p->bytes_read), MT_M("lost", mt_ctl_capture_lost(p)),
		MT_M("missed", mt_ctl_capture_missed(p)),
		MT_M("ended_because", mt_json_known(p->ended_by)));
}

/* Returns why no capture may start now; NULL: it may. */
static json_t *objection(struct mt_ctl *c)
{
	const struct mt_ctl_capture *p = c->capture;

	if (c->env.n_workers == 0)
		return mt_ctl_error("this node has no workers");
	if (mt_ctl_trace_on(c))
		return mt_ctl_error("a trace is running; `trace stop` ends it");
	if (p && p->on)
		return mt_ctl_error("%s captures %s `%s` already; `capture stop` ends that", p->by,
			mt_ctl_capture_of(p), p->asked.expr);
	return NULL;
}

json_t *mt_capture_start(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_capture_asked a = {0};
	json_t *no = objection(c), *j;
	struct mt_err e = {""};

	if (no)
		return no;
	if (mt_ctl_capture_ask(&a, r, &e) < 0)
		return mt_ctl_wrong(&e);
	if (!c->capture)
		c->capture = calloc(1, sizeof(*c->capture));
	if (!c->capture)
		return NULL;
	if (!clear(c))
		return mt_ctl_error("a worker has not given up the last capture yet; try again");
	begin(c, &a, r->who);
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		if (start_worker(c, w))
			continue;
		mt_ctl_capture_end(c, "a worker does not answer");
		(void)clear(c);
		return mt_ctl_error("worker %u does not answer, or there is no memory", w);
	}
	c->capture->on = true;
	mt_log(MT_LOG_INFO, "admin", "%s captures %s `%s`", c->capture->by,
		mt_ctl_capture_of(c->capture), c->capture->asked.expr);
	j = summary(c->capture);
	mt_ctl_expr_note(c, &a.x,
		a.what == MT_CAPTURE_PACKETS ? MT_TRACE_PACKET_FIELDS : MT_TRACE_EXCHANGE_FIELDS,
		j);
	return j;
}

json_t *mt_capture_read(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_capture *p = c->capture;
	json_t *j, *rows;
	bool more = false;
	char *end;

	if (!p || strtoul(r->args[0], &end, 10) != p->id || *end)
		return mt_ctl_error("there is no capture %s (any more)", r->args[0]);
	p->read = c->now;
	rows = mt_ctl_capture_rows(p, &more);
	if (p->on && p->n_read == p->asked.count)
		mt_ctl_capture_end(c, "the requested number was reached");
	if (!p->on && !more)
		(void)clear(c);
	j = summary(p);
	mt_json_set(j, MT_M("more", (bool)(p->on || more)), MT_M("at_once", more),
		MT_M("packets", rows));
	return j;
}

json_t *mt_capture_stop(struct mt_ctl *c, const struct mt_request *r)
{
	if (!c->capture || !c->capture->on)
		return mt_ctl_error("no capture is running");
	mt_ctl_capture_end(c, "it was stopped");
	return summary(c->capture);
}

json_t *mt_capture_show(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *j = c->capture ? summary(c->capture) : mt_json_object(MT_M("capture", "none"));

	mt_render_absent(j, "id of expression by count seconds snaplen taken bytes lost missed "
			    "ended_because");
	return j;
}

/* ---- control loop --------------------------------------------------------------------------- */

void mt_ctl_capture_turn(struct mt_ctl *c)
{
	struct mt_ctl_capture *p = c->capture;

	if (!p || p->read_out || c->now < p->look_at)
		return;
	p->look_at = c->now + LOOK;
	if (p->on && c->now >= p->since + p->asked.seconds * MT_SEC)
		mt_ctl_capture_end(c, "its time is over");
	if (c->now < p->read + UNREAD)
		return;
	mt_ctl_capture_end(c, "no client reads it");
	(void)clear(c);
}

uint64_t mt_ctl_capture_next(const struct mt_ctl *c)
{
	return c->capture && !c->capture->read_out ? c->capture->look_at : MT_NEVER;
}

bool mt_ctl_capture_used(const struct mt_ctl *c, uint16_t w, uint64_t *bytes)
{
	const struct mt_capture *ring = c->capture ? c->capture->rings[w] : NULL;

	if (!ring)
		return false;
	*bytes = mt_byte_ring_used(&ring->ring);
	return true;
}

void mt_ctl_capture_free(struct mt_ctl *c)
{
	if (!c->capture)
		return;
	mt_ctl_capture_end(c, "the daemon ends");
	(void)clear(c);
	free(c->capture);
	c->capture = NULL;
}
