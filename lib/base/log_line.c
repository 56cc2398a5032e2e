/* SPDX-License-Identifier: Apache-2.0 */
/* One event as a line: key=value, or JSON. Both quote alike (RFC 8259 section 7). */
#include "mt_log_priv.h"

#include <stdio.h>
#include <string.h>

/* The end of a line, whatever comes before: "}\n and a NUL. */
#define END 4

struct writer {
	char *p;
	size_t len, size;
};

static void put(struct writer *w, const char *text, size_t n)
{
	if (w->len + n > w->size)
		return;
	memcpy(w->p + w->len, text, n);
	w->len += n;
}

static void puts_(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

/*
 * Writes the quoted form of the character at p; returns its length. *step: bytes of p in the
 * character.
 */
static size_t quoted(char form[8], const unsigned char *p, size_t *step)
{
	size_t n = *p < 0x80 ? 1 : mt_utf8_len((const char *)p, strnlen((const char *)p, 4));

	*step = n ? n : 1;
	if (*p == '"' || *p == '\\' || *p == '\n' || *p == '\t')
		return (size_t)snprintf(form, 8, "\\%c", *p == '\n' ? 'n' : *p == '\t' ? 't' : *p);
	if (n == 0)
		return (size_t)snprintf(form, 8, "\\\\x%02x", *p);
	if (*p < 0x20 || *p == 0x7f)
		return (size_t)snprintf(form, 8, "\\u%04x", *p);
	memcpy(form, p, n);
	return n;
}

/* Cut off between characters if it does not fit. */
static void quote(struct writer *w, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	puts_(w, "\"");
	for (size_t step; *p; p += step) {
		char form[8];
		size_t n = quoted(form, p, &step);

		if (w->len + n > w->size)
			break;
		put(w, form, n);
	}
	w->size += 1;
	puts_(w, "\"");
}

static void pair(struct writer *w, const struct mt_log_line *l, const char *key, const char *value)
{
	bool json = l->format == MT_LOG_JSON;

	if (json) {
		quote(w, key);
		puts_(w, ":");
		quote(w, value);
		puts_(w, ",");
		return;
	}
	puts_(w, key);
	puts_(w, "=");
	puts_(w, value);
	puts_(w, " ");
}

size_t mt_log_write_line(char out[MT_LOG_LINE], const struct mt_log_line *l)
{
	/* syslog(3): err, warning, info, debug. */
	static const char *const priorities[MT_LOG_LEVELS] = {"<3>", "<4>", "<6>", "<7>"};
	struct writer w = {out, 0, MT_LOG_LINE - END - 8};
	bool json = l->format == MT_LOG_JSON;

	if (l->journal)
		puts_(&w, priorities[l->level]);
	if (json)
		puts_(&w, "{");
	if (l->time)
		pair(&w, l, "time", l->time);
	pair(&w, l, "level", mt_log_level_str(l->level));
	pair(&w, l, "module", l->module);
	puts_(&w, json ? "\"msg\":" : "msg=");
	quote(&w, l->words);
	w.size = MT_LOG_LINE - 1;
	puts_(&w, json ? "}\n" : "\n");
	out[w.len] = '\0';
	return w.len;
}
