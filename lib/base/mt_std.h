/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input, output and error of a program. */
#pragma once

#include "mt_base.h"

/*
 * Occupies those of the descriptors 0 to 2 that are closed. Otherwise the next socket or file gets
 * such a number, and the program's output goes there. Call first in main().
 */
void mt_std_hold(void);

/*
 * Flushes standard output at the end of a program. Returns `code`; 1 instead of 0, after a message,
 * if output was lost. A pipe that its reader has closed is not an error.
 */
int mt_std_written(const char *program, int code);
