/* SPDX-License-Identifier: Apache-2.0 */
#include "spans.h"

static const struct mt_tracing_tag tags[] = {
	{{(const uint8_t *)"rpc.method", 10}, {(const uint8_t *)"sayHello", 8}},
	{{(const uint8_t *)"peer", 4}, {(const uint8_t *)"\xc3\xa4", 2}},
};

const struct mt_tracing_tag small_tags[MANY_TAGS] = {
	[0 ... MANY_TAGS - 1] = {{(const uint8_t *)"k", 1}, {(const uint8_t *)"v", 1}}};

void span_of_call(struct mt_tracing_span *s)
{
	*s = (struct mt_tracing_span){.kind = MT_TRACING_SERVER,
		.trace_len = MT_TRACE_ID,
		.has_parent = true,
		.is_parent_remote = true,
		.failed = true,
		.start = 1767323045678000000ull,
		.end = 1767323045683100000ull,
		.name = slice_of("org.example.DemoService/sayHello"),
		.state = slice_of("vendor=1"),
		.message = slice_of("upstream \"reset\""),
		.tags = tags,
		.n_tags = MT_ARRAY_LEN(tags),
		.local = {.service = slice_of("shop"), .addr = mt_addr4(0x010200c0), .port = 20880},
		.remote = {.addr = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}}, .port = 39221}};
	for (uint8_t i = 0; i < MT_TRACE_ID; i++)
		s->trace[i] = (uint8_t)(0xa0 + i);
	for (uint8_t i = 0; i < MT_SPAN_ID; i++) {
		s->id[i] = (uint8_t)(0x10 + i);
		s->parent[i] = (uint8_t)(0xf0 + i);
	}
}

void too_much(struct mt_tracing_span *s)
{
	static struct mt_tracing_tag many[MANY_TAGS];
	static char text[5000];
	const struct mt_slice all = {(const uint8_t *)text, sizeof(text)};

	memset(text, '"', sizeof(text));
	for (uint32_t i = 0; i < MANY_TAGS; i++)
		many[i] = (struct mt_tracing_tag){all, all};
	s->name = s->state = s->message = s->local.service = s->remote.service = all;
	s->tags = many;
	s->n_tags = MANY_TAGS;
}
