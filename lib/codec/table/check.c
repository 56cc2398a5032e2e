/* SPDX-License-Identifier: Apache-2.0 */
/* Which tables the interpreter can run on any bytes, and what they cost. Control thread. */
#include "run.h"
#include "sum.h"
#include "mt_codec_registry.h"
#include "mt_strmap.h"

/* Steps that an op takes, with its read of a place. */
#define COST_OP 24
/* Steps for each byte of what an op reads byte by byte. */
#define COST_UNTIL   6
#define COST_HESSIAN 8
#define COST_SUM     4
#define COST_SAME    2

static bool no(const char **why, const char *text)
{
	*why = text;
	return false;
}

static bool text_ok(const struct mt_codec_table *t, uint64_t off, uint64_t len)
{
	return off <= t->n_text && len <= t->n_text - off;
}

static bool sizes(const struct mt_codec_table *t, const char **why)
{
	if (t->n_ops == 0 || t->n_ops > MT_CT_OPS || t->n_places > MT_CT_PLACES ||
		t->n_walks > MT_CT_WALKS || t->n_targets > MT_CT_TARGETS ||
		t->n_sums > MT_CT_SUMS || t->n_names > MT_CT_NAMES || t->n_metas > MT_CT_METAS ||
		t->n_searches > MT_CT_METAS || t->n_text > MT_CT_TEXT || t->n_keys > 32)
		return no(why, "too many parts");
	if (t->entry[0] >= t->n_ops || t->entry[1] >= t->n_ops ||
		t->ops[t->n_ops - 1].code != MT_CT_DONE)
		return no(why, "programs without an end");
	if (t->codec.max_message == 0 || t->codec.max_message > INT32_MAX)
		return no(why, "the longest message");
	return true;
}

static bool place_ok(const struct mt_ct_place *p)
{
	if (p->base >= MT_CT_BASES || p->type >= MT_CT_TYPES)
		return false;
	if (p->base == MT_CT_IN || p->base == MT_CT_AFTER)
		return p->slot < MT_CT_SLOTS && (p->base == MT_CT_IN || p->at >= 0);
	return p->base == MT_CT_START ? p->at >= 0 : p->at < 0;
}

static bool walk_ok(const struct mt_codec_table *t, const struct mt_ct_walk *w)
{
	bool widths = w->format == MT_CT_TLV || w->format == MT_CT_PAIRS;

	if (w->format >= MT_CT_FORMATS || w->n > MT_CT_WALK_TARGETS ||
		(uint32_t)w->first + w->n > t->n_targets)
		return false;
	if (widths &&
		(w->key_width < 1 || w->key_width > 4 || w->value_width < 1 || w->value_width > 4))
		return false;
	return w->format != MT_CT_TLV || w->pad == 1 || w->pad == 2 || w->pad == 4 || w->pad == 8;
}

static bool target_ok(
	const struct mt_codec_table *t, const struct mt_ct_walk *w, const struct mt_ct_target *g)
{
	uint32_t i = (uint32_t)(g - &t->targets[w->first]), depth = 0;

	if (g->accept >= MT_CT_ACCEPTS || !text_ok(t, g->text, g->len) || g->len > MT_CT_KEY ||
		(g->slot >= MT_CT_SLOTS && g->slot != MT_CT_NONE))
		return false;
	for (uint32_t up = g->parent; up != 0; depth++) {
		const struct mt_ct_target *above = &t->targets[w->first + up - 1];

		if (up > i || !above->nested)
			return false;
		i = up - 1;
		up = above->parent;
	}
	return depth < MT_CT_WALK_DEPTH;
}

static bool walks_ok(const struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < t->n_walks; i++) {
		const struct mt_ct_walk *w = &t->walks[i];

		if (!walk_ok(t, w))
			return false;
		for (uint32_t k = 0; k < w->n; k++)
			if (!target_ok(t, w, &t->targets[w->first + k]))
				return false;
	}
	return true;
}

