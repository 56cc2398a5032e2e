/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codecs that a configuration can name: those of this build, and then codecs that are data. A
 * registry never changes; a configuration with other codecs has another registry. Each name is in
 * it once. Registries are held, for example by snapshots of lib/conf. Control thread only.
 */
#pragma once

#include "mt_codec.h"

struct mt_codec_registry {
	const struct mt_codec *const *v; /* [n], those of this build first, as in mt_codecs */
	uint32_t n;
	uint32_t refs;
};

/* The registry of a configuration without further codecs. It is static and need not be held. */
struct mt_codec_registry *mt_codec_registry_built_in(void);

/*
 * Creates a registry with `n` further codecs, which must outlive it, and returns the caller's
 * reference. NULL: no memory, or a name is taken.
 */
struct mt_codec_registry *mt_codec_registry_new(const struct mt_codec *const *more, uint32_t n);

struct mt_codec_registry *mt_codec_registry_hold(struct mt_codec_registry *r);
/* Releases a reference; the last one frees the registry. NULL is allowed. */
void mt_codec_registry_drop(struct mt_codec_registry *r);

/*
 * Finds the codec that a document or an operator names, case-insensitive, or by Aeraki's codec
 * name; NULL: unknown.
 */
const struct mt_codec *mt_codec_registry_find(const struct mt_codec_registry *r, const char *name);

/*
 * True if calls of the protocol may lack the metadata that names their service (service_key). Calls
 * of services that share an address then reach none of them. Any thread.
 */
bool mt_codec_may_lack_service(const struct mt_codec *codec);

/* True for one codec, and for versions of one codec file, whatever they describe. Any thread. */
bool mt_codec_same_file(const struct mt_codec *a, const struct mt_codec *b);
/*
 * Writes the numbers of the codec that decide how rules are compiled and what they mean for its
 * messages. They are a part of mt_codec.content of a table, and mt_codec_is_version() compares
 * them.
 */
#define MT_CODEC_RULE_TRAITS 6
void mt_codec_rule_traits(const struct mt_codec *codec, uint64_t to[MT_CODEC_RULE_TRAITS]);

/*
 * True if the codecs are versions of one codec that is data, and rules that were compiled for one
 * of them are right for the messages of the other: they have the same metadata under the same
 * numbers, and their servers treat names alike. Any thread.
 */
bool mt_codec_is_version(const struct mt_codec *a, const struct mt_codec *b);
