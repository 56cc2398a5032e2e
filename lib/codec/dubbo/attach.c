/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments: found by stepping over the arguments, read and changed without building them. */
#include "dubbo.h"

#include "mt_mutant.h"

#include <errno.h>
#include <stdio.h>

/* Outside of a class name. */
static bool param_char(uint8_t ch, bool *in_name, int *n)
{
	if (ch == '[')
		return true;
	if (ch != 'L' && (ch == 0 || !strchr("VZBCDFIJS", ch)))
		return false;
	*in_name = ch == 'L';
	++*n;
	return true;
}

/* The part of a descriptor in p[0..n); *in_name: it ends inside of a class name. false: malformed. */
static inline bool count_run(const uint8_t *p, uint32_t n, bool *in_name, int *count)
{
	for (uint32_t i = 0; i < n; i++) {
		if (*in_name) {
			const uint8_t *end = memchr(p + i, ';', n - i);

			if (!end)
				return true;
			i = (uint32_t)(end - p);
			*in_name = false;
		} else if (!param_char(p[i], in_name, count)) {
			return false;
		}
	}
	return true;
}

int dubbo_count_params(const struct mt_chain *c, uint32_t off, uint32_t len)
{
	struct mt_cursor cur;
	const uint8_t *p;
	uint32_t run;
	bool in_name = false;
	int n = 0;

	mt_cursor_init(&cur, c, off);
	cur.end = off + len;
	while ((run = mt_cursor_run(&cur, &p)) > 0) {
		if (!count_run(p, run, &in_name, &n))
			return -1;
		mt_cursor_skip(&cur, run);
	}
	return in_name ? -1 : n;
}

/* How many values stand in front of the map: arguments, or a reply's value. -1: there is no map. */
static int values_before(struct mt_msg *msg, const struct mt_chain *c)
{
	if (msg->variant != DUBBO_SER_HESSIAN)
		return -1;
	if (msg->kind == MT_MSG_REPLY) {
		switch (msg->aux) {
		case DUBBO_RSP_EXCEPTION + DUBBO_RSP_ATT:
		case DUBBO_RSP_VALUE + DUBBO_RSP_ATT:
			return 1;
		case DUBBO_RSP_NULL + DUBBO_RSP_ATT:
			return 0;
		default:
			return -1;
		}
	}
	if (msg->kind != MT_MSG_REQUEST && msg->kind != MT_MSG_ONEWAY)
		return -1;
	if (msg->field[DUBBO_F_TYPES].len == DUBBO_NO_TEXT)
		return -1;
	return dubbo_count_params(c, msg->field[DUBBO_F_TYPES].off, msg->field[DUBBO_F_TYPES].len);
}

static bool locate(struct dubbo_map *m, struct mt_msg *msg, const struct mt_chain *c)
{
	int n = values_before(msg, c);

	hs_open(&m->r, c, msg->field[DUBBO_F_ARGS].off, msg->len);
	for (int i = 0; i < n; i++)
		if (!hs_value(&m->r, NULL))
			n = -1;
	m->r.objects = false;
	msg->field[DUBBO_F_MAP].off = hs_pos(&m->r);
	if (n < 0 || !hs_map_open(&m->r)) {
		msg->flags |= DUBBO_MAP_NONE;
		return false;
	}
	msg->flags |= DUBBO_MAP_FOUND;
	return true;
}

bool dubbo_map_open(struct dubbo_map *m, struct mt_msg *msg, const struct mt_chain *c)
{
	if (msg->flags & DUBBO_MAP_NONE || msg->len == 0 || c->len < msg->len)
		return false;
	if ((msg->flags & (DUBBO_MAP_FOUND | DUBBO_MAP_OBJECTS)) != DUBBO_MAP_FOUND)
		return locate(m, msg, c);
	hs_open(&m->r, c, msg->field[DUBBO_F_MAP].off, msg->len);
	return hs_map_open(&m->r);
}

