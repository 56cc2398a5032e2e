/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the codecs. */
#pragma once

#include "mt_codec.h"

#include <string.h>
#include <strings.h>

#include <rte_byteorder.h>

#define MT_CODEC(folder) extern const struct mt_codec mt_codec_##folder;
#include "codecs.def"
#undef MT_CODEC

static inline uint32_t mt_get_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

static inline uint64_t mt_get_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_64(v);
}

static inline void mt_put_be32(void *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void mt_put_be64(void *p, uint64_t v)
{
	v = rte_cpu_to_be_64(v);
	memcpy(p, &v, sizeof(v));
}

/*
 * Texts of local replies that refuse a call (denied, over a limit, overload) begin so. A Meltemi
 * that is the client of another one thereby knows them from errors of servers.
 */
#define MT_REFUSAL_MARK "meltemi: "

/* The text of a local reply, for write.reply(), and its mark. Returns the length, at most `max`. */
uint32_t mt_codec_local_text(enum mt_local_reply what, const char *text, char *to, uint32_t max);

/* Copies at most n bytes at `off` of the message into e->text. */
void mt_error_text(struct mt_error *e, const struct mt_chain *c, const struct mt_msg *msg,
	uint32_t off, uint32_t n);

/* Bytes of this message that have arrived, including those already cut through. */
static inline uint64_t mt_decoder_arrived(const struct mt_decoder *d)
{
	return (uint64_t)d->taken + d->cur.chain->len;
}

/* Offset of the cursor in the message. */
static inline uint32_t mt_decoder_pos(const struct mt_decoder *d)
{
	return d->taken + d->cur.pos;
}

/*
 * [off, off + len) of the chain in one piece; false if it is longer than the scratch or not there.
 */
bool mt_codec_slice(const struct mt_chain *c, uint32_t off, uint32_t len, struct mt_slice *value,
	uint8_t *scratch);

/* True if a name that lies in one piece is the key's. */
static inline bool mt_codec_key_eq(const struct mt_key *key, struct mt_slice name)
{
	if (name.len != key->len)
		return false;
	if (memcmp(name.p, key->name, name.len) == 0)
		return true;
	return key->icase && strncasecmp((const char *)name.p, key->name, name.len) == 0;
}

/*
 * Replaces the first `old` bytes by `head`, which is empty then. A change is all or nothing if it
 * builds the head first and calls this last.
 */
void mt_codec_put_head(struct mt_chain *c, uint32_t old, struct mt_chain *head);

/*
 * Copies len bytes at the cursor to the end of out and moves on. Returns 0, -ENOMEM, or -EINVAL
 * (they are not there).
 */
int mt_codec_copy(struct mt_cursor *cur, uint32_t len, struct mt_chain *out, struct mt_pools *p);

/*
 * Makes n (at most 16) bytes at `off` writable without changing them, so that patching them
 * afterwards cannot fail. This makes a change in two places all or nothing. Returns 0 or -ENOMEM.
 */
int mt_codec_own(struct mt_chain *c, uint32_t off, uint32_t n, struct mt_pools *p);
