/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words and numbers of a bench's command line; a wrong one ends the program with status 2 and the
 * reason.
 */
#pragma once

#include "mt_base.h"

/* Index of `text` in a list that ends with NULL. */
uint32_t bench_word(const char *option, const char *text, const char *const *words);
uint32_t bench_number(const char *option, const char *text, uint32_t lo, uint32_t hi);
extern const char *const bench_pages_names[]; /* enum mt_eal_pages */
