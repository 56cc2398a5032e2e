/* SPDX-License-Identifier: Apache-2.0 */
/* Names and values of one exchange. */
#include "mt_record.h"

#include <stdio.h>
#include <string.h>

void mt_record_text(char *to, size_t room, const char *from, size_t len)
{
	size_t n = MT_MIN(len, room);

	memcpy(to, from, n);
	strcpy(to + n, len > room ? MT_CUT : "");
}

void mt_exchange_name(uint16_t worker, struct mt_ref ref, char name[MT_EXCHANGE_NAME])
{
	snprintf(name, MT_EXCHANGE_NAME, "%u-%u-%u", worker, ref.idx, ref.gen);
}

/* Sets a text; an empty one is absent. */
static void know_text(struct mt_expr_values *v, enum mt_expr_field field, const char *s)
{
	mt_expr_set_str(v, field, s[0] ? s : NULL);
}

void mt_record_know(
	const struct mt_record *r, struct mt_record_texts *made, struct mt_expr_values *v)
{
	bool sent = !mt_addr_is_zero(&r->server);

	mt_exchange_name(r->worker, r->exchange, made->name);
	mt_addr_port_str(&r->server, r->server_port, made->endpoint);
	mt_expr_set_number(v, MT_EXPR_worker, r->worker);
	mt_expr_set_str(v, MT_EXPR_exchange, made->name);
	mt_expr_set_addr(v, MT_EXPR_src, &r->client);
	mt_expr_set_addr(v, MT_EXPR_dst, &r->local);
	mt_expr_set_number(v, MT_EXPR_sport, r->client_port);
	mt_expr_set_number(v, MT_EXPR_dport, r->local_port);
	mt_expr_set_str(v, MT_EXPR_proto, r->proto);
	know_text(v, MT_EXPR_service, r->service);
	know_text(v, MT_EXPR_method, r->method);
	know_text(v, MT_EXPR_route, r->route);
	know_text(v, MT_EXPR_endpoint, sent ? made->endpoint : "");
	mt_expr_set_str(v, MT_EXPR_state, r->state);
	mt_expr_set_str(v, MT_EXPR_status, r->state);
	mt_expr_set_number(v, MT_EXPR_age, r->took);
	mt_expr_set_number(v, MT_EXPR_took, r->took);
	mt_expr_set_number(v, MT_EXPR_bytes, r->bytes_in + r->bytes_out);
}
