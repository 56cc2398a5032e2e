/* SPDX-License-Identifier: Apache-2.0 */
/* Writes texts of any content into YAML. */
#pragma once

#include <stdio.h>

/*
 * Writes a text in double quotes and in ASCII alone: YAML also ends lines, and with them comments,
 * at U+0085, U+2028 and U+2029. A byte that is not UTF-8 becomes the character of its number.
 */
void mt_put_quoted(FILE *f, const char *s);
