/* SPDX-License-Identifier: Apache-2.0 */
/* A script from its file, and one run of it. */
#include "stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 10 /* segments in a failure's report */

/* ---- failing ---- */

static size_t variant_words(const struct sc_run *r, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "%s, timestamps %s, %s path", r->v.v6 ? "IPv6" : "IPv4",
		r->v.ts ? "on" : "off", r->v.slow ? "slow" : "fast");
}

static void add_log(struct sc_run *r, size_t at)
{
	uint32_t first = r->n_log > SHOWN ? r->n_log - SHOWN : 0;
	uint64_t begun = r->st ? sc_now(r) - sc_elapsed(r) : 0;

	for (uint32_t i = first; i < r->n_log && at < sizeof(r->error) - 1; i++) {
		uint64_t us = (r->log[i].at - begun) / MT_USEC;
		char text[512];

		sc_show(r, &r->log[i], text, sizeof(text));
		at += (size_t)snprintf(r->error + at, sizeof(r->error) - at,
			"\n    %10llu.%03llu ms  %s", (unsigned long long)(us / 1000),
			(unsigned long long)(us % 1000), text);
	}
}

bool sc_fail(struct sc_run *r, const char *fmt, ...)
{
	char variant[64];
	va_list ap;
	size_t at;

	if (r->failed)
		return false;
	r->failed = true;
	variant_words(r, variant, sizeof(variant));
	at = (size_t)snprintf(
		r->error, sizeof(r->error), "%s:%u: (%s) ", r->script->path, r->line, variant);
	va_start(ap, fmt);
	at += (size_t)vsnprintf(r->error + at, sizeof(r->error) - at, fmt, ap);
	va_end(ap);
	if (r->n_log && at < sizeof(r->error)) {
		at += (size_t)snprintf(r->error + at, sizeof(r->error) - at,
			"\n    the last segments, with the time since the begin:");
		add_log(r, MT_MIN(at, sizeof(r->error) - 1));
	}
	return false;
}

/* ---- files ---- */

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &size, 0, f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

/* The line from `p` on without its comment; where the next one begins. */
static const char *next_line(const char *p, char *line, size_t size)
{
	size_t n = strcspn(p, "\n"), keep = MT_MIN(strcspn(p, "#\n"), size - 1);

	memcpy(line, p, keep);
	line[keep] = 0;
	return p + n + (p[n] == '\n');
}

static void look_for_fixed(struct sc_script *s, const char *line)
{
	char word[SC_WORD_MAX], value[SC_WORD_MAX];

	if (!sc_word(&line, word) || !sc_word(&line, value))
		return;
	if (sc_is(word, "family")) {
		s->fix_family = true;
		s->v6 = sc_is(value, "6");
	} else if (sc_is(word, "ts")) {
		s->fix_ts = true;
		s->ts = sc_is(value, "on");
	}
}

/* The first comment that is not the licence's. */
static void look_for_title(struct sc_script *s, const char *p)
{
	while (*p == '#') {
		size_t n = strcspn(p, "\n"), skip = strspn(p, "# ");

		if (strncmp(p + skip, "SPDX", 4) != 0) {
			snprintf(s->title, sizeof(s->title), "%.*s", (int)(n - skip), p + skip);
			return;
		}
		p += n + (p[n] == '\n');
	}
}

int sc_load(struct sc_script *s, const char *path)
{
	const char *base = strrchr(path, '/'), *p;
	char line[512];

	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(s->name, sizeof(s->name), "%s", base ? base + 1 : path);
	s->name[strcspn(s->name, ".")] = 0;
	s->text = read_file(path);
	if (!s->text)
		return -ENOENT;
	look_for_title(s, s->text);
	for (p = s->text; *p;) {
		p = next_line(p, line, sizeof(line));
		look_for_fixed(s, line);
	}
	return 0;
}

/* ---- running ---- */

static const struct mt_tcp_conf small = {
	.max_conns = 512, .max_half_open = 64, .max_time_wait = 64};

static bool run_lines(struct sc_run *r)
{
	char line[512];

	for (const char *p = r->script->text; *p;) {
		p = next_line(p, line, sizeof(line));
		r->line++;
		if (!sc_line(r, line))
			return false;
	}
	return sc_quiet(r) && sc_end(r);
}

bool sc_run(struct sc_run *r, const struct sc_script *s, struct sc_variant v)
{
	memset(r, 0, offsetof(struct sc_run, log));
	r->n_log = r->n_seen = r->n_events = r->next_event = r->n_base = 0;
	r->failed = r->iss_fixed = r->iss_active = false;
	r->error[0] = 0;
	r->script = s;
	r->v = v;
	r->conf = small;
	r->conf.slow_path_only = v.slow;
	r->mtu = 1500;
	r->irs = 0x20000000;
	r->peer_ts0 = 1000000;
	r->cur = sc_flow(r, 4000);
	run_lines(r);
	sc_stack_down(r);
	return !r->failed;
}
