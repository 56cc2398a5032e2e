/* SPDX-License-Identifier: Apache-2.0 */
/* Records of any length between two threads, and objects that they point to. */
#include "mt_byte_ring.h"

#include "mt_rand.h"

#include "suites.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define SIZE 4096u

static struct mt_byte_ring ring;
static uint64_t memory[SIZE / 8];

static void begin(void)
{
	mt_byte_ring_init(&ring, memory, SIZE);
}

static bool put(const char *text)
{
	char *to = mt_byte_ring_reserve(&ring, (uint32_t)strlen(text));

	if (to)
		memcpy(to, text, strlen(text));
	return to != NULL;
}

static bool next_is(const char *text)
{
	uint32_t len;
	const char *got = mt_byte_ring_peek(&ring, &len);
	bool same = got && len == strlen(text) && memcmp(got, text, len) == 0;

	if (got)
		mt_byte_ring_pop(&ring);
	return same;
}

static bool empty(void)
{
	uint32_t len;

	return !mt_byte_ring_peek(&ring, &len);
}

static void test_order(void)
{
	begin();
	CU_ASSERT_TRUE(put("one") && put("twelve bytes") && put(""));
	CU_ASSERT_TRUE(empty());
	mt_byte_ring_publish(&ring);
	CU_ASSERT_TRUE(next_is("one"));
	CU_ASSERT_TRUE(put("later"));
	CU_ASSERT_TRUE(next_is("twelve bytes") && next_is(""));
	CU_ASSERT_TRUE(empty());
	mt_byte_ring_publish(&ring);
	CU_ASSERT_TRUE(next_is("later"));
	CU_ASSERT_EQUAL(mt_byte_ring_used(&ring), 0);
	CU_ASSERT_EQUAL(ring.lost, 0);
}

/* The newest record is dropped and counted, also one that no ring could keep. */
static void test_full(void)
{
	char text[1001];

	begin();
	memset(text, 'x', 1000);
	text[1000] = '\0';
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(put(text));
	CU_ASSERT_FALSE(put(text));
	CU_ASSERT_TRUE(put("short"));
	CU_ASSERT_PTR_NULL(mt_byte_ring_reserve(&ring, SIZE));
	CU_ASSERT_PTR_NULL(mt_byte_ring_reserve(&ring, UINT32_MAX));
	CU_ASSERT_EQUAL(ring.lost, 3);
	mt_byte_ring_publish(&ring);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(next_is(text));
	CU_ASSERT_TRUE(next_is("short") && empty());
	/* The longest record of all needs an empty ring and its beginning. */
	begin();
	CU_ASSERT_PTR_NOT_NULL(mt_byte_ring_reserve(&ring, SIZE - 8));
	CU_ASSERT_PTR_NULL(mt_byte_ring_reserve(&ring, 0));
}

static void test_trim(void)
{
	char *record;

	begin();
	CU_ASSERT_TRUE(put("kept"));
	record = mt_byte_ring_reserve(&ring, 500);
	CU_ASSERT_PTR_NOT_NULL_FATAL(record);
	memcpy(record, "shorter", 7);
	mt_byte_ring_trim(&ring, record, 7);
	mt_byte_ring_trim(&ring, mt_byte_ring_reserve(&ring, 300), 0);
	CU_ASSERT_TRUE(put("last"));
	CU_ASSERT_EQUAL(mt_byte_ring_position(&ring), 3 * 16);
	mt_byte_ring_publish(&ring);
	CU_ASSERT_TRUE(next_is("kept") && next_is("shorter") && next_is("last") && empty());
}

/* A position is passed when the reader has popped what was written before, and not when it could. */
static void test_passed(void)
{
	uint64_t first, second;

	begin();
	CU_ASSERT_TRUE(mt_byte_ring_passed(&ring, mt_byte_ring_position(&ring)));
	CU_ASSERT_TRUE(put("first"));
	first = mt_byte_ring_position(&ring);
	CU_ASSERT_FALSE(mt_byte_ring_passed(&ring, first));
	CU_ASSERT_TRUE(put("second"));
	second = mt_byte_ring_position(&ring);
	mt_byte_ring_publish(&ring);
	CU_ASSERT_FALSE(mt_byte_ring_passed(&ring, first));
	CU_ASSERT_TRUE(next_is("first"));
	CU_ASSERT_TRUE(mt_byte_ring_passed(&ring, first));
	CU_ASSERT_FALSE(mt_byte_ring_passed(&ring, second));
	CU_ASSERT_TRUE(next_is("second"));
	CU_ASSERT_TRUE(mt_byte_ring_passed(&ring, second));
}