int dubbo_map_next(struct dubbo_map *m, struct mt_msg *msg, struct dubbo_att *a)
{
	if (hs_map_end(&m->r)) {
		m->end = hs_pos(&m->r);
		msg->field[DUBBO_F_MAP].len = m->end - msg->field[DUBBO_F_MAP].off;
		return 0;
	}
	a->off = hs_pos(&m->r);
	if (!hs_value(&m->r, &a->key) || !hs_value(&m->r, &a->value)) {
		msg->flags |= DUBBO_MAP_NONE;
		return -1;
	}
	/* A key in several chunks could hide from us what the server reads. */
	if (a->key.kind == HS_SCALAR) {
		msg->flags |= DUBBO_MAP_NONE;
		return -1;
	}
	a->end = hs_pos(&m->r);
	if (m->r.objects)
		msg->flags |= DUBBO_MAP_OBJECTS;
	return 1;
}

static bool is_key(
	const struct mt_chain *c, const struct hs_value *v, const char *key, uint32_t len)
{
	return v->kind == HS_STRING && v->len == len && mt_codec_equal(c, v->off, len, key);
}

static bool value_text(const struct mt_chain *c, const struct hs_value *v, struct mt_slice *value,
	uint8_t *scratch)
{
	if (v->kind == HS_STRING)
		return mt_codec_slice(c, v->off, v->len, value, scratch);
	if (v->kind != HS_NUMBER)
		return false;
	value->p = scratch;
	value->len = (uint32_t)snprintf((char *)scratch, 24, "%lld", (long long)v->number);
	return true;
}

/* A message that lies in one piece, as its bytes. */
struct flat {
	const uint8_t *b;
	uint32_t len;
	uint32_t ascii; /* [DUBBO_HEADER, ascii) */
};

static inline uint32_t flat_str(const struct flat *f, uint32_t at, struct mt_slice *text)
{
	return hs_short_str_in(f->b + at, f->len - at, f->ascii - MT_MIN(at, f->ascii), text);
}

/* Where the map begins behind arguments that are short ASCII strings; 0: look closer. */
static uint32_t quick_locate(const struct flat *f, const struct mt_msg *msg)
{
	uint32_t at = msg->field[DUBBO_F_ARGS].off, types = msg->field[DUBBO_F_TYPES].len, len;
	struct mt_slice text;
	bool in_name = false;
	int n = 0;

	if ((msg->kind != MT_MSG_REQUEST && msg->kind != MT_MSG_ONEWAY) ||
		msg->variant != DUBBO_SER_HESSIAN || types == DUBBO_NO_TEXT)
		return 0;
	if (!count_run(f->b + msg->field[DUBBO_F_TYPES].off, types, &in_name, &n) || in_name)
		return 0;
	for (; n > 0; n--, at += len) {
		len = flat_str(f, at, &text);
		if (len == 0)
			return 0;
	}
	return at < f->len && f->b[at] == 'H' ? at : 0;
}

static bool is_timeout(struct mt_slice k)
{
	return k.len == 7 && memcmp(k.p, "timeout", 7) == 0;
}

/*
 * The common message lies in one mbuf, and its map holds short ASCII strings. 1: found, 0: not there, -1:
 * look closer (nothing has changed). Finds the last entry of that name, as attachment() does; "timeout",
 * which is asked for after each route, is remembered on the way.
 */
static int quick(struct mt_msg *msg, const struct mt_chain *c, const struct mt_key *key,
	struct mt_slice *value)
{
	struct flat f = {mt_link_data(c->head), msg->len, msg->aux32};
	uint32_t at = msg->field[DUBBO_F_MAP].off, map, timeout = 0, timeout_len = 0;
	struct mt_slice k, v;
	int found = 0;

	if (mt_link(c->head)->len < msg->len || msg->flags & DUBBO_MAP_OBJECTS)
		return -1;
	if (!(msg->flags & DUBBO_MAP_FOUND))
		at = quick_locate(&f, msg);
	if (at == 0 || f.b[at] != 'H')
		return -1;
	map = at++;
	while (at < f.len && f.b[at] != 'Z') {
		uint32_t n = flat_str(&f, at, &k);
		uint32_t m = n ? flat_str(&f, at + n, &v) : 0;

		if (m == 0)
			return -1;
		if (mt_codec_key_eq(key, k) &&
			!(found && mt_mutant(MT_MUTANT_first_attachment_counts))) {
			*value = v;
			found = 1;
		}
		at += n + m;
		if (is_timeout(k)) {
			timeout = at - v.len;
			timeout_len = v.len;
		}
	}
	if (at >= f.len)
		return -1;
	msg->field[DUBBO_F_MAP].off = map;
	msg->field[DUBBO_F_TIMEOUT].off = timeout;
	msg->field[DUBBO_F_TIMEOUT].len = timeout_len;
	msg->flags |= DUBBO_MAP_FOUND | DUBBO_MAP_READ;
	return found;
}

