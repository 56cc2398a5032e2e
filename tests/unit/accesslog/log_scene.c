/* SPDX-License-Identifier: Apache-2.0 */
#include "log_scene.h"

#include "sinks.h"
#include "suites.h"

#include <unistd.h>

struct mt_alog *log_new(uint32_t workers)
{
	struct mt_err e = {""};
	struct mt_alog *l = mt_alog_new(workers, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	return l;
}

struct mt_alog_want wants(const char *name, const char *format)
{
	return (struct mt_alog_want){"MeshConfig: accessLogFile",
		{(char *)(uintptr_t)sinks_directory(), (char *)(uintptr_t)name, 0},
		{format, format ? strlen(format) : 0, MT_ALOG_TEXT, false}, 0, true, true, NULL,
		NULL, {0, false}};
}

struct mt_alog_want wants_descriptor(int fd, const char *format)
{
	return (struct mt_alog_want){"MeshConfig: accessLogFile", {NULL, NULL, fd},
		{format, strlen(format), MT_ALOG_TEXT, false}, 0, true, true, NULL, NULL,
		{0, false}};
}

void log_set(struct mt_alog *l, const struct mt_alog_want *w, uint32_t n)
{
	struct mt_err e = {""};

	CU_ASSERT_EQUAL(mt_alog_set(l, w, n, &e), 0);
	CU_ASSERT_STRING_EQUAL(e.text, "");
}

void log_end(struct mt_alog *l)
{
	mt_alog_stop(l, MT_ALOG_STOP);
	mt_alog_free(l);
}

struct mt_alog_output_stats log_counted(const struct mt_alog *l, uint32_t i)
{
	struct mt_alog_output_stats st;

	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, i, &st));
	return st;
}

bool log_wrote(const struct mt_alog *l, uint32_t i, uint64_t n)
{
	for (uint32_t ms = 0; ms < 10000; ms++) {
		struct mt_alog_output_stats st = log_counted(l, i);

		if (st.sink.written >= n)
			return st.sink.written == n;
		usleep(1000);
	}
	return false;
}

bool log_add(struct mt_byte_ring *r, uint32_t number)
{
	char method[64];
	uint16_t n =
		(uint16_t)snprintf(method, sizeof(method), "line %010u ...............", number);
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, n, 0, 0));

	if (!e)
		return false;
	memset(e, 0, sizeof(*e));
	e->interface_len = MT_ALOG_NO_TEXT;
	e->method_len = n;
	memcpy(e->texts, method, n);
	return true;
}

uint32_t log_add_all(struct mt_byte_ring *r, uint32_t first, uint32_t n)
{
	uint32_t added = 0;

	for (uint32_t i = first; i < first + n; i++)
		added += log_add(r, i);
	mt_byte_ring_publish(r);
	return added;
}

struct mt_alog_entry *log_reserve(struct mt_byte_ring *r)
{
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, MT_ALOG_NO_TEXT, 0, 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	return e;
}