static bool sum_ok(const struct mt_codec_table *t, const struct mt_ct_sum *s)
{
	return s->algorithm < MT_CT_ALGORITHMS && s->place < t->n_places &&
	       (s->width == 8 || s->width == 16 || s->width == 32) && s->from_base <= MT_CT_END &&
	       s->to_base <= MT_CT_END && (s->algorithm != MT_CT_CRC || table_sum_is_crc(s));
}

/* ---- ops ------------------------------------------------------------------------------------ */

static bool fills(uint32_t code)
{
	return code >= MT_CT_FIXED && code <= MT_CT_HESSIAN;
}

static bool needs_place(uint32_t code)
{
	return (code >= MT_CT_TEST_NUMBER && code <= MT_CT_HESSIAN) || code == MT_CT_HOLD ||
	       code == MT_CT_LENGTH || code == MT_CT_OFFSET || code == MT_CT_WITHIN ||
	       code == MT_CT_ID || code == MT_CT_COPY || code == MT_CT_DEADLINE;
}

/* A walk that empties the slot of its own container could not go on after a wait. */
static bool walk_op_ok(const struct mt_codec_table *t, const struct mt_ct_op *op)
{
	const struct mt_ct_walk *w;

	if (op->n >= t->n_walks || op->within == MT_CT_NONE)
		return false;
	w = &t->walks[op->n];
	for (uint32_t i = 0; i < w->n; i++)
		if (t->targets[w->first + i].slot == op->within)
			return false;
	return true;
}

static bool numbers_ok(const struct mt_codec_table *t, const struct mt_ct_op *op)
{
	switch ((enum mt_ct_code)op->code) {
	case MT_CT_TEST_TEXT:
		return text_ok(t, op->n, op->m);
	case MT_CT_TEST_SAME:
		return op->n < t->n_places;
	case MT_CT_COUNTED:
		return op->n <= UINT16_MAX;
	case MT_CT_SIZED:
		return op->n < t->n_places && op->lo <= UINT16_MAX &&
		       (int64_t)op->hi >= INT32_MIN && (int64_t)op->hi <= INT32_MAX;
	case MT_CT_TO:
		return (int32_t)op->m <= 0;
	case MT_CT_UNTIL:
		return text_ok(t, op->n, op->m) && op->m >= 1 && op->m <= 8 && op->lo <= MT_CT_LEAD;
	case MT_CT_WALK:
		return walk_op_ok(t, op);
	case MT_CT_FIT:
		return op->within != MT_CT_NONE;
	case MT_CT_HOLD:
		return (op->slot < MT_CT_SLOTS || op->slot == MT_CT_NONE) && op->m <= 1;
	case MT_CT_LENGTH:
		return op->lo >= 1 && op->lo <= UINT16_MAX;
	case MT_CT_ADD:
		return (int64_t)op->lo >= INT32_MIN && (int64_t)op->lo <= INT32_MAX;
	case MT_CT_KIND:
		return op->flags < MT_MSG_N_KINDS && op->n <= MT_EVENT_RESUME && op->m < UINT8_MAX;
	case MT_CT_STATUS:
		return op->flags < MT_CT_CLASSES;
	case MT_CT_DEADLINE:
		return op->lo >= 1 && op->lo <= UINT32_MAX && op->hi >= 1 && op->hi <= UINT32_MAX;
	case MT_CT_SUM:
		return op->n < t->n_sums;
	case MT_CT_REFUSE:
		return op->n <= MT_REPLY_N;
	case MT_CT_BAD:
		return op->n < MT_CT_FAULTS;
	default:
		return true;
	}
}

static bool jumps(uint32_t code)
{
	return code <= MT_CT_TEST_THERE;
}

static bool op_ok(const struct mt_codec_table *t, uint32_t i)
{
	const struct mt_ct_op *op = &t->ops[i];

	if (op->code >= MT_CT_CODES)
		return false;
	if (jumps(op->code) && (op->to <= i || op->to >= t->n_ops))
		return false;
	if (jumps(op->code) && op->flags & ~MT_CT_IF)
		return false;
	if (needs_place(op->code) && op->place >= t->n_places)
		return false;
	if (fills(op->code) && op->slot >= MT_CT_SLOTS)
		return false;
	if (op->within >= MT_CT_SLOTS && op->within != MT_CT_NONE)
		return false;
	return numbers_ok(t, op);
}

