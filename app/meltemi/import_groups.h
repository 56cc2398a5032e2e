/* SPDX-License-Identifier: Apache-2.0 */
/* Objects by status, and in each by what was said of them: what a hundred objects have in common is one line. */
#pragma once

#include "import.h"

#include "mt_object.h"

void import_groups(const struct import *m, FILE *out);
