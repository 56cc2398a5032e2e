/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets and removes attachments: writes the end of the map again, from the first entry to be
 * removed.
 */
#include "dubbo.h"

#include <errno.h>

static const struct mt_mutation *find(
	const struct mt_meta_entry *e, const struct mt_mutation *mu, uint32_t n)
{
	for (uint32_t i = 0; e->key && i < n; i++)
		if (e->key_len == mu[i].key_len && memcmp(e->key, mu[i].key, e->key_len) == 0)
			return &mu[i];
	return NULL;
}

static bool sets_any(const struct mt_mutation *mu, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (mu[i].value)
			return true;
	return false;
}

/* Appends the entries that are to be set, then the end of the map. */
static int put_sets(
	struct mt_chain *tail, const struct mt_mutation *mu, uint32_t n, struct mt_pools *p)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!mu[i].value)
			continue;
		if (hs_write_str(tail, mu[i].key, mu[i].key_len, p) ||
			hs_write_str(tail, mu[i].value, mu[i].value_len, p))
			return -ENOMEM;
	}
	return mt_chain_write(tail, p, "Z", 1);
}

/* Appends an entry that stays. The cursor is somewhere before it. */
static int put_entry(struct mt_cursor *cur, const struct mt_meta_entry *e, struct mt_chain *tail,
	struct mt_pools *p)
{
	mt_cursor_skip(cur, e->off - cur->pos);
	return mt_codec_copy(cur, e->end - e->off, tail, p);
}

/*
 * Builds the new end of the map in `tail`, from the first entry to be removed (the *keep bytes
 * before it stay): the other entries, then the entries to be set. All entries of a changed key are
 * removed, so that readers of the first and readers of the last value see the same.
 */
static int build_tail(const struct mt_metadata *m, const struct mt_chain *c,
	const struct mt_mutation *mu, uint32_t n, struct mt_chain *tail, uint32_t *keep,
	struct mt_pools *p)
{
	struct mt_cursor cur;

	*keep = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct mt_meta_entry *e = &m->entry[i];
		const struct mt_mutation *hit = find(e, mu, n);

		/*
		 * Later values may refer to parts of this entry, so it stays, and the new value
		 * follows.
		 */
		if (hit && e->kind == MT_META_KEPT) {
			if (!hit->value)
				return -ENOTSUP;
			hit = NULL;
		}
		if (hit && *keep == 0) {
			*keep = e->off;
			mt_cursor_init(&cur, c, e->off);
		}
		if (!hit && *keep && put_entry(&cur, e, tail, p))
			return -ENOMEM;
	}
	if (*keep == 0)
		*keep = m->end - 1;
	return put_sets(tail, mu, n, p);
}

/* Replaces what follows the first `keep` bytes by `tail`. */
static int commit(struct mt_msg *msg, struct mt_chain *c, uint32_t keep, struct mt_chain *tail,
	struct mt_pools *p)
{
	uint32_t len = keep + tail->len;
	uint8_t *h;

	if (len > DUBBO_MAX_MESSAGE)
		return -ENOTSUP;
	h = mt_chain_own_prefix(c, DUBBO_HEADER, p);
	if (!h)
		return -ENOMEM;
	mt_put_be32(h + 12, len - DUBBO_HEADER);
	mt_chain_truncate(c, keep);
	mt_chain_concat(c, tail);
	msg->len = len;
	msg->aux32 = MT_MIN(msg->aux32, keep);
	return 0;
}

/* Bytes of a version that are compared: "2.0.N" and the next one. */
#define VERSION_PART 6

/*
 * True if the client reads replies of types 3 to 5, which have attachments.
 * A request starts with a version. Apache's releases that read such replies (2.6.3 and later) send
 * the protocol's version, 2.0.2. Older releases sent the version of their jar, up to 2.6.2; among
 * those are 2.0.10 to 2.0.14. Providers decide by it (Version.isSupportResponseAttachment): those
 * of 2.6.3 excluded 2.0.10 to 2.6.2, and today's include 2.0.2 to 2.0.99. Both accept 2.0.2 to
 * 2.0.9, whatever follows the third number; only these are true here.
 */
