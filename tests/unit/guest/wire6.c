/* SPDX-License-Identifier: Apache-2.0 */
#include "wire6.h"

#include <stdarg.h>

#define HEADERS (14 + 40 + 8)

static const struct mt_addr servers[] = {
	{.b = {0xfd, 0, 0, 5, [15] = 0x35}}, {.b = {[10] = 0xff, 0xff, 10, 9, 0, 1}}};
static const char *const search[] = {"shop.svc", "a..b", "x."};

const struct mt_gateway6 wire6_gateway = {
	.mac = {2, 0, 0, 0, 0, 1},
	.address = {.b = {0xfe, 0x80, [15] = 1}},
	.lease = 3600,
	.name_servers = servers,
	.n_name_servers = 2,
	.search = search,
	.n_search = 3,
};

const uint8_t wire6_client[10] = {0, 3, 0, 1, 0x52, 0x54, 0, 9, 0, 0x0b};
const uint8_t wire6_server[10] = {0, 3, 0, 1, 2, 0, 0, 0, 0, 1};
uint8_t wire6_last[MT_GATEWAY6_FRAME_MAX];

/* ---- messages ------------------------------------------------------------------------------- */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

void wire6_bytes(struct wire6 *w, const void *data, uint32_t len)
{
	CU_ASSERT_FATAL(w->len + len <= WIRE6_MAX);
	if (len)
		memcpy(w->b + w->len, data, len);
	w->len += len;
}

void wire6_message(struct wire6 *w, uint8_t type)
{
	const uint8_t head[] = {type, 0x11, 0x22, 0x33};

	w->len = 0;
	wire6_bytes(w, head, sizeof(head));
}

uint32_t wire6_open(struct wire6 *w, uint16_t code, const void *data, uint32_t len)
{
	uint32_t place = w->len;
	uint8_t head[4] = {0};

	put16(head, code);
	wire6_bytes(w, head, sizeof(head));
	wire6_bytes(w, data, len);
	return place;
}

void wire6_close(struct wire6 *w, uint32_t place)
{
	put16(w->b + place + 2, w->len - place - 4);
}

void wire6_option(struct wire6 *w, uint16_t code, const void *data, uint16_t len)
{
	wire6_close(w, wire6_open(w, code, data, len));
}

void wire6_ids(struct wire6 *w, bool server)
{
	wire6_option(w, 1, wire6_client, sizeof(wire6_client));
	if (server)
		wire6_option(w, 2, wire6_server, sizeof(wire6_server));
}

static void put_address(struct wire6 *w, const char *text)
{
	uint8_t data[24] = {0};
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	memcpy(data, &a, sizeof(a));
	wire6_option(w, 5, data, sizeof(data));
}

void wire6_ia(struct wire6 *w, uint8_t id, const char *first, const char *second)
{
	const uint8_t data[12] = {[3] = id};
	uint32_t place = wire6_open(w, 3, data, sizeof(data));

	if (first)
		put_address(w, first);
	if (second)
		put_address(w, second);
	wire6_close(w, place);
}

/* ---- frames --------------------------------------------------------------------------------- */

/* The sum of a datagram with its pseudo header: 0xffff if the checksum is right. */
static uint16_t sum_of(const uint8_t *ip, uint32_t len)
{
	uint64_t sum = len + 17;

	for (uint32_t i = 8; i < 40 + len; i += 2)
		sum += (uint32_t)ip[i] * 256 + (i + 1 < 40 + len ? ip[i + 1] : 0);
	return (uint16_t)(sum % 0xffff ? sum % 0xffff : 0xffff);
}

void wire6_checksum(struct frame *f)
{
	uint8_t *ip = f->b + f->l3, *udp = f->b + f->l4;
	uint16_t sum;

	put16(udp + 6, 0);
	sum = (uint16_t)~sum_of(ip, be16(udp + 4));
	put16(udp + 6, sum ? sum : 0xffff);
}

void wire6_frame(
	struct frame *f, const struct wire6 *w, const char *source, const char *destination)
{
	frame_ip6(f, 17, source, destination);
	frame_udp(f, 546, 547);
	frame_bytes(f, w->b, w->len);
	put16(f->b + f->l3 + 4, w->len + 8);
	put16(f->b + f->l4 + 4, w->len + 8);
	wire6_checksum(f);
}

/* ---- replies -------------------------------------------------------------------------------- */

struct text {
	char *p;
	size_t n;
};

static void mt_printf(2, 3) add(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->p + t->n, WIRE6_TEXT - t->n, format, args);
	va_end(args);
	CU_ASSERT_FATAL(t->n < WIRE6_TEXT);
}

