/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#define MAC 0x52, 0x54, 0, 9, 0, 0x0b

const uint8_t frame_other_mac[6] = {0x52, 0x54, 0, 9, 0, 0x0c};

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return a;
}

static bool is_ours(const void *ours, const struct mt_addr *a)
{
	static const char *const texts[] = {"10.0.0.1", "fd00:5::1", "fe80::1"};

	CU_ASSERT_PTR_EQUAL(ours, &frame_guest);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct mt_addr one = addr(texts[i]);

		if (mt_addr_eq(a, &one))
			return true;
	}
	return false;
}

static const struct mt_addr addresses[] = {
	{.b = {[10] = 0xff, 0xff, 10, 9, 0, 11}},
	{.b = {[10] = 0xff, 0xff, 10, 9, 0, 12}},
	{.b = {0xfd, [15] = 0x0b}},
};

const struct mt_guest frame_guest = {
	.mac = {MAC},
	.addresses = addresses,
	.n_addresses = MT_ARRAY_LEN(addresses),
	.is_ours = is_ours,
	.ours = &frame_guest,
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void frame_bytes(struct frame *f, const void *data, uint32_t len)
{
	CU_ASSERT_FATAL(f->len + len <= FRAME_MAX);
	memcpy(f->b + f->len, data, len);
	f->len += len;
}

void frame_ether(struct frame *f, uint16_t type)
{
	const uint8_t head[] = {2, 0, 0, 0, 0, 1, MAC, (uint8_t)(type >> 8), (uint8_t)type};

	memset(f, 0, sizeof(*f));
	frame_bytes(f, head, sizeof(head));
}

void frame_ip4(struct frame *f, uint8_t proto, const char *source, const char *destination)
{
	uint8_t ip[20] = {0x45, [8] = 64, proto};
	struct mt_addr s = addr(source), d = addr(destination);

	memcpy(ip + 12, s.b + 12, 4);
	memcpy(ip + 16, d.b + 12, 4);
	frame_ether(f, 0x0800);
	f->l3 = f->len;
	frame_bytes(f, ip, sizeof(ip));
	f->l4 = f->len;
}

void frame_ip6(struct frame *f, uint8_t next, const char *source, const char *destination)
{
	uint8_t ip[40] = {0x60, [6] = next, 255};
	struct mt_addr s = addr(source), d = addr(destination);

	memcpy(ip + 8, &s, 16);
	memcpy(ip + 24, &d, 16);
	frame_ether(f, 0x86dd);
	f->l3 = f->len;
	frame_bytes(f, ip, sizeof(ip));
	f->l4 = f->len;
}

void frame_udp(struct frame *f, uint16_t source, uint16_t destination)
{
	uint8_t udp[8] = {[5] = 8};

	put16(udp, source);
	put16(udp + 2, destination);
	frame_bytes(f, udp, sizeof(udp));
}

void frame_arp(struct frame *f, uint16_t op, const char *sender, const char *target)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, (uint8_t)(op >> 8), (uint8_t)op, MAC};
	struct mt_addr s = addr(sender), t = addr(target);

	memcpy(arp + 14, s.b + 12, 4);
	memcpy(arp + 24, t.b + 12, 4);
	frame_ether(f, 0x0806);
	f->l3 = f->len;
	frame_bytes(f, arp, sizeof(arp));
}

void frame_nd(struct frame *f, uint8_t type, const char *target)
{
	uint8_t nd[24] = {type};
	struct mt_addr t = {0};

	if (target)
		t = addr(target);
	memcpy(nd + 8, &t, sizeof(t));
	frame_bytes(f, nd, target ? sizeof(nd) : 8);
}

void frame_nd_option(struct frame *f, uint8_t type, const uint8_t mac[6])
{
	uint8_t option[8] = {type, 1};

	memcpy(option + 2, mac, 6);
	frame_bytes(f, option, sizeof(option));
}

void frame_extension(struct frame *f, uint8_t next)
{
	const uint8_t extension[8] = {next};

	frame_bytes(f, extension, sizeof(extension));
}

uint16_t frame_icmp6_sum(const uint8_t *ip, uint32_t len)
{
	uint8_t pseudo[40] = {[35] = 0, [39] = 58};
	uint64_t sum = 0;

	memcpy(pseudo, ip + 8, 32);
	put16(pseudo + 34, (uint16_t)len);
	for (uint32_t i = 0; i < sizeof(pseudo); i += 2)
		sum += (uint32_t)pseudo[i] * 256 + pseudo[i + 1];
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)ip[40 + i] * 256 + (i + 1 < len ? ip[41 + i] : 0);
	return (uint16_t)(sum % 0xffff ? sum % 0xffff : 0xffff);
}

void frame_finish(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;
	uint32_t len = f->len - f->l4;

	if (ip[0] >> 4 == 4) {
		put16(ip + 2, (uint16_t)(f->len - f->l3));
		return;
	}
	put16(ip + 4, (uint16_t)len);
	if (ip[6] != 58)
		return;
	put16(ip + 42, 0);
	put16(ip + 42, (uint16_t)~frame_icmp6_sum(ip, len));
}

static uint8_t *exact(const struct frame *f, uint32_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	memcpy(p, f->b, len);
	return p;
}

enum mt_guest_verdict frame_check(const struct mt_guest *g, const struct frame *f, uint32_t len)
{
	uint8_t *p = exact(f, len);
	enum mt_guest_verdict v = mt_guest_check(g, p, len);

	free(p);
	return v;
}

uint32_t frame_answer(const struct frame *f, uint32_t len, uint8_t out[MT_GUEST_ANSWER_MAX])
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t *p = exact(f, len), *o = malloc(MT_GUEST_ANSWER_MAX);
	uint32_t n;

	memset(o, 0xa5, MT_GUEST_ANSWER_MAX);
	n = mt_guest_answer(&frame_guest, mac, p, len, o);
	memcpy(out, o, MT_GUEST_ANSWER_MAX);
	free(p);
	free(o);
	return n;
}
