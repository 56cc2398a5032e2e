/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, checksums and solicitations, for messages of IPv6 to and from guests. */
#include "mt_guest_priv.h"

void guest_put_ether(const uint8_t to[6], const uint8_t from[6], uint16_t type, uint8_t *out)
{
	memcpy(out, to, 6);
	memcpy(out + ETHER_SOURCE, from, 6);
	guest_put16(out + ETHER_TYPE, type);
}

void guest_put_ether6(
	const uint8_t mac[6], const uint8_t from[6], const struct mt_addr *to, uint8_t *out)
{
	static const uint8_t all_nodes[] = {0x33, 0x33, 0, 0, 0, 1};

	guest_put_ether(mt_addr_eq(to, &guest_all_nodes) ? all_nodes : mac, from, TYPE_IP6, out);
}

void guest_put_ip6(uint8_t *ip, uint8_t proto, uint8_t hops, const struct mt_addr *from,
	const struct mt_addr *to, uint32_t payload)
{
	memset(ip, 0, IP6_LEN);
	ip[0] = 6 << 4;
	guest_put16(ip + IP6_PAYLOAD, payload);
	ip[IP6_NEXT] = proto;
	ip[IP6_HOPS] = hops;
	memcpy(ip + IP6_SOURCE, from, sizeof(*from));
	memcpy(ip + IP6_DESTINATION, to, sizeof(*to));
}

uint16_t guest_ip6_sum(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	uint32_t sum = len + proto;

	for (uint32_t i = IP6_SOURCE; i < IP6_LEN; i += 2)
		sum += guest_be16(ip + i);
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? ip[IP6_LEN + i] : (uint32_t)ip[IP6_LEN + i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* True if the options are complete; sets *has_source. */
static bool read_options(const uint8_t *p, uint32_t len, bool *has_source)
{
	while (len) {
		if (len < 8 || p[1] == 0 || p[1] * 8u > len)
			return false;
		*has_source |= p[0] == OPTION_SOURCE;
		len -= p[1] * 8u;
		p += p[1] * 8u;
	}
	return true;
}

bool guest_is_solicitation(const uint8_t *ip, uint32_t len, uint8_t type, uint32_t head)
{
	const uint8_t *nd = ip + IP6_LEN;
	bool has_source = false;
	struct mt_addr source;
	uint32_t nd_len;

	if (len < IP6_LEN + head || ip[0] >> 4 != 6 || ip[IP6_NEXT] != PROTO_ICMP6 ||
		ip[IP6_HOPS] != ND_HOPS)
		return false;
	nd_len = guest_be16(ip + IP6_PAYLOAD);
	if (nd_len < head || nd_len > len - IP6_LEN || nd[0] != type || nd[1] != 0 ||
		guest_ip6_sum(ip, PROTO_ICMP6, nd_len) != 0 ||
		!read_options(nd + head, nd_len - head, &has_source))
		return false;
	source = guest_addr6(ip + IP6_SOURCE);
	return source.b[0] != 0xff && !(mt_addr_is_zero(&source) && has_source);
}
