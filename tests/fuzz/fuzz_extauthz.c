/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an external authorization service answers, and a call's texts on their way to it: the texts are packed, and the library reads
 * them again.
 */
#include "fuzz.h"

#include "mt_extauthz_priv.h"

#include "authz.pb-c.h"

#include <string.h>

static void check_texts(const struct mt_extauthz_slot *s)
{
	MT_ASSERT(s->used <= MT_EXTAUTHZ_BYTES && s->n_changes <= MT_EXTAUTHZ_CHANGES);
	for (uint32_t i = 0; i < s->n_changes; i++) {
		const struct mt_extauthz_change *c = &s->change[i];

		MT_ASSERT(c->key.len && c->key.at + c->key.len < s->used);
		MT_ASSERT(c->remove || c->value.at + c->value.len < s->used);
	}
}

/* Texts of the input, each behind its length. */
static const uint8_t *put(struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const uint8_t *p,
	const uint8_t *end)
{
	size_t len = p < end ? MT_MIN((size_t)*p * 4, (size_t)(end - p - 1)) : 0;

	if (p >= end || !mt_extauthz_put(s, t, p + 1, len))
		return end;
	return p + 1 + len;
}

static void ask(struct mt_extauthz_slot *s, const uint8_t *p, const uint8_t *end)
{
	Xds__CheckRequest *r;
	uint8_t *bytes;
	size_t len;

	p = put(s, &s->interface, p, end);
	p = put(s, &s->method, p, end);
	p = put(s, &s->sni, p, end);
	while (p < end && s->n_entries < MT_EXTAUTHZ_ENTRIES) {
		struct mt_extauthz_entry *e = &s->entry[s->n_entries];

		memset(e, 0, sizeof(*e));
		p = put(s, &e->key, p, end);
		p = put(s, &e->value, p, end);
		s->n_entries++;
	}
	bytes = mt_extauthz_pack(s, &len);
	MT_ASSERT(bytes);
	r = xds__check_request__unpack(NULL, len, bytes);
	MT_ASSERT(r && r->attributes->request->http->n_headers <= s->n_entries);
	xds__check_request__free_unpacked(r, NULL);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_extauthz_slot *s = calloc(1, sizeof(*s));

	MT_ASSERT(s);
	ask(s, data, data + size);
	mt_extauthz_read(s, data, size);
	check_texts(s);
	free(s);
	return 0;
}
