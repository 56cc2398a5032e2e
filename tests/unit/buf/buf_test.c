/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains against an oracle: the same random operations on an mbuf chain and on a plain byte array must
 * give the same bytes, lengths and truesize, and every mbuf must come back.
 */
#include "mt_buf.h"

#include "../../eal_unpinned.h"
#include "../../outcomes_seen.h"
#include "mt_rand.h"
#include "buf_test.h"

#include <stdio.h>

#define MAX 60000

static struct mt_pools pools;
static uint32_t data_full, ctrl_full;
static struct mt_rand rnd;

struct oracle {
	struct mt_chain c;
	uint8_t bytes[MAX];
	uint32_t len;
};

static void check_pools_full(void)
{
	mt_pools_sample(&pools);
	CU_ASSERT_EQUAL(pools.data_free, data_full);
	CU_ASSERT_EQUAL(pools.ctrl_free, ctrl_full);
}

static uint32_t sums_seen; /* that were known after an operation */

/* RFC 1071, word by word. */
static uint16_t slow_sum(const uint8_t *p, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A sum that is known is that of the bytes that are there. */
static void check_sum(const struct rte_mbuf *m)
{
	const struct mt_link *l = mt_link(m);
	const uint8_t *at = (const uint8_t *)m->buf_addr + l->sum_off;

	if (!l->sum_off || l->sum_off < l->off)
		return;
	CU_ASSERT_FATAL(l->sum_off < l->off + l->len);
	CU_ASSERT_EQUAL_FATAL(
		slow_sum(at, (uint32_t)l->off + l->len - l->sum_off) % 0xffff, l->sum % 0xffff);
	sums_seen++;
}

static void check(const struct oracle *o)
{
	static uint8_t got[MAX];
	uint32_t len = 0, truesize = 0, segs = 0;

	for (struct rte_mbuf *m = o->c.head; m; m = mt_link(m)->next) {
		len += mt_link(m)->len;
		truesize += mt_buf_truesize(m);
		segs++;
		check_sum(m);
		CU_ASSERT_FATAL(mt_link(m)->len > 0);
		CU_ASSERT_FATAL(mt_link(m)->next || m == o->c.tail);
	}
	CU_ASSERT_EQUAL_FATAL(o->c.len, o->len);
	CU_ASSERT_EQUAL_FATAL(len, o->len);
	CU_ASSERT_EQUAL_FATAL(truesize, o->c.truesize);
	CU_ASSERT_EQUAL_FATAL(segs, o->c.segs);
	mt_chain_read(&o->c, 0, got, o->len);
	CU_ASSERT_FATAL(memcmp(got, o->bytes, o->len) == 0);
}

static uint32_t below(uint32_t n)
{
	return n ? mt_rand_below(&rnd, n) : 0;
}

static void fill(uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)mt_rand_u64(&rnd);
}

/* A received packet of some segments, some of them shared with another holder. */
static struct rte_mbuf *packet(const uint8_t *bytes, uint32_t n, struct rte_mbuf **shared)
{
	struct rte_mbuf *first = NULL, **at = &first;

	*shared = NULL;
	while (n > 0) {
		struct rte_mbuf *m = mt_buf_data(&pools);
		uint32_t part = 1 + below(MT_MIN(n, 1500u));

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), bytes, part);
		if (part > 2 && below(2)) {
			uint32_t front = below(part - 1);

			mt_link(m)->sum_off = (uint16_t)(m->data_off + front);
			mt_link(m)->sum = slow_sum(bytes + front, part - front);
			m->ol_flags |= mt_buf_summed;
		}
		bytes += part;
		n -= part;
		*at = m;
		at = &m->next;
		if (first != m) {
			first->nb_segs++;
			first->pkt_len += part;
		}
	}
	if (below(4) == 0) {
		mt_buf_hold(first);
		*shared = first;
	}
	return first;
}

