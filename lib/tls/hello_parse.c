/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a whole ClientHello: server_name (RFC 6066 §3) and ALPN (RFC 7301 §3.1). */
#include "mt_hello.h"

#include <string.h>

#define MESSAGE_HEADER	4
#define RANDOM		(2 + 32) /* legacy_version and random */
#define EXT_SERVER_NAME 0
#define EXT_ALPN	16
#define HOST_NAME	0
#define NAME_MAX	255 /* RFC 1035 §2.3.4 */

/* The unread rest of a list. */
struct part {
	uint8_t *p;
	uint32_t n;
};

static bool skip(struct part *from, uint32_t n)
{
	if (from->n < n)
		return false;
	from->p += n;
	from->n -= n;
	return true;
}

static bool number(struct part *from, uint32_t bytes, uint32_t *v)
{
	uint8_t *p = from->p;

	if (!skip(from, bytes))
		return false;
	*v = bytes == 1 ? p[0] : (uint32_t)p[0] << 8 | p[1];
	return true;
}

/* Reads a vector (RFC 8446 §3.4): its length in `bytes` bytes, then at least `least` bytes. */
static bool vector(struct part *from, uint32_t bytes, uint32_t least, struct part *out)
{
	uint32_t len;

	if (!number(from, bytes, &len) || len < least)
		return false;
	*out = (struct part){from->p, len};
	return skip(from, len);
}

static void to_lower(struct part s)
{
	for (uint32_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			s.p[i] |= 0x20;
}

/*
 * Removes a dot at the end, DNS's root. The name must not have it here (RFC 6066 §3), but is the
 * same.
 */
static struct mt_slice without_root(struct part name)
{
	return (struct mt_slice){name.p, name.n - (name.n > 1 && name.p[name.n - 1] == '.')};
}

/* Accepts each type of name at most once; only one type exists. */
static bool server_name(struct part ext, struct mt_hello_says *says)
{
	struct part list, name;
	uint32_t type;

	if (!vector(&ext, 2, 1, &list) || ext.n)
		return false;
	while (list.n) {
		if (!number(&list, 1, &type) || !vector(&list, 2, 1, &name))
			return false;
		if (type != HOST_NAME)
			continue;
		if (says->name.len || name.n > NAME_MAX)
			return false;
		to_lower(name);
		says->name = without_root(name);
	}
	return true;
}

static bool alpn(struct part ext, struct mt_hello_says *says)
{
	struct part list, all, name;

	if (!vector(&ext, 2, 2, &list) || ext.n)
		return false;
	for (all = list; list.n;)
		if (!vector(&list, 1, 1, &name))
			return false;
	says->alpn = (struct mt_slice){all.p, all.n};
	return true;
}

/* No extension may occur twice. This is checked for those that are parsed. */
static bool extensions(struct part all, struct mt_hello_says *says)
{
	bool named = false, protocols = false;
	struct part ext;
	uint32_t type;

	while (all.n) {
		bool good = true;

		if (!number(&all, 2, &type) || !vector(&all, 2, 0, &ext))
			return false;
		if (type == EXT_SERVER_NAME) {
			good = !named && server_name(ext, says);
			named = true;
		} else if (type == EXT_ALPN) {
			good = !protocols && alpn(ext, says);
			protocols = true;
		}
		if (!good)
			return false;
	}
	return true;
}

/* Copies the handshake message out of its records. */
static void gather(const struct mt_hello *h, uint8_t *to)
{
	struct mt_cursor cur;
	uint32_t got = 0, left = 0;

	mt_cursor_init(&cur, h->cur.chain, 0);
	while (got < h->len) {
		const uint8_t *p;
		uint32_t n;

		if (left == 0) {
			uint16_t len = 0;

			mt_cursor_skip(&cur, 3); /* type and version, which were checked */
			mt_cursor_be16(&cur, &len);
			left = len;
		}
		n = mt_cursor_run(&cur, &p);
		n = MT_MIN(n, MT_MIN(left, h->len - got));
		MT_ASSERT(n > 0);
		memcpy(to + got, p, n);
		mt_cursor_skip(&cur, n);
		got += n;
		left -= n;
	}
}

bool mt_hello_parse(const struct mt_hello *h, uint8_t *scratch, struct mt_hello_says *says)
{
	struct part msg = {scratch, h->len}, unused, exts;

	*says = (struct mt_hello_says){0};
	gather(h, scratch);
	/* legacy_session_id, cipher_suites, legacy_compression_methods */
	if (!skip(&msg, MESSAGE_HEADER + RANDOM) || !vector(&msg, 1, 0, &unused) || unused.n > 32 ||
		!vector(&msg, 2, 2, &unused) || unused.n % 2 || !vector(&msg, 1, 1, &unused))
		return false;
	/* Before TLS 1.3 extensions are optional. */
	if (msg.n == 0)
		return true;
	return vector(&msg, 2, 0, &exts) && msg.n == 0 && extensions(exts, says);
}
