/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a command on stderr. */
#pragma once

#include "mt_base.h"

/* Prints "meltemi: ", the message and the end of a line. The caller chooses the exit code. */
void print_error(const char *fmt, ...) mt_printf(1, 2);
