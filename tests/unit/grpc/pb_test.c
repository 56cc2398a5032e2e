/* SPDX-License-Identifier: Apache-2.0 */
/* Messages out of hostile bytes: depth, memory, nonsense. Texts of any bytes for messages. */
#include "mt_pb.h"
#include "mt_pb_text.h"
#include "mt_rand.h"
#include "suites.h"

#include "cluster.pb-c.h"
#include "common.pb-c.h"
#include "discovery.pb-c.h"

#include <string.h>

#define MB (1u << 20)

/* What unpacking says: NULL when there is a message. */
static const char *refusal(
	const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len, size_t limit)
{
	struct mt_pb_arena a;
	const char *why = NULL;

	mt_pb_arena_init(&a, limit);
	if (mt_pb_unpack(&a, type, data, len, &why))
		why = NULL;
	mt_pb_arena_fini(&a);
	return why;
}

/* Makes buf[*at .. end) the content of a field, whose head is put before it. */
static void wrap(uint8_t *buf, size_t *at, size_t end, uint8_t key)
{
	size_t n = end - *at;
	uint8_t len[10];
	size_t k = 0;

	do {
		len[k++] = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
		n >>= 7;
	} while (n);
	*at -= k;
	memcpy(buf + *at, len, k);
	buf[--*at] = key;
}

/* A google.protobuf.Value of `lists` lists, one in the other: two levels of messages each. */
static size_t nested_value(uint8_t *buf, size_t size, unsigned int lists)
{
	size_t at = size;

	for (unsigned int i = 0; i < lists; i++) {
		wrap(buf, &at, size, 1 << 3 | 2); /* ListValue.values */
		wrap(buf, &at, size, 6 << 3 | 2); /* Value.list_value */
	}
	memmove(buf, buf + at, size - at);
	return size - at;
}

static void depth(void)
{
	static uint8_t buf[64 << 10];
	size_t n = nested_value(buf, sizeof(buf), 31);

	/* 63 levels with the Value itself. */
	CU_ASSERT_PTR_NULL(refusal(&xds__value__descriptor, buf, n, MB));
	n = nested_value(buf, sizeof(buf), 32);
	CU_ASSERT_STRING_EQUAL(
		refusal(&xds__value__descriptor, buf, n, MB), "it is nested too deep");
	n = nested_value(buf, sizeof(buf), 8000);
	CU_ASSERT_STRING_EQUAL(
		refusal(&xds__value__descriptor, buf, n, MB), "it is nested too deep");
}

static void bytes_are_no_messages(void)
{
	static uint8_t buf[64 << 10];
	size_t n = nested_value(buf + 8, sizeof(buf) - 8, 8000), at = 8;

	wrap(buf, &at, 8 + n, 2 << 3 | 2); /* Any.value */
	CU_ASSERT_PTR_NULL(refusal(&xds__any__descriptor, buf + at, 8 + n - at, MB));
}

/* Two bytes an element become 100: ten thousand need a megabyte, and the arena says how much there is. */
static void memory(void)
{
	static uint8_t buf[20000];

	for (size_t i = 0; i < sizeof(buf); i += 2) {
		buf[i] = 2 << 3 | 2; /* ClusterLoadAssignment.endpoints */
		buf[i + 1] = 0;
	}
	CU_ASSERT_STRING_EQUAL(
		refusal(&xds__cluster_load_assignment__descriptor, buf, sizeof(buf), 100 << 10),
		"it needs too much memory");
	CU_ASSERT_PTR_NULL(
		refusal(&xds__cluster_load_assignment__descriptor, buf, sizeof(buf), 4 * MB));
}

