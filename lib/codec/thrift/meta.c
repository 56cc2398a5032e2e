/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: method and service from the name, the rest from THeader's info blocks. */
#include "thrift.h"

struct search {
	const struct mt_chain *c;
	const struct mt_key *key;
	uint32_t off, len;
	bool found;
};

/* The last one of a name wins: servers put infos in a map. */
static bool match(void *arg, const struct thrift_info *i)
{
	struct search *s = arg;

	if (mt_codec_is_key(s->c, i->koff, i->klen, s->key)) {
		s->off = i->voff;
		s->len = i->vlen;
		s->found = true;
	}
	return true;
}

static bool has_infos(const struct mt_msg *msg, const struct mt_chain *c)
{
	return THRIFT_TRANSPORT(msg->variant) == THRIFT_HEADER && msg->field[THRIFT_F_INFO].off &&
	       c->len >= msg->field[THRIFT_F_INFO].off + msg->field[THRIFT_F_INFO].len;
}

bool thrift_metadata(struct mt_msg *msg, const struct mt_chain *c, const struct mt_key *key,
	struct mt_slice *value, uint8_t *scratch)
{
	struct search s = {.c = c, .key = key};
	uint32_t f = key->id == 0 ? THRIFT_F_METHOD : THRIFT_F_SERVICE;

	if (key->id >= 0 && msg->field[f].off)
		return mt_codec_slice(c, msg->field[f].off, msg->field[f].len, value, scratch);
	if (!has_infos(msg, c))
		return false;
	if (!thrift_header_walk(c, msg->field[THRIFT_F_INFO].off,
		    msg->field[THRIFT_F_INFO].off + msg->field[THRIFT_F_INFO].len, match, &s))
		return false;
	return s.found && mt_codec_slice(c, s.off, s.len, value, scratch);
}

struct each {
	const struct mt_chain *c;
	bool (*cb)(void *arg, struct mt_slice key, struct mt_slice value);
	void *arg;
	uint8_t kbuf[MT_META_SCRATCH], vbuf[MT_META_SCRATCH];
};

static bool info(void *arg, const struct thrift_info *i)
{
	struct each *e = arg;
	struct mt_slice k, v;

	if (!mt_codec_slice(e->c, i->koff, i->klen, &k, e->kbuf) ||
		!mt_codec_slice(e->c, i->voff, i->vlen, &v, e->vbuf))
		return true;
	return e->cb(e->arg, k, v);
}

void thrift_each(struct mt_msg *msg, const struct mt_chain *c,
	bool (*cb)(void *arg, struct mt_slice key, struct mt_slice value), void *arg)
{
	static const struct mt_slice names[] = {
		{(const uint8_t *)"method", 6}, {(const uint8_t *)"service", 7}};
	struct each e = {.c = c, .cb = cb, .arg = arg};
	struct mt_slice v;

	for (int i = 0; i < 2; i++) {
		uint32_t f = i == 0 ? THRIFT_F_METHOD : THRIFT_F_SERVICE;

		if (!msg->field[f].off ||
			!mt_codec_slice(c, msg->field[f].off, msg->field[f].len, &v, e.vbuf))
			continue;
		if (!cb(arg, names[i], v))
			return;
	}
	if (has_infos(msg, c))
		thrift_header_walk(c, msg->field[THRIFT_F_INFO].off,
			msg->field[THRIFT_F_INFO].off + msg->field[THRIFT_F_INFO].len, info, &e);
}
