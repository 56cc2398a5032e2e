/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments that lie, that come without others, and that are too many. */
#include "fragments.h"
#include "test_l4.h"

#include <string.h>

static struct scene s;

static struct sc_udp datagram(uint16_t data)
{
	return (struct sc_udp){
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 5, .dport = 4000, .data = data};
}

/* A node with the flow of datagram(). */
static void open(void)
{
	const struct sc_udp u = datagram(8);

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	fx_clear(&s.f);
}

/* Sends a part of a datagram of 1,508 bytes with its header; returns the change of a counter. */
static uint64_t part(uint32_t id, uint16_t from, uint16_t to, bool more, enum mt_l4_outcome o)
{
	const struct sc_udp u = datagram(1500);
	uint64_t before = sc_count(&s, o);
	struct fr f;

	fr_make(&f, &u, id);
	fr_send(&s, &f, (struct sc_part){.from = from, .len = (uint16_t)(to - from), .more = more});
	return sc_count(&s, o) - before;
}

static void overlaps(void)
{
	open();
	/* A part that lies in others is dropped, and the datagram goes on. */
	CU_ASSERT_EQUAL(part(1, 0, 400, true, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(1, 0, 400, true, MT_L4_fragment_overlap), 1);
	CU_ASSERT_EQUAL(part(1, 8, 16, true, MT_L4_fragment_overlap), 1);
	CU_ASSERT_EQUAL(part(1, 400, 800, true, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(1, 800, 1508, false, MT_L4_forwarded), 1);
	/* Overlap by a part ends the datagram. */
	CU_ASSERT_EQUAL(part(2, 0, 400, true, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(2, 392, 800, true, MT_L4_fragment_overlap), 1);
	CU_ASSERT_EQUAL(part(2, 400, 800, true, MT_L4_fragment_overlap), 1);
	CU_ASSERT_EQUAL(part(2, 800, 1508, false, MT_L4_fragment_overlap), 1);
	/* Kept ones are dropped, too, and the first one does not come through. */
	CU_ASSERT_EQUAL(part(3, 800, 1200, true, MT_L4_fragments_kept), 1);
	CU_ASSERT_EQUAL(part(3, 400, 808, true, MT_L4_fragment_overlap), 2);
	CU_ASSERT_EQUAL(part(3, 0, 400, true, MT_L4_fragment_overlap), 1);
	/* A part around others. */
	CU_ASSERT_EQUAL(part(4, 400, 800, true, MT_L4_fragments_kept), 1);
	CU_ASSERT_EQUAL(part(4, 0, 1200, true, MT_L4_fragment_overlap), 2);
	/* Two ends; a part after the end; an end before a part. */
	CU_ASSERT_EQUAL(part(5, 400, 800, false, MT_L4_fragments_kept), 1);
	CU_ASSERT_EQUAL(part(5, 800, 1208, false, MT_L4_fragment_overlap), 2);
	CU_ASSERT_EQUAL(part(6, 400, 800, false, MT_L4_fragments_kept), 1);
	CU_ASSERT_EQUAL(part(6, 800, 1200, true, MT_L4_fragment_overlap), 2);
	CU_ASSERT_EQUAL(part(7, 800, 1200, true, MT_L4_fragments_kept), 1);
	CU_ASSERT_EQUAL(part(7, 400, 800, false, MT_L4_fragment_overlap), 2);
	/* Identifications, and sources, do not mix. */
	CU_ASSERT_EQUAL(part(8, 0, 400, true, MT_L4_forwarded), 1);
	CU_ASSERT(sc_close(&s));
}

/* After its last part a datagram is forgotten: the identification may come again at once. */
static void again(void)
{
	open();
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(part(1, 400, 1508, false, MT_L4_fragments_kept), 1);
		CU_ASSERT_EQUAL(part(1, 0, 400, true, MT_L4_forwarded), 2);
		CU_ASSERT_EQUAL(mt_l4_next(s.l[0]) <= s.f.now + 10 * MT_SEC, true);
	}
	CU_ASSERT(sc_close(&s));
}

static void bad_frame(struct fx_pkt *p, enum mt_l4_outcome why)
{
	uint64_t before = sc_count(&s, why), forwarded = sc_count(&s, MT_L4_forwarded);

	sc_receive(&s, 0, fx_mbuf(&s.f, p->b, p->len, 0));
	CU_ASSERT_EQUAL(sc_count(&s, why), before + 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), forwarded);
}

/* Fragments that are impossible by themselves; `udp` may be changed. */
static void bad_ones(const char *src, const char *dst)
{
	struct sc_udp u = datagram(500);
	bool is4 = src[2] == '.';
	const struct sc_part first = {.len = 400, .more = true, .id = 7};
	const struct sc_part lies[] = {{0, 12, true, 1}, {8, 12, true, 2}, {0, 0, true, 3},
		{8, 0, true, 4}, {8, 0, false, 5}};
	struct fx_pkt whole, p = {0};
	uint8_t *udp = p.b + 14 + (is4 ? 20 : 48);

	u.src = src;
	u.dst = dst;
	sc_frame(&u, &whole);
	for (size_t i = 0; i < MT_ARRAY_LEN(lies); i++) {
		sc_fragment(&whole, &lies[i], &p);
		bad_frame(&p, MT_L4_fragment_bad);
	}
	for (int at = 0; at < 6; at += 2) { /* no source port, no destination port, no length */
		sc_fragment(&whole, &first, &p);
		udp[at] = udp[at + 1] = 0;
		bad_frame(&p, MT_L4_fragment_bad);
	}
	sc_fragment(&whole, &first, &p);
	udp[4] = 400 >> 8; /* more follows than the header tells */
	udp[5] = 400 & 255;
	bad_frame(&p, MT_L4_fragment_bad);
	if (is4)
		return;
	sc_fragment(&whole, &first, &p);
	udp[6] = udp[7] = 0;
	bad_frame(&p, MT_L4_checksum_missing);
}

/* The largest datagram ends at 65,535 with its header. */
static void too_long(const char *src, const char *dst, uint16_t fits)
{
	static struct fx_pkt whole, p;
	struct sc_udp u = datagram(100);
	bool is4 = src[2] == '.';

	u.src = src;
	u.dst = dst;
	sc_frame(&u, &whole);
	for (uint16_t more = 0; more < 2; more++) {
		struct sc_part end = {.from = 0, .len = (uint16_t)(fits + more), .id = 100u + more};
		uint8_t *word = p.b + 14 + (is4 ? 6 : 42);
		uint64_t kept = sc_count(&s, MT_L4_fragments_kept);

		sc_fragment(&whole, &end, &p);
		word[0] = is4 ? 0x1f : 0xff;
		word[1] = is4 ? 0xff - 2 : 0xf8 - 16; /* 65,512 bytes */
		fx_resum(&p, 14);
		if (more) {
			bad_frame(&p, MT_L4_fragment_bad);
			continue;
		}
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept), kept + 1);
	}
}

