/* SPDX-License-Identifier: Apache-2.0 */
#include "dialect.h"
#include "toy.h"

#include <string.h>

const char *const dialect_names[DIALECTS] = {DIALECT_NAMES};

static void draw_toy(struct protocol *p, struct mt_rand *r, bool serial)
{
	*p = (struct protocol){
		.codec = &toy_safe,
		.route_key = "route",
		.route_leads = true,
		.dialects = &dialect_toy,
		.n_dialects = 1,
	};
	if (!serial)
		return;
	p->codec = &toy_serial;
	p->serial = p->ordered = true;
}

void protocol_draw(struct protocol *p, struct mt_rand *r, enum protocol_want want)
{
	bool serial = want == WANT_SERIAL || (want == WANT_ANY && sim_one_in(r, 3));

	draw_toy(p, r, serial);
}

bool dialect_same(const struct dialect *d, const uint8_t *p, uint32_t n, const struct wire_msg *m,
	uint32_t salt, struct rpc_bytes *again)
{
	rpc_clear(again);
	d->write(d, again, m, salt);
	return again->len - again->off == n && memcmp(again->b + again->off, p, n) == 0;
}
