/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUOTED_H
#define QUOTED_H

#include <stdio.h>

/* Writes a text in double quotes, which is valid YAML for any contents (mt_put_quoted()). */
void put_quoted(FILE *f, const char *s);

#endif
