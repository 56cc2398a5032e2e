/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "mt_steer.h"
#include "mt_test.h"

#include <errno.h>

static struct mt_tuple tuple(const char *local, uint16_t lport, const char *remote, uint16_t rport)
{
	struct mt_tuple t = {.lport = lport, .rport = rport};

	CU_ASSERT_EQUAL(mt_addr_parse(local, &t.local), 0);
	CU_ASSERT_EQUAL(mt_addr_parse(remote, &t.remote), 0);
	return t;
}

/* The vectors that the RSS specification publishes for this key (source, destination, hash). */
static void published_vectors(void)
{
	static const struct {
		const char *src;
		uint16_t sport;
		const char *dst;
		uint16_t dport;
		uint32_t hash;
	} rows[] = {
		{"66.9.149.187", 2794, "161.142.100.80", 1766, 0x51ccc178},
		{"199.92.111.2", 14230, "65.69.140.83", 4739, 0xc626b0ea},
		{"24.19.198.95", 12898, "12.22.207.184", 38024, 0x5c2b394a},
		{"38.27.205.30", 48228, "209.142.163.6", 2217, 0xafc7327f},
		{"153.39.163.191", 44251, "202.188.127.2", 1303, 0x10e828a2},
		{"3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x40207d3d},
		{"3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0xdde51bbf},
		{"3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024,
			0x02d1feef},
	};
	struct mt_steer s;

	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 2, 64), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_tuple t = tuple(rows[i].dst, rows[i].dport, rows[i].src, rows[i].sport);

		CU_ASSERT_EQUAL(mt_steer_hash(&s, &t), rows[i].hash);
	}
	mt_steer_fini(&s);
}

static void init_limits(void)
{
	struct mt_steer s;

	CU_ASSERT_EQUAL(mt_steer_init(&s, 0, 64), -EINVAL);
	CU_ASSERT_EQUAL(mt_steer_init(&s, 65, 64), -EINVAL);
	CU_ASSERT_EQUAL(mt_steer_init(&s, 2, 63), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 64, 64), 0);
	CU_ASSERT_PTR_NULL(s.rings[5][5]);
	CU_ASSERT_PTR_NOT_NULL(s.rings[5][63]);
	CU_ASSERT_EQUAL(mt_steer_set_key(&s, s.key, 39), -EINVAL);
	mt_steer_fini(&s);
}

/* Every worker owns its share of random tuples, within a factor of two. */
static void spread(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 7);
	for (uint16_t workers = 1; workers <= 8; workers++) {
		uint32_t count[8] = {0};
		struct mt_steer s;

		CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, workers, 64), 0);
		for (int i = 0; i < 8000; i++) {
			struct mt_tuple t = tuple("10.0.0.1", 80, "10.9.0.1", 0);

			t.remote.w[3] = (uint32_t)mt_rand_u64(&r);
			t.rport = (uint16_t)mt_rand_u64(&r);
			count[mt_steer_owner(&s, &t)]++;
		}
		for (uint16_t w = 0; w < workers; w++) {
			CU_ASSERT(count[w] * workers > 4000);
			CU_ASSERT(count[w] * workers < 16000);
		}
		mt_steer_fini(&s);
	}
}

struct used {
	uint8_t port[65536];
};

static bool is_taken(void *arg, const struct mt_tuple *t)
{
	return ((struct used *)arg)->port[t->lport];
}

/* Every chosen port is in range, free, and lands on the worker that asked. */
static void source_ports(const char *local, const char *remote)
{
	static struct used used;
	struct mt_rand r;

	mt_rand_seed(&r, 11);
	for (uint16_t workers = 1; workers <= 8; workers++) {
		struct mt_steer s;

		memset(&used, 0, sizeof(used));
		CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, workers, 64), 0);
		for (int i = 0; i < 4000; i++) {
			uint16_t w = (uint16_t)mt_rand_below(&r, workers);
			struct mt_tuple t = tuple(local, 0, remote, 8080);
			int rc;

			t.lport = (uint16_t)(20000 + mt_rand_below(&r, 41000));
			rc = mt_steer_source_port(&s, w, &t, 20000, 60999, is_taken, &used);
			CU_ASSERT_EQUAL_FATAL(rc, 0);
			CU_ASSERT_FATAL(t.lport >= 20000 && t.lport <= 60999);
			CU_ASSERT_EQUAL_FATAL(mt_steer_owner(&s, &t), w);
			CU_ASSERT_FALSE_FATAL(used.port[t.lport]);
			used.port[t.lport] = 1;
		}
		mt_steer_fini(&s);
	}
}

