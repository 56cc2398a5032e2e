/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks.h"

#include "mt_file.h"
#include "mt_test.h"

#include <ftw.h>
#include <unistd.h>

static char directory[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	return remove(path);
}

static void remove_directory(void)
{
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *sinks_directory(void)
{
	if (!directory[0]) {
		strcpy(directory, "/tmp/mt_accesslog_XXXXXX");
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
		atexit(remove_directory);
	}
	return directory;
}

const char *sinks_path(const char *name)
{
	static char path[4][160];
	static uint32_t i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", sinks_directory(), name);
	return path[i];
}

static struct mt_alog_sink *start(struct mt_alog_place *place)
{
	struct mt_err e = {""};
	struct mt_alog_sink *s = mt_alog_sink_new(place, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	return s;
}

struct mt_alog_sink *sinks_file(const char *path_below)
{
	struct mt_alog_place place = {strdup(sinks_directory()), strdup(path_below), 0};

	return start(&place);
}

struct mt_alog_sink *sinks_descriptor(int fd)
{
	struct mt_alog_place place = {NULL, NULL, fd};

	return start(&place);
}

uint32_t sinks_put(struct mt_alog_sink *s, uint32_t first, uint32_t n)
{
	uint32_t accepted = 0;
	char line[64];

	for (uint32_t i = first; i < first + n; i++) {
		snprintf(line, sizeof(line), "line %010u ...............\n", i);
		accepted += mt_alog_sink_put(s, line, LINE_LEN);
	}
	mt_alog_sink_flush(s);
	return accepted;
}

#define WAIT_MS 10000

bool sinks_wrote(struct mt_alog_sink *s, uint64_t written)
{
	struct mt_alog_sink_stats st;

	for (int i = 0; i < WAIT_MS; i++) {
		mt_alog_sink_stats(s, &st);
		if (st.written >= written)
			return st.written == written;
		usleep(1000);
	}
	return false;
}

bool sinks_became(struct mt_alog_sink *s, enum mt_alog_state state)
{
	struct mt_alog_sink_stats st;

	for (int i = 0; i < WAIT_MS; i++) {
		mt_alog_sink_stats(s, &st);
		if (st.state == state)
			return true;
		usleep(1000);
	}
	return false;
}

uint64_t sinks_lost(const struct mt_alog_sink_stats *st)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		n += st->lost[i];
	return n;
}

void sinks_end(struct mt_alog_sink *s, uint64_t ns, struct mt_alog_sink_stats *last)
{
	struct mt_alog_sink_stats own;

	last = last ? last : &own;
	mt_alog_sink_stop(s, ns);
	CU_ASSERT_TRUE(mt_alog_sink_join(s));
	mt_alog_sink_stats(s, last);
	CU_ASSERT_EQUAL(last->wanted, last->written + sinks_lost(last));
	mt_alog_sink_free(s);
}

int64_t sinks_lines(const char *text, size_t len)
{
	int64_t before = -1, n = 0;

	if (len % LINE_LEN)
		return -1;
	for (const char *p = text; p < text + len; p += LINE_LEN, n++) {
		char *end;
		int64_t number = memcmp(p, "line ", 5) == 0 ? strtoll(p + 5, &end, 10) : -1;

		if (number <= before || memcmp(p + 15, " ...............\n", LINE_LEN - 15) != 0)
			return -1;
		before = number;
	}
	return n;
}

int64_t sinks_lines_of(const char *path)
{
	struct mt_err e;
	char *text;
	size_t len;
	int64_t n;

	if (mt_file_read(path, 64u << 20, 0, &text, &len, &e))
		return -2;
	n = sinks_lines(text, len);
	free(text);
	return n;
}

int64_t sinks_new_lines(const char *path, bool *seen, long n)
{
	struct mt_err e;
	int64_t lines = 0;
	size_t len;
	char *text;

	if (mt_file_read(path, 64u << 20, 0, &text, &len, &e))
		return 0;
	for (const char *p = text; lines >= 0 && p < text + len; p += LINE_LEN) {
		long i =
			len % LINE_LEN || memcmp(p, "line ", 5) != 0 ? -1 : strtol(p + 5, NULL, 10);

		lines = i < 0 || i >= n || seen[i] ? -1 : lines + 1;
		if (lines > 0)
			seen[i] = true;
	}
	free(text);
	return lines;
}
