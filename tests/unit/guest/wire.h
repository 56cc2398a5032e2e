/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP messages for tests: requests byte by byte, and replies as text, which a second parser reads. */
#pragma once

#include "mt_test.h"

#include "mt_dhcp.h"

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

/* Addresses of the guest, of its gateway, and of another station, in host byte order. */
#define GUEST	0x0a09000bu
#define GATEWAY 0x0a090001u
#define OTHER	0x0a09000cu

#define WIRE_MAX  2048
#define WIRE_TEXT 8192

extern const struct mt_dhcp_guest wire_guest;

struct wire {
	uint8_t b[WIRE_MAX];
	uint32_t len; /* without the END option */
};

/* Starts a message of the guest: of this type, or of BOOTP (0). It has no END option yet. */
void wire_message(struct wire *w, uint8_t type);
void wire_option(struct wire *w, uint8_t code, const void *data, uint8_t len);
void wire_option32(struct wire *w, uint8_t code, uint32_t value);
/* Writes an address into a fixed field. */
void wire_field(struct wire *w, uint32_t at, uint32_t value);

/*
 * Answers a message in a block of its exact length. `text` becomes the reply: its type, the "to",
 * "your" and "client" addresses, then each option as "CODE=VALUE". It is empty without a reply.
 */
enum mt_dhcp_verdict wire_answer(const struct mt_dhcp_guest *g, const uint8_t *msg, uint32_t len,
	char text[WIRE_TEXT], struct mt_dhcp_reply *reply);
/* The same for a message to which it adds the END option. */
enum mt_dhcp_verdict wire_ask(const struct mt_dhcp_guest *g, const struct wire *w,
	char text[WIRE_TEXT], struct mt_dhcp_reply *reply);
