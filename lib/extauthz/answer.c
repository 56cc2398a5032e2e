/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_extauthz_priv.h"
#include "mt_pb.h"

#include "authz.pb-c.h"

#include <string.h>

/* Memory limit for one decoded answer, which is at most 64 KiB before decoding. */
#define ARENA (512 * 1024)

/* Values of append_action in HeaderValueOption. */
enum { APPEND_OR_ADD, ADD_IF_ABSENT, OVERWRITE_OR_ADD, OVERWRITE_IF_THERE };

static struct mt_extauthz_change *next(struct mt_extauthz_slot *s)
{
	return s->n_changes < MT_EXTAUTHZ_CHANGES ? &s->change[s->n_changes] : NULL;
}

/* A metadata key has one value here, so APPEND_OR_ADD replaces it as OVERWRITE_OR_ADD does. */
static bool set(struct mt_extauthz_slot *s, const Xds__HeaderValueOption *o)
{
	const Xds__HeaderValue *h = o->header;
	struct mt_extauthz_change *c = next(s);
	const void *value;
	size_t len;

	if (!h || !mt_callout_is_metadata(h->key))
		return true;
	value = h->raw_value.len ? (const void *)h->raw_value.data : h->value;
	len = h->raw_value.len ? h->raw_value.len : strlen(h->value);
	if (len == 0 && !o->keep_empty_value)
		return true;
	/* These two actions fail, because the thread does not know whether the call has the key. */
	if (!c || o->append_action == ADD_IF_ABSENT || o->append_action == OVERWRITE_IF_THERE)
		return false;
	*c = (struct mt_extauthz_change){.remove = false};
	if (!mt_extauthz_put(s, &c->key, h->key, strlen(h->key)) ||
		!mt_extauthz_put(s, &c->value, value, len))
		return false;
	s->n_changes++;
	return true;
}

static bool take_out(struct mt_extauthz_slot *s, const char *key)
{
	struct mt_extauthz_change *c = next(s);

	if (!mt_callout_is_metadata(key))
		return true;
	if (!c)
		return false;
	*c = (struct mt_extauthz_change){.remove = true};
	if (!mt_extauthz_put(s, &c->key, key, strlen(key)))
		return false;
	s->n_changes++;
	return true;
}

static bool read_changes(struct mt_extauthz_slot *s, const Xds__OkHttpResponse *ok)
{
	for (size_t i = 0; i < ok->n_headers_to_remove; i++)
		if (!take_out(s, ok->headers_to_remove[i]))
			return false;
	for (size_t i = 0; i < ok->n_headers; i++)
		if (!set(s, ok->headers[i]))
			return false;
	return true;
}

/*
 * As in Envoy, status code 0 or no status allows the call and any other code denies it, whether or
 * not the answer has an http_response.
 */
static void judge(struct mt_extauthz_slot *s, const Xds__CheckResponse *r)
{
	s->verdict = MT_EXTAUTHZ_DENY;
	s->why = MT_EXTAUTHZ_denied;
	if (r->status && r->status->code != 0)
		return;
	s->verdict = MT_EXTAUTHZ_ALLOW;
	s->why = MT_EXTAUTHZ_allowed;
	if (r->http_response_case == XDS__CHECK_RESPONSE__HTTP_RESPONSE_OK_RESPONSE &&
		!read_changes(s, r->ok_response))
		mt_extauthz_unjudged(s, MT_EXTAUTHZ_bad_answer);
}

void mt_extauthz_read(struct mt_extauthz_slot *s, const uint8_t *data, size_t len)
{
	struct mt_pb_arena arena;
	Xds__CheckResponse *r;
	const char *why;

	mt_pb_arena_init(&arena, ARENA);
	r = mt_pb_unpack(&arena, &xds__check_response__descriptor, data, len, &why);
	/* The query has been sent, so the answer's texts may overwrite its texts. */
	s->used = s->n_changes = 0;
	if (r)
		judge(s, r);
	else
		mt_extauthz_unjudged(s, MT_EXTAUTHZ_bad_answer);
	mt_pb_arena_fini(&arena);
}
