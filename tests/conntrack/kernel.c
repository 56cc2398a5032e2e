/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A namespace of this process's own that forwards between two networks of one TUN device, with
 * a rule of netfilter that makes the kernel track connections. The namespace is gone when the
 * process is, however that ends. The write of a packet to the device returns when the kernel has
 * processed it; the packets that it forwards are not read. States are read by ctnetlink.
 */
#include "../unit/l4/conn.h"
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS	    0x0a010000u /* 10.1.0.0 + the sequence's place in its batch */
#define SERVER	    0x0ac80001u /* 10.200.0.1 */
#define CLIENT_PORT 7000
#define SERVER_PORT 5432
#define BLOCK	    14 /* bytes of Ethernet in a frame */

static int tun = -1, netlink = -1;

static const struct {
	const char *name, *value;
} sysctls[] = {
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	{"net/ipv4/conf/ct0/rp_filter", "0"},
	/* state machines are compared, not windows: lib/l4 knows none */
	{"net/netfilter/nf_conntrack_tcp_be_liberal", "1"},
	/* a flow begins with a SYN */
	{"net/netfilter/nf_conntrack_tcp_loose", "0"},
	/* nothing expires while a batch runs */
	{"net/netfilter/nf_conntrack_tcp_timeout_syn_sent", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_syn_recv", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_fin_wait", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_last_ack", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_time_wait", "3600"},
	{"net/netfilter/nf_conntrack_tcp_timeout_close", "3600"},
};

static const char *const commands[] = {
	"ip link set ct0 up",
	"ip route add 10.0.0.0/8 dev ct0",
	"iptables -A FORWARD -m conntrack --ctstate INVALID",
};

static bool failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return false;
}

static bool set_sysctl(const char *name, const char *value)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	f = fopen(path, "w");
	if (!f)
		return failed(path);
	fprintf(f, "%s\n", value);
	return fclose(f) == 0 || failed(path);
}

static bool open_tun(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "ct0"};

	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return (tun >= 0 && !ioctl(tun, TUNSETIFF, &ifr)) || failed("/dev/net/tun");
}

int ct_kernel_up(void)
{
	if (unshare(CLONE_NEWNET)) {
		failed("a network namespace (root is needed)");
		return 77;
	}
	if (!open_tun())
		return 77;
	for (size_t i = 0; i < MT_ARRAY_LEN(commands); i++)
		if (system(commands[i]) != 0) {
			fprintf(stderr, "failed: %s\n", commands[i]);
			return 77;
		}
	for (size_t i = 0; i < MT_ARRAY_LEN(sysctls); i++)
		if (!set_sysctl(sysctls[i].name, sysctls[i].value))
			return 77;
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (netlink < 0) {
		failed("ctnetlink");
		return 77;
	}
	return 0;
}

/* ---- ctnetlink --------------------------------------------------------------------------------- */

static bool request(uint16_t type, uint16_t flags)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} ask = {
		.h = {.nlmsg_len = sizeof(ask),
			.nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type),
			.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
		.g = {.nfgen_family = AF_INET, .version = NFNETLINK_V0},
	};

	return send(netlink, &ask, sizeof(ask), 0) == sizeof(ask) || failed("ctnetlink");
}

/* The attribute of this type among `len` bytes of attributes; NULL: there is none. */
static const struct nlattr *find(const void *attributes, size_t len, uint16_t type)
{
	const uint8_t *p = attributes;

	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (step >= len)
			return NULL;
		p += step;
		len -= step;
	}
	return NULL;
}

static const struct nlattr *inside(const struct nlattr *a, uint16_t type)
{
	return a ? find((const uint8_t *)a + NLA_HDRLEN, a->nla_len - (size_t)NLA_HDRLEN, type)
		 : NULL;
}

static uint32_t address(const struct nlattr *ip, uint16_t type)
{
	const struct nlattr *a = inside(ip, type);
	uint32_t be = 0;

	if (a && a->nla_len == NLA_HDRLEN + sizeof(be))
		memcpy(&be, (const uint8_t *)a + NLA_HDRLEN, sizeof(be));
	return ntohl(be);
}

/* Notes the state of an entry as that of segment i of its sequence. */
static void note(const struct nlmsghdr *h, struct ct_states *states, uint32_t n, uint32_t i)
{
	const uint8_t *p = (const uint8_t *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	size_t len = h->nlmsg_len - (size_t)(p - (const uint8_t *)h);
	const struct nlattr *ip = inside(find(p, len, CTA_TUPLE_ORIG), CTA_TUPLE_IP);
	const struct nlattr *state = inside(
		inside(find(p, len, CTA_PROTOINFO), CTA_PROTOINFO_TCP), CTA_PROTOINFO_TCP_STATE);
	uint32_t src = address(ip, CTA_IP_V4_SRC), dst = address(ip, CTA_IP_V4_DST);
	uint32_t at = (src == SERVER ? dst : src) - CLIENTS;

	if (!state || at >= n)
		return;
	states[at].kernel[i] = src == SERVER ? CT_REVERSED : ((const uint8_t *)state)[NLA_HDRLEN];
}

static bool read_states(struct ct_states *states, uint32_t n, uint32_t i)
{
	static uint8_t buf[1 << 17];

	if (!request(IPCTNL_MSG_CT_GET, NLM_F_DUMP))
		return false;
	for (;;) {
		ssize_t len = recv(netlink, buf, sizeof(buf), 0);
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

		if (len < 0)
			return failed("ctnetlink");
		for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return true;
			if (h->nlmsg_type == NLMSG_ERROR)
				return failed("ctnetlink refuses the dump");
			note(h, states, n, i);
		}
	}
}

/* ---- sequences --------------------------------------------------------------------------------- */

static bool write_segment(const struct ct_segment *g, uint32_t at)
{
	char client[INET_ADDRSTRLEN], server[INET_ADDRSTRLEN];
	struct in_addr a = {htonl(CLIENTS + at)}, b = {htonl(SERVER)};
	struct cn_segment s = {.src = g->from ? server : client,
		.dst = g->from ? client : server,
		.sport = g->from ? SERVER_PORT : CLIENT_PORT,
		.dport = g->from ? CLIENT_PORT : SERVER_PORT,
		.seq = g->seq,
		.ack = g->ack,
		.flags = g->flags,
		.data = g->len,
		.stamp = g->stamp};
	struct fx_pkt p = {0};

	inet_ntop(AF_INET, &a, client, sizeof(client));
	inet_ntop(AF_INET, &b, server, sizeof(server));
	cn_frame(&s, &p);
	return write(tun, p.b + BLOCK, p.len - BLOCK) == p.len - BLOCK ||
	       failed("a packet could not be written");
}

bool ct_kernel_run(const struct ct_sequence *q, struct ct_states *states, uint32_t n)
{
	bool more = true;

	if (!request(IPCTNL_MSG_CT_DELETE, 0))
		return false;
	for (uint32_t k = 0; k < n; k++)
		memset(states[k].kernel, CT_NONE, sizeof(states[k].kernel));
	for (uint32_t i = 0; more && i < CT_SEGMENTS; i++) {
		more = false;
		for (uint32_t k = 0; k < n; k++) {
			if (i >= q[k].n)
				continue;
			if (!write_segment(&q[k].at[i], k))
				return false;
			more = true;
		}
		if (more && !read_states(states, n, i))
			return false;
	}
	return true;
}
