/* SPDX-License-Identifier: Apache-2.0 */
/* A codec as the proxy uses it, each call measured. */
#include "steps.h"

#include "mt_codec_priv.h"

/* What the proxy lets a connection take of a turn, in the codecs' own steps. */
#define TURN 16384
/* Blocks of a codec's own step at most. */
#define BLOCKS_OF_STEP 96
/* Of a byte of the leading part, once a message: the way to what is behind it may pass a buffer for each. */
#define BLOCKS_OF_LEAD 6

static struct mt_view view;

struct run {
	const struct mt_codec *codec;
	struct steps_bound bound;
	struct steps_seen seen;
	uint64_t before;
	uint64_t unspent; /* of what bytes allow: those that the decoder has not passed */
	struct mt_pools *pools;
};

static void begin(struct run *r)
{
	r->before = steps_taken;
}

static void held_to(struct run *r, const char *what, uint64_t may)
{
	uint64_t took = steps_taken - r->before;

	r->seen.steps += took;
	steps_hold(&r->seen.worst, what, took, may);
}

static void end(struct run *r, const char *what, uint32_t bytes)
{
	held_to(r, what, r->bound.a + (uint64_t)r->bound.b * bytes);
}

struct steps_bound steps_bound_of(const struct mt_codec *codec)
{
	if (codec == &mt_codec_dubbo)
		return (struct steps_bound){2000, 104};
	if (codec == &mt_codec_thrift)
		return (struct steps_bound){2000, 128};
	return (struct steps_bound){1000, 16};
}

static enum mt_scan_rc seek(
	struct run *r, struct mt_scan *s, struct mt_msg *msg, struct mt_chain *c)
{
	uint32_t steps = TURN, lead = s->step ? 0 : msg->lead_len;
	enum mt_scan_rc rc;

	begin(r);
	rc = r->codec->metadata.seek(r->codec, s, msg, c, &steps);
	held_to(r, "seek",
		r->bound.a + (uint64_t)BLOCKS_OF_LEAD * lead +
			(uint64_t)BLOCKS_OF_STEP * (TURN - steps + 1));
	return rc;
}

/* Reads the index, whose steps must cover the work. */
static void read_index(struct run *r, const struct mt_msg *msg)
{
	uint32_t before = view.meta.took;

	begin(r);
	if (mt_view_read(&view) == MT_META_TOO_LARGE)
		r->seen.too_large++;
	steps_hold(&r->seen.worst, "index by its own steps", steps_taken - r->before,
		r->bound.a + (uint64_t)BLOCKS_OF_LEAD * msg->lead_len +
			(uint64_t)BLOCKS_OF_STEP * (view.meta.took - before));
	end(r, "index", msg->len);
}

/* Of a route, a limit, a hash and the time-out, one of them not there. */
static void ask(struct run *r, uint32_t len)
{
	static const char *const names[] = {"user", "aaaaaaa", "timeout", "svc", "method"};
	struct mt_slice v;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		struct mt_key key = mt_key_make(r->codec, names[i]);

		key.icase = i & 1;
		begin(r);
		mt_view_get(&view, &key, &v);
		end(r, "get", MT_MIN(len, (uint32_t)MT_META_BYTES));
	}
}

/* The method that a call names in its arguments: no longer than other texts in one piece. */
static void ask_inner(struct run *r, const struct mt_msg *msg, const struct mt_chain *c)
{
	static uint8_t scratch[MT_META_SCRATCH];
	struct mt_slice v;

	if (!r->codec->metadata.inner_method)
		return;
	begin(r);
	r->codec->metadata.inner_method(r->codec, msg, c, &v, scratch);
	end(r, "inner method", MT_MIN(msg->len, msg->lead_len + MT_META_SCRATCH));
}

static void use(struct run *r, struct mt_msg *msg, struct mt_chain *c, const struct mt_scan *s)
{
	static const struct mt_mutation mu[] = {{"user", "other", 4, 5}, {"aaaaaaa", NULL, 7, 0}};
	struct mt_seed seed = {0};

	r->seen.messages++;
	mt_view_bind(&view, r->codec, msg, c);
	if (s->step)
		view.meta.scan = *s;
	read_index(r, msg);
	ask(r, msg->len);
	ask_inner(r, msg, c);
	begin(r);
	r->codec->correlate.save(r->codec, msg, c, &seed);
	end(r, "save", msg->lead_len);
	if (r->codec->rewrite.mutate && !msg->refuse) {
		begin(r);
		r->codec->rewrite.mutate(
			r->codec, msg, c, &view.meta, mu, MT_ARRAY_LEN(mu), r->pools);
		end(r, "mutate", msg->len);
	}
	begin(r);
	mt_codec_set_id(r->codec, msg, c, r->codec->id_min, r->pools);
	end(r, "set_id", msg->lead_len);
}

static void append(
	struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece, struct mt_pools *pools)
{
	for (uint32_t part; n > 0; p += part, n -= part) {
		struct rte_mbuf *m = mt_buf_data(pools);

		part = MT_MIN(n, piece);
		MT_ASSERT(m);
		memcpy((uint8_t *)m->buf_addr + m->data_off, p, part);
		mt_chain_append(c, m, m->data_off, part);
	}
}

/*
 * A head that is not whole is looked at when the rest of it has come: bytes allow their steps once, then or before. Those
 * that were passed allow no more.
 */
static void end_decode(struct run *r, const struct mt_decoder *d, uint32_t fresh, uint32_t len)
{
	uint64_t may = r->unspent + (uint64_t)r->bound.b * fresh, took = steps_taken - r->before;
	uint64_t unread = (uint64_t)r->bound.b * (len - MT_MIN(d->cur.pos, len));

	held_to(r, "decode", r->bound.a + may);
	took -= MT_MIN(took, (uint64_t)r->bound.a);
	r->unspent = MT_MIN(may - MT_MIN(took, may), unread);
}

/* What is there is decoded; false: malformed. */
static bool decode(struct run *r, struct mt_decoder *d, struct mt_msg *msg, struct mt_scan *s,
	struct mt_chain *c, uint32_t fresh)
{
	for (;;) {
		struct mt_chain one = {0};
		enum mt_decode rc;

		begin(r);
		rc = mt_decoder_run(d, msg);
		end_decode(r, d, fresh, c->len);
		fresh = 0;
		if (rc == MT_DECODE_BAD)
			return false;
		if (r->codec->metadata.seek && msg->len > MT_SCAN_AT_ONCE && msg->lead_len > 16 &&
			!msg->refuse)
			while (seek(r, s, msg, c) == MT_SCAN_MORE && rc == MT_DECODE_DONE)
				;
		if (rc != MT_DECODE_DONE)
			return true;
		MT_ASSERT(mt_chain_split(c, msg->len, &one, r->pools) == 0);
		use(r, msg, &one, s);
		mt_chain_free(&one);
		mt_decoder_next(d);
		s->step = 0;
	}
}

struct steps_seen steps_codec(const struct mt_codec *codec, const struct steps_how *how,
	const uint8_t *bytes, uint32_t n, struct mt_pools *p)
{
	struct run r = {.codec = codec, .bound = steps_bound_of(codec), .pools = p};
	struct mt_scan scan = {0};
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg = {0};

	mt_decoder_init(&d, codec, how->dir, 0, &c);
	for (uint32_t at = 0, part; at < n; at += part) {
		part = MT_MIN(how->call, n - at);
		append(&c, bytes + at, part, how->piece, p);
		if (!decode(&r, &d, &msg, &scan, &c, part))
			break;
	}
	mt_chain_free(&c);
	return r.seen;
}