static void add_address(struct text *t, const uint8_t *p)
{
	char buf[MT_ADDR_STRLEN];
	struct mt_addr a;

	memcpy(&a, p, sizeof(a));
	add(t, "%s", mt_addr_str(&a, buf));
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

static void add_options(struct text *t, const uint8_t *p, uint32_t len);

/* Adds an option that has `head` bytes before the options in it: of an IA or an address. */
static void add_container(struct text *t, const uint8_t *p, uint32_t len, uint32_t head)
{
	CU_ASSERT_FATAL(len >= head);
	add(t, "{");
	if (head == 24)
		add_address(t, p);
	else
		add(t, "%u", be32(p));
	for (uint32_t at = head == 24 ? 16 : 4; at < head; at += 4)
		add(t, " %u", be32(p + at));
	add_options(t, p + head, len - head);
	add(t, "}");
}

static void add_option(struct text *t, uint32_t code, const uint8_t *p, uint32_t len)
{
	add(t, " %u=", code);
	switch (code) {
	case 3:
	case 25:
		add_container(t, p, len, 12);
		break;
	case 4:
		add_container(t, p, len, 4);
		break;
	case 5:
		add_container(t, p, len, 24);
		break;
	case 13:
		CU_ASSERT_EQUAL_FATAL(len, 2);
		add(t, "%u", be16(p));
		break;
	case 23:
		CU_ASSERT_FATAL(len && len % 16 == 0);
		for (uint32_t at = 0; at < len; at += 16) {
			if (at)
				add(t, ",");
			add_address(t, p + at);
		}
		break;
	case 24:
		add_names(t, p, len);
		break;
	case 32:
		CU_ASSERT_EQUAL_FATAL(len, 4);
		add(t, "%u", be32(p));
		break;
	default:
		for (uint32_t i = 0; i < len; i++)
			add(t, "%02x", p[i]);
	}
}

static void add_options(struct text *t, const uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0, n; at < len; at += 4 + n) {
		CU_ASSERT_FATAL(at + 4 <= len);
		n = be16(p + at + 2);
		CU_ASSERT_FATAL(at + 4 + n <= len);
		add_option(t, be16(p + at), p + at + 4, n);
	}
}

static void reply_text(struct text *t, const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *asked, const uint8_t *p, const struct mt_dhcp6_reply *r)
{
	const uint8_t *ip = p + 14, *udp = ip + 40;
	const uint32_t len = r->len - 14 - 40;

	CU_ASSERT_FATAL(r->len >= HEADERS + 4 && r->len <= MT_GATEWAY6_FRAME_MAX);
	CU_ASSERT_EQUAL(memcmp(p, g->mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(p + 6, gw->mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(p + 12, "\x86\xdd\x60\0\0\0", 6), 0);
	CU_ASSERT_EQUAL(be16(ip + 4), len);
	CU_ASSERT_EQUAL(memcmp(ip + 6, "\x11\x40", 2), 0);
	CU_ASSERT_EQUAL(memcmp(ip + 8, &gw->address, 16), 0);
	CU_ASSERT_EQUAL(memcmp(ip + 24, asked + 22, 16), 0);
	CU_ASSERT_EQUAL(memcmp(udp, "\x02\x23\x02\x22", 4), 0); /* 547, 546 */
	CU_ASSERT_EQUAL(be16(udp + 4), len);
	CU_ASSERT(be16(udp + 6) != 0 && sum_of(ip, len) == 0xffff);
	CU_ASSERT_EQUAL(memcmp(udp + 9, asked + 63, 3), 0); /* the transaction */
	CU_ASSERT_FATAL(udp[8] == ADVERTISE || udp[8] == REPLY);
	add(t, "%s", udp[8] == REPLY ? "REPLY" : "ADVERTISE");
	add_options(t, udp + 12, len - 12);
}

enum mt_dhcp6_verdict wire6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const struct frame *f, uint32_t len, char text[WIRE6_TEXT], struct mt_dhcp6_reply *reply)
{
	/* The sanitizer finds a read or write after the end of a block. */
	uint8_t *exact = malloc(len ? len : 1), *out = malloc(MT_GATEWAY6_FRAME_MAX);
	struct text t = {text, 0};
	enum mt_dhcp6_verdict v;

	memcpy(exact, f->b, len);
	memset(out, 0xa5, MT_GATEWAY6_FRAME_MAX);
	v = mt_dhcp6_answer(gw, g, exact, len, out, reply);
	text[0] = '\0';
	if (v == MT_DHCP6_REPLY)
		reply_text(&t, gw, g, exact, out, reply);
	else
		CU_ASSERT_EQUAL(out[0], 0xa5);
	memcpy(wire6_last, out, MT_GATEWAY6_FRAME_MAX);
	free(exact);
	free(out);
	return v;
}

enum mt_dhcp6_verdict wire6_ask(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const struct wire6 *w, char text[WIRE6_TEXT], struct mt_dhcp6_reply *reply)
{
	struct frame f;

	wire6_frame(&f, w, WIRE6_LINK, WIRE6_SERVERS);
	return wire6_answer(gw, g, &f, f.len, text, reply);
}
