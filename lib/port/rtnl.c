/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets addresses and routes of the kernel's side of a TAP port by rtnetlink, so that applications
 * on this host reach the served ranges through it.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	struct nlmsghdr h;
	union {
		struct ifaddrmsg addr;
		struct ifinfomsg link;
		struct rtmsg route;
	};
	char attrs[128];
};

static void attribute(struct request *r, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* Sends the request; returns the length of the first answer, or -errno. */
static ssize_t exchange(struct request *r, void *answer, size_t room)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	if (fd < 0)
		return -errno;
	r->h.nlmsg_flags |= NLM_F_REQUEST;
	n = send(fd, r, r->h.nlmsg_len, 0);
	if (n >= 0)
		n = recv(fd, answer, room, 0);
	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

/* Sends the request and waits for the kernel's result: 0 or -errno. */
static int transact(struct request *r)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr err;
		char rest[512];
	} answer;
	ssize_t n;

	r->h.nlmsg_flags |= NLM_F_ACK;
	n = exchange(r, &answer, sizeof(answer));
	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(answer.h) + sizeof(answer.err) || answer.h.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.err.error;
}

/* "10.0.0.1/24" and an interface, as address, family and index. */
struct prefix {
	struct mt_addr addr;
	uint8_t bits, family;
	const void *bytes;
	size_t len;
	unsigned int index;
};

static int parse(const char *iface, const char *text, struct prefix *p, struct mt_err *e)
{
	if (mt_prefix_parse(text, &p->addr, &p->bits))
		return mt_err(e, -EINVAL, "interface %s: \"%s\" is not an address with prefix",
			iface, text);
	p->index = if_nametoindex(iface);
	if (!p->index)
		return mt_err(e, -ENODEV, "interface %s: it is gone", iface);
	if (mt_addr_is4(&p->addr)) {
		p->family = AF_INET;
		p->bytes = &p->addr.w[3];
		p->len = 4;
	} else {
		p->family = AF_INET6;
		p->bytes = p->addr.b;
		p->len = 16;
	}
	return 0;
}

int mt_kernel_add_address(const char *iface, const char *prefix, struct mt_err *e)
{
	struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.addr)),
				    .nlmsg_type = RTM_NEWADDR,
				    .nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE}};
	struct prefix p;
	int rc = parse(iface, prefix, &p, e);

	if (rc)
		return rc;
	r.addr = (struct ifaddrmsg){
		.ifa_family = p.family, .ifa_prefixlen = p.bits, .ifa_index = p.index};
	/*
	 * Duplicate detection would delay an IPv6 address for a second, and is not needed on this
	 * link.
	 */
	if (p.family == AF_INET6)
		r.addr.ifa_flags = IFA_F_NODAD;
	attribute(&r, IFA_LOCAL, p.bytes, p.len);
	attribute(&r, IFA_ADDRESS, p.bytes, p.len);
	rc = transact(&r);
	if (rc)
		return mt_err(e, rc, "interface %s: address %s: %s (`ip addr add %s dev %s`)",
			iface, prefix, strerror(-rc), prefix, iface);
	return 0;
}

/* Clears the host bits, which a route must not have. */
static void clear_host_bits(struct prefix *p)
{
	unsigned int from = p->bits + (p->family == AF_INET ? 96u : 0u);

	for (unsigned int bit = from; bit < 128; bit++)
		p->addr.b[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

int mt_kernel_add_route(const char *iface, const char *prefix, struct mt_err *e)
{
	struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.route)),
				    .nlmsg_type = RTM_NEWROUTE,
				    .nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE}};
	struct prefix p;
	int rc = parse(iface, prefix, &p, e);

	if (rc)
		return rc;
	clear_host_bits(&p);
	r.route = (struct rtmsg){.rtm_family = p.family,
		.rtm_dst_len = p.bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = p.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	attribute(&r, RTA_DST, p.bytes, p.len);
	attribute(&r, RTA_OIF, &p.index, sizeof(p.index));
	rc = transact(&r);
	if (rc)
		return mt_err(e, rc, "interface %s: route %s: %s (`ip route add %s dev %s`)", iface,
			prefix, strerror(-rc), prefix, iface);
	return 0;
}

int mt_kernel_link_up(const char *iface, struct mt_err *e)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r;
	int rc = 0;

	memset(&r, 0, sizeof(r));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) != 0)
		rc = -errno;
	r.ifr_flags |= IFF_UP;
	if (rc == 0 && ioctl(fd, SIOCSIFFLAGS, &r) != 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc)
		return mt_err(e, rc, "interface %s: %s (`ip link set dev %s up`)", iface,
			strerror(-rc), iface);
	return 0;
}

void mt_kernel_peer(const char *iface, char peer[IFNAMSIZ])
{
	struct request r = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.link)), .nlmsg_type = RTM_GETLINK}};
	char answer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *h = (const void *)answer;
	unsigned int index = 0;
	ssize_t n;
	int len;

	peer[0] = '\0';
	r.link.ifi_index = (int)if_nametoindex(iface);
	n = exchange(&r, answer, sizeof(answer));
	if (n < 0 || !NLMSG_OK(h, (size_t)n) || h->nlmsg_type != RTM_NEWLINK)
		return;
	len = (int)IFLA_PAYLOAD(h);
	for (const struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, len);
		a = RTA_NEXT(a, len)) {
		/* The index belongs to another namespace. */
		if (a->rta_type == IFLA_LINK_NETNSID)
			return;
		if (a->rta_type == IFLA_LINK && RTA_PAYLOAD(a) >= sizeof(index))
			memcpy(&index, RTA_DATA(a), sizeof(index));
	}
	if (!index || !if_indextoname(index, peer))
		peer[0] = '\0';
}