static void bad(void)
{
	open();
	bad_ones("10.1.1.1", "192.0.2.80");
	bad_ones("2001:db8:1::1", "2001:db8::80");
	too_long("10.1.1.1", "192.0.2.80", 65535 - 65512 - 20);
	too_long("2001:db8:1::1", "2001:db8::80", 65535 - 65512);
	CU_ASSERT(sc_close(&s));
}

static void time_out(void)
{
	open();
	CU_ASSERT_EQUAL(part(1, 400, 800, true, MT_L4_fragments_kept), 1);
	sc_turn(&s, 500 * MT_MSEC);
	CU_ASSERT_EQUAL(part(2, 400, 800, true, MT_L4_fragments_kept), 1);
	CU_ASSERT(mt_l4_next(s.l[0]) <= s.f.now + 500 * MT_MSEC);
	sc_turn(&s, 499 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_expired), 0);
	sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_expired), 1);
	/* The other one still waits; the first fragment of the former comes alone. */
	CU_ASSERT_EQUAL(part(1, 0, 400, true, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(2, 0, 400, true, MT_L4_forwarded), 2);
	sc_turn(&s, MT_SEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_expired), 1);
	/* The rest of these does not come through a second later. */
	CU_ASSERT_EQUAL(part(2, 800, 1508, false, MT_L4_fragments_kept), 1);
	CU_ASSERT(sc_close(&s));
}

/* Sends the second fragment of a datagram by a source. */
static void later(const char *src, uint32_t id)
{
	struct sc_udp u = datagram(900);
	struct fr f;

	u.src = src;
	fr_make(&f, &u, id);
	fr_send_one(&s, &f, 1);
}

/* 64 of a source are kept, others of it are dropped; other sources are not affected. */
static void share(void)
{
	struct fr f;
	struct sc_udp u = datagram(1500);

	open();
	for (uint32_t i = 0; i < 32; i++) {
		CU_ASSERT_EQUAL(part(i, 400, 800, true, MT_L4_fragments_kept), 1);
		CU_ASSERT_EQUAL(part(i, 800, 1200, true, MT_L4_fragments_kept), 1);
	}
	CU_ASSERT_EQUAL(part(5, 1200, 1508, false, MT_L4_fragments_over_share), 1);
	CU_ASSERT_EQUAL(part(50, 1200, 1508, false, MT_L4_fragments_over_share), 1);
	later("10.1.1.2", 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept), 65);
	CU_ASSERT_EQUAL(part(0, 0, 400, true, MT_L4_forwarded), 3);
	CU_ASSERT_EQUAL(part(51, 1200, 1508, false, MT_L4_fragments_kept), 1);
	/* An IPv6 source is a /64. */
	u.dst = "2001:db8::80";
	for (uint32_t i = 0; i < 65; i++) {
		u.src = i % 2 ? "2001:db8:1::1" : "2001:db8:1::ffff:1";
		fr_make(&f, &u, i / 2);
		fr_send_one(&s, &f, (uint16_t)(1 + i % 2));
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_evicted), 1);
	CU_ASSERT(sc_close(&s));
}