/* A reader may look ahead, for example to write many records at once. */
static void test_look_ahead(void)
{
	uint64_t where;
	uint32_t len;

	begin();
	for (uint32_t round = 0; round < 1000; round++) {
		CU_ASSERT_TRUE(put("a") && put("bb"));
		mt_byte_ring_trim(&ring, mt_byte_ring_reserve(&ring, round % 700), 0);
		CU_ASSERT_TRUE(put("ccc"));
		mt_byte_ring_publish(&ring);
		where = mt_byte_ring_tail(&ring);
		for (uint32_t i = 1; i <= 3; i++) {
			CU_ASSERT_PTR_NOT_NULL(mt_byte_ring_next(&ring, &where, &len));
			CU_ASSERT_EQUAL(len, i);
		}
		CU_ASSERT_PTR_NULL(mt_byte_ring_next(&ring, &where, &len));
		CU_ASSERT_TRUE(next_is("a") && next_is("bb") && next_is("ccc") && empty());
	}
}

/* ---- two threads ---------------------------------------------------------------------------- */

#define RECORDS 20000
#define OBJECTS 64

/* An object of a snapshot, which records point to. */
struct object {
	uint32_t value;
};

struct message {
	uint32_t number, len; /* of the bytes that follow */
	const struct object *object;
};

static uint32_t n_read, n_torn;
static bool ended;

static uint8_t byte_of(uint32_t number, uint32_t i)
{
	return (uint8_t)(number * 7 + i);
}

/* Reads slowly at times, so that the ring is full now and then. */
static void *reader(void *arg)
{
	const struct message *m;
	struct mt_rand rnd;
	uint32_t len;
	bool last;

	mt_rand_seed(&rnd, 2);
	do {
		last = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
		while ((m = mt_byte_ring_peek(&ring, &len)) != NULL) {
			const uint8_t *bytes = (const uint8_t *)(m + 1);

			n_torn += len != sizeof(*m) + m->len || m->object->value != 77;
			for (uint32_t i = 0; i < m->len; i++)
				n_torn += bytes[i] != byte_of(m->number, i);
			n_read++;
			mt_byte_ring_pop(&ring);
			if (mt_rand_below(&rnd, 200) == 0)
				sched_yield();
		}
	} while (!last);
	return arg;
}

static bool write_one(uint32_t number, uint32_t len, const struct object *object)
{
	struct message *m = mt_byte_ring_reserve(&ring, (uint32_t)sizeof(*m) + 500);
	uint8_t *bytes = (uint8_t *)(m + 1);

	if (!m)
		return false;
	*m = (struct message){number, len, object};
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = byte_of(number, i);
	mt_byte_ring_trim(&ring, m, (uint32_t)sizeof(*m) + len);
	return true;
}

/*
 * The writer replaces its object again and again, and frees an old one when the reader has passed
 * the position at which the last record with it ended. A sanitizer reports one that is freed early.
 */
static void test_threads(void)
{
	struct object *old[OBJECTS] = {NULL}, *now = NULL;
	uint64_t until[OBJECTS] = {0};
	uint32_t wrote = 0, lost = 0;
	struct mt_rand rnd;
	pthread_t thread;

	begin();
	n_read = n_torn = 0;
	ended = false;
	mt_rand_seed(&rnd, 1);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, NULL), 0);
	for (uint32_t i = 0; i < RECORDS; i++) {
		uint32_t place = i / 8 % OBJECTS;

		if (i % 8 == 0) {
			mt_byte_ring_publish(&ring);
			while (old[place] && !mt_byte_ring_passed(&ring, until[place]))
				sched_yield();
			free(old[place]);
			now = old[place] = malloc(sizeof(*now));
			CU_ASSERT_PTR_NOT_NULL_FATAL(now);
			now->value = 77;
		}
		if (write_one(i, mt_rand_below(&rnd, 400), now))
			wrote++;
		else
			lost++;
		until[place] = mt_byte_ring_position(&ring);
		if (mt_rand_below(&rnd, 3) == 0)
			mt_byte_ring_publish(&ring);
	}
	mt_byte_ring_publish(&ring);
	__atomic_store_n(&ended, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	for (uint32_t i = 0; i < OBJECTS; i++) {
		CU_ASSERT_TRUE(mt_byte_ring_passed(&ring, until[i]));
		free(old[i]);
	}
	CU_ASSERT_EQUAL(n_torn, 0);
	CU_ASSERT_EQUAL(n_read, wrote);
	CU_ASSERT_EQUAL(ring.lost, lost);
	CU_ASSERT_TRUE(wrote > OBJECTS);
}

const struct mt_test byte_ring_tests[] = {
	{"in order", test_order},
	{"full", test_full},
	{"trimmed", test_trim},
	{"passed", test_passed},
	{"looked ahead", test_look_ahead},
	{"none is torn or freed early", test_threads},
	{0},
};
