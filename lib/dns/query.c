/* SPDX-License-Identifier: Apache-2.0 */
/* Parses queries (RFC 1035 §4, RFC 6891), and matches replies with queries. */
#include "mt_dns_priv.h"

#include <string.h>

#define UDP_DEFAULT 512 /* RFC 1035 §4.2.1 */

static bool read_opt(struct dns_query *q, const uint8_t *rr)
{
	if (q->edns)
		return false; /* one at most (RFC 6891 §6.1.1) */
	q->edns = true;
	q->opt = (uint16_t)(rr + 2 - q->msg);
	q->udp_size = dns_be16(rr + 2);
	q->version = rr[5];
	q->dnssec_ok = dns_be16(rr + 6) & OPT_DO;
	return true;
}

/* Reads one record; `extra`: it is in the additional section, where OPT is allowed. */
static bool read_record(struct dns_query *q, uint32_t *off, bool extra)
{
	uint32_t owner = *off;
	const uint8_t *rr;

	if (!dns_name_skip(q->msg, q->len, off) || *off + 10 > q->len)
		return false;
	rr = q->msg + *off;
	*off += 10u + dns_be16(rr + 8);
	if (*off > q->len)
		return false;
	if (dns_be16(rr) != TYPE_OPT)
		return true;
	return extra && q->msg[owner] == 0 && read_opt(q, rr);
}

static bool read_question(struct dns_query *q, uint32_t *off)
{
	if (!dns_name_read(q->msg, q->len, off, &q->name) || *off + 4 > q->len)
		return false;
	q->type = dns_be16(q->msg + *off);
	q->class = dns_be16(q->msg + *off + 2);
	*off += 4;
	q->question_end = (uint16_t)*off;
	return true;
}

int dns_query_parse(struct dns_query *q, const uint8_t *msg, uint32_t len)
{
	uint32_t off = DNS_HEADER, others, extra;

	memset(q, 0, offsetof(struct dns_query, name));
	q->edns = q->dnssec_ok = false;
	q->version = 0;
	q->udp_size = q->opt = 0;
	if (len < DNS_HEADER || len > MT_DNS_TCP_MAX)
		return -1;
	q->msg = msg;
	q->len = len;
	q->id = dns_be16(msg);
	q->flags = dns_be16(msg + 2);
	if (q->flags & FLAG_QR)
		return -1;
	if (q->flags & FLAGS_OPCODE)
		return RCODE_NOTIMP;
	others = (uint32_t)dns_be16(msg + 6) + dns_be16(msg + 8);
	extra = dns_be16(msg + 10);
	if (dns_be16(msg + 4) != 1 || !read_question(q, &off))
		return RCODE_FORMERR;
	for (uint32_t i = 0; i < others + extra; i++)
		if (!read_record(q, &off, i >= others))
			return RCODE_FORMERR;
	return off == len ? RCODE_OK : RCODE_FORMERR;
}

uint32_t dns_query_limit(const struct dns_query *q)
{
	uint32_t says = q->edns ? q->udp_size : UDP_DEFAULT;

	return MT_MIN(MT_MAX(says, (uint32_t)UDP_DEFAULT), (uint32_t)MT_DNS_UDP_MAX);
}

uint32_t mt_dns_datagram_limit(const uint8_t *msg, uint32_t len)
{
	struct dns_query q;

	return dns_query_parse(&q, msg, len) == RCODE_OK ? dns_query_limit(&q) : UDP_DEFAULT;
}

void mt_dns_query_rewrite(const uint8_t *msg, uint32_t len, uint16_t id, uint8_t *out)
{
	struct dns_query q;

	memcpy(out, msg, len);
	mt_dns_set_id(out, id);
	if (dns_query_parse(&q, msg, len) != RCODE_OK || q.udp_size <= MT_DNS_UDP_MAX)
		return;
	out[q.opt] = MT_DNS_UDP_MAX >> 8;
	out[q.opt + 1] = MT_DNS_UDP_MAX & 0xff;
}

bool mt_dns_is_reply_to(
	const uint8_t *reply, uint32_t len, const uint8_t *query, uint32_t query_len)
{
	struct dns_name asked, said;
	uint32_t a = DNS_HEADER, b = DNS_HEADER;

	if (len < DNS_HEADER || len > MT_DNS_TCP_MAX || mt_dns_id(reply) != mt_dns_id(query))
		return false;
	if (!(dns_be16(reply + 2) & FLAG_QR) || dns_be16(reply + 2) & FLAGS_OPCODE)
		return false;
	/* An error may have no question, if the server could not read it. */
	if (dns_be16(reply + 4) == 0)
		return mt_dns_rcode(reply) != RCODE_OK;
	if (dns_be16(reply + 4) != 1 || !dns_name_read(query, query_len, &a, &asked) ||
		!dns_name_read(reply, len, &b, &said))
		return false;
	return said.len == asked.len && memcmp(said.b, asked.b, said.len) == 0 && b + 4 <= len &&
	       a + 4 <= query_len && memcmp(reply + b, query + a, 4) == 0;
}