static void op_append_pkt(struct oracle *o)
{
	uint8_t bytes[4000];
	uint32_t n = 1 + below(sizeof(bytes)), skip = below(n), len = 1 + below(n - skip);
	struct rte_mbuf *shared;
	struct rte_mbuf *m;

	if (o->len + len > MAX)
		return;
	fill(bytes, n);
	m = packet(bytes, n, &shared);
	CU_ASSERT_EQUAL(mt_chain_append_pkt(&o->c, m, skip, len), len);
	memcpy(o->bytes + o->len, bytes + skip, len);
	o->len += len;
	if (shared)
		rte_pktmbuf_free_seg(shared);
}

static void op_write(struct oracle *o)
{
	uint8_t bytes[5000];
	uint32_t n = 1 + below(sizeof(bytes));

	if (o->len + n > MAX)
		return;
	fill(bytes, n);
	CU_ASSERT_EQUAL(mt_chain_write(&o->c, &pools, bytes, n), 0);
	memcpy(o->bytes + o->len, bytes, n);
	o->len += n;
}

/* A small chain of one buffer goes behind the last one, as lib/tcp has it. */
static void op_coalesce(struct oracle *o)
{
	struct mt_chain small = {0};
	uint8_t bytes[300];
	uint32_t n = 1 + below(sizeof(bytes));
	const struct mt_link *l;

	if (!o->c.tail || !mt_buf_writable(o->c.tail) || o->len + n > MAX)
		return;
	l = mt_link(o->c.tail);
	if (l->off + l->len + n > o->c.tail->buf_len)
		return;
	fill(bytes, n);
	CU_ASSERT_EQUAL(mt_chain_write(&small, &pools, bytes, n), 0);
	mt_chain_coalesce(&small, &o->c, &pools);
	CU_ASSERT_PTR_NULL(small.head);
	memcpy(o->bytes + o->len, bytes, n);
	o->len += n;
}

/* Bytes that are written where they will lie: in the room behind the last one, or in new buffers. */
static void op_reserve(struct oracle *o)
{
	uint32_t room = 0, n = 1 + below(5000), at = o->len;
	uint8_t *p = mt_chain_room(&o->c, &room);

	if (o->len + n > MAX)
		return;
	if (p && room && below(2)) {
		n = MT_MIN(n, room);
		fill(o->bytes + at, n);
		memcpy(p, o->bytes + at, n);
		mt_chain_grow(&o->c, n);
	} else {
		fill(o->bytes + at, n);
		CU_ASSERT_EQUAL(mt_chain_reserve(&o->c, &pools, n), 0);
		CU_ASSERT_EQUAL(mt_chain_patch(&o->c, at, o->bytes + at, n, &pools), 0);
	}
	o->len += n;
}

/* The head goes with a part of what it shows. */
static void op_move_head(struct oracle *from, struct oracle *to)
{
	uint32_t len = from->len ? mt_link(from->c.head)->len : 0;
	uint32_t skip = below(len), n = 1 + below(len - skip);

	if (len == 0 || to->len + n > MAX)
		return;
	mt_chain_move_head(&from->c, &to->c, mt_link(from->c.head)->off + skip, n);
	memcpy(to->bytes + to->len, from->bytes + skip, n);
	to->len += n;
	memmove(from->bytes, from->bytes + len, from->len - len);
	from->len -= len;
}

static void op_shorten(struct oracle *o)
{
	uint32_t n = o->len - below(o->len + 1) / (1 + below(60));

	mt_chain_shorten(&o->c, n);
	o->len = n;
}

static void op_drop(struct oracle *o)
{
	uint32_t n = below(o->len + 1) / (1 + below(8));

	mt_chain_drop(&o->c, n);
	memmove(o->bytes, o->bytes + n, o->len - n);
	o->len -= n;
}

