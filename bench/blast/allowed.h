/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine allows, and the words for who has to allow more. Kernel sockets only. */
#pragma once

#include "options.h"

/* Before connections are opened: files and local ports for all of them. false: why not was printed. */
bool blast_allowed(const struct blast_options *o);
/* What to look at when opening failed with this errno (0: nothing came); valid until the next call. */
const char *blast_remedy(const struct blast_options *o, int error);
