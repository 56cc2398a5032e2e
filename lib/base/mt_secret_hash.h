/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes that decide alone if two things are the same, of text that documents or peers contain.
 * Their key is random in each process and never shown, so that text with a wanted hash cannot be
 * made. Do not store, send or show the results: they differ between processes. Any thread.
 */
#pragma once

#include "mt_base.h"

/* SipHash of `seed` and the bytes; results may be chained as seeds. `p` may be NULL if len is 0. */
uint64_t mt_secret_hash(const void *p, size_t len, uint64_t seed);
/* The same of a text without its NUL. */
uint64_t mt_secret_hash_text(const char *s, uint64_t seed);
/*
 * Sets the key, so that a simulation replays exactly. Call it before the first hash is made, while
 * no other thread hashes.
 */
void mt_secret_hash_set_key(const uint8_t key[16]);
