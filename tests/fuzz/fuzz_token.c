/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens as they come, where they stand, and claims as they are laid flat. The first byte says as what the others are read. */
#include "fuzz.h"

#include "mt_jwks_store.h"
#include "mt_jwt_priv.h"

#include <string.h>

static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
			   "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static struct mt_token_rules *rules_of(const char *issuer)
{
	static struct mt_token_rules *r;
	static const char *const spaced[] = {"scope"};
	const struct mt_jwks_said said = {.text = keys};
	const struct mt_token_place place = {"authorization", "Bearer ", 1};
	struct mt_err e;
	struct mt_token_rule rule = {.by = "x", .issuer = issuer, .spaced = spaced, .n_spaced = 1};

	if (r)
		return r;
	rule.keys = mt_jwks_store_get(mt_jwks_store_new(), &said, &e);
	MT_ASSERT(rule.keys);
	r = mt_token_rules_new(&rule, 1, &place, 1);
	MT_ASSERT(r);
	return r;
}

/* Each entry lies in it, and the whole of it is entries. */
static void check(const struct mt_claims *c)
{
	struct mt_claims_at at = {0};
	struct mt_claim one;
	uint32_t n = 0;

	MT_ASSERT(c->len <= MT_CLAIMS_BYTES && c->n <= MT_CLAIMS_ENTRIES);
	for (; mt_claims_next(c, &at, &one); n++) {
		MT_ASSERT(at.end <= c->len && one.path.len <= MT_CLAIMS_PATH);
		MT_ASSERT(at.next <= at.end && one.value.p + one.value.len == c->bytes + at.next);
	}
	MT_ASSERT(at.end == c->len && n == c->n);
	MT_ASSERT(c->issuer.off + c->issuer.len <= c->len);
	MT_ASSERT(c->subject.off + c->subject.len <= c->len);
}

static void verify(const char *text, size_t len)
{
	static struct mt_token_result out;

	mt_token_verify(rules_of("joe"), 1, text, len, 1300819380, &out);
	MT_ASSERT(out.outcome < MT_TOKEN_N_OUTCOMES && mt_token_words(out.outcome));
	MT_ASSERT(out.outcome != MT_TOKEN_valid || out.until == out.claims.expires);
	check(&out.claims);
}

static void flatten(const char *text, size_t len)
{
	static struct mt_claims c;
	json_error_t why;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	c.issuer = c.subject = (struct mt_claims_text){0, 0};
	if (json_is_object(o)) {
		(void)mt_claims_flatten(&c, o, &rules_of("joe")->rules[0]);
		check(&c);
	}
	json_decref(o);
}

static void find(const char *text, size_t len)
{
	struct mt_slice v = {(const uint8_t *)text, (uint32_t)len}, t;

	if (mt_token_in("Bearer ", v, &t))
		MT_ASSERT(t.p >= v.p && t.p + t.len == v.p + v.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size || size > 65536)
		return 0;
	text = malloc(size);
	MT_ASSERT(text);
	memcpy(text, data + 1, size - 1);
	switch (data[0] % 3) {
	case 0:
		verify(text, size - 1);
		break;
	case 1:
		flatten(text, size - 1);
		break;
	default:
		find(text, size - 1);
	}
	free(text);
	return 0;
}