/* A source has 64 incomplete datagrams: its oldest gives way to a new one. */
static void datagrams(void)
{
	open();
	for (uint32_t i = 0; i < 65; i++)
		CU_ASSERT_EQUAL(part(i, 0, 400, true, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(1, 400, 1508, false, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(0, 400, 1508, false, MT_L4_fragments_kept), 1);
	/* A kept one gives way like the others. */
	for (uint32_t i = 100; i < 163; i++)
		CU_ASSERT_EQUAL(part(i, 0, 400, true, MT_L4_fragments_evicted), 0);
	CU_ASSERT_EQUAL(part(200, 0, 400, true, MT_L4_fragments_evicted), 1);
	CU_ASSERT(sc_close(&s));
}

static const char *source(char text[MT_ADDR_STRLEN], uint32_t i)
{
	snprintf(text, MT_ADDR_STRLEN, "10.%u.%u.1", i / 256 + 2, i % 256);
	return text;
}

/* 1 MiB of buffers is 455 fragments here; then those that are kept for longest go. */
static void memory(void)
{
	char text[MT_ADDR_STRLEN];

	open();
	for (uint32_t i = 0; i < 455; i++)
		later(source(text, i), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_evicted), 0);
	for (uint32_t i = 455; i < 475; i++)
		later(source(text, i), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_evicted), 20);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept), 475);
	CU_ASSERT(sc_close(&s));
}

/* 1,024 datagrams: those whose first fragment has come give way, not those that wait. */
static void places(void)
{
	struct sc_udp u = datagram(900);
	char text[MT_ADDR_STRLEN];
	struct fr f;

	open();
	later("10.1.1.1", 1);
	u.dport = 4002; /* without endpoints: no flow is made */
	for (uint32_t i = 0; i < 1100; i++) {
		u.src = source(text, i);
		fr_make(&f, &u, 1);
		fr_send_one(&s, &f, 0);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_evicted), 0);
	u = datagram(900);
	fr_make(&f, &u, 1);
	fr_send_one(&s, &f, 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 3);
	for (int i = 0; i < 200; i++)
		sc_turn(&s, 10 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_l4_next(s.l[0]) > s.f.now, true);
	CU_ASSERT(sc_close(&s));
}

/* A datagram with more gaps than are noted. */
static void scattered(void)
{
	open();
	CU_ASSERT_EQUAL(part(1, 0, 8, true, MT_L4_forwarded), 1);
	for (uint16_t i = 1; i < 32; i++)
		CU_ASSERT_EQUAL(
			part(1, (uint16_t)(i * 16), (uint16_t)(i * 16 + 8), true, MT_L4_forwarded),
			1);
	CU_ASSERT_EQUAL(part(1, 32 * 16, 32 * 16 + 8, true, MT_L4_fragments_over_share), 1);
	/* Gaps close in any order. */
	for (uint16_t i = 31; i > 0; i--)
		CU_ASSERT_EQUAL(
			part(1, (uint16_t)(i * 16 - 8), (uint16_t)(i * 16), true, MT_L4_forwarded),
			1);
	CU_ASSERT_EQUAL(part(1, 31 * 16 + 8, 1508, false, MT_L4_forwarded), 1);
	CU_ASSERT_EQUAL(part(1, 0, 8, true, MT_L4_forwarded), 1); /* it was complete */
	CU_ASSERT(sc_close(&s));
}

/* Rings between workers have an end: to the datagram's owner, and on to that of the flow. */
static void rings(void)
{
	struct sc_udp u = datagram(900);
	struct fx_pkt p = {0};
	struct fr f;

	sc_open(&s, 3, 64);
	for (uint32_t i = 0; i < 400; i++) {
		const struct sc_part first = {.len = 400, .more = true, .id = i};

		u.sport = (uint16_t)(100 + i);
		fr_make(&f, &u, i);
		sc_fragment(&f.whole, &first, &p);
		sc_enter(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	}
	CU_ASSERT(fx_count(&s.f, MT_NET_handoff_full) > 0);
	CU_ASSERT(sc_count(&s, MT_L4_fragment_ring_full) > 0);
	sc_hand_over(&s);
	for (int i = 0; i < 3; i++)
		sc_turn(&s, 600 * MT_MSEC);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test fragment_limit_tests[] = {{"overlaps", overlaps}, {"again", again},
	{"bad", bad}, {"time_out", time_out}, {"share", share}, {"datagrams", datagrams},
	{"memory", memory}, {"places", places}, {"scattered", scattered}, {"rings", rings}, {0}};
