/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets to be forwarded. The first byte selects how many bytes of the packet are at hand, the
 * second one the MTU; with the lowest bit of the first, the IPv4 header's checksum is made right. A
 * good packet must stay good after the decrement, its error must be a good packet with right
 * checksums, and its fragments must be good and have all its bytes.
 */
#include "fuzz.h"

#include "mt_forward_packet.h"

#include <string.h>

#define LONGEST 2000

static uint32_t words(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void fix(uint8_t *ip, uint32_t n)
{
	uint32_t head = (ip[0] & 15u) * 4, sum;

	if (ip[0] >> 4 != 4 || head < 20 || head > n)
		return;
	ip[10] = ip[11] = 0;
	sum = words(ip, head, 0);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static void check_error(const struct mt_fwd_packet *p, const uint8_t *ip, uint32_t have,
	uint16_t mtu, uint32_t room)
{
	struct mt_addr from =
		p->is4 ? mt_addr4(0x0100090a) : (struct mt_addr){.b = {0xfd, [15] = 1}};
	static uint8_t out[LONGEST];
	struct mt_fwd_packet e;
	uint32_t n = mt_fwd_error(
		p, ip, have, (enum mt_fwd_error)(room % MT_FWD_ERRORS), mtu, &from, out, room);

	MT_ASSERT(n <= room);
	if (n == 0)
		return;
	MT_ASSERT(mt_fwd_read(out, n, n, &e) == MT_FWD_GOOD && e.len == n);
	MT_ASSERT(mt_addr_eq(&e.dst, &p->src) && !mt_fwd_may_error(&e, out, n, false));
	if (p->is4)
		MT_ASSERT(words(out + 20, n - 20, 0) == 0xffff);
	else
		MT_ASSERT(words(out + 40, n - 40, words(out + 8, 32, n - 40 + 58)) == 0xffff);
}

static void check_split(const struct mt_fwd_packet *p, const uint8_t *ip, uint16_t mtu)
{
	struct rte_mbuf *m = mt_buf_data(fuzz_pools()), *out[MT_FWD_FRAGMENTS_MAX];
	uint32_t sum = 0;
	int n;

	MT_ASSERT(m);
	memcpy(rte_pktmbuf_append(m, p->len), ip, p->len);
	n = mt_fwd_split(m, mtu, fuzz_pools()->data, out);
	MT_ASSERT(n < 0 || n > 1);
	for (int i = 0; i < n; i++) {
		struct mt_fwd_packet f;

		MT_ASSERT(mt_fwd_read(rte_pktmbuf_mtod(out[i], const uint8_t *), out[i]->data_len,
				  out[i]->pkt_len, &f) == MT_FWD_GOOD);
		MT_ASSERT(f.len <= mtu && f.fragment && f.len == out[i]->pkt_len);
		MT_ASSERT(mt_addr_eq(&f.src, &p->src) && mt_addr_eq(&f.dst, &p->dst));
		sum += f.len - f.head;
		mt_buf_free(out[i]);
	}
	MT_ASSERT(n < 0 || sum == (uint32_t)(p->len - p->head));
	mt_buf_free(m);
}

static void forward(uint8_t *ip, uint32_t have, uint32_t len, uint8_t choice)
{
	uint16_t mtu = (uint16_t)(68 + choice * 8);
	struct mt_fwd_packet p, after;

	if (mt_fwd_read(ip, have, len, &p) != MT_FWD_GOOD)
		return;
	MT_ASSERT(
		p.head <= have && p.len <= len && p.head <= p.len && p.l4 <= MT_MAX(have, p.head));
	if (mt_fwd_may_error(&p, ip, have, false))
		check_error(&p, ip, have, mtu, choice * 6u);
	switch (mt_fwd_decide(&p, mtu)) {
	case MT_FWD_SPLIT:
		MT_ASSERT(p.is4 && !p.df);
		if (have == len)
			check_split(&p, ip, mtu);
		break;
	case MT_FWD_SEND:
		mt_fwd_decrement(ip);
		MT_ASSERT(mt_fwd_read(ip, have, len, &after) == MT_FWD_GOOD);
		MT_ASSERT(after.ttl + 1 == p.ttl && after.flow == p.flow);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len, have;
	uint8_t *ip;

	if (size < 2 || size - 2 > LONGEST)
		return 0;
	len = (uint32_t)size - 2;
	have = data[0] & 0xfe ? MT_MIN(len, (uint32_t)data[0]) : len;
	/* Of its size, so that a sanitizer sees a read beyond it. */
	ip = malloc(MT_MAX(have, 1u));
	MT_ASSERT(ip);
	memcpy(ip, data + 2, have);
	if (data[0] & 1 && have >= 20)
		fix(ip, have);
	forward(ip, have, len, data[1]);
	free(ip);
	fuzz_check_pools();
	return 0;
}
