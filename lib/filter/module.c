/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls filters in shared objects, and implements the functions that they may call
 * (mt_filter_abi.h).
 */
#include "module_priv.h"

#include "mt_filter_inbox.h"
#include "mt_filter_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The version of the ABI since which replies may wait, and mt_filter_module has wait_ms. */
#define REPLIES_WAIT 2

/* One call of one of the filter's functions. */
struct mt_filter_call {
	const struct mt_filter_inst *f;
	struct mt_view *v; /* NULL: on_end */
	struct mt_filter_ctx *ctx;
	bool paused;
};

enum mt_local_reply mt_filter_reply_of(uint32_t answer)
{
	static const uint8_t replies[] = {
		[MT_FILTER_DENIED] = MT_REPLY_DENIED,
		[MT_FILTER_OVER_LIMIT] = MT_REPLY_OVER_LIMIT,
		[MT_FILTER_OVERLOADED] = MT_REPLY_OVERLOAD,
		[MT_FILTER_TIMED_OUT] = MT_REPLY_TIMEOUT,
	};

	return answer < MT_ARRAY_LEN(replies) ? replies[answer] : MT_REPLY_OVERLOAD;
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* The codec's number of a key that it knows; -1 for others. */
static int16_t id_of(const struct mt_codec *codec, const char *name, uint32_t len)
{
	for (int16_t i = 0; codec->keys && codec->keys[i]; i++)
		if (strlen(codec->keys[i]) == len && memcmp(codec->keys[i], name, len) == 0)
			return i;
	return -1;
}

static struct mt_key key_of(const struct mt_codec *codec, const char *name, uint32_t len)
{
	return (struct mt_key){.name = name,
		.len = (uint16_t)len,
		.id = id_of(codec, name, len),
		.hash = mt_key_hash((const uint8_t *)name, len)};
}

static bool give(bool there, struct mt_slice value, struct mt_filter_text *to)
{
	*to = there ? (struct mt_filter_text){(const char *)value.p, value.len}
		    : (struct mt_filter_text){0};
	return there;
}

static bool get(
	struct mt_filter_call *c, const char *key, uint32_t key_len, struct mt_filter_text *value)
{
	struct mt_slice found = {0};
	struct mt_key k;

	if (!c->v || key_len == 0 || key_len > UINT16_MAX)
		return give(false, found, value);
	k = key_of(c->v->codec, key, key_len);
	return give(mt_view_get(c->v, &k, &found), found, value);
}

/* Value 0 may be in a field of its own; the others are in the metadata index. */
static bool nth(struct mt_view *v, const struct mt_key *k, uint32_t n, struct mt_slice *found)
{
	uint32_t i;

	if (v->codec->metadata.leading &&
		v->codec->metadata.leading(v->codec, v->msg, v->chain, k, found, v->scratch)) {
		if (n == 0)
			return true;
		n--;
	}
	if (mt_view_read(v) != MT_META_READ)
		return false;
	i = mt_meta_next(&v->meta, k, 0);
	for (; n > 0 && i != UINT32_MAX; n--)
		i = mt_meta_next(&v->meta, k, i + 1);
	return i != UINT32_MAX && mt_meta_value(&v->meta, i, found, v->scratch);
}

static bool get_nth(struct mt_filter_call *c, const char *key, uint32_t key_len, uint32_t n,
	struct mt_filter_text *value)
{
	struct mt_slice found = {0};
	struct mt_key k;

