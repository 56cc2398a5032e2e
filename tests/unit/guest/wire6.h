/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6 messages for tests: requests byte by byte, and replies as text, which a second parser reads. */
#pragma once

#include "frame.h"

#include "mt_dhcp6.h"

enum {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	RECONFIGURE,
	INFORMATION,
	RELAY_FORWARD,
	RELAY_REPLY
};

#define WIRE6_MAX  1800
#define WIRE6_TEXT 16384

#define WIRE6_LINK    "fe80::b"
#define WIRE6_SERVERS "ff02::1:2"

/* 02:00:00:00:00:01, fe80::1, lease 3,600 s, name server fd00:5::35, domains shop.svc and x. */
extern const struct mt_gateway6 wire6_gateway;
extern const uint8_t wire6_client[10], wire6_server[10]; /* identifiers */

struct wire6 {
	uint8_t b[WIRE6_MAX];
	uint32_t len;
};

/* Starts a message of this type, without an option. */
void wire6_message(struct wire6 *w, uint8_t type);
void wire6_bytes(struct wire6 *w, const void *data, uint32_t len);
void wire6_option(struct wire6 *w, uint16_t code, const void *data, uint16_t len);
/* Appends identifiers of the client and, with `server`, of the server. */
void wire6_ids(struct wire6 *w, bool server);
/* Starts an option that contains others, with these bytes before them. Returns its place. */
uint32_t wire6_open(struct wire6 *w, uint16_t code, const void *data, uint32_t len);
void wire6_close(struct wire6 *w, uint32_t place);
/* Appends an IA_NA with up to two addresses; NULL: without. */
void wire6_ia(struct wire6 *w, uint8_t id, const char *first, const char *second);

/* Makes a frame of the guest that contains the message. */
void wire6_frame(
	struct frame *f, const struct wire6 *w, const char *source, const char *destination);
/* Writes the checksum of a frame that has been changed. */
void wire6_checksum(struct frame *f);

/*
 * Answers the first `len` bytes of a frame in a block of their length. `text` becomes the reply: its
 * type, then each option as "CODE=VALUE", or "CODE={...}" with the options in it. It is empty
 * without a reply. All lengths and the checksum of the reply must be right.
 */
enum mt_dhcp6_verdict wire6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const struct frame *f, uint32_t len, char text[WIRE6_TEXT], struct mt_dhcp6_reply *reply);
/* The same for a message from the guest's link-local address to the group. */
enum mt_dhcp6_verdict wire6_ask(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const struct wire6 *w, char text[WIRE6_TEXT], struct mt_dhcp6_reply *reply);
/* The frame of the last reply. */
extern uint8_t wire6_last[MT_GATEWAY6_FRAME_MAX];
