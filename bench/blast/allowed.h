/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of this machine, and messages that name the limit to raise. Kernel sockets only. */
#pragma once

#include "options.h"

/*
 * Call it before opening connections: checks that files and local ports suffice. False: the reason
 * was printed.
 */
bool blast_allowed(const struct blast_options *o);
/*
 * Remedy to suggest when opening failed with this errno (0: no answer); valid until the next call.
 */
const char *blast_remedy(const struct blast_options *o, int error);
