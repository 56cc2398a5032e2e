/* SPDX-License-Identifier: Apache-2.0 */
#include "quoted.h"

#include "mt_quoted.h"

void put_quoted(FILE *f, const char *s)
{
	mt_put_quoted(f, s);
}
