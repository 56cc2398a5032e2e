/* SPDX-License-Identifier: Apache-2.0 */
#include "record_wire.h"

#include <string.h>

#define COMMANDS 64
#define LONGEST	 60000

static uint8_t text[65536];

uint32_t record_wire(struct reader *in, struct peer *p, uint8_t *wire)
{
	uint32_t len = 0;

	for (int i = 0; i < COMMANDS && in->left && len < LONGEST; i++) {
		uint32_t command = u8(in), n = u16(in);
		struct peer_how how = {.type = (uint8_t)(20 + command % 5)};

		n = command & 0x80 ? n % 18000 : MT_MIN(n, (uint32_t)in->left);
		memset(text, command, sizeof(text));
		if (!(command & 0x80) && n) {
			memcpy(text, in->at, n);
			in->at += n;
			in->left -= n;
		}
		if ((command & 0x60) == 0x60) {
			memcpy(wire + len, text, n);
			len += n;
			continue;
		}
		if (command & 0x40)
			how.padding = u16(in) % 600;
		if (command & 0x20)
			how.outer = (uint8_t)u8(in);
		len += peer_seal(p, &how, text, n, wire + len);
		if (how.type == 22 && n == 5 && text[0] == 24 && text[3] == 1 &&
			p->suite->version == 0x0304)
			peer_next(p, &p->tx);
	}
	return len;
}
