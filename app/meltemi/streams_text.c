/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text: pairs of hex digits with blanks or colons, or dumps with offsets as xxd, hexdump
 * -C, tcpdump -X and Wireshark write them. An empty line ends a stream.
 */
#include "streams.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct text {
	struct streams *s;
	struct stream *to;     /* NULL: the next bytes start a stream */
	enum stream_from from; /* of it */
	bool dump;	       /* it has offsets */
	size_t room;	       /* bytes that to->bytes has */
	uint32_t line;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool fails(struct text *t, const char *why)
{
	snprintf(t->s->why, sizeof(t->s->why), "line %u: %s", t->line, why);
	return false;
}

static bool add_byte(struct text *t, uint8_t b)
{
	struct stream *to = t->to;

	if (!to) {
		to = t->to = streams_add(t->s);
		if (!to)
			return fails(t, "no memory, or more than 65536 streams");
		snprintf(to->name, sizeof(to->name), "line %u", t->line);
		to->from = t->from;
		to->whole = true;
		t->room = 0;
	}
	if (to->n == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		uint8_t *more = realloc(to->bytes, room);

		if (!more)
			return fails(t, "no memory");
		to->bytes = more;
		t->room = room;
	}
	to->bytes[to->n++] = b;
	return true;
}

/* ---- dumps ----------------------------------------------------------------------------------- */

/*
 * Skips the offset of a line of a dump. False: it is none, because it has no offset, or one that
 * does not follow the bytes before it.
 */
static bool skip_offset(struct text *t, const char **at, const char *end, bool *colon)
{
	const char *p = *at;
	uint64_t offset = 0;
	uint32_t n = 0;

	if (end - p > 2 && p[0] == '0' && p[1] == 'x')
		p += 2;
	for (; p < end && n < 16 && digit(*p) >= 0; n++)
		offset = offset << 4 | (uint64_t)digit(*p++);
	*colon = p < end && *p == ':';
	if (n < 4 || (offset && (!t->to || !t->dump || offset != t->to->n)))
		return false;
	if (!*colon && p < end &&
		!(end - p > 1 && is_blank(p[0]) && (p[0] == '\t' || is_blank(p[1]))))
		return false;
	/* The last line of hexdump has no bytes; digits alone at the start are a message. */
	if (p == end && !offset)
		return false;
	if (!offset)
		t->to = NULL;
	*at = p + *colon;
	return true;
}

/* A run of digits, or a blank between them. False: the bytes of the line have ended. */
static bool goes_on(const char **at, const char *end, bool colon, uint32_t n)
{
	const char *p = *at;
	uint32_t blanks = 0;

	for (; p < end && is_blank(*p); p++)
		blanks++;
	*at = p;
	if (end - p < 2 || digit(p[0]) < 0 || digit(p[1]) < 0)
		return false;
	if (n == 0)
		return true;
	return colon ? blanks < 2 : n < 16 && (blanks < 2 || (n == 8 && blanks == 2));
}

/* The bytes in front of the column with characters. */
static bool dump_line(struct text *t, const char *p, const char *end, bool colon)
{
	for (uint32_t n = 0; goes_on(&p, end, colon, n); n++, p += 2)
		if (!add_byte(t, (uint8_t)(digit(p[0]) << 4 | digit(p[1]))))
			return false;
	return true;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool hex_line(struct text *t, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (is_blank(*p) || *p == ':')
			continue;
		if (end - p < 2 || digit(p[0]) < 0 || digit(p[1]) < 0) {
			snprintf(t->s->why, sizeof(t->s->why),
				*p > ' ' && *p < 0x7f ? "line %u: \"%c\" is not one of two "
							"hexadecimal digits"
						      : "line %u: byte 0x%02x is not a "
							"hexadecimal digit",
				t->line, (unsigned char)*p);
			return false;
		}
		if (!add_byte(t, (uint8_t)(digit(p[0]) << 4 | digit(p[1]))))
			return false;
		p++;
	}
	return true;
}

/* Reads "client:" or "server:" at the start, which starts a stream. */
static const char *side(struct text *t, const char *p, const char *end)
{
	static const char *const words[] = {"client", "server"};

	for (uint32_t i = 0; i < 2; i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(end - p) < len || strncmp(p, words[i], len) != 0)
			continue;
		if (p + len < end && p[len] != ':' && !is_blank(p[len]))
			continue;
		t->to = NULL;
		t->from = (enum stream_from)i;
		return p + len + (p + len < end && p[len] == ':');
	}
	return p;
}

static bool one_line(struct text *t, const char *p, const char *end)
{
	bool colon;

	while (p < end && is_blank(*p))
		p++;
	while (end > p && is_blank(end[-1]))
		end--;
	if (p == end) {
		t->to = NULL;
		t->from = STREAM_EITHER;
		return true;
	}
	if (*p == '#')
		return true;
	if (*p == '*' && end - p == 1)
		return fails(t, "a dump that leaves out repeated lines; write it with hexdump -v");
	p = side(t, p, end);
	while (p < end && is_blank(*p))
		p++;
	t->dump = skip_offset(t, &p, end, &colon);
	return t->dump ? dump_line(t, p, end, colon) : hex_line(t, p, end);
}

bool streams_text(struct streams *s, const char *text, size_t n)
{
	struct text t = {.s = s, .from = STREAM_EITHER};
	const char *end = text + n;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		t.line++;
		if (!one_line(&t, text, stop))
			return false;
		text = stop + (stop < end);
	}
	return true;
}