/* The last entry of that name: a server that fills a map sees that one. */
static bool attachment(struct mt_msg *msg, const struct mt_chain *c, const struct mt_key *key,
	struct mt_slice *value, uint8_t *scratch)
{
	struct dubbo_att a, found = {0};
	struct dubbo_map m;
	int rc;

	if (msg->flags & DUBBO_MAP_NONE || msg->len == 0 || c->len < msg->len)
		return false;
	if (msg->flags & DUBBO_MAP_READ && key->id == DUBBO_K_TIMEOUT && !key->icase)
		return msg->field[DUBBO_F_TIMEOUT].off != 0 &&
		       mt_codec_slice(c, msg->field[DUBBO_F_TIMEOUT].off,
			       msg->field[DUBBO_F_TIMEOUT].len, value, scratch);
	rc = quick(msg, c, key, value);
	if (mt_likely(rc >= 0))
		return rc > 0;
	if (!dubbo_map_open(&m, msg, c))
		return false;
	while ((rc = dubbo_map_next(&m, msg, &a)) > 0)
		if (a.key.kind == HS_STRING && mt_codec_is_key(c, a.key.off, a.key.len, key))
			found = a;
	return rc == 0 && found.end > 0 && value_text(c, &found.value, value, scratch);
}

bool dubbo_metadata(struct mt_msg *msg, const struct mt_chain *c, const struct mt_key *key,
	struct mt_slice *value, uint8_t *scratch)
{
	static const uint8_t fields[] = {
		[DUBBO_K_INTERFACE] = DUBBO_F_INTERFACE,
		[DUBBO_K_METHOD] = DUBBO_F_METHOD,
		[DUBBO_K_VERSION] = DUBBO_F_VERSION,
	};
	uint32_t f;

	if ((uint16_t)key->id >= MT_ARRAY_LEN(fields) || msg->kind == MT_MSG_REPLY)
		return attachment(msg, c, key, value, scratch);
	f = fields[key->id];
	if (msg->field[f].len == DUBBO_NO_TEXT || msg->field[f].off == 0)
		return attachment(msg, c, key, value, scratch);
	return mt_codec_slice(c, msg->field[f].off, msg->field[f].len, value, scratch);
}

static bool walk_strings(struct mt_msg *msg, const struct mt_chain *c, uint8_t *scratch,
	bool (*cb)(void *arg, struct mt_slice key, struct mt_slice value), void *arg)
{
	static const struct mt_key keys[] = {
		{.name = "interface", .len = 9, .id = DUBBO_K_INTERFACE},
		{.name = "method", .len = 6, .id = DUBBO_K_METHOD},
		{.name = "version", .len = 7, .id = DUBBO_K_VERSION},
	};
	struct mt_slice v;

	if (msg->kind != MT_MSG_REQUEST && msg->kind != MT_MSG_ONEWAY)
		return true;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		struct mt_slice k = {(const uint8_t *)keys[i].name, keys[i].len};

		if (dubbo_metadata(msg, c, &keys[i], &v, scratch) && !cb(arg, k, v))
			return false;
	}
	return true;
}

/* interface and version stand in front and, for most clients, once more as attachments. */
static bool is_leading(struct mt_slice k)
{
	return mt_slice_eq_str(k, "interface") || mt_slice_eq_str(k, "method") ||
	       mt_slice_eq_str(k, "version");
}