/* ---- whether a message has its length and kind at the end ----------------------------------- */

enum { SEEN_LENGTH = 1, SEEN_KIND = 2, SEEN_ALL = 3 };

/*
 * On each way through a program the length is set once, before the kind and all that need it, and
 * the end is reached with both. state[i]: what is known before op i, as bits of 1 << known.
 */
static bool flow_ok(const struct mt_codec_table *t, uint32_t entry)
{
	static uint8_t state[MT_CT_OPS];

	memset(state, 0, sizeof(state));
	state[entry] = 1 << 0;
	for (uint32_t i = entry; i < t->n_ops; i++) {
		const struct mt_ct_op *op = &t->ops[i];

		for (uint32_t known = 0; known <= SEEN_ALL; known++) {
			uint32_t then = known;

			if (!(state[i] >> known & 1))
				continue;
			if (op->code == MT_CT_DONE && known != SEEN_ALL)
				return false;
			if (op->code == MT_CT_FRAMED && known & SEEN_LENGTH)
				return false;
			if (op->code >= MT_CT_KIND && op->code <= MT_CT_REFUSE &&
				!(known & SEEN_LENGTH))
				return false;
			then |= op->code == MT_CT_FRAMED ? SEEN_LENGTH : 0;
			then |= op->code == MT_CT_KIND ? SEEN_KIND : 0;
			if (op->code == MT_CT_DONE || op->code == MT_CT_BAD)
				continue;
			if (jumps(op->code))
				state[op->to] |= (uint8_t)(1u << then);
			if (op->code != MT_CT_JUMP)
				state[i + 1] |= (uint8_t)(1u << then);
		}
	}
	return true;
}

/* ---- metadata ------------------------------------------------------------------------------- */

bool table_is_kept(const struct mt_ct_place *p)
{
	return p->base == MT_CT_START || p->base == MT_CT_END || p->slot < MT_CT_KEPT;
}

static bool metas_ok(const struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < t->n_metas; i++) {
		const struct mt_ct_meta *m = &t->metas[i];

		if (m->key >= t->n_keys || (uint32_t)m->name + m->n_names > t->n_names ||
			m->part >= MT_CT_PARTS || !text_ok(t, m->text, m->len))
			return false;
		if (m->place != MT_CT_PLACES &&
			(m->place >= t->n_places || !table_is_kept(&t->places[m->place])))
			return false;
	}
	for (uint32_t i = 0; i < t->n_names; i++)
		if (!text_ok(t, t->names[i].text, t->names[i].len))
			return false;
	return true;
}

static bool searches_ok(const struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < t->n_searches; i++) {
		const struct mt_ct_search *s = &t->searches[i];
		const struct mt_ct_walk *w;

		if (s->walk >= t->n_walks || s->slot >= MT_CT_KEPT)
			return false;
		w = &t->walks[s->walk];
		if (w->format == MT_CT_PAIRS || w->format == MT_CT_LINES)
			continue;
		if ((w->format != MT_CT_PROTOBUF && w->format != MT_CT_JCE_STRUCT) || w->n == 0)
			return false;
	}
	return true;
}

/* ---- cost ----------------------------------------------------------------------------------- */

/*
 * Elements of JCE have a byte at least, of other formats two or more, except for empty words and
 * lines, which cost no more than their byte and 2 * n.
 */
static uint32_t walk_per_byte(const struct mt_ct_walk *w)
{
	if (w->format == MT_CT_JCE_STRUCT)
		return 24 + 2u * w->n;
	return w->format == MT_CT_JSON ? 12u + w->n : 16 + 2u * w->n;
}

