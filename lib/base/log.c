/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static enum mt_log_level log_level = MT_LOG_INFO;
static bool log_time;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void mt_log_set_level(enum mt_log_level level)
{
	log_level = level;
}

void mt_log_set_time(bool on)
{
	log_time = on;
}

int mt_log_level_parse(const char *word)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(level_names); i++)
		if (strcmp(word, level_names[i]) == 0)
			return (int)i;
	return -1;
}

size_t mt_utf8_len(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] >= 0xf5 ? 0 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return p[0] == 0xc2 && p[1] <= 0x9f ? 0 : n;
}

/* How the character at p is shown: bytes put into `form`; *step: bytes of p that it is made of. */
static size_t show_char(char form[8], const unsigned char *p, size_t *step)
{
	size_t n = *p < 0x80 ? 1 : mt_utf8_len((const char *)p, 4);

	*step = n ? n : 1;
	if (*p == '\n' || *p == '\t')
		return (size_t)snprintf(form, 8, "\\%c", *p == '\n' ? 'n' : 't');
	if (n == 0 || *p < 0x20 || *p == 0x7f)
		return (size_t)snprintf(form, 8, "\\x%02x", *p);
	memcpy(form, p, n);
	return n;
}

size_t mt_escape(char *out, size_t size, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0, step;

	for (; *p; p += step) {
		char form[8];
		size_t len = show_char(form, p, &step);

		if (n + len >= size)
			break;
		memcpy(out + n, form, len);
		n += len;
	}
	if (size)
		out[n] = '\0';
	return n;
}

static int format_time(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (!log_time)
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return (int)n + snprintf(buf + n, size - n, ".%03ldZ ", ts.tv_nsec / 1000000);
}

void mt_log(enum mt_log_level level, const char *room, const char *fmt, ...)
{
	char line[1024], safe[2 * sizeof(line)];
	va_list ap;
	int n;

	if (level > log_level)
		return;
	n = format_time(line, sizeof(line));
	n += snprintf(line + n, sizeof(line) - n, "%-5s %s: ", level_names[level], room);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	mt_escape(safe, sizeof(safe), line);
	/* One write a line, so that threads and child processes do not mix their words. */
	fprintf(stderr, "%s\n", safe);
}

int mt_err(struct mt_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}