void dubbo_walk(struct mt_msg *msg, const struct mt_chain *c,
	bool (*cb)(void *arg, struct mt_slice key, struct mt_slice value), void *arg)
{
	uint8_t kbuf[MT_META_SCRATCH], vbuf[MT_META_SCRATCH];
	bool request = msg->kind != MT_MSG_REPLY;
	struct mt_slice k, v;
	struct dubbo_att a;
	struct dubbo_map m;

	if (!walk_strings(msg, c, vbuf, cb, arg) || !dubbo_map_open(&m, msg, c))
		return;
	while (dubbo_map_next(&m, msg, &a) > 0) {
		if (!value_text(c, &a.key, &k, kbuf) || !value_text(c, &a.value, &v, vbuf))
			continue;
		if ((request && is_leading(k)) || !cb)
			continue;
		if (!cb(arg, k, v))
			return;
	}
}

/* ---- changes ------------------------------------------------------------------------------ */

static const struct mt_mutation *find(const struct mt_chain *c, const struct hs_value *key,
	const struct mt_mutation *mu, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_key(c, key, mu[i].key, mu[i].key_len))
			return &mu[i];
	return NULL;
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

/*
 * The new end of the map in `tail`: from the first entry that goes (*keep: the bytes in front of it
 * stay), the others, then the entries that are set. All of a changed key's entries go, so that readers
 * of the first and readers of the last see the same.
 */
static int build_tail(struct dubbo_map *m, struct mt_msg *msg, const struct mt_chain *c,
	const struct mt_mutation *mu, uint32_t n, struct mt_chain *tail, uint32_t *keep,
	struct mt_pools *p)
{
	struct dubbo_att a;
	int rc;

	*keep = 0;
	while ((rc = dubbo_map_next(m, msg, &a)) > 0) {
		const struct mt_mutation *hit = find(c, &a.key, mu, n);

		/* Later values may refer to what is inside: it has to stay, an override follows. */
		if (hit && a.value.kind == HS_COMPLEX) {
			if (!hit->value)
				return -ENOTSUP;
			hit = NULL;
		}
		if (hit && *keep == 0)
			*keep = a.off;
		if (!hit && *keep && mt_codec_copy(c, a.off, a.end - a.off, tail, p))
			return -ENOMEM;
	}
	if (rc < 0 || m->end != msg->len)
		return -ENOTSUP;
	if (*keep == 0)
		*keep = m->end - 1;
	return put_sets(tail, mu, n, p);
}

/* Puts `tail` in place of what follows the first `keep` bytes. */
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
	msg->flags &= (uint8_t)~DUBBO_MAP_READ;
	if (msg->flags & DUBBO_MAP_FOUND)
		msg->field[DUBBO_F_MAP].len = len - msg->field[DUBBO_F_MAP].off;
	return 0;
}

/*
 * A reply without attachments gets a map: its type moves from 0, 1, 2 to 3, 4, 5, which consumers
 * read since dubbo version 2.0.2.
 */
static int add_map(struct mt_msg *msg, struct mt_chain *c, const struct mt_mutation *mu, uint32_t n,
	struct mt_pools *p)
{
	struct mt_chain tail = {0};
	struct hs_reader r;
	uint8_t *h;
	int rc;

	if (msg->kind != MT_MSG_REPLY || msg->variant != DUBBO_SER_HESSIAN ||
		msg->aux < DUBBO_RSP_EXCEPTION || msg->aux > DUBBO_RSP_NULL)
		return -ENOTSUP;
	hs_open(&r, c, msg->field[DUBBO_F_ARGS].off, msg->len);
	if ((msg->aux != DUBBO_RSP_NULL && !hs_value(&r, NULL)) || hs_pos(&r) != msg->len)
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
	msg->flags &= (uint8_t)~DUBBO_MAP_NONE;
	return 0;
}

int dubbo_mutate(struct mt_msg *msg, struct mt_chain *c, const struct mt_mutation *mu, uint32_t n,
	struct mt_pools *p)
{
	struct mt_chain tail = {0};
	struct dubbo_map m;
	uint32_t keep;
	int rc;

	if (n == 0)
		return 0;
	if (!dubbo_map_open(&m, msg, c))
		return add_map(msg, c, mu, n, p);
	rc = build_tail(&m, msg, c, mu, n, &tail, &keep, p);
	if (rc == 0)
		rc = commit(msg, c, keep, &tail, p);
	if (rc)
		mt_chain_free(&tail);
	return rc;
}
