/* SPDX-License-Identifier: Apache-2.0 */
/* The codecs of a configuration by name. */
#include "mt_codec_registry.h"
#include "mt_codec_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct mt_codec *const mt_codecs[] = {
#define MT_CODEC(folder) &mt_codec_##folder,
#include "codecs.def"
#undef MT_CODEC
	NULL,
};

#define BUILT_IN (MT_ARRAY_LEN(mt_codecs) - 1)

/* Its own reference keeps it. */
static struct mt_codec_registry built_in = {.v = mt_codecs, .n = BUILT_IN, .refs = 1};

struct mt_codec_registry *mt_codec_registry_built_in(void)
{
	return &built_in;
}

struct mt_codec_registry *mt_codec_registry_new(const struct mt_codec *const *more, uint32_t n)
{
	struct mt_codec_registry *r = malloc(sizeof(*r) + (BUILT_IN + n) * sizeof(more[0]));
	const struct mt_codec **v = (const struct mt_codec **)(r + 1);

	if (!r)
		return NULL;
	memcpy(v, mt_codecs, BUILT_IN * sizeof(v[0]));
	*r = (struct mt_codec_registry){.v = v, .n = BUILT_IN, .refs = 1};
	for (uint32_t i = 0; i < n; i++) {
		if (mt_codec_registry_find(r, more[i]->name) ||
			(more[i]->aeraki_name && mt_codec_registry_find(r, more[i]->aeraki_name))) {
			free(r);
			return NULL;
		}
		v[r->n++] = more[i];
	}
	return r;
}

struct mt_codec_registry *mt_codec_registry_hold(struct mt_codec_registry *r)
{
	r->refs++;
	return r;
}

void mt_codec_registry_drop(struct mt_codec_registry *r)
{
	if (r && --r->refs == 0)
		free(r);
}

const struct mt_codec *mt_codec_registry_find(const struct mt_codec_registry *r, const char *name)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (strcasecmp(r->v[i]->name, name) == 0 ||
			(r->v[i]->aeraki_name && strcmp(r->v[i]->aeraki_name, name) == 0))
			return r->v[i];
	return NULL;
}

const struct mt_codec *mt_codec_find(const char *name)
{
	return mt_codec_registry_find(&built_in, name);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_keys(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool mt_codec_same_file(const struct mt_codec *a, const struct mt_codec *b)
{
	return a == b || strcmp(a->name, b->name) == 0;
}

/* Calls of Thrift name only a method; those of TMultiplexedProtocol name a service, too. */
bool mt_codec_may_lack_service(const struct mt_codec *codec)
{
	return codec == &mt_codec_thrift;
}

void mt_codec_rule_traits(const struct mt_codec *codec, uint64_t to[MT_CODEC_RULE_TRAITS])
{
	const uint64_t traits[] = {codec->correlation, codec->first_counts, codec->executes_other,
		codec->leading_keys, (uint64_t)codec->method_key.id, codec->metadata.index != NULL};

	_Static_assert(MT_ARRAY_LEN(traits) == MT_CODEC_RULE_TRAITS, "all are compared");
	memcpy(to, traits, sizeof(traits));
}

bool mt_codec_is_version(const struct mt_codec *a, const struct mt_codec *b)
{
	uint64_t of_a[MT_CODEC_RULE_TRAITS], of_b[MT_CODEC_RULE_TRAITS];

	if (!a->content || !b->content || strcmp(a->name, b->name) != 0)
		return false;
	mt_codec_rule_traits(a, of_a);
	mt_codec_rule_traits(b, of_b);
	return memcmp(of_a, of_b, sizeof(of_a)) == 0 && same_text(a->service_key, b->service_key) &&
	       same_keys(a->keys, b->keys) && same_keys(a->executed_keys, b->executed_keys);
}
