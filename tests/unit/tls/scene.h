/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of a connection, its other end, and the bytes between. */
#pragma once

#include "peer.h"
#include "tls_test.h"

struct scene {
	struct mt_tls_records w;
	struct mt_tls_record r;
	struct peer peer;
	struct mt_chain rx, text; /* what came and is not read; what was read */
	uint64_t now;
};

/* All providers of this build: those before NULL. */
extern struct mt_aead *tls_aead[3];

void scene_begin(struct scene *s, const struct suite *suite, struct mt_aead *aead, bool server);
/* Every buffer is back. */
void scene_end(struct scene *s);

/* Appends n bytes in buffers of at most `piece`. */
void scene_append(struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece);

/* A record of the other end arrives in one buffer, or more if it is long; what came of it. */
enum mt_tls_record_got scene_get(
	struct scene *s, const struct peer_how *how, const void *text, uint32_t n);

/* What we sealed, record by record: each is opened by the other end. The types, and all text. */
uint32_t scene_opened(
	struct scene *s, struct mt_chain *out, uint8_t *types, uint8_t *text, uint32_t *len);

/* Bytes that are told from each other. */
void scene_fill(uint8_t *p, uint32_t n, uint32_t from);
bool scene_is(const struct mt_chain *c, uint32_t from, uint32_t n);