static void op_truncate(struct oracle *o)
{
	uint32_t n = o->len - below(o->len + 1) / 8;

	mt_chain_truncate(&o->c, n);
	o->len = n;
}

static void op_move(struct oracle *from, struct oracle *to, bool forward)
{
	uint32_t n = below(from->len + 1), moved;

	if (to->len + n > MAX)
		return;
	if (forward) {
		CU_ASSERT_EQUAL(mt_chain_forward(&from->c, n, &to->c, &pools, &moved), 0);
		CU_ASSERT_EQUAL(moved, n);
	} else {
		CU_ASSERT_EQUAL(mt_chain_split(&from->c, n, &to->c, &pools), 0);
	}
	memcpy(to->bytes + to->len, from->bytes, n);
	to->len += n;
	memmove(from->bytes, from->bytes + n, from->len - n);
	from->len -= n;
}

/* Takes all of a chain, and adds it to another one or puts it back. */
static void op_take(struct oracle *from, struct oracle *to)
{
	struct mt_chain all = mt_chain_take(&from->c);

	CU_ASSERT_EQUAL(all.len, from->len);
	CU_ASSERT(!from->c.head && !from->c.tail && from->c.len == 0);
	CU_ASSERT(from->c.truesize == 0 && from->c.segs == 0);
	if (to->len + from->len > MAX) {
		mt_chain_concat(&from->c, &all);
		return;
	}
	mt_chain_concat(&to->c, &all);
	memcpy(to->bytes + to->len, from->bytes, from->len);
	to->len += from->len;
	from->len = 0;
}

static void op_splice(struct oracle *o)
{
	uint8_t ins[200];
	uint32_t off = below(o->len + 1), del = below(MT_MIN(o->len - off, 200u) + 1);
	uint32_t n = below(sizeof(ins));

	if (o->len + n > MAX)
		return;
	fill(ins, n);
	CU_ASSERT_EQUAL(mt_chain_splice(&o->c, off, del, ins, n, &pools), 0);
	memmove(o->bytes + off + n, o->bytes + off + del, o->len - off - del);
	memcpy(o->bytes + off, ins, n);
	o->len = o->len + n - del;
}

static void op_prefix(struct oracle *o)
{
	uint32_t want = 1 + below(MT_CHAIN_PREFIX_MAX);
	uint32_t n = MT_MIN(o->len, want);
	uint8_t *p;

	if (n == 0)
		return;
	p = mt_chain_own_prefix(&o->c, n, &pools);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	fill(o->bytes, n);
	memcpy(p, o->bytes, n);
}

/* A clone must keep its bytes whatever happens to the original afterwards. */
static void op_clone(struct oracle *o, struct oracle *copy)
{
	uint32_t n = below(o->len + 1);

	mt_chain_free(&copy->c);
	CU_ASSERT_EQUAL(mt_chain_clone(&o->c, n, &copy->c, &pools), 0);
	memcpy(copy->bytes, o->bytes, n);
	copy->len = n;
}

/* So must a copy; nothing in it is shared. */
static void op_copy(struct oracle *o, struct oracle *copy)
{
	uint32_t off = below(o->len + 1), n = below(o->len - off + 1);

	mt_chain_free(&copy->c);
	CU_ASSERT_EQUAL(mt_chain_copy(&o->c, off, n, &copy->c, &pools), 0);
	memcpy(copy->bytes, o->bytes + off, n);
	copy->len = n;
	for (const struct rte_mbuf *m = copy->c.head; m; m = mt_link(m)->next)
		CU_ASSERT_TRUE(mt_buf_writable(m));
}

