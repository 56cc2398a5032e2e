/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C interface of RE2, whose syntax the mesh's documents specify. Matching time is linear in the
 * input, and memory is bounded for each expression (MT_RE2_MEM), whatever the pattern and the input
 * are.
 *
 * Thread-safe. RE2 caches the states that it has visited under a lock of its own, which is shared
 * as long as no new state is found.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MT_RE2_MEM   (1 << 20)
#define MT_RE2_VALUE 32768 /* bytes of a value that is not UTF-8; no value of a call is longer */

struct mt_re2;

/* NULL with the reason in errbuf. */
struct mt_re2 *mt_re2_new(const char *pattern, size_t len, char *errbuf, size_t errlen);
void mt_re2_free(struct mt_re2 *re);
/*
 * True if the whole text matches. Text is UTF-8, and "." matches any character, line feeds too. A
 * byte that is not part of a character counts as U+FFFD, one character that "." and negated classes
 * match. Otherwise a call could evade a rule by one such byte.
 */
bool mt_re2_full_match(const struct mt_re2 *re, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
