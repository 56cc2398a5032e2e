/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the end of a ClientHello by the headers of records (RFC 8446 §5.1) and of the handshake
 * message (§4).
 */
#include "mt_hello.h"

#include <string.h>

#define RECORD_HEADER  5
#define RECORD_MAX     16384 /* TLSPlaintext.length */
#define HANDSHAKE      22
#define MESSAGE_HEADER 4
#define CLIENT_HELLO   1

void mt_hello_init(struct mt_hello *h, const struct mt_chain *c)
{
	memset(h, 0, sizeof(*h));
	mt_cursor_init(&h->cur, c, 0);
}

/*
 * False if the header bytes present cannot be those of a handshake record. The version must be 3.x,
 * with any x.
 */
static bool record_may_be(const uint8_t *p, uint32_t n)
{
	uint32_t len;

	if ((n > 0 && p[0] != HANDSHAKE) || (n > 1 && p[1] != 3))
		return false;
	if (n < RECORD_HEADER)
		return true;
	len = (uint32_t)p[3] << 8 | p[4];
	/* Records without content must not be sent, so an empty one is not TLS. */
	return len > 0 && len <= RECORD_MAX;
}

/* Reads byte by byte, so that data that is not TLS is detected at the first byte that shows it. */
static enum mt_hello_rc read_record_header(struct mt_hello *h)
{
	while (h->n_head < RECORD_HEADER) {
		if (!mt_cursor_u8(&h->cur, &h->head[h->n_head]))
			return MT_HELLO_MORE;
		if (!record_may_be(h->head, ++h->n_head))
			return MT_HELLO_OTHER;
	}
	h->record_left = (uint32_t)h->head[3] << 8 | h->head[4];
	h->n_head = 0;
	return MT_HELLO_WHOLE;
}

/*
 * Reads a byte of the message's header, which may be divided, too. `got` counts its bytes so far.
 */
static enum mt_hello_rc read_message_header(struct mt_hello *h)
{
	uint8_t v;

	if (!mt_cursor_u8(&h->cur, &v))
		return MT_HELLO_MORE;
	h->record_left--;
	h->got++;
	if (h->got == 1)
		return v == CLIENT_HELLO ? MT_HELLO_WHOLE : MT_HELLO_OTHER;
	h->len = h->len << 8 | v;
	if (h->got < MESSAGE_HEADER)
		return MT_HELLO_WHOLE;
	if (h->len > MT_HELLO_MAX - MESSAGE_HEADER)
		return MT_HELLO_TOO_LONG;
	h->len += MESSAGE_HEADER;
	return MT_HELLO_WHOLE;
}

static enum mt_hello_rc read_body(struct mt_hello *h)
{
	uint32_t n = mt_cursor_skip(&h->cur, MT_MIN(h->record_left, h->len - h->got));

	h->record_left -= n;
	h->got += n;
	return n ? MT_HELLO_WHOLE : MT_HELLO_MORE;
}

static bool is_whole(const struct mt_hello *h)
{
	return h->got >= MESSAGE_HEADER && h->got == h->len;
}

enum mt_hello_rc mt_hello_read(struct mt_hello *h)
{
	enum mt_hello_rc rc = MT_HELLO_WHOLE;

	while (rc == MT_HELLO_WHOLE && !is_whole(h)) {
		if (h->record_left == 0)
			rc = read_record_header(h);
		else if (h->got < MESSAGE_HEADER)
			rc = read_message_header(h);
		else
			rc = read_body(h);
	}
	return rc;
}
