/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_codec_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

const struct mt_codec *const mt_codecs[] = {
	&mt_codec_dubbo,
	&mt_codec_thrift,
	&mt_codec_awesomerpc,
	&mt_codec_opaque,
	NULL,
};

const char *mt_local_reply_str(enum mt_local_reply r)
{
	static const char *const words[MT_REPLY_N] = {
		[MT_REPLY_NO_ROUTE] = "no route",
		[MT_REPLY_NO_CLUSTER] = "no cluster",
		[MT_REPLY_NO_ENDPOINT] = "no healthy endpoint",
		[MT_REPLY_OVER_LIMIT] = "over limit",
		[MT_REPLY_OVERLOAD] = "overload",
		[MT_REPLY_TIMEOUT] = "timeout",
		[MT_REPLY_CONN_LOST] = "upstream connection lost",
		[MT_REPLY_BAD_REQUEST] = "malformed request",
		[MT_REPLY_BAD_REPLY] = "malformed reply",
		[MT_REPLY_UNSUPPORTED] = "unsupported",
		[MT_REPLY_DENIED] = "denied",
		[MT_REPLY_TOO_LARGE] = "too much metadata",
	};

	return (unsigned int)r < MT_REPLY_N ? words[r] : "unknown";
}

const struct mt_codec *mt_codec_find(const char *name)
{
	for (const struct mt_codec *const *c = mt_codecs; *c; c++)
		if (strcasecmp((*c)->name, name) == 0 ||
			((*c)->aeraki_name && strcmp((*c)->aeraki_name, name) == 0))
			return *c;
	return NULL;
}

struct mt_key mt_key_make(const struct mt_codec *codec, const char *name)
{
	struct mt_key key = {.name = name, .len = (uint16_t)strnlen(name, UINT16_MAX), .id = -1};

	key.hash = mt_key_hash((const uint8_t *)name, key.len);
	for (int16_t i = 0; codec->keys && codec->keys[i]; i++)
		if (strcmp(codec->keys[i], name) == 0)
			key.id = i;
	return key;
}

void mt_decoder_init(struct mt_decoder *d, const struct mt_codec *codec, enum mt_dir dir,
	uint8_t opts, const struct mt_chain *c)
{
	*d = (struct mt_decoder){
		.codec = codec,
		.dir = dir,
		.opts = opts,
		.max_message = codec->max_message,
		.steps = UINT32_MAX,
	};
	mt_cursor_init(&d->cur, c, 0);
}

void mt_decoder_next(struct mt_decoder *d)
{
	d->taken = 0;
	if (d->step) {
		memset(d->state, 0, sizeof(d->state));
		d->step = 0;
	}
	mt_cursor_init(&d->cur, d->cur.chain, 0);
}

void mt_decoder_taken(struct mt_decoder *d, uint32_t n)
{
	d->taken += n;
	d->cur.pos -= MT_MIN(n, d->cur.pos);
	if (d->cur.end != UINT32_MAX)
		d->cur.end -= MT_MIN(n, d->cur.end);
	mt_cursor_resync(&d->cur);
}

bool mt_codec_slice(const struct mt_chain *c, uint32_t off, uint32_t len, struct mt_slice *value,
	uint8_t *scratch)
{
	static const uint8_t none[1];

	if (len > MT_META_SCRATCH)
		return false;
	value->p = len ? mt_chain_peek(c, off, len, scratch) : none;
	value->len = len;
	return value->p != NULL;
}

int mt_codec_copy(struct mt_cursor *cur, uint32_t len, struct mt_chain *out, struct mt_pools *p)
{
	const uint8_t *from;
	uint32_t n;

	for (; len > 0; len -= n) {
		n = MT_MIN(mt_cursor_run(cur, &from), len);
		if (n == 0)
			return -EINVAL;
		if (mt_chain_write(out, p, from, n))
			return -ENOMEM;
		mt_cursor_skip(cur, n);
	}
	return 0;
}

int mt_codec_own(struct mt_chain *c, uint32_t off, uint32_t n, struct mt_pools *p)
{
	uint8_t same[16];

	MT_ASSERT(n <= sizeof(same));
	mt_chain_read(c, off, same, n);
	return mt_chain_patch(c, off, same, n, p);
}

void mt_codec_put_head(struct mt_chain *c, uint32_t old, struct mt_chain *head)
{
	uint32_t epoch = c->epoch;

	mt_chain_drop(c, old);
	mt_chain_concat(head, c);
	*c = *head;
	c->epoch = epoch + 2;
	*head = (struct mt_chain){0};
}