static void round_trip(void)
{
	Xds__Cluster c = XDS__CLUSTER__INIT, *back;
	Xds__Duration timeout = XDS__DURATION__INIT;
	struct mt_pb_arena a;
	const char *why;
	uint8_t buf[256];
	size_t n;

	timeout.seconds = 3;
	c.name = (char *)"outbound|20880||a.x";
	c.cluster_discovery_type_case = XDS__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE;
	c.type = 3;
	c.connect_timeout = &timeout;
	n = xds__cluster__pack(&c, buf);
	/* A field that the message does not know, behind it: 1000, varint. */
	buf[n++] = 0xc0;
	buf[n++] = 0x3e;
	buf[n++] = 7;
	mt_pb_arena_init(&a, MB);
	back = mt_pb_unpack(&a, &xds__cluster__descriptor, buf, n, &why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(back);
	CU_ASSERT_STRING_EQUAL(back->name, c.name);
	CU_ASSERT_EQUAL(back->type, 3);
	CU_ASSERT_EQUAL(back->connect_timeout->seconds, 3);
	CU_ASSERT_PTR_NULL(back->load_assignment);
	mt_pb_arena_fini(&a);
}

/* A sound message with bytes changed, cut off and repeated: refused or read, never worse. */
static void nonsense(void)
{
	Xds__DiscoveryResponse r = XDS__DISCOVERY_RESPONSE__INIT;
	Xds__Any any = XDS__ANY__INIT, *all[8];
	uint8_t buf[512], bad[512];
	struct mt_rand rng;
	size_t n;
	int read = 0, refused = 0;

	mt_rand_seed(&rng, 5);
	any.type_url = (char *)"type.googleapis.com/envoy.config.cluster.v3.Cluster";
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		all[i] = &any;
	r.resources = all;
	r.n_resources = 4;
	r.nonce = (char *)"n";
	n = xds__discovery_response__pack(&r, buf);
	CU_ASSERT_FATAL(n <= sizeof(buf));
	for (int i = 0; i < 20000; i++) {
		size_t len = mt_rand_below(&rng, (uint32_t)n) + 1;

		memcpy(bad, buf, n);
		for (int k = 0; k < 3; k++)
			bad[mt_rand_below(&rng, (uint32_t)n)] = (uint8_t)mt_rand_u64(&rng);
		if (refusal(&xds__discovery_response__descriptor, bad, len, MB))
			refused++;
		else
			read++;
	}
	CU_ASSERT(read > 100 && refused > 100);
}

static void text_is(struct mt_pb_texts *t, const char *from, uint32_t len, uint32_t most,
	const char *want, uint32_t cut)
{
	uint32_t before = t->cut;
	const char *made = mt_pb_text(t, (struct mt_slice){(const uint8_t *)from, len}, most);

	CU_ASSERT_STRING_EQUAL(made, want);
	CU_ASSERT_EQUAL(t->cut - before, cut);
}

/* Any bytes become UTF-8, cut between characters. */
static void texts(void)
{
	char bytes[64];
	struct mt_pb_texts t = {.p = bytes, .size = sizeof(bytes)};

	text_is(&t, NULL, 0, 8, "", 0);
	text_is(&t, "abc", 3, 3, "abc", 0);
	text_is(&t, "abcd", 4, 3, "abc", 1);
	text_is(&t, "ab\xc3\xa4", 4, 3, "ab", 1);
	text_is(&t, "a\0\xff", 3, 8, "a\xef\xbf\xbd\xef\xbf\xbd", 0);
	text_is(&t, "a\0\xff", 3, 6, "a\xef\xbf\xbd", 1);
	CU_ASSERT_EQUAL(t.len, 4 + 4 + 3 + 8 + 5);
	t.size = t.len + 3;
	text_is(&t, "abc", 3, 8, "ab", 1);
	text_is(&t, "abc", 3, 8, "", 1);
	text_is(&t, "", 0, 8, "", 0);
}

/* A message as a field: tag, length, bytes. */
static void field(void)
{
	Xds__DiscoveryRequest m = XDS__DISCOVERY_REQUEST__INIT;
	char type[201];
	uint8_t to[256];
	uint32_t n;

	memset(type, 'x', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';
	m.type_url = type;
	n = mt_pb_field(&m.base, 0x12, to, sizeof(to));
	CU_ASSERT_EQUAL(n, 1 + 2 + 203);
	CU_ASSERT(to[0] == 0x12 && to[1] == (203 & 0x7f) + 0x80 && to[2] == 203 >> 7);
	CU_ASSERT_EQUAL(xds__discovery_request__get_packed_size(&m), 203);
}

const struct mt_test pb_tests[] = {
	{"depth", depth},
	{"bytes_are_no_messages", bytes_are_no_messages},
	{"memory", memory},
	{"round_trip", round_trip},
	{"nonsense", nonsense},
	{"texts", texts},
	{"field", field},
	{0},
};
