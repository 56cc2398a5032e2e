/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints objects by status, and within a status by reason or note, so that what many objects have
 * in common takes one line.
 */
#pragma once

#include "import.h"

#include "mt_object.h"

void import_groups(const struct import *m, FILE *out);
