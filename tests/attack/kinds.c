/* SPDX-License-Identifier: Apache-2.0 */
/* Floods that need no connection: SYNs, ACKs, garbage. */
#include "flood.h"

#include <string.h>

static struct seg stranger(struct flood *f, uint8_t flags)
{
	return (struct seg){
		.src = any_source(f),
		.dst = f->to,
		.sport = (uint16_t)(1024 + draw(f, 60000)),
		.dport = f->port,
		.seq = (uint32_t)mt_rand_u64(&f->rand),
		.flags = flags,
		.wnd = 65535,
	};
}

/* Half of them with the options of a usual client, half with an MSS only. */
void run_syn(struct flood *f)
{
	static const uint8_t full[20] = {
		2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7};
	uint64_t start = now_ns();

	for (uint64_t n = 0; pace(f, start, n); n++) {
		struct seg s = stranger(f, SYN);

		s.opt_len = n & 1 ? 20 : 4;
		memcpy(s.opts, full, s.opt_len);
		send_seg(f, &s);
	}
	report(f, "");
}

void run_ack(struct flood *f)
{
	static const uint8_t bytes[64];
	uint64_t start = now_ns();

	for (uint64_t n = 0; pace(f, start, n); n++) {
		struct seg s = stranger(f, n % 8 == 1 ? FIN | ACK : ACK);

		s.ack = (uint32_t)mt_rand_u64(&f->rand);
		s.data = bytes;
		s.len = n % 4 == 0 ? sizeof(bytes) : 0;
		send_seg(f, &s);
	}
	report(f, "");
}

#define L3 14
#define L4 34

/* Ways to spoil a good SYN; each returns the frame's new length. */
static uint16_t random_bytes(struct flood *f, uint8_t *b, uint16_t len)
{
	len = (uint16_t)(14 + draw(f, 600));
	for (uint16_t i = 12; i < len; i++)
		b[i] = (uint8_t)mt_rand_u64(&f->rand);
	return len;
}

static uint16_t random_payload(struct flood *f, uint8_t *b, uint16_t len)
{
	len = random_bytes(f, b, len);
	put16(b + 12, draw(f, 2) ? 0x0800 : 0x86dd);
	return len;
}

static uint16_t cut(struct flood *f, uint8_t *b, uint16_t len)
{
	return (uint16_t)(14 + draw(f, len - 14u));
}

static uint16_t bad_ip_sum(struct flood *f, uint8_t *b, uint16_t len)
{
	b[L3 + 10] ^= 0x55;
	return len;
}

static uint16_t bad_tcp_sum(struct flood *f, uint8_t *b, uint16_t len)
{
	b[L4 + 17] ^= 0x55;
	return len;
}

static uint16_t fragment(struct flood *f, uint8_t *b, uint16_t len)
{
	put16(b + L3 + 6, (uint16_t)(draw(f, 2) ? 0x2000 : 1 + draw(f, 8000)));
	resum(b, (uint16_t)(len - L4));
	return len;
}

/* The first bytes of the option list claim impossible lengths. */
static uint16_t bad_options(struct flood *f, uint8_t *b, uint16_t len)
{
	static const uint8_t kinds[] = {2, 3, 4, 5, 8, 30, 254};

	b[L4 + 20] = kinds[draw(f, sizeof(kinds))];
	b[L4 + 21] = (uint8_t)(draw(f, 2) ? draw(f, 2) : 41 + draw(f, 200));
	resum(b, (uint16_t)(len - L4));
	return len;
}

static uint16_t bad_offset(struct flood *f, uint8_t *b, uint16_t len)
{
	b[L4 + 12] = (uint8_t)((draw(f, 2) ? draw(f, 5) : 11 + draw(f, 5)) << 4);
	resum(b, (uint16_t)(len - L4));
	return len;
}

static uint16_t all_flags(struct flood *f, uint8_t *b, uint16_t len)
{
	b[L4 + 13] = (uint8_t)mt_rand_u64(&f->rand);
	resum(b, (uint16_t)(len - L4));
	return len;
}

/* The IP header says more, or less, than there is. */
static uint16_t bad_length(struct flood *f, uint8_t *b, uint16_t len)
{
	put16(b + L3 + 2, (uint16_t)mt_rand_u64(&f->rand));
	resum(b, (uint16_t)(len - L4));
	return len;
}

static uint16_t bad_source(struct flood *f, uint8_t *b, uint16_t len)
{
	static const uint32_t no_hosts[] = {0, 0x7f000001, 0xe0000001, 0xffffffff, 0xc0000201};

	put32(b + L3 + 12, no_hosts[draw(f, 5)]);
	resum(b, (uint16_t)(len - L4));
	return len;
}

void run_garbage(struct flood *f)
{
	static uint16_t (*const spoil[])(struct flood * f, uint8_t * b, uint16_t len) = {
		random_bytes, random_payload, cut, bad_ip_sum, bad_tcp_sum, fragment, bad_options,
		bad_offset, all_flags, bad_length, bad_source};
	uint64_t start = now_ns();

	for (uint64_t n = 0; pace(f, start, n); n++) {
		struct seg s = stranger(f, SYN);
		uint8_t b[FRAME_MAX];
		uint16_t len;

		s.opt_len = 20;
		memset(s.opts, 1, sizeof(s.opts)); /* no-operations */
		len = make_frame(f, b, &s);
		send_frame(f, b, spoil[n % (sizeof(spoil) / sizeof(spoil[0]))](f, b, len));
	}
	report(f, "");
}