static void source_ports4(void)
{
	source_ports("192.0.2.1", "198.51.100.7");
}

static void source_ports6(void)
{
	source_ports("2001:db8::1", "2001:db8:9::77");
}

static bool all_taken(void *arg, const struct mt_tuple *t)
{
	(void)t;
	++*(uint32_t *)arg;
	return true;
}

static void exhaustion_is_bounded(void)
{
	struct mt_tuple t = tuple("192.0.2.1", 30000, "198.51.100.7", 80), before = t;
	uint32_t asked = 0;
	struct mt_steer s;

	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 4, 64), 0);
	CU_ASSERT_EQUAL(
		mt_steer_source_port(&s, 1, &t, 20000, 60999, all_taken, &asked), -EADDRNOTAVAIL);
	CU_ASSERT(asked > 0 && asked <= MT_STEER_PROBES * 4);
	CU_ASSERT(mt_tuple_eq(&t, &before));
	CU_ASSERT_EQUAL(mt_steer_source_port(&s, 1, &t, 2, 1, NULL, NULL), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(mt_steer_source_port(&s, 4, &t, 1, 2, NULL, NULL), -EADDRNOTAVAIL);
	mt_steer_fini(&s);
}

/* Wraps at the end of the range, and finds the only free port of a range of one. */
static void range_edges(void)
{
	struct mt_tuple t = tuple("192.0.2.1", 65535, "198.51.100.7", 80);
	static struct used used;
	struct mt_steer s;

	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 1, 64), 0);
	used.port[65535] = 1;
	CU_ASSERT_EQUAL(mt_steer_source_port(&s, 0, &t, 65000, 65535, is_taken, &used), 0);
	CU_ASSERT_EQUAL(t.lport, 65000);
	t.lport = 5;
	CU_ASSERT_EQUAL(mt_steer_source_port(&s, 0, &t, 100, 200, NULL, NULL), 0);
	CU_ASSERT_EQUAL(t.lport, 100);
	t.lport = 9;
	CU_ASSERT_EQUAL(mt_steer_source_port(&s, 0, &t, 9, 9, NULL, NULL), 0);
	CU_ASSERT_EQUAL(t.lport, 9);
	mt_steer_fini(&s);
}

static void handoff(void)
{
	struct rte_mbuf fake[8], *in[8], *out[8];
	struct mt_steer s;
	uint16_t next = 0;

	memset(fake, 0, sizeof(fake));
	for (int i = 0; i < 8; i++)
		in[i] = &fake[i];
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 3, 4), 0);
	/* A ring of 4 holds 3: the caller keeps what did not fit. */
	CU_ASSERT_EQUAL(mt_steer_push(&s, 0, 2, in, 5), 3);
	CU_ASSERT_EQUAL(mt_steer_push(&s, 1, 2, &in[5], 2), 2);
	CU_ASSERT_EQUAL(mt_steer_pop(&s, 1, &next, out, 8), 0);
	CU_ASSERT_EQUAL(mt_steer_pop(&s, 2, &next, out, 8), 5);
	CU_ASSERT_PTR_EQUAL(out[0], in[0]);
	CU_ASSERT_PTR_EQUAL(out[3], in[5]);
	/* With room for one at a time the two senders take turns. */
	CU_ASSERT_EQUAL(mt_steer_push(&s, 0, 2, in, 2), 2);
	CU_ASSERT_EQUAL(mt_steer_push(&s, 1, 2, &in[4], 2), 2);
	next = 0;
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(mt_steer_pop(&s, 2, &next, &out[i], 1), 1);
	CU_ASSERT_PTR_EQUAL(out[0], in[0]);
	CU_ASSERT_PTR_EQUAL(out[1], in[4]);
	CU_ASSERT_PTR_EQUAL(out[2], in[1]);
	CU_ASSERT_PTR_EQUAL(out[3], in[5]);
	mt_steer_fini(&s);
}

