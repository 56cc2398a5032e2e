/* SPDX-License-Identifier: Apache-2.0 */
#include "print_error.h"

#include <stdarg.h>
#include <stdio.h>

void print_error(const char *fmt, ...)
{
	va_list ap;

	fputs("meltemi: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
