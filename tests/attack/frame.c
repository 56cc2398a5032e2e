/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, the packet socket, and the pace. */
#include "flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define ETH 14
#define IP  20

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint32_t draw(struct flood *f, uint32_t below)
{
	return mt_rand_below(&f->rand, below);
}

uint32_t any_source(struct flood *f)
{
	return f->net | (1 + draw(f, 65534));
}

static uint32_t add_up(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void resum(uint8_t *b, uint16_t l4)
{
	uint8_t *ip = b + ETH, *tcp = ip + IP;

	put16(ip + 10, 0);
	put16(ip + 10, folded(add_up(0, ip, IP)));
	put16(tcp + 16, 0);
	put16(tcp + 16, folded(add_up(add_up(6u + l4, ip + 12, 8), tcp, l4)));
}

uint16_t make_frame(const struct flood *f, uint8_t *b, const struct seg *s)
{
	uint16_t l4 = (uint16_t)(20 + s->opt_len + s->len);
	uint8_t *ip = b + ETH, *tcp = ip + IP;

	memcpy(b, f->hop, 6);
	memcpy(b + 6, f->mac, 6);
	put16(b + 12, ETHERTYPE_IP);
	memset(ip, 0, IP + 20);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(IP + l4));
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	put32(ip + 12, s->src);
	put32(ip + 16, s->dst);
	put16(tcp, s->sport);
	put16(tcp + 2, s->dport);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)((20 + s->opt_len) / 4 << 4);
	tcp[13] = s->flags;
	put16(tcp + 14, s->wnd);
	memcpy(tcp + 20, s->opts, s->opt_len);
	if (s->len)
		memcpy(tcp + 20 + s->opt_len, s->data, s->len);
	resum(b, l4);
	return (uint16_t)(ETH + IP + l4);
}

void send_frame(struct flood *f, const uint8_t *b, uint16_t len)
{
	if (send(f->fd, b, len, MSG_DONTWAIT) == len)
		f->sent++;
	else
		f->refused++;
}

void send_seg(struct flood *f, const struct seg *s)
{
	uint8_t b[FRAME_MAX];

	send_frame(f, b, make_frame(f, b, s));
}

bool pace(const struct flood *f, uint64_t start, uint64_t n)
{
	uint64_t due = start + n * 1000000000 / f->rate, now = now_ns();

	/* Frames leave in small bursts: a sleep for each would end too late for all of them. */
	if (due > now + 1000000) {
		struct timespec ts = {.tv_nsec = 1000000};

		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	return now < f->end;
}

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

void open_wire(struct flood *f, const char *iface, bool listen)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	struct ifreq r = {0};
	int room = 8 << 20;

	at.sll_protocol = listen ? htons(ETH_P_ALL) : 0;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	f->fd = socket(AF_PACKET, SOCK_RAW, at.sll_protocol);
	if (f->fd < 0)
		die("a packet socket");
	if (ioctl(f->fd, SIOCGIFHWADDR, &r) < 0)
		die(iface);
	memcpy(f->mac, r.ifr_hwaddr.sa_data, 6);
	if (ioctl(f->fd, SIOCGIFINDEX, &r) < 0)
		die(iface);
	at.sll_ifindex = f->ifindex = r.ifr_ifindex;
	setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(f->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (bind(f->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
}

bool next_seen(struct flood *f, struct seen *s)
{
	for (;;) {
		struct sockaddr_ll from;
		socklen_t room = sizeof(from);
		uint8_t b[128];
		ssize_t n = recvfrom(f->fd, b, sizeof(b), MSG_DONTWAIT | MSG_TRUNC,
			(struct sockaddr *)&from, &room);
		const uint8_t *ip = b + ETH, *tcp = ip + IP;

		if (n < 0)
			return false;
		if (n < ETH + IP + 20 || get16(b + 12) != ETHERTYPE_IP || ip[0] != 0x45 ||
			ip[9] != IPPROTO_TCP)
			continue;
		s->src = get32(ip + 12);
		s->dst = get32(ip + 16);
		s->sport = get16(tcp);
		s->dport = get16(tcp + 2);
		s->seq = get32(tcp + 4);
		s->ack = get32(tcp + 8);
		s->flags = tcp[13];
		s->wnd = get16(tcp + 14);
		s->len = (uint16_t)(get16(ip + 2) - IP - (tcp[12] >> 4) * 4);
		s->ours = from.sll_pkttype == PACKET_OUTGOING;
		return true;
	}
}

void report(const struct flood *f, const char *more)
{
	printf("{\"sent\": %llu, \"refused\": %llu%s}\n", (unsigned long long)f->sent,
		(unsigned long long)f->refused, more);
}
