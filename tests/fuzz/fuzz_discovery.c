/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenID Connect Discovery documents, and the sets of keys that they name: two answers of an
 * issuer, one after the other, separated by a NUL byte. The first byte: bit 0, the issuer is
 * reached by https; the other bits: bytes that come at a time. Nothing is sent: the transfers are
 * never run.
 */
#include "fuzz.h"

/* Its transfers are the narrowest seam, and no name is looked up. */
#define mt_jwks_host_ask fuzz_host_ask
#include "fetch.c"

int fuzz_host_ask(
	struct mt_jwks_host *h, struct mt_fds *fds, const char *uri, bool local, struct mt_err *e)
{
	(void)fds;
	(void)uri;
	(void)e;
	*h = (struct mt_jwks_host){.local = local};
	return 0;
}

static char *copy(const uint8_t *p, size_t n)
{
	char *text = malloc(n + 1);

	MT_ASSERT(text);
	memcpy(text, p, n);
	text[n] = '\0';
	return text;
}

/* As the library hands it over. */
static bool arrive(struct transfer *t, const uint8_t *p, size_t n, size_t piece)
{
	while (n) {
		size_t part = MT_MIN(n, piece);
		char *bytes = copy(p, part);
		bool all = mt_collect(bytes, 1, part, &t->text) == part;

		free(bytes);
		MT_ASSERT(t->text.len <= MT_JWKS_MAX && all == !t->text.too_long);
		if (!all)
			return false;
		p += part;
		n -= part;
	}
	return true;
}

/* Reads the document by another reader. */
static void check_document(const uint8_t *p, size_t n, bool safe)
{
	json_t *o = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, NULL);
	const char *uri = json_string_value(json_object_get(o, "jwks_uri"));

	MT_ASSERT(uri && strlen(uri) < URI_MAX);
	MT_ASSERT(!safe || strncmp(uri, "https://", 8) == 0);
	json_decref(o);
}

static struct mt_jwks_source *source_of(struct mt_jwks_store *s, bool safe)
{
	const struct mt_jwks_said said = {
		.issuer = safe ? "https://issuer.example" : "http://issuer.example"};
	struct mt_err e = {""};
	struct mt_jwks_source *source = mt_jwks_store_get(s, &said, &e);

	MT_ASSERT(source);
	return source;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mt_jwks_fetcher f;
	struct transfer *t = &f.transfers[0];
	struct mt_jwks_status status;
	const uint8_t *second, *end = data + size;
	struct mt_jwks_source *held;
	bool safe;
	char name[256];
	int64_t next;

	if (!size)
		return 0;
	mt_log_set_level(MT_LOG_ERROR);
	if (!f.multi)
		f.multi = curl_multi_init();
	f.store = mt_jwks_store_new();
	MT_ASSERT(f.multi && f.store);
	safe = data[0] & 1;
	held = source_of(f.store, safe);
	second = memchr(data + 1, '\0', size - 1);
	second = second ? second : end;
	*t = (struct transfer){.source = mt_jwks_store_due(f.store, now_s(), &next),
		.discovers = true,
		.text.max = MT_JWKS_MAX};
	MT_ASSERT(t->source == held);
	f.n = 1;
	(void)arrive(t, data + 1, (size_t)(second - data - 1), 1u + data[0] / 2);
	ended(&f, t, CURLE_OK);
	/* The transfer goes on only to where the document says, and once. */
	if (t->source) {
		MT_ASSERT(t->easy && !t->discovers && !t->text.len && !t->text.too_long);
		check_document(data + 1, (size_t)(second - data - 1), safe);
		if (second < end)
			(void)arrive(t, second + 1, (size_t)(end - second - 1), 1u + data[0] / 2);
		ended(&f, t, CURLE_OK);
	}
	MT_ASSERT(!t->source && !t->easy && !t->text.p && f.n == 0);
	MT_ASSERT(mt_jwks_store_status(f.store, 0, &status, name, sizeof(name)));
	MT_ASSERT((status.keys > 0) == (status.why[0] == '\0') && status.keys <= MT_JWKS_KEYS);
	mt_jwks_source_drop(held);
	mt_jwks_store_free(f.store);
	return 0;
}
