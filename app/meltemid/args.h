/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_log.h"

#include <stdint.h>

#define EXIT_OK	    0
#define EXIT_RUN    1 /* could not start, or stopped for a reason of the moment */
#define EXIT_CONFIG 2 /* arguments or the Node document are wrong; nothing was started */
/* Of --check: something is refused or held; a start would go on without it. */
#define EXIT_REFUSED_SOME 1

#define ARGS_DIRS_MAX 32

struct args {
	const char *node;
	const char *dirs[ARGS_DIRS_MAX];
	uint32_t n_dirs;
	bool check, json;
	bool analyse;		      /* with `check` */
	const char *principal, *from; /* whose calls it is about; NULL: all that is to be found */
	bool debug;
	bool core_files; /* a core file of the daemon may be written, with the keys in it */
	int log_level;	 /* enum mt_log_level; -1: not said */
};

/* Reads the arguments. -1: go on; else the exit code (--help, --version, or a mistake, told). */
int args_read(struct args *a, int argc, char **argv);
