/* SPDX-License-Identifier: Apache-2.0 */
/* Changes THeader's infos: writes the header block again; the message after it stays. */
#include "thrift.h"

#include <errno.h>

struct build {
	const struct mt_chain *from;
	const struct mt_mutation *mu;
	uint32_t n_mu;
	struct mt_pools *pools;
	struct mt_chain pairs[THRIFT_INFO_KINDS]; /* pairs that stay, by kind of block */
	uint32_t count[THRIFT_INFO_KINDS];
};

static int put_varint(struct mt_chain *c, uint32_t v, struct mt_pools *p)
{
	uint8_t b[THRIFT_VARINT32];

	return mt_chain_write(c, p, b, thrift_put_varint(b, v));
}

static bool is_changed(const struct build *b, const struct mt_meta_entry *e)
{
	for (uint32_t i = 0; i < b->n_mu; i++)
		if (e->key_len == b->mu[i].key_len && memcmp(e->key, b->mu[i].key, e->key_len) == 0)
			return true;
	return false;
}

/* Copies the pairs that no mutation names, by kind. */
static int put_kept(struct build *b, const struct mt_metadata *m)
{
	struct mt_cursor cur;

	mt_cursor_init(&cur, b->from, 0);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct mt_meta_entry *e = &m->entry[i];

		if (is_changed(b, e))
			continue;
		mt_cursor_skip(&cur, e->off - cur.pos);
		if (mt_codec_copy(&cur, e->end - e->off, &b->pairs[e->group], b->pools))
			return -ENOMEM;
		b->count[e->group]++;
	}
	return 0;
}

static int put_sets(struct build *b)
{
	struct mt_chain *to = &b->pairs[THRIFT_INFO_KEY_VALUE];

	for (uint32_t m = 0; m < b->n_mu; m++) {
		if (!b->mu[m].value)
			continue;
		if (put_varint(to, b->mu[m].key_len, b->pools) ||
			mt_chain_write(to, b->pools, b->mu[m].key, b->mu[m].key_len) ||
			put_varint(to, b->mu[m].value_len, b->pools) ||
			mt_chain_write(to, b->pools, b->mu[m].value, b->mu[m].value_len))
			return -ENOMEM;
		b->count[THRIFT_INFO_KEY_VALUE]++;
	}
	return 0;
}

/*
 * Writes the fixed part, the block's start up to its infos, the infos, and padding to a whole word.
 */
static int put_block(struct build *b, const struct mt_msg *msg, struct mt_chain *head)
{
	static const uint8_t zero[4];
	struct mt_cursor cur;

	mt_cursor_init(&cur, b->from, 0);
	if (mt_codec_copy(&cur, msg->field[THRIFT_F_INFO].off, head, b->pools))
		return -ENOMEM;
	for (uint32_t k = THRIFT_INFO_KEY_VALUE; k < THRIFT_INFO_KINDS; k++) {
		if (b->count[k] == 0)
			continue;
		if (put_varint(head, k, b->pools) || put_varint(head, b->count[k], b->pools))
			return -ENOMEM;
		mt_chain_concat(head, &b->pairs[k]);
	}
	return mt_chain_write(head, b->pools, zero, (THEADER_FIXED - head->len) & 3);
}

static void shift(struct mt_msg *msg, uint32_t block)
{
	uint32_t delta = block - msg->field[THRIFT_F_HEADER].len; /* modulo 2^32 */

	for (int f = THRIFT_F_NAME; f <= THRIFT_F_SEQID; f++)
		if (msg->field[f].off)
			msg->field[f].off += delta;
	msg->field[THRIFT_F_HEADER].len = block;
	msg->field[THRIFT_F_INFO].len += delta;
	msg->lead_len += delta;
	msg->len += delta;
}

static int commit(struct mt_msg *msg, struct mt_chain *c, struct mt_chain *head, struct mt_pools *p)
{
	uint32_t old = THEADER_FIXED + msg->field[THRIFT_F_HEADER].len;
	uint32_t block = head->len - THEADER_FIXED;
	uint8_t fixed[THEADER_FIXED];

	if (block > THRIFT_MAX_HEADER || msg->len - old + head->len > THRIFT_MAX_MESSAGE)
		return -ENOTSUP;
	shift(msg, block);
	mt_chain_read(head, 0, fixed, sizeof(fixed));
	mt_put_be32(fixed, msg->len - 4);
	fixed[THEADER_WORDS] = (uint8_t)(block / 4 >> 8);
	fixed[THEADER_WORDS + 1] = (uint8_t)(block / 4);
	/* The mbufs are new and writable, so this cannot fail. */
	MT_ASSERT(mt_chain_patch(head, 0, fixed, sizeof(fixed), p) == 0);
	mt_codec_put_head(c, old, head);
	return 0;
}

static int rebuild(struct build *b, const struct mt_metadata *m, struct mt_msg *msg,
	struct mt_chain *c, struct mt_chain *head)
{
	if (put_kept(b, m) || put_sets(b) || put_block(b, msg, head))
		return -ENOMEM;
	return commit(msg, c, head, b->pools);
}

int thrift_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *m, const struct mt_mutation *mu, uint32_t n, struct mt_pools *p)
{
	struct build b = {.from = c, .mu = mu, .n_mu = n, .pools = p};
	struct mt_chain head = {0};
	int rc;

	if (n == 0)
		return 0;
	if (m->state == MT_META_UNREAD)
		mt_meta_read(m, self, msg, c);
	if (m->state != MT_META_READ || msg->refuse)
		return -ENOTSUP;
	rc = rebuild(&b, m, msg, c, &head);
	mt_chain_free(&head);
	for (int k = 0; k < THRIFT_INFO_KINDS; k++)
		mt_chain_free(&b.pairs[k]);
	if (rc == 0)
		mt_meta_clear(m);
	return rc;
}
