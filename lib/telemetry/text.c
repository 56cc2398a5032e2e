/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text. A failure is sticky, so that writers check once, at the end. */
#include "mt_telemetry.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(struct mt_text_buf *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 1024;
	char *p;

	if (t->failed)
		return false;
	if (t->len + more < t->cap)
		return true;
	while (cap <= t->len + more)
		cap *= 2;
	p = realloc(t->p, cap);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

void mt_text_bytes(struct mt_text_buf *t, const char *p, size_t n)
{
	if (!reserve(t, n))
		return;
	memcpy(t->p + t->len, p, n);
	t->len += n;
	t->p[t->len] = '\0';
}

void mt_text_add(struct mt_text_buf *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	/*
	 * Measure first: a scrape of many thousand lines must not be truncated at the size of a
	 * buffer.
	 */
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->p + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void mt_text_fini(struct mt_text_buf *t)
{
	free(t->p);
	memset(t, 0, sizeof(*t));
}