static uint32_t per_byte(const struct mt_codec_table *t, const struct mt_ct_op *op)
{
	switch ((enum mt_ct_code)op->code) {
	case MT_CT_UNTIL:
		return COST_UNTIL;
	case MT_CT_HESSIAN:
		return COST_HESSIAN;
	case MT_CT_SUM:
		return COST_SUM;
	case MT_CT_TEST_SAME:
		return COST_SAME;
	case MT_CT_WALK:
		return walk_per_byte(&t->walks[op->n]);
	default:
		return 0;
	}
}

struct mt_ct_cost mt_codec_table_cost(const struct mt_codec_table *t, enum mt_dir dir)
{
	static struct mt_ct_cost cost[MT_CT_OPS + 1];

	for (uint32_t i = t->n_ops; i-- > t->entry[dir];) {
		const struct mt_ct_op *op = &t->ops[i];
		struct mt_ct_cost next = {0, 0}, other = {0, 0};

		if (op->code != MT_CT_DONE && op->code != MT_CT_BAD && op->code != MT_CT_JUMP)
			next = cost[i + 1];
		if (jumps(op->code))
			other = cost[op->to];
		cost[i].steps = COST_OP + MT_MAX(next.steps, other.steps);
		cost[i].per_byte = per_byte(t, op) + MT_MAX(next.per_byte, other.per_byte);
	}
	return cost[t->entry[dir]];
}

static bool cheap(const struct mt_codec_table *t)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		struct mt_ct_cost c = mt_codec_table_cost(t, (enum mt_dir)dir);

		if (c.steps > MT_CT_STEPS || c.per_byte > MT_CT_STEPS_BYTE)
			return false;
	}
	return true;
}

bool mt_codec_table_check(const struct mt_codec_table *t, const char **why)
{
	if (!sizes(t, why))
		return false;
	for (uint32_t i = 0; i < t->n_places; i++)
		if (!place_ok(&t->places[i]))
			return no(why, "a place outside of the message");
	if (!walks_ok(t))
		return no(why, "a walk with wrong targets");
	for (uint32_t i = 0; i < t->n_sums; i++)
		if (!sum_ok(t, &t->sums[i]))
			return no(why, "a checksum");
	for (uint32_t i = 0; i < t->n_ops; i++)
		if (!op_ok(t, i))
			return no(why, "an op with a wrong operand");
	if (!flow_ok(t, t->entry[0]) || !flow_ok(t, t->entry[1]))
		return no(why, "a message without length or kind");
	if (!metas_ok(t) || !searches_ok(t))
		return no(why, "metadata without a place");
	if (!table_templates_ok(t))
		return no(why, "a template with wrong parts");
	if (!cheap(t))
		return no(why, "too much work for a message");
	return true;
}

/* ---- identity ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

/* NULL differs from every name. */
static uint64_t mix_name(uint64_t h, const char *name)
{
	const uint8_t has = name != NULL;

	h = mix(h, &has, 1);
	return has ? mix(h, name, strlen(name) + 1) : h;
}

static uint64_t content(const struct mt_codec_table *t)
{
	const struct mt_codec *c = &t->codec;
	const uint64_t traits[] = {t->n_ops, t->n_places, t->n_walks, t->n_targets, t->n_sums,
		t->n_names, t->n_metas, t->n_searches, t->n_text, t->n_keys, t->n_parts, t->n_saves,
		t->n_templates, t->entry[0], t->entry[1], c->version, c->max_message, c->id_min,
		c->id_max, c->whole_close, c->client_whole_close, c->heartbeat_s};
	uint64_t h = mt_strhash(c->name, c->version), rules[MT_CODEC_RULE_TRAITS];

	mt_codec_rule_traits(c, rules);
	h = mix(h, traits, sizeof(traits));
	h = mix(h, rules, sizeof(rules));
	h = mix_name(h, c->service_key);
	h = mix_name(h, c->method_key.name);
	h = mix(h, t->ops, t->n_ops * sizeof(*t->ops));
	h = mix(h, t->places, t->n_places * sizeof(*t->places));
	h = mix(h, t->walks, t->n_walks * sizeof(*t->walks));
	h = mix(h, t->targets, t->n_targets * sizeof(*t->targets));
	h = mix(h, t->sums, t->n_sums * sizeof(*t->sums));
	h = mix(h, t->names, t->n_names * sizeof(*t->names));
	h = mix(h, t->metas, t->n_metas * sizeof(*t->metas));
	h = mix(h, t->searches, t->n_searches * sizeof(*t->searches));
	h = mix(h, t->parts, t->n_parts * sizeof(*t->parts));
	h = mix(h, t->saves, t->n_saves * sizeof(*t->saves));
	h = mix(h, t->templates, t->n_templates * sizeof(*t->templates));
	h = mix(h, t->text, t->n_text);
	for (uint32_t i = 0; i < t->n_keys; i++)
		h = mix(h, c->keys[i], strlen(c->keys[i]) + 1);
	for (uint32_t i = 0; c->executed_keys && c->executed_keys[i]; i++)
		h = mix_name(h, c->executed_keys[i]);
	return h ? h : 1;
}

