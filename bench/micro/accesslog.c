/* SPDX-License-Identifier: Apache-2.0 */
/* A line of an access log, as the thread that renders makes it from the record of a Dubbo call. */
#include "ops.h"

#include "mt_alog_format.h"

#define START (1767323045ull * MT_SEC)

static struct mt_alog_line line;

static void fill(struct mt_alog_record *r)
{
	static const char *const ends[MT_ALOG_ENDS] = {[MT_ALOG_CLIENT] = "192.0.2.2",
		[MT_ALOG_CLIENT_DIRECT] = "192.0.2.2",
		[MT_ALOG_DOWN_LOCAL] = "240.240.1.1",
		[MT_ALOG_UP_LOCAL] = "198.51.100.1",
		[MT_ALOG_ENDPOINT] = "198.51.100.12"};

	mt_alog_set_point(r, MT_ALOG_STARTED, 0);
	mt_alog_set_point(r, MT_ALOG_US_TX_END, MT_MSEC);
	mt_alog_set_point(r, MT_ALOG_US_RX_BEG, 5 * MT_MSEC);
	mt_alog_set_point(r, MT_ALOG_ENDED, 6 * MT_MSEC);
	mt_alog_set_number(r, MT_ALOG_BYTES_RECEIVED, 241);
	mt_alog_set_number(r, MT_ALOG_BYTES_SENT, 120);
	mt_alog_set_text(r, MT_ALOG_PROTOCOL, "dubbo");
	mt_alog_set_text(r, MT_ALOG_INTERFACE, "org.example.DemoService");
	mt_alog_set_text(r, MT_ALOG_METHOD, "sayHello");
	mt_alog_set_text(r, MT_ALOG_AUTHORITY, "org.example.demoservice");
	mt_alog_set_text(r, MT_ALOG_CLUSTER, "outbound|20880||org.example.demoservice");
	mt_alog_set_text(r, MT_ALOG_ROUTE, "canary");
	for (uint32_t i = 0; i < MT_ALOG_ENDS; i++) {
		MT_ASSERT(mt_addr_parse(ends[i], &r->ends[i].addr) == 0);
		r->ends[i].port = (uint16_t)(20880 + i);
	}
}

static OPS_MEASURED void op_accesslog_text(struct mt_alog_format *f, const struct mt_alog_record *r)
{
	mt_alog_render(f, r, r->wall, &line);
}

static OPS_MEASURED void op_accesslog_json(struct mt_alog_format *f, const struct mt_alog_record *r)
{
	mt_alog_render(f, r, r->wall, &line);
}

static uint32_t run(enum mt_alog_encoding encoding,
	void (*op)(struct mt_alog_format *f, const struct mt_alog_record *r))
{
	const struct mt_alog_spec spec = {.encoding = encoding};
	struct mt_alog_record r = {0};
	struct mt_alog_format *f;
	struct mt_err e;

	f = mt_alog_compile(&spec, &e);
	MT_ASSERT(f);
	fill(&r);
	for (uint64_t i = 0; i < OPS_ROUNDS; i++) {
		r.wall = START + i * MT_MSEC;
		op(f, &r);
		MT_ASSERT(line.len > 250 && !line.cut);
	}
	mt_alog_format_free(f);
	return OPS_ROUNDS;
}

uint32_t ops_accesslog_text(struct mt_pools *p)
{
	return run(MT_ALOG_TEXT, op_accesslog_text);
}

uint32_t ops_accesslog_json(struct mt_pools *p)
{
	return run(MT_ALOG_JSON, op_accesslog_json);
}
