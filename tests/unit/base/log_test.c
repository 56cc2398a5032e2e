/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mt_log_priv.h"
#include "suites.h"

static const struct {
	struct mt_log_line line;
	const char *want;
} rows[] = {
	{{MT_LOG_INFO, "xds", "mesh: connected", MT_LOG_TEXT, false, NULL},
		"level=info module=xds msg=\"mesh: connected\"\n"},
	{{MT_LOG_WARN, "port", "a \"b\"\\\nc\td", MT_LOG_TEXT, true, NULL},
		"<4>level=warn module=port msg=\"a \\\"b\\\"\\\\\\nc\\td\"\n"},
	{{MT_LOG_ERROR, "boot", "no", MT_LOG_JSON, true, "2026-01-02T03:04:05.006Z"},
		"<3>{\"time\":\"2026-01-02T03:04:05.006Z\",\"level\":\"error\",\"module\":\"boot\","
		"\"msg\":\"no\"}\n"},
	/* what terminals obey, and what is no UTF-8 */
	{{MT_LOG_DEBUG, "dns", "\x1b[2J\x9b gr\xc3\xbc\xc3\x9f", MT_LOG_JSON, false, NULL},
		"{\"level\":\"debug\",\"module\":\"dns\",\"msg\":\"\\u001b[2J\\\\x9b "
		"gr\xc3\xbc\xc3\x9f\"}\n"},
};

static void lines_in_both_forms(void)
{
	char out[MT_LOG_LINE];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(mt_log_write_line(out, &rows[i].line), strlen(rows[i].want));
		CU_ASSERT_STRING_EQUAL(out, rows[i].want);
	}
}

/* However long the words, and whatever they are made of: whole characters, and the end of the form. */
static void too_long_is_cut(void)
{
	static const char *const chars[] = {"x", "\"", "\xe2\x82\xac", "\x01", "\xff"};
	static char words[3 * MT_LOG_LINE];
	char out[MT_LOG_LINE];

	for (size_t i = 0; i < MT_ARRAY_LEN(chars); i++) {
		struct mt_log_line l = {MT_LOG_INFO, "xds", words, MT_LOG_JSON, true, NULL};
		size_t n, step = strlen(chars[i]);

		for (n = 0; n + step < sizeof(words); n += step)
			memcpy(words + n, chars[i], step);
		words[n] = '\0';
		n = mt_log_write_line(out, &l);
		CU_ASSERT_EQUAL(n, strlen(out));
		CU_ASSERT(n > MT_LOG_LINE - 32 && n < MT_LOG_LINE);
		CU_ASSERT_STRING_EQUAL(out + n - 3, "\"}\n");
		CU_ASSERT(out[n - 4] != '\\');
	}
}

static void a_site_is_held_back(void)
{
	static struct mt_log_site sites[MT_LOG_SITES];
	uint64_t now = 5 * MT_SEC;
	struct mt_log_site *s = mt_log_site_of(sites, MT_LOG_WARN, "a %d", now);
	uint32_t said = 0;

	for (int i = 0; i < 1000; i++)
		said += mt_log_site_admit(s, now);
	CU_ASSERT_EQUAL(said, MT_LOG_BURST);
	/* Others are not. */
	CU_ASSERT(mt_log_site_admit(mt_log_site_of(sites, MT_LOG_WARN, "b %d", now), now));
	CU_ASSERT(mt_log_site_admit(mt_log_site_of(sites, MT_LOG_INFO, "a %d", now), now));
	/* A second later so many again, also when asked for in small steps. */
	said = 0;
	for (int i = 0; i < 1000; i++)
		said += mt_log_site_admit(s, now += MT_MSEC);
	CU_ASSERT_EQUAL(said, MT_LOG_PER_SECOND);
	said = 0;
	now += 3600 * MT_SEC;
	for (int i = 0; i < 1000; i++)
		said += mt_log_site_admit(s, now);
	CU_ASSERT_EQUAL(said, MT_LOG_BURST);
}

/* More places than there is room for: one that holds lines back is not forgotten for one that does not. */
static void sites_share_room(void)
{
	static struct mt_log_site sites[MT_LOG_SITES];
	static char formats[8 * MT_LOG_SITES];
	struct mt_log_site *s = mt_log_site_of(sites, MT_LOG_WARN, &formats[0], MT_SEC);

	s->held = 7;
	for (size_t i = 1; i < sizeof(formats); i++)
		CU_ASSERT(mt_log_site_admit(
			mt_log_site_of(sites, MT_LOG_WARN, &formats[i], MT_SEC + i), MT_SEC + i));
	CU_ASSERT_PTR_EQUAL(mt_log_site_of(sites, MT_LOG_WARN, &formats[0], 2 * MT_SEC), s);
	CU_ASSERT_EQUAL(s->held, 7);
}

static void levels_by_module(void)
{
	CU_ASSERT_EQUAL(mt_log_module_find("xds"), MT_LOGS_xds);
	CU_ASSERT_EQUAL(mt_log_module_find("nobody"), -1);
	mt_log_set_level(MT_LOG_ERROR);
	mt_log_set_module(MT_LOGS_xds, MT_LOG_DEBUG);
	CU_ASSERT_EQUAL(mt_log_level_of(MT_LOGS_xds), MT_LOG_DEBUG);
	CU_ASSERT_EQUAL(mt_log_level_of(MT_LOGS_dns), MT_LOG_ERROR);
	mt_log(MT_LOG_INFO, "dns", "nobody hears this");
	CU_ASSERT_EQUAL(mt_log_counts(MT_LOGS_dns)->lines[MT_LOG_INFO], 0);
	mt_log_set_level(MT_LOG_INFO);
}

/* Fills a pipe that nothing reads. */
static void fill(int fd)
{
	static const char zeros[4096];
	int flags = fcntl(fd, F_GETFL);

	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, flags), 0);
}

static void empty(int fd)
{
	char zeros[4096];
	int left;

	while (ioctl(fd, FIONREAD, &left) == 0 && left > 0)
		CU_ASSERT_FATAL(read(fd, zeros, sizeof(zeros)) > 0);
}

/* Nothing reads standard error: lines are lost and counted, and the program goes on. */
static void never_waits(void)
{
	int ends[2], kept = dup(STDERR_FILENO);
	char text[512] = "";

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_EQUAL(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	fill(ends[1]);
	mt_log_set_waiting(false);
	mt_log(MT_LOG_INFO, "dns", "one");
	mt_log(MT_LOG_INFO, "dns", "two");
	empty(ends[0]);
	mt_log(MT_LOG_INFO, "dns", "three");
	mt_log_set_waiting(true);
	CU_ASSERT_EQUAL(dup2(kept, STDERR_FILENO), STDERR_FILENO);
	CU_ASSERT_FATAL(read(ends[0], text, sizeof(text) - 1) > 0);
	CU_ASSERT_STRING_EQUAL(text,
		"level=warn module=boot msg=\"2 lines of the log were lost: nothing read standard "
		"error\"\nlevel=info module=dns msg=\"three\"\n");
	close(ends[0]);
	close(ends[1]);
	close(kept);
}

const struct mt_test log_tests[] = {
	{"lines in both forms", lines_in_both_forms},
	{"too long is cut", too_long_is_cut},
	{"a site is held back", a_site_is_held_back},
	{"sites share room", sites_share_room},
	{"levels by module", levels_by_module},
	{"never waits", never_waits},
	{0},
};