/* The place of the id that follows op i, a kind; MT_CT_PLACES: none. */
static uint32_t id_after(const struct mt_codec_table *t, uint32_t i)
{
	for (i++; i < t->n_ops; i++) {
		uint32_t code = t->ops[i].code;

		if (code == MT_CT_ID)
			return t->ops[i].place;
		if (code == MT_CT_KIND || code == MT_CT_DONE || jumps(code))
			break;
	}
	return MT_CT_PLACES;
}

/* The id's place if lib/codec can write it there in each message; otherwise NULL. */
static const struct mt_ct_place *fixed_id(const struct mt_codec_table *t)
{
	const uint32_t calls = 1u << MT_MSG_REQUEST | 1u << MT_MSG_ONEWAY | 1u << MT_MSG_REPLY;
	const struct mt_ct_place *p;
	uint32_t place = MT_CT_PLACES;

	for (uint32_t i = 0; i < t->n_ops; i++) {
		uint32_t at;

		if (t->ops[i].code == MT_CT_COPY)
			return NULL;
		if (t->ops[i].code != MT_CT_KIND || !(calls >> t->ops[i].flags & 1))
			continue;
		at = id_after(t, i);
		if (at == MT_CT_PLACES || (place != MT_CT_PLACES && place != at))
			return NULL;
		place = at;
	}
	if (place == MT_CT_PLACES || t->n_sums)
		return NULL;
	p = &t->places[place];
	if (p->base != MT_CT_START || p->type != MT_CT_BIG || p->mask != UINT64_MAX || p->flags ||
		(p->size != 4 && p->size != 8) || p->at + p->size > MT_CHAIN_PREFIX_MAX)
		return NULL;
	return p;
}

static void finish_ids(struct mt_codec_table *t)
{
	struct mt_codec_correlate *c = &t->codec.correlate;
	const struct mt_ct_place *p = fixed_id(t);

	c->save = table_save;
	if (!t->codec.id_max)
		return;
	if (p) {
		c->id_at = (uint8_t)p->at;
		c->id_width = p->size;
		return;
	}
	c->set_id = table_set_id;
	c->restore_id = table_restore_id;
}

/* Maps of JCE are not written. */
static bool can_mutate(const struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < t->n_searches; i++)
		if (t->walks[t->searches[i].walk].format != MT_CT_JCE_STRUCT)
			return true;
	return false;
}

void mt_codec_table_finish(struct mt_codec_table *t)
{
	struct mt_codec *c = &t->codec;

	c->frame.sniff = table_sniff;
	c->frame.decode = table_decode;
	c->metadata.leading = table_leading;
	c->metadata.index = t->n_searches ? table_index : NULL;
	c->metadata.carries = t->n_searches ? table_carries : NULL;
	c->metadata.lacks = table_varies(t) ? table_lacks : NULL;
	c->rewrite.mutate = can_mutate(t) ? table_mutate : NULL;
	finish_ids(t);
	table_finish_errors(t);
	table_finish_templates(t);
	table_finish_quick(t);
	c->content = content(t);
}
