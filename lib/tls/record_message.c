/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshake messages after the handshake (RFC 8446 §4.6; RFC 5246 §7.4.1): several in one record,
 * or one in several. Stores only a message's header, because the only body with a meaning is one
 * byte long.
 */
#include "record_priv.h"

enum message {
	HELLO_REQUEST = 0,
	CLIENT_HELLO = 1,
	NEW_SESSION_TICKET = 4,
	KEY_UPDATE = 24,
};

/*
 * The longest ticket with all its fields (RFC 8446 §4.6.1); also the limit for a ClientHello, which
 * is refused.
 */
#define BODY_MAX (4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534)

/* Checks a message's header. Returns 0 or the alert. */
static int begin_message(struct mt_tls_records *w, struct mt_tls_record *r, uint64_t now)
{
	const uint8_t *h = r->message_head;
	uint32_t len = (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];

	r->message_left = len;
	switch (h[0] | (r->is_13 ? 0x100 : 0) | (r->server ? 0x200 : 0)) {
	case 0x100 | NEW_SESSION_TICKET:
		mt_count(w->counts, MT_TLS_RECORD_N_TICKET);
		return len <= BODY_MAX ? 0 : MT_TLS_DECODE_ERROR;
	case 0x100 | KEY_UPDATE:
	case 0x300 | KEY_UPDATE:
		return len == 1 ? 0 : MT_TLS_DECODE_ERROR;
	case HELLO_REQUEST:
		if (len)
			return MT_TLS_DECODE_ERROR;
		break;
	case 0x200 | CLIENT_HELLO:
		if (len > BODY_MAX)
			return MT_TLS_DECODE_ERROR;
		break;
	default:
		return MT_TLS_UNEXPECTED_MESSAGE;
	}
	if (!mt_tls_record_may_update(r, now))
		return MT_TLS_UNEXPECTED_MESSAGE;
	r->due |= MT_TLS_RECORD_DUE_REFUSAL;
	return 0;
}

/*
 * `last`: the message ends its record, as it must, because a new key starts with a record (RFC 8446
 * §5.1).
 */
static int key_update(
	struct mt_tls_records *w, struct mt_tls_record *r, uint8_t asked, bool last, uint64_t now)
{
	if (asked > 1)
		return MT_TLS_ILLEGAL_PARAMETER;
	if (!last || !mt_tls_record_may_update(r, now))
		return MT_TLS_UNEXPECTED_MESSAGE;
	if (mt_tls_record_next_rx(w, r))
		return MT_TLS_INTERNAL_ERROR;
	mt_count(w->counts, MT_TLS_RECORD_N_UPDATE_IN);
	if (asked && !r->tx_over)
		r->due |= MT_TLS_RECORD_DUE_UPDATE;
	return 0;
}

/* Processes the next n bytes; `last`: the record ends with them. */
static int bytes_in(struct mt_tls_records *w, struct mt_tls_record *r, const uint8_t *p, uint32_t n,
	bool last, uint64_t now)
{
	int alert = 0;

	while (n > 0 && !alert) {
		uint32_t part = 1;

		if (r->message_n < sizeof(r->message_head)) {
			r->message_head[r->message_n++] = *p;
			if (r->message_n == sizeof(r->message_head))
				alert = begin_message(w, r, now);
		} else {
			part = MT_MIN(n, r->message_left);
			r->message_left -= part;
			if (r->message_head[0] == KEY_UPDATE)
				alert = key_update(w, r, *p, last && n == 1, now);
		}
		if (r->message_n == sizeof(r->message_head) && r->message_left == 0)
			r->message_n = 0;
		p += part;
		n -= part;
	}
	return alert;
}

enum mt_tls_record_got mt_tls_record_messages(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now)
{
	uint32_t left = o->len;
	int alert = 0;

	/* Empty ones are forbidden (RFC 8446 §5.1), and so is a flood of tickets. */
	if (left == 0 || !mt_tls_record_may_be_empty(w, r, now))
		return mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	if (o->flat)
		alert = bytes_in(w, r, o->flat, left, true, now);
	for (struct rte_mbuf *m = o->flat ? NULL : o->out.head; m && !alert; m = mt_link(m)->next) {
		left -= mt_link(m)->len;
		alert = bytes_in(w, r, mt_link_data(m), mt_link(m)->len, left == 0, now);
	}
	return alert ? mt_tls_record_bad(r, (enum mt_tls_alert)alert) : MT_TLS_RECORD_OWN;
}