/* The software distributor agrees with itself; what is broken is found. */
static void self_test(void)
{
	struct mt_steer s;
	struct mt_err e;

	for (uint16_t workers = 1; workers <= 8; workers++) {
		CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, workers, 64), 0);
		CU_ASSERT_EQUAL(mt_steer_check(&s, &e), 0);
		mt_steer_fini(&s);
	}
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 3, 64), 0);
	s.reta[77] = 3;
	CU_ASSERT_EQUAL(mt_steer_check(&s, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "entry 77"));
	s.reta[77] = 2;
	CU_ASSERT_EQUAL(mt_steer_check(&s, &e), 0);
	s.port6.lo[3] ^= 5;
	for (uint32_t i = 0; i < 256; i++)
		s.port4.hi[i] ^= 1;
	CU_ASSERT_EQUAL(mt_steer_check(&s, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "source ports"));
	mt_steer_fini(&s);
}

/* A device's key and table, as read back: right ones pass in every length, wrong ones are refused. */
static void device_self_test(void)
{
	static const struct {
		uint16_t reta_len, key_len, flip, other;
		bool ok;
	} rows[] = {
		{128, 40, 0, 0, true},
		{512, 52, 0, 0, true},
		{64, 40, 0, 0, false}, /* hash % 64 leads elsewhere with three workers */
		{128, 40, 3, 0, false},
		{128, 40, 39, 0, false}, /* the last byte reaches only IPv6 */
		{128, 40, 0, 9, false},
		{128, 39, 0, 0, false},
		{0, 40, 0, 0, false},
	};
	struct mt_steer s;

	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 3, 64), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint8_t key[MT_STEER_KEY_LEN] __attribute__((aligned(4)));
		uint16_t reta[512];
		struct mt_steer_device d = {key, rows[i].key_len, reta, rows[i].reta_len};
		struct mt_err e;

		memcpy(key, s.key, sizeof(key));
		key[rows[i].flip] ^= rows[i].flip ? 0x81 : 0;
		for (uint32_t k = 0; k < 512; k++)
			reta[k] = s.reta[k % MT_STEER_RETA_LEN];
		if (rows[i].other)
			for (uint32_t k = 0; k < 512; k += rows[i].other)
				reta[k] = (uint16_t)((reta[k] + 1) % 3);
		CU_ASSERT_EQUAL(mt_steer_check_device(&s, &d, "p0", &e), rows[i].ok ? 0 : -EINVAL);
		CU_ASSERT(rows[i].ok || strstr(e.text, "port p0: its RSS"));
	}
	mt_steer_fini(&s);
}

/* Of three workers 0 and 2 distribute; worker 1 has no queues that hold packets of others. */
static void distributors_that_stand_still(void)
{
	struct mt_steer s;

	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&s, 3, 64), 0);
	CU_ASSERT_TRUE(mt_steer_is_fed(&s, 1, UINT64_MAX / 4));
	mt_steer_looked(&s, 0, 100);
	mt_steer_looked(&s, 2, 200);
	CU_ASSERT_TRUE(mt_steer_is_fed(&s, 1, 100));
	CU_ASSERT_FALSE(mt_steer_is_fed(&s, 1, 101));
	CU_ASSERT_TRUE(mt_steer_is_fed(&s, 0, 200));
	CU_ASSERT_FALSE(mt_steer_is_fed(&s, 0, 201));
	CU_ASSERT_TRUE(mt_steer_is_fed(&s, 2, 100));
	CU_ASSERT_FALSE(mt_steer_is_fed(&s, 2, 101));
	/* a time before the clock's start */
	CU_ASSERT_TRUE(mt_steer_is_fed(&s, 1, 100 - UINT64_C(1000)));
	mt_steer_fini(&s);
}

static const struct mt_test steer_tests[] = {
	{"published_vectors", published_vectors},
	{"init_limits", init_limits},
	{"spread", spread},
	{"source_ports4", source_ports4},
	{"source_ports6", source_ports6},
	{"exhaustion_is_bounded", exhaustion_is_bounded},
	{"range_edges", range_edges},
	{"handoff", handoff},
	{"self_test", self_test},
	{"device_self_test", device_self_test},
	{"distributors_that_stand_still", distributors_that_stand_still},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"steer", steer_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