	if (!c->v || key_len == 0 || key_len > UINT16_MAX)
		return give(false, found, value);
	k = key_of(c->v->codec, key, key_len);
	return give(nth(c->v, &k, n, &found), found, value);
}

/* Makes a copy that lasts until the changes are encoded; NULL: no space. */
static const char *keep(struct mt_filter_call *c, const char *p, uint32_t len)
{
	struct mt_filter_worker *fw = c->ctx->fw;
	char *to = fw->text + fw->text_used;

	if (len > sizeof(fw->text) - fw->text_used)
		return NULL;
	memcpy(to, p, len);
	fw->text_used += len;
	return to;
}

static int change(struct mt_filter_call *c, const char *key, uint32_t key_len, const char *value,
	uint32_t value_len)
{
	struct mt_mutation m = {.key_len = (uint16_t)key_len, .value_len = (uint16_t)value_len};

	if (!c->v || key_len == 0 || key_len > UINT16_MAX || value_len > UINT16_MAX)
		return -EINVAL;
	m.key = keep(c, key, key_len);
	m.value = value ? keep(c, value, value_len) : NULL;
	if (!m.key || (value && !m.value)) {
		mt_count(c->ctx->fw->counters, MT_FILTER_mutations_full);
		return -ENOSPC;
	}
	return mt_filter_change(c->ctx->fw, c->v, &m) ? 0 : -ENOSPC;
}

static int set(struct mt_filter_call *c, const char *key, uint32_t key_len, const char *value,
	uint32_t value_len)
{
	return change(c, key, key_len, value ? value : "", value ? value_len : 0);
}

static int remove_key(struct mt_filter_call *c, const char *key, uint32_t key_len)
{
	return change(c, key, key_len, NULL, 0);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void answer(
	struct mt_filter_call *c, enum mt_filter_answer what, const char *text, uint32_t text_len)
{
	struct mt_filter_worker *fw = c->ctx->fw;
	uint32_t len = MT_MIN(text_len, MT_FILTER_TEXT_MAX);

	if (len)
		memcpy(fw->answer, text, len);
	fw->answer[len] = '\0';
	c->ctx->reply = mt_filter_reply_of((uint32_t)what);
	c->ctx->reply_text = fw->answer;
}

static void pause_call(struct mt_filter_call *c, struct mt_filter_ticket *t)
{
	*t = mt_filter_ticket_of(c->ctx);
	c->paused = true;
}

/* ---- other functions ------------------------------------------------------------------------- */

static void *bytes(struct mt_filter_call *c)
{
	return c->f->type->bytes ? c->ctx->own + c->f->own : NULL;
}

static void peer(struct mt_filter_call *c, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (c->v)
		memcpy(addr, &c->v->peer, 16);
}

static uint64_t now(struct mt_filter_call *c)
{
	return c->ctx->now;
}

static uint64_t remaining(struct mt_filter_call *c)
{
	return c->v && c->ctx->left ? c->ctx->left(c->ctx) : 0;
}

#define HOST(version)                                                                              \
	{                                                                                          \
		.abi_version = version, .size = sizeof(struct mt_filter_host), .get = get,         \
		.get_nth = get_nth, .set = set, .remove = remove_key, .answer = answer,            \
		.pause = pause_call, .complete = mt_filter_complete, .bytes = bytes, .peer = peer, \
		.now = now, .remaining = remaining,                                                \
	}

/* By version - 1. */
static const struct mt_filter_host hosts[] = {HOST(1), HOST(2)};

_Static_assert(MT_ARRAY_LEN(hosts) == MT_FILTER_ABI_VERSION, "a host for each version");

const struct mt_filter_host *mt_filter_host_of(uint32_t abi_version)
{
	return &hosts[abi_version - 1];
}

/* ---- the filter's functions ------------------------------------------------------------------ */

/* True if the filter may let the exchange wait now. Without a ticket a wait could not be ended. */
static bool may_wait(const struct mt_filter_call *c, const struct mt_filter_module *m)
{
	return c->paused &&
	       (c->ctx->direction == MT_FILTER_OF_REQUEST || m->abi_version >= REPLIES_WAIT);
}

static enum mt_filter_verdict call(enum mt_filter_verdict (*run)(void *, struct mt_filter_call *),
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_filter_use *use = f->conf;
	struct mt_filter_call c = {.f = f, .v = v, .ctx = ctx};
	enum mt_filter_verdict verdict;

	answer(&c, MT_FILTER_DENIED, "denied", 6);
	mt_filter_inbox_calls(ctx->fw->inbox);
	verdict = run(use->conf, &c);
	mt_filter_inbox_calls(NULL);
	if (mt_likely(verdict == MT_FILTER_NEXT || verdict == MT_FILTER_REPLY ||
		      (verdict == MT_FILTER_SUSPEND && may_wait(&c, use->module))))
		return verdict;
	/* A wait that is not possible, or an unknown verdict: fail the call. */
	mt_count(ctx->fw->counters, MT_FILTER_verdicts_wrong);
	answer(&c, MT_FILTER_OVERLOADED, "a filter failed", 15);
	return MT_FILTER_REPLY;
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_filter_use *use = f->conf;

	return call(use->module->on_request, f, v, ctx);
}

static enum mt_filter_verdict on_reply(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_filter_use *use = f->conf;

	return call(use->module->on_reply, f, v, ctx);
}

static void on_end(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	const struct mt_filter_use *use = f->conf;
	struct mt_filter_call c = {.f = f, .ctx = ctx};

	mt_filter_inbox_calls(ctx->fw->inbox);
	use->module->on_end(use->conf, &c, end);
	mt_filter_inbox_calls(NULL);
}

static void explain(
	const struct mt_filter_inst *f, struct mt_view *v, uint64_t at, struct mt_filter_told *told)
{
	snprintf(told->words, sizeof(told->words),
		"is in a shared object: what it would do is not known");
}

struct mt_filter mt_filter_type_of(const struct mt_filter_module *m)
{
	return (struct mt_filter){
		.name = m->name,
		.on_request = m->on_request ? on_request : NULL,
		.on_reply = m->on_reply ? on_reply : NULL,
		.on_end = m->on_end ? on_end : NULL,
		.bytes = (uint16_t)m->bytes,
		.reads = true,
		.conf_shared = true,
		.wait_ms = m->abi_version >= REPLIES_WAIT ? m->wait_ms : 0,
		.explain = explain,
		.free_conf = mt_filter_use_free,
	};
}