static void op_reads(struct oracle *o)
{
	struct mt_cursor cur;
	uint8_t scratch[64];
	uint32_t pos = below(o->len + 1), n = 1 + below(sizeof(scratch));
	const uint8_t *p = mt_chain_peek(&o->c, pos, n, scratch);

	CU_ASSERT_EQUAL(p != NULL, pos + n <= o->len);
	if (p)
		CU_ASSERT_FATAL(memcmp(p, o->bytes + pos, n) == 0);
	mt_cursor_init(&cur, &o->c, pos);
	while (cur.pos < o->len) {
		uint64_t v;

		n = mt_cursor_run(&cur, &p);
		CU_ASSERT_FATAL(n > 0 && memcmp(p, o->bytes + cur.pos, n) == 0);
		if (mt_cursor_left(&cur) >= 8) {
			uint32_t at = cur.pos;

			CU_ASSERT_TRUE(mt_cursor_be64(&cur, &v));
			for (int i = 0; i < 8; i++)
				CU_ASSERT_EQUAL_FATAL(
					(uint8_t)(v >> (56 - 8 * i)), o->bytes[at + i]);
		}
		mt_cursor_skip(&cur, 1 + below(3000));
	}
}

static void test_random_ops(void)
{
	static struct oracle a, b, copy;

	mt_rand_seed(&rnd, 7);
	for (int i = 0; i < 20000; i++) {
		struct oracle *o = below(2) ? &a : &b, *other = o == &a ? &b : &a;

		switch (below(17)) {
		case 0:
		case 1:
			op_append_pkt(o);
			break;
		case 2:
			op_write(o);
			break;
		case 3:
			op_drop(o);
			break;
		case 4:
			op_truncate(o);
			break;
		case 5:
			op_move(o, other, false);
			break;
		case 6:
			op_move(o, other, true);
			break;
		case 7:
			op_splice(o);
			break;
		case 8:
			op_prefix(o);
			break;
		case 9:
			op_clone(o, &copy);
			break;
		case 10:
			op_copy(o, &copy);
			break;
		case 11:
			op_coalesce(o);
			break;
		case 12:
			op_reserve(o);
			break;
		case 13:
			op_shorten(o);
			break;
		case 14:
			op_move_head(o, other);
			break;
		case 15:
			op_take(o, other);
			break;
		default:
			op_reads(o);
			if (below(4) == 0)
				mt_chain_compact(&o->c, &pools);
			break;
		}
		check(&a);
		check(&b);
		check(&copy);
	}
	mt_chain_free(&a.c);
	mt_chain_free(&b.c);
	mt_chain_free(&copy.c);
	check_pools_full();
	CU_ASSERT(sums_seen > 10000);
}

/* A cursor finds its place again when the chain in front of it was compacted and has grown. */
static void test_cursor_resync(void)
{
	struct mt_chain c = {0};
	struct mt_cursor cur;
	uint8_t v;

	for (int i = 0; i < 100; i++) {
		struct rte_mbuf *m = mt_buf_data(&pools);

		*rte_pktmbuf_append(m, 1) = (char)i;
		mt_chain_append(&c, m, m->data_off, 1);
	}
	mt_cursor_init(&cur, &c, 0);
	for (int i = 0; i < 50; i++)
		CU_ASSERT_TRUE(mt_cursor_u8(&cur, &v) && v == i);
	CU_ASSERT_EQUAL(mt_chain_compact(&c, &pools), 99);
	CU_ASSERT_EQUAL(mt_chain_write(&c, &pools, "\x64", 1), 0);
	for (int i = 50; i <= 100; i++)
		CU_ASSERT_TRUE(mt_cursor_u8(&cur, &v) && v == i);
	CU_ASSERT_FALSE(mt_cursor_u8(&cur, &v));
	mt_chain_free(&c);
	check_pools_full();
}

static void free_segment(struct rte_mbuf *m, uint32_t len, enum mt_buf_outcome how, uint64_t before)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->pkt_len, len);
	CU_ASSERT_EQUAL(pools.counters[how], before + 1);
	mt_buf_free(m);
}

