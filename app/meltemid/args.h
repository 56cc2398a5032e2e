/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_log.h"

#include <stdint.h>

#define EXIT_OK	    0
#define EXIT_RUN    1 /* could not start, or stopped because of an error at run time */
#define EXIT_CONFIG 2 /* arguments or the Node document are wrong; nothing was started */
/*
 * For --check: a document is refused or last-good, and a start would continue without it; with
 * --strict also any warning about documents.
 */
#define EXIT_REFUSED_SOME 1

#define ARGS_DIRS_MAX 32

struct args {
	const char *node;
	const char *dirs[ARGS_DIRS_MAX];
	uint32_t n_dirs;
	bool check, json;
	bool strict;		      /* with `check`: warnings fail it */
	bool analyse;		      /* with `check` */
	const char *principal, *from; /* the caller to analyse; NULL: print all findings */
	bool rights, unit, udev;      /* print what the service needs; as which file */
	bool no_seccomp;	      /* the daemon does not limit its system calls */
	bool debug;
	bool core_files; /* core files of the daemon, with the keys in them, are allowed */
	int log_level;	 /* enum mt_log_level; -1: not given */
};

/*
 * Reads the arguments. Returns -1 to go on, else the exit code (--help, --version, or a mistake,
 * after a message).
 */
int args_read(struct args *a, int argc, char **argv);
