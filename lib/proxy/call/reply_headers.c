/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers that rate limit services set in the server's reply to a call (response_headers_to_add).
 * The call keeps them, of bounded number and size, until it ends, so that they are added to the
 * reply of whichever attempt answers. Local replies and copies for mirrors do not get them. They
 * are changes of the reply's metadata besides those of filters and route, which count for the same
 * key. If the headers cannot be written, the reply is forwarded with the other changes alone
 * (pool/updecode.c).
 */
#include "call/mt_call_priv.h"

#include <string.h>

/* Both lengths, which are before the key, its final zero and the value. */
#define HEAD (2 * sizeof(uint16_t))

static bool put(struct mt_limit_headers *h, const struct mt_mutation *m)
{
	size_t len = HEAD + m->key_len + 1u + m->value_len;
	uint8_t *to = h->bytes + h->used;

	if (h->n == MT_LIMIT_HEADERS || len > sizeof(h->bytes) - h->used)
		return false;
	memcpy(to, &m->key_len, sizeof(m->key_len));
	memcpy(to + sizeof(m->key_len), &m->value_len, sizeof(m->value_len));
	memcpy(to + HEAD, m->key, m->key_len);
	to[HEAD + m->key_len] = '\0';
	memcpy(to + HEAD + m->key_len + 1, m->value, m->value_len);
	h->used = (uint16_t)(h->used + len);
	h->n++;
	return true;
}

/* Reads the next header from position *at on. False: there is none. */
static bool next(const struct mt_limit_headers *h, uint32_t *at, struct mt_mutation *m)
{
	const uint8_t *from = h->bytes + *at;
	size_t left = h->used - *at, len;

	if (left < HEAD)
		return false;
	memcpy(&m->key_len, from, sizeof(m->key_len));
	memcpy(&m->value_len, from + sizeof(m->key_len), sizeof(m->value_len));
	len = HEAD + m->key_len + 1u + m->value_len;
	if (len > left)
		return false;
	m->key = (const char *)from + HEAD;
	m->value = m->key + m->key_len + 1;
	*at += (uint32_t)len;
	return true;
}

mt_noinline void mt_reply_headers_keep(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r)
{
	struct mt_limit_headers *h = &p->limit_headers[ex->self.idx];
	uint32_t i = 0;

	if (ex->oneway)
		return;
	if (!ex->limit_headers)
		h->n = h->used = 0;
	while (ex->codec->rewrite.mutate && i < r->n_reply_changes && put(h, &r->reply_changes[i]))
		i++;
	ex->limit_headers = h->n > 0;
	if (i < r->n_reply_changes)
		mt_count(p->counters, MT_PROXY_limit_headers_left);
}

/* True if the first n changes of the view include this key. */
static bool has_key(const struct mt_view *v, uint32_t n, const struct mt_mutation *m)
{
	for (uint32_t i = 0; i < n; i++)
		if (v->mutations[i].key_len == m->key_len &&
			memcmp(v->mutations[i].key, m->key, m->key_len) == 0)
			return true;
	return false;
}

void mt_reply_headers_show(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_limit_headers *h = &p->limit_headers[ex->self.idx];
	struct mt_view *v = &p->view;
	uint32_t others = v->n_mutations, at = 0;
	struct mt_mutation m;

	while (next(h, &at, &m))
		if (!has_key(v, others, &m))
			(void)mt_filter_change(&p->filters, v, &m);
}