/* How payload travels: every row of the table. */
static void test_segments(void)
{
	static uint8_t bytes[4000];
	struct mt_chain c = {0};
	uint64_t *n = pools.counters;
	struct rte_mbuf *m;

	CU_ASSERT_EQUAL(mt_chain_write(&c, &pools, bytes, 500), 0);
	m = mt_buf_segment(&pools, c.head, 0, 500, 66, true);
	CU_ASSERT_PTR_EQUAL(m, c.head);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 2);
	/* While the port holds it, it is neither written nor sent in place again. */
	CU_ASSERT_EQUAL(mt_chain_write(&c, &pools, bytes, 1), 0);
	CU_ASSERT_EQUAL(c.segs, 2);
	free_segment(mt_buf_segment(&pools, c.head, 0, 500, 66, true), 500, MT_BUF_sent_copied,
		n[MT_BUF_sent_copied]);
	mt_buf_free(m);
	mt_chain_free(&c);
	/* A long part of an mbuf: header and clone, or a copy where the port can't send chains. */
	CU_ASSERT_EQUAL(mt_chain_write(&c, &pools, bytes, 2000), 0);
	m = mt_buf_segment(&pools, c.head, 100, 1448, 66, true);
	CU_ASSERT_EQUAL(m->nb_segs, 2);
	free_segment(m, 1448, MT_BUF_sent_cloned, n[MT_BUF_sent_cloned] - 1);
	m = mt_buf_segment(&pools, c.head, 100, 1448, 66, false);
	CU_ASSERT_EQUAL(m->nb_segs, 1);
	free_segment(m, 1448, MT_BUF_sent_copied, n[MT_BUF_sent_copied] - 1);
	mt_chain_free(&c);
	check_pools_full();
}

/* With the pool empty every call says so and changes nothing. */
static void test_no_memory(void)
{
	static struct rte_mbuf *taken[8192];
	struct oracle o = {0}, to = {0};
	uint32_t n = 0, moved;

	op_write(&o);
	op_append_pkt(&o);
	while ((taken[n] = mt_buf_data(&pools)))
		n++;
	CU_ASSERT_EQUAL(mt_chain_write(&o.c, &pools, o.bytes, 5000), -12);
	check(&o);
	CU_ASSERT_EQUAL(mt_chain_reserve(&o.c, &pools, 5000), -12);
	check(&o);
	mt_buf_free(taken[--n]); /* one is not enough, and comes back */
	CU_ASSERT_EQUAL(mt_chain_reserve(&o.c, &pools, 5000), -12);
	check(&o);
	taken[n++] = mt_buf_data(&pools);
	CU_ASSERT_EQUAL(mt_chain_splice(&o.c, 1, 1, "abc", 3, &pools), -12);
	check(&o);
	CU_ASSERT_EQUAL(mt_chain_split(&o.c, 1, &to.c, &pools), -12);
	CU_ASSERT_EQUAL(mt_chain_forward(&o.c, 1, &to.c, &pools, &moved), -12);
	CU_ASSERT_EQUAL(moved, 0);
	check(&o);
	CU_ASSERT_PTR_NULL(mt_buf_segment(&pools, o.c.head, 0, 1, 5000, true));
	while (n > 0)
		mt_buf_free(taken[--n]);
	mt_chain_free(&o.c);
	mt_chain_free(&to.c);
	check_pools_full();
}

static const struct mt_test tests[] = {
	{"random operations", test_random_ops},
	{"cursor resync", test_cursor_resync},
	{"segments", test_segments},
	{"no memory", test_no_memory},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"buf", tests}, {"ledger", ledger_tests}, {0}};
	char *eal[] = {"unit", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	int rc;

	if (eal_init_unpinned(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "t", 4095, 4095, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	mt_pools_sample(&pools);
	data_full = pools.data_free;
	ctrl_full = pools.ctrl_free;
	rc = mt_test_main(suites, argc, argv);
	outcomes_seen(&mt_buf_outcomes, pools.counters);
	mt_pools_fini(&pools);
	return rc;
}
