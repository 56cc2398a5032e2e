/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdarg.h>

static const char *const search[] = {"shop.svc.cluster.local", "svc.cluster.local"};

const struct mt_dhcp_guest wire_guest = {
	.mac = {0x52, 0x54, 0, 9, 0, 0x0b},
	.prefix = 24,
	.address = GUEST,
	.gateway = GATEWAY,
	.mtu = 1450,
	.lease = 3600,
	.host = "vm1",
	.domain = "shop.svc.cluster.local",
	.search = search,
	.n_search = 2,
};

void wire_field(struct wire *w, uint32_t at, uint32_t value)
{
	for (uint32_t i = 0; i < 4; i++)
		w->b[at + i] = (uint8_t)(value >> (24 - 8 * i));
}

void wire_option(struct wire *w, uint8_t code, const void *data, uint8_t len)
{
	w->b[w->len++] = code;
	w->b[w->len++] = len;
	memcpy(w->b + w->len, data, len);
	w->len += len;
}

void wire_option32(struct wire *w, uint8_t code, uint32_t value)
{
	const uint8_t b[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
		(uint8_t)value};

	wire_option(w, code, b, sizeof(b));
}

void wire_message(struct wire *w, uint8_t type)
{
	memset(w, 0, sizeof(*w));
	w->b[0] = 1;
	w->b[1] = 1;
	w->b[2] = 6;
	wire_field(w, 4, 0x12345678);
	w->b[9] = 7; /* seconds */
	memcpy(w->b + 28, wire_guest.mac, 6);
	wire_field(w, 236, 0x63825363);
	w->len = 240;
	if (type)
		wire_option(w, 53, &type, 1);
}

struct text {
	char *p;
	size_t n;
};

static void mt_printf(2, 3) add(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->p + t->n, WIRE_TEXT - t->n, format, args);
	va_end(args);
	CU_ASSERT_FATAL(t->n < WIRE_TEXT);
}

static void add_address(struct text *t, const uint8_t *p)
{
	add(t, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static void add_names(struct text *t, const uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		uint8_t n = p[at++];

		if (n == 0) {
			add(t, "/");
			continue;
		}
		CU_ASSERT_FATAL(n < 64 && at + n < len);
		add(t, "%.*s.", n, (const char *)p + at);
		at += n;
	}
}

static void add_option(struct text *t, uint8_t code, const uint8_t *p, uint32_t len)
{
	add(t, " %u=", code);
	switch (code) {
	case 1:
	case 3:
	case 6:
	case 54:
		CU_ASSERT_EQUAL_FATAL(len, 4);
		add_address(t, p);
		break;
	case 26:
		CU_ASSERT_EQUAL_FATAL(len, 2);
		add(t, "%u", p[0] << 8 | p[1]);
		break;
	case 51:
		CU_ASSERT_EQUAL_FATAL(len, 4);
		add(t, "%u", (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | p[2] << 8 | p[3]);
		break;
	case 12:
	case 15:
	case 56:
		add(t, "%.*s", (int)len, (const char *)p);
		break;
	case 119:
		add_names(t, p, len);
		break;
	default:
		for (uint32_t i = 0; i < len; i++)
			add(t, "%02x", p[i]);
	}
}

/* Joins consecutive options of one code (RFC 3396). */
static void options(struct text *t, const uint8_t *p, uint32_t len)
{
	static uint8_t joined[WIRE_MAX];
	uint32_t at = 240, n;

	while (at < len && p[at] != 255) {
		uint8_t code = p[at];

		for (n = 0; at + 1 < len && p[at] == code; at += 2u + p[at + 1]) {
			CU_ASSERT_FATAL(at + 2u + p[at + 1] <= len);
			memcpy(joined + n, p + at + 2, p[at + 1]);
			n += p[at + 1];
		}
		if (code == 53) {
			CU_ASSERT_EQUAL(n, 1);
			continue;
		}
		add_option(t, code, joined, n);
	}
	CU_ASSERT_FATAL(at < len);
	for (at++; at < len; at++)
		CU_ASSERT_EQUAL(p[at], 0);
}

static void reply_text(
	struct text *t, const uint8_t *msg, const uint8_t *p, const struct mt_dhcp_reply *r)
{
	static const char *const types[] = {[OFFER] = "OFFER", [ACK] = "ACK", [NAK] = "NAK"};
	const uint8_t head[] = {2, 1, 6, 0}, zero[192] = {0};
	const uint8_t to[] = {(uint8_t)(r->to >> 24), (uint8_t)(r->to >> 16), (uint8_t)(r->to >> 8),
		(uint8_t)r->to};

	CU_ASSERT_FATAL(r->len >= MT_DHCP_REPLY_MIN && r->len <= MT_DHCP_REPLY_MAX);
	CU_ASSERT_EQUAL(memcmp(p, head, 4), 0);
	CU_ASSERT_EQUAL(memcmp(p + 4, msg + 4, 4), 0);	  /* the transaction */
	CU_ASSERT_EQUAL(memcmp(p + 8, zero, 2), 0);	  /* seconds */
	CU_ASSERT_EQUAL(memcmp(p + 10, msg + 10, 2), 0);  /* flags */
	CU_ASSERT_EQUAL(memcmp(p + 20, zero, 8), 0);	  /* the next server, the relay */
	CU_ASSERT_EQUAL(memcmp(p + 28, msg + 28, 16), 0); /* the hardware address */
	CU_ASSERT_EQUAL(memcmp(p + 44, zero, sizeof(zero)), 0);
	CU_ASSERT_EQUAL_FATAL(memcmp(p + 236, msg + 236, 4), 0);
	CU_ASSERT_EQUAL_FATAL(p[240], 53);
	CU_ASSERT_FATAL(p[242] < MT_ARRAY_LEN(types) && types[p[242]]);
	CU_ASSERT_EQUAL(r->refused, p[242] == NAK);
	add(t, "%s to=", types[p[242]]);
	add_address(t, to);
	add(t, " your=");
	add_address(t, p + 16);
	add(t, " client=");
	add_address(t, p + 12);
	options(t, p, r->len);
}

enum mt_dhcp_verdict wire_answer(const struct mt_dhcp_guest *g, const uint8_t *msg, uint32_t len,
	char text[WIRE_TEXT], struct mt_dhcp_reply *reply)
{
	/* The sanitizer finds a read or write after the end of a block. */
	uint8_t *exact = malloc(len ? len : 1), *out = malloc(MT_DHCP_REPLY_MAX);
	struct text t = {text, 0};
	enum mt_dhcp_verdict v;

	memcpy(exact, msg, len);
	memset(out, 0xa5, MT_DHCP_REPLY_MAX);
	v = mt_dhcp_answer(g, exact, len, out, reply);
	text[0] = '\0';
	if (v == MT_DHCP_REPLY)
		reply_text(&t, exact, out, reply);
	free(exact);
	free(out);
	return v;
}

enum mt_dhcp_verdict wire_ask(const struct mt_dhcp_guest *g, const struct wire *w,
	char text[WIRE_TEXT], struct mt_dhcp_reply *reply)
{
	uint8_t msg[WIRE_MAX + 1];

	memcpy(msg, w->b, w->len);
	msg[w->len] = 255;
	return wire_answer(g, msg, w->len + 1, text, reply);
}
