/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_log_priv.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name, *words;
} modules[MT_LOG_MODULES] = {
#define MT_LOG_MODULE(name, words) [MT_LOGS_##name] = {#name, words},
#include "log_modules.def"
#undef MT_LOG_MODULE
};

static const char *const level_names[MT_LOG_LEVELS] = {"error", "warn", "info", "debug"};
static const char *const format_names[] = {"text", "json"};

static struct {
	uint8_t levels[MT_LOG_MODULES];
	enum mt_log_format format;
	bool time, journal, unlimited, never_waits;
	uint32_t lost; /* lines, since the last one that was written */
	struct mt_log_counts counts[MT_LOG_MODULES];
	struct mt_log_site sites[MT_LOG_SITES];
} the_log = {.levels = {[0 ... MT_LOG_MODULES - 1] = MT_LOG_INFO}};

/* ---- settings -------------------------------------------------------------------------------- */

void mt_log_set_level(enum mt_log_level level)
{
	memset(the_log.levels, level, sizeof(the_log.levels));
}

void mt_log_set_module(enum mt_log_module m, enum mt_log_level level)
{
	the_log.levels[m] = (uint8_t)level;
}

enum mt_log_level mt_log_level_of(enum mt_log_module m)
{
	return (enum mt_log_level)the_log.levels[m];
}

void mt_log_set_time(bool on)
{
	the_log.time = on;
}

void mt_log_set_format(enum mt_log_format f)
{
	the_log.format = f;
}

void mt_log_set_limit(bool on)
{
	the_log.unlimited = !on;
}

void mt_log_set_waiting(bool on)
{
	the_log.never_waits = !on;
}

void mt_log_detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	/* A process may inherit JOURNAL_STREAM although its standard error was redirected. */
	the_log.journal = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
			  fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int find(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, names[i]) == 0)
			return (int)i;
	return -1;
}

int mt_log_level_parse(const char *word)
{
	return find(word, level_names, MT_ARRAY_LEN(level_names));
}

const char *mt_log_level_str(enum mt_log_level level)
{
	return level_names[level];
}

int mt_log_format_parse(const char *word)
{
	return find(word, format_names, MT_ARRAY_LEN(format_names));
}

int mt_log_module_find(const char *name)
{
	for (int i = 0; i < MT_LOG_MODULES; i++)
		if (strcmp(name, modules[i].name) == 0)
			return i;
	return -1;
}

const char *mt_log_module_str(enum mt_log_module m)
{
	return modules[m].name;
}

const char *mt_log_module_words(enum mt_log_module m)
{
	return modules[m].words;
}

const struct mt_log_counts *mt_log_counts(enum mt_log_module m)
{
	return &the_log.counts[m];
}

/* ---- lines ----------------------------------------------------------------------------------- */

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

static const char *time_now(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (!the_log.time)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03ldZ", ts.tv_nsec / 1000000);
	return buf;
}

/* True if standard error takes a line at once. */
static bool has_room(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) != 0;
}

static void put(const char *line, size_t len)
{
	if (the_log.never_waits && !has_room()) {
		the_log.lost++;
		return;
	}
	/* One write for each line, so that lines of threads and child processes do not mix. */
	(void)!write(STDERR_FILENO, line, len);
}

static void say_lost(void)
{
	char out[MT_LOG_LINE], words[96], when[40];
	struct mt_log_line l = {.level = MT_LOG_WARN,
		.module = modules[MT_LOGS_boot].name,
		.words = words,
		.format = the_log.format,
		.journal = the_log.journal,
		.time = time_now(when, sizeof(when))};

	snprintf(words, sizeof(words), "%u lines of the log were lost: nothing read standard error",
		the_log.lost);
	the_log.lost = 0;
	put(out, mt_log_write_line(out, &l));
}

static void say(enum mt_log_level level, enum mt_log_module m, const char *words)
{
	char out[MT_LOG_LINE], when[40];
	const struct mt_log_line l = {.level = level,
		.module = modules[m].name,
		.words = words,
		.format = the_log.format,
		.journal = the_log.journal,
		.time = time_now(when, sizeof(when))};
	size_t len = mt_log_write_line(out, &l);

	if (the_log.lost && has_room())
		say_lost();
	the_log.counts[m].lines[level]++;
	put(out, len);
}

void mt_log(enum mt_log_level level, const char *module, const char *fmt, ...)
{
	int found = mt_log_module_find(module);
	enum mt_log_module m = found < 0 ? MT_LOGS_boot : (enum mt_log_module)found;
	struct mt_log_site *s;
	char words[2048];
	uint64_t now;
	va_list ap;

	if (level > the_log.levels[m])
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	now = monotonic();
	s = mt_log_site_of(the_log.sites, level, fmt, now);
	if (the_log.unlimited || mt_log_site_admit(s, now)) {
		say(level, m, words);
		return;
	}
	the_log.counts[m].held_back++;
	s->held++;
	s->module = m;
	snprintf(s->last, sizeof(s->last), "%.95s", words);
}

void mt_log_turn(void)
{
	uint64_t now = monotonic();

	for (uint32_t i = 0; i < MT_LOG_SITES; i++) {
		struct mt_log_site *s = &the_log.sites[i];
		char words[160];

		if (!s->held || !mt_log_site_admit(s, now))
			continue;
		snprintf(words, sizeof(words), "%u lines suppressed, the last of them: %s", s->held,
			s->last);
		s->held = 0;
		say(s->level, s->module, words);
	}
}

int mt_err(struct mt_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}
