/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange view: everything that routes, filters and scripts see of a message. Reads metadata
 * as late as possible and collects changes.
 */
#pragma once

#include "mt_addr.h"
#include "mt_codec.h"

#define MT_VIEW_MUTATIONS 32
#define MT_VIEW_CHANGES	  MT_META_BYTES /* bytes of all their keys and values */

struct mt_view {
	const struct mt_codec *codec;
	struct mt_msg *msg;
	struct mt_chain *chain; /* starts with the message */
	struct mt_addr peer;	/* the client's address */
	uint64_t rnd;		/* one random draw per exchange (weights) */
	/*
	 * Changes by filters and by the route: reads see them first; they are encoded once, when
	 * the message is sent.
	 */
	uint32_t n_mutations;
	struct mt_mutation mutations[MT_VIEW_MUTATIONS];
	uint8_t scratch[MT_META_SCRATCH];
	struct mt_metadata meta;
};

/* Binds the view to a message, without changes. */
static inline void mt_view_bind(
	struct mt_view *v, const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *chain)
{
	v->codec = codec;
	v->msg = msg;
	v->chain = chain;
	v->n_mutations = 0;
	mt_meta_clear(&v->meta);
}

/* Hash input of a balancer for an exchange: the values of the keys, then the client's address. */
struct mt_hash_by {
	struct mt_key *keys;
	uint32_t n_keys;
	bool source;
};

/* Reads the message's index unless it is read. */
static inline enum mt_meta_state mt_view_read(struct mt_view *v)
{
	if (v->meta.state == MT_META_UNREAD)
		mt_meta_read(&v->meta, v->codec, v->msg, v->chain);
	return v->meta.state;
}

/* mt_view_get_in() for the overlay and the index. */
bool mt_view_find(
	struct mt_view *v, const struct mt_key *key, struct mt_slice *value, uint8_t *scratch);

/*
 * mt_view_get() with the caller's scratch (MT_META_SCRATCH bytes): values read before stay valid.
 */
static inline bool mt_view_get_in(
	struct mt_view *v, const struct mt_key *key, struct mt_slice *value, uint8_t *scratch)
{
	if (v->codec->metadata.leading &&
		v->codec->metadata.leading(v->codec, v->msg, v->chain, key, value, scratch))
		return true;
	return mt_view_find(v, key, value, scratch);
}

/*
 * The value of a leading key: from this field of the message if the codec has one
 * (mt_codec.method_field), else by leading(). `scratch` is used if the value is in several buffers.
 * Never searches. False: it is not there. Inlined, because each call uses it.
 */
static mt_inline bool mt_codec_leading(const struct mt_codec *codec, const struct mt_msg *msg,
	const struct mt_chain *c, uint8_t field, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	uint32_t off = msg->field[field].off, len = msg->field[field].len;

	if (mt_likely(field && off && c->head && (uint64_t)off + len <= mt_link(c->head)->len)) {
		*value = (struct mt_slice){mt_link_data(c->head) + off, len};
		return true;
	}
	if (field && !off && msg->kind != MT_MSG_REPLY)
		return false;
	return key->name && codec->metadata.leading &&
	       codec->metadata.leading(codec, msg, c, key, value, scratch);
}

/*
 * The value of a key; false if it is not there. If the key needed no search, the value is valid
 * until the next call, because there is one scratch.
 */
static inline bool mt_view_get(struct mt_view *v, const struct mt_key *key, struct mt_slice *value)
{
	return mt_view_get_in(v, key, value, v->scratch);
}
