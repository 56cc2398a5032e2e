/* SPDX-License-Identifier: Apache-2.0 */
/* The user of the unit of meltemid. */
#pragma once

#include <stdbool.h>

#define UNIT_USER 64

/*
 * Writes `User=` of the unit meltemid.service and its drop-ins below the directory `root`, which is
 * used as /. False with "" if it is root, or if the unit is not installed.
 */
bool unit_user(const char *root, char name[UNIT_USER]);
/*
 * Makes this process one of that user, with the user's groups. Returns 0, or -errno; -ENOENT: there
 * is no such user. Call it in a child process.
 */
int unit_become(const char *name);
