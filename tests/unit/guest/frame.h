/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a guest for tests, field by field. */
#pragma once

#include "mt_test.h"

#include "mt_guest.h"

#define FRAME_MAX 2048

struct frame {
	uint8_t b[FRAME_MAX];
	uint32_t len;
	uint32_t l3, l4; /* offsets of the last headers that were added */
};

/* 52:54:00:09:00:0b with 10.9.0.11, 10.9.0.12, fd00::b; services at 10.0.0.1, fd00:5::1, fe80::1. */
extern const struct mt_guest frame_guest;
extern const uint8_t frame_other_mac[6];

/* Starts a frame of the guest's Ethernet address to another one. */
void frame_ether(struct frame *f, uint16_t type);
void frame_bytes(struct frame *f, const void *data, uint32_t len);
void frame_ip4(struct frame *f, uint8_t proto, const char *source, const char *destination);
void frame_ip6(struct frame *f, uint8_t next, const char *source, const char *destination);
void frame_udp(struct frame *f, uint16_t source, uint16_t destination);
/* An ARP packet with the guest's Ethernet address. */
void frame_arp(struct frame *f, uint16_t op, const char *sender, const char *target);
/* A message of neighbour discovery with a target; NULL: without one (router solicitation). */
void frame_nd(struct frame *f, uint8_t type, const char *target);
void frame_nd_option(struct frame *f, uint8_t type, const uint8_t mac[6]);
/* An extension header of 8 bytes with the next header's number. */
void frame_extension(struct frame *f, uint8_t next);

/* Writes the IP header's length, and the checksum of ICMPv6 after an IPv6 header without extensions. */
void frame_finish(struct frame *f);

/* The sum of an ICMPv6 message with its pseudo header: 0xffff if the checksum is right. */
uint16_t frame_icmp6_sum(const uint8_t *ip, uint32_t len);

/* mt_guest_check() and mt_guest_answer() of the first `len` bytes, in blocks of their exact lengths. */
enum mt_guest_verdict frame_check(const struct mt_guest *g, const struct frame *f, uint32_t len);
uint32_t frame_answer(const struct frame *f, uint32_t len, uint8_t out[MT_GUEST_ANSWER_MAX]);