bool dubbo_reads_attachments(const struct mt_msg *msg, const struct mt_chain *c)
{
	uint32_t off = msg->field[DUBBO_F_DUBBO].off, len = msg->field[DUBBO_F_DUBBO].len;
	uint8_t scratch[VERSION_PART];
	const uint8_t *v;

	if (len < VERSION_PART - 1 || len == DUBBO_NO_TEXT)
		return false;
	len = MT_MIN(len, (uint32_t)VERSION_PART);
	/* Usually in the first buffer. */
	if (mt_likely(c->head && mt_link(c->head)->len >= off + len))
		v = mt_link_data(c->head) + off;
	else
		v = mt_chain_peek(c, off, len, scratch);
	return v && memcmp(v, "2.0.", 4) == 0 && v[4] >= '2' && v[4] <= '9' &&
	       (len < VERSION_PART || v[5] < '0' || v[5] > '9');
}

/* A server that sends attachments has decided that its client reads them. */
bool dubbo_reads_added(
	const struct mt_codec *self, const struct mt_seed *seed, const struct mt_msg *reply)
{
	return reply->aux < DUBBO_RSP_EXCEPTION || reply->aux > DUBBO_RSP_NULL ||
	       seed->flags & DUBBO_SEED_READS_ATT;
}

/* Adds a map to a reply without attachments: its type changes from 0, 1, 2 to 3, 4, 5. */
static int add_map(struct mt_msg *msg, struct mt_chain *c, const struct mt_mutation *mu, uint32_t n,
	struct mt_pools *p)
{
	struct mt_chain tail = {0};
	uint8_t *h;
	int rc;

	if (msg->kind != MT_MSG_REPLY || msg->variant != DUBBO_SER_HESSIAN ||
		msg->aux < DUBBO_RSP_EXCEPTION || msg->aux > DUBBO_RSP_NULL)
		return -ENOTSUP;
	if (!sets_any(mu, n))
		return 0; /* there is nothing to remove */
	/* The map's place must be the end of the message. */
	if (!(msg->flags & DUBBO_MAP_SOUGHT) || msg->field[DUBBO_F_MAP].off != msg->len)
		return -ENOTSUP;
	rc = mt_chain_write(&tail, p, "H", 1);
	if (rc == 0)
		rc = put_sets(&tail, mu, n, p);
	h = rc == 0 ? mt_chain_own_prefix(c, DUBBO_HEADER + 1, p) : NULL;
	if (h)
		rc = commit(msg, c, msg->len, &tail, p);
	else if (rc == 0)
		rc = -ENOMEM;
	if (rc) {
		mt_chain_free(&tail);
		return rc;
	}
	/* commit() found the prefix writable and left it where it is. */
	h = mt_chain_own_prefix(c, DUBBO_HEADER + 1, p);
	h[DUBBO_HEADER] += DUBBO_RSP_ATT;
	msg->aux += DUBBO_RSP_ATT;
	return 0;
}

int dubbo_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *m, const struct mt_mutation *mu, uint32_t n, struct mt_pools *p)
{
	struct mt_chain tail = {0};
	uint32_t keep;
	int rc;

	if (n == 0)
		return 0;
	if (m->state == MT_META_UNREAD)
		mt_meta_read(m, self, msg, c);
	if (m->state != MT_META_READ || m->end != msg->len) {
		rc = m->state == MT_META_ABSENT ? add_map(msg, c, mu, n, p) : -ENOTSUP;
	} else {
		rc = build_tail(m, c, mu, n, &tail, &keep, p);
		if (rc == 0)
			rc = commit(msg, c, keep, &tail, p);
		if (rc)
			mt_chain_free(&tail);
	}
	if (rc == 0)
		mt_meta_clear(m);
	return rc;
}
