/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A namespace of this process's own, with a TAP device as its only link: it is gone when the process is,
 * however that ends. The peer's address is on the device's other side.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_FIRST 1025
#define PORT_LAST  65000

static int tap = -1, diag = -1, listener[2] = {-1, -1};
static uint32_t next_port;

/* Limits that would make answers depend on time, or on other connections; habits that delay. */
static const struct {
	const char *name, *value;
} sysctls[] = {
	{"net/ipv4/tcp_invalid_ratelimit", "0"},
	{"net/ipv4/tcp_challenge_ack_limit", "2147483647"},
	{"net/ipv4/tcp_congestion_control", "reno"},
	{"net/ipv4/tcp_syncookies", "0"},
	{"net/ipv4/tcp_max_syn_backlog", "65536"},
	{"net/core/somaxconn", "65536"},
	{"net/ipv4/tcp_early_retrans", "0"},
	{"net/ipv4/tcp_comp_sack_nr", "0"},
	{"net/ipv4/tcp_autocorking", "0"},
	{"net/ipv4/tcp_fastopen", "0"},
	{"net/ipv4/tcp_backlog_ack_defer", "0"},
	{"net/ipv4/tcp_no_metrics_save", "1"},
	/* as here: a RST does not end TIME-WAIT; a router's marks are echoed when the peer asks */
	{"net/ipv4/tcp_rfc1337", "1"},
	{"net/ipv4/tcp_ecn", "2"},
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/router_solicitations", "0"},
};

static const char *const commands[] = {
	"ip link set lo up",
	"ip link set df0 address 02:00:00:00:00:01",
	"ip link set df0 txqueuelen 5000 up",
	"ip addr add 10.0.0.1/24 dev df0",
	"ip addr add fd00::1/64 dev df0 nodad",
	"ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev df0",
	"ip neigh add fd00::2 lladdr 02:00:00:00:00:02 nud permanent dev df0",
	/* ACKs are not delayed, and nothing is sent again by a timer while a sequence runs */
	"ip route replace 10.0.0.0/24 dev df0 quickack 1 rto_min 5s",
	"ip -6 route replace fd00::/64 dev df0 proto kernel metric 256 quickack 1 rto_min 5s",
};

static bool say(const char *what)
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
		return errno == ENOENT || say(path); /* older kernels lack some */
	fprintf(f, "%s\n", value);
	return fclose(f) == 0 || say(path);
}

static bool make_tap(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "df0");
	return (tap >= 0 && !ioctl(tap, TUNSETIFF, &ifr)) || say("/dev/net/tun");
}

static bool make_listener(bool v6)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	listener[v6] = fd;
	/* a proxy's habits: nothing waits for more to send, urgent bytes stay in line */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)) ||
		listen(fd, 65536))
		return say("the listening socket");
	return true;
}

static int renew(void)
{
	close(tap);
	close(diag);
	close(listener[0]);
	close(listener[1]);
	if (unshare(CLONE_NEWNET)) {
		say("a namespace for the network (root is needed)");
		return 77;
	}
	if (!make_tap())
		return 77;
	for (size_t i = 0; i < MT_ARRAY_LEN(sysctls); i++)
		if (!set_sysctl(sysctls[i].name, sysctls[i].value))
			return 1;
	for (size_t i = 0; i < MT_ARRAY_LEN(commands); i++)
		if (system(commands[i]) != 0)
			return fprintf(stderr, "failed: %s\n", commands[i]), 1;
	diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	next_port = PORT_FIRST;
	return diag >= 0 && make_listener(false) && make_listener(true) ? 0 : 1;
}

int df_kernel_up(void)
{
	return renew();
}

bool df_ports_for(uint32_t n)
{
	return next_port + n <= PORT_LAST || renew() == 0;
}

uint16_t df_port(void)
{
	return (uint16_t)next_port++;
}

int df_listener(bool v6)
{
	return listener[v6];
}

/* ---- the TAP ---- */

int df_tap_read(uint8_t *frame, uint32_t size)
{
	return (int)read(tap, frame, size);
}

void df_tap_write(const uint8_t *frame, uint32_t len)
{
	if (write(tap, frame, len) != (ssize_t)len)
		say("a frame could not be written");
}

bool df_tap_wait(uint32_t us)
{
	struct timespec ts = {.tv_nsec = (long)us * 1000};
	struct pollfd p = {.fd = tap, .events = POLLIN};

	return ppoll(&p, 1, &ts, NULL) > 0;
}

/* ---- states ---- */

static uint8_t state_of(uint32_t kernel)
{
	static const uint8_t names[] = {[TCP_ESTABLISHED] = DF_ESTABLISHED,
		[TCP_SYN_SENT] = DF_SYN_SENT,
		[TCP_SYN_RECV] = DF_SYN_RECEIVED,
		[TCP_FIN_WAIT1] = DF_FIN_WAIT_1,
		[TCP_FIN_WAIT2] = DF_FIN_WAIT_2,
		[TCP_TIME_WAIT] = DF_TIME_WAIT,
		[TCP_CLOSE] = DF_CLOSED,
		[TCP_CLOSE_WAIT] = DF_CLOSE_WAIT,
		[TCP_LAST_ACK] = DF_LAST_ACK,
		[TCP_LISTEN] = DF_CLOSED,
		[TCP_CLOSING] = DF_CLOSING,
		[12] = DF_SYN_RECEIVED}; /* TCP_NEW_SYN_RECV */

	return kernel < MT_ARRAY_LEN(names) ? names[kernel] : DF_CLOSED;
}

uint8_t df_kernel_state(const struct df_track *t)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} ask = {
		.h = {.nlmsg_len = sizeof(ask),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST},
		.r = {.sdiag_family = t->q->v6 ? AF_INET6 : AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = UINT32_MAX,
			.id = {.idiag_sport = htons(t->lport),
				.idiag_dport = htons(t->port),
				.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};
	uint8_t answer[1024];
	const struct nlmsghdr *h = (const struct nlmsghdr *)answer;

	inet_pton(ask.r.sdiag_family, t->q->v6 ? "fd00::1" : "10.0.0.1", ask.r.id.idiag_src);
	inet_pton(ask.r.sdiag_family, t->q->v6 ? "fd00::2" : "10.0.0.2", ask.r.id.idiag_dst);
	if (send(diag, &ask, sizeof(ask), 0) < 0 || recv(diag, answer, sizeof(answer), 0) < 0 ||
		h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return DF_CLOSED;
	return state_of(((const struct inet_diag_msg *)NLMSG_DATA(h))->idiag_state);
}
