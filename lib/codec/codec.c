/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_codec_priv.h"
#include "mt_strmap.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

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
		[MT_REPLY_NO_UPGRADE] = "unknown method",
	};

	return (unsigned int)r < MT_REPLY_N ? words[r] : "unknown";
}

const struct mt_codec *mt_codec_bytes(void)
{
	return &mt_codec_opaque;
}

uint64_t mt_codec_identity(const struct mt_codec *codec)
{
	return codec->content ? codec->content : mt_strhash(codec->name, codec->version);
}

const struct mt_codec *mt_codec_of(uint64_t identity)
{
	for (const struct mt_codec *const *c = mt_codecs; *c; c++)
		if (mt_codec_identity(*c) == identity)
			return *c;
	return NULL;
}

bool mt_codec_alike(const struct mt_codec *a, const struct mt_codec *b)
{
	return a && b && mt_codec_identity(a) == mt_codec_identity(b);
}

/* A header up to this length becomes writable whole, so that a new length needs no second copy. */
#define HEADER_OWNED 16u

/* Makes the first n bytes or more writable, usually in place. NULL: no memory. */
static inline uint8_t *own(
	const struct mt_msg *msg, struct mt_chain *c, uint32_t n, struct mt_pools *p)
{
	struct mt_link *l = mt_link(c->head);

	n = MT_MAX(n, MT_MIN(msg->lead_len, HEADER_OWNED));
	if (mt_unlikely(l->len < n || !mt_buf_writable(c->head)))
		return mt_chain_own_prefix(c, n, p);
	mt_link_touch(l, l->off + n);
	return mt_link_data(c->head);
}

int mt_codec_put_id(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c,
	uint64_t id, struct mt_pools *p)
{
	uint32_t at = codec->correlate.id_at, width = codec->correlate.id_width;
	uint8_t *h = own(msg, c, at + width, p);

	if (mt_unlikely(!h))
		return -ENOMEM;
	if (width == sizeof(id)) {
		mt_put_be64(h + at, id);
	} else {
		id = (uint32_t)id;
		mt_put_be32(h + at, (uint32_t)id);
	}
	msg->id = id;
	return 0;
}

static struct mt_key make_key(const struct mt_codec *codec, const char *name, bool icase)
{
	struct mt_key key = {
		.name = name, .len = (uint16_t)strnlen(name, UINT16_MAX), .id = -1, .icase = icase};

	key.hash = mt_key_hash((const uint8_t *)name, key.len);
	for (int16_t i = 0; codec->keys && codec->keys[i]; i++)
		if ((icase ? strcasecmp : strcmp)(codec->keys[i], name) == 0)
			key.id = i;
	return key;
}

struct mt_key mt_key_make(const struct mt_codec *codec, const char *name)
{
	return make_key(codec, name, false);
}

struct mt_key mt_key_make_icase(const struct mt_codec *codec, const char *name)
{
	return make_key(codec, name, true);
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
