/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

/* 2026-01-02T03:04:05.678Z */
#define START (1767323045ull * MT_SEC + 678 * MT_MSEC)

static void set_end(
	struct mt_alog_record *r, enum mt_alog_end which, const char *addr, uint16_t port)
{
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(addr, &r->ends[which].addr), 0);
	r->ends[which].port = port;
}

void record_of_call(struct mt_alog_record *r)
{
	memset(r, 0, sizeof(*r));
	r->ending = MT_ENDING_ok;
	r->wall = START;
	mt_alog_set_point(r, MT_ALOG_STARTED, 1000 * MT_MSEC);
	mt_alog_set_point(r, MT_ALOG_DS_RX_BEG, 1000 * MT_MSEC);
	mt_alog_set_point(r, MT_ALOG_US_TX_END, 1000 * MT_MSEC + 500 * MT_USEC);
	mt_alog_set_point(r, MT_ALOG_US_RX_BEG, 1004 * MT_MSEC + 900 * MT_USEC);
	mt_alog_set_point(r, MT_ALOG_ENDED, 1005 * MT_MSEC + 100 * MT_USEC);
	mt_alog_set_number(r, MT_ALOG_BYTES_RECEIVED, 241);
	mt_alog_set_number(r, MT_ALOG_BYTES_SENT, 120);
	mt_alog_set_text(r, MT_ALOG_PROTOCOL, "dubbo");
	mt_alog_set_text(r, MT_ALOG_INTERFACE, "org.example.DemoService");
	mt_alog_set_text(r, MT_ALOG_METHOD, "sayHello");
	mt_alog_set_text(r, MT_ALOG_AUTHORITY, "org.example.demoservice");
	mt_alog_set_text(r, MT_ALOG_CLUSTER, "outbound|20880||org.example.demoservice");
	mt_alog_set_text(r, MT_ALOG_ROUTE, "canary");
	set_end(r, MT_ALOG_CLIENT, "192.0.2.2", 57632);
	set_end(r, MT_ALOG_DOWN_LOCAL, "240.240.1.1", 20880);
	set_end(r, MT_ALOG_UP_LOCAL, "198.51.100.1", 39221);
	set_end(r, MT_ALOG_ENDPOINT, "198.51.100.12", 20880);
}

struct mt_alog_format *compiled(const char *text, enum mt_alog_encoding encoding, bool omit_empty)
{
	struct mt_alog_spec spec = {text, text ? strlen(text) : 0, encoding, omit_empty};
	struct mt_alog_format *f;
	struct mt_err e = {""};

	f = mt_alog_compile(&spec, &e);
	if (!f)
		printf("\n%s: %s\n", text, e.text);
	return f;
}

const char *line_of(const char *text, enum mt_alog_encoding encoding, bool omit_empty,
	const struct mt_alog_record *r)
{
	struct mt_alog_format *f = compiled(text, encoding, omit_empty);
	static char text_of_line[MT_ALOG_LINE + 1];
	static struct mt_alog_line line;

	CU_ASSERT_PTR_NOT_NULL(f);
	if (!f)
		return "";
	mt_alog_render(f, r, r->wall + 2 * MT_SEC, &line);
	mt_alog_format_free(f);
	CU_ASSERT_TRUE_FATAL(line.len <= MT_ALOG_LINE);
	memcpy(text_of_line, line.text, line.len);
	text_of_line[line.len] = '\0';
	return text_of_line;
}

const char *shown(const char *text)
{
	struct mt_alog_record r;

	record_of_call(&r);
	return line_of(text, MT_ALOG_TEXT, false, &r);
}

const char *refused(const char *text, enum mt_alog_encoding encoding)
{
	struct mt_alog_spec spec = {text, strlen(text), encoding, false};
	static struct mt_err e;
	struct mt_alog_format *f;

	e.text[0] = '\0';
	f = mt_alog_compile(&spec, &e);
	mt_alog_format_free(f);
	CU_ASSERT_EQUAL(f != NULL, e.text[0] == '\0');
	return e.text;
}
