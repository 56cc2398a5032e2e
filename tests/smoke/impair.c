/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wire that hurts: joins two interfaces by packet sockets and loses, duplicates, delays, reorders and
 * corrupts frames by a seed, and limits their rate and size. This kernel-free stand-in for netem is used
 * between two veth pairs; tests/smoke/the_wire_hurts_as_told.py holds it to what it says.
 *
 *   impair IFACE IFACE SEED LOSS DUP REORDER CORRUPT DELAY_US [KBIT_PER_S [MTU]]
 *
 * The four shares are in units of 0.01 % of frames. A reordered frame waits 1 to 4 ms; a corrupted one has
 * one bit flipped behind its Ethernet header. Each direction has the rate for itself, with a queue of 50 ms, but
 * at least 64 KiB. Longer packets than MTU are dropped without a word; 0: no limit, for both. SIGTERM ends
 * it; it prints what it did as one JSON line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mt_rand.h"

#define FRAME_MAX 9216
#define HELD_MAX  32768
#define QUEUE_NS  50000000u
#define QUEUE_MIN 65536u

struct held {
	uint64_t due;	/* ns, monotonic */
	uint64_t order; /* breaks ties, so that equal dues leave in arrival order */
	uint32_t len;
	int out;
	uint8_t *bytes;
};

