/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latency is counted from the time at which an exchange was due: in the closed loop when it was sent, in
 * the open loop when the schedule said so, whatever had held it up.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUCKETS 4096 /* 64 per doubling of nanoseconds */

struct caller {
	int fd;
	bool wants_out, broken;
	uint64_t next_id, answered; /* replies may come in any order: slots by id */
	uint32_t in_flight;
	uint64_t *due; /* ring by id; 0: free */
	struct queue in, out;
};

struct run {
	const struct load_options *o;
	struct message request;
	struct caller *callers;
	int ep;
	uint64_t histogram[BUCKETS];
	uint64_t done, wrong, lost, measured_from, last_done;
};

/* 64 buckets for each power of two: within 1.6 % of the value. */
static uint32_t bucket(uint64_t ns)
{
	uint32_t shift;

	if (ns < 128)
		return (uint32_t)ns;
	shift = 63 - (uint32_t)__builtin_clzll(ns) - 6;
	return shift * 64 + (uint32_t)(ns >> shift);
}

static uint64_t bucket_value(uint32_t b)
{
	uint32_t shift = b < 128 ? 0 : b / 64 - 1;

	return shift ? (uint64_t)(b - shift * 64) << shift : b;
}

static double percentile(const struct run *r, double share)
{
	uint64_t total = 0, seen = 0;

	for (uint32_t b = 0; b < BUCKETS; b++)
		total += r->histogram[b];
	for (uint32_t b = 0; b < BUCKETS; b++) {
		seen += r->histogram[b];
		if (total && (double)seen >= share * (double)total)
			return (double)bucket_value(b) / 1000.0;
	}
	return 0;
}

static uint32_t ring_size(const struct load_options *o)
{
	return o->rate > 0 ? 1u << 16 : o->outstanding;
}

static void call(struct run *r, struct caller *c, uint64_t due)
{
	uint64_t *slot = &c->due[c->next_id % ring_size(r->o)];

	if (c->broken || *slot) {
		r->lost++;
		return;
	}
	*slot = due;
	message_set_id(&r->request, c->next_id++);
	queue_put(&c->out, r->request.bytes, r->request.len);
	c->in_flight++;
}

static void answered(struct run *r, struct caller *c, uint64_t id, uint64_t now)
{
	uint64_t *slot = &c->due[id % ring_size(r->o)];

	if (!*slot || id >= c->next_id) {
		r->wrong++;
		return;
	}
	if (now >= r->measured_from) {
		r->histogram[bucket(now - *slot)]++;
		r->done++;
		r->last_done = now;
	}
	*slot = 0;
	c->in_flight--;
	/* Closed loop: the ring is as long as `outstanding`, so the freed slot is not always the
	 * next one; fill as many as are free in order. */
	while (r->o->rate <= 0 && !c->due[c->next_id % ring_size(r->o)])
		call(r, c, now);
}

static bool take_replies(struct run *r, struct caller *c, uint64_t now)
{
	uint64_t id;

	for (;;) {
		uint32_t have = c->in.tail - c->in.head;
		uint32_t len = frame_length(r->o->proto, c->in.bytes + c->in.head, have, &id);

		if (len == UINT32_MAX)
			return false;
		if (!len || len > have)
			break;
		c->in.head += len;
		answered(r, c, id, now);
	}
	if (c->in.head == c->in.tail)
		c->in.head = c->in.tail = 0;
	return true;
}

static void flush(struct run *r, struct caller *c)
{
	bool wants_out;

	if (!c->broken && !queue_write(&c->out, c->fd)) {
		c->broken = true;
		r->lost += c->in_flight;
		close(c->fd);
		return;
	}
	wants_out = c->out.head != c->out.tail;
	if (wants_out != c->wants_out) {
		struct epoll_event ev = {
			.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data.ptr = c};

		c->wants_out = wants_out;
		epoll_ctl(r->ep, EPOLL_CTL_MOD, c->fd, &ev);
	}
}

static void handle(struct run *r, struct caller *c, uint32_t events)
{
	if ((events & ~(uint32_t)EPOLLOUT) &&
		(!queue_read(&c->in, c->fd) || !take_replies(r, c, now_ns()))) {
		c->broken = true;
		r->lost += c->in_flight;
		close(c->fd);
		return;
	}
	flush(r, c);
}

static bool connect_all(struct run *r)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(r->o->port)};

	inet_pton(AF_INET, r->o->host, &to.sin_addr);
	r->ep = epoll_create1(0);
	for (uint32_t i = 0; i < r->o->connections; i++) {
		struct caller *c = &r->callers[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

		c->due = calloc(ring_size(r->o), sizeof(*c->due));
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(c->fd, (struct sockaddr *)&to, sizeof(to))) {
			fprintf(stderr, "load client: %s:%u: %s\n", r->o->host, r->o->port,
				strerror(errno));
			return false;
		}
		nodelay(c->fd);
		epoll_ctl(r->ep, EPOLL_CTL_ADD, c->fd, &ev);
	}
	return true;
}

/* Waits for events up to the next scheduled exchange. */
static void turn(struct run *r, uint64_t until)
{
	struct epoll_event events[256];
	struct timespec wait = {.tv_nsec = 50000000};
	uint64_t now = now_ns();
	int n;

	if (until < now + 50000000)
		wait.tv_nsec = until > now ? (long)(until - now) : 0;
	n = epoll_pwait2(r->ep, events, 256, &wait, NULL);
	for (int i = 0; i < n; i++)
		handle(r, events[i].data.ptr, events[i].events);
}

static void closed_loop(struct run *r, uint64_t end)
{
	for (uint32_t i = 0; i < r->o->connections; i++) {
		for (uint32_t k = 0; k < r->o->outstanding; k++)
			call(r, &r->callers[i], now_ns());
		flush(r, &r->callers[i]);
	}
	while (now_ns() < end)
		turn(r, end);
}

static void open_loop(struct run *r, uint64_t start, uint64_t end)
{
	double gap = 1e9 / r->o->rate;
	uint64_t n = 0;

	for (uint64_t due = start; due < end; due = start + (uint64_t)((double)++n * gap)) {
		struct caller *c = &r->callers[n % r->o->connections];

		while (now_ns() < due)
			turn(r, due);
		call(r, c, due);
		flush(r, c);
	}
	for (uint64_t grace = now_ns() + 200000000; now_ns() < grace;)
		turn(r, grace);
}

int load_client(const struct load_options *o)
{
	static struct run r;
	uint64_t start;

	r.o = o;
	r.request = message_make(o->proto, true, o->size);
	r.callers = calloc(o->connections, sizeof(*r.callers));
	if (!connect_all(&r))
		return 1;
	printf("{\"calling\": true}\n");
	fflush(stdout);
	start = now_ns();
	r.measured_from = start + (uint64_t)(o->warm_up * 1e9);
	if (o->rate > 0)
		open_loop(&r, start, r.measured_from + (uint64_t)(o->seconds * 1e9));
	else
		closed_loop(&r, r.measured_from + (uint64_t)(o->seconds * 1e9));
	printf("{\"exchanges\": %lu, \"per_second\": %.0f, \"wrong\": %lu, \"lost\": %lu, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
		r.done, (double)r.done / o->seconds, r.wrong, r.lost, percentile(&r, 0.5),
		percentile(&r, 0.99), percentile(&r, 0.999));
	return r.wrong || r.lost ? 1 : 0;
}