struct wire {
	int fd[2];
	struct mt_rand rand;
	uint32_t loss, dup, reorder, corrupt; /* of 10,000 */
	uint64_t delay;
	uint64_t rate;		    /* bytes per second; 0: no limit */
	uint64_t queue;		    /* bytes */
	uint64_t idle[2];	    /* by direction: when all that came has left */
	uint32_t mtu;		    /* 0: no limit */
	struct held heap[HELD_MAX]; /* binary heap by (due, order) */
	uint32_t n_held;
	uint64_t order;
	uint64_t frames, lost, duplicated, reordered, corrupted, refused, queue_full, too_long;
	uint64_t from[2]; /* frames by the side that they came from */
};

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
	stopping = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int open_iface(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int size = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
		setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all))) {
		fprintf(stderr, "impair: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static bool before(const struct held *a, const struct held *b)
{
	return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void swap(struct held *a, struct held *b)
{
	struct held t = *a;

	*a = *b;
	*b = t;
}

static void hold(struct wire *w, int out, const uint8_t *bytes, uint32_t len, uint64_t due)
{
	uint32_t i = w->n_held;

	if (i == HELD_MAX) {
		w->refused++;
		return;
	}
	w->heap[i] = (struct held){.due = due, .order = w->order++, .len = len, .out = out};
	w->heap[i].bytes = malloc(len);
	memcpy(w->heap[i].bytes, bytes, len);
	w->n_held++;
	for (; i && before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

/* Takes the earliest frame off the heap. */
static struct held release(struct wire *w)
{
	struct held first = w->heap[0];
	uint32_t i = 0;

	w->heap[0] = w->heap[--w->n_held];
	while (2 * i + 1 < w->n_held) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < w->n_held && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &w->heap[i]))
			break;
		swap(&w->heap[i], &w->heap[child]);
		i = child;
	}
	return first;
}

static bool chance(struct wire *w, uint32_t of_10000)
{
	return mt_rand_u64(&w->rand) % 10000 < of_10000;
}

/* When a frame that comes now has left; 0: there is no room for it. */
static uint64_t serialise(struct wire *w, int out, uint32_t len, uint64_t now)
{
	uint64_t start = w->idle[out] > now ? w->idle[out] : now;

	if (!w->rate)
		return now;
	if ((start - now) * w->rate / 1000000000u + len > w->queue) {
		w->queue_full++;
		return 0;
	}
	w->idle[out] = start + len * 1000000000ull / w->rate;
	return w->idle[out];
}

static void pass(struct wire *w, int out, uint8_t *bytes, uint32_t len, uint64_t now)
{
	uint64_t due;

	w->frames++;
	w->from[!out]++;
	if (w->mtu && len > w->mtu + ETH_HLEN) {
		w->too_long++;
		return;
	}
	if (chance(w, w->loss)) {
		w->lost++;
		return;
	}
	due = serialise(w, out, len, now);
	if (!due)
		return;
	due += w->delay;
	if (chance(w, w->dup)) {
		w->duplicated++;
		hold(w, out, bytes, len, due + mt_rand_u64(&w->rand) % 1000000);
	}
	if (chance(w, w->reorder)) {
		w->reordered++;
		due += 1000000 + mt_rand_u64(&w->rand) % 3000000;
	}
	if (len > ETH_HLEN && chance(w, w->corrupt)) {
		w->corrupted++;
		bytes[ETH_HLEN + mt_rand_u64(&w->rand) % (len - ETH_HLEN)] ^=
			(uint8_t)(1u << (mt_rand_u64(&w->rand) & 7));
	}
	if (due > now)
		hold(w, out, bytes, len, due);
	else if (send(w->fd[out], bytes, len, 0) < 0)
		w->refused++;
}

static void take_in(struct wire *w, int side)
{
	uint8_t bytes[FRAME_MAX];
	struct sockaddr_ll from;
	uint64_t now = now_ns();

	for (int burst = 0; burst < 64; burst++) {
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(w->fd[side], bytes, sizeof(bytes), MSG_DONTWAIT,
			(struct sockaddr *)&from, &from_len);

		if (len <= 0)
			return;
		if (from.sll_pkttype != PACKET_OUTGOING)
			pass(w, !side, bytes, (uint32_t)len, now);
	}
}

static void send_due(struct wire *w)
{
	uint64_t now = now_ns();

	while (w->n_held && w->heap[0].due <= now) {
		struct held h = release(w);

		if (send(w->fd[h.out], h.bytes, h.len, 0) < 0)
			w->refused++;
		free(h.bytes);
	}
}

static void run(struct wire *w)
{
	struct pollfd poll_fds[2] = {
		{.fd = w->fd[0], .events = POLLIN}, {.fd = w->fd[1], .events = POLLIN}};

	while (!stopping) {
		struct timespec wait = {.tv_nsec = 100000000};
		uint64_t now = now_ns();

		if (w->n_held && w->heap[0].due < now + 100000000)
			wait.tv_nsec = w->heap[0].due > now ? (long)(w->heap[0].due - now) : 0;
		ppoll(poll_fds, 2, &wait, NULL);
		take_in(w, 0);
		take_in(w, 1);
		send_due(w);
	}
}

int main(int argc, char **argv)
{
	static struct wire w;

	if (argc < 9 || argc > 11) {
		fprintf(stderr, "usage: impair IFACE IFACE SEED LOSS DUP REORDER CORRUPT "
				"DELAY_US [KBIT_PER_S [MTU]] (shares of 10,000)\n");
		return 2;
	}
	mt_rand_seed(&w.rand, strtoull(argv[3], NULL, 0));
	w.loss = (uint32_t)atoi(argv[4]);
	w.dup = (uint32_t)atoi(argv[5]);
	w.reorder = (uint32_t)atoi(argv[6]);
	w.corrupt = (uint32_t)atoi(argv[7]);
	w.delay = strtoull(argv[8], NULL, 0) * 1000;
	w.rate = argc > 9 ? strtoull(argv[9], NULL, 0) * 125 : 0;
	w.queue = w.rate * QUEUE_NS / 1000000000u;
	w.queue = w.queue < QUEUE_MIN ? QUEUE_MIN : w.queue;
	w.mtu = argc > 10 ? (uint32_t)atoi(argv[10]) : 0;
	w.fd[0] = open_iface(argv[1]);
	w.fd[1] = open_iface(argv[2]);
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	run(&w);
	printf("{\"frames\": %lu, \"lost\": %lu, \"duplicated\": %lu, \"reordered\": %lu, "
	       "\"corrupted\": %lu, \"queue_full\": %lu, \"too_long\": %lu, \"refused\": %lu, "
	       "\"from_first\": %lu, \"from_second\": %lu}\n",
		w.frames, w.lost, w.duplicated, w.reordered, w.corrupted, w.queue_full, w.too_long,
		w.refused, w.from[0], w.from[1]);
	return 0;
}
